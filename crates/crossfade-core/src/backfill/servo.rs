//! How many blocks the next window has, from how long the last chunks took.
//!
//! Source: reference B1 (90th percentile over a window of samples, growth capped, instant shrink on a bad chunk).

use std::time::Duration;

/// What a servo steers to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServoLimits {
    /// What one chunk's transaction should take.
    pub target: Duration,
    /// Fewest blocks in a window.
    pub min_blocks: u64,
    /// Most blocks in a window.
    pub max_blocks: u64,
    /// Share of time spent working, 0 to 1: the rest is pause.
    pub duty: f64,
}

impl Default for ServoLimits {
    fn default() -> ServoLimits {
        ServoLimits { target: Duration::from_millis(200), min_blocks: 4, max_blocks: 8192, duty: 0.7 }
    }
}

const SAMPLES: usize = 5;
const GROWTH: f64 = 1.5;
const PANIC: f64 = 5.0;

/// Sizes chunks by their own time.
#[derive(Clone, Debug)]
pub struct ChunkServo {
    limits: ServoLimits,
    blocks: f64,
    pressures: Vec<f64>,
}

impl ChunkServo {
    /// Starts with this many blocks.
    pub fn new(limits: ServoLimits, blocks: u64) -> ChunkServo {
        let mut servo = ChunkServo { limits, blocks: blocks as f64, pressures: Vec::new() };
        servo.clamp();
        servo
    }

    /// Blocks of the next window.
    pub fn blocks(&self) -> u64 {
        self.blocks as u64
    }

    /// Takes in how long a chunk took.
    pub fn record(&mut self, took: Duration) {
        let pressure = took.as_secs_f64() / self.limits.target.as_secs_f64();
        if pressure > PANIC {
            self.blocks /= 10.0;
            self.pressures.clear();
        } else {
            self.pressures.push(pressure);
            if self.pressures.len() >= SAMPLES {
                self.pressures.sort_by(f64::total_cmp);
                let high = self.pressures[(SAMPLES * 9 / 10).min(SAMPLES - 1)].max(0.01);
                self.blocks = (self.blocks / high).clamp(self.blocks / 10.0, self.blocks * GROWTH);
                self.pressures.clear();
            }
        }
        self.clamp();
    }

    /// Takes in that a chunk ended in a lock timeout or a deadlock.
    pub fn back_off(&mut self) {
        self.blocks /= 2.0;
        self.pressures.clear();
        self.clamp();
    }

    /// How long to rest after a chunk.
    pub fn rest(&self, took: Duration) -> Duration {
        let duty = self.limits.duty.clamp(0.01, 1.0);
        took.mul_f64(1.0 / duty - 1.0).min(Duration::from_secs(10))
    }

    fn clamp(&mut self) {
        self.blocks = self.blocks.clamp(self.limits.min_blocks.max(1) as f64, self.limits.max_blocks.max(1) as f64);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_leaves_its_limits(times in prop::collection::vec(0u64..20_000, 0..200), start in 0u64..100_000) {
            let limits = ServoLimits::default();
            let mut servo = ChunkServo::new(limits, start);
            for ms in times {
                let before = servo.blocks();
                servo.record(Duration::from_millis(ms));
                prop_assert!((limits.min_blocks..=limits.max_blocks).contains(&servo.blocks()));
                prop_assert!(servo.blocks() as f64 <= (before as f64 + 1.0) * GROWTH);
            }
        }

        #[test]
        fn shrinks_at_once_when_a_chunk_takes_far_too_long(ms in 1_001u64..100_000) {
            let mut servo = ChunkServo::new(ServoLimits::default(), 1000);
            servo.record(Duration::from_millis(ms));
            prop_assert_eq!(servo.blocks(), 100);
        }
    }

    #[test]
    fn rests_by_its_duty() {
        let servo = ChunkServo::new(ServoLimits { duty: 0.5, ..ServoLimits::default() }, 10);
        assert_eq!(servo.rest(Duration::from_millis(200)), Duration::from_millis(200));
    }
}
