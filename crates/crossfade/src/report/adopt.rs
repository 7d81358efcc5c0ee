//! What `adopt` would take over, or has taken over.

use serde::Serialize;

use super::DriftReport;

/// A history of another tool beside the folder.
#[derive(Clone, Debug, Serialize)]
pub struct AdoptReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// The tool.
    pub tool: &'static str,
    /// Its history table.
    pub table: String,
    /// How its files are laid out, as `layout` in crossfade.toml has it; none where they are not SQL.
    pub layout: Option<&'static str>,
    /// Whether it was taken over. Otherwise this is what would be.
    pub adopted: bool,
    /// Whether the other tool's history refuses to be written.
    pub fenced: bool,
    /// The database beside what the files make on a scratch database, where that was asked for. Where they differ nothing was taken over.
    pub proof: Option<Box<DriftReport>>,
    /// What had to be assumed, because the history does not say it.
    pub assumption: Option<String>,
    /// What else is to be known before it goes on with us.
    pub notes: Vec<String>,
    /// Every migration that the history or the folder knows.
    pub migrations: Vec<AdoptMigration>,
    /// What stands against taking it over.
    pub obstacles: Vec<AdoptObstacle>,
}

impl AdoptReport {
    /// Whether the files make another schema than the database has.
    pub fn is_disproved(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| !proof.changes.is_empty())
    }
}

/// A migration of an [`AdoptReport`].
#[derive(Clone, Debug, Serialize)]
pub struct AdoptMigration {
    /// Its version with us.
    pub version: String,
    /// Its name.
    pub name: String,
    /// What the other tool calls it; none for what it does not know.
    pub identity: Option<String>,
    /// Its file.
    pub file: Option<String>,
    /// What the history and the folder say of it.
    pub state: AdoptState,
    /// When it was applied, in UTC, where the history says so.
    pub applied_at: Option<String>,
    /// Whether our journal has it already.
    pub known: bool,
}

/// What stands against taking a history over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdoptObstacle {
    /// What it is.
    pub what: String,
    /// What to do.
    pub hint: String,
}

/// What a history and a folder say of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptState {
    /// Applied, and the file is as it was.
    Verified,
    /// Applied, and the file differs in line ends or a byte order mark.
    LineEnds,
    /// Applied, and the history holds nothing to compare the file with.
    Unverified,
    /// Applied, and the file says something else now.
    Differs,
    /// Applied, and the file is gone.
    Missing,
    /// Applied, and it never was SQL.
    NotSql,
    /// Not applied.
    Pending,
    /// Not applied, though a later one is.
    Late,
}

impl AdoptState {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            AdoptState::Verified => "applied, verified",
            AdoptState::LineEnds => "applied, only line endings differ",
            AdoptState::Unverified => "applied, nothing to verify it by",
            AdoptState::Differs => "applied, text differs",
            AdoptState::Missing => "applied, file missing",
            AdoptState::NotSql => "applied, not SQL",
            AdoptState::Pending => "pending",
            AdoptState::Late => "pending but below the newest",
        }
    }

    /// Whether the history has it as applied.
    pub fn is_applied(self) -> bool {
        match self {
            AdoptState::Verified
            | AdoptState::LineEnds
            | AdoptState::Unverified
            | AdoptState::Differs
            | AdoptState::Missing
            | AdoptState::NotSql => true,
            AdoptState::Pending | AdoptState::Late => false,
        }
    }
}

/// What `adopt --undo` and `adopt --unfence` have taken back.
#[derive(Clone, Debug, Serialize)]
pub struct GivenBackReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The versions that our journal has forgotten.
    pub migrations: Vec<String>,
    /// The history tables that have no fence any more.
    pub unfenced: Vec<String>,
}
