//! What is left to sweep: the lanes that workers take one after the other.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crossfade_core::backfill::ChunkServo;
use crossfade_core::backfill::Cursor;
use crossfade_core::backfill::Lane as LaneName;
use crossfade_core::backfill::Segment;
use crossfade_core::backfill::ServoLimits;
use crossfade_core::journal::BackfillProgress;
use crossfade_core::step::Backfill;

use super::FIRST_BLOCKS;
use super::file_node;
use crate::error::Result;

/// One segment of one relation.
pub(super) struct Lane {
    pub at: Cursor,
    pub rows: u64,
    pub took_ms: u64,
}

/// The lanes of a step, shared by its workers.
pub(super) struct Lanes {
    inner: Mutex<Inner>,
}

struct Inner {
    waiting: VecDeque<Lane>,
    /// Workers that have nothing to do and wait for a lane that another gives back.
    idle: usize,
    /// Lanes that are in the hands of workers.
    taken: usize,
    units: Vec<Unit>,
    in_order: bool,
    /// Rows and blocks done in each lane.
    done: BTreeMap<LaneName, (u64, f64)>,
}

struct Unit {
    /// The file that is swept, and how many blocks it had.
    file_node: u32,
    blocks: u64,
    stripes: u32,
    servo: ChunkServo,
}

