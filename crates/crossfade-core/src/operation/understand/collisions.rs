//! What can't go together in one file.

use super::super::Role;
use super::Reader;
use super::is_phased;
use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::migration::Statement;
use crate::sql::AlterCommand;
use crate::sql::ColumnsTaken;
use crate::sql::ConstraintForm;
use crate::sql::ParsedStatement;
use crate::sql::StatementKind;
use crate::sql::TableName;
use crate::sql::commented;
use crate::step::Phase;

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
            let again = |(first, other, name): &(usize, TableName, String)| {
                other == table && name == column && !self.goes_in_front_of_rename(*first, *position)
            };
            if self.touched[..at].iter().any(again) {
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
            let says_when = statement.phase.is_some() && !self.waiting.contains(position);
            if statement.direct.is_some() || says_when || comment {
                findings.extend(self.view_that_goes_too_late(statement));
                continue;
            }
            for (other, table, column) in &self.touched {
                let words = &statement.parsed.words;
                let added_here = self.cx.catalog.table(table).is_some_and(|table| table.column(column).is_none());
                let new_column_index = index && added_here && !self.is_rename_target(table, column);
                if other != position
                    && !self.goes_beside_not_null(&statement.parsed, position < other, *other)
                    && !self.goes_in_front_of_rename(*position, *other)
                    && !self.waits_for_filling(*position, table, column)
                    && !self.loosens_a_retyped(&statement.parsed)
                    && !self.means_another_column(&statement.parsed, table, column)
                    && (words.contains(column) || takes_columns(self.cx.catalog, &statement.parsed, table))
                    && words.iter().any(|word| word == table.name.as_str())
                    && !new_column_index
                {
                    findings.push(
                        Finding::error(
                            "interference",
                            statement.parsed.span,
                            if words.contains(column) {
                                format!("this names {table}.{column}, which this file changes in phases")
                            } else {
                                format!(
                                    "this takes the columns of {table} as they are, and this file changes {column} in phases"
                                )
                            },
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

    /// On the way back from contract a new column goes before what was made in migrate, and a view of it would hold it.
    fn view_that_goes_too_late(&self, statement: &Statement) -> Option<Finding> {
        let is_view = matches!(&statement.parsed.kind, StatementKind::Other { what, .. } if what == "CREATE VIEW");
        if statement.phase != Some(Phase::Migrate) || !is_view {
            return None;
        }
        let words = &statement.parsed.words;
        let (_, table, column) = self.touched.iter().find(|(_, table, column)| {
            let added_here = self.cx.catalog.table(table).is_some_and(|table| table.column(column).is_none());
            added_here && words.contains(column) && words.iter().any(|word| word == table.name.as_str())
        })?;
        let message =
            format!("a view of {table}.{column} that is made in migrate would hold the column on the way back");
        let help = "make it at contract: `-- crossfade: phase contract`; or put it into the next migration";
        Some(Finding::error("interference", statement.parsed.span, message).help(help))
    }

    /// A column that becomes NOT NULL stays what and where it is: its index, its constraints, its default and a view of it may be made in the same file. A
    /// primary key proves NOT NULL by itself.
    fn goes_beside_not_null(&self, statement: &ParsedStatement, before: bool, other: usize) -> bool {
        let other = self.cx.migration.statements.get(other).map(|statement| &statement.parsed.kind);
        let makes_not_null = matches!(
            other,
            Some(StatementKind::AlterTable { commands, .. }) if matches!(commands.as_slice(), [AlterCommand::SetNotNull { .. }])
        );
        let stays_beside = match &statement.kind {
            StatementKind::CreateIndex(_) => true,
            StatementKind::AlterTable { commands, .. } => commands.iter().all(|command| match command {
                AlterCommand::AddConstraint(added) => !matches!(added.form, ConstraintForm::PrimaryKey(_)),
                // It is here because the server does no work for it.
                AlterCommand::SetDefault { .. } | AlterCommand::AlterType { .. } => true,
                AlterCommand::Other { breaks, .. } => breaks.is_none(),
                _ => false,
            }),
            StatementKind::Other { what, .. } if what == "CREATE VIEW" => true,
            // Its rows are changed before the column is proven.
            _ => statement.rows.is_some() && before,
        };
        // What takes the columns as they are would take ours, too.
        makes_not_null && stays_beside && statement.columns == ColumnsTaken::Named
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

/// Whether it takes the columns of a table without naming them.
pub(crate) fn takes_columns(catalog: &Catalog, statement: &ParsedStatement, table: &TableName) -> bool {
    match &statement.columns {
        ColumnsTaken::Named => false,
        ColumnsTaken::Of(name) => catalog.resolve(name).is_some_and(|found| found.name == *table),
        ColumnsTaken::OfAny => statement.words.iter().any(|word| word == table.name.as_str()),
    }
}

fn way_out(kind: &StatementKind) -> &'static str {
    if matches!(kind, StatementKind::Update(_)) {
        "say what becomes of such values where the column changes (USING, or `up`): that holds for what old code still writes, too; or put it into the next migration, after contract; or say that it may run at once: `-- crossfade: direct REASON`"
    } else if matches!(kind, StatementKind::Other { what, .. } if what == "CREATE VIEW") {
        "make it at contract: `-- crossfade: phase contract`; or put it into the next migration, after contract"
    } else {
        "put it into the next migration, after contract; or say that it may run at once: `-- crossfade: direct REASON`"
    }
}
