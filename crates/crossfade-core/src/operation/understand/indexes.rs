//! CREATE INDEX and DROP INDEX: what is built beside the running code, what takes the place of another, what goes.

use super::super::create_index::BuildIndex;
use super::super::drop_index::DropIndex;
use super::super::no_table;
use super::super::replace_index::IndexForKey;
use super::super::replace_index::ReplaceIndex;
use super::Reader;
use crate::catalog::Index;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::CreateIndex;
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::sql::StatementKind;

impl Reader<'_> {
    pub(super) fn read_index(&mut self, position: usize, statement: &Statement, index: &CreateIndex) {
        let span = statement.parsed.span;
        self.no_values(statement);
        match self.in_use(&index.table).cloned() {
            Some(table) if !table.has_rows && self.catalog().other_sessions == 0 => {
                self.write_as_is(position, statement)
            }
            Some(table) => self.read_create_index(position, table, index, span),
            None if index.concurrently && !self.is_created(&index.table) => {
                match self.catalog().resolve(&index.table).cloned() {
                    Some(table) => self.read_create_index(position, table, index, span),
                    None => self.findings.push(no_table(self.cx, &index.table, span)),
                }
            }
            None if index.concurrently => self.findings.push(
                Finding::error(
                    "concurrently-on-new-table",
                    span,
                    "CONCURRENTLY can't run in the transaction that makes the table",
                )
                .help("leave CONCURRENTLY out: nobody waits for a table that is new"),
            ),
            None => self.unless_unknown(position, statement, &index.table, false),
        }
    }

    /// An index whose name the file has dropped before takes that one's place.
    fn read_create_index(&mut self, position: usize, table: Table, index: &CreateIndex, span: Span) {
        let is_it = |(_, old): &(usize, DropIndex)| {
            old.table.name == table.name && index.name.as_deref() == Some(old.index.name.as_str())
        };
        let place = self.dropped_indexes.iter().position(is_it);
        let for_key = index.name.clone().filter(|name| {
            table.kind == TableKind::Table && self.replaces_key(position, &table, Some(name.as_str()), false)
        });
        let new = BuildIndex { table, index: index.clone(), span, again: place.is_some() || for_key.is_some() };
        if let Some(name) = for_key {
            self.operations.push((position, Box::new(IndexForKey { name, new })));
            return;
        }
        match place {
            Some(place) if new.table.kind == TableKind::Table => {
                let (_, old) = self.dropped_indexes.remove(place);
                self.operations.push((position, Box::new(ReplaceIndex { old, new })));
            }
            _ => self.operations.push((position, Box::new(new))),
        }
    }

    pub(super) fn read_drop_index(
        &mut self,
        position: usize,
        statement: &Statement,
        names: &[ObjectRef],
        if_exists: bool,
        cascade: bool,
    ) {
        self.no_values(statement);
        let span = statement.parsed.span;
        let found: Vec<Option<(Table, Index)>> = names
            .iter()
            .map(|name| self.catalog().index(name).map(|(table, index)| (table.clone(), index.clone())))
            .collect();
        let unused = |table: &Table| !table.has_rows && self.catalog().other_sessions == 0;
        if found
            .iter()
            .all(|found| found.as_ref().is_none_or(|(table, _)| unused(table) || self.created.contains(&table.name)))
        {
            let missing = names.iter().zip(&found).find(|(_, found)| found.is_none());
            let makes_it = |name: &ObjectRef| {
                self.cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
                    StatementKind::CreateIndex(index) => index.name.as_ref() == Some(&name.name),
                    _ => false,
                })
            };
            if let Some((name, _)) = missing
                && !if_exists
                && !makes_it(name)
            {
                self.findings.push(Finding::error("no-such-index", span, format!("there is no index {name}")));
                return;
            }
            return self.write_as_is(position, statement);
        }
        for (name, found) in names.iter().zip(found) {
            match found {
                Some((table, index)) => {
                    self.gone_indexes.push((table.name.clone(), index.name.clone()));
                    self.dropped_indexes.push((position, DropIndex { table, index, cascade, span }))
                }
                None if if_exists => {}
                None => self.findings.push(Finding::error("no-such-index", span, format!("there is no index {name}"))),
            }
        }
    }
}
