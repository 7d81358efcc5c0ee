//! What a statement is, as far as the planner tells statements apart.

use pg_query::NodeEnum;
use pg_query::protobuf;
use pg_query::protobuf::AlterTableType;
use pg_query::protobuf::ConstrType;
use pg_query::protobuf::ObjectType;
use pg_query::protobuf::TransactionStmtKind;

use super::ColumnDefinition;
use super::ConstraintDefinition;
use super::Expr;
use super::IndexDefinition;
use super::PartitionBound;
use super::Sql;
use super::column::base_type;
use super::column::collation;
use super::column::column_definition;
use super::column::modifiers;
use super::constraint::constraint_definition;
use super::rewrite::deparse_type;
use super::whole;
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
    /// `RENAME TO` and `SET SCHEMA` of a table, a view, a materialized view, a type, a domain, a function or a procedure.
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

fn dropped_object(node: &protobuf::Node) -> Option<ObjectRef> {
    match node.node.as_ref()? {
        NodeEnum::List(list) => object_of_names(&strings(&list.items)),
        NodeEnum::TypeName(type_name) => object_of_names(&strings(&type_name.names)),
        NodeEnum::ObjectWithArgs(function) => object_of_names(&strings(&function.objname)),
        _ => None,
    }
}

/// Tells what a parsed statement is.
pub(super) fn classify(node: &NodeEnum) -> StatementKind {
    let mut kind = kind_of(node);
    if let StatementKind::Other { undo, .. } = &mut kind
        && undo.is_none()
    {
        *undo = super::undo::undo(node);
    }
    kind
}

fn kind_of(node: &NodeEnum) -> StatementKind {
    match node {
        NodeEnum::AlterTableStmt(alter) if alter.objtype() == ObjectType::ObjectTable => alter_table(alter),
        NodeEnum::RenameStmt(rename) => whole::rename_statement(rename).unwrap_or_else(|| rename_statement(rename)),
        NodeEnum::IndexStmt(index) => create_index(index),
        NodeEnum::DropStmt(drop) if drop.remove_type() == ObjectType::ObjectIndex => StatementKind::DropIndex {
            names: drop.objects.iter().filter_map(dropped_object).collect(),
            if_exists: drop.missing_ok,
            cascade: drop.behavior() == protobuf::DropBehavior::DropCascade,
        },
        NodeEnum::DropStmt(drop) => whole::drop_statement(drop).unwrap_or_else(|| other_statement(node)),
        NodeEnum::AlterObjectSchemaStmt(alter) => {
            whole::schema_statement(alter).unwrap_or_else(|| other_statement(node))
        }
        NodeEnum::UpdateStmt(update) => StatementKind::Update(update_statement(update)),
        NodeEnum::CreateStmt(create) => create_table(create),
        NodeEnum::TransactionStmt(transaction) => StatementKind::Transaction(match transaction.kind() {
            TransactionStmtKind::TransStmtBegin | TransactionStmtKind::TransStmtStart => TransactionControl::Begin,
            TransactionStmtKind::TransStmtCommit if !transaction.chain => TransactionControl::Commit,
            TransactionStmtKind::TransStmtSavepoint
            | TransactionStmtKind::TransStmtRelease
            | TransactionStmtKind::TransStmtRollbackTo => TransactionControl::Savepoint,
            _ => TransactionControl::Other,
        }),
        NodeEnum::CopyStmt(copy) if copy.is_from && copy.filename.is_empty() && !copy.is_program => {
            StatementKind::CopyFromStdin { table: object(copy.relation.as_ref()) }
        }
        other => match not_in_transaction(other) {
            Some(what) => {
                let repeatable = matches!(what, "VACUUM" | "REINDEX" | "CLUSTER" | "ALTER SYSTEM" | "DISCARD");
                StatementKind::NotInTransaction { what, repeatable, touches: touched_outside(other) }
            }
            None => other_statement(other),
        },
    }
}

