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
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::StatementKind;
use crate::sql::Update;
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
                self.mends.insert(key, (position, item.value.clone()));
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
        let simple = !update.odd && into_pending == names.len() && update.set.is_some();
        let exprs = || update.set.iter().flatten().map(|item| &item.value).chain(&update.filter);
        if !simple || exprs().any(|expr| expr.has_subquery() || expr.uses_whole_row()) {
            self.findings.push(
                Finding::error("update-not-understood", span, "this UPDATE fills a new column in a way that can't be kept true for rows that old code writes meanwhile")
                    .help("set only new columns, from columns of the same row; or write the value as `-- crossfade: up EXPR` in front of ADD COLUMN"),
            );
            return;
        }
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
