//! Sync: the triggers that keep the old and the new form equal while both live.
//!
//! The direction is decided by which side of the row changed, never by the session. Values are compared by their image
//! (`record_image_eq`), so that a change that the type's own equality hides (`1.0` to `1.00`, a citext's case) is carried over, too,
//! and types without equality (json, xml, point) can be compared at all.
//!
//! Source: DESIGN "Sync, by value and not by guess"; reference B3 (why the UPDATE trigger also fires for rows that are not filled
//! yet), B10 (rules for the trigger).

use super::reference::Reference;
use crate::catalog::ColumnDefault;
use crate::catalog::Volatility;
use crate::sql;
use crate::sql::DollarQuoted;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::ServerText;
use crate::sql::Sql;
use crate::sql::TableName;

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

    /// Whether something must go on after contract for the way back.
    pub(super) fn reverses(&self) -> bool {
        match self.shape {
            Shape::Replace => self.has_down(),
            Shape::Retype { .. } | Shape::Mend { .. } => true,
            Shape::Rename => false,
        }
    }

    fn filled_in(&self, row: Row) -> Sql {
        if let Shape::Mend { rule, .. } = &self.shape {
            return match (rule, row) {
                (Rule::Check(rule), _) => sql!("({} IS NOT FALSE)", row.expr(rule)),
                (Rule::NotNull, _) => {
                    let each = self.old.iter().map(|column| sql!("{} IS NOT NULL", row.column(&column.name)));
                    sql!("({})", Sql::join(each, " AND "))
                }
                (Rule::Reference(reference), Row::Table) => reference.holds(),
                (Rule::Reference(reference), Row::New) => sql!("(NOT {})", reference.is_broken()),
            };
        }
        if self.counts {
            let each = self.new.iter().map(|column| sql!("{} IS NOT NULL", row.column(&column.name)));
            return sql!("({})", Sql::join(each, " AND "));
        }
        if self.old.is_empty() {
            let each = self
                .new
                .iter()
                .map(|column| sql!("({} IS NOT NULL OR {} IS NULL)", row.column(&column.name), row.expr(&column.up)));
            return sql!("({})", Sql::join(each, " AND "));
        }
        let by_up = self.by_up(row);
        if !self.has_down() || matches!(self.shape, Shape::Retype { .. } | Shape::Rename) {
            return sql!("({})", by_up);
        }
        let new = self.new.iter().map(|column| row.column(&column.name));
        let nulls = self.new.iter().map(|column| sql!("NULL::{}", column.type_name));
        let written = image_differs(new, nulls);
        sql!("({} OR ({} AND {}))", by_up, written, self.by_down(row))
    }

    fn by_up(&self, row: Row) -> Sql {
        let up = self.new.iter().map(|column| sql!("{}::{}", row.expr(&column.up), column.type_name));
        image_equals(self.new.iter().map(|column| row.column(&column.name)), up)
    }

    fn by_down(&self, row: Row) -> Sql {
        image_equals(
            self.old.iter().map(|column| row.column(&column.name)),
            self.old.iter().map(|column| sql!("{}::{}", self.down_value(column, row), column.type_name)),
        )
    }

    /// As [`Group::filled`], for rows that are known to be filled: a NULL on the new side is what new code wrote.
    pub(super) fn agrees(&self) -> Sql {
        let both = self.has_down() && !self.new.is_empty() && !self.counts && self.shape == Shape::Replace;
        if both { sql!("({} OR {})", self.by_up(Row::Table), self.by_down(Row::Table)) } else { self.filled() }
    }

    /// New values that are more than another column as it is, over the table's columns: computing them may fail. A value that is volatile
    /// is left out, as it can't be computed twice.
    pub(super) fn computed_values(&self) -> Vec<Sql> {
        if self.until == Until::Verified || self.takes() {
            return Vec::new();
        }
        let ups = self.new.iter().filter(|column| self.column_may_fail(column));
        ups.map(|column| sql!("{}::{}", column.up.over_table(), column.type_name)).collect()
    }

    fn column_may_fail(&self, column: &NewColumn) -> bool {
        match (column.up.as_column(), &self.shape) {
            (None, _) => column.up.columns().next().is_some(),
            (Some(_), Shape::Retype { .. }) => !self.old.iter().all(|old| is_wider(&old.type_name, &column.type_name)),
            (Some(_), Shape::Replace | Shape::Rename | Shape::Mend { .. }) => false,
        }
    }

    /// Whether old and new form of a row agree, over the table's columns. Never NULL.
    pub(super) fn filled(&self) -> Sql {
        self.filled_in(Row::Table)
    }

    /// Whether a backfill has to set something in a row. A new side that is NULL where its value is not says so for less than a comparison
    /// by image costs, and that is how rows look before they are filled.
    pub(super) fn unfilled(&self) -> Sql {
        let differs = sql!("NOT {}", self.filled());
        let compared = match self.shape {
            Shape::Mend { .. } => false,
            Shape::Replace | Shape::Rename | Shape::Retype { .. } => !self.counts && !self.old.is_empty(),
        };
        if !compared || self.new.is_empty() {
            return differs;
        }
        // Without a type, NULL here asks for the value itself, and not for the fields of a composite.
        let empty = self.new.iter().map(|column| sql!("{} IS NOT DISTINCT FROM NULL", column.name));
        let values = self
            .new
            .iter()
            .map(|column| sql!("({}::{}) IS DISTINCT FROM NULL", Row::Table.expr(&column.up), column.type_name));
        sql!("({} AND ({}) OR {})", Sql::join(empty, " AND "), Sql::join(values, " OR "), differs)
    }

    /// What a backfill sets.
    pub(super) fn assignments(&self, guarded: bool) -> Vec<Sql> {
        if let Shape::Mend { marker, kept, .. } = &self.shape {
            let filled = self.filled();
            let mends = self.old.iter().zip(&self.mend);
            let mut set: Vec<Sql> = mends
                .map(|(column, mend)| {
                    sql!("{} = CASE WHEN {} THEN {} ELSE {} END", column.name, filled, column.name, mend.over_table())
                })
                .collect();
            set.push(sql!("{} = CASE WHEN {} THEN {} ELSE true END", marker, filled, marker));
            set.extend(
                self.old.iter().zip(kept).map(|(column, kept)| {
                    sql!("{} = CASE WHEN {} THEN {} ELSE {} END", kept, filled, kept, column.name)
                }),
            );
            return set;
        }
        self.new
            .iter()
            .map(|column| {
                if guarded {
                    // A CASE wants one type of both arms. Without modifiers, so that a value that is too long is an error and not cut.
                    sql!(
                        "{} = CASE WHEN {} THEN {} ELSE {}::{} END",
                        column.name,
                        self.filled(),
                        column.name,
                        column.up.over_table(),
                        sql::without_modifiers(&column.type_name)
                    )
                } else {
                    sql!("{} = {}", column.name, column.up.over_table())
                }
            })
            .collect()
    }

    fn down_value(&self, column: &OldColumn, row: Row) -> Sql {
        let Some(down) = &column.down else { return sql!("NULL") };
        match &column.default {
            Some(default) if column.not_null && default.volatility < Volatility::Volatile => {
                sql!("coalesce({}::{}, {}::{})", row.expr(down), column.type_name, default.expression, column.type_name)
            }
            Some(_) | None => row.expr(down),
        }
    }

    fn assign_down(&self) -> Sql {
        Sql::join(
            self.old.iter().map(|column| sql!("NEW.{} := {};", column.name, self.down_value(column, Row::New))),
            " ",
        )
    }

    fn assign_up(&self) -> Sql {
        Sql::join(self.new.iter().map(|column| sql!("NEW.{} := {};", column.name, column.up.over_new())), " ")
    }

    /// Whether an INSERT wrote the old side: its value is not what a default would have put there.
    fn old_written(&self) -> Sql {
        let volatile = |column: &OldColumn| {
            column.default.as_ref().is_some_and(|default| default.volatility == Volatility::Volatile)
        };
        let known: Vec<&OldColumn> = self.old.iter().filter(|column| !volatile(column)).collect();
        if known.is_empty() {
            return sql!("false");
        }
        image_differs(
            known.iter().map(|column| sql!("NEW.{}", column.name)),
            known.iter().map(|column| match &column.default {
                Some(default) => sql!("({})::{}", default.expression, column.type_name),
                None => sql!("NULL::{}", column.type_name),
            }),
        )
    }

    fn new_written(&self) -> Sql {
        image_differs(
            self.new.iter().map(|column| sql!("NEW.{}", column.name)),
            self.new.iter().map(|column| sql!("NULL::{}", column.type_name)),
        )
    }

    fn body(&self, mode: Mode) -> Sql {
        match mode {
            Mode::Reverse => self.reverse_body(),
            Mode::Parking if !self.may_fail() => self.forward_body(Mode::Filling),
            Mode::Filling | Mode::Parking | Mode::Settled => self.forward_body(mode),
        }
    }

    fn forward_body(&self, mode: Mode) -> Sql {
        if let Shape::Mend { marker, kept, .. } = &self.shape {
            return self.mend_body(marker, kept, mode);
        }
        if self.new.is_empty() {
            // A column that goes without a successor: new code does not name it.
            let sources = self.shared_down();
            let refresh = if sources.is_empty() {
                sql!("")
            } else {
                sql!(
                    "  ELSIF NOT {} AND {} THEN\n    {}\n",
                    changed(&self.old_names()),
                    changed(&sources),
                    self.assign_down()
                )
            };
            return sql!(
                "  IF TG_OP = 'INSERT' THEN\n    IF NOT ({}) THEN {} END IF;\n{}  END IF;\n",
                self.old_written(),
                self.assign_down(),
                refresh
            );
        }
        let (new_names, shared) = (self.new_names(), self.shared_up());
        let new_changed = changed(&new_names);
        let assign_up = match mode {
            Mode::Parking => self.try_up(self.assign_up()),
            Mode::Filling | Mode::Settled | Mode::Reverse => self.assign_up(),
        };
        let fill = match mode {
            Mode::Filling => sql!("    ELSIF NOT {} THEN\n      {}\n", self.filled_in(Row::New), assign_up),
            Mode::Parking => {
                let unless_filled = sql!("IF NOT {} THEN {} END IF;", self.filled_in(Row::New), self.assign_up());
                // What new code has written to a part of the new side stays.
                let kept = self.new.iter().map(|column| sql!("NEW.{} := OLD.{};", column.name, column.name));
                sql!("    ELSE\n      {}\n", guarded(&unless_filled, &Sql::join(kept, " ")))
            }
            Mode::Settled | Mode::Reverse => sql!(""),
        };
        let refill = |condition: Sql| sql!("    ELSIF {} THEN\n      {}\n{}", condition, assign_up, fill);
        if self.has_down() && !matches!(self.shape, Shape::Retype { .. }) {
            let old_changed = changed(&self.old_names());
            let mut sources = self.old_names();
            sources.extend(shared);
            return sql!(
                "  IF TG_OP = 'INSERT' THEN\n    IF NOT ({}) THEN\n      {}\n    ELSIF NOT ({}) THEN\n      {}\n    END IF;\n  ELSE\n    IF {} THEN\n      IF NOT ({}) THEN {} END IF;\n{}    END IF;\n  END IF;\n",
                self.new_written(),
                assign_up,
                self.old_written(),
                self.assign_down(),
                new_changed,
                old_changed,
                self.assign_down(),
                refill(changed(&sources))
            );
        }
        let mut sources = self.old_names();
        sources.extend(shared);
        let sources_changed = if sources.is_empty() { sql!("false") } else { changed(&sources) };
        let insert = if matches!(self.shape, Shape::Retype { .. }) {
            assign_up.clone()
        } else {
            // Each column by itself: new code may write one of several.
            let each = self.new.iter().map(|column| {
                sql!("IF NEW.{} IS NULL THEN NEW.{} := {}; END IF;", column.name, column.name, column.up.over_new())
            });
            let each = Sql::join(each, " ");
            if mode == Mode::Parking { guarded(&each, &sql!("NULL;")) } else { each }
        };
        sql!(
            "  IF TG_OP = 'INSERT' THEN\n    {}\n  ELSE\n    IF {} THEN\n      NULL;\n{}    END IF;\n  END IF;\n",
            insert,
            new_changed,
            refill(sources_changed)
        )
    }

    fn mend_body(&self, marker: &Ident, kept: &[Ident], mode: Mode) -> Sql {
        let written = changed(&self.old_names());
        let pairs = self.old.iter().zip(kept);
        let keep = Sql::join(pairs.map(|(column, kept)| sql!("NEW.{} := NEW.{};", kept, column.name)), " ");
        // What was mended before keeps the value from before.
        let keep = if kept.is_empty() {
            sql!("")
        } else {
            sql!("IF NEW.{} IS NOT TRUE OR {} THEN {} END IF; ", marker, written, keep)
        };
        let assign = match (self.old.as_slice(), self.mend.as_slice()) {
            ([column], [mend]) => sql!("NEW.{} := {};", column.name, mend.over_new()),
            // Together: each value is made of the row as it was written.
            _ => sql!(
                "SELECT {} INTO {};",
                Sql::join(self.mend.iter().map(Expr::over_new), ", "),
                Sql::join(self.old.iter().map(|column| sql!("NEW.{}", column.name)), ", ")
            ),
        };
        let mut mend = sql!("{}{} NEW.{} := true;", keep, assign, marker);
        // A row that breaks a foreign key is refused by the key itself, whatever becomes of its value here.
        if mode == Mode::Parking && self.reference().is_none() {
            let own = std::iter::once(marker).chain(kept);
            let old = Sql::join(own.map(|name| sql!("NEW.{} := OLD.{};", name, name)), " ");
            mend = guarded(&mend, &sql!("IF TG_OP = 'UPDATE' THEN {} ELSE {} END IF;", old, forget(marker, kept)));
        }
        let broken = match self.reference() {
            Some(reference) => reference.is_broken(),
            None => sql!("NOT {}", self.filled_in(Row::New)),
        };
        sql!(
            "  IF {} THEN\n    {}\n  ELSIF TG_OP = 'UPDATE' AND {} THEN\n    {}\n  END IF;\n",
            broken,
            mend,
            written,
            forget(marker, kept)
        )
    }

    fn reverse_body(&self) -> Sql {
        if let Shape::Mend { marker, kept, .. } = &self.shape {
            // A value that was written since is nobody's mended one any more.
            return sql!(
                "  IF TG_OP = 'UPDATE' AND {} THEN\n    {}\n  END IF;\n",
                changed(&self.old_names()),
                forget(marker, kept)
            );
        }
        if let (Shape::Retype { name }, Some(old)) = (&self.shape, self.old.first()) {
            let down =
                old.down.as_ref().map(|down| down.render(|_| sql!("NEW.{}", name))).unwrap_or_else(|| sql!("NULL"));
            // The old type may not hold what the new one can. The application must not fail for that; rollback asks about it.
            return sql!(
                "  IF TG_OP = 'INSERT' OR {} THEN\n    BEGIN\n      NEW.{} := {}::{};\n    EXCEPTION WHEN data_exception THEN\n      NEW.{} := NULL;\n    END;\n  END IF;\n",
                changed(std::slice::from_ref(name)),
                old.retired,
                down,
                old.type_name,
                old.retired
            );
        }
        let mut sources = self.new_names();
        sources.extend(self.shared_down());
        let assign = Sql::join(
            self.old.iter().map(|column| sql!("NEW.{} := {};", column.retired, self.down_value(column, Row::New))),
            " ",
        );
        let insert = if self.new.is_empty() { sql!("true") } else { self.new_written() };
        let update = if sources.is_empty() { sql!("false") } else { changed(&sources) };
        sql!(
            "  IF TG_OP = 'INSERT' THEN\n    IF {} THEN {} END IF;\n  ELSIF {} THEN\n    {}\n  END IF;\n",
            insert,
            assign,
            update,
            assign
        )
    }

    /// Computes the new side; where that fails, it is empty.
    fn try_up(&self, compute: Sql) -> Sql {
        guarded(&compute, &Sql::join(self.new.iter().map(|column| sql!("NEW.{} := NULL;", column.name)), " "))
    }

    /// Whether the new value may be one that can't be computed for some row.
    pub(super) fn may_fail(&self) -> bool {
        !self.mend.is_empty() || self.takes() || self.new.iter().any(|column| self.column_may_fail(column))
    }

    /// When the UPDATE trigger must fire.
    fn update_condition(&self, mode: Mode) -> Vec<Sql> {
        if mode == Mode::Reverse {
            let mut sources = match &self.shape {
                Shape::Retype { name } => vec![name.clone()],
                Shape::Mend { .. } => self.old_names(),
                Shape::Replace | Shape::Rename => self.new_names(),
            };
            if self.shape == Shape::Replace {
                sources.extend(self.shared_down());
            }
            return if sources.is_empty() { Vec::new() } else { vec![changed(&sources)] };
        }
        let mut columns = self.old_names();
        columns.extend(self.new_names());
        columns.extend(self.shared_up());
        columns.extend(self.reference().into_iter().flat_map(Reference::pointing));
        if self.new.is_empty() {
            columns.extend(self.shared_down());
        }
        columns.sort();
        columns.dedup();
        let mut conditions = vec![changed(&columns)];
        let parking = mode == Mode::Parking && self.may_fail() && !self.new.is_empty();
        if self.takes() || parking {
            // What may fail is computed where that can be caught. A row that is not filled has an empty side.
            // A trigger's condition holds no subquery; its function asks the rest.
            conditions.extend(self.new.iter().map(|column| sql!("NEW.{} IS NULL", column.name)));
        } else if let Some(reference) = self.reference() {
            conditions.push(reference.may_be_broken());
        } else if self.fills() {
            conditions.push(sql!("NOT {}", self.filled_in(Row::New)));
        }
        conditions
    }
}

