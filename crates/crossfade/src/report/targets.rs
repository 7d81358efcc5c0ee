//! What a command came to on several databases.

use serde::Serialize;

/// A command on each of several databases or schemas.
#[derive(Clone, Debug, Serialize)]
pub struct TargetsReport<R, E> {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Each of them, the canaries at their head.
    pub targets: Vec<TargetReport<R, E>>,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub struct TargetReport<R, E> {
    /// What it is called in crossfade.toml.
    pub name: String,
    /// The database, without secrets.
    pub database: String,
    /// The tenant's schema, where it is one.
    pub schema: Option<String>,
    /// Whether it went first.
    pub canary: bool,
    /// How it ended.
    pub state: TargetState,
    /// How long it took.
    pub seconds: f64,
    /// The document of the command, where it came to its end.
    pub report: Option<R>,
    /// Why it did not.
    pub error: Option<E>,
}

/// How a command ended on one of several databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// As it should.
    Done,
    /// The work failed.
    Failed,
    /// It was refused; nothing was changed.
    Refused,
    /// It ended at a safe point, because another one failed.
    Stopped,
    /// It was not begun.
    NotBegun,
}

impl TargetState {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            TargetState::Done => "done",
            TargetState::Failed => "failed",
            TargetState::Refused => "refused",
            TargetState::Stopped => "stopped",
            TargetState::NotBegun => "not begun",
        }
    }
}
