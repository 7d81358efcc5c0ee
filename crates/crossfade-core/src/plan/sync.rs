//! Sync: the triggers that keep the old and the new form equal while both live.
//!
//! The direction is decided by which side of the row changed, never by the session. Values are compared by their image
//! (`record_image_eq`), so that a change that the type's own equality hides (`1.0` to `1.00`, a citext's case) is carried over, too,
//! and types without equality (json, xml, point) can be compared at all.
//!
//! Source: DESIGN "Sync, by value and not by guess"; reference B3 (why the UPDATE trigger also fires for rows that are not filled
//! yet), B10 (rules for the trigger).

mod body;
mod triggers;
mod values;

pub(super) use self::triggers::Names;
pub use self::triggers::SEEN_FUNCTION;
pub(super) use self::triggers::function;
pub(super) use self::triggers::trigger_function;
pub(super) use self::triggers::triggers;
pub(super) use self::triggers::witnesses;

use super::reference::Reference;
use crate::catalog::ColumnDefault;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::ServerText;
use crate::sql::Sql;

/// How the names of our triggers begin: behind those of the user's.
pub const TRIGGERS: &str = "zzz_crossfade_";

/// A column of the old form.
#[derive(Clone, Debug)]
pub struct OldColumn {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub type_name: ServerText,
    /// Its default.
    pub default: Option<ColumnDefault>,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// Its value for rows that new code writes.
    pub down: Option<Expr>,
    /// Its name while it is retained.
    pub retired: Ident,
}

/// A column of the new form.
#[derive(Clone, Debug)]
pub struct NewColumn {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub type_name: Sql,
    /// Its value for existing rows and for rows that old code writes.
    pub up: Expr,
    /// Its default from contract on, which new code counts on before.
    pub default: Option<Expr>,
    /// Whether it is NOT NULL from contract on.
    pub not_null: bool,
}

/// How the two forms of a group are related, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Both sides stand under their own names; contract retires the old side.
    Replace,
    /// The new column is a copy that contract drops; the old column then takes its name.
    Rename,
    /// The new column is a shadow that contract swaps in under the old name.
    Retype {
        /// The name that both have in their time.
        name: Ident,
    },
    /// Values that break a rule are mended; the marker column remembers where.
    Mend {
        /// A boolean column, true where the values were mended.
        marker: Ident,
        /// For each column that is mended, one that keeps what it held. None where that was NULL.
        kept: Vec<Ident>,
        /// What must hold.
        rule: Rule,
    },
}

/// What a mend is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The column is not NULL.
    NotNull,
    /// This is not false.
    Check(Expr),
    /// What the row points to is there.
    Reference(Reference),
}

/// How long a group is kept in sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// Until existing rows are verified: nobody writes the old form later.
    Verified,
    /// Until contract.
    Contract,
}

/// Columns that are kept equal.
#[derive(Clone, Debug)]
pub struct Group {
    /// How the sides are related.
    pub shape: Shape,
    /// The old side. For a mend: the columns themselves.
    pub old: Vec<OldColumn>,
    /// The new side. For a mend: empty.
    pub new: Vec<NewColumn>,
    /// How long.
    pub until: Until,
    /// For a mend: the value of each of its columns where the rule is broken.
    pub mend: Vec<Expr>,
    /// Whether the direct way would have updated the rows, too, and so have fired the user's triggers.
    pub loud: bool,
    /// Whether the new value is the next number of a sequence: never NULL, and handed out in the order of the rows.
    pub counts: bool,
}

/// Which function stands behind the trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Both directions; rows that are not filled yet are filled on every write.
    Filling,
    /// The same; where the new value can't be computed, the new side stays empty, and the write goes through. Such a row is not filled, and the
    /// sweep sets it aside.
    Parking,
    /// Both directions.
    Settled,
    /// After contract: the retired side follows the new one.
    Reverse,
}

pub(super) fn image_differs(a: impl IntoIterator<Item = Sql>, b: impl IntoIterator<Item = Sql>) -> Sql {
    sql!("pg_catalog.record_image_ne(ROW({}), ROW({}))", Sql::join(a, ", "), Sql::join(b, ", "))
}

