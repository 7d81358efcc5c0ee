//! Wherever the journal of a plan is cut off, deciding goes on from there to the same end, and each step succeeds once.

use crossfade_core::backfill::Cursor;
use crossfade_core::journal::Decision;
use crossfade_core::journal::Event;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::decide;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::step::Action;
use crossfade_core::step::Ddl;
use crossfade_core::step::Hold;
use crossfade_core::step::Outcome;
use crossfade_core::step::Phase;
use crossfade_core::step::Plan;
use crossfade_core::step::StepId;

use crate::case::Planned;
use crate::case::cases;
use crate::case::planned;

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Finished,
    RolledBack,
    Stuck,
}

#[test]
fn every_prefix_goes_forward_to_the_end() {
    for_every_prefix(|name, plan, prefix| {
        let mut events = prefix.to_vec();
        assert_eq!(run(plan, &mut events), End::Finished, "{name} from {}", prefix.len());
        for step in &plan.steps {
            let times = succeeded(&events, step.id);
            assert_eq!(times, 1, "{name} from {}: step {} succeeded {times} times", prefix.len(), step.id.0);
        }
        assert_eq!(state_of(plan, &fold(plan, &events).expect("legal")), State::Applied);
    });
}

#[test]
fn every_prefix_goes_back_to_the_beginning_unless_the_old_form_is_gone() {
    for_every_prefix(|name, plan, prefix| {
        let gone = plan.steps.iter().any(|step| {
            let done = succeeded(prefix, step.id) > 0;
            let for_good = |ddl: &Ddl| !ddl.statements.is_empty() && (step.phase >= Phase::Contract || ddl.as_written);
            // Rows that a statement of the user's changed stay so, and a part of them can't be taken back.
            let rows = matches!(&step.action, Action::Backfill(backfill) if backfill.outcome == Outcome::Lasting);
            let begun = count(prefix, |event| matches!(event, Event::ChunkDone { step: id, .. } if *id == step.id)) > 0;
            let lasts = rows || matches!(&step.action, Action::Ddl(ddl) if for_good(ddl));
            let by_chunks = matches!(&step.undo, Some(Action::Backfill(_)));
            lasts && step.undo.is_none() && done || rows && begun && !done && !by_chunks
        });
        let mut events = prefix.to_vec();
        events.push(Event::Requested { request: Request::Rollback, reason: None });
        let end = run(plan, &mut events);
        assert_eq!(end == End::Stuck, gone, "{name} from {}: {end:?}", prefix.len());
        if gone {
            return;
        }
        assert_eq!(end, End::RolledBack);
        for step in &plan.steps {
            let undone = count(&events, |event| matches!(event, Event::UndoSucceeded { step: id } if *id == step.id));
            let must = step.undo.is_some() && succeeded(prefix, step.id) > 0;
            assert!(undone <= 1 && (undone == 1 || !must), "{name} from {}: step {}", prefix.len(), step.id.0);
        }
        // The way back may be cut off at any place, too.
        for cut in prefix.len() + 1..events.len() {
            let mut again = events[..cut].to_vec();
            assert_eq!(run(plan, &mut again), End::RolledBack, "{name} from {} and {cut}", prefix.len());
        }
    });
}

/// Steps are undone in the opposite order in which they were done.
#[test]
fn the_way_back_is_the_way_there_backwards() {
    for_every_prefix(|name, plan, prefix| {
        let mut events = prefix.to_vec();
        events.push(Event::Requested { request: Request::Rollback, reason: None });
        run(plan, &mut events);
        let undone: Vec<u16> = events
            .iter()
            .filter_map(|event| match event {
                Event::UndoStarted { step } => Some(step.0),
                _ => None,
            })
            .collect();
        assert!(undone.windows(2).all(|pair| pair[0] > pair[1]), "{name}: {undone:?}");
    });
}

fn for_every_prefix(check: impl Fn(&str, &Plan, &[Event])) {
    for case in cases() {
        if let Planned::Plan(plan) = planned(&case) {
            let mut events = vec![Event::PlanRecorded];
            assert_eq!(run(&plan, &mut events), End::Finished, "{}", case.fixture.name);
            for cut in 0..=events.len() {
                check(&case.fixture.name, &plan, &events[..cut]);
            }
        }
    }
}

/// An executor without a database: what it decides is done at once.
fn run(plan: &Plan, events: &mut Vec<Event>) -> End {
    for _ in 0..plan.steps.len() * 8 + 8 {
        let progress = fold(plan, events.iter()).expect("the journal is legal");
        match decide(plan, &progress) {
            Decision::Run(step) => {
                events.push(Event::StepStarted { step });
                chunks(plan, step, events);
                events.push(Event::StepSucceeded { step, took_ms: 1 });
            }
            Decision::Probe(step) => {
                events.push(Event::StepStarted { step });
                events.push(Event::StepSucceeded { step, took_ms: 1 });
            }
            Decision::Undo(step) => {
                events.push(Event::UndoStarted { step });
                events.push(Event::UndoSucceeded { step });
            }
            Decision::Wait(Hold::Deploy) => events.push(Event::Requested { request: Request::Contract, reason: None }),
            Decision::Wait(Hold::Retention) => events.push(Event::Requested { request: Request::Purge, reason: None }),
            Decision::Paused => events.push(Event::Requested { request: Request::Resume, reason: None }),
            Decision::Finished => return End::Finished,
            Decision::RolledBack => return End::RolledBack,
            Decision::Stuck(_) => return End::Stuck,
        }
    }
    panic!("it does not end: {events:?}");
}

/// A chunked step writes a cursor for each chunk.
fn chunks(plan: &Plan, step: StepId, events: &mut Vec<Event>) {
    let action = &plan.step(step).expect("it is a step of the plan").action;
    if !matches!(action, Action::Backfill(_) | Action::Verify(_)) {
        return;
    }
    let mut cursor = Cursor::start(0, 1, 8, 4);
    while !cursor.is_done() {
        cursor = cursor.next(1, 4);
        events.push(Event::ChunkDone { step, cursor: cursor.clone(), rows: 4, took_ms: 1 });
    }
}

fn succeeded(events: &[Event], id: StepId) -> usize {
    count(events, |event| matches!(event, Event::StepSucceeded { step, .. } if *step == id))
}

fn count(events: &[Event], wanted: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| wanted(event)).count()
}
