//! What a person wants to know before migrations run.

use crossfade_core::runbook::Runbook;
use serde::Serialize;

use super::CheckFinding;
use crate::error::Error;
use crate::error::FileFindings;

/// What `plan --format markdown` shows.
#[derive(Clone, Debug, Serialize)]
pub struct RunbookReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// The server's major version.
    pub server: u32,
    /// The database's size.
    pub database_bytes: u64,
    /// Receivers of the log that are connected.
    pub replicas: u32,
    /// Slots that decode it for this database.
    pub logical_slots: u32,
    /// How long a strong lock is asked for at a time.
    pub lock_timeout_ms: u64,
    /// How long it is tried again.
    pub lock_budget_ms: u64,
    /// One for each migration, in order.
    pub runbooks: Vec<Runbook>,
    /// Migrations that can only be planned once others have run, and why.
    pub unplanned: Vec<String>,
    /// The first one that is refused; nothing behind it is planned.
    pub refused: Option<RunbookRefusal>,
}

/// Why a migration is refused.
#[derive(Clone, Debug, Serialize)]
pub struct RunbookRefusal {
    /// Which one, in a sentence.
    pub message: String,
    /// What is wrong with it.
    pub findings: Vec<CheckFinding>,
    /// The findings with the texts that they point into.
    #[serde(skip)]
    pub sources: Vec<FileFindings>,
}

impl RunbookRefusal {
    pub(crate) fn of(error: &Error) -> RunbookRefusal {
        let mut findings = CheckFinding::of(error.findings());
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        RunbookRefusal { message: error.chain(), findings, sources: error.findings().to_vec() }
    }
}
