//! What `goto` does.

use serde::Serialize;

use super::RunMigration;

/// The way, and where the migrations on it are now.
#[derive(Clone, Debug, Serialize)]
pub struct GotoReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Whether the way was only asked for, and nothing was done.
    pub dry_run: bool,
    /// The way, in order.
    pub way: Vec<Leg>,
    /// The migrations on it, in the order in which they were worked on.
    pub migrations: Vec<RunMigration>,
}

/// One migration on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leg {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Whether it is undone or run.
    pub direction: Direction,
    /// What does it, for people.
    pub by: &'static str,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Undone.
    Down,
    /// Run.
    Up,
}
