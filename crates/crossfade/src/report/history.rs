//! What `history` shows.

use serde::Serialize;

/// Every event of the journal, or of one migration, in order.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// The events, the oldest first.
    pub events: Vec<HistoryEvent>,
    /// What hooks were told, the oldest first; none where this role may not read it.
    pub alerts: Option<Vec<HistoryAlert>>,
}

/// An alert that a hook was told, or was not, and in whose run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryAlert {
    /// When the call ended, in UTC.
    pub at: String,
    /// The command that it is of.
    pub run_id: Option<String>,
    /// The migration's version; none where the run failed outside of one, and for a backfill that was called for alone.
    pub version: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// What the hook is called.
    pub hook: String,
    /// What it was told.
    pub event: String,
    /// Whether that got through.
    pub sent: bool,
    /// Why not: one line without an address, a command or what either has answered.
    pub error: Option<String>,
    /// How long it took, with all its tries.
    pub took_ms: i64,
    /// The person or the robot behind the command.
    pub actor: String,
    /// The role of the database session.
    pub db_user: String,
    /// The host that it ran on.
    pub host: Option<String>,
    /// The version of crossfade.
    pub tool_version: String,
    /// The commit that the migrations were of.
    pub git_commit: Option<String>,
    /// Whether their folder had changes that were in no commit.
    pub git_dirty: Option<bool>,
    /// The page of the CI job.
    pub ci_url: Option<String>,
}

/// An alert about a migration that did not get through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedAlert {
    /// What the hook is called.
    pub hook: String,
    /// What it was to be told.
    pub event: String,
    /// When, in UTC.
    pub at: String,
    /// Why it failed.
    pub error: String,
}

/// A hook that has failed since it last worked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailingHook {
    /// What it is called.
    pub hook: String,
    /// So many alerts did not get through.
    pub alerts: i64,
    /// When the first of them did not, in UTC.
    pub since: String,
    /// What it was to be told last.
    pub event: String,
    /// When, in UTC.
    pub at: String,
    /// Why that failed.
    pub error: String,
}

/// One event: what happened, and who did it from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEvent {
    /// When, in UTC.
    pub at: String,
    /// The command that it is of: the same for all its events. None in what earlier versions wrote.
    pub run_id: Option<String>,
    /// The migration's version; none for a backfill that was called for alone.
    pub version: Option<String>,
    /// The migration's name; of such a backfill its arguments.
    pub name: String,
    /// Its kind, as the journal spells it.
    pub event: String,
    /// For people.
    pub text: String,
    /// The step that it is about, from 1.
    pub step: Option<usize>,
    /// How long that step took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// The error, where it is a failure.
    pub error: Option<String>,
    /// The person or the robot behind the command.
    pub actor: String,
    /// The role of the database session. None in what earlier versions wrote.
    pub db_user: Option<String>,
    /// The host that it ran on.
    pub host: Option<String>,
    /// The version of crossfade.
    pub tool_version: String,
    /// The commit that the migrations were of.
    pub git_commit: Option<String>,
    /// Whether their folder had changes that were in no commit.
    pub git_dirty: Option<bool>,
    /// The page of the CI job.
    pub ci_url: Option<String>,
    /// What the step runs, where it begins and was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sql: Vec<String>,
}
