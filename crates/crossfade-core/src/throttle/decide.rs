//! The decision: wait, go on, how hard, or stop.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Kind;
use super::Measure;
use super::Reading;
use super::Sample;
use super::Signal;
use super::Work;

/// A sample that is older than this says nothing any more.
pub const STALE: Duration = Duration::from_secs(15);

/// How often the duty is steered.
pub const CONTROL: Duration = Duration::from_secs(1);

/// A budget is kept again below this share of its limit.
pub(super) const RESUME_BELOW: f64 = 0.8;

/// So many samples in a row have to say so.
const CALM_SAMPLES: u32 = 2;

/// The least share of the time that a gradual signal leaves: the work never stands still for one. Who allows less has less.
const LEAST_DUTY: f64 = 0.05;

/// The share of the time after a pause, at most.
const RAMP: f64 = 0.25;

/// How long the duty stays down after it was taken back.
const COOLDOWN: Duration = Duration::from_secs(15);

/// Two hits of a critical signal lie at least so far apart.
const CRITICAL_APART: Duration = Duration::from_millis(2500);

/// Why the work waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// What holds it up. With several, the one that has for longest.
    pub signal: Signal,
    /// Which of several: a standby, a slot.
    pub scope: String,
    /// For people.
    pub reason: String,
    /// Since when, on the caller's clock.
    pub since: Duration,
    /// What else holds it up.
    pub others: Vec<String>,
}

/// What is decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Why the work waits now, if it does.
    pub pause: Option<Pause>,
    /// The share of the time that it may take.
    pub duty: f64,
    /// Why the command is to end at the next safe point.
    pub stop: Option<String>,
}

/// A signal of one scope that is over its limit.
#[derive(Clone, Debug)]
struct Over {
    since: Duration,
    reason: String,
    /// The sample that was looked at last, and how many in a row were calm.
    looked: Duration,
    calm: u32,
}

/// Adds samples up to decisions.
#[derive(Clone, Debug)]
pub struct Throttle {
    work: Work,
    over: BTreeMap<(Signal, String), Over>,
    /// When a critical signal was first and last over its limit, without a pause between.
    hits: BTreeMap<(Signal, String), (Duration, Duration)>,
    duty: f64,
    /// What was allowed at most the last time.
    cap: f64,
    load: Option<f64>,
    steered: Option<Duration>,
    calm_turns: u32,
    taken_back: Option<Duration>,
}

impl Throttle {
    /// For this kind of work, with the full duty.
    pub fn new(work: Work) -> Throttle {
        Throttle {
            work,
            over: BTreeMap::new(),
            hits: BTreeMap::new(),
            duty: 1.0,
            cap: 1.0,
            load: None,
            steered: None,
            calm_turns: 0,
            taken_back: None,
        }
    }

    /// Decides on the last sample of each family. `cap` is the share of the time that the work may take at most.
    pub fn decide(&mut self, now: Duration, samples: &[Sample], cap: f64) -> Verdict {
        let cap = cap.clamp(0.001, 1.0);
        let waited = self.over.keys().any(|(signal, _)| signal.is_of_the_server());
        for sample in samples {
            self.look(now, sample);
        }
        let covered: Vec<Signal> = samples.iter().flat_map(|sample| sample.covers.iter().copied()).collect();
        self.over.retain(|(signal, _), _| covered.contains(signal));
        self.hits.retain(|(signal, _), _| covered.contains(signal));
        let stop = self.critical(now, samples);
        let pause = self.pause();
        // Where nothing holds it down it follows at once what is allowed.
        self.duty = if self.duty >= self.cap { cap } else { self.duty.min(cap) };
        self.cap = cap;
        if pause.is_some() || waited {
            if waited && pause.is_none() {
                self.duty = self.duty.min(RAMP);
            }
            self.steered = Some(now);
            self.calm_turns = 0;
        } else if self.steered.is_none_or(|last| now.saturating_sub(last) >= CONTROL) {
            self.steered = Some(now);
            self.steer(now, samples);
        }
        self.duty = self.duty.clamp(LEAST_DUTY.min(cap), cap);
        Verdict { pause, duty: self.duty, stop }
    }

