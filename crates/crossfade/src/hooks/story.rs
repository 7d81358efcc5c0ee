//! Which events a run tells, from what happens in it. Pure: time comes in as an argument.

use std::time::Duration;

use crossfade_core::journal::State;
use crossfade_core::step::Phase;

use super::alert::Alert;
use super::alert::Origin;
use super::event::HookEvent;
use crate::observer::Notice;

/// What has happened so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub origin: Origin,
    version: Option<String>,
    name: Option<String>,
    /// The phase that it is in; none: it has not begun, or goes back.
    phase: Option<Phase>,
    /// What was said last of something that is about to begin, so that it is said once.
    announced: Option<(String, HookEvent)>,
    backward: bool,
    /// The state that it is in before anything of it begins in this run.
    at_rest: Option<State>,
    /// Since when the step waits for a lock.
    blocked_since: Option<Duration>,
}

/// What is to be done with an alert.
#[derive(Debug)]
pub(super) enum Telling {
    /// It goes out.
    Now(Alert),
    /// It goes out to whoever wants to know of a wait that has lasted so long, once for a wait.
    Lasting(Alert, Duration),
    /// The lock was had, or the step is over.
    Unblocked,
    /// It goes out to whoever wants to know of a rest that long, if nothing else happens until then.
    Resting(Alert),
    /// The rest is over. Whoever knows of it is told so.
    Rested(Alert),
}

impl Story {
    pub fn new(origin: Origin) -> Story {
        Story { origin, ..Story::default() }
    }

    fn alert(&self, event: HookEvent) -> Alert {
        let mut alert = Alert::new(event, &self.origin);
        alert.version.clone_from(&self.version);
        alert.name.clone_from(&self.name);
        alert.phase = self.phase.map(Phase::name);
        alert.state = match (self.backward, self.phase) {
            (true, _) => Some(State::RollingBack),
            (false, Some(Phase::Expand)) => Some(State::Expanding),
            (false, Some(Phase::Migrate)) => Some(State::Migrating),
            (false, Some(Phase::Contract)) => Some(State::Contracting),
            (false, Some(Phase::Purge)) => Some(State::Contracted),
            (false, None) => None,
        };
        alert
    }

    fn is_about(&mut self, version: &str, name: &str) {
        if self.version.as_deref() != Some(version) {
            self.version = Some(version.to_owned());
            self.phase = None;
            self.backward = false;
        }
        self.name = Some(name.to_owned());
    }

    /// The phase that was at work is over.
    fn leave(&mut self) -> Option<Alert> {
        let phase = self.phase?;
        let alert = self.alert(HookEvent::After(phase)).told();
        self.phase = None;
        Some(alert)
    }

    /// A step of this phase is next. What was the last one is told; none: it is the same.
    pub fn next_phase(&mut self, version: &str, name: &str, phase: Phase) -> Option<Alert> {
        self.is_about(version, name);
        if self.phase == Some(phase) { None } else { self.leave() }
    }

    /// Something is about to begin, in this state. None: that was said already.
    pub fn before(&mut self, (version, name): (&str, &str), event: HookEvent, state: State) -> Option<Alert> {
        self.is_about(version, name);
        let this = Some((version.to_owned(), event));
        if self.announced == this {
            return None;
        }
        self.announced = this;
        self.at_rest = Some(state);
        let mut alert = self.alert(event);
        alert.state = Some(state);
        alert.phase = match event {
            HookEvent::Before(phase) => Some(phase.name()),
            _ => None,
        };
        Some(alert.told())
    }