/// Statements of a function; what the values of a row make fail is taken back by others. The classes are those that name a bad row.
fn guarded(statements: &Sql, otherwise: &Sql) -> Sql {
    sql!(
        "BEGIN {} EXCEPTION WHEN data_exception OR integrity_constraint_violation OR plpgsql_error THEN {} END;",
        statements,
        otherwise
    )
}

/// A row's values are nobody's mended ones any more.
fn forget(marker: &Ident, kept: &[Ident]) -> Sql {
    Sql::join(std::iter::once(marker).chain(kept).map(|name| sql!("NEW.{} := NULL;", name)), " ")
}

/// The names of what keeps one table in sync for one migration.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub table: TableName,
    pub function: TableName,
    pub insert_trigger: Ident,
    pub update_trigger: Ident,
    pub version: String,
}

impl Names {
    pub(super) fn new(schema: &Ident, version: &str, table: &TableName) -> Names {
        let stem = format!("{version}_{}_{}", table.schema, table.name);
        Names {
            table: table.clone(),
            function: TableName { schema: schema.clone(), name: Ident::derived("sync_", &stem) },
            insert_trigger: Ident::derived(&format!("{TRIGGERS}i_"), version),
            update_trigger: Ident::derived(&format!("{TRIGGERS}u_"), version),
            version: version.to_owned(),
        }
    }

