//! Workers that share the lanes of a step.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::backfill::ChunkServo;
use crossfade_core::backfill::Sample;
use crossfade_core::journal::BackfillProgress;
use crossfade_core::step::Backfill;
use crossfade_core::step::BackfillUnit;
use crossfade_core::step::Step;
use tokio::sync::mpsc::UnboundedSender;

use super::Fill;
use super::Worker;
use super::bad_rows::Sweep;
use super::bad_rows::is_about_data;
use super::file_node;
use super::fill::Filled;
use super::fill::TRIES;
use super::fill::pause_before;
use super::lanes::Lane;
use super::lanes::Lanes;
use crate::error::Result;
use crate::executor::ddl::is_lock_failure;
use crate::observer::Notice;
use crate::postgres::store::Follows;
use crate::throttle::Gate;

/// How many lanes a worker goes through in turn.
pub(super) const LANES_HELD: usize = 2;

/// How often a worker without a lane looks for one.
const LOOK_FOR_A_LANE: Duration = Duration::from_millis(20);

/// What workers say to whoever watches.
pub(super) enum Said {
    /// A lane moved on.
    Moved,
    /// Something for people.
    Notice(Notice),
}

/// A worker with what it shares with the others.
pub(super) struct Crew<'a> {
    pub worker: Worker<'a>,
    pub lanes: &'a Lanes,
    /// How many workers there are.
    pub workers: usize,
    pub gate: &'a Gate,
    pub failed: &'a AtomicBool,
    pub say: UnboundedSender<Said>,
    pub step: &'a Step,
    pub backfill: &'a Backfill,
    pub replica: bool,
    pub most_rows: Option<u64>,
}

