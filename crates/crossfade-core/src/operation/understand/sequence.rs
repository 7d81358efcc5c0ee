//! RENAME and SET SCHEMA of a sequence wait for contract. Whatever else of the file names it would meet it under the wrong name.

use super::super::Operation;
use super::super::Role;
use super::super::rename_sequence::RenameSequence;
use super::super::rename_sequence::tables_of;
use super::super::whole::destination;
use super::Reader;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::StatementKind;
use crate::sql::TableName;

impl Reader<'_> {
    pub(super) fn read_move_sequence(&mut self, position: usize, statement: &Statement) {
        let StatementKind::Move { kind, object, to, if_exists, .. } = &statement.parsed.kind else { return };
        let span = statement.parsed.span;
        let found = self.catalog().object("sequence", object).filter(|_| !self.is_nobody_there());
        let Some(name) = found.map(|object| object.name.clone()) else {
            // That of a serial column is made with its table.
            if !*if_exists && self.created.is_empty() && !self.may_be_there(*kind, object) {
                let message = format!("there is no sequence {object}");
                return self.findings.push(Finding::error("no-such-sequence", span, message));
            }
            return self.write_as_is(position, statement);
        };
        let target = destination(&name, to);
        if target == name {
            return self.write_as_is(position, statement);
        }
        let tables = tables_of(self.catalog(), &name);
        self.moved_sequences.extend([name.clone(), target].map(|it| (position, it)));
        self.operations.push((position, Box::new(RenameSequence { name, to: to.clone(), tables, span })));
    }

    /// A name in a string is looked up when the statement runs, or when a trigger does.
    pub(super) fn look_for_sequence_namesakes(&mut self) {
        let mut findings = Vec::new();
        for (at, name) in &self.moved_sequences {
            let takes = tables_of(self.catalog(), name);
            for (position, statement) in self.cx.migration.statements.iter().enumerate() {
                let spoken_for = statement.direct.is_some() || statement.phase.is_some();
                if position != *at && !spoken_for && self.may_use(position, statement, name, &takes) {
                    findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this may use {name}, which this file renames at contract"))
                            .help("put it into a migration of its own, before or after this one; or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                }
            }
        }
        self.findings.extend(findings);
    }

    /// Whether a statement has a sequence's name in its text, or changes a table in phases that takes numbers from it.
    fn may_use(&self, position: usize, statement: &Statement, sequence: &TableName, takes: &[TableName]) -> bool {
        let name = sequence.name.as_str().to_lowercase();
        let values = statement.up.iter().chain(&statement.down).map(|directive| directive.value.verbatim());
        let mut texts = values.chain(std::iter::once(statement.parsed.text.clone()));
        // The view of a table that is renamed takes no numbers: the table does.
        let moves = self.moved_sequences.iter().any(|(at, _)| *at == position)
            || matches!(statement.parsed.kind, StatementKind::Move { .. });
        let phased = |operation: &dyn Operation| operation.role() == Role::Phased && !moves;
        let own = self.operations.iter().filter(|(at, operation)| *at == position && phased(operation.as_ref()));
        texts.any(|text| text.as_str().to_lowercase().contains(&name))
            || own.flat_map(|(_, operation)| operation.claims()).any(|claim| takes.contains(&claim.table))
    }
}
