//! What `serve` says of itself, and of the database that it looks at.

use serde::Serialize;

use super::Snapshot;

/// Where `serve` listens.
#[derive(Clone, Debug, Serialize)]
pub struct ListeningReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// The page.
    pub url: String,
    /// Whether only this machine reaches it.
    pub loopback: bool,
    /// Whether it takes actions, with the token.
    pub actions: bool,
}

/// What `GET /api/v1/status` answers.
#[derive(Clone, Debug, Serialize)]
pub struct SightReport<'a> {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Of this program.
    pub version: &'static str,
    /// The database, without secrets.
    pub database: String,
    /// How often it is looked at, in seconds.
    pub interval_seconds: f64,
    /// How old the snapshot is, in seconds.
    pub age_seconds: Option<f64>,
    /// Why the last look failed, where it did.
    pub unreached: Option<UnreachedReport>,
    /// Whether texts of statements are held back, because it listens beyond this machine.
    pub queries_held_back: bool,
    /// The last look that did not fail; none before the first.
    pub snapshot: Option<&'a Snapshot>,
}

/// Why the database could not be looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnreachedReport {
    /// With its causes.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
    /// Since how long, in seconds.
    pub seconds: f64,
}
