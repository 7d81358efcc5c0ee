//! What each statement of a file does, in the detail that lint rules need, those in DO blocks and function bodies included.
//!
//! Unlike [`super::parse_file`] this goes on behind what is not SQL: a file with one broken statement is still looked at.

mod alter;
mod body;
mod change;
mod create;
mod read;
mod rows;
mod safe;
mod script;

pub use change::Call;
pub use change::Change;
pub use change::Form;
pub use change::NewColumn;
pub use change::NewConstraint;
pub use change::NewDefault;
pub use change::Trigger;
pub use rows::Reach;
pub use safe::concurrently;
pub use safe::not_valid;
pub use safe::with_name;
pub use script::Script;
pub use script::read_script;

use super::ObjectRef;
use super::Span;
use crate::lock::LockMode;

/// One thing that a statement does.
#[derive(Clone, Debug)]
pub struct Act {
    /// Where the statement stands, without the semicolon.
    pub span: Span,
    /// What it does.
    pub deed: Deed,
    /// In what it stands, where that is a body.
    pub inside: Option<Body>,
}

/// What statements can stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// A DO block, which runs at once.
    Do,
    /// A function or a procedure, which runs when it is called.
    Function,
}

/// The kinds of things that are made, dropped and renamed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    Table,
    View,
    MaterializedView,
    ForeignTable,
    Index,
    Sequence,
    Type,
    Domain,
    Function,
    Schema,
    Database,
    Extension,
    Trigger,
    Policy,
    Rule,
    Column,
    Constraint,
    Other,
}

impl Thing {
    /// As SQL writes it.
    pub fn sql_name(self) -> &'static str {
        match self {
            Thing::Table => "TABLE",
            Thing::View => "VIEW",
            Thing::MaterializedView => "MATERIALIZED VIEW",
            Thing::ForeignTable => "FOREIGN TABLE",
            Thing::Index => "INDEX",
            Thing::Sequence => "SEQUENCE",
            Thing::Type => "TYPE",
            Thing::Domain => "DOMAIN",
            Thing::Function => "FUNCTION",
            Thing::Schema => "SCHEMA",
            Thing::Database => "DATABASE",
            Thing::Extension => "EXTENSION",
            Thing::Trigger => "TRIGGER",
            Thing::Policy => "POLICY",
            Thing::Rule => "RULE",
            Thing::Column => "COLUMN",
            Thing::Constraint => "CONSTRAINT",
            Thing::Other => "OBJECT",
        }
    }
}

/// A table as CREATE TABLE makes it.
#[derive(Clone, Debug)]
pub struct NewTable {
    /// Its name.
    pub name: ObjectRef,
    /// Its columns, as far as they are written one by one.
    pub columns: Vec<NewColumn>,
    /// Its own constraints, without those of columns.
    pub constraints: Vec<NewConstraint>,
    /// `PARTITION OF`.
    pub partition_of: Option<ObjectRef>,
    /// Whether it is the partition for what fits no other.
    pub default_partition: bool,
    /// `PARTITION BY`.
    pub partitioned: bool,
    /// The columns that it is partitioned by; nothing for an expression.
    pub partition_key: Vec<Option<String>>,
    /// `INHERITS`.
    pub inherits: Vec<ObjectRef>,
    /// `TEMPORARY`.
    pub temporary: bool,
    /// `UNLOGGED`.
    pub unlogged: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `AS SELECT`, and whether with data.
    pub filled: Option<bool>,
    /// `LIKE … INCLUDING`, `OF type`: it may have more than is written.
    pub open: bool,
    /// `FOREIGN`: its rows stand elsewhere.
    pub foreign: bool,
}