impl Lanes {
    /// Everything that is swept by blocks, each segment behind its stored cursor. Where a relation is another file than it was, its sweep begins
    /// anew.
    pub async fn layout(
        client: &tokio_postgres::Client,
        backfill: &Backfill,
        stored: &[BackfillProgress],
        limits: ServoLimits,
        most_rows: Option<u64>,
    ) -> Result<Lanes> {
        let in_order = !backfill.is_parallel();
        let mut inner =
            Inner { waiting: VecDeque::new(), idle: 0, taken: 0, units: Vec::new(), in_order, done: BTreeMap::new() };
        for (position, unit) in (0u32..).zip(&backfill.units) {
            let (file_node, blocks) =
                if unit.keys.is_some() { (0, 0) } else { file_node(client, &unit.relation).await? };
            let of_unit = |lane: &&BackfillProgress| {
                let at = &lane.cursor;
                at.unit == position && at.file_node == file_node && at.lane() != LaneName::Keys
            };
            let known: Vec<&BackfillProgress> = stored.iter().filter(of_unit).collect();
            // Where a sweep has begun its end stands: what came later was written under the trigger.
            let blocks = known.first().map_or(blocks, |lane| lane.cursor.end_block);
            let mut servo = ChunkServo::new(limits, FIRST_BLOCKS * u64::from(unit.stripes.max(1)));
            if let Some(rows) = most_rows {
                // A window is changed by all its stripes together.
                let rows_a_block = (unit.estimated_rows / blocks.max(1)).max(1);
                servo.at_most(rows.saturating_mul(u64::from(unit.stripes.max(1))) / rows_a_block);
            }
            inner.units.push(Unit { file_node, blocks, stripes: unit.stripes, servo });
            if unit.keys.is_some() {
                continue;
            }
            match known.first() {
                Some(first) => inner.resume(position, first.cursor.segment.of, &known),
                None => inner.begin(position),
            }
        }
        Ok(Lanes { inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many lanes wait for a worker.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// The next lane. A second one beside the first only where enough is left for the others.
    pub fn take(&self, beside: bool, workers: usize) -> Option<Lane> {
        let mut inner = self.lock();
        if beside && inner.waiting.len() < workers {
            return None;
        }
        let lane = inner.waiting.pop_front()?;
        inner.taken += 1;
        Some(lane)
    }

    /// A lane that is swept, or that is no longer true.
    pub fn finished(&self) {
        self.lock().taken -= 1;
    }

    /// Gives a lane to a worker that has none; back where there is no such.
    pub fn hand_over(&self, lane: Lane) -> Option<Lane> {
        let mut inner = self.lock();
        if inner.idle <= inner.waiting.len() {
            return Some(lane);
        }
        inner.taken -= 1;
        inner.waiting.push_front(lane);
        None
    }

    /// Whether a worker without a lane may still get one.
    pub fn may_come(&self) -> bool {
        let inner = self.lock();
        inner.taken > 0 || !inner.waiting.is_empty()
    }

    /// Notes that a worker begins or ends to wait for a lane.
    pub fn waits(&self, waits: bool) {
        let mut inner = self.lock();
        inner.idle = if waits { inner.idle + 1 } else { inner.idle - 1 };
    }

    /// Notes how far a lane is.
    pub fn moved(&self, lane: &Lane) {
        let mut inner = self.lock();
        let stripes = inner.units.get(lane.at.unit as usize).map_or(1, |unit| unit.stripes);
        inner.done.insert(lane.at.lane(), (lane.rows, lane.at.done(stripes)));
    }

    /// Rows so far, and how much of the whole is swept, 0 to 1.
    pub fn progress(&self) -> (u64, f64) {
        let inner = self.lock();
        let all: u64 = inner.units.iter().map(|unit| unit.blocks).sum();
        let (rows, done) = inner.done.values().fold((0, 0.0), |sum, lane| (sum.0 + lane.0, sum.1 + lane.1));
        (rows, if all == 0 { 1.0 } else { (done / all as f64).min(1.0) })
    }

    /// Blocks of the next window of a relation.
    pub fn width(&self, unit: u32) -> u64 {
        self.lock().units.get(unit as usize).map_or(FIRST_BLOCKS, |unit| unit.servo.blocks())
    }

    /// Lets a relation's servo learn.
    pub fn steer(&self, unit: u32, learn: impl FnOnce(&mut ChunkServo)) {
        if let Some(unit) = self.lock().units.get_mut(unit as usize) {
            learn(&mut unit.servo);
        }
    }

    /// Notes that a relation stands in another file: its sweep begins anew. False where another worker has seen that already.
    pub fn begin_anew(&self, unit: u32, file_node: u32, blocks: u64) -> bool {
        let mut inner = self.lock();
        match inner.units.get_mut(unit as usize) {
            Some(known) if known.file_node != file_node => {
                known.file_node = file_node;
                known.blocks = blocks;
            }
            Some(_) | None => return false,
        }
        inner.waiting.retain(|lane| lane.at.unit != unit);
        inner.done.retain(|lane, _| !matches!(lane, LaneName::Blocks(of, _) if *of == unit));
        inner.begin(unit);
        true
    }
}

impl Inner {
    fn segments(&self, blocks: u64) -> Vec<Segment> {
        if self.in_order { vec![Segment::default()] } else { Segment::all(blocks) }
    }

    fn begin(&mut self, unit: u32) {
        let Some(known) = self.units.get(unit as usize) else { return };
        for segment in self.segments(known.blocks) {
            let at = Cursor::start_of_segment(unit, known.file_node, known.blocks, known.servo.blocks(), segment);
            self.waiting.push_back(Lane { at, rows: 0, took_ms: 0 });
        }
    }

    fn resume(&mut self, unit: u32, of: u32, stored: &[&BackfillProgress]) {
        let Some(known) = self.units.get(unit as usize) else { return };
        for position in 0..of {
            let lane = match stored.iter().find(|lane| lane.cursor.segment == (Segment { position, of })) {
                Some(lane) => Lane { at: lane.cursor.clone(), rows: lane.rows, took_ms: lane.took_ms },
                None => {
                    let (node, blocks, width) = (known.file_node, known.blocks, known.servo.blocks());
                    let at = Cursor::start_of_segment(unit, node, blocks, width, Segment { position, of });
                    Lane { at, rows: 0, took_ms: 0 }
                }
            };
            self.done.insert(lane.at.lane(), (lane.rows, lane.at.done(known.stripes)));
            if !lane.at.is_done() {
                self.waiting.push_back(lane);
            }
        }
    }
}
