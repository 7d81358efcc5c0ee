//! What the fleet met, by phase. A request belongs to the phase in which it began.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use hdrhistogram::Histogram;

/// How many different error texts a phase keeps.
const ERROR_TEXTS: usize = 5;

/// How many lost writes are kept with their text.
const LOST_TEXTS: usize = 5;

/// The longest time that can be measured: nothing here waits for longer.
const LONGEST_MICROS: u64 = 3_600_000_000;

/// The counters of a whole demo.
#[derive(Debug, Default)]
pub struct Stats {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    phases: Vec<PhaseStats>,
    lost: HashSet<(&'static str, i64, String)>,
    lost_texts: Vec<String>,
}

/// The counters of one phase.
#[derive(Clone, Debug)]
pub struct PhaseStats {
    /// What is being played.
    pub scenario: &'static str,
    /// The phase's name.
    pub name: &'static str,
    /// When it began.
    began: Instant,
    /// How long it took, once it has ended.
    pub took: Duration,
    /// From before a request was sent until its answer was there, in microseconds.
    pub latency: Histogram<u64>,
    /// Requests that began in it.
    pub requests: u64,
    /// Those of them that write.
    pub writes: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// The first few different errors, and how often each was seen.
    pub error_texts: Vec<(String, u64)>,
    /// Writes that were made in it and are lost.
    pub lost_writes: u64,
    /// The longest time that a client was seen to wait for a lock.
    pub lock_wait: Duration,
    /// The longest time that an ACCESS EXCLUSIVE lock was seen on the table.
    pub exclusive_lock: Duration,
    /// Rows filled a second.
    pub backfill: Option<f64>,
}

/// One of the phases that have begun, or none: nothing is counted between two scenarios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseId(Option<usize>);

impl PhaseId {
    /// No phase: what was there before the first.
    pub const NONE: PhaseId = PhaseId(None);
}

impl Stats {
    /// Ends the phase that is running, if any, and begins another.
    pub fn begin(&self, scenario: &'static str, name: &'static str) {
        let mut inner = self.lock();
        end(&mut inner);
        let latency = Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("the bounds are in order");
        inner.phases.push(PhaseStats {
            scenario,
            name,
            began: Instant::now(),
            took: Duration::ZERO,
            latency,
            requests: 0,
            writes: 0,
            errors: 0,
            error_texts: Vec::new(),
            lost_writes: 0,
            lock_wait: Duration::ZERO,
            exclusive_lock: Duration::ZERO,
            backfill: None,
        });
    }

    /// Ends the phase that is running.
    pub fn end(&self) {
        end(&mut self.lock());
    }

    /// The phase that is running.
    pub fn now(&self) -> PhaseId {
        let inner = self.lock();
        PhaseId(inner.phases.last().filter(|last| last.took.is_zero()).map(|_| inner.phases.len() - 1))
    }

    /// Counts a request.
    pub fn request(&self, phase: PhaseId, writes: bool, took: Duration, error: Option<String>) {
        self.change(phase, |phase| {
            phase.requests += 1;
            phase.writes += u64::from(writes);
            phase.latency.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST_MICROS));
            if let Some(text) = error {
                phase.error(text);
            }
        });
    }

    /// Counts an error that came before a request could be sent.
    pub fn error(&self, phase: PhaseId, text: String) {
        self.change(phase, |phase| phase.error(text));
    }

    /// Counts a lost write, once, however often it is found, for the phase in which it was made. What was there from
    /// the beginning is none of a phase, and counts for the last.
    pub fn lost(&self, made: PhaseId, id: i64, expected: &str, found: Option<&str>) {
        let mut inner = self.lock();
        let Some(last) = inner.phases.len().checked_sub(1) else { return };
        let made = made.0.unwrap_or(last);
        let scenario = inner.phases[made].scenario;
        if !inner.lost.insert((scenario, id, expected.to_owned())) {
            return;
        }
        if inner.lost_texts.len() < LOST_TEXTS {
            let found = found.map_or("nothing".to_owned(), |found| format!("{found:?}"));
            inner.lost_texts.push(format!("row {id} should hold {expected:?} and holds {found}"));
        }
        inner.phases[made].lost_writes += 1;
    }

    /// Somebody was seen to wait for a lock for so long.
    pub fn saw_wait(&self, phase: PhaseId, wait: Duration) {
        self.change(phase, |phase| phase.lock_wait = phase.lock_wait.max(wait));
    }

    /// An ACCESS EXCLUSIVE lock was seen to be held for so long.
    pub fn saw_exclusive_lock(&self, phase: PhaseId, held: Duration) {
        self.change(phase, |phase| phase.exclusive_lock = phase.exclusive_lock.max(held));
    }

    /// How fast rows were filled in the phase that is running.
    pub fn set_backfill_rate(&self, rate: Option<f64>) {
        self.change(self.now(), |phase| phase.backfill = rate);
    }

    /// The phases so far.
    pub fn phases(&self) -> Vec<PhaseStats> {
        self.lock().phases.clone()
    }

    /// The first few lost writes.
    pub fn lost_texts(&self) -> Vec<String> {
        self.lock().lost_texts.clone()
    }

    fn change(&self, phase: PhaseId, change: impl FnOnce(&mut PhaseStats)) {
        let mut inner = self.lock();
        if let Some(phase) = phase.0.and_then(|phase| inner.phases.get_mut(phase)) {
            change(phase);
        }
    }

    /// Numbers stay right whatever panicked beside them.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PhaseStats {
    fn error(&mut self, text: String) {
        self.errors += 1;
        if let Some((_, count)) = self.error_texts.iter_mut().find(|(known, _)| *known == text) {
            *count += 1;
        } else if self.error_texts.len() < ERROR_TEXTS {
            self.error_texts.push((text, 1));
        }
    }
}

fn end(inner: &mut Inner) {
    if let Some(running) = inner.phases.last_mut()
        && running.took.is_zero()
    {
        running.took = running.began.elapsed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_belongs_to_the_phase_in_which_it_began() {
        let stats = Stats::default();
        stats.begin("x", "one");
        let one = stats.now();
        stats.begin("x", "two");
        stats.request(one, true, Duration::from_millis(2), Some("no".to_owned()));
        stats.request(one, false, Duration::from_millis(2), Some("no".to_owned()));
        let phases = stats.phases();
        assert_eq!((phases[0].requests, phases[0].writes, phases[0].errors), (2, 1, 2));
        assert_eq!(phases[0].error_texts, [("no".to_owned(), 2)]);
        assert_eq!(phases[1].requests, 0);
    }

    #[test]
    fn nothing_counts_between_two_phases() {
        let stats = Stats::default();
        stats.request(stats.now(), true, Duration::from_millis(2), None);
        stats.begin("x", "one");
        stats.end();
        stats.request(stats.now(), true, Duration::from_millis(2), None);
        assert_eq!(stats.phases()[0].requests, 0);
    }

    #[test]
    fn a_lost_write_counts_once() {
        let stats = Stats::default();
        stats.begin("x", "one");
        stats.lost(stats.now(), 7, "b", Some("a"));
        stats.lost(stats.now(), 7, "b", None);
        assert_eq!(stats.phases()[0].lost_writes, 1);
        assert_eq!(stats.lost_texts(), ["row 7 should hold \"b\" and holds \"a\""]);
    }
}
