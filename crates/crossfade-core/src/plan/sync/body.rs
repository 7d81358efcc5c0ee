//! The bodies of the trigger functions, and when the triggers fire.

use super::Group;
use super::Mode;
use super::NewColumn;
use super::OldColumn;
use super::Row;
use super::Rule;
use super::Shape;
use super::changed;
use super::image_differs;
use crate::catalog::Volatility;
use crate::plan::reference::Reference;
use crate::sql;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::Sql;

impl Group {
    fn assign_down(&self) -> Sql {
        Sql::join(
            self.old.iter().map(|column| sql!("NEW.{} := {};", column.name, self.down_value(column, Row::New))),
            " ",
        )
    }

    fn assign_up(&self) -> Sql {
        Sql::join(self.new.iter().map(|column| sql!("NEW.{} := {};", column.name, column.up.over_new())), " ")
    }

    /// An INSERT that wrote neither side. Old code left its columns to their defaults, or new code did. It was new code for certain where the old side
    /// can't be left out; and where the defaults of the old side make no new one, the new side's own ones stand in.
    fn assign_defaults(&self, assign_up: Sql) -> Sql {
        let set = |column: &NewColumn| {
            let default = column.default.as_ref()?;
            Some(sql!("NEW.{} := {};", column.name, default.over_new()))
        };
        let assign = Sql::join(self.new.iter().filter_map(set), " ");
        if assign.as_str().is_empty() && !self.makes_of_nulls() {
            return assign_up;
        }
        if self.old.iter().any(|column| column.not_null && column.default.is_none()) {
            return sql!(
                "IF NOT ({}) THEN {} {} ELSE {} END IF;",
                self.old_written(),
                assign,
                self.assign_down(),
                assign_up
            );
        }
        let needed = self.new.iter().filter(|column| column.not_null && column.default.is_some());
        let missing: Vec<Sql> = needed.map(|column| sql!("NEW.{} IS NULL", column.name)).collect();
        if missing.is_empty() {
            return assign_up;
        }
        let each = self
            .new
            .iter()
            .filter_map(|column| Some(sql!("IF NEW.{} IS NULL THEN {} END IF;", column.name, set(column)?)));
        sql!(
            "{}\n      IF NOT ({}) AND ({}) THEN {} {} END IF;",
            assign_up,
            self.old_written(),
            Sql::join(missing, " OR "),
            Sql::join(each, " "),
            self.assign_down()
        )
    }

    /// Whether a `down` may have a value where the new side has none.
    fn makes_of_nulls(&self) -> bool {
        self.old.iter().any(|column| column.down.as_ref().is_some_and(|down| !down.is_null_of_nulls()))
    }

    /// New code that wrote a part of the new side has left the others to their defaults. A column that takes NULL keeps it, as somebody may have
    /// meant it; one that takes none, or of which the old side would have none, does not.
    fn assign_left_out(&self) -> Sql {
        let refuses = |column: &NewColumn| {
            let down_is_needed = |old: &OldColumn| {
                let reads = |down: &Expr| down.names(column.name.as_str()) && down.is_null_of_nulls();
                old.not_null && old.default.is_none() && old.down.as_ref().is_some_and(reads)
            };
            column.not_null || self.old.iter().any(down_is_needed)
        };
        let set = |column: &NewColumn| {
            let default = column.default.as_ref().filter(|_| refuses(column))?;
            Some(sql!("IF NEW.{} IS NULL THEN NEW.{} := {}; END IF; ", column.name, column.name, default.over_new()))
        };
        // Of one column something was written, or it is not here that the row is met.
        let several = self.new.iter().filter(|_| self.new.len() > 1);
        Sql::join(several.filter_map(set), "")
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

    /// When an INSERT is one of old code for certain. None where both codes write the same columns.
    pub(super) fn old_inserts(&self) -> Option<Sql> {
        match &self.shape {
            Shape::Retype { .. } => None,
            Shape::Mend { rule: Rule::Reference(_), .. } => None,
            Shape::Mend { rule: Rule::NotNull | Rule::Check(_), .. } => Some(sql!("NOT {}", self.filled_in(Row::New))),
            // Its default alone says nothing: new code leaves the column out.
            Shape::Replace | Shape::Rename if self.old.is_empty() => None,
            Shape::Replace | Shape::Rename if self.new.is_empty() => Some(self.old_written()),
            Shape::Replace | Shape::Rename => Some(sql!("({} AND NOT {})", self.old_written(), self.new_written())),
        }
    }

    /// When an UPDATE is one of old code for certain. None where both codes write the same columns.
    pub(super) fn old_updates(&self) -> Option<Sql> {
        match &self.shape {
            Shape::Retype { .. } => None,
            Shape::Mend { rule: Rule::Reference(_), .. } => None,
            Shape::Mend { rule: Rule::NotNull | Rule::Check(_), .. } => {
                Some(sql!("({} AND NOT {})", changed(&self.old_names()), self.filled_in(Row::New)))
            }
            Shape::Replace | Shape::Rename if self.old.is_empty() => None,
            Shape::Replace | Shape::Rename if self.new.is_empty() => Some(changed(&self.old_names())),
            Shape::Replace | Shape::Rename => {
                Some(sql!("({} AND NOT {})", changed(&self.old_names()), changed(&self.new_names())))
            }
        }
    }

    pub(super) fn body(&self, mode: Mode) -> Sql {
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
                "  IF TG_OP = 'INSERT' THEN\n    IF NOT ({}) THEN\n      {}\n    ELSIF NOT ({}) THEN\n      {}{}\n    END IF;\n  ELSE\n    IF {} THEN\n      IF NOT ({}) THEN {} END IF;\n{}    END IF;\n  END IF;\n",
                self.new_written(),
                self.assign_defaults(assign_up.clone()),
                self.old_written(),
                self.assign_left_out(),
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
            // The old type may not hold what the new one can, by itself or by the constraints of a domain. The application must not fail for that;
            // rollback asks about it.
            return sql!(
                "  IF TG_OP = 'INSERT' OR {} THEN\n    BEGIN\n      NEW.{} := {}::{};\n    EXCEPTION WHEN integrity_constraint_violation OR data_exception OR plpgsql_error THEN\n      NEW.{} := NULL;\n    END;\n  END IF;\n",
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
        let always = self.new.is_empty() || self.makes_of_nulls();
        let insert = if always { sql!("true") } else { self.new_written() };
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
    pub(in crate::plan) fn may_fail(&self) -> bool {
        !self.mend.is_empty() || self.takes() || self.new.iter().any(|column| self.column_may_fail(column))
    }

    /// When the UPDATE trigger must fire.
    pub(super) fn update_condition(&self, mode: Mode) -> Vec<Sql> {
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
pub(super) fn guarded(statements: &Sql, otherwise: &Sql) -> Sql {
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
