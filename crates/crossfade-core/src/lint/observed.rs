//! What a database says of its tables' use, and of how fast earlier runs were.

use crate::runbook::Surroundings;
use crate::sql::TableName;

/// How much a table is used, on average since the server began to count.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// The table.
    pub table: TableName,
    /// Scans of it and of its indexes, a second.
    pub scans: f64,
    /// Rows that are inserted, changed and deleted, a second.
    pub writes: f64,
}

impl Load {
    /// Both together.
    pub fn uses(&self) -> f64 {
        self.scans + self.writes
    }
}

/// What is known of a database beside its schema.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How much tables are used.
    pub loads: Vec<Load>,
    /// What earlier runs took, with the sizes of their tables.
    pub around: Surroundings,
}