    /// It is in this phase now.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = Some(phase);
    }

    /// It goes back from here on.
    pub fn turn_back(&mut self) {
        self.phase = None;
        self.backward = true;
    }

    /// What is to be told of a notice.
    pub fn hear(&mut self, notice: &Notice, now: Duration) -> Vec<Telling> {
        match notice {
            Notice::MigrationStarted { version, name, backward, .. } => {
                self.is_about(version, name);
                if *backward {
                    self.turn_back();
                }
                Vec::new()
            }
            Notice::StepStarted { .. } | Notice::StepFinished { .. } => {
                self.blocked_since = None;
                vec![Telling::Unblocked]
            }
            Notice::Blocked { summary, blockers, .. } => {
                let since = *self.blocked_since.get_or_insert(now);
                let mut alert = self.alert(HookEvent::Blocked);
                alert.reasons.clone_from(blockers);
                if blockers.is_empty() {
                    alert.reasons = vec![format!("nobody who can be named ({summary})")];
                }
                vec![Telling::Lasting(alert.told(), now.saturating_sub(since))]
            }
            Notice::Paused { reason, others } => {
                let mut alert = self.alert(HookEvent::Paused);
                alert.reasons = [std::slice::from_ref(reason), others].concat();
                vec![Telling::Resting(alert.told())]
            }
            Notice::Resumed { reason, .. } => {
                let mut alert = self.alert(HookEvent::Resumed);
                alert.reasons = vec![reason.clone()];
                vec![Telling::Rested(alert.told())]
            }
            Notice::MigrationStopped { version, name, state, next } => {
                self.is_about(version, name);
                let mut told: Vec<Telling> = vec![Telling::Unblocked];
                told.extend(self.leave().map(Telling::Now));
                if let Some(event) = HookEvent::of_state(*state) {
                    let mut alert = self.alert(event);
                    alert.state = Some(*state);
                    alert.next.clone_from(next);
                    told.push(Telling::Now(alert.told()));
                }
                self.backward = false;
                // What comes next is about another one, or says itself that it is about this.
                (self.version, self.name, self.at_rest) = (None, None, None);
                // The same migration may come again in this run: undone and done again, or on through contract.
                self.announced = None;
                self.blocked_since = None;
                told
            }
            Notice::LeaseHeld { holder, .. } => {
                let since = *self.blocked_since.get_or_insert(now);
                let mut alert = self.alert(HookEvent::Blocked);
                alert.reasons = vec![format!("another runner is at work: {holder}")];
                vec![Telling::Lasting(alert.told(), now.saturating_sub(since))]
            }
            Notice::Compared { version, name, rows, differing, before, keys } => {
                let event = match (*differing, *before) {
                    (0, 0) => return Vec::new(),
                    (0, _) => HookEvent::Agrees,
                    (now, before) if now == before => return Vec::new(),
                    _ => HookEvent::Differs,
                };
                let mut alert = Alert::new(event, &self.origin);
                (alert.version, alert.name) = (Some(version.clone()), Some(name.clone()));
                alert.state = Some(State::Ready);
                if *differing > 0 {
                    alert.reasons.push(format!("{differing} of {rows} rows"));
                    alert.reasons.extend(keys.iter().cloned());
                }
                vec![Telling::Now(alert.told())]
            }
            Notice::Found { .. }
            | Notice::Progress { .. }
            | Notice::Retrying { .. }
            | Notice::RoundEnded { .. }
            | Notice::HookFailed { .. }
            | Notice::Info { .. } => Vec::new(),
        }
    }

    /// The run ended as it should.
    pub fn end(&mut self) -> Option<Alert> {
        self.leave()
    }

    /// The run ended with an error, or because somebody asked it to.
    pub fn fail(&mut self, error: &str, next: Option<&str>, stopped: bool) -> Alert {
        let mut alert = self.alert(if stopped { HookEvent::Stopped } else { HookEvent::Failed });
        alert.error = Some(error.to_owned());
        alert.state = match (self.phase, self.backward, stopped) {
            (Some(_), _, false) => Some(State::Failed),
            (None, false, _) => self.at_rest,
            (Some(_), _, true) | (None, true, _) => alert.state,
        };
        alert.next = next.map(str::to_owned);
        alert.told()
    }

    /// Whether a migration was at work when the run ended.
    pub fn is_under_way(&self) -> bool {
        self.phase.is_some() || self.backward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What goes out, by its names.
    fn told(tellings: &[Telling]) -> String {
        let each = tellings.iter().filter_map(|telling| match telling {
            Telling::Now(alert) | Telling::Resting(alert) | Telling::Rested(alert) => Some(alert.event.to_string()),
            Telling::Lasting(alert, long) => Some(format!("{} for {long:?}", alert.event)),
            Telling::Unblocked => None,
        });
        each.collect::<Vec<_>>().join(" ")
    }

    fn stopped(state: State) -> Notice {
        Notice::MigrationStopped { version: "1".to_owned(), name: "x".to_owned(), state, next: None }
    }

    fn step(phase: Phase) -> Notice {
        Notice::StepStarted { number: 1, of: 2, phase, summary: String::new() }
    }

    /// It is no step yet, and nobody would see a run that waits for another one.
    #[test]
    fn a_wait_for_the_lease_is_told_as_one_that_lasts() {
        let mut story = Story::default();
        let held = Notice::LeaseHeld { holder: "process 7 on h".to_owned(), again: false };
        let lasts = |told: Vec<Telling>| match told.as_slice() {
            [Telling::Lasting(alert, long)] => (alert.reasons.join(", "), *long),
            other => panic!("{other:?}"),
        };
        assert_eq!(lasts(story.hear(&held, Duration::from_secs(5))).1, Duration::ZERO);
        let (reasons, long) = lasts(story.hear(&held, Duration::from_secs(45)));
        assert_eq!((reasons.as_str(), long), ("another runner is at work: process 7 on h", Duration::from_secs(40)));
    }

    #[test]
    fn phases_follow_each_other() {
        let mut story = Story::default();
        let mut said = Vec::new();
        for phase in [Phase::Expand, Phase::Expand, Phase::Migrate] {
            said.extend(story.next_phase("1", "x", phase).map(|alert| alert.event.to_string()));
            said.extend(
                story.before(("1", "x"), HookEvent::Before(phase), State::Pending).map(|alert| alert.event.to_string()),
            );
            story.enter(phase);
            story.hear(&step(phase), Duration::ZERO);
        }
        said.push(told(&story.hear(&stopped(State::Ready), Duration::ZERO)));
        assert_eq!(said.join(" "), "before-expand after-expand before-migrate after-migrate ready");
    }

    #[test]
    fn on_the_way_back_no_phase_is_told() {
        let mut story = Story::default();
        story.before(("1", "x"), HookEvent::BeforeRollback, State::Ready).unwrap();
        story.turn_back();
        story.hear(&step(Phase::Migrate), Duration::ZERO);
        assert!(story.is_under_way());
        assert_eq!(told(&story.hear(&stopped(State::RolledBack), Duration::ZERO)), "rolled-back");
        assert!(!story.is_under_way());
    }

    #[test]
    fn a_wait_is_counted_from_its_first_try_and_anew_in_each_step() {
        let mut story = Story::default();
        let blocked = Notice::Blocked { summary: String::new(), attempt: 1, blockers: vec!["pid 7".to_owned()] };
        story.hear(&blocked, Duration::from_secs(5));
        assert_eq!(told(&story.hear(&blocked, Duration::from_secs(40))), "blocked for 35s");
        story.hear(&step(Phase::Contract), Duration::from_secs(41));
        assert_eq!(told(&story.hear(&blocked, Duration::from_secs(42))), "blocked for 0ns");
    }

    #[test]
    fn the_error_goes_with_the_phase_that_it_came_up_in() {
        let mut story = Story::default();
        story.next_phase("1", "x", Phase::Contract);
        story.enter(Phase::Contract);
        let alert = story.fail("it broke", None, false);
        assert_eq!(
            (alert.event, alert.phase, alert.error.as_deref()),
            (HookEvent::Failed, Some("contract"), Some("it broke"))
        );
        assert_eq!(story.fail("it was stopped", None, true).event, HookEvent::Stopped);
    }
}
