//! What a hook can be on: a closed set, and pure.

use std::fmt;

use crossfade_core::journal::State;
use crossfade_core::step::Phase;

/// What happens to a migration that somebody may want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HookEvent {
    /// A phase is about to begin: none of its steps has.
    Before(Phase),
    /// The last step of a phase is done.
    After(Phase),
    /// It is about to be undone.
    BeforeRollback,
    /// It waits for the deploy.
    Ready,
    /// The old form is out of use and retained.
    Contracted,
    /// It is finished.
    Applied,
    /// It is undone.
    RolledBack,
    /// The run ended with an error.
    Failed,
    /// Somebody stopped the run, and it ended at a safe point.
    Stopped,
    /// A step has waited for a strong lock for some time.
    Blocked,
    /// The work has rested for some time: somebody paused it, or the throttle says so.
    Paused,
    /// It goes on after that.
    Resumed,
    /// While it waits for the deploy, rows were found in which old and new form differ.
    Differs,
    /// They do not differ any more.
    Agrees,
    /// A rehearsal of it on a scratch database went wrong.
    RehearsalFailed,
}

impl HookEvent {
    /// All of them.
    pub const ALL: [HookEvent; 21] = [
        HookEvent::Before(Phase::Expand),
        HookEvent::After(Phase::Expand),
        HookEvent::Before(Phase::Migrate),
        HookEvent::After(Phase::Migrate),
        HookEvent::Before(Phase::Contract),
        HookEvent::After(Phase::Contract),
        HookEvent::Before(Phase::Purge),
        HookEvent::After(Phase::Purge),
        HookEvent::BeforeRollback,
        HookEvent::Ready,
        HookEvent::Contracted,
        HookEvent::Applied,
        HookEvent::RolledBack,
        HookEvent::Failed,
        HookEvent::Stopped,
        HookEvent::Blocked,
        HookEvent::Paused,
        HookEvent::Resumed,
        HookEvent::Differs,
        HookEvent::Agrees,
        HookEvent::RehearsalFailed,
    ];

    /// As crossfade.toml spells it.
    pub fn name(self) -> &'static str {
        match self {
            HookEvent::Before(Phase::Expand) => "before-expand",
            HookEvent::After(Phase::Expand) => "after-expand",
            HookEvent::Before(Phase::Migrate) => "before-migrate",
            HookEvent::After(Phase::Migrate) => "after-migrate",
            HookEvent::Before(Phase::Contract) => "before-contract",
            HookEvent::After(Phase::Contract) => "after-contract",
            HookEvent::Before(Phase::Purge) => "before-purge",
            HookEvent::After(Phase::Purge) => "after-purge",
            HookEvent::BeforeRollback => "before-rollback",
            HookEvent::Ready => "ready",
            HookEvent::Contracted => "contracted",
            HookEvent::Applied => "applied",
            HookEvent::RolledBack => "rolled-back",
            HookEvent::Failed => "failed",
            HookEvent::Stopped => "stopped",
            HookEvent::Blocked => "blocked",
            HookEvent::Paused => "paused",
            HookEvent::Resumed => "resumed",
            HookEvent::Differs => "differs",
            HookEvent::Agrees => "agrees",
            HookEvent::RehearsalFailed => "rehearsal-failed",
        }
    }

    /// The event of that name.
    pub fn by_name(name: &str) -> Option<HookEvent> {
        HookEvent::ALL.into_iter().find(|event| event.name() == name)
    }

    /// All names, for a hint.
    pub fn names() -> String {
        HookEvent::ALL.map(HookEvent::name).join(", ")
    }

    /// What a run that stops in this state tells.
    pub(super) fn of_state(state: State) -> Option<HookEvent> {
        match state {
            State::Ready => Some(HookEvent::Ready),
            State::Contracted => Some(HookEvent::Contracted),
            State::Applied => Some(HookEvent::Applied),
            State::RolledBack => Some(HookEvent::RolledBack),
            State::Pending
            | State::Expanding
            | State::Migrating
            | State::Contracting
            | State::Failed
            | State::RollingBack => None,
        }
    }

    /// Whether the work can be stopped at it: nothing of what follows is done yet.
    pub fn is_before(self) -> bool {
        self.kind() == Kind::Before
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            HookEvent::Before(_) | HookEvent::BeforeRollback => Kind::Before,
            HookEvent::After(_) => Kind::After,
            HookEvent::Failed
            | HookEvent::Stopped
            | HookEvent::Blocked
            | HookEvent::Paused
            | HookEvent::Differs
            | HookEvent::RehearsalFailed => Kind::Trouble,
            HookEvent::Ready
            | HookEvent::Contracted
            | HookEvent::Applied
            | HookEvent::RolledBack
            | HookEvent::Resumed
            | HookEvent::Agrees => Kind::Relief,
        }
    }
}

/// What an event means to somebody on call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Before,
    After,
    /// It asks for somebody.
    Trouble,
    /// Trouble there was is over.
    Relief,
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_event_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = HookEvent::ALL.iter().map(|event| event.name()).collect();
        assert_eq!(names.len(), HookEvent::ALL.len());
        for event in HookEvent::ALL {
            assert_eq!(HookEvent::by_name(event.name()), Some(event));
        }
        assert_eq!(HookEvent::by_name("before-lunch"), None);
    }

    #[test]
    fn every_event_is_documented() {
        let page = include_str!("../../../../docs/hooks.md");
        for event in HookEvent::ALL {
            assert!(page.contains(&format!("`{event}`")), "docs/hooks.md does not know {event}");
        }
    }
}