    /// `DROP TRIGGER` and, where nothing follows, `DROP FUNCTION`.
    pub(super) fn drop_triggers(&self) -> Vec<Sql> {
        vec![
            sql!("DROP TRIGGER IF EXISTS {} ON {}", self.insert_trigger, self.table),
            sql!("DROP TRIGGER IF EXISTS {} ON {}", self.update_trigger, self.table),
        ]
    }

    pub(super) fn drop_function(&self) -> Sql {
        sql!("DROP FUNCTION IF EXISTS {}()", self.function)
    }
}

/// The function behind the trigger.
///
/// `restore` makes it undo, in the backfill's own writes, what the user's BEFORE triggers did to the row: filling a copy must not
/// move an `updated_at` (reference, D17).
pub(super) fn function(names: &Names, groups: &[&Group], mode: Mode, search_path: &[String], restore: bool) -> Sql {
    let mut body = sql!("BEGIN\n");
    let mut declare = sql!("");
    if restore && mode != Mode::Reverse {
        let new: Vec<Ident> = groups
            .iter()
            .flat_map(|group| match &group.shape {
                Shape::Mend { marker, kept, .. } => {
                    let mut names: Vec<Ident> = group.old.iter().map(|column| column.name.clone()).collect();
                    names.push(marker.clone());
                    names.extend(kept.clone());
                    names
                }
                Shape::Replace | Shape::Rename | Shape::Retype { .. } => group.new_names(),
            })
            .collect();
        declare = sql!("DECLARE\n  kept record;\n");
        let keep = Sql::join(new.iter().map(|name| sql!("NEW.{} AS {}", name, name)), ", ");
        let put = Sql::join(new.iter().map(|name| sql!("NEW.{} := kept.{};", name, name)), " ");
        body = sql!(
            "{}  IF current_setting('crossfade.backfill', true) = {} THEN\n    SELECT {} INTO kept; NEW := OLD; {}\n    RETURN NEW;\n  END IF;\n",
            body,
            Literal(names.version.clone()),
            keep,
            put
        );
    }
    for group in groups {
        body = sql!("{}{}", body, group.body(mode));
    }
    let text = sql!("\n{}{}  RETURN NEW;\nEND\n", declare, body);
    // Who writes the table need not be allowed to read the others.
    let definer = groups.iter().any(|group| group.reads() && mode != Mode::Reverse);
    trigger_function(&names.function, definer, search_path, text)
}

