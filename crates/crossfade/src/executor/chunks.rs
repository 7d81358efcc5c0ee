//! Backfill and verify: many small transactions, each with its cursor in it.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::backfill::Chunk;
use crossfade_core::backfill::ChunkServo;
use crossfade_core::backfill::Cursor;
use crossfade_core::backfill::ServoLimits;
use crossfade_core::journal::BackfillProgress;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::Backfill;
use crossfade_core::step::BackfillUnit;
use crossfade_core::step::ChunkBounds;
use crossfade_core::step::Outcome;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Step;
use crossfade_core::step::Verify;
use crossfade_core::throttle::Work;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::Done;
use super::Executor;
use super::bad_rows::Sweep;
use super::ddl::is_lock_failure;
use super::keys::key_limits;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::postgres::store::Follows;
use crate::postgres::store::finish;
use crate::throttle::Gate;

/// How long a chunk waits for a row. Below `deadlock_timeout`, and a chunk is short: where we and the application wait for each other, we
/// are the first to give way, and it never sees a deadlock (reference, D9).
const ROW_LOCK_TIMEOUT: Duration = Duration::from_millis(300);

/// How often one chunk is tried before its failure counts.
const TRIES: u32 = 60;

/// Blocks of the first window, times the stripes.
const FIRST_BLOCKS: u64 = 32;

/// Rate and time left, from what was done of late.
struct Meter {
    begun: Instant,
    rows: u64,
    fraction: f64,
    told: Instant,
}

