//! Views that the file drops and makes again around a change of the type of a column that they show, as the server demands it.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::super::remake_views::RemakeViews;
use super::Reader;
use super::views::changes_rows;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::ColumnsTaken;
use crate::sql::ObjectKind;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::works_on;

/// The views of a file that wait for contract, and the statements about them.
#[derive(Default)]
pub(super) struct Remaking {
    views: Vec<Table>,
    dropped: BTreeSet<usize>,
    made: BTreeSet<usize>,
}

impl Remaking {
    pub(super) fn names(&self) -> Vec<TableName> {
        self.views.iter().map(|view| view.name.clone()).collect()
    }

    /// Whether a statement is a part of it.
    pub(super) fn has(&self, position: usize) -> bool {
        self.dropped.contains(&position) || self.made.contains(&position)
    }

    /// Whether a statement is a part of it, and this is one of its views.
    pub(super) fn is_about(&self, position: usize, relation: &TableName) -> bool {
        self.has(position) && self.views.iter().any(|view| view.name == *relation)
    }
}

impl Reader<'_> {
    /// Finds them. It is done for all of them or for none.
    pub(super) fn find_remade(&mut self) {
        let mut remaking = Remaking::default();
        let mut made_at: BTreeMap<TableName, usize> = BTreeMap::new();
        for (position, statement) in self.cx.migration.statements.iter().enumerate() {
            let Some(views) = self.dropped_and_made(position, statement) else { continue };
            remaking.dropped.insert(position);
            for (view, made) in views {
                made_at.insert(view.name.clone(), made);
                remaking.made.insert(made);
                remaking.views.push(view);
            }
        }
        let once = made_at.len() == remaking.views.len() && made_at.len() == remaking.made.len();
        let alone = remaking.views.iter().all(|view| {
            let mut users = view.dependents.iter().filter(|dependent| !dependent.goes_along);
            users.all(|user| user.view.as_ref().is_some_and(|view| made_at.contains_key(view)))
        });
        let moves = self.cx.migration.statements.iter().any(|statement| {
            matches!(&statement.parsed.kind, StatementKind::Move { kind, .. } if kind.object_kind() == "relation")
        });
        if !once || !alone || moves || remaking.views.is_empty() || !self.all_wait(&remaking) {
            return;
        }
        let is_made_before = |statement: &Statement, position: usize| {
            let Some(about) = works_on(&statement.parsed) else { return false };
            let made = about.iter().map(|target| made_at.get(&self.catalog().place(&target.name)));
            !about.is_empty() && made.into_iter().all(|made| made.is_some_and(|made| *made < position))
        };
        for (position, statement) in self.cx.migration.statements.iter().enumerate() {
            let fits = says_nothing(statement) && !changes_rows(statement);
            if fits && is_made_before(statement, position) {
                remaking.made.insert(position);
            }
        }
        self.remaking = remaking;
    }

    /// The views that a statement drops, each with the place where it is made again with no other columns than it has.
    fn dropped_and_made(&self, position: usize, statement: &Statement) -> Option<Vec<(Table, usize)>> {
        let StatementKind::Drop { kind: ObjectKind::View, objects, cascade: false, .. } = &statement.parsed.kind else {
            return None;
        };
        let all = objects.iter().map(|object| {
            let view = self.in_use(&object.name).filter(|view| view.kind == TableKind::View)?;
            view.view.as_ref().filter(|form| form.lost.is_empty())?;
            let made = self.cx.migration.statements.iter().enumerate().skip(position + 1);
            let (made, create) = made.into_iter().find(|(_, other)| self.makes_view(other, view))?;
            let columns = create.parsed.makes.as_ref()?.columns.as_ref()?;
            let fits = columns.iter().all(|column| view.column(column).is_some());
            let named = create.parsed.columns == ColumnsTaken::Named;
            (fits && named && says_nothing(create)).then(|| (view.clone(), made))
        });
        all.collect::<Option<Vec<_>>>().filter(|_| says_nothing(statement))
    }

    fn makes_view(&self, statement: &Statement, view: &Table) -> bool {
        let is_view = matches!(&statement.parsed.kind, StatementKind::Other { what, .. } if what == "CREATE VIEW");
        let made = statement.parsed.makes.as_ref().filter(|_| is_view);
        made.is_some_and(|made| self.catalog().place(&made.name) == view.name)
    }

    /// Whether each of them shows a column whose type changes in phases, or is over one that does.
    fn all_wait(&self, remaking: &Remaking) -> bool {
        let tables = self.tables_below(remaking);
        let mut waits: BTreeSet<&TableName> = tables.values().flatten().collect();
        for _ in &remaking.views {
            let above =
                remaking.views.iter().filter(|view| waits.contains(&view.name)).flat_map(|view| &view.dependents);
            let above: Vec<&TableName> = above.filter_map(|dependent| dependent.view.as_ref()).collect();
            waits.extend(above);
        }
        remaking.views.iter().all(|view| waits.contains(&view.name))
    }

    /// The tables with columns that change, and which of the views show those.
    fn tables_below(&self, remaking: &Remaking) -> BTreeMap<TableName, BTreeSet<TableName>> {
        let names = remaking.names();
        let mut all: BTreeMap<TableName, BTreeSet<TableName>> = BTreeMap::new();
        for table in self.catalog().tables.iter().filter(|table| self.is_in_use(table)) {
            for dependent in &table.dependents {
                let view = dependent.view.as_ref().filter(|view| names.contains(view));
                let column = dependent.column.as_ref().filter(|column| self.is_retyped(table, column));
                if let (Some(view), Some(_)) = (view, column) {
                    all.entry(table.name.clone()).or_default().insert(view.clone());
                }
            }
        }
        all
    }

    /// Turns them into one operation. What they name is as the file leaves it, so it may change in no other way that waits.
    pub(super) fn settle_remade(&mut self) {
        let Some(position) = self.remaking.dropped.first().copied() else { return };
        let mut statements = Vec::new();
        let mut findings = Vec::new();
        for (at, statement) in self.cx.migration.statements.iter().enumerate() {
            if !self.remaking.made.contains(&at) {
                continue;
            }
            let words = &statement.parsed.words;
            let other = self.touched.iter().find(|(_, table, column)| {
                let retyped = self.catalog().table(table).is_some_and(|table| self.is_retyped(table, column));
                !retyped && words.contains(column) && words.iter().any(|word| word == table.name.as_str())
            });
            if let Some((_, table, column)) = other {
                let message = format!("this names {table}.{column}, which this file changes in phases");
                findings.push(
                    Finding::error("interference", statement.parsed.span, message)
                        .help("put the two changes into two migrations, one after the other"),
                );
            }
            statements.push(statement.clone());
        }
        self.findings.extend(findings);
        let tables = self.tables_below(&self.remaking).into_keys().collect();
        let views = self.remaking.views.clone();
        self.gone.extend(views.iter().map(|view| (position, view.name.clone())));
        self.operations.push((position, Box::new(RemakeViews { views, statements, tables })));
    }
}

/// Whether no directive says when a statement runs, or what undoes it.
fn says_nothing(statement: &Statement) -> bool {
    statement.direct.is_none() && statement.phase.is_none() && statement.undo.is_none()
}