/// A trigger's function, which finds what the migration's own session finds.
pub(super) fn trigger_function(name: &TableName, definer: bool, search_path: &[String], text: Sql) -> Sql {
    let path = search_path.iter().map(|schema| sql!("{}, ", Ident::new(schema.as_str())));
    let definer = if definer { sql!(" SECURITY DEFINER") } else { sql!("") };
    sql!(
        "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql{} SET search_path = pg_catalog, {}pg_temp AS {}",
        name,
        definer,
        Sql::join(path, ""),
        DollarQuoted(text)
    )
}

/// The triggers, always firing, sorted behind the user's.
pub(super) fn triggers(names: &Names, groups: &[&Group], mode: Mode, tree: &[TableName], restore: bool) -> Vec<Sql> {
    let conditions = groups.iter().flat_map(|group| group.update_condition(mode)).collect();
    let backfilling =
        sql!("current_setting('crossfade.backfill', true) IS NOT DISTINCT FROM {}", Literal(names.version.clone()));
    let when = if restore && mode != Mode::Reverse {
        sql!("{} OR {}", backfilling, any_of(conditions))
    } else {
        sql!("NOT ({}) AND {}", backfilling, any_of(conditions))
    };
    let mut statements = vec![
        sql!(
            "CREATE TRIGGER {} BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION {}()",
            names.insert_trigger,
            names.table,
            names.function
        ),
        sql!(
            "CREATE TRIGGER {} BEFORE UPDATE ON {} FOR EACH ROW WHEN ({}) EXECUTE FUNCTION {}()",
            names.update_trigger,
            names.table,
            when,
            names.function
        ),
    ];
    for relation in tree {
        for trigger in [&names.insert_trigger, &names.update_trigger] {
            statements.push(sql!("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}", relation, trigger));
        }
    }
    statements
}
