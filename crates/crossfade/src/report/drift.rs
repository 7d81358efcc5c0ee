//! What `drift` found.

use crossfade_core::journal::State;
use crossfade_core::schema::Change;
use crossfade_core::schema::Difference;
use serde::Serialize;

/// What `drift` found.
#[derive(Clone, Debug, Serialize)]
pub struct DriftReport {
    /// [`super::REPORT_FORMAT`].
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// Where the migrations were run to compare with.
    pub scratch: String,
    /// How many migrations were run there.
    pub applied: usize,
    /// Migrations that are under way; their steps were repeated as far as they have come.
    pub under_way: Vec<UnderWay>,
    /// Whether the statements change the database, or what the migrations make.
    pub towards: Towards,
    /// What to run before the statements, in the same session.
    pub preamble: Vec<String>,
    /// What differs, in an order that can be run.
    pub changes: Vec<ChangeReport>,
    /// Objects that the configuration passes over.
    pub ignored: usize,
    /// What is in the database and is never compared.
    pub uncompared: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

/// Which of the two sides the statements change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Towards {
    /// They make the database as the migrations say.
    #[default]
    Migrations,
    /// They make what the migrations say as the database is: the text of a migration that takes the drift in.
    Database,
}

/// A migration that is under way.
#[derive(Clone, Debug, Serialize)]
pub struct UnderWay {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: State,
}

/// One thing that differs between two schemas.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeReport {
    /// The object's kind: `table`, `column` …
    pub kind: String,
    /// The object with its kind, as people write it.
    pub object: String,
    /// What differs, in one sentence.
    pub sentence: String,
    /// What to run.
    pub sql: Vec<String>,
    /// Whether that loses data which can't be brought back.
    pub loses_data: bool,
}

impl From<&Change> for ChangeReport {
    fn from(change: &Change) -> ChangeReport {
        ChangeReport {
            kind: change.object.kind.word().to_owned(),
            object: change.object.to_string(),
            sentence: change.sentence.clone(),
            sql: change.statements.iter().map(ToString::to_string).collect(),
            loses_data: change.loses_rows,
        }
    }
}

/// All changes of a difference.
pub(crate) fn changes(difference: &Difference) -> Vec<ChangeReport> {
    difference.changes.iter().map(ChangeReport::from).collect()
}