/// What a statement does.
#[derive(Clone, Debug)]
pub enum Deed {
    /// `CREATE TABLE`.
    CreateTable(Box<NewTable>),
    /// `CREATE MATERIALIZED VIEW`, and whether with data.
    CreateMaterializedView { name: ObjectRef, filled: bool },
    /// `ALTER TABLE` and its like, part by part.
    Alter { thing: Thing, table: ObjectRef, changes: Vec<Change> },
    /// `CREATE INDEX`.
    CreateIndex(Box<NewIndex>),
    /// `DROP`.
    Drop {
        thing: Thing,
        names: Vec<ObjectRef>,
        on: Option<ObjectRef>,
        if_exists: bool,
        cascade: bool,
        concurrently: bool,
    },
    /// `RENAME`.
    Rename { thing: Thing, name: ObjectRef, part: Option<String>, to: String },
    /// `SET SCHEMA`.
    SetSchema { thing: Thing, name: ObjectRef, to: String },
    /// `REINDEX`; no name for a whole database.
    Reindex { thing: Thing, name: Option<ObjectRef>, concurrently: bool },
    /// `TRUNCATE`.
    Truncate { tables: Vec<ObjectRef>, cascade: bool },
    /// `VACUUM`.
    Vacuum { full: bool, tables: Vec<ObjectRef> },
    /// `CLUSTER`.
    Cluster { table: Option<ObjectRef> },
    /// `REFRESH MATERIALIZED VIEW`.
    Refresh { view: ObjectRef, concurrently: bool, filled: bool },
    /// `CREATE VIEW`.
    CreateView { name: ObjectRef, replace: bool },
    /// `CREATE FUNCTION` and `PROCEDURE`.
    CreateFunction { name: ObjectRef, replace: bool, security_definer: bool, search_path: bool },
    /// `CREATE TRIGGER`.
    CreateTrigger { name: String, table: ObjectRef },
    /// `CREATE RULE`.
    CreateRule { table: ObjectRef },
    /// `CREATE POLICY`.
    CreatePolicy { table: ObjectRef },
    /// `CREATE SCHEMA`.
    CreateSchema { name: String, if_not_exists: bool },
    /// `CREATE SEQUENCE`.
    CreateSequence { name: ObjectRef, if_not_exists: bool },
    /// `CREATE EXTENSION`.
    CreateExtension { if_not_exists: bool },
    /// `CREATE TYPE … AS ENUM`, and other types without values.
    CreateType { name: ObjectRef, values: Option<Vec<String>> },
    /// `CREATE DOMAIN`.
    CreateDomain { name: ObjectRef, constrained: bool },
    /// `ALTER DOMAIN … ADD CONSTRAINT` and `SET NOT NULL`.
    ConstrainDomain { name: ObjectRef, not_valid: bool },
    /// `ALTER TYPE … ADD VALUE`.
    AddEnumValue { name: ObjectRef, value: String, placed: bool, if_not_exists: bool },
    /// `ALTER TYPE … RENAME VALUE`.
    RenameEnumValue { name: ObjectRef, from: String },
    /// `LOCK TABLE`.
    Lock { tables: Vec<ObjectRef>, mode: LockMode },
    /// `INSERT`.
    Insert { table: ObjectRef, selects: bool, columns: Vec<String> },
    /// `UPDATE`.
    Update { table: ObjectRef, reach: Reach },
    /// `DELETE`.
    Delete { table: ObjectRef, reach: Reach },
    /// `MERGE`.
    Merge { table: ObjectRef },
    /// `COPY`.
    Copy,
    /// `SET` of a parameter, where its value is one: for how long, and its text.
    Set { name: String, value: Option<String>, local: bool },
    /// `RESET` and `SET … TO DEFAULT`; no name for all.
    Reset { name: Option<String> },
    /// `BEGIN`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `SAVEPOINT` and its like.
    Savepoint,
    /// What can't be seen through, and why.
    Opaque { what: String, why: String },
    /// `SELECT`, with the functions that it calls.
    Select { functions: Vec<Call> },
    /// `CREATE DATABASE` and its like: never in a transaction.
    Outside { what: &'static str },
    /// `GRANT` and `REVOKE`.
    Rights,
    /// `ALTER … OWNER TO` of anything that is no table.
    Owner,
    /// `COMMENT`.
    Comment,
    /// Anything else.
    Other { what: String },
}

/// An index as CREATE INDEX makes it.
#[derive(Clone, Debug)]
pub struct NewIndex {
    /// Its name where it is given.
    pub name: Option<String>,
    /// The table.
    pub table: ObjectRef,
    /// `ON ONLY`.
    pub only: bool,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// The columns of its key; nothing for an expression.
    pub columns: Vec<Option<String>>,
    /// The access method.
    pub method: String,
    /// Whether it has a condition.
    pub partial: bool,
    /// The columns that its expressions and its condition name.
    pub reads: Vec<String>,
}
