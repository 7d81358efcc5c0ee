//! What a person or a program wants to see, as plain data: the documents behind `--json`.
//!
//! Each has a `format` that grows when a reader could misread it; fields are added freely.

mod baseline;
mod check;
mod doctor;
mod drift;
mod goto;
mod history;
mod hooks;
mod lint;
mod rehearsal;
mod renumber;
mod repair;
mod runbook;
mod sight;
mod snapshot;
mod squash;
mod targets;
mod tested;
mod usage;
mod verify;
mod wait;

mod adopt;

pub use adopt::AdoptMigration;
pub use adopt::AdoptObstacle;
pub use adopt::AdoptReport;
pub use adopt::AdoptState;
pub use adopt::GivenBackReport;
use crossfade_core::journal::State;
use crossfade_core::step::Plan;
use serde::Serialize;

pub use baseline::BaselineMigration;
pub use baseline::BaselineReport;
pub use check::CheckFinding;
pub use check::CheckReport;
pub use check::CheckedBase;
pub use check::CheckedPlan;
pub use doctor::Complaint;
pub use doctor::DoctorReport;
pub use drift::ChangeReport;
pub use drift::DriftReport;
pub use drift::Towards;
pub use drift::UnderWay;
pub(crate) use drift::changes as drift_changes;
pub use goto::Direction;
pub use goto::GotoReport;
pub use goto::Leg;
pub use history::FailedAlert;
pub use history::FailingHook;
pub use history::HistoryAlert;
pub use history::HistoryEvent;
pub use history::HistoryReport;
pub use hooks::HookReport;
pub use hooks::HooksReport;
pub use lint::LintPlace;
pub use lint::LintReport;
pub use lint::LintedFile;
pub use lint::RuleReport;
pub use rehearsal::Calls;
pub use rehearsal::LeftOut;
pub use rehearsal::RehearsalFailure;
pub use rehearsal::RehearsalReport;
pub use rehearsal::RehearsedApplication;
pub use rehearsal::RehearsedLock;
pub use rehearsal::RehearsedStage;
pub use rehearsal::RehearsedStep;
pub use rehearsal::RehearsedTable;
pub use rehearsal::RehearsedWayBack;
pub use renumber::RenamedFile;
pub use renumber::RenumberReport;
pub use renumber::RenumberedMigration;
pub use repair::Change;
pub use repair::RepairMigration;
pub use repair::RepairReport;
pub use runbook::RunbookRefusal;
pub use runbook::RunbookReport;
pub use sight::ComparedReport;
pub use sight::KeptVerifyingReport;
pub use sight::ListeningReport;
pub use sight::SightReport;
pub use sight::UnreachedReport;
pub use snapshot::BlocksReport;
pub use snapshot::Flight;
pub use snapshot::FlightStep;
pub use snapshot::LockWait;
pub use snapshot::ReplicaReport;
pub use snapshot::SessionReport;
pub use snapshot::Snapshot;
pub use squash::SquashReport;
pub use targets::TargetReport;
pub use targets::TargetState;
pub use targets::TargetsReport;
pub use tested::ChangedRows;
pub use tested::TestReport;
pub use tested::TestedMigration;
pub use tested::TestedWay;
pub use tested::Way;
pub use usage::MigrationUsage;
pub use usage::OldFormStatus;
pub use usage::OldSessions;
pub use usage::SeenBy;
pub use usage::SeenUse;
pub use usage::UsageReport;
pub use verify::VerifyReport;
pub use verify::VerifyTable;
pub use wait::WaitReport;

/// The format of the documents here.
pub const REPORT_FORMAT: u32 = 1;

/// What `status` shows.
#[derive(Clone, Debug, Serialize)]
pub struct StatusReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// How the folder keeps its migrations, as it was found or named; none where there is no folder.
    pub layout: Option<&'static str>,
    /// Who runs a migration right now.
    pub runner: Option<Runner>,
    /// Every migration, in order.
    pub migrations: Vec<MigrationStatus>,
    /// What `crossfade backfill` was called for, the oldest first, each as its newest sweep stands.
    pub backfills: Vec<BackfillStatus>,
    /// What is unusual with the files and the tracking table and stops nothing, one line each.
    pub warnings: Vec<String>,
    /// What is wrong with the files and the tracking table, one line each.
    pub problems: Vec<String>,
}

/// The holder of the lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runner {
    /// Its host.
    pub host: String,
    /// Its process.
    pub pid: i32,
    /// Since when, in UTC.
    pub since: String,
}

/// One migration.
#[derive(Clone, Debug, Serialize)]
pub struct MigrationStatus {
    /// Its version, as the file name has it.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// What it waits for, or what to do next.
    pub next: Option<String>,
    /// The step that it is at, where it has begun and is not finished.
    pub step: Option<StepReport>,
    /// How far the chunked step that it is at has come.
    pub progress: Option<ProgressReport>,
    /// Why it waits now, where it does.
    pub pause: Option<PauseReport>,
    /// What the step that it is at has waited for so far.
    pub waited: Vec<WaitedReport>,
    /// Rows that are set aside, because the server refuses their new value.
    pub parked: u64,
    /// The last error, where it failed.
    pub error: Option<String>,
    /// When it was finished, in UTC.
    pub applied_at: Option<String>,
    /// How long its steps took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The role that ran it.
    pub applied_by: Option<String>,
    /// Until when the old form is retained by the configuration, in UTC; `purge` drops it at any time.
    pub retained_until: Option<String>,
    /// Who was seen last to use the old form, where it waits for the deploy.
    pub old_form: Option<OldFormStatus>,
    /// Of each hook whose newest alert about it did not get through, that alert; while it is not over.
    pub failed_alerts: Vec<FailedAlert>,
    /// What ran it: `crossfade`, the tool that it was taken over from, or `baseline`.
    pub origin: String,
    /// Whether its file is there.
    pub file: bool,
    /// Why its file may be missing; none: it may not.
    pub missing_because: Option<String>,
    /// Whether it has a way back beside it, or in the same file.
    pub down_file: bool,
    /// `versioned`, `repeatable` or `baseline`.
    pub kind: &'static str,
    /// Whether it comes before what was run already, or was run after a higher version.
    pub out_of_order: bool,
}