impl Executor<'_> {
    pub(super) async fn backfill(&mut self, step: &Step, backfill: &Backfill) -> Result<Done> {
        let estimated: u64 = backfill.units.iter().map(|unit| unit.estimated_rows).sum();
        let stored = self.progress()?.chunks.get(usize::from(step.id.0)).cloned().flatten();
        let (mut cursor, mut rows, mut took_ms) = match stored {
            Some(progress) => (Some(progress.cursor), progress.rows, progress.took_ms),
            None => (None, 0, 0),
        };
        let first = cursor.as_ref().map_or(0, |cursor| cursor.unit as usize);
        let mut saved = cursor.clone();
        let ends = self.ends_of(backfill, cursor.as_ref()).await?;
        let replica = backfill.quiet && self.may_silence_triggers().await?;
        let mut meter = Meter { begun: Instant::now(), rows, fraction: 0.0, told: Instant::now() };
        let relations = backfill.units.iter().map(|unit| unit.relation.clone()).collect();
        let sampler = self.sampler(step, Work::Writes, relations)?;
        let gate = sampler.gate();
        for (position, unit) in backfill.units.iter().enumerate().skip(first) {
            let fill = Fill { step, unit, replica, outcome: backfill.outcome };
            let (mut at, mut servo) = if unit.keys.is_some() {
                let at = self.begin_keys(position, unit, &ends, cursor.take());
                let servo = ChunkServo::new(key_limits(self.limits()), at.width);
                (at, servo)
            } else {
                let at = self.begin_unit(position, &unit.relation, unit.stripes, cursor.take()).await?;
                let servo = self.servo(at.width);
                (at, servo)
            };
            while !at.is_done() {
                self.pass(&gate).await?;
                self.check_stop()?;
                let begun = Instant::now();
                let (next, changed) = self.fill_chunk(&fill, &at, saved.as_ref(), &mut servo, rows, took_ms).await?;
                let took = begun.elapsed();
                rows += changed;
                took_ms += took.as_millis() as u64;
                at = next;
                saved = Some(at.clone());
                let within = at.fraction(unit.stripes);
                self.tell(&mut meter, rows, estimated, (position as f64 + within) / backfill.units.len() as f64);
                if changed > 0 {
                    self.stop.sleep(gate.rest(took)).await;
                }
            }
        }
        Ok(Done::Unrecorded)
    }

    pub(super) async fn verify(&mut self, step: &Step, verify: &Verify) -> Result<Done> {
        let estimated: u64 = verify.units.iter().map(|unit| unit.estimated_rows).sum();
        let mut meter = Meter { begun: Instant::now(), rows: 0, fraction: 0.0, told: Instant::now() };
        let relations = verify.units.iter().map(|unit| unit.relation.clone()).collect();
        let sampler = self.sampler(step, Work::Reads, relations)?;
        let found = self
            .compare(verify, &sampler.gate(), &mut |executor, rows, fraction| {
                executor.tell(&mut meter, rows, estimated, fraction)
            })
            .await?;
        if found.differing == 0 {
            return Ok(Done::Unrecorded);
        }
        self.store.clear_cursor(&self.client, self.lease.epoch, self.stored.id, step.id).await?;
        let (differing, rows, table) = (found.differing, found.rows, &verify.table);
        let what = match self.stored.plan.kind {
            PlanKind::Up | PlanKind::Down => {
                format!("old and new form differ in {differing} of {rows} rows of {table}")
            }
            PlanKind::Backfill => format!("{differing} of {rows} rows of {table} are left"),
        };
        let message = format!("{what}; the first: {}", found.keys.join(" | "));
        Err(Error::failed(message).hint(verify.help.clone()))
    }

    /// Counts the rows in which old and new form differ.
    pub(crate) async fn compare(
        &mut self,
        verify: &Verify,
        gate: &Gate,
        tell: &mut (dyn FnMut(&mut Self, u64, f64) + Send),
    ) -> Result<Compared> {
        let mut found = Compared::default();
        for (position, unit) in verify.units.iter().enumerate() {
            let mut at = self.begin_unit(position, &unit.relation, 1, None).await?;
            let mut servo = self.servo(at.width);
            while !at.is_done() {
                self.pass(gate).await?;
                self.check_stop()?;
                let begun = Instant::now();
                let row = match self.count_chunk(&unit.query, unit.bounds, at.chunk(1)).await {
                    Ok(row) => row,
                    Err(error) => return Err(self.name_bad_row(Sweep::Count(unit), at.chunk(1), error).await),
                };
                let took = begun.elapsed();
                servo.record(took);
                found.rows += row.0;
                found.differing += row.1;
                let room = 5_usize.saturating_sub(found.keys.len());
                found.keys.extend(row.2.into_iter().take(room));
                at = at.next(1, servo.blocks());
                tell(self, found.rows, (position as f64 + at.fraction(1)) / verify.units.len() as f64);
                self.stop.sleep(gate.rest(took)).await;
            }
        }
        Ok(found)
    }

    async fn count_chunk(&self, query: &Sql, bounds: ChunkBounds, chunk: Chunk) -> Result<(u64, u64, Vec<String>)> {
        let client = &self.client;
        let read = async {
            client
                .batch_execute("BEGIN READ ONLY; SET LOCAL enable_seqscan = off; SET LOCAL lock_timeout = '5s'")
                .await
                .doing("read a chunk")?;
            let bound = Bound::blocks(chunk, bounds);
            let row = client.query_typed_one(query.as_str(), &bound.params()).await.doing("compare a chunk")?;
            let keys: Option<Vec<Option<String>>> = row.get(2);
            let keys = keys.unwrap_or_default().into_iter().flatten().collect();
            Ok((row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64, keys))
        };
        finish(client, read.await, "read a chunk").await
    }

    async fn fill_chunk(
        &mut self,
        fill: &Fill<'_>,
        at: &Cursor,
        saved: Option<&Cursor>,
        servo: &mut ChunkServo,
        rows: u64,
        took_ms: u64,
    ) -> Result<(Cursor, u64)> {
        let unit = fill.unit;
        let mut tries = 0;
        loop {
            let begun = Instant::now();
            let result = self.fill_once(fill, at, saved, servo, rows, took_ms).await;
            match result {
                Ok(Filled::Changed(cursor, changed)) => {
                    if changed > 0 || unit.keys.is_some() {
                        servo.record(begun.elapsed());
                    }
                    return Ok((cursor, changed));
                }
                Ok(Filled::Rewritten) => {
                    let text = format!("{} was rewritten meanwhile; its sweep begins anew", unit.relation);
                    self.observer.notice(Notice::Info { text });
                    return Ok((self.begin_unit(at.unit as usize, &unit.relation, unit.stripes, None).await?, 0));
                }
                Err(error) if is_lock_failure(&error, true) && tries < TRIES => {
                    tries += 1;
                    servo.back_off();
                    self.check_stop()?;
                    if tries % 10 == 0 {
                        self.observer.notice(Notice::Retrying { reason: error.chain() });
                    }
                    self.stop.sleep(Duration::from_millis(rand::random_range(20..100 + 50 * u64::from(tries)))).await;
                }
                Err(error) if error.sql_state().is_some() => {
                    return Err(match &unit.keys {
                        Some(keys) => self.name_bad_key(fill, keys, at, servo.blocks(), error).await,
                        None => self.name_bad_row(Sweep::Fill(*fill), at.chunk(unit.stripes), error).await,
                    });
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn fill_once(
        &self,
        fill: &Fill<'_>,
        at: &Cursor,
        saved: Option<&Cursor>,
        servo: &ChunkServo,
        rows: u64,
        took_ms: u64,
    ) -> Result<Filled> {
        let (client, unit) = (&self.client, fill.unit);
        let begun = Instant::now();
        let work = async {
            let start = sql!(
                "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = '30s'; SET LOCAL synchronous_commit = off; SET LOCAL enable_seqscan = off{}{}",
                Literal(format!("{}ms", ROW_LOCK_TIMEOUT.as_millis())),
                self.mark(fill.outcome),
                if fill.replica { sql!("; SET LOCAL session_replication_role = replica") } else { sql!("") }
            );
            client.batch_execute(start.as_str()).await.doing("begin a chunk")?;
            let (bound, next) = match (&unit.keys, &at.keys) {
                (Some(keys), Some(place)) => {
                    // A chunk that gave way to somebody is tried again with fewer rows.
                    let to = self.cut(keys, at, servo.blocks().min(at.width)).await?;
                    (Bound::keys(place.after.clone(), to.clone()), at.behind(&to, servo.blocks()))
                }
                _ => {
                    if file_node(client, &unit.relation).await?.0 != at.file_node {
                        return Ok(Filled::Rewritten);
                    }
                    (Bound::blocks(at.chunk(unit.stripes), unit.bounds), at.next(unit.stripes, servo.blocks()))
                }
            };
            let changed = client
                .execute_typed(unit.statement.as_str(), &bound.params())
                .await
                .doing(&format!("change a chunk of {}", unit.relation))?;
            let took_ms = took_ms + begun.elapsed().as_millis() as u64;
            let progress = BackfillProgress { cursor: next, rows: rows + changed, took_ms };
            let follows = if unit.keys.is_some() { Follows::Only(saved) } else { Follows::Any };
            self.store.save_cursor(client, self.lease.epoch, self.stored.id, fill.step.id, &progress, &follows).await?;
            Ok(Filled::Changed(progress.cursor, changed))
        };
        finish(client, work.await, "commit a chunk").await
    }

    /// Marks a transaction's writes as ours, so that the sync leaves them alone. A statement of the user's is a write like the
    /// application's.
    pub(super) fn mark(&self, outcome: Outcome) -> Sql {
        match outcome {
            Outcome::Verified | Outcome::Taken => {
                sql!("; SET LOCAL crossfade.backfill = {}", Literal(self.stored.plan.version.clone()))
            }
            Outcome::Lasting => sql!(""),
        }
    }

    /// A cursor at the beginning of a relation, or the stored one where the relation is still the same file.
    async fn begin_unit(
        &self,
        position: usize,
        relation: &TableName,
        stripes: u32,
        stored: Option<Cursor>,
    ) -> Result<Cursor> {
        let (node, blocks) = file_node(&self.client, relation).await?;
        if let Some(cursor) = stored
            && cursor.unit as usize == position
            && cursor.file_node == node
        {
            return Ok(cursor);
        }
        Ok(Cursor::start(position as u32, node, blocks, FIRST_BLOCKS * u64::from(stripes.max(1))))
    }

    fn limits(&self) -> ServoLimits {
        ServoLimits { target: self.config.backfill.target, duty: self.config.backfill.duty, ..ServoLimits::default() }
    }

    fn servo(&self, width: u64) -> ChunkServo {
        ChunkServo::new(self.limits(), width)
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_requested() {
            return Err(self.stopped("at a chunk boundary")?);
        }
        if !self.lease.is_held() {
            return Err(Error::failed("the connection that holds the lease is gone"));
        }
        Ok(())
    }

    /// Whether this role may keep the user's triggers from firing for its own writes.
    async fn may_silence_triggers(&self) -> Result<bool> {
        let attempt = self.client.batch_execute("BEGIN; SET LOCAL session_replication_role = replica; ROLLBACK").await;
        if attempt.is_err() {
            self.client.batch_execute("ROLLBACK").await.doing("prepare the session")?;
        }
        Ok(attempt.is_ok())
    }

    fn tell(&mut self, meter: &mut Meter, rows: u64, estimated_rows: u64, fraction: f64) {
        if meter.told.elapsed() < Duration::from_millis(200) && fraction < 1.0 {
            return;
        }
        let elapsed = meter.begun.elapsed().as_secs_f64().max(0.001);
        let rate = rows.saturating_sub(meter.rows) as f64 / elapsed;
        let done = fraction - meter.fraction;
        let eta = (done > 0.01).then(|| Duration::from_secs_f64((elapsed / done * (1.0 - fraction)).clamp(0.0, 1e8)));
        self.observer.notice(Notice::Progress { rows, estimated_rows: estimated_rows.max(rows), fraction, rate, eta });
        meter.told = Instant::now();
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compared {
    pub rows: u64,
    pub differing: u64,
    pub keys: Vec<String>,
}

/// What a chunk is filled by.
#[derive(Clone, Copy)]
pub(super) struct Fill<'a> {
    pub step: &'a Step,
    pub unit: &'a BackfillUnit,
    /// Whether the user's triggers are kept from firing.
    pub replica: bool,
    pub outcome: Outcome,
}

enum Filled {
    Changed(Cursor, u64),
    Rewritten,
}

/// The bounds of a chunk as its statement takes them.
pub(crate) struct Bound(Vec<(Box<dyn ToSql + Sync + Send>, Type)>);

impl Bound {
    pub(crate) fn blocks(chunk: Chunk, bounds: ChunkBounds) -> Bound {
        let mut params: Vec<(Box<dyn ToSql + Sync + Send>, Type)> = match bounds {
            ChunkBounds::TidRange => vec![
                (Box::new(format!("({},0)", chunk.from)), Type::TEXT),
                (Box::new(format!("({},0)", chunk.to)), Type::TEXT),
            ],
            // The auditor lets no plan through that sweeps blocks by keys.
            ChunkBounds::TidList | ChunkBounds::Keys => {
                vec![(Box::new(chunk.from as i64), Type::INT8), (Box::new(chunk.to as i64), Type::INT8)]
            }
        };
        params.push((Box::new(chunk.stripes as i32), Type::INT4));
        params.push((Box::new(chunk.stripe as i32), Type::INT4));
        Bound(params)
    }

    pub(super) fn keys(after: Option<Vec<String>>, last: Vec<String>) -> Bound {
        Bound(vec![(Box::new(after), Type::TEXT_ARRAY), (Box::new(last), Type::TEXT_ARRAY)])
    }

    pub(crate) fn params(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.0.iter().map(|(value, of_type)| (&**value as &(dyn ToSql + Sync), of_type.clone())).collect()
    }
}

/// A relation's file and how many blocks it has.
async fn file_node(client: &Client, relation: &TableName) -> Result<(u32, u64)> {
    let name = sql!("{}", relation);
    let row = client
        .query_typed_one(
            "SELECT pg_catalog.pg_relation_filenode(($1::text)::regclass), pg_catalog.pg_relation_size(($1::text)::regclass) / current_setting('block_size')::int8",
            &[(&name.as_str(), Type::TEXT)],
        )
        .await
        .doing(&format!("look at {relation}"))?;
    Ok((row.get::<_, Option<u32>>(0).unwrap_or_default(), row.get::<_, i64>(1) as u64))
}