/// Statements that the server refuses inside of a transaction block (25001). Source: measured, reference E3.
fn not_in_transaction(node: &NodeEnum) -> Option<&'static str> {
    match node {
        NodeEnum::VacuumStmt(vacuum) if vacuum.is_vacuumcmd => Some("VACUUM"),
        NodeEnum::CreatedbStmt(_) => Some("CREATE DATABASE"),
        NodeEnum::DropdbStmt(_) => Some("DROP DATABASE"),
        NodeEnum::CreateTableSpaceStmt(_) => Some("CREATE TABLESPACE"),
        NodeEnum::DropTableSpaceStmt(_) => Some("DROP TABLESPACE"),
        NodeEnum::AlterSystemStmt(_) => Some("ALTER SYSTEM"),
        NodeEnum::DiscardStmt(_) => Some("DISCARD"),
        NodeEnum::CreateSubscriptionStmt(_) => Some("CREATE SUBSCRIPTION"),
        NodeEnum::DropSubscriptionStmt(_) => Some("DROP SUBSCRIPTION"),
        NodeEnum::ClusterStmt(cluster) if cluster.relation.is_none() => Some("CLUSTER"),
        NodeEnum::ReindexStmt(reindex) => {
            let concurrent = reindex.params.iter().any(|param| match param.node.as_ref() {
                Some(NodeEnum::DefElem(element)) => element.defname == "concurrently",
                _ => false,
            });
            let whole = !matches!(
                reindex.kind(),
                protobuf::ReindexObjectType::ReindexObjectIndex | protobuf::ReindexObjectType::ReindexObjectTable
            );
            (concurrent || whole).then_some("REINDEX")
        }
        _ => None,
    }
}

fn rename_statement(rename: &protobuf::RenameStmt) -> StatementKind {
    let table = object(rename.relation.as_ref());
    match rename.rename_type() {
        ObjectType::ObjectColumn if rename.relation_type() == ObjectType::ObjectTable => StatementKind::RenameColumn {
            table,
            from: rename.subname.clone(),
            to: rename.newname.clone(),
            if_exists: rename.missing_ok,
        },
        ObjectType::ObjectTabconstraint => other("RENAME CONSTRAINT", vec![(table, LockMode::AccessExclusive)], None),
        ObjectType::ObjectIndex => other("RENAME INDEX", vec![], None),
        ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule => {
            other("RENAME TRIGGER", vec![(table, LockMode::AccessExclusive)], None)
        }
        _ => other("RENAME", vec![], Some("running code may use the old name")),
    }
}

/// What VACUUM, REINDEX and CLUSTER lock. Source: the manual, measured.
fn touched_outside(node: &NodeEnum) -> Vec<(ObjectRef, LockMode)> {
    match node {
        NodeEnum::VacuumStmt(vacuum) => {
            let full = vacuum.options.iter().any(|option| match option.node.as_ref() {
                Some(NodeEnum::DefElem(element)) => element.defname == "full",
                _ => false,
            });
            let mode = if full { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive };
            let tables = vacuum.rels.iter().filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::VacuumRelation(relation)) => Some((object(relation.relation.as_ref()), mode)),
                _ => None,
            });
            tables.collect()
        }
        NodeEnum::ReindexStmt(reindex) if reindex.relation.is_some() => {
            vec![(object(reindex.relation.as_ref()), LockMode::ShareUpdateExclusive)]
        }
        _ => Vec::new(),
    }
}

fn other(what: &str, touches: Vec<(ObjectRef, LockMode)>, breaks: Option<&str>) -> StatementKind {
    StatementKind::Other {
        what: what.to_owned(),
        touches,
        breaks: breaks.map(str::to_owned),
        undo: None,
        opaque: false,
    }
}

/// A COPY with its rows behind it inserts them, as an INSERT would.
pub(super) fn copy_with_rows(table: ObjectRef) -> StatementKind {
    other("COPY", vec![(table, LockMode::RowExclusive)], None)
}

fn alter_table(alter: &protobuf::AlterTableStmt) -> StatementKind {
    let commands = alter
        .cmds
        .iter()
        .filter_map(|command| match command.node.as_ref() {
            Some(NodeEnum::AlterTableCmd(command)) => Some(alter_command(command)),
            _ => None,
        })
        .collect();
    let only = alter.relation.as_ref().is_some_and(|relation| !relation.inh);
    StatementKind::AlterTable { table: object(alter.relation.as_ref()), if_exists: alter.missing_ok, only, commands }
}

