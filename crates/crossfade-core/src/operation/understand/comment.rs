//! COMMENT ON a column that the file changes in phases: it waits for the column to have its name and its place.

use super::super::as_written::AsWritten;
use super::super::in_contract::InContract;
use super::Reader;
use crate::migration::Statement;
use crate::sql::Commented;
use crate::sql::TableName;
use crate::sql::commented;
use crate::step::Phase;

impl Reader<'_> {
    /// Gives each comment that was set aside its phase, now that it is known what becomes of its column.
    pub(super) fn settle_comments(&mut self) {
        for (position, statement) in std::mem::take(&mut self.comments) {
            let phase = self.phase_of_comment(&statement);
            let Some(phase) = phase else {
                self.write_as_is(position, &statement);
                continue;
            };
            let table = self.commented_table(&statement).filter(|table| self.stand_in_of(table).is_some());
            if let (Phase::Contract, Some(table)) = (phase, table) {
                // Behind what is done to the column, wherever the comment stands.
                let says = format!("comment on a column of {table}");
                self.operations.push((usize::MAX, Box::new(InContract { statement, table, says })));
                continue;
            }
            let statement = Statement { phase: Some(phase), ..statement };
            self.operations.push((position, Box::new(AsWritten { statement, claims: Vec::new() })));
        }
    }

    fn commented_table(&self, statement: &Statement) -> Option<TableName> {
        let Some(Commented::Column(name, _)) = commented(&statement.parsed) else { return None };
        Some(self.catalog().resolve(&name)?.name.clone())
    }

    fn phase_of_comment(&self, statement: &Statement) -> Option<Phase> {
        let Some(Commented::Column(name, column)) = commented(&statement.parsed) else { return None };
        let table = self.catalog().resolve(&name)?;
        let changed = self.touched.iter().any(|(_, touched, changed)| *touched == table.name && *changed == column);
        if !changed {
            return None;
        }
        Some(if self.is_rename_target(&table.name, &column) || self.is_retyped(table, &column) {
            // The copy or the old column would bear it, and take it away.
            Phase::Contract
        } else if table.column(&column).is_none() {
            Phase::Migrate
        } else {
            Phase::Expand
        })
    }
}
