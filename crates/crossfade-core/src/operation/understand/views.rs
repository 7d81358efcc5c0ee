//! Views of columns that the file adds and fills: they wait until every row has its value, and so do the statements about them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::super::Operation;
use super::super::Role;
use super::super::as_written::AsWritten;
use super::super::view_of_new::ViewOfNew;
use super::Reader;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql;
use crate::sql::ColumnsTaken;
use crate::sql::ObjectRef;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::commented;
use crate::sql::rights;
use crate::sql::works_on;
use crate::step::Phase;

/// A view that waits.
struct Waiting {
    /// The tables whose new columns it shows.
    tables: BTreeSet<TableName>,
    /// Whether the file makes it.
    new: bool,
}

impl Reader<'_> {
    /// Lets views wait for the columns that they show, now that it is known which columns are filled.
    pub(super) fn settle_views(&mut self) {
        let mut waiting: BTreeMap<TableName, Waiting> = BTreeMap::new();
        for (position, statement) in self.cx.migration.statements.iter().enumerate() {
            let Some(at) = self.operations.iter().position(|(of, it)| *of == position && is_written(it.as_ref()))
            else {
                continue;
            };
            if let Some((view, tables)) = self.over_filled(statement, &waiting) {
                let new = self.catalog().table(&view).is_none();
                let create = self.when_filled(statement);
                self.waiting.insert(position);
                self.operations[at].1 =
                    Box::new(ViewOfNew { create, view: view.clone(), tables: tables.iter().cloned().collect() });
                waiting.entry(view).or_insert(Waiting { tables, new });
            } else if let Some(about) = self.about(statement, &waiting) {
                let all_new = about.iter().all(|view| waiting.get(view).is_some_and(|view| view.new));
                let mut follows = self.when_filled(statement);
                if all_new && follows.statement.undo.is_none() {
                    follows.statement.undo = Some(sql!("/* it goes with the view */"));
                }
                self.operations[at].1 = Box::new(follows);
            } else if let Some(view) = self.comes_too_early(statement, &waiting) {
                let message = format!("this names {view}, which waits until its columns are filled");
                self.findings.push(Finding::error("interference", statement.parsed.span, message).help(
                    "put it in front of the view, where it needs none of the new columns; or into the next migration",
                ));
            }
        }
    }

    fn when_filled(&self, statement: &Statement) -> AsWritten {
        self.as_is(&Statement { phase: Some(Phase::Migrate), ..statement.clone() })
    }

    /// The view that a statement makes, and the tables that it waits for.
    fn over_filled(
        &self,
        statement: &Statement,
        waiting: &BTreeMap<TableName, Waiting>,
    ) -> Option<(TableName, BTreeSet<TableName>)> {
        let is_view = matches!(&statement.parsed.kind, StatementKind::Other { what, .. } if what == "CREATE VIEW");
        let says_when = !matches!(statement.phase, None | Some(Phase::Migrate));
        // What takes the columns as they are would take ours, too.
        let named = statement.parsed.columns == ColumnsTaken::Named;
        if !is_view || says_when || !named || statement.direct.is_some() || statement.undo.is_some() {
            return None;
        }
        let words = &statement.parsed.words;
        let is_named = |name: &TableName| words.iter().any(|word| word == name.name.as_str());
        // On the way back they would have other names yet.
        if self.gone.iter().any(|(_, gone)| is_named(gone)) {
            return None;
        }
        let filled = self.filled.iter().filter(|(table, column)| is_named(table) && words.contains(column));
        let mut tables: BTreeSet<TableName> = filled.map(|(table, _)| table.clone()).collect();
        for (_, below) in waiting.iter().filter(|(view, _)| is_named(view)) {
            tables.extend(below.tables.iter().cloned());
        }
        let view = self.catalog().place(&statement.parsed.makes.as_ref()?.name);
        (!tables.is_empty()).then_some((view, tables))
    }

    /// The views that wait and that a statement is about, where it is about nothing else. Of a view that is made anew on the way back, only what can be
    /// undone behind that.
    fn about(&self, statement: &Statement, waiting: &BTreeMap<TableName, Waiting>) -> Option<Vec<TableName>> {
        if !goes_along(statement) || changes_rows(statement) {
            return None;
        }
        let place = |name: &ObjectRef| self.catalog().place(name);
        let all: Vec<TableName> = works_on(&statement.parsed)?.iter().map(|target| place(&target.name)).collect();
        let undone = || {
            statement.undo.is_some() || rights(&statement.parsed).is_some() || commented(&statement.parsed).is_some()
        };
        let fits = |view: &TableName| waiting.get(view).is_some_and(|view| view.new || undone());
        (!all.is_empty() && all.iter().all(fits)).then_some(all)
    }

    /// The view that waits and that a statement behind it names.
    fn comes_too_early(&self, statement: &Statement, waiting: &BTreeMap<TableName, Waiting>) -> Option<TableName> {
        let words = &statement.parsed.words;
        let is_named = |view: &&TableName| words.iter().any(|word| word == view.name.as_str());
        waiting.keys().find(is_named).filter(|_| goes_along(statement)).cloned()
    }

    /// Whether a view waits for this column.
    pub(super) fn waits_for_filling(&self, position: usize, table: &TableName, column: &str) -> bool {
        self.waiting.contains(&position) && self.filled.contains(&(table.clone(), column.to_owned()))
    }
}

/// Whether it is about the rows that a view shows.
pub(super) fn changes_rows(statement: &Statement) -> bool {
    match &statement.parsed.kind {
        StatementKind::Update(_) | StatementKind::CopyFromStdin { .. } => true,
        StatementKind::Other { what, .. } => matches!(what.as_str(), "INSERT" | "DELETE" | "MERGE" | "COPY" | "SELECT"),
        StatementKind::AlterTable { .. }
        | StatementKind::RenameColumn { .. }
        | StatementKind::Drop { .. }
        | StatementKind::Move { .. }
        | StatementKind::CreateIndex(_)
        | StatementKind::DropIndex { .. }
        | StatementKind::CreateTable { .. }
        | StatementKind::Transaction(_)
        | StatementKind::NotInTransaction { .. } => false,
    }
}

/// Whether nobody says when it runs.
fn goes_along(statement: &Statement) -> bool {
    statement.direct.is_none() && statement.phase.is_none()
}

fn is_written(operation: &dyn Operation) -> bool {
    operation.role() == Role::AsWritten
}
