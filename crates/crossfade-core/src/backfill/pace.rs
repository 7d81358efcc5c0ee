//! How fast a backfill has been of late, as somebody sees it who looks at it again and again.

use std::collections::VecDeque;
use std::time::Duration;

/// So far back is looked.
const WINDOW: Duration = Duration::from_secs(15);

/// Looks that are closer together than this say nothing.
const LEAST: Duration = Duration::from_millis(200);

/// What was seen of late, the oldest look first.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    seen: VecDeque<(Duration, u64)>,
}

impl Pace {
    /// At this time, on the caller's clock, so many rows were done. Returns rows a second of late; none before there are two looks.
    pub fn saw(&mut self, at: Duration, rows: u64) -> Option<f64> {
        // Begun anew: what was seen is of another sweep.
        if self.seen.back().is_some_and(|(_, before)| *before > rows) {
            self.seen.clear();
        }
        self.seen.push_back((at, rows));
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(second, _)| at.saturating_sub(*second) >= WINDOW) {
            self.seen.pop_front();
        }
        let (first, rows_then) = *self.seen.front()?;
        let time = at.saturating_sub(first);
        (time >= LEAST).then(|| (rows - rows_then) as f64 / time.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paces(looks: &[(u64, u64)]) -> Vec<Option<f64>> {
        let mut pace = Pace::default();
        looks.iter().map(|(seconds, rows)| pace.saw(Duration::from_secs(*seconds), *rows)).collect()
    }

    #[test]
    fn one_look_says_nothing_and_what_is_long_ago_is_forgotten() {
        assert_eq!(paces(&[(0, 100), (2, 300), (4, 300)]), [None, Some(100.0), Some(50.0)]);
        assert_eq!(paces(&[(0, 0), (10, 1000), (25, 1000), (26, 1000)]), [None, Some(100.0), Some(0.0), Some(0.0)]);
    }

    #[test]
    fn another_sweep_begins_anew() {
        assert_eq!(paces(&[(0, 500), (2, 10), (4, 30)]), [None, None, Some(10.0)]);
    }
}
