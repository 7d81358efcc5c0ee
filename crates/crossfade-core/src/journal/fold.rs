//! What the events of one plan add up to. [`StepStatus::next`] is the only table of legal transitions.

use serde::Serialize;
use thiserror::Error;

use super::Event;
use super::Request;
use super::State;
use crate::backfill::Cursor;
use crate::step::Action;
use crate::step::Hold;
use crate::step::Phase;
use crate::step::Plan;
use crate::step::PlanKind;
use crate::step::StepId;

/// Where one step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Never begun, or failed without a trace.
    NotStarted,
    /// Begun; how it ended is not recorded.
    Running,
    /// Done.
    Succeeded,
    /// Failed; may be run again or undone.
    Failed,
    /// Its undo has begun; how that ended is not recorded.
    Undoing,
    /// Its undo failed; may be tried again.
    UndoFailed,
    /// Undone.
    Undone,
}

/// What may happen to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Happening {
    Started,
    Succeeded,
    Failed,
    UndoStarted,
    UndoSucceeded,
    UndoFailed,
}

impl StepStatus {
    /// All statuses.
    #[cfg(test)]
    pub(super) const ALL: [StepStatus; 7] = [
        StepStatus::NotStarted,
        StepStatus::Running,
        StepStatus::Succeeded,
        StepStatus::Failed,
        StepStatus::Undoing,
        StepStatus::UndoFailed,
        StepStatus::Undone,
    ];

    /// Every legal transition. Starting a step that is already running is legal: that is what a restart after a crash does.
    pub(super) fn next(self, happening: Happening) -> Option<StepStatus> {
        use Happening as H;
        use StepStatus as S;
        match (self, happening) {
            (S::NotStarted | S::Running | S::Failed, H::Started) => Some(S::Running),
            (S::Running, H::Succeeded) => Some(S::Succeeded),
            (S::Running | S::Failed, H::Failed) => Some(S::Failed),
            (S::Running | S::Succeeded | S::Failed | S::Undoing | S::UndoFailed, H::UndoStarted) => Some(S::Undoing),
            (S::Undoing, H::UndoSucceeded) => Some(S::Undone),
            (S::Undoing | S::UndoFailed, H::UndoFailed) => Some(S::UndoFailed),
            (S::NotStarted, H::Succeeded | H::Failed | H::UndoStarted | H::UndoSucceeded | H::UndoFailed)
            | (S::Running, H::UndoSucceeded | H::UndoFailed)
            | (S::Succeeded | S::Failed, H::Succeeded | H::UndoSucceeded | H::UndoFailed)
            | (S::Succeeded, H::Started | H::Failed)
            | (S::Undoing, H::Started | H::Succeeded | H::Failed)
            | (S::UndoFailed, H::Started | H::Succeeded | H::Failed | H::UndoSucceeded)
            | (S::Undone, _) => None,
        }
    }
}

/// Which way a plan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the end.
    Forward,
    /// Back to the schema from before.
    Backward,
}

/// How far a chunked step is in one lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackfillProgress {
    /// Where the next chunk begins.
    pub cursor: Cursor,
    /// Rows so far.
    pub rows: u64,
    /// Time in chunks so far, in milliseconds.
    pub took_ms: u64,
}

/// What the events of one plan add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The status of each step, by position.
    pub steps: Vec<StepStatus>,
    /// How far each chunked step is, by position: one for each lane that has begun.
    pub chunks: Vec<Vec<BackfillProgress>>,
    /// The way it goes.
    pub direction: Direction,
    /// Whether somebody paused it.
    pub paused: bool,
    /// Whether the hold before contract was released.
    pub contract_requested: bool,
    /// Whether the hold before purge was released.
    pub purge_requested: bool,
    /// The last error, where the last thing that happened was a failure.
    pub error: Option<String>,
}

/// An event that the journal should not hold: somebody else wrote it, or it is damaged.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IllegalEvent {
    /// The event is about a step that the plan does not have.
    #[error("event {position} of the journal is about step {step}, which the plan does not have")]
    UnknownStep {
        /// Position of the event, from 0.
        position: usize,
        /// The step.
        step: u16,
    },
    /// The step can't do that from where it is.
    #[error("event {position} of the journal says that step {step} {happened}, but it was {status}")]
    Transition {
        /// Position of the event, from 0.
        position: usize,
        /// The step.
        step: u16,
        /// What the event says.
        happened: &'static str,
        /// Where the step was.
        status: &'static str,
    },
}

/// Adds up the events of one plan.
///
/// # Errors
///
/// When an event is not legal where it stands.
pub fn fold<'a>(plan: &Plan, events: impl IntoIterator<Item = &'a Event>) -> Result<Progress, IllegalEvent> {
    let mut progress = Progress {
        steps: vec![StepStatus::NotStarted; plan.steps.len()],
        chunks: vec![Vec::new(); plan.steps.len()],
        direction: Direction::Forward,
        paused: false,
        contract_requested: false,
        purge_requested: false,
        error: None,
    };
    for (position, event) in events.into_iter().enumerate() {
        progress.apply(position, event)?;
    }
    Ok(progress)
}

