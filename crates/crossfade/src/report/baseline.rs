//! What `baseline` has written down.

use serde::Serialize;

/// The migrations that count as applied.
#[derive(Clone, Debug, Serialize)]
pub struct BaselineReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Whether it was only asked for, and nothing was written.
    pub dry_run: bool,
    /// Every migration up to the baseline, in order.
    pub migrations: Vec<BaselineMigration>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BaselineMigration {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether it has a file.
    pub file: bool,
    /// Whether it stood as applied in the journal before.
    pub known: bool,
}
