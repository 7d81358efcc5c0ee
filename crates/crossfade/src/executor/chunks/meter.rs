//! Rate and time left, from what was done of late.

use std::time::Duration;
use std::time::Instant;

use crate::observer::Notice;
use crate::observer::Observer;

/// How often progress is told.
const EVERY: Duration = Duration::from_millis(200);

/// Below this share of the whole a time left would be a guess.
const KNOWN: f64 = 0.01;

/// Rate and time left, from what was done of late.
pub(super) struct Meter {
    begun: Instant,
    /// What was done when it began.
    rows: u64,
    fraction: f64,
    estimated_rows: u64,
    told: Instant,
}

impl Meter {
    /// Begins where so much is done.
    pub fn new(rows: u64, fraction: f64, estimated_rows: u64) -> Meter {
        Meter { begun: Instant::now(), rows, fraction, estimated_rows, told: Instant::now() }
    }

    /// Tells the observer where we are, now and then and at the end.
    pub fn tell(&mut self, observer: &mut dyn Observer, rows: u64, fraction: f64) {
        if self.told.elapsed() < EVERY && fraction < 1.0 {
            return;
        }
        let elapsed = self.begun.elapsed().as_secs_f64().max(0.001);
        let rate = rows.saturating_sub(self.rows) as f64 / elapsed;
        let done = fraction - self.fraction;
        let left = || Duration::from_secs_f64((elapsed / done * (1.0 - fraction)).clamp(0.0, 1e8));
        observer.notice(Notice::Progress {
            rows,
            estimated_rows: self.estimated_rows.max(rows),
            fraction,
            rate,
            eta: (done > KNOWN).then(left),
        });
        self.told = Instant::now();
    }
}