    /// Takes in what one family has seen of budgets.
    fn look(&mut self, now: Duration, sample: &Sample) {
        let work = self.work;
        let budgets = sample.covers.iter().filter(|signal| signal.kind() == Kind::Budget);
        for signal in budgets.filter(|signal| signal.counts_for(work)) {
            let blind = (*signal, String::new());
            if is_stale(sample, now) {
                let why = sample.error.clone().unwrap_or_else(|| format!("no answer for {} s", STALE.as_secs()));
                let blank = Reading::unmeasurable(*signal, "", why);
                self.take_over(now, blind, &blank, sample.at);
                continue;
            }
            let mut seen = Vec::new();
            for reading in sample.readings.iter().filter(|reading| reading.signal == *signal) {
                let key = (*signal, reading.scope.clone());
                if reading.is_over() {
                    self.take_over(now, key.clone(), reading, sample.at);
                } else if self.calmed(&key, sample.at, reading.is_calm()) {
                    self.over.remove(&key);
                }
                seen.push(reading.scope.clone());
            }
            // What is not there any more: a replica that went, a slot that was dropped, a silence that ended.
            let gone: Vec<(Signal, String)> =
                self.over.keys().filter(|(other, scope)| other == signal && !seen.contains(scope)).cloned().collect();
            for key in gone {
                if self.calmed(&key, sample.at, true) {
                    self.over.remove(&key);
                }
            }
        }
    }

    fn take_over(&mut self, now: Duration, key: (Signal, String), reading: &Reading, looked: Duration) {
        let fresh = Over { since: now, reason: String::new(), looked, calm: 0 };
        let over = self.over.entry(key).or_insert(fresh);
        over.reason = reading.reason();
        over.looked = looked;
        over.calm = 0;
    }

    /// Whether enough samples in a row say that it is over.
    fn calmed(&mut self, key: &(Signal, String), at: Duration, calm: bool) -> bool {
        let Some(over) = self.over.get_mut(key) else { return false };
        if over.looked == at {
            return false;
        }
        over.looked = at;
        over.calm = if calm { over.calm + 1 } else { 0 };
        over.calm >= if key.0 == Signal::Request { 1 } else { CALM_SAMPLES }
    }

    fn pause(&self) -> Option<Pause> {
        let ((signal, scope), first) = self.over.iter().min_by_key(|((signal, _), over)| (over.since, *signal))?;
        let is_other = |key: &(Signal, String)| key.0 != *signal || key.1 != *scope;
        let others = self.over.iter().filter(|(key, _)| is_other(key)).map(|(_, over)| over.reason.clone()).collect();
        Some(Pause { signal: *signal, scope: scope.clone(), reason: first.reason.clone(), since: first.since, others })
    }

    /// Why the command is to end. A critical signal that can't be measured does not end it.
    fn critical(&mut self, now: Duration, samples: &[Sample]) -> Option<String> {
        let mut stop = None;
        for sample in samples.iter().filter(|sample| !is_stale(sample, now)) {
            for reading in sample.readings.iter().filter(|reading| reading.signal.kind() == Kind::Critical) {
                let key = (reading.signal, reading.scope.clone());
                if matches!(reading.measure, Measure::Unmeasurable(_)) {
                    continue;
                }
                if !reading.is_over() {
                    self.hits.remove(&key);
                    continue;
                }
                let (first, last) = self.hits.entry(key).or_insert((sample.at, sample.at));
                *last = sample.at;
                if last.saturating_sub(*first) >= CRITICAL_APART {
                    stop = Some(reading.reason());
                }
            }
        }
        stop
    }

    /// Steers the share of the time by the worst of the gradual signals.
    fn steer(&mut self, now: Duration, samples: &[Sample]) {
        let gradual = |signal: Signal| signal.kind() == Kind::Gradual && signal.counts_for(self.work);
        let watched = samples.iter().filter(|sample| sample.covers.iter().any(|signal| gradual(*signal)));
        let mut worst: f64 = 0.0;
        for sample in watched {
            let blind = sample
                .readings
                .iter()
                .any(|reading| gradual(reading.signal) && matches!(reading.measure, Measure::Unmeasurable(_)));
            if is_stale(sample, now) || blind {
                // Neither up nor down on what is not known.
                self.calm_turns = 0;
                return;
            }
            for reading in sample.readings.iter().filter(|reading| gradual(reading.signal)) {
                if let Measure::Value(value) = reading.measure
                    && reading.limit > 0.0
                {
                    worst = worst.max(value / reading.limit);
                }
            }
        }
        // Half of the weight is the newest: an average over three turns.
        let load = self.load.map_or(worst, |load| f64::midpoint(load, worst));
        self.load = Some(load);
        if load >= 1.0 {
            self.take_back(now, 0.5);
        } else if load >= 0.7 {
            self.take_back(now, 0.9);
        } else if load < 0.4 {
            self.calm_turns += 1;
            let cooled = self.taken_back.is_none_or(|at| now.saturating_sub(at) >= COOLDOWN);
            if self.calm_turns >= 2 && cooled {
                self.duty *= 1.1;
                self.calm_turns = 0;
            }
        } else {
            self.calm_turns = 0;
        }
    }

    fn take_back(&mut self, now: Duration, factor: f64) {
        self.duty *= factor;
        self.calm_turns = 0;
        self.taken_back = Some(now);
    }
}

fn is_stale(sample: &Sample, now: Duration) -> bool {
    now.saturating_sub(sample.at) > STALE
}
