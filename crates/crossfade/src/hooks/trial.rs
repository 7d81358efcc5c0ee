//! A sample to each hook, and what came back.

use std::time::Instant;

use crossfade_core::step::Phase;

use super::alert::Alert;
use super::alert::Origin;
use super::event::HookEvent;
use super::line::deliver;
use super::outcome::Outcome;
use super::settings::Hook;
use super::settings::Hooks;
use crate::report::HookReport;
use crate::report::HooksReport;
use crate::report::REPORT_FORMAT;

/// Calls every hook that is on this event; without one, every hook with the first that it is on.
pub(crate) async fn trial(hooks: &Hooks, event: Option<HookEvent>, origin: &Origin) -> (HooksReport, Vec<Outcome>) {
    let mut report = HooksReport { format: REPORT_FORMAT, database: origin.database.clone(), hooks: Vec::new() };
    let mut outcomes = Vec::new();
    for hook in &hooks.each {
        let Some(event) = chosen(hook, event) else { continue };
        let begun = Instant::now();
        let alert = sample(event, origin);
        let result = deliver(hook, &hooks.around(), &alert).await;
        let took = begun.elapsed();
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let failed = result.as_ref().err().map(|failure| failure.brief.clone());
        outcomes.push(Outcome::of(&hook.name, &alert).ended(took, failed));
        let (answer, error) = match result {
            Ok(answer) => (Some(answer), None),
            Err(failure) => (None, Some(failure.why)),
        };
        report.hooks.push(HookReport {
            name: hook.name.clone(),
            kind: hook.kind(),
            on: hook.on.iter().map(|event| event.name()).collect(),
            event: event.name(),
            required: hook.is_required(),
            took_ms,
            answer,
            error,
        });
    }
    (report, outcomes)
}

fn chosen(hook: &Hook, event: Option<HookEvent>) -> Option<HookEvent> {
    match event {
        Some(event) => hook.on.contains(&event).then_some(event),
        None => hook.on.first().copied(),
    }
}

fn sample(event: HookEvent, origin: &Origin) -> Alert {
    let mut alert = Alert::new(event, origin);
    alert.test = true;
    alert.version = Some("000".to_owned());
    alert.name = Some("hooks_test".to_owned());
    match event {
        HookEvent::Failed => alert.error = Some("this is a test; nothing has failed".to_owned()),
        HookEvent::RehearsalFailed => alert.reasons = vec!["this is a test; nothing was rehearsed".to_owned()],
        HookEvent::Blocked | HookEvent::Paused => alert.reasons = vec!["this is a test; nothing waits".to_owned()],
        HookEvent::Differs => alert.reasons = vec!["this is a test; nothing differs".to_owned()],
        HookEvent::Before(phase) | HookEvent::After(phase) => alert.phase = Some(Phase::name(phase)),
        HookEvent::BeforeRollback
        | HookEvent::Ready
        | HookEvent::Contracted
        | HookEvent::Applied
        | HookEvent::RolledBack
        | HookEvent::Stopped
        | HookEvent::Resumed
        | HookEvent::Agrees => {}
    }
    alert.told()
}
