//! What objects are made of, each in as many parts as can be changed one by one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Column;
use super::ObjectId;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::SqlPart;
use crate::sql::TableName;

/// Storage parameters and the like, by name.
pub type Options = BTreeMap<String, String>;

/// What an object is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Its name says all.
    Schema,
    /// An extension.
    Extension {
        /// The schema of its objects.
        schema: Ident,
    },
    /// The whole statement that makes it; a change makes it anew.
    Defined(ServerText),
    /// The same of a trigger or a rule, which can be switched off.
    Switched {
        /// The statement that makes it.
        definition: ServerText,
        /// When it fires.
        firing: Firing,
    },
    /// An enum: its values in their order.
    Enum(Vec<String>),
    /// A domain.
    Domain(Domain),
    /// A composite: its attributes in their order.
    Composite(Vec<Attribute>),
    /// A sequence.
    Sequence(Sequence),
    /// A table; its columns are objects of their own.
    Table(Table),
    /// A column.
    Column(Box<Column>),
    /// The default of a column.
    Default(ServerText),
    /// A constraint.
    Constraint(Constraint),
    /// An index.
    Index(Index),
    /// Extended statistics.
    Statistics {
        /// The statement that makes them.
        definition: ServerText,
        /// Their statistics target, where it is set.
        target: Option<i32>,
    },
    /// A view.
    View(View),
    /// A function or procedure.
    Routine(Routine),
    /// That two objects belong together.
    Link(Link),
    /// It comes and goes with another object, and has but a comment and grants of its own: a view's column, an identity's sequence, default privileges.
    Implied,
}

impl Body {
    /// The link, if it is one.
    pub(super) fn link(&self) -> Option<&Link> {
        if let Body::Link(link) = self { Some(link) } else { None }
    }

    /// The column, if it is one.
    pub(super) fn column(&self) -> Option<&Column> {
        if let Body::Column(column) = self { Some(column) } else { None }
    }

    /// The constraint, if it is one.
    pub(super) fn constraint(&self) -> Option<&Constraint> {
        if let Body::Constraint(constraint) = self { Some(constraint) } else { None }
    }
}

/// When a trigger, rule or event trigger fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Firing {
    /// As usual.
    Origin,
    /// Never.
    Disabled,
    /// On a replica only.
    Replica,
    /// Always.
    Always,
}

/// A domain. Its constraints are objects of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Domain {
    /// The type below it.
    pub base: ServerText,
    /// Its collation, where it is not the one of the base.
    pub collation: Option<ServerText>,
    /// Its default.
    pub default: Option<ServerText>,
    /// Whether it refuses NULL.
    pub not_null: bool,
}

/// An attribute of a composite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attribute {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub data_type: ServerText,
    /// Its collation, where it is not the one of the type.
    pub collation: Option<ServerText>,
}

/// A sequence. Where it stands is no matter of the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sequence {
    /// The type of its values.
    pub data_type: ServerText,
    /// The first value.
    pub start: i64,
    /// How far it steps.
    pub increment: i64,
    /// The lowest value.
    pub min: i64,
    /// The highest value.
    pub max: i64,
    /// How many values a session takes at once.
    pub cache: i64,
    /// Whether it begins anew.
    pub cycle: bool,
    /// Whether it is lost in a crash.
    pub unlogged: bool,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Table {
    /// Ordinary, partitioned or foreign.
    pub form: TableForm,
    /// Whether it is lost in a crash.
    pub unlogged: bool,
    /// How its rows are stored; none where it stores none.
    pub access_method: Option<Ident>,
    /// The composite that it is made of.
    pub of_type: Option<ServerText>,
    /// Storage parameters, also those of its TOAST table (`toast.…`).
    pub options: Options,
    /// Whether row security is switched on.
    pub row_security: bool,
    /// Whether it holds for the owner, too.
    pub forced_row_security: bool,
    /// Its columns in their order. Not compared: they are objects of their own.
    pub columns: Vec<Ident>,
    /// What it inherits from, in this order. Not compared: each is an object of its own.
    pub inherits: Vec<TableName>,
}

