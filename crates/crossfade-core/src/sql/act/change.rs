//! The parts of an ALTER TABLE.

use super::super::ObjectRef;

/// A column as `ADD COLUMN` and `CREATE TABLE` define it.
#[derive(Clone, Debug, Default)]
pub struct NewColumn {
    /// Its name.
    pub name: String,
    /// The type's schema where it is written.
    pub type_schema: Option<String>,
    /// The type without a schema and modifiers, as the catalog has it; `serial` stays one.
    pub base_type: String,
    /// The type's modifiers, where they are plain numbers.
    pub modifiers: Vec<i64>,
    /// Whether it is an array.
    pub array: bool,
    /// `NOT NULL`, also where it follows from something else.
    pub not_null: bool,
    /// `DEFAULT`.
    pub default: Option<NewDefault>,
    /// `IDENTITY`.
    pub identity: bool,
    /// `GENERATED ALWAYS AS (…)`, and whether it is stored.
    pub generated: Option<bool>,
    /// The columns that it is computed from.
    pub computed_from: Vec<String>,
    /// Its own constraints.
    pub constraints: Vec<NewConstraint>,
}

impl NewColumn {
    /// `serial` and its like.
    pub fn is_serial(&self) -> bool {
        let names = ["serial", "serial4", "bigserial", "serial8", "smallserial", "serial2"];
        self.type_schema.is_none() && names.contains(&self.base_type.as_str())
    }

    /// Whether rows that are there get a value.
    pub fn is_filled(&self) -> bool {
        self.is_serial()
            || self.identity
            || self.generated.is_some()
            || self.default.as_ref().is_some_and(|default| !default.null)
    }
}

/// A call of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function's schema where it is written.
    pub schema: Option<String>,
    /// The function.
    pub name: String,
    /// How many arguments it is given.
    pub arguments: usize,
}

/// A default.
#[derive(Clone, Debug, Default)]
pub struct NewDefault {
    /// Whether it is NULL.
    pub null: bool,
    /// The functions that it calls.
    pub functions: Vec<Call>,
}

/// What a constraint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `CHECK`.
    Check,
    /// `FOREIGN KEY`.
    ForeignKey,
    /// `UNIQUE`.
    Unique,
    /// `PRIMARY KEY`.
    PrimaryKey,
    /// `EXCLUDE`.
    Exclude,
    /// `NOT NULL` with a name, PostgreSQL 18 and up.
    NotNull,
}

impl Form {
    /// `UNIQUE` and `PRIMARY KEY`, which have a unique index.
    pub fn is_key(self) -> bool {
        match self {
            Form::Unique | Form::PrimaryKey => true,
            Form::Check | Form::ForeignKey | Form::Exclude | Form::NotNull => false,
        }
    }
}

/// A constraint.
#[derive(Clone, Debug)]
pub struct NewConstraint {
    /// Its name where it is given.
    pub name: Option<String>,
    /// What it is.
    pub form: Form,
    /// The columns of a key, a foreign key or NOT NULL; of a CHECK those that it names.
    pub columns: Vec<String>,
    /// The table that a foreign key points to.
    pub references: Option<ObjectRef>,
    /// The columns that it points to; empty where they are left to that table's primary key.
    pub referenced: Vec<String>,
    /// `INCLUDE`.
    pub including: Vec<String>,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// `DEFERRABLE`, and whether it is deferred from the beginning.
    pub deferrable: Option<bool>,
    /// Whether its index has options or a tablespace of its own.
    pub index_options: bool,
    /// `NOT VALID`.
    pub not_valid: bool,
    /// `USING INDEX`.
    pub using_index: Option<String>,
    /// Whether it is checked at all.
    pub enforced: bool,
    /// Columns of which a CHECK proves that they are not NULL, as the server itself sees it.
    pub proves_not_null: Vec<String>,
    /// The functions that a CHECK calls.
    pub functions: Vec<Call>,
}

/// Which triggers are switched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// One by its name.
    Named(String),
    /// All, those of foreign keys included.
    All,
    /// All but those.
    User,
}

/// One part of an ALTER TABLE.
#[derive(Clone, Debug)]
pub enum Change {
    /// `ADD COLUMN`.
    AddColumn { column: Box<NewColumn>, if_not_exists: bool },
    /// `DROP COLUMN`.
    DropColumn { column: String, if_exists: bool, cascade: bool },
    /// `ALTER COLUMN … TYPE`.
    Type {
        /// The column.
        column: String,
        /// The type without a schema and modifiers.
        base_type: String,
        /// Its modifiers, where they are plain numbers.
        modifiers: Vec<i64>,
        /// Whether it is an array.
        array: bool,
        /// `USING`, but for the column itself and a plain cast of it.
        using: bool,
        /// `COLLATE`.
        collation: bool,
    },
    /// `SET NOT NULL`.
    SetNotNull { column: String },
    /// `DROP NOT NULL`.
    DropNotNull { column: String },
    /// `SET DEFAULT`, `DROP DEFAULT`.
    Default { column: String, dropped: bool },
    /// `SET EXPRESSION`.
    SetExpression { column: String },
    /// `DROP EXPRESSION`.
    DropExpression,
    /// `ADD GENERATED … AS IDENTITY`.
    AddIdentity,
    /// `DROP IDENTITY` and changes to it.
    AlterIdentity,
    /// `ADD CONSTRAINT`.
    AddConstraint(Box<NewConstraint>),
    /// `DROP CONSTRAINT`.
    DropConstraint { name: String, if_exists: bool },
    /// `VALIDATE CONSTRAINT`.
    Validate { name: String },
    /// `ATTACH PARTITION`.
    Attach { partition: ObjectRef, default_partition: bool },
    /// `DETACH PARTITION`.
    Detach { partition: ObjectRef, concurrently: bool },
    /// `ENABLE` and `DISABLE TRIGGER`.
    SwitchTrigger { trigger: Trigger, on: bool },
    /// `SET LOGGED` and `UNLOGGED`.
    Logged(bool),
    /// `SET TABLESPACE`.
    Tablespace(String),
    /// `SET ACCESS METHOD`.
    AccessMethod(String),
    /// `SET STORAGE` and `COMPRESSION`.
    Storage,
    /// `SET (…)` of storage parameters: their names and values.
    Options(Vec<(String, String)>),
    /// `ENABLE ROW LEVEL SECURITY` and its like; whether it restricts.
    RowSecurity { on: bool },
    /// `REPLICA IDENTITY`, as one letter of the catalog: `d`, `n`, `f`, `i`.
    ReplicaIdentity(String),
    /// `OWNER TO`.
    Owner,
    /// `ENABLE` and `DISABLE RULE`.
    SwitchRule,
    /// `INHERIT` and `NO INHERIT`.
    Inherit,
    /// What takes a weak lock: statistics, attribute options, CLUSTER ON.
    Weak,
    /// Anything else.
    Other,
}