fn alter_command(command: &protobuf::AlterTableCmd) -> AlterCommand {
    let column = command.name.clone();
    let definition = command.def.as_ref().and_then(|def| def.node.as_ref());
    let plain = |what: &str, lock| AlterCommand::Other { what: what.to_owned(), lock, breaks: None };
    let breaking = |what: &str, why: &str| AlterCommand::Other {
        what: what.to_owned(),
        lock: LockMode::AccessExclusive,
        breaks: Some(why.to_owned()),
    };
    use AlterTableType as T;
    match (command.subtype(), definition) {
        (T::AtAddColumn, Some(NodeEnum::ColumnDef(def))) => match column_definition(def) {
            Some(column) => AlterCommand::AddColumn { column, if_not_exists: command.missing_ok },
            None => breaking("ADD COLUMN", "its definition is not understood"),
        },
        (T::AtDropColumn, _) => AlterCommand::DropColumn {
            column,
            if_exists: command.missing_ok,
            cascade: command.behavior() == protobuf::DropBehavior::DropCascade,
        },
        (T::AtAlterColumnType, Some(NodeEnum::ColumnDef(def))) => {
            let using = def.raw_default.as_ref().map(|node| Expr::from_node(node));
            match (def.type_name.as_ref().and_then(deparse_type), using) {
                (Some(type_name), None | Some(Some(_))) => AlterCommand::AlterType {
                    column,
                    type_name,
                    base_type: base_type(def.type_name.as_ref()),
                    modifiers: modifiers(def.type_name.as_ref()),
                    array: def.type_name.as_ref().is_some_and(|name| !name.array_bounds.is_empty()),
                    collation: collation(def),
                    using: def.raw_default.as_ref().and_then(|node| Expr::from_node(node)),
                },
                _ => breaking("ALTER COLUMN TYPE", "its type or its USING is not understood"),
            }
        }
        (T::AtSetNotNull, _) => AlterCommand::SetNotNull { column },
        (T::AtDropNotNull, _) => AlterCommand::DropNotNull { column },
        (T::AtColumnDefault, None) => AlterCommand::SetDefault { column, default: None },
        (T::AtColumnDefault, Some(node)) => {
            let node = protobuf::Node { node: Some(node.clone()) };
            match Expr::from_node(&node) {
                Some(default) => AlterCommand::SetDefault { column, default: Some(default) },
                None => plain("SET DEFAULT", LockMode::AccessExclusive),
            }
        }
        (T::AtAddConstraint, Some(NodeEnum::Constraint(constraint))) => {
            AlterCommand::AddConstraint(constraint_definition(constraint))
        }
        (T::AtDropConstraint, _) => AlterCommand::DropConstraint {
            name: column,
            if_exists: command.missing_ok,
            cascade: command.behavior() == protobuf::DropBehavior::DropCascade,
        },
        (T::AtValidateConstraint, _) => plain("VALIDATE CONSTRAINT", LockMode::ShareUpdateExclusive),
        (T::AtSetStatistics, _) => plain("SET STATISTICS", LockMode::ShareUpdateExclusive),
        (T::AtSetOptions | T::AtResetOptions, _) => plain("SET (attribute options)", LockMode::ShareUpdateExclusive),
        (T::AtSetRelOptions | T::AtResetRelOptions, _) => {
            plain("SET (storage parameters)", LockMode::ShareUpdateExclusive)
        }
        (T::AtSetStorage, _) => plain("SET STORAGE", LockMode::AccessExclusive),
        (T::AtSetCompression, _) => plain("SET COMPRESSION", LockMode::AccessExclusive),
        (T::AtClusterOn | T::AtDropCluster, _) => plain("CLUSTER ON", LockMode::ShareUpdateExclusive),
        (T::AtEnableTrig | T::AtEnableAlwaysTrig | T::AtEnableReplicaTrig | T::AtDisableTrig, _) => {
            plain("ENABLE/DISABLE TRIGGER", LockMode::ShareRowExclusive)
        }
        (T::AtSetLogged, _) => breaking("SET LOGGED", "it rewrites the whole table under ACCESS EXCLUSIVE"),
        (T::AtSetUnLogged, _) => breaking("SET UNLOGGED", "it rewrites the whole table under ACCESS EXCLUSIVE"),
        (T::AtSetTableSpace, _) => breaking("SET TABLESPACE", "it copies the whole table under ACCESS EXCLUSIVE"),
        (T::AtSetAccessMethod, _) => {
            breaking("SET ACCESS METHOD", "it rewrites the whole table under ACCESS EXCLUSIVE")
        }
        (T::AtAttachPartition, Some(NodeEnum::PartitionCmd(partition))) => AlterCommand::AttachPartition {
            partition: object(partition.name.as_ref()),
            bound: partition.bound.as_ref().and_then(PartitionBound::from_spec),
        },
        (T::AtDetachPartition, Some(NodeEnum::PartitionCmd(partition))) => AlterCommand::DetachPartition {
            partition: object(partition.name.as_ref()),
            concurrently: partition.concurrent,
        },
        (T::AtSetExpression, _) => breaking("SET EXPRESSION", "it rewrites the whole table under ACCESS EXCLUSIVE"),
        (subtype, _) => {
            let name = subtype.as_str_name().trim_start_matches("AT_").trim_start_matches("At").to_owned();
            AlterCommand::Other { what: format!("ALTER TABLE ({name})"), lock: LockMode::AccessExclusive, breaks: None }
        }
    }
}

