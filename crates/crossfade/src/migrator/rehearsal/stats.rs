//! What the applications did in each part of a rehearsal, and what they wrote. A statement belongs to the part in which it began.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::RwLock;

use super::fleet::Side;
use super::locks::Span;
use crate::report::Calls;
use crate::report::RehearsedStage;

/// So many different messages are kept of a part.
const MESSAGES: usize = 5;

/// What was written and acknowledged, or may have been: by table and key, the last value of each column. No value: it is not known which one holds.
pub type Written = BTreeMap<(usize, String), BTreeMap<String, Option<String>>>;

/// What was written since it was last looked at.
#[derive(Debug, Default)]
pub struct Ledger {
    /// By the old version.
    pub old: Written,
    /// By the new version.
    pub new: Written,
}

impl Ledger {
    pub fn of(&mut self, side: Side) -> &mut Written {
        match side {
            Side::Old => &mut self.old,
            Side::New => &mut self.new,
        }
    }
}

#[derive(Debug)]
struct Stage {
    name: String,
    span: Span,
    began: Option<Instant>,
    took: Duration,
    old: Option<Calls>,
    new: Option<Calls>,
}

/// What sessions and the director share.
#[derive(Debug)]
pub struct Stats {
    stages: Mutex<Vec<Stage>>,
    pub ledger: Mutex<Ledger>,
    runs: [AtomicBool; 2],
    /// Whether what writes unknown rows stands still.
    pub unknown_writes_rest: AtomicBool,
    pub stopping: AtomicBool,
    pub stale: AtomicBool,
    /// Held by each statement; whoever takes it alone has no statement under way.
    pub gate: RwLock<()>,
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stats {
    pub fn new() -> Stats {
        Stats {
            stages: Mutex::default(),
            ledger: Mutex::default(),
            runs: [AtomicBool::new(false), AtomicBool::new(false)],
            unknown_writes_rest: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            gate: RwLock::new(()),
        }
    }

    pub fn runs(&self, side: Side) -> &AtomicBool {
        match side {
            Side::Old => &self.runs[0],
            Side::New => &self.runs[1],
        }
    }

    /// Another part of the rehearsal begins. A statement belongs to the part in which it began.
    pub fn begin(&self, name: &str, span: Span) {
        let mut stages = lock(&self.stages);
        end(&mut stages);
        let calls = |side| self.runs(side).load(Ordering::SeqCst).then(Calls::default);
        stages.push(Stage {
            name: name.to_owned(),
            span,
            began: Some(Instant::now()),
            took: Duration::ZERO,
            old: calls(Side::Old),
            new: calls(Side::New),
        });
    }

    /// The part that is at work, by its position.
    pub fn now(&self) -> usize {
        lock(&self.stages).len().saturating_sub(1)
    }

    /// Its name.
    pub fn stage(&self) -> String {
        lock(&self.stages).last().map(|stage| stage.name.clone()).unwrap_or_default()
    }

    /// What of the plan runs in each part, with its name.
    pub fn spans(&self) -> Vec<(String, Span)> {
        lock(&self.stages).iter().map(|stage| (stage.name.clone(), stage.span)).collect()
    }

    /// All parts, the last one ended.
    pub fn told(&self) -> Vec<RehearsedStage> {
        let mut stages = lock(&self.stages);
        end(&mut stages);
        let told = |stage: &Stage| RehearsedStage {
            name: stage.name.clone(),
            took_ms: millis(stage.took),
            old: stage.old.clone(),
            new: stage.new.clone(),
        };
        stages.iter().map(told).collect()
    }

    /// Whether a prepared statement had to be prepared again.
    pub fn saw_stale_plans(&self) -> bool {
        self.stale.load(Ordering::SeqCst)
    }

    /// Counts a statement.
    pub fn count(&self, stage: usize, side: Side, took: Duration, error: Option<String>) {
        let mut stages = lock(&self.stages);
        let Some(stage) = stages.get_mut(stage) else { return };
        let calls = match side {
            Side::Old => stage.old.get_or_insert_default(),
            Side::New => stage.new.get_or_insert_default(),
        };
        calls.statements += 1;
        calls.longest_ms = calls.longest_ms.max(millis(took));
        if let Some(text) = error {
            calls.errors += 1;
            if calls.messages.len() < MESSAGES && !calls.messages.contains(&text) {
                calls.messages.push(text);
            }
        }
    }
}

fn end(stages: &mut [Stage]) {
    if let Some(last) = stages.last_mut()
        && let Some(began) = last.began.take()
    {
        last.took = began.elapsed();
    }
}

pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
