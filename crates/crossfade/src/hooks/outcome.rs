//! What came of a call, as a value: for whoever runs, and for the journal.

use std::time::Duration;
use std::time::Instant;

use super::alert::Alert;
use super::event::HookEvent;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For whoever runs: with the last line that a command wrote, or with what an address answered.
    pub why: String,
    /// For the journal, which others read: without anything that somebody else has written.
    pub brief: String,
}

impl Failure {
    /// What is ours to say, and what stands behind it for whoever runs.
    pub fn new(brief: impl Into<String>, more: &str) -> Failure {
        let brief = brief.into();
        Failure { why: format!("{brief}{more}"), brief }
    }

    /// The same with more words of ours.
    #[must_use]
    pub fn and(self, words: &str) -> Failure {
        Failure { why: format!("{}{words}", self.why), brief: format!("{}{words}", self.brief) }
    }
}

impl From<String> for Failure {
    fn from(why: String) -> Failure {
        Failure { brief: why.clone(), why }
    }
}

/// An alert that a hook was told, or was not.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// What the hook is called.
    pub hook: String,
    pub event: HookEvent,
    pub version: Option<String>,
    pub name: Option<String>,
    /// Whether it was only a trial.
    pub test: bool,
    pub ended: Instant,
    /// How long the call took, with all its tries.
    pub took: Duration,
    /// Why it failed, where it did.
    pub failed: Option<String>,
}

impl Outcome {
    /// Of a call that is still to be made.
    pub fn of(hook: &str, alert: &Alert) -> Outcome {
        Outcome {
            hook: hook.to_owned(),
            event: alert.event,
            version: alert.version.clone(),
            name: alert.name.clone(),
            test: alert.test,
            ended: Instant::now(),
            took: Duration::ZERO,
            failed: None,
        }
    }

    /// It has come to its end, and took so long.
    #[must_use]
    pub fn ended(self, took: Duration, failed: Option<String>) -> Outcome {
        Outcome { ended: Instant::now(), took, failed, ..self }
    }
}