/// What kind of table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableForm {
    /// It has rows of its own.
    Ordinary,
    /// Its partitions have the rows.
    Partitioned {
        /// `RANGE (at)`.
        by: ServerText,
    },
    /// The rows are elsewhere.
    Foreign {
        /// The foreign server.
        server: Ident,
        /// Options for it.
        options: Options,
    },
}

/// A constraint of a table or a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Constraint {
    /// As the server renders it, without NOT VALID.
    pub definition: ServerText,
    /// Whether existing rows are known to keep it.
    pub validated: bool,
    /// Whether it comes from a parent alone, and is made and dropped there.
    pub inherited: bool,
    /// Whether it is made on a partitioned table alone; its parts are attached to it.
    pub only: bool,
    /// Storage parameters of its index.
    pub options: Options,
}

/// An index that is no constraint's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Index {
    /// As the server renders it.
    pub definition: ServerText,
    /// Statistics targets by position, where they are set.
    pub statistics: BTreeMap<i16, i32>,
}

/// A view or a materialized view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct View {
    /// The query.
    pub query: ServerText,
    /// `security_barrier`, `check_option`, storage parameters.
    pub options: Options,
    /// Names and types of its columns.
    pub columns: Vec<(Ident, ServerText)>,
}

/// A function or procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routine {
    /// The whole statement: CREATE OR REPLACE.
    pub definition: ServerText,
    /// Arguments and result: where they stay the same it can be replaced.
    pub signature: ServerText,
}

/// That two objects belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// The one that was given to the other: the partition, the sequence, the partition's index.
    pub child: ObjectId,
    /// The other.
    pub parent: ObjectId,
    /// The statement that makes it so.
    pub make: ServerText,
    /// The statement that ends it; none where only dropping does.
    pub undo: Option<ServerText>,
}

/// Options as `SET (…)` and `WITH (…)` take them.
pub(super) struct OptionList<'a>(pub &'a Options);

impl SqlPart for OptionList<'_> {
    fn write_sql(&self, out: &mut String) {
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            OptionName(name).write_sql(out);
            out.push_str(" = ");
            Literal(value.clone()).write_sql(out);
        }
    }
}

/// Only the names, as `RESET (…)` takes them.
pub(super) struct OptionNames<'a>(pub Vec<&'a str>);

impl SqlPart for OptionNames<'_> {
    fn write_sql(&self, out: &mut String) {
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            OptionName(name).write_sql(out);
        }
    }
}

/// `fillfactor`, `toast.autovacuum_enabled`.
struct OptionName<'a>(&'a str);

impl SqlPart for OptionName<'_> {
    fn write_sql(&self, out: &mut String) {
        let name = match self.0.split_once('.') {
            Some((space, name)) => {
                Ident::new(space).write_sql(out);
                out.push('.');
                name
            }
            None => self.0,
        };
        Ident::new(name).write_sql(out);
    }
}

/// Options of a foreign server or table, as CREATE takes them; nothing where there are none.
pub(super) fn foreign_options(options: &Options) -> Sql {
    if options.is_empty() {
        return Sql::empty();
    }
    let each = options.iter().map(|(name, value)| sql!("{} {}", Ident::new(name.as_str()), Literal(value.clone())));
    sql!(" OPTIONS ({})", Sql::join(each, ", "))
}

/// The change from one set of foreign options to another, as ALTER takes it; nothing where they are the same.
pub(super) fn foreign_options_change(from: &Options, to: &Options) -> Sql {
    let name = |name: &str| Ident::new(name);
    let dropped = from.keys().filter(|key| !to.contains_key(*key)).map(|key| sql!("DROP {}", name(key)));
    let set = to.iter().filter(|(key, value)| from.get(*key) != Some(*value)).map(|(key, value)| {
        let value = Literal(value.clone());
        if from.contains_key(key) { sql!("SET {} {}", name(key), value) } else { sql!("ADD {} {}", name(key), value) }
    });
    let all: Vec<Sql> = dropped.chain(set).collect();
    if all.is_empty() { Sql::empty() } else { sql!(" OPTIONS ({})", Sql::join(all, ", ")) }
}
