//! Who still uses the old form.

use crossfade_core::journal::State;
use serde::Serialize;

/// Who still uses the old form of migrations that are under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UsageReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// One entry a migration, in order.
    pub migrations: Vec<MigrationUsage>,
}

/// Who still uses the old form of one migration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MigrationUsage {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Since when it waits for the deploy, in UTC.
    pub ready_since: Option<String>,
    /// For how long nobody may have been seen to use the old form, in seconds, before contract takes it away.
    pub quiet_for_seconds: f64,
    /// What contract takes away.
    pub old_forms: Vec<String>,
    /// What was seen of its use, the last first.
    pub seen: Vec<SeenUse>,
    /// Sessions that were opened before it waited for the deploy, and so may run old code.
    pub old_sessions: Vec<OldSessions>,
    /// What can't be seen, and so says nothing, one line each.
    pub unseen: Vec<String>,
    /// Why contract would be refused now, one line each.
    pub reasons: Vec<String>,
}

/// A use of an old form.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeenUse {
    /// What was used.
    pub old_form: String,
    /// How it was seen.
    pub by: SeenBy,
    /// Whether it is certain.
    pub certain: bool,
    /// Why it is not, where it is not.
    pub doubt: Option<String>,
    /// The name that the application gives itself.
    pub application: Option<String>,
    /// The address that it comes from; none for a socket of the server's own host.
    pub address: Option<String>,
    /// The role.
    pub user: Option<String>,
    /// The statement, without its values.
    pub statement: Option<String>,
    /// How often: calls of a statement since it was counted first, minutes in which a session wrote.
    pub times: Option<i64>,
    /// In UTC.
    pub last_seen: String,
    /// The same as seconds from now.
    pub seconds_ago: f64,
}

/// How a use was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenBy {
    /// The sync saw that the old side of a row was written.
    Write,
    /// The last statement of a session that is open.
    Session,
    /// The calls of a statement, by `pg_stat_statements`.
    Statement,
}

/// Sessions of one application.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OldSessions {
    /// The name that it gives itself.
    pub application: String,
    /// Where it comes from; none for a socket of the server's own host.
    pub address: Option<String>,
    /// The role.
    pub user: String,
    /// How many.
    pub sessions: i64,
    /// When the oldest was opened, in UTC.
    pub oldest: String,
}

/// Who was seen last to use the old form of a migration, as `status` says it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OldFormStatus {
    /// The last use that is certain; none where none was seen.
    pub last: Option<SeenUse>,
    /// How many reasons there are to refuse contract now: `crossfade usage` names them.
    pub reasons: usize,
}

impl MigrationUsage {
    /// The same in short; none where nothing has an old form.
    pub fn into_status(self) -> Option<OldFormStatus> {
        if self.old_forms.is_empty() && self.reasons.is_empty() {
            return None;
        }
        let reasons = self.reasons.len();
        Some(OldFormStatus { last: self.seen.into_iter().find(|seen| seen.certain), reasons })
    }
}
