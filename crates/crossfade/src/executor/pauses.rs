//! Waiting: because somebody asked for a pause, or because the throttle says so. Never inside of a transaction.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::journal::Direction;
use crossfade_core::journal::Event;
use crossfade_core::sql::TableName;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Step;
use crossfade_core::throttle::Work;

use super::Executor;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::throttle::Sampler;
use crate::throttle::Watched;

/// How often a paused run looks whether it may go on.
const LOOK: Duration = Duration::from_secs(1);

impl Executor<'_> {
    /// Begins to measure for a step that works on these relations. It ends when what is returned is dropped.
    pub(super) fn sampler(&self, step: &Step, work: Work, tables: Vec<TableName>) -> Result<Sampler> {
        Ok(Sampler::start(Watched {
            target: self.target.clone(),
            store: self.store.clone(),
            epoch: self.lease.epoch,
            plan_id: self.stored.id,
            step: step.id.0,
            work,
            tables,
            base: self.config.throttle_base(),
            listens: self.progress()?.direction == Direction::Forward,
        }))
    }

    /// Takes over what others have asked for since the last look: to pause, or to go on.
    pub(super) async fn hear(&mut self) -> Result<()> {
        let progress = self.progress()?;
        if progress.direction == Direction::Backward {
            return Ok(());
        }
        let Some(asked) = self.store.last_asked(&self.client, self.stored.id).await? else { return Ok(()) };
        if asked.is_pause() != progress.paused {
            self.stored.events.push(Event::Requested { request: asked.request, reason: asked.reason });
        }
        Ok(())
    }

    /// Waits in place while somebody has it paused.
    pub(super) async fn wait_while_paused(&mut self) -> Result<()> {
        let begun = Instant::now();
        let who = self.paused_by().await?;
        self.observer.notice(Notice::Paused { reason: who.clone(), others: Vec::new() });
        while self.progress()?.paused && !self.stop.is_requested() {
            if !self.lease.is_held() {
                return Err(Error::failed("the connection that holds the lease is gone"));
            }
            self.stop.sleep(LOOK).await;
            self.hear().await?;
        }
        if !self.stop.is_requested() {
            self.observer.notice(Notice::Resumed { after: begun.elapsed(), reason: who });
        }
        Ok(())
    }

    /// Who has it paused, since when and why.
    pub async fn paused_by(&self) -> Result<String> {
        let asked = self.store.last_asked(&self.client, self.stored.id).await?.filter(|asked| asked.is_pause());
        Ok(asked.map_or_else(|| "paused".to_owned(), |asked| asked.text()))
    }

    /// Refuses to begin where somebody has it paused.
    pub async fn refuse_paused(&self) -> Result<()> {
        if !self.progress()?.paused {
            return Ok(());
        }
        let (plan, who) = (&self.stored.plan, self.paused_by().await?);
        let hint = match plan.kind {
            PlanKind::Up | PlanKind::Down => {
                format!("`crossfade resume {0}` lets it go on; `crossfade rollback {0}` undoes it", plan.version)
            }
            PlanKind::Backfill => "`crossfade resume` lets it go on".to_owned(),
        };
        Err(Error::refused(format!("{} is {who}", plan.title())).hint(hint))
    }
}
