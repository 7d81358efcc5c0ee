//! The loop around `decide`: append what is about to happen, let it happen, append what came of it.
//!
//! There is no `if version` here, and no SQL is made up: what is run stands in the plan.

mod chunks;
mod concurrent;
mod ddl;
mod locks;
mod pauses;
mod phases;

pub(crate) use chunks::Bound;
pub(crate) use chunks::Compared;
pub(crate) use chunks::measured;
pub(crate) use ddl::CATALOG_ONLY;

use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::backfill::Cursor;
use crossfade_core::backfill::Lane;
use crossfade_core::journal::BackfillProgress;
use crossfade_core::journal::Decision;
use crossfade_core::journal::Direction;
use crossfade_core::journal::Event;
use crossfade_core::journal::Progress;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::decide;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::sql::Ident;
use crossfade_core::step::Action;
use crossfade_core::step::Assert;
use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Step;
use crossfade_core::step::StepId;
use tokio_postgres::Client;

use crate::config::Config;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::hooks::Teller;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::Target;
use crate::postgres::lease::Lease;
use crate::postgres::lease::worker_name;
use crate::postgres::pooler;
use crate::postgres::store::Follows;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::finish;
use crate::stop::Stop;

/// What every step needs.
pub(crate) struct Executor<'a> {
    pub target: &'a Target,
    pub config: &'a Config,
    pub store: &'a Store,
    pub lease: &'a Lease,
    pub client: Client,
    pub observer: &'a mut dyn Observer,
    pub teller: &'a Teller,
    pub stop: &'a Stop,
    pub stored: StoredPlan,
    /// Rows that one chunk of blocks may change at the most.
    pub most_rows: Option<u64>,
    /// The migration's file, for errors that point into it.
    pub path: PathBuf,
    /// Whether it was at work before, and only its connection was lost: then a pause is waited for, not refused.
    pub goes_on: bool,
}

/// Somebody asked to stop, and this is how to go on.
fn stopped(plan: &Plan, direction: Direction, place: &str) -> Error {
    let command = match (plan.kind, direction) {
        (PlanKind::Up | PlanKind::Down, Direction::Backward) => "crossfade rollback".to_owned(),
        (PlanKind::Backfill, _) | (_, Direction::Forward) => plan.command(),
    };
    Error::failed(format!("stopped {place} in {}", plan.title())).hint(format!("run `{command}` to go on from there"))
}

/// How an effect ended that did not fail.
pub(crate) enum Done {
    /// It is in the journal already, in the transaction of the effect.
    Recorded,
    /// It still has to be written down.
    Unrecorded,
}

/// Connects for the work of this epoch, with what every session of ours takes for granted.
pub(crate) async fn connect_worker(target: &Target, schema: &Ident, lease: &Lease) -> Result<Client> {
    let client = target.connect(&worker_name(schema, lease.epoch)).await?;
    if lease.shared {
        // What is set would stay with whoever has the connection next: each transaction sets it for itself.
        return Ok(client);
    }
    pooler::settle(&client, false).await?;
    // Whole pages are a third of what a fill writes to the log. The server decides whether it knows lz4 (15 and up) and whether the role may say so;
    // where its operator has chosen a compression, that stays.
    let compress = "SELECT pg_catalog.set_config(name, 'lz4', false) FROM pg_catalog.pg_settings \
                    WHERE name = 'wal_compression' AND setting = 'off' AND 'lz4' = ANY (enumvals) \
                    AND (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)";
    client.query_typed(compress, &[]).await.doing("prepare the session")?;
    Ok(client)
}

