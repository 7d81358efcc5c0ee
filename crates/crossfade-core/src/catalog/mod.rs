//! An immutable snapshot of the schema, with sizes and the server's version. The planner reads the world only here.

mod lookup;
mod names;
mod partitions;

pub use names::Label;
pub use names::Names;
pub(crate) use names::free_name;
pub use names::object_name;

use serde::Deserialize;
use serde::Serialize;

use crate::sql::ServerText;
use crate::sql::TableName;

/// The schema as it was seen in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Catalog {
    /// `server_version_num`: 150018 is 15.18.
    pub server_version: u32,
    /// Bytes of a block.
    pub block_size: u32,
    /// The schemas that unqualified names are looked up in, in order, as `current_schemas(false)` has them.
    pub search_path: Vec<String>,
    /// The session's time zone, which casts between `timestamp` and `timestamptz` depend on.
    pub time_zone: String,
    /// Sessions of others in this database.
    pub other_sessions: u32,
    /// Tables, partitioned tables, views, materialized views and foreign tables outside of the system's schemas.
    pub tables: Vec<Table>,
    /// Sequences, enum and composite types, domains and functions, by kind and name: what a CREATE could meet.
    pub objects: Vec<Object>,
    /// Schemas beside `public`, the system's own and that of the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
    /// Extensions beside plpgsql, which is always there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<String>,
}

/// What kind of relation it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableKind {
    /// An ordinary table (also a partition).
    #[default]
    Table,
    /// A partitioned table.
    Partitioned,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    Foreign,
}

/// A relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Schema and name.
    pub name: TableName,
    /// Its kind.
    #[serde(default)]
    pub kind: TableKind,
    /// Whether at least one row is (or was, before a vacuum) there. Of a partitioned table: in any partition.
    #[serde(default)]
    pub has_rows: bool,
    /// Rows, as the statistics have it.
    #[serde(default)]
    pub estimated_rows: u64,
    /// Blocks of the heap.
    #[serde(default)]
    pub blocks: u64,
    /// `heap` and anything that keeps rows like it; other access methods can't be swept by block.
    #[serde(default)]
    pub access_method: Option<String>,
    /// Its tablespace, where it is not the database's own; that of a partitioned table is the one that its partitions get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tablespace: Option<String>,
    /// The `fillfactor`, in percent.
    #[serde(default)]
    pub fill_factor: Option<u32>,
    /// For a partition: its parent.
    #[serde(default)]
    pub partition_of: Option<TableName>,
    /// For a partition: its bound, as `pg_get_expr` writes it (`FOR VALUES …`, `DEFAULT`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_bound: Option<ServerText>,
    /// For a partitioned table: `RANGE (…)`, `LIST (…)` or `HASH (…)`, as `pg_get_partkeydef` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_by: Option<ServerText>,
    /// Inheritance children that are no partitions.
    #[serde(default)]
    pub inheritance_children: Vec<TableName>,
    /// Columns of the partition key.
    #[serde(default)]
    pub partition_key: Vec<String>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its owner, where that is not the role that plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its grants, those of its owner aside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    /// Whether row security is enabled.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub row_security: bool,
    /// Whether it has rules; those of views aside, which make them what they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_rules: bool,
    /// Columns in their order, without dropped ones.
    pub columns: Vec<Column>,
    /// Constraints of every kind.
    #[serde(default)]
    pub constraints: Vec<Constraint>,
    /// Indexes, those of constraints included.
    #[serde(default)]
    pub indexes: Vec<Index>,
    /// Triggers, without those that constraints make.
    #[serde(default)]
    pub triggers: Vec<Trigger>,
    /// Its policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// What else hangs on its columns.
    #[serde(default)]
    pub dependents: Vec<Dependent>,
    /// Its extended statistics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<ExtendedStatistics>,
    /// Of a view: its form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

/// What a view is, as far as it must be made again. Of a materialized view it is not read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// As `pg_get_viewdef` writes it with an empty search path.
    pub definition: ServerText,
    /// What stands between the parentheses of WITH, where it has options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<ServerText>,
    /// The statements that make its rules and its triggers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached: Vec<ServerText>,
    /// What of it could not be made again as it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<String>,
}

