//! An event as people read it.

use super::Event;
use super::Request;
use crate::step::Plan;
use crate::step::PlanKind;
use crate::step::StepId;

impl Event {
    /// One line for people. What it took and who did it stands beside it, not in it.
    pub fn words(&self, plan: &Plan) -> String {
        match self {
            Event::PlanRecorded => match plan.kind {
                PlanKind::Up | PlanKind::Backfill => format!("planned: {}", steps(plan)),
                PlanKind::Down => format!("the way back by its down file is planned: {}", steps(plan)),
            },
            Event::Kept { steps: 1 } => {
                format!("step 1 of {} was done before the file was mended, and is not run again", plan.steps.len())
            }
            Event::Kept { steps } => {
                format!(
                    "steps 1 to {steps} of {} were done before the file was mended, and are not run again",
                    plan.steps.len()
                )
            }
            Event::TakenOver { origin } => match origin.as_str() {
                "baseline" => "counted as applied (baseline); nothing was run".to_owned(),
                tool => format!("taken over from {tool} as applied; nothing was run"),
            },
            Event::GivenBack => "given back to the tool that it was taken over from; nothing was run".to_owned(),
            Event::Repaired { .. } => "the changed file was accepted for the one that was run".to_owned(),
            Event::FileForgotten => "its file is gone for good, and is no longer missed".to_owned(),
            Event::StepStarted { step } => format!("{} begins{}", place(plan, *step), summary(plan, *step)),
            Event::ChunkDone { step, rows, .. } => format!("{}: {rows} rows so far", place(plan, *step)),
            Event::StepSucceeded { step, .. } => format!("{} is done{}", place(plan, *step), summary(plan, *step)),
            Event::StepFailed { step, .. } => format!("{} failed{}", place(plan, *step), summary(plan, *step)),
            Event::UndoStarted { step } => format!("the undo of {} begins{}", place(plan, *step), summary(plan, *step)),
            Event::UndoSucceeded { step } => format!("{} is undone{}", place(plan, *step), summary(plan, *step)),
            Event::UndoFailed { step, .. } => {
                format!("the undo of {} failed{}", place(plan, *step), summary(plan, *step))
            }
            Event::Requested { request, reason } => {
                let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                format!("{}{reason}", asked(*request))
            }
        }
    }

    /// Its kind, as the journal spells it.
    pub fn kind(&self) -> &'static str {
        match self {
            Event::PlanRecorded => "plan_recorded",
            Event::Kept { .. } => "kept",
            Event::TakenOver { .. } => "taken_over",
            Event::GivenBack => "given_back",
            Event::Repaired { .. } => "repaired",
            Event::FileForgotten => "file_forgotten",
            Event::StepStarted { .. } => "step_started",
            Event::ChunkDone { .. } => "chunk_done",
            Event::StepSucceeded { .. } => "step_succeeded",
            Event::StepFailed { .. } => "step_failed",
            Event::UndoStarted { .. } => "undo_started",
            Event::UndoSucceeded { .. } => "undo_succeeded",
            Event::UndoFailed { .. } => "undo_failed",
            Event::Requested { .. } => "requested",
        }
    }

    /// The step that it is about.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Event::StepStarted { step }
            | Event::ChunkDone { step, .. }
            | Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::UndoStarted { step }
            | Event::UndoSucceeded { step }
            | Event::UndoFailed { step, .. } => Some(*step),
            Event::PlanRecorded
            | Event::Kept { .. }
            | Event::TakenOver { .. }
            | Event::GivenBack
            | Event::Repaired { .. }
            | Event::FileForgotten
            | Event::Requested { .. } => None,
        }
    }
}

fn steps(plan: &Plan) -> String {
    match plan.steps.len() {
        1 => "1 step".to_owned(),
        many => format!("{many} steps"),
    }
}

fn place(plan: &Plan, id: StepId) -> String {
    let phase = plan.step(id).map(|step| format!(" ({})", step.phase.name())).unwrap_or_default();
    format!("step {} of {}{phase}", usize::from(id.0) + 1, plan.steps.len())
}

fn summary(plan: &Plan, id: StepId) -> String {
    plan.step(id).map(|step| format!(": {}", step.summary)).unwrap_or_default()
}

fn asked(request: Request) -> &'static str {
    match request {
        Request::Pause => "a pause was asked for",
        Request::Resume => "it was asked to go on",
        Request::Contract => "contract was asked for",
        Request::Rollback => "the rollback was asked for",
        Request::Purge => "the purge was asked for",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backfill::Cursor;

    fn all() -> Vec<Event> {
        let step = StepId(0);
        let error = || "it broke".to_owned();
        let asked = |request| Event::Requested { request, reason: Some("sale until noon".to_owned()) };
        vec![
            Event::PlanRecorded,
            Event::Kept { steps: 1 },
            Event::Kept { steps: 2 },
            Event::TakenOver { origin: "baseline".to_owned() },
            Event::TakenOver { origin: "flyway".to_owned() },
            Event::GivenBack,
            Event::Repaired { from: error(), to: error(), up_sql: error(), down_sql: None },
            Event::FileForgotten,
            Event::StepStarted { step },
            Event::ChunkDone { step, cursor: Cursor::start_of_keys(0, Vec::new(), 0, 1), rows: 7, took_ms: 1 },
            Event::StepSucceeded { step, took_ms: 12 },
            Event::StepFailed { step, error: error() },
            Event::UndoStarted { step },
            Event::UndoSucceeded { step },
            Event::UndoFailed { step, error: error() },
            asked(Request::Pause),
            asked(Request::Resume),
            asked(Request::Contract),
            asked(Request::Rollback),
            asked(Request::Purge),
        ]
    }

    #[test]
    fn every_event_has_words_and_the_name_that_the_journal_has_for_it() {
        let mut plan = Plan::of_nothing("002", "rename_email", "sha256:0");
        plan.steps.push(crate::step::Step {
            id: StepId(0),
            phase: crate::step::Phase::Expand,
            summary: "add email_address to public.users".to_owned(),
            action: crate::step::Action::Hold { until: crate::step::Hold::Deploy },
            undo: None,
            locks: Vec::new(),
            hazards: Vec::new(),
        });
        let mut said = String::new();
        for event in all() {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["event"], event.kind());
            said.push_str(&format!("{:16} {}\n", event.kind(), event.words(&plan)));
        }
        insta::assert_snapshot!(said);
    }
}
