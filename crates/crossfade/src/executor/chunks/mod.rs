//! Backfill and verify: many small transactions, each with its cursor in it.
//!
//! A backfill is cut into *lanes*, each with a cursor of its own; several workers, each with a connection of its own, take one lane after
//! the other. What is not known when they stop is in the cursors.

mod bad_rows;
mod changed;
mod crew;
mod fill;
mod keys;
mod lanes;
mod meter;
mod park;
mod tidy;
mod verify;

use crossfade_core::backfill::Chunk;
use crossfade_core::backfill::ServoLimits;
use crossfade_core::journal::Direction;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::BackfillUnit;
use crossfade_core::step::ChunkBounds;
use crossfade_core::step::Outcome;
use crossfade_core::step::Step;
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

pub(crate) use changed::measured;
pub(crate) use verify::Compared;

use super::Executor;
use super::stopped;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Observer;
use crate::postgres::lease::Lease;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::stop::Stop;
use crate::throttle::Gate;

/// Blocks of the first window, times the stripes.
const FIRST_BLOCKS: u64 = 32;

/// The share of the server's buffers that the windows of all workers may take: a window is read once for each of its stripes.
const BUFFER_SHARE: u64 = 8;

/// A window may have so many blocks whatever the server's buffers: in smaller ones the stripes are not worth their transactions.
const LEAST_WINDOW: u64 = 512;

/// One connection at work on chunks.
#[derive(Clone, Copy)]
pub(super) struct Worker<'a> {
    pub client: &'a Client,
    pub store: &'a Store,
    pub lease: &'a Lease,
    pub stop: &'a Stop,
    pub plan: &'a StoredPlan,
    /// Which way it goes.
    pub direction: Direction,
}

impl Executor<'_> {
    /// Splits into what works and who watches.
    fn worker(&mut self) -> Result<(Worker<'_>, &mut dyn Observer)> {
        let direction = self.progress()?.direction;
        let Executor { client, store, lease, stop, stored, observer, .. } = self;
        Ok((Worker { client, store, lease, stop, plan: stored, direction }, &mut **observer))
    }

    /// What the servo keeps to, where so many work at the same time.
    async fn limits(&self, workers: usize) -> Result<ServoLimits> {
        let query = "SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'shared_buffers'";
        let row = self.client.query_typed_opt(query, &[]).await.doing("read the server's settings")?;
        let buffers: u64 = row.map_or(0, |row| row.get::<_, i64>(0) as u64);
        let defaults = ServoLimits::default();
        let room = buffers / BUFFER_SHARE / (workers.max(1) as u64) / crew::LANES_HELD as u64;
        Ok(ServoLimits {
            target: self.config.backfill.target,
            target_wal: self.config.backfill.target_wal,
            max_blocks: room.clamp(LEAST_WINDOW, defaults.max_blocks),
            ..defaults
        })
    }
}

impl Worker<'_> {
    /// Waits at a gate, and tells of it.
    async fn pass(&self, gate: &Gate, observer: &mut dyn Observer) -> Result<()> {
        loop {
            tokio::select! {
                biased;
                notice = gate.news() => observer.notice(notice),
                passed = gate.pass(self.stop, self.lease) => {
                    passed?;
                    return self.check_stop();
                }
            }
        }
    }

    fn check_stop(&self) -> Result<()> {
        if self.stop.is_requested() {
            return Err(stopped(&self.plan.plan, self.direction, "at a chunk boundary"));
        }
        if !self.lease.is_held() {
            return Err(Error::failed("the connection that holds the lease is gone"));
        }
        Ok(())
    }

    /// Marks a transaction's writes as ours, so that the sync leaves them alone. A statement of the user's is a write like the
    /// application's.
    fn mark(&self, outcome: Outcome) -> Sql {
        match outcome {
            Outcome::Verified | Outcome::Taken => {
                sql!("; SET LOCAL crossfade.backfill = {}", Literal(self.plan.plan.version.clone()))
            }
            Outcome::Lasting => sql!(""),
        }
    }
}

/// What a chunk is filled by.
#[derive(Clone, Copy)]
struct Fill<'a> {
    step: &'a Step,
    unit: &'a BackfillUnit,
    /// Whether the user's triggers are kept from firing.
    replica: bool,
    outcome: Outcome,
    /// Whether a row that the server refuses is set aside.
    park: bool,
    /// Rows that a chunk of blocks may change at the most.
    most_rows: Option<u64>,
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

    fn keys(after: Option<Vec<String>>, last: Vec<String>) -> Bound {
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
