//! What a rehearsal showed.

use crossfade_core::lock::LockMode;
use crossfade_core::runbook::Estimate;
use crossfade_core::step::Phase;
use serde::Serialize;

use super::ChangeReport;
use super::ChangedRows;

/// What a rehearsal showed.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsalReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// The migration's version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// What went wrong, one line each; empty where nothing did.
    pub problems: Vec<String>,
    /// The database whose schema it was, without secrets; none where the migrations before it made the schema.
    pub database: Option<String>,
    /// Where it was rehearsed.
    pub scratch: String,
    /// Migrations that are pending before it, and were run first.
    pub before: Vec<String>,
    /// Whether the migration waits for a deploy.
    pub phased: bool,
    /// The tables, with the rows that were made up.
    pub tables: Vec<RehearsedTable>,
    /// What the old version of the application ran.
    pub old: RehearsedApplication,
    /// What the new version ran.
    pub new: RehearsedApplication,
    /// What happened, in order.
    pub stages: Vec<RehearsedStage>,
    /// The steps of the plan as they ran the first time.
    pub steps: Vec<RehearsedStep>,
    /// Locks that were seen on tables, beside those that the plan declares.
    pub locks: Vec<RehearsedLock>,
    /// What each way back left.
    pub ways_back: Vec<RehearsedWayBack>,
    /// Where the migration itself failed.
    pub failed: Option<RehearsalFailure>,
    /// Writes that the applications made and that are gone, and rows that nobody changed and that are not what they were; one line each.
    pub lost: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

impl RehearsalReport {
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// What of the rest went wrong.
    pub(crate) fn find_problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        if let Some(failed) = &self.failed {
            found.push(format!("{} failed: {}", failed.stage, failed.error));
        }
        for stage in &self.stages {
            for (which, calls) in [("old", &stage.old), ("new", &stage.new)] {
                if let Some(calls) = calls.as_ref().filter(|calls| calls.errors > 0) {
                    let first = calls.messages.first().map(|message| format!(", first: {message}")).unwrap_or_default();
                    let many =
                        if calls.errors == 1 { "1 error".to_owned() } else { format!("{} errors", calls.errors) };
                    found.push(format!("{many} of the {which} version in {}{first}", stage.name));
                }
            }
        }
        for lock in self.locks.iter().filter(|lock| lock.stronger) {
            found.push(format!("{} on {} in {}: the plan does not declare that", lock.seen, lock.table, lock.stage));
        }
        for way in self.ways_back.iter().filter(|way| !way.is_right()) {
            let why = match &way.error {
                Some(error) => error.clone(),
                None => "it does not restore what was there".to_owned(),
            };
            found.push(format!("rollback from {}: {why}", way.from));
        }
        found.extend(self.lost.iter().cloned());
        found
    }
}

/// A table of the scratch database.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedTable {
    /// The table.
    pub table: String,
    /// How many rows the real one has, as its statistics have it.
    pub real_rows: Option<u64>,
    /// How many were made up.
    pub rows: u64,
    /// Why there are fewer than were wanted.
    pub why: Option<String>,
}

/// What a version of the application ran.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RehearsedApplication {
    /// Where its queries are from.
    pub source: String,
    /// How many different ones.
    pub queries: usize,
    /// Those that could not be played, and why.
    pub left_out: Vec<LeftOut>,
}

/// A query that could not be played.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The query.
    pub query: String,
    /// Why.
    pub why: String,
}

/// A part of the rehearsal.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedStage {
    /// Its name.
    pub name: String,
    /// How long it took.
    pub took_ms: u64,
    /// What the old version did in it; none: it does not run then.
    pub old: Option<Calls>,
    /// What the new version did in it; none: it does not run then.
    pub new: Option<Calls>,
}

/// What a version of the application did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Statements that were sent.
    pub statements: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// The first message of each kind of error, with its query.
    pub messages: Vec<String>,
    /// The longest that one took, in milliseconds.
    pub longest_ms: u64,
}

/// A step as it ran.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedStep {
    /// Its position, from 1.
    pub number: usize,
    /// Its phase.
    pub phase: Phase,
    /// What it does.
    pub summary: String,
    /// How long it took here.
    pub took_ms: u64,
    /// How long it takes at the real size; none where that is not known.
    pub real: Option<Estimate>,
}

/// A lock that was seen or declared.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedLock {
    /// The part of the rehearsal.
    pub stage: String,
    /// The table.
    pub table: String,
    /// The strongest mode that was seen.
    pub seen: LockMode,
    /// The strongest that the plan declares; none: no lock that keeps others out.
    pub declared: Option<LockMode>,
    /// The longest that it was seen without a break, in milliseconds.
    pub held_ms: u64,
    /// Whether it is stronger than declared.
    pub stronger: bool,
}

/// What a way back left.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedWayBack {
    /// From where.
    pub from: String,
    /// Why it could not be gone.
    pub error: Option<String>,
    /// What would have to be run to come back to the schema of before.
    pub changes: Vec<ChangeReport>,
    /// Tables with rows that are not what they were.
    pub rows: Vec<ChangedRows>,
}

impl RehearsedWayBack {
    /// Whether it leads where it should.
    pub fn is_right(&self) -> bool {
        self.error.is_none() && self.changes.is_empty() && self.rows.is_empty()
    }
}

/// Where the migration itself failed.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsalFailure {
    /// In which part.
    pub stage: String,
    /// Why.
    pub error: String,
}