fn image_equals(a: impl IntoIterator<Item = Sql>, b: impl IntoIterator<Item = Sql>) -> Sql {
    sql!("pg_catalog.record_image_eq(ROW({}), ROW({}))", Sql::join(a, ", "), Sql::join(b, ", "))
}

pub(super) fn changed(columns: &[Ident]) -> Sql {
    image_differs(columns.iter().map(|name| sql!("NEW.{}", name)), columns.iter().map(|name| sql!("OLD.{}", name)))
}

fn any_of(conditions: Vec<Sql>) -> Sql {
    if conditions.is_empty() { sql!("false") } else { sql!("({})", Sql::join(conditions, " OR ")) }
}

/// Where an expression finds its columns.
#[derive(Clone, Copy)]
enum Row {
    /// In the table of the statement.
    Table,
    /// In the trigger's new row.
    New,
}

impl Row {
    fn column(self, name: &Ident) -> Sql {
        match self {
            Row::Table => sql!("{}", name),
            Row::New => sql!("NEW.{}", name),
        }
    }

    fn expr(self, expr: &Expr) -> Sql {
        match self {
            Row::Table => expr.over_table(),
            Row::New => expr.over_new(),
        }
    }
}

/// Whether every value of one integer type is one of the other.
pub(crate) fn is_wider(old: &ServerText, new: &Sql) -> bool {
    matches!((old.as_str(), new.as_str()), ("smallint", "int" | "integer" | "bigint") | ("integer", "bigint"))
}

impl Group {
    fn old_names(&self) -> Vec<Ident> {
        self.old.iter().map(|column| column.name.clone()).collect()
    }

    pub(super) fn new_names(&self) -> Vec<Ident> {
        self.new.iter().map(|column| column.name.clone()).collect()
    }

    fn has_down(&self) -> bool {
        !self.old.is_empty() && self.old.iter().all(|column| column.down.is_some())
    }

    /// Columns outside of the group that `up` reads.
    fn shared_up(&self) -> Vec<Ident> {
        self.foreign_columns(self.new.iter().map(|column| &column.up))
    }

    /// Columns outside of the group that `down` reads.
    fn shared_down(&self) -> Vec<Ident> {
        self.foreign_columns(self.old.iter().filter_map(|column| column.down.as_ref()))
    }

    fn foreign_columns<'a>(&self, exprs: impl Iterator<Item = &'a Expr>) -> Vec<Ident> {
        let mut names: Vec<Ident> = exprs
            .flat_map(|expr| {
                expr.columns().map(|column_use| Ident::new(column_use.column.as_str())).collect::<Vec<_>>()
            })
            .filter(|name| {
                !self.old.iter().any(|column| column.name == *name)
                    && !self.new.iter().any(|column| column.name == *name)
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether the values of new columns come from other tables, which change on their own: what is filled can't be computed again.
    pub(super) fn takes(&self) -> bool {
        self.new.iter().any(|column| !column.up.reads().is_empty())
    }

    /// Whether the trigger reads other tables.
    fn reads(&self) -> bool {
        self.takes() || self.reference().is_some() || self.mend.iter().any(|mend| !mend.reads().is_empty())
    }

    /// What the rows of a mend must point to.
    fn reference(&self) -> Option<&Reference> {
        match &self.shape {
            Shape::Mend { rule: Rule::Reference(reference), .. } => Some(reference),
            Shape::Mend { rule: Rule::NotNull | Rule::Check(_), .. }
            | Shape::Replace
            | Shape::Rename
            | Shape::Retype { .. } => None,
        }
    }

    /// Whether anything has to be filled for existing rows.
    pub(super) fn fills(&self) -> bool {
        !self.new.is_empty() || !self.mend.is_empty()
    }

    /// Whether the group needs a trigger at all.
    pub(super) fn syncs(&self) -> bool {
        self.fills() || self.has_down()
    }

    /// Whether it can be seen that old code writes.
    pub(super) fn is_seen(&self) -> bool {
        self.until == Until::Contract && (self.old_inserts().is_some() || self.old_updates().is_some())
    }

    /// Whether something must go on after contract for the way back.
    pub(super) fn reverses(&self) -> bool {
        match self.shape {
            Shape::Replace => self.has_down(),
            Shape::Retype { .. } | Shape::Mend { .. } => true,
            Shape::Rename => false,
        }
    }
}
