//! Verify: old and new form are compared in each row, a chunk at a time.

use std::time::Instant;

use crossfade_core::backfill::Chunk;
use crossfade_core::backfill::ChunkServo;
use crossfade_core::backfill::Cursor;
use crossfade_core::backfill::Sample;
use crossfade_core::sql::Sql;
use crossfade_core::step::ChunkBounds;
use crossfade_core::step::PlanKind;
use crossfade_core::step::Step;
use crossfade_core::step::Verify;
use crossfade_core::throttle::Work;

use super::Bound;
use super::FIRST_BLOCKS;
use super::Worker;
use super::bad_rows::Sweep;
use super::file_node;
use super::meter::Meter;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::executor::Done;
use crate::executor::Executor;
use crate::observer::Observer;
use crate::postgres::store::finish;
use crate::throttle::Gate;

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Compared {
    pub rows: u64,
    pub differing: u64,
    pub keys: Vec<String>,
}

impl Executor<'_> {
    pub(in crate::executor) async fn verify(&mut self, step: &Step, verify: &Verify) -> Result<Done> {
        let estimated: u64 = verify.units.iter().map(|unit| unit.estimated_rows).sum();
        let mut meter = Meter::new(0, 0.0, estimated);
        let relations = verify.units.iter().map(|unit| unit.relation.clone()).collect();
        let sampler = self.sampler(step, Work::Reads, relations)?;
        let tell = &mut |observer: &mut dyn Observer, rows, fraction| meter.tell(observer, rows, fraction);
        let found = self.compare(verify, &sampler.gate(), tell).await?;
        if found.differing == 0 {
            return Ok(Done::Unrecorded);
        }
        self.store.clear_cursors(&self.client, self.lease.epoch, self.stored.id, step.id).await?;
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
        tell: &mut (dyn FnMut(&mut dyn Observer, u64, f64) + Send),
    ) -> Result<Compared> {
        let limits = self.limits(1).await?;
        let (worker, observer) = self.worker()?;
        let mut found = Compared::default();
        for (position, unit) in verify.units.iter().enumerate() {
            let (node, blocks) = file_node(worker.client, &unit.relation).await?;
            let mut at = Cursor::start(position as u32, node, blocks, FIRST_BLOCKS);
            let mut servo = ChunkServo::new(limits, at.width);
            while !at.is_done() {
                worker.pass(gate, observer).await?;
                let begun = Instant::now();
                let row = match worker.count_chunk(&unit.query, unit.bounds, at.chunk(1)).await {
                    Ok(row) => row,
                    Err(error) => return Err(worker.name_bad_row(Sweep::Count(unit), at.chunk(1), error).await),
                };
                let took = begun.elapsed();
                servo.record(Sample { took, wal: 0, blocks: at.width });
                found.rows += row.0;
                found.differing += row.1;
                let room = 5_usize.saturating_sub(found.keys.len());
                found.keys.extend(row.2.into_iter().take(room));
                at = at.next(1, servo.blocks());
                let within = if blocks == 0 { 1.0 } else { at.done(1) / blocks as f64 };
                tell(observer, found.rows, (position as f64 + within) / verify.units.len() as f64);
                worker.stop.sleep(gate.rest(took)).await;
            }
        }
        Ok(found)
    }
}

impl Worker<'_> {
    async fn count_chunk(&self, query: &Sql, bounds: ChunkBounds, chunk: Chunk) -> Result<(u64, u64, Vec<String>)> {
        let client = self.client;
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
}
