//! What hooks are told before a phase begins, outside of any transaction. A required one that fails leaves the phase not begun.

use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::step::Phase;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Step;

use super::Executor;
use super::is_empty;
use crate::error::Result;
use crate::hooks::HookEvent;

impl Executor<'_> {
    /// Before a step that does something.
    pub(super) async fn enter_phase(&mut self, step: &Step) -> Result<()> {
        if self.stored.plan.kind == PlanKind::Down {
            // It is the way back as a whole.
            return Ok(());
        }
        let state = self.state()?;
        let is_first = (!self.has_begun(step.phase)?).then_some(state);
        let plan = &self.stored.plan;
        self.teller.enter((&plan.version, &plan.name), step.phase, is_first, self.stop).await
    }

    /// Before somebody's request is written down, so that it is not, where a required hook fails.
    pub async fn before_request(&mut self, request: Request) -> Result<()> {
        let state = self.state()?;
        let plan = &self.stored.plan;
        let title = (plan.version.as_str(), plan.name.as_str());
        let phase = match request {
            Request::Contract => Phase::Contract,
            Request::Purge => Phase::Purge,
            Request::Rollback if state == State::RollingBack => return Ok(()),
            Request::Rollback => return self.teller.turn_back(title, state, self.stop).await,
            Request::Pause | Request::Resume => return Ok(()),
        };
        let has_steps = plan.steps.iter().any(|step| step.phase == phase && !is_empty(&step.action));
        if has_steps && !self.has_begun(phase)? {
            self.teller.before(title, HookEvent::Before(phase), state, self.stop).await?;
        }
        Ok(())
    }

    fn has_begun(&self, phase: Phase) -> Result<bool> {
        let progress = self.progress()?;
        let mut steps = self.stored.plan.steps.iter().zip(&progress.steps);
        Ok(steps
            .any(|(step, status)| step.phase == phase && !is_empty(&step.action) && *status != StepStatus::NotStarted))
    }
}
