//! What a row is filled with, whether it is, and whether both forms agree, as SQL.

use super::Group;
use super::NewColumn;
use super::OldColumn;
use super::Row;
use super::Rule;
use super::Shape;
use super::Until;
use super::image_differs;
use super::image_equals;
use super::is_wider;
use crate::catalog::Volatility;
use crate::sql;
use crate::sql::Sql;

impl Group {
    pub(super) fn filled_in(&self, row: Row) -> Sql {
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
    pub(in crate::plan) fn agrees(&self) -> Sql {
        let both = self.has_down() && !self.new.is_empty() && !self.counts && self.shape == Shape::Replace;
        if both { sql!("({} OR {})", self.by_up(Row::Table), self.by_down(Row::Table)) } else { self.filled() }
    }

    /// New values that are more than another column as it is, over the table's columns: computing them may fail. A value that is volatile
    /// is left out, as it can't be computed twice.
    pub(in crate::plan) fn computed_values(&self) -> Vec<Sql> {
        if self.until == Until::Verified || self.takes() {
            return Vec::new();
        }
        let ups = self.new.iter().filter(|column| self.column_may_fail(column));
        ups.map(|column| sql!("{}::{}", column.up.over_table(), column.type_name)).collect()
    }

    pub(super) fn column_may_fail(&self, column: &NewColumn) -> bool {
        match (column.up.as_column(), &self.shape) {
            (None, _) => column.up.columns().next().is_some(),
            (Some(_), Shape::Retype { .. }) => !self.old.iter().all(|old| is_wider(&old.type_name, &column.type_name)),
            (Some(_), Shape::Replace | Shape::Rename | Shape::Mend { .. }) => false,
        }
    }

    /// Whether old and new form of a row agree, over the table's columns. Never NULL.
    pub(in crate::plan) fn filled(&self) -> Sql {
        self.filled_in(Row::Table)
    }

    /// Whether a backfill has to set something in a row. A new side that is NULL where its value is not says so for less than a comparison
    /// by image costs, and that is how rows look before they are filled.
    pub(in crate::plan) fn unfilled(&self) -> Sql {
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
    pub(in crate::plan) fn assignments(&self, guarded: bool) -> Vec<Sql> {
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

    pub(super) fn down_value(&self, column: &OldColumn, row: Row) -> Sql {
        let Some(down) = &column.down else { return sql!("NULL") };
        match &column.default {
            Some(default) if column.not_null && default.volatility < Volatility::Volatile => {
                sql!("coalesce({}::{}, {}::{})", row.expr(down), column.type_name, default.expression, column.type_name)
            }
            Some(_) | None => row.expr(down),
        }
    }
}
