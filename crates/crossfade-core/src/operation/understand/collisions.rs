//! What can't go together in one file.

use super::super::Role;
use super::Reader;
use super::is_phased;
use crate::finding::Finding;
use crate::sql::AlterCommand;
use crate::sql::StatementKind;
use crate::sql::TableName;

impl Reader<'_> {
    /// A column can be under way once. Columns whose types change can't share an index or a constraint: each would be built again for
    /// itself.
    pub(super) fn look_for_collisions(&mut self) {
        let mut findings = Vec::new();
        for (at, (position, table, column)) in self.touched.iter().enumerate() {
            let span = self.cx.migration.statements.get(*position).map(|statement| statement.parsed.span);
            if self.touched[..at].iter().any(|(_, other, name)| other == table && name == column) {
                findings.push(
                    Finding::error("changed-twice", span, format!("{table}.{column} is changed twice in one file"))
                        .help("put the second change into the next migration"),
                );
            }
            let Some(found) = self.cx.catalog.table(table).filter(|_| self.changes_type(*position, column)) else {
                continue;
            };
            let with = |columns: &[String]| {
                columns.contains(column)
                    && self.touched[..at].iter().any(|(other, name, second)| {
                        name == table && columns.contains(second) && self.changes_type(*other, second)
                    })
            };
            let shared = found.indexes.iter().find(|index| with(&index.columns)).map(|index| &index.name);
            let shared = shared.or_else(|| found.constraints.iter().find(|it| with(&it.columns)).map(|it| &it.name));
            if let Some(shared) = shared {
                findings.push(
                    Finding::error(
                        "shared-index",
                        span,
                        format!("{shared} is over {column} and over another column whose type changes here"),
                    )
                    .help("change their types in two migrations, one after the other"),
                );
            }
        }
        self.findings.extend(findings);
    }

    pub(super) fn changes_type(&self, position: usize, column: &str) -> bool {
        self.cx.migration.statements.get(position).is_some_and(|statement| match &statement.parsed.kind {
            StatementKind::AlterTable { commands, .. } => commands
                .iter()
                .any(|command| matches!(command, AlterCommand::AlterType { column: known, .. } if known == column)),
            _ => false,
        })
    }

    /// A statement that runs as written and names what another changes in phases would see it half done.
    pub(super) fn look_for_interference(&mut self) {
        let mut findings = Vec::new();
        for (position, operation) in &self.operations {
            let index = operation.role() == Role::Index;
            if is_phased(operation.as_ref()) && !index {
                continue;
            }
            let Some(statement) = self.cx.migration.statements.get(*position) else { continue };
            if statement.direct.is_some() {
                continue;
            }
            for (other, table, column) in &self.touched {
                let words = &statement.parsed.words;
                let added_here = self.cx.catalog.table(table).is_some_and(|table| table.column(column).is_none());
                let new_column_index = index && added_here && !self.is_rename_target(table, column);
                if other != position
                    && words.contains(column)
                    && words.iter().any(|word| word == table.name.as_str())
                    && !new_column_index
                {
                    findings.push(
                        Finding::error("interference", statement.parsed.span, format!("this names {table}.{column}, which this file changes in phases"))
                            .help("put it into the next migration, after contract; or say that it may run at once: `-- crossfade: direct REASON`"),
                    );
                    break;
                }
            }
        }
        self.findings.extend(findings);
    }

    pub(super) fn is_rename_target(&self, table: &TableName, column: &str) -> bool {
        self.cx.migration.statements.iter().any(|statement| match &statement.parsed.kind {
            StatementKind::RenameColumn { table: name, to, .. } => {
                to == column && self.cx.catalog.resolve(name).is_some_and(|found| found.name == *table)
            }
            _ => false,
        })
    }
}