impl Progress {
    fn apply(&mut self, position: usize, event: &Event) -> Result<(), IllegalEvent> {
        match event {
            Event::PlanRecorded
            | Event::TakenOver { .. }
            | Event::GivenBack
            | Event::Repaired { .. }
            | Event::FileForgotten => {}
            Event::Kept { steps } => {
                for step in (0..*steps).map(StepId) {
                    self.advance(position, step, Happening::Started)?;
                    self.advance(position, step, Happening::Succeeded)?;
                }
            }
            Event::StepStarted { step } => {
                self.advance(position, *step, Happening::Started)?;
                self.error = None;
            }
            Event::ChunkDone { step, cursor, rows, took_ms } => {
                let lanes = self.chunks.get_mut(usize::from(step.0));
                let lanes = lanes.ok_or(IllegalEvent::UnknownStep { position, step: step.0 })?;
                let now = BackfillProgress { cursor: cursor.clone(), rows: *rows, took_ms: *took_ms };
                match lanes.iter_mut().find(|known| known.cursor.lane() == cursor.lane()) {
                    Some(known) => *known = now,
                    None => lanes.push(now),
                }
            }
            Event::StepSucceeded { step, .. } => self.advance(position, *step, Happening::Succeeded)?,
            Event::StepFailed { step, error } => {
                self.advance(position, *step, Happening::Failed)?;
                self.error = Some(error.clone());
            }
            Event::UndoStarted { step } => {
                self.advance(position, *step, Happening::UndoStarted)?;
                self.error = None;
            }
            Event::UndoSucceeded { step } => self.advance(position, *step, Happening::UndoSucceeded)?,
            Event::UndoFailed { step, error } => {
                self.advance(position, *step, Happening::UndoFailed)?;
                self.error = Some(error.clone());
            }
            Event::Requested { request, reason: _ } => match request {
                Request::Pause => self.paused = true,
                Request::Resume => self.paused = false,
                Request::Contract => self.contract_requested = true,
                Request::Purge => self.purge_requested = true,
                Request::Rollback => {
                    self.direction = Direction::Backward;
                    self.paused = false;
                    self.error = None;
                }
            },
        }
        Ok(())
    }

    fn advance(&mut self, position: usize, step: StepId, happening: Happening) -> Result<(), IllegalEvent> {
        let slot = self.steps.get_mut(usize::from(step.0));
        let slot = slot.ok_or(IllegalEvent::UnknownStep { position, step: step.0 })?;
        *slot = slot.next(happening).ok_or_else(|| IllegalEvent::Transition {
            position,
            step: step.0,
            happened: happening.name(),
            status: slot.name(),
        })?;
        Ok(())
    }

    /// Whether nothing that the plan does has begun.
    pub fn is_untouched(&self) -> bool {
        self.steps.iter().all(|status| *status == StepStatus::NotStarted)
    }

    /// Whether no step took effect: a failed or interrupted transaction leaves nothing behind.
    pub fn has_no_effect(&self, plan: &Plan) -> bool {
        self.steps.iter().zip(&plan.steps).all(|(status, step)| match status {
            StepStatus::NotStarted => true,
            StepStatus::Running | StepStatus::Failed => {
                matches!(step.action, Action::Ddl(_) | Action::Assert(_) | Action::Validate(_) | Action::Verify(_))
            }
            StepStatus::Succeeded => matches!(step.action, Action::Assert(_) | Action::Verify(_)),
            StepStatus::Undoing | StepStatus::UndoFailed | StepStatus::Undone => false,
        })
    }
}

impl Happening {
    fn name(self) -> &'static str {
        match self {
            Happening::Started => "started",
            Happening::Succeeded => "succeeded",
            Happening::Failed => "failed",
            Happening::UndoStarted => "was to be undone",
            Happening::UndoSucceeded => "was undone",
            Happening::UndoFailed => "could not be undone",
        }
    }
}

impl StepStatus {
    /// As people read it.
    pub fn name(self) -> &'static str {
        match self {
            StepStatus::NotStarted => "not started",
            StepStatus::Running => "running",
            StepStatus::Succeeded => "done",
            StepStatus::Failed => "failed",
            StepStatus::Undoing => "being undone",
            StepStatus::UndoFailed => "not undone",
            StepStatus::Undone => "undone",
        }
    }
}

/// The state that `status` shows for a plan.
///
/// A down file is one transaction: until it is committed the migration is applied, and after that it is rolled back.
pub fn state_of(plan: &Plan, progress: &Progress) -> State {
    if plan.kind == PlanKind::Down {
        let done = progress.steps.iter().all(|status| *status == StepStatus::Succeeded);
        return if done { State::RolledBack } else { State::Applied };
    }
    if progress.direction == Direction::Backward {
        return match super::decide(plan, progress) {
            super::Decision::RolledBack => State::RolledBack,
            _ => State::RollingBack,
        };
    }
    if progress.error.is_some() {
        return State::Failed;
    }
    let next = plan.steps.iter().zip(&progress.steps).find(|(_, status)| **status != StepStatus::Succeeded);
    match next {
        None => State::Applied,
        Some((step, _)) => match (&step.action, step.phase) {
            (Action::Hold { until: Hold::Deploy }, _) if !progress.contract_requested => State::Ready,
            (Action::Hold { until: Hold::Retention }, _) => State::Contracted,
            (_, Phase::Expand) => State::Expanding,
            (_, Phase::Migrate) => State::Migrating,
            (_, Phase::Contract) => State::Contracting,
            (_, Phase::Purge) => State::Contracted,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_transition() {
        let happenings = [
            Happening::Started,
            Happening::Succeeded,
            Happening::Failed,
            Happening::UndoStarted,
            Happening::UndoSucceeded,
            Happening::UndoFailed,
        ];
        let mut table = String::new();
        for status in StepStatus::ALL {
            for happening in happenings {
                let next = status.next(happening).map_or("-", StepStatus::name);
                table.push_str(&format!("{:12} {:22} {next}\n", status.name(), happening.name()));
            }
        }
        insta::assert_snapshot!(table);
    }
}