impl Crew<'_> {
    /// Takes lanes until none is left or one of all workers failed.
    pub async fn sweep(self) -> Result<()> {
        let swept = self.sweep_lanes().await;
        if swept.is_err() {
            self.failed.store(true, Ordering::SeqCst);
        }
        swept
    }

    /// Chunks of two lanes in turn: while one rests, the snapshots of the other workers move past its last chunk, whose dead row versions then
    /// make room on their pages. In one lane alone a worker would come back before that (reference B3.4: with an old snapshot held, few updates are HOT).
    async fn sweep_lanes(&self) -> Result<()> {
        let mut held: VecDeque<Lane> = VecDeque::new();
        loop {
            while held.len() < LANES_HELD
                && let Some(lane) = self.lanes.take(!held.is_empty(), self.workers)
            {
                held.push_back(lane);
            }
            if held.len() > 1
                && let Some(lane) = held.pop_back()
                && let Some(kept) = self.lanes.hand_over(lane)
            {
                held.push_back(kept);
            }
            let Some(lane) = held.pop_front() else {
                if !self.wait_for_a_lane().await? {
                    return Ok(());
                }
                continue;
            };
            let Some(unit) = self.backfill.units.get(lane.at.unit as usize) else {
                self.lanes.finished();
                continue;
            };
            let fill = self.fill(unit);
            self.gate.pass(self.worker.stop, self.worker.lease).await?;
            self.worker.check_stop()?;
            if self.failed.load(Ordering::SeqCst) {
                return Ok(());
            }
            match self.next_chunk(&fill, lane).await? {
                Some(lane) if !lane.at.is_done() => held.push_back(lane),
                Some(_) | None => self.lanes.finished(),
            }
        }
    }

    fn fill<'u>(&'u self, unit: &'u BackfillUnit) -> Fill<'u> {
        Fill {
            step: self.step,
            unit,
            replica: self.replica,
            outcome: self.backfill.outcome,
            park: self.backfill.park,
            most_rows: self.most_rows,
        }
    }

    /// Waits until there may be a lane; false where none will come.
    async fn wait_for_a_lane(&self) -> Result<bool> {
        self.lanes.waits(true);
        while self.lanes.waiting() == 0 && self.lanes.may_come() && !self.failed.load(Ordering::SeqCst) {
            if self.worker.stop.is_requested() {
                break;
            }
            self.worker.stop.sleep(LOOK_FOR_A_LANE).await;
        }
        self.lanes.waits(false);
        self.worker.check_stop()?;
        Ok(self.lanes.may_come() && !self.failed.load(Ordering::SeqCst))
    }

    /// The lane behind its next chunk; none where it is no longer true.
    async fn next_chunk(&self, fill: &Fill<'_>, lane: Lane) -> Result<Option<Lane>> {
        let Some(filled) = self.fill_chunk(fill, &lane).await? else { return Ok(None) };
        let changed = filled.progress.rows - lane.rows;
        let BackfillProgress { cursor, rows, took_ms } = filled.progress;
        let lane = Lane { at: cursor, rows, took_ms };
        self.lanes.moved(&lane);
        // Nobody watches any more where the executor has gone.
        let _ = self.say.send(Said::Moved);
        if changed > 0 {
            self.worker.stop.sleep(self.gate.rest(filled.sample.took)).await;
        }
        Ok(Some(lane))
    }

    /// One chunk, tried until it is done; none where the lane is no longer true.
    async fn fill_chunk(&self, fill: &Fill<'_>, lane: &Lane) -> Result<Option<Filled>> {
        let (worker, unit) = (self.worker, fill.unit);
        let mut tries = 0;
        let begun = Instant::now();
        loop {
            let result = worker.fill_blocks(fill, lane, self.lanes.width(lane.at.unit)).await;
            match result {
                Ok(Blocks::Filled(filled)) => {
                    let changed = filled.progress.rows > lane.rows;
                    self.lanes.steer(
                        lane.at.unit,
                        |servo| {
                            if changed { servo.record(filled.sample) } else { servo.gap() }
                        },
                    );
                    return Ok(Some(filled));
                }
                Ok(Blocks::TooMany(rows)) => {
                    let chunk = lane.at.chunk(unit.stripes);
                    let most = fill.most_rows.unwrap_or(rows).saturating_mul(chunk.to - chunk.from) / rows.max(1);
                    self.lanes.steer(lane.at.unit, |servo| servo.at_most(most));
                    let cursor = lane.at.narrowed(self.lanes.width(lane.at.unit));
                    let progress = BackfillProgress { cursor, rows: lane.rows, took_ms: lane.took_ms };
                    return Ok(Some(Filled { progress, sample: Sample { took: Duration::ZERO, wal: 0, blocks: 0 } }));
                }
                Ok(Blocks::Rewritten) => {
                    let (node, blocks) = file_node(worker.client, &unit.relation).await?;
                    if self.lanes.begin_anew(lane.at.unit, node, blocks) {
                        let text = format!("{} was rewritten meanwhile; its sweep begins anew", unit.relation);
                        let _ = self.say.send(Said::Notice(Notice::Info { text }));
                    }
                    return Ok(None);
                }
                Err(error) if is_lock_failure(&error, true) && tries < TRIES => {
                    tries += 1;
                    self.lanes.steer(lane.at.unit, ChunkServo::back_off);
                    worker.check_stop()?;
                    if tries % 10 == 0 {
                        let _ = self.say.send(Said::Notice(Notice::Retrying { reason: error.chain() }));
                    }
                    worker.stop.sleep(pause_before(tries)).await;
                }
                Err(error) if fill.park && is_about_data(&error) => {
                    let changed = worker.fill_around(fill, self.gate, lane.at.chunk(unit.stripes)).await?;
                    let cursor = lane.at.next(unit.stripes, self.lanes.width(lane.at.unit));
                    let took_ms = lane.took_ms + begun.elapsed().as_millis() as u64;
                    let progress = BackfillProgress { cursor, rows: lane.rows + changed, took_ms };
                    worker.save(fill, &progress, &Follows::Any).await?;
                    // It has rested in between.
                    return Ok(Some(Filled { progress, sample: Sample { took: Duration::ZERO, wal: 0, blocks: 0 } }));
                }
                Err(error) if error.sql_state().is_some() => {
                    return Err(worker.name_bad_row(Sweep::Fill(*fill), lane.at.chunk(unit.stripes), error).await);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What became of a chunk of blocks.
pub(super) enum Blocks {
    Filled(Filled),
    /// Nothing: the relation was rewritten since its sweep began.
    Rewritten,
    /// It was rolled back: it had more rows than one may have.
    TooMany(u64),
}
