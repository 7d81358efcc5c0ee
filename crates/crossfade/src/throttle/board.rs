//! What was seen last, what follows from it, and who is told: shared by those who measure and those who work.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::throttle::Pause;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Sample;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Throttle;
use crossfade_core::throttle::Verdict;
use crossfade_core::throttle::Work;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::look::Family;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::postgres::controls::Waiting;
use crate::postgres::lease::Lease;
use crate::stop::Stop;

/// How long the first look at everything may take. After that what has not answered counts as silent.
const FIRST_LOOK: Duration = Duration::from_secs(6);

/// How often a waiting worker looks whether its lease is still there.
const LOOK_AT_THE_LEASE: Duration = Duration::from_secs(1);

/// The longest rest after one chunk.
const LONGEST_REST: Duration = Duration::from_secs(10);

/// What the work asks before each chunk. Cheap to copy and to ask.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    /// None before everything was looked at once.
    verdict: watch::Receiver<Option<Verdict>>,
    news: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Notice>>>,
    /// Keeps the channels of a gate without a board open.
    _always: Option<Arc<Ends>>,
}

/// The other ends of a gate's channels.
#[derive(Debug)]
struct Ends {
    _verdict: watch::Sender<Option<Verdict>>,
    _news: mpsc::UnboundedSender<Notice>,
}

impl Gate {
    /// A gate that is always open, for work that nobody throttles.
    pub fn open() -> Gate {
        Gate::resting(1.0)
    }

    /// A gate that holds nobody up, and asks for a pause after each chunk: the work may take this share of the time.
    pub fn resting(duty: f64) -> Gate {
        let (sender, verdict) = watch::channel(Some(Verdict { pause: None, duty, stop: None }));
        let (tell, news) = mpsc::unbounded_channel();
        let news = Arc::new(tokio::sync::Mutex::new(news));
        Gate { verdict, news, _always: Some(Arc::new(Ends { _verdict: sender, _news: tell })) }
    }

    /// Waits while something holds the work up. Comes back at once when somebody asks to stop: look at `stop` afterwards.
    ///
    /// # Errors
    ///
    /// When a critical signal says to stop, or the lease is gone.
    pub async fn pass(&self, stop: &Stop, lease: &Lease) -> Result<()> {
        let mut verdict = self.verdict.clone();
        loop {
            if stop.is_requested() {
                return Ok(());
            }
            if !lease.is_held() {
                return Err(Error::failed("the connection that holds the lease is gone"));
            }
            let waits = match &*verdict.borrow_and_update() {
                Some(Verdict { stop: Some(why), .. }) => {
                    return Err(Error::failed(format!("stopped at a safe point: {why}")).hint(
                        "the signal `critical` of the throttle said so; nothing is lost: run the same command again when it is better",
                    ));
                }
                Some(Verdict { pause, .. }) => pause.is_some(),
                None => true,
            };
            if !waits {
                return Ok(());
            }
            tokio::select! {
                changed = verdict.changed() => {
                    if changed.is_err() {
                        return Err(Error::failed("the throttle is gone"));
                    }
                }
                () = stop.sleep(LOOK_AT_THE_LEASE) => {}
            }
        }
    }

    /// The share of the time that the work may take.
    pub fn duty(&self) -> f64 {
        self.verdict.borrow().as_ref().map_or(1.0, |verdict| verdict.duty)
    }

    /// How long to rest after a chunk that took so long.
    pub fn rest(&self, took: Duration) -> Duration {
        took.mul_f64(1.0 / self.duty().clamp(0.001, 1.0) - 1.0).min(LONGEST_REST)
    }

    /// The next thing to tell: a pause began or ended. Each is told once, whoever asks. Waits for ever where there is none.
    pub async fn news(&self) -> Notice {
        match self.news.lock().await.recv().await {
            Some(notice) => notice,
            None => std::future::pending().await,
        }
    }
}

/// What those who measure share.
#[derive(Debug)]
pub(super) struct Board {
    begun: Instant,
    verdict: watch::Sender<Option<Verdict>>,
    news: mpsc::UnboundedSender<Notice>,
    /// The settings are others now.
    reset: Notify,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    samples: BTreeMap<Family, Sample>,
    /// Families that have not answered yet.
    awaited: BTreeSet<Family>,
    throttle: Throttle,
    work: Work,
    pause: Option<Pause>,
    /// Time that is not written down yet, by signal and scope; the one without a signal is all the time.
    ledger: BTreeMap<(&'static str, String), Waiting>,
    accounted: Duration,
    /// Whether a pause began or ended that is not written down yet.
    is_news: bool,
}

impl Board {
    pub fn new(work: Work, settings: Settings) -> (Arc<Board>, Gate) {
        let (verdict, receiver) = watch::channel(None);
        let (news, told) = mpsc::unbounded_channel();
        let state = State {
            settings,
            samples: BTreeMap::new(),
            awaited: Family::ALL.into_iter().collect(),
            throttle: Throttle::new(work),
            work,
            pause: None,
            ledger: BTreeMap::new(),
            accounted: Duration::ZERO,
            is_news: false,
        };
        let board = Board { begun: Instant::now(), verdict, news, reset: Notify::new(), state: Mutex::new(state) };
        let gate = Gate { verdict: receiver, news: Arc::new(tokio::sync::Mutex::new(told)), _always: None };
        (Arc::new(board), gate)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on the clock that samples go by.
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    pub fn settings(&self) -> Settings {
        self.state().settings.clone()
    }

    pub fn set(&self, settings: Settings) {
        let mut state = self.state();
        if state.settings != settings {
            state.settings = settings;
            self.reset.notify_waiters();
        }
    }

    /// Sleeps, but not longer than until the settings are others.
    pub async fn sleep(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.reset.notified()).await;
    }