impl Executor<'_> {
    fn version(&self) -> String {
        self.stored.plan.version.clone()
    }

    fn progress(&self) -> Result<Progress> {
        fold(&self.stored.plan, &self.stored.events).map_err(|error| {
            Error::failed(format!("the journal of {} does not add up", self.stored.plan.title()))
                .hint("nothing was changed; look at the table `events` in the journal's schema")
                .caused_by(error)
        })
    }

    /// The state now.
    pub fn state(&self) -> Result<State> {
        Ok(state_of(&self.stored.plan, &self.progress()?))
    }

    /// Goes as far as it goes: to a hold, to the end, or back to the beginning.
    pub async fn run(&mut self) -> Result<State> {
        self.hear().await?;
        let progress = self.progress()?;
        if !self.goes_on && decide(&self.stored.plan, &progress) == Decision::Paused {
            self.refuse_paused().await?;
        }
        let done = progress.steps.iter().filter(|status| **status == StepStatus::Succeeded).count();
        let backward = progress.direction == Direction::Backward;
        let (version, name) = (self.version(), self.stored.plan.name.clone());
        self.observer.notice(Notice::MigrationStarted {
            version,
            name,
            done,
            steps: self.stored.plan.steps.len(),
            backward,
        });
        loop {
            if self.stop.is_requested() {
                return Err(stopped(&self.stored.plan, self.progress()?.direction, "at a safe point"));
            }
            if !self.lease.is_held() {
                return Err(Error::failed("the connection that holds the lease is gone"));
            }
            self.hear().await?;
            let progress = self.progress()?;
            match decide(&self.stored.plan, &progress) {
                Decision::Run(id) | Decision::Probe(id) => self.forward(id).await?,
                Decision::Undo(id) => self.backward(id).await?,
                Decision::Wait(_) => return self.state(),
                Decision::Finished => return self.state(),
                Decision::RolledBack => {
                    // The request alone may have ended it; the tracking row must say so.
                    self.append(Vec::new(), Duration::ZERO).await?;
                    return Ok(State::RolledBack);
                }
                Decision::Paused => self.wait_while_paused().await?,
                Decision::Stuck(id) => return Err(self.no_way_back(id)?),
            }
        }
    }

    /// Appends events in a transaction of their own.
    pub async fn append(&mut self, events: Vec<Event>, took: Duration) -> Result<()> {
        self.client.batch_execute("BEGIN").await.doing("write the journal")?;
        let written = self.append_inside(&events, took).await;
        finish(&self.client, written, "write the journal").await?;
        self.stored.events.extend(events);
        Ok(())
    }

    /// Appends events in the transaction that is open. The caller takes them over once it is committed.
    async fn append_inside(&self, events: &[Event], took: Duration) -> Result<()> {
        self.append_on(&self.client, events, took).await
    }

    async fn append_on(&self, client: &Client, events: &[Event], took: Duration) -> Result<()> {
        let mut all = self.stored.events.clone();
        all.extend(events.iter().cloned());
        let progress = fold(&self.stored.plan, &all)
            .map_err(|error| Error::failed("an event does not fit the journal").caused_by(error))?;
        let state = state_of(&self.stored.plan, &progress);
        let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        self.store
            .append(client, self.lease.epoch, self.stored.id, &self.stored.plan.version, events, state, took)
            .await
    }

    fn step(&self, id: StepId) -> Result<Step> {
        self.stored.plan.step(id).cloned().ok_or_else(|| Error::failed(format!("the plan has no step {}", id.0)))
    }

    async fn forward(&mut self, id: StepId) -> Result<()> {
        let step = self.step(id)?;
        let of = self.stored.plan.steps.len();
        let number = usize::from(id.0) + 1;
        if is_empty(&step.action) {
            let events = vec![Event::StepStarted { step: id }, Event::StepSucceeded { step: id, took_ms: 0 }];
            return self.append(events, Duration::ZERO).await;
        }
        self.enter_phase(&step).await?;
        self.observer.notice(Notice::StepStarted { number, of, phase: step.phase, summary: step.summary.clone() });
        self.append(vec![Event::StepStarted { step: id }], Duration::ZERO).await?;
        let begun = Instant::now();
        let result = self.act(&step, &step.action, begun, false).await;
        let took = begun.elapsed();
        match result {
            Ok(Done::Recorded) => {}
            Ok(Done::Unrecorded) => {
                let events = self.done_events(&step, begun, false);
                self.append(events, took).await?;
            }
            Err(error) => return Err(self.record_failure(&step, error, false).await),
        }
        self.observer.notice(Notice::StepFinished { number, took });
        Ok(())
    }

    async fn backward(&mut self, id: StepId) -> Result<()> {
        let step = self.step(id)?;
        let of = self.stored.plan.steps.len();
        let number = usize::from(id.0) + 1;
        let Some(undo) = step.undo.clone() else { return Err(Error::failed(format!("step {number} has no undo"))) };
        self.observer.notice(Notice::StepStarted {
            number,
            of,
            phase: step.phase,
            summary: format!("undo: {}", step.summary),
        });
        match &undo {
            Action::Backfill(backfill) if backfill.units.iter().any(|unit| unit.keys.is_some()) => {
                self.turn_back(id, backfill.units.len()).await?;
            }
            _ => self.append(vec![Event::UndoStarted { step: id }], Duration::ZERO).await?,
        }
        let begun = Instant::now();
        let result = self.act(&step, &undo, begun, true).await;
        match result {
            Ok(Done::Recorded) => {}
            Ok(Done::Unrecorded) => self.append(vec![Event::UndoSucceeded { step: id }], begun.elapsed()).await?,
            Err(error) => return Err(self.record_failure(&step, error, true).await),
        }
        self.observer.notice(Notice::StepFinished { number, took: begun.elapsed() });
        Ok(())
    }

    /// Notes that a statement over many rows is being undone, and turns its cursor round: the undo goes over what was done, and no further.
    async fn turn_back(&mut self, id: StepId, units: usize) -> Result<()> {
        let progress = self.progress()?;
        let started = Event::UndoStarted { step: id };
        let turned_before = match progress.steps.get(usize::from(id.0)) {
            Some(StepStatus::Undoing | StepStatus::UndoFailed) => true,
            Some(
                StepStatus::NotStarted
                | StepStatus::Running
                | StepStatus::Succeeded
                | StepStatus::Failed
                | StepStatus::Undone,
            )
            | None => false,
        };
        if turned_before {
            return self.append(vec![started], Duration::ZERO).await;
        }
        let lanes = progress.chunks.get(usize::from(id.0)).into_iter().flatten();
        let stored = lanes.map(|lane| &lane.cursor).find(|cursor| cursor.lane() == Lane::Keys).cloned();
        // Without a cursor there was no row to change.
        let nothing = || Cursor::start_of_keys(0, vec![None; units], 0, 1);
        let cursor = stored.as_ref().map_or_else(nothing, Cursor::turned);
        let turned = BackfillProgress { cursor: cursor.clone(), rows: 0, took_ms: 0 };
        self.client.batch_execute("BEGIN").await.doing("write the journal")?;
        let written = async {
            self.append_inside(std::slice::from_ref(&started), Duration::ZERO).await?;
            let follows = Follows::Only(stored.as_ref());
            self.store.save_cursor(&self.client, self.lease.epoch, self.stored.id, id, &turned, &follows).await
        };
        finish(&self.client, written.await, "write the journal").await?;
        self.stored.events.push(started);
        self.stored.events.push(Event::ChunkDone { step: id, cursor, rows: 0, took_ms: 0 });
        Ok(())
    }

    async fn act(&mut self, step: &Step, action: &Action, begun: Instant, undo: bool) -> Result<Done> {
        match action {
            Action::Ddl(ddl) => self.ddl(step, ddl, begun, undo).await,
            Action::Validate(validate) => self.validate(step, validate, begun, undo).await,
            Action::Concurrently(concurrently) => self.concurrently(concurrently).await,
            Action::Backfill(backfill) => self.backfill(step, backfill).await,
            Action::Verify(verify) => self.verify(step, verify).await,
            Action::Assert(assert) => self.assert(assert).await,
            Action::Hold { .. } => Ok(Done::Unrecorded),
        }
    }

    async fn assert(&mut self, assert: &Assert) -> Result<Done> {
        let wrong = failed_assertions(&self.client, assert).await?;
        if wrong.is_empty() {
            return Ok(Done::Unrecorded);
        }
        Err(Error::refused(wrong.join("; ")).hint(assert.help.clone()))
    }

    /// What is written down with the effect of a step. The steps behind it that do nothing forward, but something on the way back, are done
    /// with it: a crash between them would leave a way back with a piece missing.
    fn done_events(&self, step: &Step, begun: Instant, undo: bool) -> Vec<Event> {
        if undo {
            return vec![Event::UndoSucceeded { step: step.id }];
        }
        let mut events = vec![Event::StepSucceeded { step: step.id, took_ms: begun.elapsed().as_millis() as u64 }];
        let behind = self.stored.plan.steps.iter().skip(usize::from(step.id.0) + 1);
        for next in behind.take_while(|next| is_only_a_way_back(&next.action)) {
            events.push(Event::StepStarted { step: next.id });
            events.push(Event::StepSucceeded { step: next.id, took_ms: 0 });
        }
        events
    }

    /// Writes a failure down, if the server can still be reached, and says what stands and how to go on.
    async fn record_failure(&mut self, step: &Step, error: Error, undo: bool) -> Error {
        if self.client.is_closed() || !self.lease.is_held() || error.is_connection_lost() {
            return error;
        }
        let dead = self.store.fault.as_ref().is_some_and(crate::postgres::store::Fault::is_dead);
        if self.stop.is_requested() || dead {
            return error;
        }
        let _ = self.client.batch_execute("ROLLBACK").await;
        let text = error.chain();
        let event = if undo {
            Event::UndoFailed { step: step.id, error: text }
        } else {
            Event::StepFailed { step: step.id, error: text }
        };
        if let Err(second) = self.append(vec![event], Duration::ZERO).await {
            tracing::debug!(error = %second.chain(), "the failure could not be written down");
        }
        error
    }

    /// Notes that somebody asked for something.
    pub async fn request(&mut self, request: Request, reason: Option<String>) -> Result<()> {
        let event = Event::Requested { request, reason };
        self.client.batch_execute("BEGIN").await.doing("write the journal")?;
        let written = async {
            self.append_inside(std::slice::from_ref(&event), Duration::ZERO).await?;
            match request {
                Request::Rollback => {
                    self.store.forget_parked(&self.client, self.lease.epoch, self.stored.id, None).await
                }
                Request::Pause | Request::Resume | Request::Contract | Request::Purge => Ok(()),
            }
        };
        finish(&self.client, written.await, "write the journal").await?;
        self.stored.events.push(event);
        Ok(())
    }

    fn no_way_back(&self, id: StepId) -> Result<Error> {
        let step = self.step(id)?;
        let done = self.progress()?.steps.get(usize::from(id.0)) == Some(&StepStatus::Succeeded);
        let summary = &step.summary;
        Ok(match (done, &step.action) {
            (false, _) => Error::refused(format!(
                "\"{summary}\" is done to some of its rows, and nothing takes a part of it back"
            ))
            .hint("run `crossfade migrate`: it does the rest, each row once"),
            (true, Action::Backfill(_)) => Error::refused(format!(
                "there is no way back: \"{summary}\" is done, and nothing is known that undoes it"
            ))
            .hint("go on with `crossfade migrate`, or write a migration that changes the rows back"),
            (true, _) => Error::refused(format!("there is no way back any more: \"{summary}\" is done"))
                .hint("go on with `crossfade migrate`, or write a migration that brings the old form back"),
        })
    }

    /// What must be true for the way back; asked before anything is recorded.
    pub async fn ask_the_way_back(&mut self) -> Result<()> {
        let mut events = self.stored.events.clone();
        events.push(Event::Requested { request: Request::Rollback, reason: None });
        let progress = fold(&self.stored.plan, &events)
            .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
        if let Decision::Stuck(id) = decide(&self.stored.plan, &progress) {
            return Err(self.no_way_back(id)?);
        }
        for (step, status) in self.stored.plan.steps.clone().iter().zip(&progress.steps) {
            if let (Some(Action::Assert(assert)), StepStatus::Succeeded) = (&step.undo, status) {
                self.assert(assert).await?;
            }
        }
        Ok(())
    }
}

/// What is wrong, one line each.
pub(crate) async fn failed_assertions(client: &Client, assert: &Assert) -> Result<Vec<String>> {
    let rows = client.query_typed(assert.query.as_str(), &[]).await.doing(&format!("check that {}", assert.message))?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect())
}

fn is_empty(action: &Action) -> bool {
    matches!(action, Action::Hold { .. }) || is_only_a_way_back(action)
}

fn is_only_a_way_back(action: &Action) -> bool {
    matches!(action, Action::Ddl(ddl) if ddl.statements.is_empty())
}