/// A backfill that was called for alone.
#[derive(Clone, Debug, Serialize)]
pub struct BackfillStatus {
    /// The command that goes on with it, or begins it anew.
    pub command: String,
    /// What it comes to, as one statement.
    pub statement: String,
    /// `migrating`, `failed` or `applied`.
    pub state: State,
    /// What to do next.
    pub next: Option<String>,
    /// The step that it is at, where it is not finished.
    pub step: Option<StepReport>,
    /// How far its sweep has come.
    pub progress: Option<ProgressReport>,
    /// Why it waits now, where it does.
    pub pause: Option<PauseReport>,
    /// What its sweep has waited for so far.
    pub waited: Vec<WaitedReport>,
    /// Rows that are set aside, because the server refuses them.
    pub parked: u64,
    /// The last error, where it failed.
    pub error: Option<String>,
}

/// What `backfill` has done.
#[derive(Clone, Debug, Serialize)]
pub struct BackfillReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The table.
    pub table: String,
    /// What it came to, as one statement.
    pub statement: String,
    /// Its state now.
    pub state: State,
    /// How often the table was swept, until no row was left.
    pub sweeps: u32,
    /// Rows that were changed in these sweeps, before an interruption, too.
    pub rows: u64,
}

/// A step by position and text.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Its position, from 1.
    pub number: usize,
    /// Steps in all.
    pub of: usize,
    /// Its phase.
    pub phase: &'static str,
    /// What it does.
    pub summary: String,
}

/// How far a chunked step is.
#[derive(Clone, Debug, Serialize)]
pub struct ProgressReport {
    /// Rows so far.
    pub rows: u64,
    /// Rows in all, as the statistics have it.
    pub estimated_rows: u64,
    /// How much is swept, 0 to 1.
    pub fraction: f64,
    /// Rows a second while chunks ran.
    pub rows_per_second: f64,
    /// Seconds left at the pace so far, without the time that it waited.
    pub eta_seconds: Option<f64>,
    /// Seconds left if it waits as much as so far.
    pub eta_with_pauses_seconds: Option<f64>,
}

/// Why a migration waits.
#[derive(Clone, Debug, Serialize)]
pub struct PauseReport {
    /// `pause` where somebody asked for it; else the signal of the throttle.
    pub signal: String,
    /// For people.
    pub reason: String,
    /// Since when, in UTC.
    pub since: Option<String>,
    /// Who asked for it.
    pub by: Option<String>,
    /// On which host.
    pub host: Option<String>,
}

/// Time that a step has spent waiting for one reason.
#[derive(Clone, Debug, Serialize)]
pub struct WaitedReport {
    /// The signal.
    pub signal: String,
    /// Which of several: a replica, a slot.
    pub scope: String,
    /// The last reason of this kind.
    pub reason: String,
    /// How often.
    pub times: i64,
    /// Seconds in all.
    pub seconds: f64,
    /// Share of the time that the step has run so far, 0 to 1.
    pub share: f64,
}

/// What `throttle` shows.
#[derive(Clone, Debug, Serialize)]
pub struct ThrottleReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// Every setting.
    pub settings: Vec<SettingReport>,
    /// What every signal says now that is switched on.
    pub signals: Vec<SignalReport>,
}

/// A setting of the throttle.
#[derive(Clone, Debug, Serialize)]
pub struct SettingReport {
    /// Its key.
    pub key: &'static str,
    /// Its value as it would be written; `off` for what is switched off.
    pub value: String,
    /// Where it comes from: `default`, `file`, `live`.
    pub source: &'static str,
    /// Who set it live.
    pub set_by: Option<String>,
    /// On which host.
    pub host: Option<String>,
    /// When, in UTC.
    pub set_at: Option<String>,
    /// Until when it holds, in UTC.
    pub until: Option<String>,
}

/// What a signal says.
#[derive(Clone, Debug, Serialize)]
pub struct SignalReport {
    /// The signal.
    pub signal: &'static str,
    /// Which of several: a replica, a slot.
    pub scope: String,
    /// Its value: seconds, bytes, a share or a count; none where it can't be measured.
    pub value: Option<f64>,
    /// Its limit; none where it only says yes or no.
    pub limit: Option<f64>,
    /// Whether the work would wait for it, or be slowed down.
    pub over: bool,
    /// For people.
    pub text: String,
    /// Why it can't be measured.
    pub error: Option<String>,
}

/// What `plan` shows.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The plans, in order.
    pub plans: Vec<Plan>,
    /// Migrations that can only be planned once others have run, and why.
    pub unplanned: Vec<String>,
}

/// What a command that changes something has done.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    /// [`REPORT_FORMAT`].
    pub format: u32,
    /// The migrations that it worked on, as they are now.
    pub migrations: Vec<RunMigration>,
}

/// One migration of a [`RunReport`].
#[derive(Clone, Debug, Serialize)]
pub struct RunMigration {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its state now.
    pub state: State,
    /// What it waits for, or what to do next.
    pub next: Option<String>,
}