    /// Takes in what a family has seen, or why it could not look.
    pub fn post(&self, family: Family, seen: Result<Vec<Reading>>) {
        let now = self.now();
        let mut state = self.state();
        let covers = family.covers(&state.settings, state.work);
        let blank = Sample { covers: Vec::new(), at: Duration::ZERO, readings: Vec::new(), error: None };
        let sample = state.samples.entry(family).or_insert(blank);
        sample.covers = covers;
        match seen {
            Ok(readings) => {
                sample.at = now;
                sample.readings = readings;
                sample.error = None;
            }
            Err(error) => sample.error = Some(error.chain()),
        }
        state.awaited.remove(&family);
        self.decide(&mut state, now);
    }

    /// Decides again, since time has passed.
    pub fn tick(&self) {
        let now = self.now();
        self.decide(&mut self.state(), now);
    }

    fn decide(&self, state: &mut State, now: Duration) {
        if !state.awaited.is_empty() && now < FIRST_LOOK {
            return;
        }
        let awaited = std::mem::take(&mut state.awaited);
        for family in awaited {
            let covers = family.covers(&state.settings, state.work);
            state.samples.insert(family, Sample { covers, at: Duration::ZERO, readings: Vec::new(), error: None });
        }
        let samples: Vec<Sample> = state.samples.values().cloned().collect();
        let cap = match state.work {
            Work::Writes => state.settings.duty,
            // Reading has no duty of its own: it is only taken back under load.
            Work::Reads => 1.0,
        };
        let verdict = state.throttle.decide(now, &samples, cap);
        state.account(now);
        self.tell(state, &verdict, now);
        state.pause.clone_from(&verdict.pause);
        self.verdict.send_if_modified(|last| {
            let changed = last.as_ref() != Some(&verdict);
            *last = Some(verdict);
            changed
        });
    }

    fn tell(&self, state: &mut State, verdict: &Verdict, now: Duration) {
        let is_same = |a: &Pause, b: &Pause| a.signal == b.signal && a.scope == b.scope;
        let notice = match (&state.pause, &verdict.pause) {
            (None, None) => None,
            (Some(before), Some(pause)) if is_same(before, pause) => None,
            (_, Some(pause)) => {
                let waiting = state.ledger.entry((pause.signal.name(), pause.scope.clone())).or_default();
                waiting.times += 1;
                waiting.reason.clone_from(&pause.reason);
                waiting.since_seconds = Some(now.saturating_sub(pause.since).as_secs_f64());
                Some(Notice::Paused { reason: pause.reason.clone(), others: pause.others.clone() })
            }
            (Some(before), None) => {
                Some(Notice::Resumed { after: now.saturating_sub(before.since), reason: before.reason.clone() })
            }
        };
        if let Some(before) = &state.pause
            && verdict.pause.as_ref().is_none_or(|pause| !is_same(before, pause))
        {
            let waiting = state.ledger.entry((before.signal.name(), before.scope.clone())).or_default();
            waiting.since_seconds = None;
        }
        if let Some(notice) = notice {
            state.is_news = true;
            // Nobody may be listening any more.
            let _ = self.news.send(notice);
        }
    }

    /// Whether a pause began or ended since the last time that it was written down.
    pub fn has_news(&self) -> bool {
        self.state().is_news
    }

    /// What is to be written down since the last time.
    pub fn take_ledger(&self) -> BTreeMap<(&'static str, String), Waiting> {
        let now = self.now();
        let mut state = self.state();
        state.account(now);
        state.is_news = false;
        std::mem::take(&mut state.ledger)
    }
}

impl State {
    /// Books the time since the last time on what the work waits for, if it does.
    fn account(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.accounted);
        self.accounted = now;
        let ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        self.ledger.entry(("", String::new())).or_default().ms += ms;
        if let Some(pause) = &self.pause {
            let waiting = self.ledger.entry((pause.signal.name(), pause.scope.clone())).or_default();
            waiting.ms += ms;
            waiting.reason.clone_from(&pause.reason);
            waiting.since_seconds = Some(now.saturating_sub(pause.since).as_secs_f64());
        }
    }
}
