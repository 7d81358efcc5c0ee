//! What a statement is, as far as the planner tells statements apart.

mod classify;
mod rest;
mod table;

use pg_query::NodeEnum;
use pg_query::protobuf;

pub(super) use self::classify::classify;
pub(super) use self::classify::copy_with_rows;

use super::ColumnDefinition;
use super::ConstraintDefinition;
use super::Expr;
use super::IndexDefinition;
use super::PartitionBound;
use super::Setting;
use super::Sql;
use super::whole::Destination;
use super::whole::NamedObject;
use super::whole::ObjectKind;
use crate::lock::LockMode;

/// A name as it is written: perhaps without a schema.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectRef {
    /// The schema where it is written.
    pub schema: Option<String>,
    /// The name.
    pub name: String,
}

impl std::fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// What a statement is.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// `ALTER TABLE`, with everything in it.
    AlterTable {
        /// The table.
        table: ObjectRef,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `ONLY`.
        only: bool,
        /// Its parts.
        commands: Vec<AlterCommand>,
    },
    /// `ALTER TABLE … RENAME COLUMN`.
    RenameColumn {
        /// The table.
        table: ObjectRef,
        /// The column.
        from: String,
        /// Its new name.
        to: String,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `DROP` of objects that can be retired.
    Drop {
        /// What they are, as they are written.
        kind: ObjectKind,
        /// The objects.
        objects: Vec<NamedObject>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `RENAME TO` and `SET SCHEMA` of a table, a view, a materialized view, a sequence, a type, a domain, a function or a procedure.
    Move {
        /// What it is, as it is written.
        kind: ObjectKind,
        /// Which one.
        object: ObjectRef,
        /// For a function: the types of the arguments that it is known by, where they are written.
        arguments: Option<Vec<String>>,
        /// Where it goes.
        to: Destination,
        /// `IF EXISTS`.
        if_exists: bool,
    },
    /// `CREATE INDEX`.
    CreateIndex(Box<CreateIndex>),
    /// `DROP INDEX`.
    DropIndex {
        /// The indexes.
        names: Vec<ObjectRef>,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `UPDATE`.
    Update(Update),
    /// `CREATE TABLE` (also `AS` and `PARTITION OF`).
    CreateTable {
        /// The table.
        name: ObjectRef,
        /// Its columns, as far as they are written one by one.
        columns: Vec<ColumnDefinition>,
        /// Tables that its foreign keys point to.
        references: Vec<ObjectRef>,
        /// `PARTITION OF` and `INHERITS`.
        parents: Vec<ObjectRef>,
        /// The bound of a `PARTITION OF`, where it is understood.
        bound: Option<PartitionBound>,
        /// `TEMPORARY`.
        temporary: bool,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `BEGIN`, `COMMIT` and their like.
    Transaction(TransactionControl),
    /// It can't run in a transaction.
    NotInTransaction {
        /// What it is, as people read it.
        what: &'static str,
        /// Whether it may be run again where nobody knows whether it was done.
        repeatable: bool,
        /// The tables or indexes it works on and how it locks the tables.
        touches: Vec<(ObjectRef, LockMode)>,
    },
    /// Data from the client: `COPY … FROM STDIN`.
    CopyFromStdin {
        /// The table that takes them.
        table: ObjectRef,
    },
    /// Anything else.
    Other {
        /// What it is, as people read it.
        what: String,
        /// The tables it works on and how it locks them.
        touches: Vec<(ObjectRef, LockMode)>,
        /// Why it would break running code, when it would.
        breaks: Option<String>,
        /// The statement that undoes it, where that follows from it.
        undo: Option<Sql>,
        /// Whether what it does can't be seen from its text.
        opaque: bool,
    },
}

/// The kinds of transaction control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionControl {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, without `AND CHAIN`.
    Commit,
    /// `SAVEPOINT`, `RELEASE`, `ROLLBACK TO`.
    Savepoint,
    /// Everything else.
    Other,
}

/// One part of an `ALTER TABLE`.
#[derive(Clone, Debug)]
pub enum AlterCommand {
    /// `ADD COLUMN`.
    AddColumn {
        /// The column.
        column: ColumnDefinition,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `DROP COLUMN`.
    DropColumn {
        /// The column.
        column: String,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `ALTER COLUMN … TYPE`.
    AlterType {
        /// The column.
        column: String,
        /// The new type.
        type_name: Sql,
        /// Its name without a schema and modifiers, as the catalog has it (`int8`, `varchar`).
        base_type: String,
        /// Its modifiers, where they are plain numbers.
        modifiers: Vec<i64>,
        /// Whether it is an array.
        array: bool,
        /// `COLLATE`.
        collation: Option<Sql>,
        /// `USING`.
        using: Option<Expr>,
    },
    /// `ALTER COLUMN … SET NOT NULL`.
    SetNotNull {
        /// The column.
        column: String,
    },
    /// `ALTER COLUMN … SET DEFAULT` and `DROP DEFAULT`.
    SetDefault {
        /// The column.
        column: String,
        /// The default; none drops it.
        default: Option<Expr>,
    },
    /// `ALTER COLUMN … DROP NOT NULL`.
    DropNotNull {
        /// The column.
        column: String,
    },
    /// `ADD CONSTRAINT`.
    AddConstraint(ConstraintDefinition),
    /// `ATTACH PARTITION`.
    AttachPartition {
        /// The table that becomes a partition.
        partition: ObjectRef,
        /// Its bound, where it is understood.
        bound: Option<PartitionBound>,
    },
    /// `DETACH PARTITION`.
    DetachPartition {
        /// The partition.
        partition: ObjectRef,
        /// `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `DROP CONSTRAINT`.
    DropConstraint {
        /// Its name.
        name: String,
        /// `IF EXISTS`.
        if_exists: bool,
        /// `CASCADE`.
        cascade: bool,
    },
    /// Any other part.
    Other {
        /// What it is, as people read it.
        what: String,
        /// How it locks the table.
        lock: LockMode,
        /// Why it would break running code or lock the table for long, when it would.
        breaks: Option<String>,
        /// What it sets of that which the catalog knows.
        sets: Option<Setting>,
    },
}

/// A `CREATE INDEX`.
#[derive(Clone, Debug)]
pub struct CreateIndex {
    /// Its name where it is given.
    pub name: Option<String>,
    /// The table.
    pub table: ObjectRef,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// The columns it is over.
    pub columns: Vec<String>,
    /// Its whole definition.
    pub definition: IndexDefinition,
}

/// An `UPDATE`.
#[derive(Clone, Debug)]
pub struct Update {
    /// The table.
    pub table: ObjectRef,
    /// What is set, where every target is a plain `column = expression`.
    pub set: Option<Vec<SetItem>>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// Whether there is a `FROM`, `WITH`, `RETURNING`, or a `WHERE` that can't be shown as an expression.
    pub odd: bool,
}

/// `column = expression`.
#[derive(Clone, Debug)]
pub struct SetItem {
    /// The column.
    pub column: String,
    /// Its new value.
    pub value: Expr,
}

pub(super) fn object(relation: Option<&protobuf::RangeVar>) -> ObjectRef {
    let relation = relation.cloned().unwrap_or_default();
    ObjectRef { schema: (!relation.schemaname.is_empty()).then_some(relation.schemaname), name: relation.relname }
}

pub(super) fn strings(nodes: &[protobuf::Node]) -> Vec<String> {
    nodes
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::String(text)) => Some(text.sval.clone()),
            _ => None,
        })
        .collect()
}

pub(super) fn object_of_names(names: &[String]) -> Option<ObjectRef> {
    let (name, rest) = names.split_last()?;
    Some(ObjectRef { schema: rest.last().cloned(), name: name.clone() })
}
