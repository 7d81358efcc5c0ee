//! How far behind something is, from positions in the WAL alone.
//!
//! `replay_lag` of pg_stat_replication is NULL for a replica that is idle and old for one that is stuck. What a primary always knows is where its
//! WAL ended at which time: a replica is as far behind as the oldest WAL that it has not replayed is old.

use std::collections::VecDeque;
use std::time::Duration;

/// A position in the WAL, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lsn(pub u64);

/// Positions that are remembered: at two a second, more than half an hour.
const REMEMBERED: usize = 4096;

/// Where the WAL ended at which time.
#[derive(Clone, Debug, Default)]
pub struct LsnClock {
    /// The position, and when it was first seen.
    seen: VecDeque<(Lsn, Duration)>,
}

impl LsnClock {
    /// Takes in where the WAL ends now.
    pub fn record(&mut self, end: Lsn, now: Duration) {
        if self.seen.back().is_none_or(|(last, _)| end > *last) {
            if self.seen.len() >= REMEMBERED {
                self.seen.pop_front();
            }
            self.seen.push_back((end, now));
        }
    }

    /// For how long there has been WAL behind this position, as far as is known: at least so long its holder is behind.
    pub fn behind(&self, position: Lsn, now: Duration) -> Duration {
        let newer = self.seen.partition_point(|(end, _)| *end <= position);
        self.seen.get(newer).map_or(Duration::ZERO, |(_, since)| now.saturating_sub(*since))
    }
}

/// How many WAL segments lie between two segment files, by their names; none where a name is not one.
pub fn segments_behind(archived: &str, current: &str, segment_bytes: u64) -> Option<u64> {
    let number = |name: &str| {
        let name = name.get(..24)?;
        let (high, low) = (u64::from_str_radix(name.get(8..16)?, 16).ok()?, u64::from_str_radix(&name[16..], 16).ok()?);
        let each = (1_u64 << 32).checked_div(segment_bytes)?;
        Some(high * each + low)
    };
    Some(number(current)?.saturating_sub(number(archived)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_replica_is_as_old_as_what_it_lacks() {
        let mut clock = LsnClock::default();
        for (end, at) in [(100, 0), (100, 1), (200, 2), (200, 3), (300, 4)] {
            clock.record(Lsn(end), s(at));
        }
        assert_eq!(clock.behind(Lsn(300), s(9)), s(0), "all is replayed, however long ago");
        assert_eq!(clock.behind(Lsn(250), s(9)), s(5));
        assert_eq!(clock.behind(Lsn(100), s(9)), s(7), "what it lacks was first seen at 2 s");
        assert_eq!(clock.behind(Lsn(1), s(9)), s(9), "since we began to look");
        assert_eq!(LsnClock::default().behind(Lsn(1), s(9)), s(0));
    }

    proptest! {
        #[test]
        fn who_replayed_more_is_less_behind(steps in prop::collection::vec((0u64..1000, 0u64..10), 1..50), a in 0u64..50_000, b in 0u64..50_000) {
            let mut clock = LsnClock::default();
            let (mut end, mut at) = (0, 0);
            for (bytes, seconds) in steps {
                end += bytes;
                at += seconds;
                clock.record(Lsn(end), s(at));
            }
            let (less, more) = (Lsn(a.min(b)), Lsn(a.max(b)));
            prop_assert!(clock.behind(less, s(at)) >= clock.behind(more, s(at)));
            prop_assert_eq!(clock.behind(Lsn(end), s(at + 100)), s(0));
        }
    }

    #[test]
    fn segments_are_counted_over_the_end_of_a_file() {
        let mb = 1 << 20;
        let count = |archived: &str, current: &str| segments_behind(archived, current, 16 * mb);
        assert_eq!(count("000000010000000000000003", "000000010000000000000005"), Some(2));
        assert_eq!(count("0000000100000000000000FF", "000000010000000100000001"), Some(2));
        assert_eq!(count("00000002.history", "000000010000000100000001"), None);
        assert_eq!(count("000000010000000000000003.00000028.backup", "000000010000000000000003"), Some(0));
    }
}
