//! How many blocks the next window has, from what the last chunks took and wrote.
//!
//! Source: reference B1 (90th percentile over a window of samples, growth capped, instant shrink on a bad chunk; the greater of two
//! pressures: time protects who waits for a lock, the log protects replicas).

use std::time::Duration;

/// What a servo steers to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServoLimits {
    /// What one chunk's transaction should take.
    pub target: Duration,
    /// What one chunk's transaction should write to the log, in bytes.
    pub target_wal: u64,
    /// Fewest blocks in a window.
    pub min_blocks: u64,
    /// Most blocks in a window.
    pub max_blocks: u64,
}

impl Default for ServoLimits {
    fn default() -> ServoLimits {
        ServoLimits { target: Duration::from_millis(200), target_wal: 4 << 20, min_blocks: 4, max_blocks: 8192 }
    }
}

/// What a chunk was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// How long its transaction took.
    pub took: Duration,
    /// What it wrote to the log, in bytes.
    pub wal: u64,
    /// How many blocks its window had. A window that is smaller than the servo's says less about it.
    pub blocks: u64,
}

const SAMPLES: usize = 5;
const GROWTH: f64 = 1.5;
const PANIC: f64 = 5.0;
const GAPS: u32 = 3;

/// Sizes chunks by their own time and log.
#[derive(Clone, Debug)]
pub struct ChunkServo {
    limits: ServoLimits,
    blocks: f64,
    pressures: Vec<f64>,
    /// Chunks in a row that found nothing to do.
    gaps: u32,
}

impl ChunkServo {
    /// Starts with this many blocks.
    pub fn new(limits: ServoLimits, blocks: u64) -> ChunkServo {
        let mut servo = ChunkServo { limits, blocks: blocks as f64, pressures: Vec::new(), gaps: 0 };
        servo.clamp();
        servo
    }

    /// Never more blocks than this from now on, few as they are.
    pub fn at_most(&mut self, blocks: u64) {
        self.limits.max_blocks = self.limits.max_blocks.min(blocks.max(1));
        self.limits.min_blocks = self.limits.min_blocks.min(self.limits.max_blocks);
        self.clamp();
    }

    /// Blocks of the next window.
    pub fn blocks(&self) -> u64 {
        self.blocks as u64
    }

    /// Takes in what a chunk took and wrote.
    pub fn record(&mut self, sample: Sample) {
        self.gaps = 0;
        let time = sample.took.as_secs_f64() / self.limits.target.as_secs_f64().max(0.001);
        let wal = sample.wal as f64 / self.limits.target_wal.max(1) as f64;
        let pressure = time.max(wal);
        if pressure > PANIC {
            self.blocks /= 10.0;
            self.pressures.clear();
        } else if sample.blocks * 2 >= self.blocks() {
            // As a chunk of a window of the size that it has now. A much smaller one is mostly what every transaction costs.
            self.pressures.push(pressure * self.blocks / sample.blocks.max(1) as f64);
            if self.pressures.len() >= SAMPLES {
                self.pressures.sort_by(f64::total_cmp);
                let high = self.pressures[(SAMPLES * 9 / 10).min(SAMPLES - 1)].max(0.01);
                self.blocks = (self.blocks / high).clamp(self.blocks / 10.0, self.blocks * GROWTH);
                self.pressures.clear();
            }
        }
        self.clamp();
    }

    /// Takes in that a chunk found nothing to do. After a few of them the next are bigger: where much is done already, or empty, it is passed by quickly.
    pub fn gap(&mut self) {
        self.gaps += 1;
        if self.gaps >= GAPS {
            self.blocks *= GROWTH;
            self.clamp();
        }
    }

    /// Takes in that a chunk ended in a lock timeout or a deadlock.
    pub fn back_off(&mut self) {
        self.blocks /= 2.0;
        self.pressures.clear();
        self.clamp();
    }

    fn clamp(&mut self) {
        self.blocks = self.blocks.clamp(self.limits.min_blocks.max(1) as f64, self.limits.max_blocks.max(1) as f64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_that_is_learned_stays() {
        let mut servo = ChunkServo::new(ServoLimits::default(), 1000);
        servo.at_most(2);
        servo.at_most(50);
        assert_eq!(servo.blocks(), 2);
        servo.at_most(0);
        for _ in 0..50 {
            servo.record(Sample { took: Duration::from_millis(1), wal: 1, blocks: servo.blocks() });
        }
        assert_eq!(servo.blocks(), 1);
    }

    #[test]
    fn passes_by_what_is_done_in_ever_bigger_steps() {
        let mut servo = ChunkServo::new(ServoLimits::default(), 32);
        servo.gap();
        servo.gap();
        assert_eq!(servo.blocks(), 32);
        servo.gap();
        assert_eq!(servo.blocks(), 48);
        (0..40).for_each(|_| servo.gap());
        assert_eq!(servo.blocks(), ServoLimits::default().max_blocks);
    }

    proptest! {
        #[test]
        fn never_leaves_its_limits(chunks in prop::collection::vec((0u64..20_000, 0u64..100_000_000, 0u64..20_000), 0..200), start in 0u64..100_000) {
            let limits = ServoLimits::default();
            let mut servo = ChunkServo::new(limits, start);
            for (ms, wal, blocks) in chunks {
                let before = servo.blocks();
                servo.record(Sample { took: Duration::from_millis(ms), wal, blocks });
                prop_assert!((limits.min_blocks..=limits.max_blocks).contains(&servo.blocks()));
                prop_assert!(servo.blocks() as f64 <= (before as f64 + 1.0) * GROWTH);
            }
        }

        #[test]
        fn shrinks_at_once_when_a_chunk_takes_far_too_long_or_writes_far_too_much(over in 51u64..1000, time in any::<bool>()) {
            let limits = ServoLimits::default();
            let mut servo = ChunkServo::new(limits, 1000);
            let much = |target: u64| target * over / 10;
            let (took, wal) = if time { (much(200), 0) } else { (0, much(limits.target_wal)) };
            servo.record(Sample { took: Duration::from_millis(took), wal, blocks: 1000 });
            prop_assert_eq!(servo.blocks(), 100);
        }

        /// Chunks whose time and log are in proportion to their size settle where neither is above its target.
        #[test]
        fn settles_below_both_targets(us_a_block in 10u64..2000, bytes_a_block in 100u64..40_000) {
            let limits = ServoLimits::default();
            let mut servo = ChunkServo::new(limits, 64);
            for _ in 0..300 {
                let blocks = servo.blocks();
                servo.record(Sample { took: Duration::from_micros(us_a_block * blocks), wal: bytes_a_block * blocks, blocks });
            }
            let blocks = servo.blocks();
            prop_assert!(Duration::from_micros(us_a_block * blocks) <= limits.target);
            prop_assert!(bytes_a_block * blocks <= limits.target_wal);
            let room = (us_a_block as f64 / 200_000.0).max(bytes_a_block as f64 / limits.target_wal as f64) * (blocks + 2) as f64;
            prop_assert!(room > 0.8 || blocks == limits.max_blocks, "it stays at {} blocks", blocks);
        }
    }
}
