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
    /// Whether it compares old and new form of what waits for the deploy, again and again.
    pub verify: bool,
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
    /// What comparing old and new form has found; none where it does not.
    pub verify: Option<KeptVerifyingReport>,
}

/// How comparing old and new form again and again goes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KeptVerifyingReport {
    /// From the end of a round to the beginning of the next, in seconds.
    pub every_seconds: f64,
    /// The share of the time in which it reads at most.
    pub duty: f64,
    /// Rounds that were gone to their end.
    pub rounds: u64,
    /// Rounds that could not be.
    pub failed_rounds: u64,
    /// Why the last one could not, where it could not.
    pub error: Option<String>,
    /// What was found last, of each migration that waits for the deploy.
    pub migrations: Vec<ComparedReport>,
}

/// What comparing old and new form of a migration found last.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedReport {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Rows that were read.
    pub rows: u64,
    /// Rows in which they differ.
    pub differing: u64,
    /// The first of them, each with its table; none where it listens beyond this machine, since they are values.
    pub keys: Vec<String>,
    /// How long ago, in seconds.
    pub age_seconds: f64,
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
