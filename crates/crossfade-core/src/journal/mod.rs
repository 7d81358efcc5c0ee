//! The intent log: events, the one table of legal transitions, what they add up to, and what to do next.
//!
//! It is no debug log. An event is there because recovery needs it.

mod decide;
mod fold;
mod words;

pub use decide::Decision;
pub use decide::decide;
pub use decide::is_for_good;
pub use fold::BackfillProgress;
pub use fold::Direction;
pub use fold::IllegalEvent;
pub use fold::Progress;
pub use fold::StepStatus;
pub use fold::fold;
pub use fold::state_of;

use serde::Deserialize;
use serde::Serialize;

use crate::backfill::Cursor;
use crate::step::StepId;

/// What happened, in the order in which it was committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The plan was stored.
    PlanRecorded,
    /// A step is about to run.
    StepStarted {
        /// The step.
        step: StepId,
    },
    /// A chunk was committed. Stored as the cursor's row, not as a row of its own.
    ChunkDone {
        /// The step.
        step: StepId,
        /// Where the next chunk begins.
        cursor: Cursor,
        /// Rows changed (backfill) or read (verify) so far.
        rows: u64,
        /// Time spent in chunks so far, in milliseconds.
        took_ms: u64,
    },
    /// A step is done.
    StepSucceeded {
        /// The step.
        step: StepId,
        /// How long it took, in milliseconds.
        took_ms: u64,
    },
    /// A step failed and left nothing behind that its next run would not mend.
    StepFailed {
        /// The step.
        step: StepId,
        /// The error, with its causes.
        error: String,
    },
    /// A step is about to be undone.
    UndoStarted {
        /// The step.
        step: StepId,
    },
    /// A step is undone.
    UndoSucceeded {
        /// The step.
        step: StepId,
    },
    /// An undo failed; it may be tried again.
    UndoFailed {
        /// The step.
        step: StepId,
        /// The error, with its causes.
        error: String,
    },
    /// The plan before it was mended from a step that had failed on: its first steps are done, and are not run again.
    Kept {
        /// How many.
        steps: u16,
    },
    /// Nothing was run: it stood in the database already.
    TakenOver {
        /// The tool that ran it, or `baseline`.
        origin: String,
    },
    /// Another text was accepted for the one that was run.
    Repaired {
        /// Checksum of the text until then.
        from: String,
        /// Checksum of the accepted text.
        to: String,
        /// The accepted text.
        up_sql: String,
        /// The text of its down file, where there was one then.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        down_sql: Option<String>,
    },
    /// Its file is gone for good, and is no longer missed.
    FileForgotten,
    /// What was taken over is the other tool's again: it is as if it had never been.
    GivenBack,
    /// Somebody asked for something.
    Requested {
        /// What for.
        request: Request,
        /// Why, in the words of who asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// What a person may ask of a plan in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Stop at the next chunk boundary.
    Pause,
    /// Go on.
    Resume,
    /// Let go of the hold before contract.
    Contract,
    /// Undo everything.
    Rollback,
    /// Let go of the hold before purge.
    Purge,
}

/// The state of a migration, as `status` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not begun.
    Pending,
    /// The new form is being added.
    Expanding,
    /// Existing rows are being filled.
    Migrating,
    /// Waits for the deploy.
    Ready,
    /// The old form goes out of use.
    Contracting,
    /// The old form is retained.
    Contracted,
    /// Finished.
    Applied,
    /// A step failed; `migrate` tries again, `rollback` undoes.
    Failed,
    /// Being undone.
    RollingBack,
    /// Undone.
    RolledBack,
}

impl State {
    /// All states.
    pub const ALL: [State; 10] = [
        State::Pending,
        State::Expanding,
        State::Migrating,
        State::Ready,
        State::Contracting,
        State::Contracted,
        State::Applied,
        State::Failed,
        State::RollingBack,
        State::RolledBack,
    ];

    /// As `status --json` spells it.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Expanding => "expanding",
            State::Migrating => "migrating",
            State::Ready => "ready",
            State::Contracting => "contracting",
            State::Contracted => "contracted",
            State::Applied => "applied",
            State::Failed => "failed",
            State::RollingBack => "rolling_back",
            State::RolledBack => "rolled_back",
        }
    }
}