fn create_index(index: &protobuf::IndexStmt) -> StatementKind {
    let definition = IndexDefinition::from_statement(index);
    StatementKind::CreateIndex(Box::new(CreateIndex {
        name: (!index.idxname.is_empty()).then(|| index.idxname.clone()),
        table: object(index.relation.as_ref()),
        concurrently: index.concurrent,
        if_not_exists: index.if_not_exists,
        unique: index.unique,
        columns: definition.columns(),
        definition,
    }))
}

fn update_statement(update: &protobuf::UpdateStmt) -> Update {
    let mut set = Vec::new();
    let mut plain = true;
    for target in &update.target_list {
        match target.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) if target.indirection.is_empty() => {
                match target.val.as_ref().and_then(|node| Expr::from_node(node)) {
                    Some(value) => set.push(SetItem { column: target.name.clone(), value }),
                    None => plain = false,
                }
            }
            _ => plain = false,
        }
    }
    let filter = update.where_clause.as_ref().map(|node| Expr::from_node(node));
    let odd = !update.from_clause.is_empty()
        || update.with_clause.is_some()
        || update.returning_clause.is_some()
        || matches!(filter, Some(None));
    Update { table: object(update.relation.as_ref()), set: plain.then_some(set), filter: filter.flatten(), odd }
}

fn create_table(create: &protobuf::CreateStmt) -> StatementKind {
    let mut references = Vec::new();
    let mut visit = |node: &protobuf::Node| {
        if let Some(NodeEnum::Constraint(constraint)) = node.node.as_ref() {
            references.extend(constraint.pktable.as_ref().map(|table| object(Some(table))));
        }
    };
    for element in &create.table_elts {
        visit(element);
        if let Some(NodeEnum::ColumnDef(def)) = element.node.as_ref() {
            def.constraints.iter().for_each(&mut visit);
        }
    }
    let parents = create
        .inh_relations
        .iter()
        .filter_map(|node| match node.node.as_ref() {
            Some(NodeEnum::RangeVar(relation)) => Some(object(Some(relation))),
            _ => None,
        })
        .collect();
    let mut columns: Vec<ColumnDefinition> = create
        .table_elts
        .iter()
        .filter_map(|element| match element.node.as_ref() {
            Some(NodeEnum::ColumnDef(def)) => column_definition(def),
            _ => None,
        })
        .collect();
    let keys = create.table_elts.iter().filter_map(|element| match element.node.as_ref() {
        Some(NodeEnum::Constraint(constraint)) if constraint.contype() == ConstrType::ConstrPrimary => {
            Some(strings(&constraint.keys))
        }
        _ => None,
    });
    for key in keys.flatten() {
        columns.iter_mut().filter(|column| column.name == key).for_each(|column| column.not_null = true);
    }
    StatementKind::CreateTable {
        name: object(create.relation.as_ref()),
        columns,
        references,
        parents,
        bound: create.partbound.as_ref().and_then(PartitionBound::from_spec),
        temporary: create.relation.as_ref().is_some_and(|relation| relation.relpersistence == "t"),
        if_not_exists: create.if_not_exists,
    }
}

