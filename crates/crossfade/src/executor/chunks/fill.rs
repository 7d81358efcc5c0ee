//! Changing rows in chunks, by one worker or several.

use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::backfill::ChunkServo;
use crossfade_core::backfill::Cursor;
use crossfade_core::backfill::Lane as LaneName;
use crossfade_core::backfill::Sample;
use crossfade_core::journal::BackfillProgress;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use crossfade_core::step::Backfill;
use crossfade_core::step::Step;
use crossfade_core::throttle::Work;
use tokio::sync::mpsc::unbounded_channel;
use tokio_postgres::Client;

use super::Bound;
use super::Fill;
use super::Worker;
use super::changed::Changed;
use super::changed::measured;
use super::crew::Blocks;
use super::crew::Crew;
use super::crew::Said;
use super::file_node;
use super::lanes::Lane;
use super::lanes::Lanes;
use super::meter::Meter;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::executor::Done;
use crate::executor::Executor;
use crate::executor::connect_worker;
use crate::executor::ddl::is_lock_failure;
use crate::observer::Notice;
use crate::postgres::store::Follows;
use crate::postgres::store::finish;
use crate::throttle::Gate;

/// How long a chunk waits for a row. Below `deadlock_timeout`, and a chunk is short: where we and the application wait for each other, we
/// are the first to give way, and it never sees a deadlock (reference, D9).
const ROW_LOCK_TIMEOUT: Duration = Duration::from_millis(300);

/// Fewer changed rows leave statistics and dead row versions to autovacuum.
const FEW_ROWS: u64 = 10_000;

/// How often one chunk is tried before its failure counts.
pub(super) const TRIES: u32 = 60;

