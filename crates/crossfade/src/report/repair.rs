//! What `repair` finds, or has accepted.

use crossfade_core::journal::State;
use serde::Serialize;

/// Migrations whose files are not as they were run.
#[derive(Clone, Debug, Serialize)]
pub struct RepairReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Whether what stands here was taken into the journal.
    pub accepted: bool,
    /// One for each migration, in order.
    pub migrations: Vec<RepairMigration>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RepairMigration {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// What is different.
    pub change: Change,
    /// The file, where it is there.
    pub file: Option<String>,
    /// From the text that was run to the one in the file, as a unified diff; none where the journal has no text, or it is the same.
    pub diff: Option<String>,
    /// The same of the down file.
    pub down_diff: Option<String>,
    /// Why it can't be accepted as it is; none where it can.
    pub refused: Option<String>,
}

/// How a file differs from what was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// In what runs.
    Code,
    /// In comments and white space only.
    Comments,
    /// Only its down file does.
    Down,
    /// It is not there.
    Missing,
}