fn undo_create(template: &'static str, name: &ObjectRef) -> Sql {
    let name_sql = match &name.schema {
        Some(schema) => crate::sql!("{}.{}", super::Ident::new(schema.as_str()), super::Ident::new(name.name.as_str())),
        None => crate::sql!("{}", super::Ident::new(name.name.as_str())),
    };
    Sql::build(template, &[&name_sql])
}

fn other_statement(node: &NodeEnum) -> StatementKind {
    let make =
        |what: &str, touches: Vec<(ObjectRef, LockMode)>, breaks: Option<&str>, undo: Option<Sql>, opaque: bool| {
            StatementKind::Other { what: what.to_owned(), touches, breaks: breaks.map(str::to_owned), undo, opaque }
        };
    match node {
        NodeEnum::InsertStmt(insert) => {
            make("INSERT", vec![(object(insert.relation.as_ref()), LockMode::RowExclusive)], None, None, false)
        }
        NodeEnum::DeleteStmt(delete) => {
            make("DELETE", vec![(object(delete.relation.as_ref()), LockMode::RowExclusive)], None, None, false)
        }
        NodeEnum::MergeStmt(merge) => {
            make("MERGE", vec![(object(merge.relation.as_ref()), LockMode::RowExclusive)], None, None, false)
        }
        NodeEnum::TruncateStmt(truncate) => {
            let tables = truncate.relations.iter().filter_map(|node| match node.node.as_ref() {
                Some(NodeEnum::RangeVar(relation)) => Some((object(Some(relation)), LockMode::AccessExclusive)),
                _ => None,
            });
            make("TRUNCATE", tables.collect(), Some("it removes every row at once"), None, false)
        }
        NodeEnum::DropStmt(drop) => match drop.remove_type() {
            ObjectType::ObjectTrigger | ObjectType::ObjectPolicy | ObjectType::ObjectRule => {
                let table = drop.objects.iter().filter_map(|node| match node.node.as_ref() {
                    Some(NodeEnum::List(list)) => {
                        let names = strings(&list.items);
                        object_of_names(names.get(..names.len().saturating_sub(1)).unwrap_or_default())
                    }
                    _ => None,
                });
                let touches = table.map(|table| (table, LockMode::AccessExclusive)).collect();
                make("DROP TRIGGER", touches, None, None, false)
            }
            ObjectType::ObjectSchema => {
                make("DROP SCHEMA", vec![], Some("running code may use what is in it"), None, false)
            }
            _ => make("DROP", vec![], Some("running code may use it"), None, false),
        },
        NodeEnum::CreateTrigStmt(trigger) => make(
            "CREATE TRIGGER",
            vec![(object(trigger.relation.as_ref()), LockMode::ShareRowExclusive)],
            None,
            None,
            false,
        ),
        NodeEnum::RuleStmt(rule) => {
            make("CREATE RULE", vec![(object(rule.relation.as_ref()), LockMode::AccessExclusive)], None, None, false)
        }
        NodeEnum::CreatePolicyStmt(policy) => {
            make("CREATE POLICY", vec![(object(policy.table.as_ref()), LockMode::AccessExclusive)], None, None, false)
        }
        NodeEnum::ViewStmt(view) => {
            let undo = (!view.replace).then(|| undo_create("DROP VIEW {}", &object(view.view.as_ref())));
            make("CREATE VIEW", vec![], None, undo, false)
        }
        NodeEnum::CreateSeqStmt(sequence) => {
            let undo = undo_create("DROP SEQUENCE {}", &object(sequence.sequence.as_ref()));
            make("CREATE SEQUENCE", vec![], None, Some(undo), false)
        }
        NodeEnum::CreateEnumStmt(create) => {
            let undo = object_of_names(&strings(&create.type_name)).map(|name| undo_create("DROP TYPE {}", &name));
            make("CREATE TYPE", vec![], None, undo, false)
        }
        NodeEnum::CreateDomainStmt(create) => {
            let undo = object_of_names(&strings(&create.domainname)).map(|name| undo_create("DROP DOMAIN {}", &name));
            make("CREATE DOMAIN", vec![], None, undo, false)
        }
        NodeEnum::CreateSchemaStmt(create) if !create.if_not_exists => {
            let name = ObjectRef { schema: None, name: create.schemaname.clone() };
            make("CREATE SCHEMA", vec![], None, Some(undo_create("DROP SCHEMA {}", &name)), false)
        }
        NodeEnum::CreateTableAsStmt(create) => {
            let name = create.into.as_ref().and_then(|into| into.rel.clone());
            let undo = name.as_ref().map(|name| {
                let template = match create.objtype() {
                    ObjectType::ObjectMatview => "DROP MATERIALIZED VIEW {}",
                    _ => "DROP TABLE {}",
                };
                undo_create(template, &object(Some(name)))
            });
            make("CREATE TABLE AS", vec![], None, undo.filter(|_| !create.if_not_exists), false)
        }
        // What a SET changes ends with its session; the way back has one of its own.
        NodeEnum::VariableSetStmt(set) if !set.name.is_empty() => {
            let undo = crate::sql!("RESET {}", super::Ident::new(set.name.as_str()));
            let plain = set.kind() != protobuf::VariableSetKind::VarSetMulti;
            make("SET", vec![], None, plain.then_some(undo), false)
        }
        NodeEnum::LockStmt(_) => make("LOCK TABLE", vec![], None, None, true),
        NodeEnum::DoStmt(_) => make("DO", vec![], None, None, true),
        NodeEnum::CallStmt(_) => make("CALL", vec![], None, None, true),
        NodeEnum::SelectStmt(_) => make("SELECT", vec![], None, None, true),
        NodeEnum::ReindexStmt(_) => {
            let why = "it keeps writers out while the index is built again; REINDEX … CONCURRENTLY by hand does not";
            make("REINDEX", vec![], Some(why), None, false)
        }
        NodeEnum::RefreshMatViewStmt(refresh) => {
            let mode = if refresh.concurrent { LockMode::Exclusive } else { LockMode::AccessExclusive };
            make("REFRESH MATERIALIZED VIEW", vec![(object(refresh.relation.as_ref()), mode)], None, None, false)
        }
        NodeEnum::ClusterStmt(cluster) => {
            let touches = vec![(object(cluster.relation.as_ref()), LockMode::AccessExclusive)];
            make("CLUSTER", touches, Some("it rewrites the whole table under ACCESS EXCLUSIVE"), None, false)
        }
        NodeEnum::AlterObjectSchemaStmt(alter) => {
            let touches = alter.relation.as_ref().map(|relation| (object(Some(relation)), LockMode::AccessExclusive));
            make("SET SCHEMA", touches.into_iter().collect(), Some("running code names the old schema"), None, false)
        }
        NodeEnum::AlterEnumStmt(alter) if !alter.old_val.is_empty() => {
            make("RENAME VALUE", vec![], Some("running code may use the old name"), None, false)
        }
        NodeEnum::CommentStmt(comment) => comment_statement(comment),
        NodeEnum::AlterTableStmt(alter) => {
            let touches = vec![(object(alter.relation.as_ref()), LockMode::AccessExclusive)];
            make("ALTER", touches, None, None, false)
        }
        other => {
            let what = format!("{:?}", other.to_ref());
            let what = what.split(['(', ' ', '{']).next().unwrap_or("statement").trim_end_matches("Stmt").to_owned();
            StatementKind::Other { what, touches: vec![], breaks: None, undo: None, opaque: false }
        }
    }
}

fn comment_statement(comment: &protobuf::CommentStmt) -> StatementKind {
    let names = match comment.object.as_ref().and_then(|object| object.node.as_ref()) {
        Some(NodeEnum::List(list)) => strings(&list.items),
        _ => Vec::new(),
    };
    let table = match comment.objtype() {
        ObjectType::ObjectTable => object_of_names(&names),
        ObjectType::ObjectColumn => object_of_names(names.get(..names.len().saturating_sub(1)).unwrap_or_default()),
        _ => None,
    };
    other("COMMENT", table.map(|table| (table, LockMode::ShareUpdateExclusive)).into_iter().collect(), None)
}