/// How far an expression's value depends on when it is evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Volatility {
    /// Never.
    #[default]
    Immutable,
    /// The same within one statement.
    Stable,
    /// Each time anew.
    Volatile,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its number (`attnum`).
    pub number: i16,
    /// Its type, as `format_type` writes it with an empty search path.
    pub type_name: ServerText,
    /// The name of its base type without modifiers (`int4`, `varchar`, `numeric`), for rules about types.
    pub base_type: String,
    /// Its type modifier (`atttypmod`), -1 for none.
    pub type_modifier: i32,
    /// Whether the type is a domain with constraints.
    pub constrained_domain: bool,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Its default.
    pub default: Option<ColumnDefault>,
    /// The expression of a generated column.
    pub generated: Option<ServerText>,
    /// `ALWAYS` or `BY DEFAULT` of an identity column.
    pub identity: Option<String>,
    /// The collation where it is not the type's own.
    pub collation: Option<ServerText>,
    /// Its comment.
    pub comment: Option<String>,
    /// Its statistics target where it is set.
    pub statistics: Option<i32>,
    /// Its storage (`PLAIN`, `MAIN`, …) where it is not the type's own.
    pub storage: Option<String>,
    /// Its own grants (`attacl`).
    pub grants: Vec<Grant>,
    /// Its own options (`attoptions`), such as `n_distinct=5`.
    pub options: Vec<String>,
    /// The sequence that it owns.
    pub owned_sequence: Option<TableName>,
    /// What the sequence of an identity column is like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_sequence: Option<IdentitySequence>,
}

/// The sequence of an identity column, as far as it must be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentitySequence {
    /// START WITH.
    pub start: i64,
    /// INCREMENT BY.
    pub increment: i64,
    /// MINVALUE; none where it is the type's own.
    pub minimum: Option<i64>,
    /// MAXVALUE; none where it is the type's own.
    pub maximum: Option<i64>,
    /// CACHE.
    pub cache: i64,
    /// CYCLE.
    pub cycle: bool,
    /// Its comment.
    pub comment: Option<String>,
    /// Its grants, those of its owner included; none where nothing was ever granted or revoked.
    pub grants: Option<Vec<Grant>>,
    /// What else uses it, as the server describes it.
    pub dependents: Vec<String>,
}

/// An object that `CREATE STATISTICS` made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtendedStatistics {
    /// Schema and name.
    pub name: TableName,
    /// As `pg_get_statisticsobjdef` writes it with an empty search path.
    pub definition: ServerText,
    /// The columns that it speaks of.
    pub columns: Vec<String>,
    /// Its statistics target where it is set.
    pub target: Option<i32>,
    /// Its comment.
    pub comment: Option<String>,
}

/// A default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDefault {
    /// As `pg_get_expr` writes it with an empty search path.
    pub expression: ServerText,
    /// How far its value depends on when it is evaluated.
    #[serde(default)]
    pub volatility: Volatility,
}

/// A privilege on a relation or on one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `SELECT`, `INSERT`, `UPDATE` and so on.
    pub privilege: String,
    /// The role; none for `PUBLIC`.
    pub grantee: Option<String>,
    /// `WITH GRANT OPTION`.
    pub grantable: bool,
}

/// The kind of a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConstraintKind {
    /// CHECK.
    Check,
    /// UNIQUE.
    Unique,
    /// PRIMARY KEY.
    PrimaryKey,
    /// FOREIGN KEY of this table.
    ForeignKey,
    /// EXCLUDE.
    Exclude,
    /// NOT NULL, PostgreSQL 18 and up.
    NotNull,
}

