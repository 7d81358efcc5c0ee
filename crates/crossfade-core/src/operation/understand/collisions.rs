//! What can't go together in one file.

use super::super::Role;
use super::Reader;
use super::is_phased;
use crate::finding::Finding;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::commented;

impl Reader<'_> {
    /// A column can be under way once.
    pub(super) fn look_for_collisions(&mut self) {
        let mut findings = Vec::new();
        for (at, (position, table, column)) in self.touched.iter().enumerate() {
            let span = self.cx.migration.statements.get(*position).map(|statement| statement.parsed.span);
            if self.joined.iter().any(|claim| claim.table == *table && claim.column.as_ref() == Some(column)) {
                findings.push(
                    Finding::error(
                        "changed-twice",
                        span,
                        format!("{table}.{column} is in a key or in statistics together with a column whose type changes here"),
                    )
                    .help("put one of the two changes into the next migration"),
                );
            }
            if self.touched[..at].iter().any(|(_, other, name)| other == table && name == column) {
                findings.push(
                    Finding::error("changed-twice", span, format!("{table}.{column} is changed twice in one file"))
                        .help("put the second change into the next migration"),
                );
            }
        }
        self.findings.extend(findings);
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
            // Who names the phase says when it runs; a comment waits by itself.
            let comment = commented(&statement.parsed).is_some();
            if statement.direct.is_some() || statement.phase.is_some() || comment {
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
                        Finding::error(
                            "interference",
                            statement.parsed.span,
                            format!("this names {table}.{column}, which this file changes in phases"),
                        )
                        .help(way_out(&statement.parsed.kind)),
                    );
                    break;
                }
            }
        }
        for (position, claim) in &self.taken {
            let clash = self.touched.iter().any(|(other, table, column)| {
                other != position && *table == claim.table && claim.column.as_ref() == Some(column)
            });
            if let (true, Some(column), Some(statement)) =
                (clash, &claim.column, self.cx.migration.statements.get(*position))
            {
                findings.push(
                    Finding::error(
                        "interference",
                        statement.parsed.span,
                        format!("its value comes from {}.{column}, which this file changes in phases", claim.table),
                    )
                    .help("put the two changes into two migrations, one after the other"),
                );
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

fn way_out(kind: &StatementKind) -> &'static str {
    if matches!(kind, StatementKind::Update(_)) {
        "say what becomes of such values where the column changes (USING, or `up`): that holds for what old code still writes, too; or put it into the next migration, after contract; or say that it may run at once: `-- crossfade: direct REASON`"
    } else {
        "put it into the next migration, after contract; or say that it may run at once: `-- crossfade: direct REASON`"
    }
}
