//! UPDATE that fills new columns: what they hold after it, given what they held before.

use super::Reader;
use super::is_null_test;
use crate::catalog::Table;
use crate::catalog::Volatility;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql;
use crate::sql::AlterCommand;
use crate::sql::Expr;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::Outer;
use crate::sql::SetItem;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::Update;
use crate::step::Claim;
use std::collections::BTreeMap;

impl Reader<'_> {
    /// `UPDATE t SET c = value WHERE c IS NULL` in front of `SET NOT NULL` gives the value for the NULLs of old code, too.
    pub(super) fn find_mends(&mut self) {
        for (position, statement) in self.cx.migration.statements.iter().enumerate() {
            let StatementKind::Update(update) = &statement.parsed.kind else { continue };
            let (Some([item]), Some(filter), false, None) =
                (update.set.as_deref(), &update.filter, update.odd, &statement.direct)
            else {
                continue;
            };
            let Some(table) = self.in_use(&update.table) else { continue };
            if table.column(&item.column).is_none() || !is_null_test(filter, &item.column) {
                continue;
            }
            let (name, table) = (statement.parsed.rows.as_ref().and_then(|rows| rows.qualifier()), table.clone());
            let Ok(value) = self.lifted(&table, name, &item.value) else { continue };
            let key = (table.name.clone(), item.column.clone());
            let followed = self.cx.migration.statements[position + 1..].iter().any(|later| match &later.parsed.kind {
                StatementKind::AlterTable { table: name, commands, .. } => {
                    self.catalog().resolve(name).is_some_and(|found| found.name == key.0)
                        && commands
                            .iter()
                            .any(|command| matches!(command, AlterCommand::SetNotNull { column } if *column == key.1))
                }
                _ => false,
            });
            if followed {
                self.mends.insert(key, (position, value));
            }
        }
    }

    pub(super) fn read_update(&mut self, position: usize, statement: &Statement, update: &Update) {
        self.no_values(statement);
        let span = statement.parsed.span;
        let Some(table) = self.in_use(&update.table).cloned() else {
            return self.unless_unknown(position, statement, &update.table, false);
        };
        if self.mends.values().any(|(mend, _)| *mend == position) {
            return;
        }
        let names: Vec<&str> = match &update.set {
            Some(set) => set.iter().map(|item| item.column.as_str()).collect(),
            None => Vec::new(),
        };
        let into_pending = names.iter().filter(|name| self.is_pending(&table.name, name)).count();
        if into_pending == 0 && !statement.parsed.words.iter().any(|word| self.is_pending(&table.name, word)) {
            if self.read_rows(position, statement) {
                return;
            }
            return self.write_as_is(position, statement);
        }
        let only_pending = into_pending == names.len() && update.set.is_some();
        let own_row = if only_pending {
            self.over_own_row(&table, statement, update)
        } else {
            Err("it sets other columns, too".to_owned())
        };
        let update = &match own_row {
            Ok(update) => update,
            Err(why) => {
                let message = "this UPDATE fills a new column in a way that can't be kept true for rows that old code writes meanwhile";
                self.findings.push(
                    Finding::error("update-not-understood", span, format!("{message}: {why}"))
                        .help("set only new columns, from columns of the same row or by a join to another table; or write the value as `-- crossfade: up EXPR` in front of ADD COLUMN"),
                );
                return;
            }
        };
        let exprs = || update.set.iter().flatten().map(|item| &item.value).chain(&update.filter);
        let volatile = update.set.iter().flatten().any(|item| self.volatility(&item.value) == Volatility::Volatile);
        let replaces = self.cx.migration.statements.iter().any(|other| match &other.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands.iter().any(|command| match command {
                AlterCommand::DropColumn { column, .. } => exprs().any(|expr| expr.names(column)),
                _ => false,
            }),
            _ => false,
        });
        if volatile && replaces {
            self.findings.push(
                Finding::error(
                    "volatile-value",
                    span,
                    "the new value is another one each time, so it can't be kept equal to the old column",
                )
                .help("use an expression that always gives the same value for the same row"),
            );
            return;
        }
        self.compose(&table, update, span);
    }

    /// An expression for the rows of a table: what its subqueries take from the row is told apart from what they take from other tables.
    pub(super) fn lifted(&self, table: &Table, name: Option<&str>, expr: &Expr) -> Result<Expr, String> {
        let pending =
            self.pending.get(&table.name).into_iter().flatten().map(|pending| pending.definition.name.clone());
        let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).chain(pending).collect();
        let columns_of = |relation: &ObjectRef| {
            let known = self.cx.catalog.resolve(relation)?;
            Some(known.columns.iter().map(|column| column.name.clone()).collect())
        };
        let name = name.unwrap_or_else(|| table.name.name.as_str());
        if expr.uses_whole_row() && !expr.has_subquery() {
            return Err("it uses the row as a whole".to_owned());
        }
        expr.lifted(Outer { name, columns: &columns, columns_of: &columns_of })
    }

    /// The columns of other tables that a value comes from: they must stay while it is kept.
    pub(super) fn reads_of(&mut self, position: usize, value: &Expr) -> Vec<Claim> {
        let tables = value.reads().iter().filter_map(|name| self.cx.catalog.resolve(name));
        let mut claims: Vec<Claim> = tables
            .flat_map(|table| {
                let named = table.columns.iter().filter(|column| value.read_columns().contains(&column.name));
                named.map(|column| Claim { table: table.name.clone(), column: Some(column.name.clone()) })
            })
            .collect();
        claims.sort();
        claims.dedup();
        self.taken.extend(claims.iter().map(|claim| (position, claim.clone())));
        claims
    }

    /// The UPDATE with every value written over its own row: what comes from other tables, by FROM or by a subquery, is a subquery over the row.
    fn over_own_row(&self, table: &Table, statement: &Statement, update: &Update) -> Result<Update, String> {
        let rows = statement.parsed.rows.as_ref();
        let name = rows.and_then(|rows| rows.qualifier());
        let lifted = |expr: &Expr| self.lifted(table, name, expr);
        if let Some((values, found)) = rows.and_then(|rows| rows.values_of_from()) {
            let untouched = |column: &str| {
                self.pending.get(&table.name).into_iter().flatten().any(|pending| {
                    pending.definition.name == column && pending.value.is_none() && pending.definition.default.is_none()
                })
            };
            let item = |(column, value): (String, Expr)| {
                // A row for which nothing is found keeps what it has.
                let value = if untouched(&column) {
                    value
                } else {
                    let name = Ident::new(column.as_str());
                    let kept = sql!("CASE WHEN {} THEN {} ELSE {} END", found.verbatim(), value.verbatim(), name);
                    Expr::from_sql(&kept).map_err(|error| error.message)?
                };
                Ok(SetItem { value: lifted(&value)?, column })
            };
            let set: Result<Vec<SetItem>, String> = values.into_iter().map(item).collect();
            return Ok(Update { table: update.table.clone(), set: Some(set?), filter: None, odd: false });
        }
        if update.odd {
            return Err("it has WITH, RETURNING or a FROM that is not understood".to_owned());
        }
        let item = |item: &SetItem| Ok(SetItem { column: item.column.clone(), value: lifted(&item.value)? });
        let set: Result<Vec<SetItem>, String> = update.set.iter().flatten().map(item).collect();
        let filter = update.filter.as_ref().map(lifted).transpose()?;
        Ok(Update { table: update.table.clone(), set: Some(set?), filter, odd: false })
    }

    /// What the columns hold after this UPDATE, given what they held before it.
    pub(super) fn compose(&mut self, table: &Table, update: &Update, span: Span) {
        let Some(pending) = self.pending.get(&table.name) else { return };
        let current: BTreeMap<String, Sql> = pending
            .iter()
            .map(|pending| {
                let type_name = &pending.definition.type_name;
                let value = match (&pending.value, &pending.definition.default) {
                    (Some(value), _) => value.over_table(),
                    (None, Some(default)) => sql!("{}::{}", default.over_table(), type_name),
                    (None, None) => sql!("NULL::{}", type_name),
                };
                (pending.definition.name.clone(), value)
            })
            .collect();
        let untouched = |column: &str| {
            pending.iter().any(|pending| {
                pending.definition.name == column && pending.value.is_none() && pending.definition.default.is_none()
            })
        };
        let put = |expr: &Expr| {
            expr.render(|column| current.get(column).cloned().unwrap_or_else(|| sql!("{}", Ident::new(column))))
        };
        let mut values = Vec::new();
        for item in update.set.iter().flatten() {
            let names_pending = item.value.columns().any(|column_use| current.contains_key(&column_use.column));
            let filter = update
                .filter
                .as_ref()
                .filter(|filter| !(untouched(&item.column) && is_null_test(filter, &item.column)));
            let value = match filter {
                None if !names_pending => Ok(item.value.clone()),
                None => Expr::from_sql(&put(&item.value)),
                Some(filter) => {
                    let now = current.get(&item.column).cloned().unwrap_or_else(|| sql!("NULL"));
                    Expr::from_sql(&sql!("CASE WHEN {} THEN {} ELSE {} END", put(filter), put(&item.value), now))
                }
            };
            values.push((item.column.clone(), value));
        }
        for (column, value) in values {
            match value {
                Ok(value) => {
                    for pending in self.pending.get_mut(&table.name).into_iter().flatten() {
                        if pending.definition.name == column {
                            pending.value = Some(value.clone());
                            pending.span = span;
                        }
                    }
                }
                Err(error) => self.findings.push(Finding::error("update-not-understood", span, error.message)),
            }
        }
    }
}