/// A constraint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: ConstraintKind,
    /// The columns that it speaks of.
    #[serde(default)]
    pub columns: Vec<String>,
    /// As `pg_get_constraintdef` writes it with an empty search path.
    pub definition: ServerText,
    /// Whether it was proven for all rows.
    #[serde(default = "yes")]
    pub validated: bool,
    /// Whether it is DEFERRABLE.
    #[serde(default)]
    pub deferrable: bool,
    /// The index behind a UNIQUE, PRIMARY KEY or EXCLUDE.
    #[serde(default)]
    pub index: Option<String>,
    /// The table that a FOREIGN KEY points to.
    #[serde(default)]
    pub references: Option<TableName>,
    /// The columns that a FOREIGN KEY points to.
    #[serde(default)]
    pub referenced_columns: Vec<String>,
    /// Whether it comes from a parent.
    #[serde(default)]
    pub inherited: bool,
    /// Its comment.
    #[serde(default)]
    pub comment: Option<String>,
}

fn yes() -> bool {
    true
}

/// An index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// Its name; its schema is the table's.
    pub name: String,
    /// As `pg_get_indexdef` writes it with an empty search path.
    pub definition: ServerText,
    /// Every column that it touches: keys, INCLUDE, expressions and predicate.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Whether it is UNIQUE.
    #[serde(default)]
    pub unique: bool,
    /// Whether it is the primary key's.
    #[serde(default)]
    pub primary: bool,
    /// Whether it has an expression or a predicate.
    #[serde(default)]
    pub expression_or_predicate: bool,
    /// Whether it can be used.
    #[serde(default = "yes")]
    pub valid: bool,
    /// The constraint that owns it.
    #[serde(default)]
    pub constraint: Option<String>,
    /// For an index of a partition: the index of the parent that it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached_to: Option<TableName>,
    /// Whether it is the table's REPLICA IDENTITY.
    #[serde(default)]
    pub replica_identity: bool,
    /// Whether the table is clustered on it.
    #[serde(default)]
    pub clustered: bool,
    /// Its comment.
    #[serde(default)]
    pub comment: Option<String>,
}

/// A trigger of the user's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// Whether it fires before the row is written.
    pub before: bool,
    /// Whether it fires for each row.
    pub row: bool,
    /// Whether it fires for UPDATE.
    pub on_update: bool,
    /// Whether it fires at all (`tgenabled` is not `D`).
    pub enabled: bool,
    /// Columns of `UPDATE OF` and `WHEN`.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The function it calls, qualified.
    pub function: String,
    /// The function's source, to look for names in it.
    #[serde(default)]
    pub source: String,
    /// As `pg_get_triggerdef` writes it with an empty search path; none for a partition's copy of its parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<ServerText>,
    /// When it fires, where that is not ordinary: `DISABLE`, `ENABLE ALWAYS` or `ENABLE REPLICA`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<ServerText>,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A policy of row security.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its CREATE, as the server would have it with an empty search path.
    pub definition: ServerText,
    /// Its comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// Something outside of the table that names one of its columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent {
    /// As the server describes it: `view public.active_users`.
    pub description: String,
    /// The column; none when it hangs on the whole table.
    pub column: Option<String>,
    /// Whether it goes with the table without a word, as the table's own policies and statistics do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub goes_along: bool,
    /// The view or materialized view that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<TableName>,
    /// Whether it is a foreign key of another table, which stands among that table's constraints.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreign_key: bool,
}

/// A named object that is no table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// `type`, `composite` (a composite type, whose name is taken for tables and indexes, too), `sequence` or `function`.
    pub kind: String,
    /// Schema and name.
    pub name: TableName,
    /// For a function: its volatility.
    #[serde(default)]
    pub volatility: Option<Volatility>,
    /// For a domain: whether it has constraints, its own or those of a domain below it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub constrained: bool,
    /// For an enum: its values, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// For a function: each of this name that is no aggregate and comes with no extension.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<Function>,
}

/// A function or a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Whether it is a procedure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub procedure: bool,
    /// The types of the arguments that it is known by, without schemas: `int4`, `text[]`.
    pub types: Vec<String>,
    /// The same between its parentheses, as `format_type` writes them with an empty search path.
    pub arguments: ServerText,
    /// What stands behind its name in the CREATE that `pg_get_functiondef` writes with an empty search path.
    pub definition: ServerText,
    /// Its owner, where that is not the role that plans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Its grants, those of its owner aside; none where nothing was ever granted or revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
}