impl Executor<'_> {
    pub(in crate::executor) async fn backfill(&mut self, step: &Step, backfill: &Backfill) -> Result<Done> {
        let stored = self.progress()?.chunks.get(usize::from(step.id.0)).cloned().unwrap_or_default();
        if backfill.park && stored.is_empty() {
            // A sweep that begins looks at all rows: what is mended by now, or stands elsewhere, is set aside no more.
            self.store.forget_parked(&self.client, self.lease.epoch, self.stored.id, Some(step.id)).await?;
        }
        let workers = if backfill.is_parallel() { self.config.backfill.workers.max(1) } else { 1 };
        let limits = self.limits(workers).await?;
        let replica = backfill.quiet && may_silence_triggers(&self.client).await?;
        let snapshot = self.horizon(backfill).await?;
        let relations = backfill.units.iter().map(|unit| unit.relation.clone()).collect();
        let sampler = self.sampler(step, Work::Writes, relations)?;
        let gate = sampler.gate();
        let mut changed = 0;
        if backfill.units.iter().any(|unit| unit.keys.is_some()) {
            changed += self.fill_by_keys(step, backfill, &stored, (replica, &gate)).await?;
        }
        let lanes = Lanes::layout(&self.client, backfill, &stored, limits, self.most_rows).await?;
        let mut more = Vec::new();
        while more.len() + 1 < workers.min(lanes.waiting()) {
            more.push(connect_worker(self.target, &self.store.schema, self.lease).await?);
        }
        let estimated: u64 = backfill.units.iter().map(|unit| unit.estimated_rows).sum();
        let (rows, fraction) = lanes.progress();
        let mut meter = Meter::new(rows, fraction, estimated);
        let most_rows = self.most_rows;
        let (first, observer) = self.worker()?;
        let (say, mut said) = unbounded_channel();
        let failed = AtomicBool::new(false);
        let team: Vec<_> = std::iter::once(&first.client)
            .copied()
            .chain(&more)
            .map(|client| {
                let worker = Worker { client, ..first };
                let (lanes, gate, failed, say) = (&lanes, &gate, &failed, say.clone());
                let crew = Crew {
                    worker,
                    lanes,
                    workers: more.len() + 1,
                    gate,
                    failed,
                    say,
                    step,
                    backfill,
                    replica,
                    most_rows,
                };
                crew.sweep()
            })
            .collect();
        drop(say);
        let watch = async {
            loop {
                let said = tokio::select! {
                    biased;
                    notice = gate.news() => Some(Said::Notice(notice)),
                    said = said.recv() => said,
                };
                match said {
                    Some(Said::Moved) => {
                        let (rows, fraction) = lanes.progress();
                        meter.tell(observer, rows, fraction);
                    }
                    Some(Said::Notice(notice)) => observer.notice(notice),
                    None => break,
                }
            }
        };
        let (ended, ()) = tokio::join!(futures_util::future::join_all(team), watch);
        // All stop where one failed; that somebody asked to stop says less than a failure.
        let mut errors: Vec<Error> = ended.into_iter().filter_map(Result::err).collect();
        let worst = errors.iter().position(|error| error.sql_state().is_some()).unwrap_or(0);
        if !errors.is_empty() {
            return Err(errors.swap_remove(worst));
        }
        self.nothing_is_parked(step, backfill).await?;
        changed += lanes.progress().0;
        if changed >= FEW_ROWS {
            self.tidy(backfill, snapshot).await?;
        }
        Ok(Done::Unrecorded)
    }

    /// Goes through the relations that are swept by keys, one after the other: no chunk may be done twice. Returns how many rows were changed.
    async fn fill_by_keys(
        &mut self,
        step: &Step,
        backfill: &Backfill,
        stored: &[BackfillProgress],
        (replica, gate): (bool, &Gate),
    ) -> Result<u64> {
        let mut estimated = 0;
        for unit in backfill.units.iter().filter(|unit| unit.keys.is_some()) {
            estimated += unit.estimated_rows;
        }
        let limits = super::keys::key_limits(self.limits(1).await?);
        let (worker, observer) = self.worker()?;
        let stored = stored.iter().find(|lane| lane.cursor.lane() == LaneName::Keys);
        let mut saved = stored.map(|lane| lane.cursor.clone());
        let (mut rows, mut took_ms) = stored.map_or((0, 0), |lane| (lane.rows, lane.took_ms));
        let first = saved.as_ref().map_or(0, |cursor| cursor.unit as usize);
        let ends = worker.ends_of(backfill, saved.as_ref()).await?;
        let fraction = |at: Option<&Cursor>| crossfade_core::backfill::fraction(backfill, at);
        let mut meter = Meter::new(rows, fraction(saved.as_ref()), estimated);
        for (position, unit) in backfill.units.iter().enumerate().skip(first) {
            let Some(keys) = &unit.keys else { continue };
            let fill = Fill { step, unit, replica, outcome: backfill.outcome, park: false, most_rows: None };
            let mut at = super::keys::begin_keys(position, unit, &ends, saved.clone());
            let mut servo = ChunkServo::new(limits, at.width);
            while !at.is_done() {
                worker.pass(gate, observer).await?;
                let mut tries = 0;
                let done = loop {
                    match worker.fill_keys(&fill, keys, &at, saved.as_ref(), &servo, (rows, took_ms)).await {
                        Ok(done) => break done,
                        Err(error) if is_lock_failure(&error, true) && tries < TRIES => {
                            tries += 1;
                            servo.back_off();
                            worker.check_stop()?;
                            if tries % 10 == 0 {
                                observer.notice(Notice::Retrying { reason: error.chain() });
                            }
                            worker.stop.sleep(pause_before(tries)).await;
                        }
                        Err(error) if error.sql_state().is_some() => {
                            return Err(worker.name_bad_key(&fill, keys, &at, servo.blocks(), error).await);
                        }
                        Err(error) => return Err(error),
                    }
                };
                servo.record(done.sample);
                rows = done.progress.rows;
                took_ms = done.progress.took_ms;
                at = done.progress.cursor;
                saved = Some(at.clone());
                meter.tell(observer, rows, fraction(Some(&at)));
                worker.stop.sleep(gate.rest(done.sample.took)).await;
            }
        }
        Ok(rows)
    }
}

/// How long to wait before a chunk is tried again that gave way to somebody.
pub(super) fn pause_before(tries: u32) -> Duration {
    Duration::from_millis(rand::random_range(20..100 + 50 * u64::from(tries)))
}

/// A chunk that is committed.
pub(super) struct Filled {
    pub progress: BackfillProgress,
    pub sample: Sample,
}

