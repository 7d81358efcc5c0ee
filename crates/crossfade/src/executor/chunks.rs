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
use crossfade_core::step::Step;
use crossfade_core::step::Verify;
use crossfade_core::step::VerifyUnit;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::Done;
use super::Executor;
use super::ddl::is_lock_failure;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::postgres::store::finish;

/// How long a chunk waits for a row. Below `deadlock_timeout`, and a chunk is short: where we and the application wait for each other, we
/// are the first to give way, and it never sees a deadlock (reference, D9).
const ROW_LOCK_TIMEOUT: Duration = Duration::from_millis(300);

/// How often one chunk is tried before its failure counts.
const TRIES: u32 = 60;

/// Blocks of the first window, times the stripes.
const FIRST_BLOCKS: u64 = 32;

/// More than a block has line pointers, as a power of two.
const MAX_LINE_POINTERS: u32 = 512;

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
        let replica = backfill.quiet && self.may_silence_triggers().await?;
        let mut meter = Meter { begun: Instant::now(), rows, fraction: 0.0, told: Instant::now() };
        for (position, unit) in backfill.units.iter().enumerate().skip(first) {
            let mut at = self.begin_unit(position, &unit.relation, unit.stripes, cursor.take()).await?;
            let mut servo = self.servo(at.width);
            while !at.is_done() {
                self.check_stop()?;
                let begun = Instant::now();
                let (next, changed) = self.fill_chunk(step, unit, &at, &mut servo, replica, rows, took_ms).await?;
                let took = begun.elapsed();
                rows += changed;
                took_ms += took.as_millis() as u64;
                at = next;
                let within = at.fraction(unit.stripes);
                self.tell(&mut meter, rows, estimated, (position as f64 + within) / backfill.units.len() as f64);
                if changed > 0 {
                    self.stop.sleep(servo.rest(took)).await;
                }
            }
        }
        Ok(Done::Unrecorded)
    }

    pub(super) async fn verify(&mut self, step: &Step, verify: &Verify) -> Result<Done> {
        let estimated: u64 = verify.units.iter().map(|unit| unit.estimated_rows).sum();
        let mut meter = Meter { begun: Instant::now(), rows: 0, fraction: 0.0, told: Instant::now() };
        let found = self
            .compare(verify, &mut |executor, rows, fraction| executor.tell(&mut meter, rows, estimated, fraction))
            .await?;
        if found.differing == 0 {
            return Ok(Done::Unrecorded);
        }
        self.store.clear_cursor(&self.client, self.lease.epoch, self.stored.id, step.id).await?;
        let message = format!(
            "old and new form differ in {} of {} rows of {}; the first: {}",
            found.differing,
            found.rows,
            verify.table,
            found.keys.join(" | ")
        );
        Err(Error::failed(message).hint(verify.help.clone()))
    }

    /// Counts the rows in which old and new form differ.
    pub(crate) async fn compare(
        &mut self,
        verify: &Verify,
        tell: &mut (dyn FnMut(&mut Self, u64, f64) + Send),
    ) -> Result<Compared> {
        let mut found = Compared::default();
        for (position, unit) in verify.units.iter().enumerate() {
            let mut at = self.begin_unit(position, &unit.relation, 1, None).await?;
            let mut servo = self.servo(at.width);
            while !at.is_done() {
                self.check_stop()?;
                let begun = Instant::now();
                let row = match self.count_chunk(&unit.query, unit.bounds, at.chunk(1)).await {
                    Ok(row) => row,
                    Err(error) => return Err(self.name_bad_row(Sweep::Count(unit), at.chunk(1), error).await),
                };
                servo.record(begun.elapsed());
                found.rows += row.0;
                found.differing += row.1;
                let room = 5_usize.saturating_sub(found.keys.len());
                found.keys.extend(row.2.into_iter().take(room));
                at = at.next(1, servo.blocks());
                tell(self, found.rows, (position as f64 + at.fraction(1)) / verify.units.len() as f64);
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
            let params = Bound::new(chunk);
            let row = client.query_typed_one(query.as_str(), &params.bind(bounds)).await.doing("compare a chunk")?;
            let keys: Option<Vec<Option<String>>> = row.get(2);
            let keys = keys.unwrap_or_default().into_iter().flatten().collect();
            Ok((row.get::<_, i64>(0) as u64, row.get::<_, i64>(1) as u64, keys))
        };
        finish(client, read.await, "read a chunk").await
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one chunk")]
    async fn fill_chunk(
        &mut self,
        step: &Step,
        unit: &BackfillUnit,
        at: &Cursor,
        servo: &mut ChunkServo,
        replica: bool,
        rows: u64,
        took_ms: u64,
    ) -> Result<(Cursor, u64)> {
        let mut tries = 0;
        loop {
            let begun = Instant::now();
            let result = self.fill_once(step, unit, at, servo, replica, rows, took_ms).await;
            match result {
                Ok(Filled::Changed(cursor, changed)) => {
                    if changed > 0 {
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
                    return Err(self.name_bad_row(Sweep::Fill(unit), at.chunk(unit.stripes), error).await);
                }
                Err(error) => return Err(error),
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one chunk")]
    async fn fill_once(
        &self,
        step: &Step,
        unit: &BackfillUnit,
        at: &Cursor,
        servo: &ChunkServo,
        replica: bool,
        rows: u64,
        took_ms: u64,
    ) -> Result<Filled> {
        let client = &self.client;
        let begun = Instant::now();
        let work = async {
            let start = sql!(
                "BEGIN; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = '30s'; SET LOCAL synchronous_commit = off; SET LOCAL enable_seqscan = off; SET LOCAL crossfade.backfill = {}{}",
                Literal(format!("{}ms", ROW_LOCK_TIMEOUT.as_millis())),
                Literal(self.stored.plan.version.clone()),
                if replica { sql!("; SET LOCAL session_replication_role = replica") } else { sql!("") }
            );
            client.batch_execute(start.as_str()).await.doing("begin a chunk")?;
            if file_node(client, &unit.relation).await?.0 != at.file_node {
                return Ok(Filled::Rewritten);
            }
            let params = Bound::new(at.chunk(unit.stripes));
            let changed = client
                .execute_typed(unit.statement.as_str(), &params.bind(unit.bounds))
                .await
                .doing(&format!("fill a chunk of {}", unit.relation))?;
            let next = at.next(unit.stripes, servo.blocks());
            let took_ms = took_ms + begun.elapsed().as_millis() as u64;
            let progress = BackfillProgress { cursor: next, rows: rows + changed, took_ms };
            self.store.save_cursor(client, self.lease.epoch, self.stored.id, step.id, &progress).await?;
            Ok(Filled::Changed(progress.cursor, changed))
        };
        finish(client, work.await, "commit a chunk").await
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

    fn servo(&self, width: u64) -> ChunkServo {
        let limits = ServoLimits {
            target: self.config.backfill.target,
            duty: self.config.backfill.duty,
            ..ServoLimits::default()
        };
        ChunkServo::new(limits, width)
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_requested() {
            let command = match self.progress()?.direction {
                crossfade_core::journal::Direction::Forward => "migrate",
                crossfade_core::journal::Direction::Backward => "rollback",
            };
            return Err(Error::failed(format!(
                "stopped at a chunk boundary in migration {}",
                self.stored.plan.version
            ))
            .hint(format!("run `crossfade {command}` to go on from there")));
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

    /// Finds the row that a chunk fails on and names its key: first the block, then the line pointer, by trying halves in transactions that
    /// are rolled back.
    async fn name_bad_row(&self, sweep: Sweep<'_>, chunk: Chunk, error: Error) -> Error {
        let data = error
            .sql_state()
            .is_some_and(|state| state.starts_with("22") || state.starts_with("23") || state.starts_with("P0"));
        if !data {
            return error;
        }
        let go_on = "mend it (or the expression), then run `crossfade migrate` again; what is filled stays filled. `crossfade rollback` undoes it all";
        match self.find_bad_row(sweep, chunk).await {
            Some(key) => error.hint(format!("the row is {key} of {}: {go_on}", sweep.relation())),
            None => error.hint(format!(
                "the row stands in blocks {} to {} of {}: {go_on}",
                chunk.from,
                chunk.to.saturating_sub(1),
                sweep.relation()
            )),
        }
    }

    async fn find_bad_row(&self, sweep: Sweep<'_>, chunk: Chunk) -> Option<String> {
        let mut found = chunk;
        while found.to - found.from > 1 {
            let middle = found.from + (found.to - found.from) / 2;
            let lower = Chunk { to: middle, ..found };
            found = if self.fails(sweep, lower).await { lower } else { Chunk { from: middle, ..found } };
        }
        if found.stripes > 1 || !self.fails(sweep, found).await {
            found = Chunk { stripes: 1, stripe: 0, ..found };
        }
        // Line pointers by halves: those that are congruent to `stripe` modulo `stripes`, with twice the modulus each time.
        let mut place = found;
        while place.stripes < MAX_LINE_POINTERS {
            let (even, odd) = (
                Chunk { stripes: place.stripes * 2, ..place },
                Chunk { stripes: place.stripes * 2, stripe: place.stripe + place.stripes, ..place },
            );
            place = if self.fails(sweep, even).await { even } else { odd };
        }
        let tid = format!("({},{})", place.from, place.stripe);
        let row = self.client.query_typed_opt(sweep.locate().as_str(), &[(&tid, Type::TEXT)]).await.ok()?;
        row.and_then(|row| row.get(0))
    }

    async fn fails(&self, sweep: Sweep<'_>, chunk: Chunk) -> bool {
        let (statement, bounds) = match sweep {
            Sweep::Fill(unit) => (&unit.statement, unit.bounds),
            Sweep::Count(unit) => (&unit.query, unit.bounds),
        };
        let start = sql!(
            "BEGIN; SET LOCAL lock_timeout = '1s'; SET LOCAL enable_seqscan = off; SET LOCAL crossfade.backfill = {}",
            Literal(self.stored.plan.version.clone())
        );
        if self.client.batch_execute(start.as_str()).await.is_err() {
            return false;
        }
        let params = Bound::new(chunk);
        let failed = self.client.query_typed(statement.as_str(), &params.bind(bounds)).await.is_err();
        let _ = self.client.batch_execute("ROLLBACK").await;
        failed
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

/// What sweeps a relation.
#[derive(Clone, Copy)]
enum Sweep<'a> {
    Fill(&'a BackfillUnit),
    Count(&'a VerifyUnit),
}

impl<'a> Sweep<'a> {
    fn relation(self) -> &'a TableName {
        match self {
            Sweep::Fill(unit) => &unit.relation,
            Sweep::Count(unit) => &unit.relation,
        }
    }

    fn locate(self) -> &'a Sql {
        match self {
            Sweep::Fill(unit) => &unit.locate,
            Sweep::Count(unit) => &unit.locate,
        }
    }
}

enum Filled {
    Changed(Cursor, u64),
    Rewritten,
}

/// The bounds of a chunk in the forms that statements take.
struct Bound {
    first_tid: String,
    end_tid: String,
    from: i64,
    to: i64,
    stripes: i32,
    stripe: i32,
}

impl Bound {
    fn new(chunk: Chunk) -> Bound {
        Bound {
            first_tid: format!("({},0)", chunk.from),
            end_tid: format!("({},0)", chunk.to),
            from: chunk.from as i64,
            to: chunk.to as i64,
            stripes: chunk.stripes as i32,
            stripe: chunk.stripe as i32,
        }
    }

    fn bind(&self, bounds: ChunkBounds) -> Vec<(&(dyn ToSql + Sync), Type)> {
        let mut params: Vec<(&(dyn ToSql + Sync), Type)> = match bounds {
            ChunkBounds::TidRange => vec![(&self.first_tid, Type::TEXT), (&self.end_tid, Type::TEXT)],
            ChunkBounds::TidList => vec![(&self.from, Type::INT8), (&self.to, Type::INT8)],
        };
        params.push((&self.stripes, Type::INT4));
        params.push((&self.stripe, Type::INT4));
        params
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
