//! A file without transactions that failed at a statement, and was changed from there on: what was done stays, and the rest is planned anew.

use crossfade_core::journal::Direction;
use crossfade_core::journal::Event;
use crossfade_core::journal::Progress;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::migration::Migration;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::Policy;
use crossfade_core::sql::same_code;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use crossfade_core::step::Probe;
use crossfade_core::step::Step;
use crossfade_core::step::StepId;

use super::Session;
use crate::error::Error;
use crate::error::Result;
use crate::migrator::planning;
use crate::observer::Notice;
use crate::postgres::pooler;
use crate::postgres::store::PlanFiles;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::TrackedRow;
use crate::source::SourceFile;

impl Session<'_> {
    /// Plans the rest of a file that was mended, and stores it as the migration's plan. None where it is not so: then the file was changed in another way.
    pub(super) async fn mend(
        &mut self,
        file: &SourceFile,
        known: &TrackedRow,
        stored: &StoredPlan,
        progress: &Progress,
    ) -> Result<Option<TrackedRow>> {
        let Some(done) = done_statements(&stored.plan, progress) else { return Ok(None) };
        let Ok(old) = Migration::parse(&known.version, &known.name, &stored.up_sql) else { return Ok(None) };
        let mut new = planning::Way::up(file).parse()?;
        if !is_the_same_so_far(&old, &new, &stored.plan, done) {
            return Ok(None);
        }
        let rows = self.rows().await?;
        let others: Vec<TrackedRow> = rows.into_iter().filter(|row| row.version != known.version).collect();
        let in_flight = planning::in_flight(&self.client, &self.store, &others).await?;
        let catalog = planning::catalog(&self.client, &self.store).await?;
        let policy = Policy { park: self.park, ..self.migrator.policy() };
        new.statements.drain(..done);
        let made_in_run = self.made_in_run.get_or_insert_with(|| MadeInRun::beginning(&catalog));
        let rest = planning::plan_migration(file, &new, &catalog, &policy, &in_flight, made_in_run)?;
        planning::preflight(&self.client, file, &rest).await?;
        if self.lease.shared {
            pooler::refuse_behind_a_pooler(&rest)?;
        }
        let plan = planning::audited(joined(&stored.plan, done, rest))?;
        let files = PlanFiles {
            up_sql: file.text.trim_start_matches('\u{feff}'),
            down_sql: file.down.as_ref().map(|(_, text)| text.as_str()),
        };
        let events = [Event::Kept { steps: u16::try_from(done).unwrap_or(u16::MAX) }];
        fold(&plan, std::iter::once(&Event::PlanRecorded).chain(&events))
            .map_err(|error| Error::failed("an event does not fit the journal").caused_by(error))?;
        self.store.record_mended(&self.client, self.lease.epoch, &plan, &files, &events).await?;
        let text = format!(
            "{} was changed from statement {} on: it goes on there, and what was done is not run again",
            file.path.display(),
            done + 1
        );
        self.observer.notice(Notice::Info { text });
        Ok(Some(self.row(&known.version).await?))
    }
}

/// How many statements are done, where the next one has left nothing behind; none where that can't be said.
fn done_statements(plan: &Plan, progress: &Progress) -> Option<usize> {
    if progress.direction != Direction::Forward || plan.is_phased() {
        return None;
    }
    let done = progress.steps.iter().take_while(|status| **status == StepStatus::Succeeded).count();
    let left_nothing = |(step, status): (&Step, &StepStatus)| match status {
        StepStatus::NotStarted => true,
        StepStatus::Running => matches!(step.action, Action::Ddl(_)),
        // An index that could not be built is dropped with the failure.
        StepStatus::Failed => match &step.action {
            Action::Ddl(_) => true,
            Action::Concurrently(action) => match action.probe {
                Probe::IndexIsValid { .. } | Probe::IndexIsGone { .. } | Probe::Repeatable => true,
                Probe::PartitionIs { .. } => false,
            },
            Action::Validate(_) | Action::Backfill(_) | Action::Verify(_) | Action::Assert(_) | Action::Hold { .. } => {
                false
            }
        },
        StepStatus::Succeeded | StepStatus::Undoing | StepStatus::UndoFailed | StepStatus::Undone => false,
    };
    let rest = plan.steps.iter().zip(&progress.steps).skip(done);
    (done > 0 && rest.into_iter().all(left_nothing)).then_some(done)
}

/// Whether each statement is a step, and those that are done stand in the new text as they were run.
fn is_the_same_so_far(old: &Migration, new: &Migration, plan: &Plan, done: usize) -> bool {
    let is_one_each = old.statements.len() == plan.steps.len();
    if !old.no_transaction || !new.no_transaction || !is_one_each || new.statements.len() < done {
        return false;
    }
    let so_far = |migration: &Migration| {
        let end = migration.statements.get(done - 1).map_or(0, |statement| statement.parsed.span.end);
        migration.text.get(..end).unwrap_or_default().to_owned()
    };
    same_code(&so_far(old), &so_far(new))
}

/// The steps that are done, and behind them the rest.
fn joined(old: &Plan, done: usize, rest: Plan) -> Plan {
    let mut steps: Vec<Step> = old.steps[..done].to_vec();
    steps.extend(rest.steps);
    for (at, step) in steps.iter_mut().enumerate() {
        step.id = StepId(u16::try_from(at).unwrap_or(u16::MAX));
    }
    let mut claims = old.claims.clone();
    claims.extend(rest.claims);
    claims.sort();
    claims.dedup();
    Plan { steps, claims, ..rest }
}
