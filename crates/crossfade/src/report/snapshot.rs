//! What is to be seen of a database at one moment, for whoever watches: `serve` and `watch`.

use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use serde::Serialize;

use super::FailingHook;
use super::HistoryAlert;
use super::HistoryEvent;
use super::OldFormStatus;
use super::PauseReport;
use super::ProgressReport;
use super::SignalReport;
use super::StatusReport;
use super::StepReport;
use super::WaitedReport;

/// One look at everything that concerns migrations.
#[derive(Clone, Debug, Serialize)]
pub struct Snapshot {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// When it was taken by the server's clock, in UTC.
    pub taken_at: String,
    /// How long it took to take it.
    pub took_seconds: f64,
    /// What `status` shows.
    pub status: StatusReport,
    /// Every plan that was begun and is not over, in order.
    pub flights: Vec<Flight>,
    /// Sessions that wait for a lock, where a migration's table or a session of ours is part of it.
    pub lock_waits: Vec<LockWait>,
    /// Receivers of the log, and how far each is behind.
    pub replicas: Vec<ReplicaReport>,
    /// What the throttle's signals say that are read from the server's statistics.
    pub signals: Vec<SignalReport>,
    /// The share of the time that filling may take at most.
    pub duty: f64,
    /// How long the last commit took that whoever runs has measured; none while nobody measures.
    pub commit_seconds: Option<f64>,
    /// How old the oldest transaction is that holds a snapshot; none where this role may not see it.
    pub oldest_transaction_seconds: Option<f64>,
    /// The newest events of the journal, the oldest of them first.
    pub events: Vec<HistoryEvent>,
    /// The newest alerts that hooks were told, or were not, the oldest of them first.
    pub alerts: Vec<HistoryAlert>,
    /// Hooks of crossfade.toml that have failed since they last worked.
    pub failing_hooks: Vec<FailingHook>,
    /// What could not be seen, and why, one line each.
    pub unseen: Vec<String>,
}

/// A plan that was begun and is not over.
#[derive(Clone, Debug, Serialize)]
pub struct Flight {
    /// What it is called: the migration's version, or the command of a backfill that was called for alone.
    pub key: String,
    /// The migration's version; none for a backfill that was called for alone.
    pub version: Option<String>,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// What it waits for, or what to do next.
    pub next: Option<String>,
    /// The step that it is at.
    pub step: Option<StepReport>,
    /// How far the chunked step that it is at has come.
    pub progress: Option<ProgressReport>,
    /// Blocks that this step has swept, of the relations that it has begun; none where it goes by keys.
    pub blocks: Option<BlocksReport>,
    /// Rows a second of late, pauses and all; none until two looks can be compared.
    pub pace: Option<f64>,
    /// Why it waits now, where it does.
    pub pause: Option<PauseReport>,
    /// What the step that it is at has waited for so far.
    pub waited: Vec<WaitedReport>,
    /// Rows that are set aside, because the server refuses their new value.
    pub parked: u64,
    /// Who was seen last to use the old form, where it waits for the deploy; looked at every 30 seconds.
    pub old_form: Option<OldFormStatus>,
    /// The last error, where it failed.
    pub error: Option<String>,
    /// Every step, in order.
    pub steps: Vec<FlightStep>,
    /// The tables that it works on.
    pub tables: Vec<String>,
}

impl Flight {
    /// Whether somebody asked for the pause that it is in.
    pub fn is_paused_by_a_person(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.by.is_some())
    }

    /// Whether it is on its way, and not at a hold.
    pub fn is_under_way(&self) -> bool {
        match self.state {
            State::Expanding | State::Migrating | State::Contracting | State::RollingBack | State::Failed => true,
            State::Pending | State::Ready | State::Contracted | State::Applied | State::RolledBack => false,
        }
    }
}

/// A step of a [`Flight`].
#[derive(Clone, Debug, Serialize)]
pub struct FlightStep {
    /// Its position, from 1.
    pub number: usize,
    /// Its phase.
    pub phase: &'static str,
    /// Its kind: `ddl`, `backfill` …
    pub kind: &'static str,
    /// What it does.
    pub summary: String,
    /// Where it stands.
    pub status: StepStatus,
    /// How long it took, in milliseconds, where it is done.
    pub took_ms: Option<u64>,
}

/// Blocks of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlocksReport {
    /// So far.
    pub done: u64,
    /// In all.
    pub all: u64,
}

/// A session that waits for a lock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LockWait {
    /// Who waits.
    pub waiter: SessionReport,
    /// The mode that it asks for, as `pg_locks` spells it.
    pub mode: String,
    /// The relation; none where it waits for a transaction or something else.
    pub relation: Option<String>,
    /// How long it has waited.
    pub seconds: f64,
    /// Who is in the way.
    pub blockers: Vec<SessionReport>,
}

/// A session of the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionReport {
    /// Its process; 0 for a prepared transaction.
    pub pid: i32,
    /// Its application's name.
    pub application: String,
    /// Its role.
    pub user: Option<String>,
    /// Where it is connected from; none over a Unix socket.
    pub address: Option<String>,
    /// `active`, `idle in transaction` …; none where this role may not see it.
    pub state: Option<String>,
    /// How long its transaction has been open.
    pub transaction_seconds: Option<f64>,
    /// What it runs or ran last, shortened; none where this role may not see it, or it is held back.
    pub query: Option<String>,
    /// Whether it is one of Crossfade's.
    pub ours: bool,
}

/// A receiver of the log.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicaReport {
    /// Its `application_name`.
    pub name: String,
    /// How far it is behind in time.
    pub lag_seconds: Option<f64>,
    /// How much of the log it lacks.
    pub lag_bytes: Option<u64>,
    /// Why that can't be said.
    pub error: Option<String>,
}
