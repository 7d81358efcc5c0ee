//! What `test` has proven.

use serde::Serialize;

use super::ChangeReport;

/// What `test` has proven.
#[derive(Clone, Debug, Serialize)]
pub struct TestReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// Where it was tried.
    pub scratch: String,
    /// The migrations that were asked for, in order.
    pub migrations: Vec<TestedMigration>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

impl TestReport {
    /// Whether every way that was tried leads where it should.
    pub fn is_proven(&self) -> bool {
        self.migrations.iter().all(|migration| migration.ways.iter().all(TestedWay::is_right))
    }
}

/// One migration of a [`TestReport`].
#[derive(Clone, Debug, Serialize)]
pub struct TestedMigration {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether it runs in phases.
    pub phased: bool,
    /// The ways that were gone, in this order; the last one is where it stopped.
    pub ways: Vec<TestedWay>,
    /// Why it was not tried, or not to its end.
    pub skipped: Option<String>,
    /// How many statements of the seed fit the schema before it; none without a seed.
    pub seeded: Option<usize>,
}

/// A way that was gone.
#[derive(Clone, Debug, Serialize)]
pub struct TestedWay {
    /// Which one.
    pub way: Way,
    /// Why it could not be gone to its end.
    pub error: Option<String>,
    /// What to run before the statements of `changes`.
    pub preamble: Vec<String>,
    /// What would have to be run to come where it should have led.
    pub changes: Vec<ChangeReport>,
    /// Tables whose rows are not what they were.
    pub rows: Vec<ChangedRows>,
}

impl TestedWay {
    /// Whether it leads where it should.
    pub fn is_right(&self) -> bool {
        self.error.is_none() && self.changes.is_empty() && self.rows.is_empty()
    }
}

/// A way that can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Forward, as far as it goes without a deploy; there is nothing to compare with.
    Up,
    /// Back before contract.
    RollbackFromReady,
    /// Through contract.
    Contract,
    /// Back after contract, while the old form is retained.
    RollbackFromContracted,
    /// Back by the down file, from the end.
    Down,
    /// Forward once more: it must lead to the same schema as the first time.
    UpAgain,
}

/// A table whose rows are not what they were.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangedRows {
    /// The table.
    pub table: String,
    /// How many rows it had.
    pub before: i64,
    /// How many it has.
    pub after: i64,
}