impl Worker<'_> {
    /// Changes the rows of one chunk of blocks.
    pub(super) async fn fill_blocks(&self, fill: &Fill<'_>, lane: &Lane, width: u64) -> Result<Blocks> {
        let begun = Instant::now();
        let (client, unit) = (self.client, fill.unit);
        let work = async {
            self.begin_chunk(fill).await?;
            if file_node(client, &unit.relation).await?.0 != lane.at.file_node {
                return Ok(Blocks::Rewritten);
            }
            let chunk = lane.at.chunk(unit.stripes);
            let changed = self.change(fill, &Bound::blocks(chunk, unit.bounds)).await?;
            if fill.most_rows.is_some_and(|most| changed.rows > most) {
                return Ok(Blocks::TooMany(changed.rows));
            }
            let took_ms = lane.took_ms + begun.elapsed().as_millis() as u64;
            let cursor = lane.at.next(unit.stripes, width);
            let progress = BackfillProgress { cursor, rows: lane.rows + changed.rows, took_ms };
            self.save(fill, &progress, &Follows::Any).await?;
            let sample = Sample { took: changed.took, wal: changed.wal, blocks: chunk.to - chunk.from };
            Ok(Blocks::Filled(Filled { progress, sample }))
        };
        let result = work.await;
        if let Ok(Blocks::TooMany(rows)) = result {
            client.batch_execute("ROLLBACK").await.doing("take a chunk back")?;
            return Ok(Blocks::TooMany(rows));
        }
        finish(client, result, "commit a chunk").await
    }

    /// Changes the rows of one chunk of keys.
    pub(super) async fn fill_keys(
        &self,
        fill: &Fill<'_>,
        keys: &crossfade_core::step::KeyCut,
        at: &Cursor,
        saved: Option<&Cursor>,
        servo: &ChunkServo,
        so_far: (u64, u64),
    ) -> Result<Filled> {
        let begun = Instant::now();
        let work = async {
            self.begin_chunk(fill).await?;
            // A chunk that gave way to somebody is tried again with fewer rows.
            let wanted = servo.blocks().min(at.width);
            let to = self.cut(keys, at, wanted).await?;
            let after = at.keys.as_ref().and_then(|place| place.after.clone());
            let changed = self.change(fill, &Bound::keys(after, to.clone())).await?;
            let took_ms = so_far.1 + begun.elapsed().as_millis() as u64;
            let cursor = at.behind(&to, servo.blocks());
            let progress = BackfillProgress { cursor, rows: so_far.0 + changed.rows, took_ms };
            self.save(fill, &progress, &Follows::Only(saved)).await?;
            Ok((progress, Sample { took: changed.took, wal: changed.wal, blocks: wanted }))
        };
        let (progress, sample) = finish(self.client, work.await, "commit a chunk").await?;
        Ok(Filled { progress, sample })
    }

    pub(super) async fn begin_chunk(&self, fill: &Fill<'_>) -> Result<()> {
        let start = sql!(
            "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = '30s'; SET LOCAL synchronous_commit = off; SET LOCAL enable_seqscan = off{}{}",
            Literal(format!("{}ms", ROW_LOCK_TIMEOUT.as_millis())),
            self.mark(fill.outcome),
            if fill.replica { sql!("; SET LOCAL session_replication_role = replica") } else { sql!("") }
        );
        self.client.batch_execute(start.as_str()).await.doing("begin a chunk")
    }

    /// Runs the statement of a chunk and says what it did, in the server's own numbers: the client's clock would count the network, too.
    pub(super) async fn change(&self, fill: &Fill<'_>, bound: &Bound) -> Result<Changed> {
        let statement = measured(&fill.unit.statement);
        let row = self
            .client
            .query_typed_one(statement.as_str(), &bound.params())
            .await
            .doing(&format!("change a chunk of {}", fill.unit.relation))?;
        Ok(Changed::read(&row.get(0)))
    }

    pub(super) async fn save(&self, fill: &Fill<'_>, progress: &BackfillProgress, follows: &Follows<'_>) -> Result<()> {
        self.store.save_cursor(self.client, self.lease.epoch, self.plan.id, fill.step.id, progress, follows).await
    }
}

/// Whether this role may keep the user's triggers from firing for its own writes.
async fn may_silence_triggers(client: &Client) -> Result<bool> {
    let attempt = client.batch_execute("BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK").await;
    if attempt.is_err() {
        client.batch_execute("ROLLBACK").await.doing("prepare the session")?;
    }
    Ok(attempt.is_ok())
}
