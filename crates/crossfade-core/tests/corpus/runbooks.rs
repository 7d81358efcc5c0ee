//! Runbooks of every case: they say of the way back what the journal would decide, and take nothing from a measurement that is none.

use std::time::Duration;

use crossfade_core::backfill::Cursor;
use crossfade_core::journal::Decision;
use crossfade_core::journal::Event;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::decide;
use crossfade_core::journal::fold;
use crossfade_core::runbook::Runbook;
use crossfade_core::runbook::Subject;
use crossfade_core::runbook::Surroundings;
use crossfade_core::runbook::Work;
use crossfade_core::runbook::runbook;
use crossfade_core::runbook::samples;
use crossfade_core::step::Action;
use crossfade_core::step::Phase;
use crossfade_core::step::Plan;
use crossfade_core::step::StepId;

use crate::case::Planned;
use crate::case::cases;
use crate::case::planned;

fn plans() -> Vec<(String, Plan)> {
    let plan = |case: crate::case::Case| match planned(&case) {
        Planned::Plan(plan) => Some((case.fixture.name, *plan)),
        Planned::Refused(_) => None,
    };
    cases().into_iter().filter_map(plan).collect()
}

fn book(plan: &Plan) -> Runbook {
    let subject = Subject { plan, migration: None, progress: None, state: State::Pending, has_down: false };
    runbook(subject, &Surroundings::default())
}

/// As if every step up to this one had been run.
fn up_to(plan: &Plan, last: StepId) -> Vec<Event> {
    let mut events = vec![Event::PlanRecorded];
    for step in plan.steps.iter().filter(|step| step.id <= last) {
        events.push(Event::StepStarted { step: step.id });
        events.push(Event::StepSucceeded { step: step.id, took_ms: 2_000 });
    }
    events
}

#[test]
fn a_runbook_says_where_there_is_no_way_back() {
    for (name, plan) in plans() {
        let book = book(&plan);
        let shown: Vec<_> = book.phases.iter().flat_map(|phase| &phase.steps).collect();
        assert_eq!(shown.len(), plan.steps.len(), "{name}");
        let mut is_stuck = false;
        for (step, shown) in plan.steps.iter().zip(&shown) {
            assert_eq!((shown.number, shown.locks.len()), (step.id.0 + 1, step.locks.len()), "{name}");
            is_stuck |= shown.undo == Some(false);
            let mut events = up_to(&plan, step.id);
            events.push(Event::Requested { request: Request::Rollback, reason: None });
            let decided = decide(&plan, &fold(&plan, &events).expect("these events are legal"));
            assert_eq!(
                is_stuck,
                matches!(decided, Decision::Stuck(_)),
                "{name} after step {}: {decided:?}",
                shown.number
            );
        }
        if plan.is_phased() {
            let early = shown
                .iter()
                .zip(&plan.steps)
                .any(|(shown, step)| step.phase < Phase::Contract && shown.undo == Some(false));
            let first = &book.ways_back[0];
            assert_eq!(first.what.contains("there is no way back"), early, "{name}: {first:?}");
            let after = book.ways_back.iter().find(|way| way.from == "after contract").expect("there is one");
            let gone = shown
                .iter()
                .zip(&plan.steps)
                .any(|(shown, step)| step.phase <= Phase::Contract && shown.undo == Some(false));
            assert_eq!(after.command.is_none(), gone, "{name}: {after:?}");
        }
    }
}

#[test]
fn only_what_ran_in_one_go_and_long_enough_is_a_measurement() {
    let plans = plans();
    let (_, plan) = plans.iter().find(|(name, _)| name == "rename_column").expect("there is such a case");
    let last = plan.steps.last().expect("it has steps").id;
    let fill = plan.steps.iter().find(|step| matches!(step.action, Action::Backfill(_))).expect("it fills");
    let fills = |events: &[Event]| {
        let found = samples(plan, events).into_iter().filter(|sample| sample.work == Work::Fill);
        found.map(|sample| (sample.rows, sample.took)).collect::<Vec<_>>()
    };
    let done = |rows| Event::ChunkDone { step: fill.id, cursor: Cursor::start(0, 1, 8, 8), rows, took_ms: 1 };
    let whole: Vec<Event> = up_to(plan, last).into_iter().chain([done(300), done(200)]).collect();
    assert_eq!(fills(&whole), [(Some(500), Duration::from_secs(2))]);
    // Without its rows it says nothing; nor where it was begun twice, or took no time worth a word.
    assert_eq!(fills(&up_to(plan, last)), []);
    let twice: Vec<Event> = [Event::StepStarted { step: fill.id }].into_iter().chain(whole.clone()).collect();
    assert_eq!(fills(&twice), []);
    let quick = whole.into_iter().map(|event| match event {
        Event::StepSucceeded { step, .. } => Event::StepSucceeded { step, took_ms: 999 },
        other => other,
    });
    assert_eq!(samples(plan, &quick.collect::<Vec<_>>()), []);
}
