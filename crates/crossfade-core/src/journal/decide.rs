//! What to do next: a pure function of the plan and of what the journal adds up to.

use super::Direction;
use super::Progress;
use super::StepStatus;
use crate::step::Action;
use crate::step::Hold;
use crate::step::Outcome;
use crate::step::Phase;
use crate::step::Plan;
use crate::step::Step;
use crate::step::StepId;

/// What the executor does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run the step's action.
    Run(StepId),
    /// The step was begun outside of a transaction and its end is not recorded: look first.
    Probe(StepId),
    /// Undo the step.
    Undo(StepId),
    /// Nothing until somebody lets go of the hold.
    Wait(Hold),
    /// Somebody paused it; nothing until they let it go on.
    Paused,
    /// All is done.
    Finished,
    /// All is undone.
    RolledBack,
    /// There is no way back any more: the step dropped the old form, or changed rows that nothing changes back.
    Stuck(StepId),
}

/// Decides.
pub fn decide(plan: &Plan, progress: &Progress) -> Decision {
    match progress.direction {
        Direction::Forward => forward(plan, progress),
        Direction::Backward => backward(plan, progress),
    }
}

fn forward(plan: &Plan, progress: &Progress) -> Decision {
    for (step, status) in plan.steps.iter().zip(&progress.steps) {
        if *status == StepStatus::Succeeded {
            continue;
        }
        if progress.paused {
            return Decision::Paused;
        }
        return match &step.action {
            Action::Hold { until: Hold::Deploy } if !progress.contract_requested => Decision::Wait(Hold::Deploy),
            Action::Hold { until: Hold::Retention } if !progress.purge_requested => Decision::Wait(Hold::Retention),
            Action::Concurrently(_) if *status != StepStatus::NotStarted => Decision::Probe(step.id),
            Action::Hold { .. }
            | Action::Concurrently(_)
            | Action::Ddl(_)
            | Action::Validate(_)
            | Action::Backfill(_)
            | Action::Verify(_)
            | Action::Assert(_) => Decision::Run(step.id),
        };
    }
    Decision::Finished
}

fn backward(plan: &Plan, progress: &Progress) -> Decision {
    let gone = plan.steps.iter().zip(&progress.steps).zip(&progress.chunks).find(|((step, status), chunks)| {
        let done = **status == StepStatus::Succeeded && is_for_good(step);
        done || in_part(step, **status) && !chunks.is_empty() && !takes_back_a_part(step)
    });
    if let Some(((step, _), _)) = gone {
        return Decision::Stuck(step.id);
    }
    for ((step, status), chunks) in plan.steps.iter().zip(&progress.steps).zip(&progress.chunks).rev() {
        let to_undo = match status {
            StepStatus::NotStarted | StepStatus::Undone => false,
            StepStatus::Succeeded | StepStatus::Undoing | StepStatus::UndoFailed => step.undo.is_some(),
            // A transaction whose end is not recorded did not happen; anything else may have.
            StepStatus::Running | StepStatus::Failed => {
                step.undo.is_some() && matches!(step.action, Action::Concurrently(_))
                    || in_part(step, *status) && !chunks.is_empty()
            }
        };
        if to_undo {
            return Decision::Undo(step.id);
        }
    }
    Decision::RolledBack
}

/// Whether the undo goes by the chunks of the way there, as far as they came.
fn takes_back_a_part(step: &Step) -> bool {
    matches!(&step.undo, Some(Action::Backfill(_)))
}

/// Whether a statement over many rows may be done to a part of them.
fn in_part(step: &Step, status: StepStatus) -> bool {
    match (&step.action, status) {
        (Action::Backfill(backfill), StepStatus::Running | StepStatus::Failed) => backfill.outcome == Outcome::Lasting,
        _ => false,
    }
}

/// Whether there is no way back any more once a step is done: it has no undo and leaves something behind. That is what the user's own statements
/// did, and what contract did to the schema.
pub fn is_for_good(step: &Step) -> bool {
    let contracted = step.phase >= Phase::Contract;
    if step.undo.is_some() {
        return false;
    }
    match &step.action {
        Action::Ddl(ddl) => !ddl.statements.is_empty() && (contracted || ddl.as_written),
        Action::Concurrently(_) => contracted,
        Action::Backfill(backfill) => backfill.outcome == Outcome::Lasting,
        Action::Validate(_) | Action::Verify(_) | Action::Assert(_) | Action::Hold { .. } => false,
    }
}
