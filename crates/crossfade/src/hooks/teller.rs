//! Tells the hooks of a run what happens in it.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::journal::State;
use crossfade_core::step::Phase;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;

use super::alert::Alert;
use super::alert::Origin;
use super::event::HookEvent;
use super::event::Kind;
use super::line::Line;
use super::outcome::Outcome;
use super::settings::Hooks;
use super::story::Story;
use super::story::Telling;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::stop::Stop;

/// How long the end of a run waits until it is written down what was told.
const KEPT: Duration = Duration::from_secs(2);

/// The hooks of one run. Without any it does nothing.
#[derive(Debug)]
pub(crate) struct Teller {
    lines: Vec<Line>,
    story: Mutex<Story>,
    failures: Mutex<Option<UnboundedReceiver<Notice>>>,
    begun: Instant,
}

impl Default for Teller {
    fn default() -> Teller {
        Teller {
            lines: Vec::new(),
            story: Mutex::new(Story::default()),
            failures: Mutex::new(None),
            begun: Instant::now(),
        }
    }
}

impl Teller {
    /// For one run. What came of each call goes to whoever keeps it.
    pub fn start(hooks: &Hooks, origin: Origin, keeper: Option<&UnboundedSender<Outcome>>) -> Teller {
        if hooks.each.is_empty() {
            return Teller::default();
        }
        let (failed, failures) = unbounded_channel();
        let line = |hook: &super::Hook| Line::start(hook.clone(), hooks.around(), failed.clone(), keeper.cloned());
        Teller {
            lines: hooks.each.iter().map(line).collect(),
            story: Mutex::new(Story::new(origin)),
            failures: Mutex::new(Some(failures)),
            begun: Instant::now(),
        }
    }

    fn story(&self) -> std::sync::MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody wants to know of phases: then none may be run before it is told.
    pub fn follows_phases(&self) -> bool {
        let is_phase = |event: &HookEvent| matches!(event.kind(), Kind::Before | Kind::After);
        self.lines.iter().any(|line| line.hook.on.iter().any(is_phase))
    }

    fn tell(&self, alert: &Alert) {
        for line in &self.lines {
            line.tell(alert);
        }
    }

    /// What is told of a notice.
    fn hear(&self, notice: &Notice) {
        if self.lines.is_empty() {
            return;
        }
        let tellings = self.story().hear(notice, self.begun.elapsed());
        for telling in tellings {
            match telling {
                Telling::Now(alert) => self.tell(&alert),
                Telling::Lasting(alert, long) => self.lines.iter().for_each(|line| line.wait_lasts(&alert, long)),
                Telling::Unblocked => self.lines.iter().for_each(Line::wait_is_over),
                Telling::Resting(alert) => self.lines.iter().for_each(|line| line.rests(alert.clone())),
                Telling::Rested(alert) => self.lines.iter().for_each(|line| line.goes_on(&alert)),
            }
        }
    }

    /// A step of this phase is next; `is_first`: none of it has begun. Tells that the one before is done, runs what is to be run before
    /// this one, and fails where something of that is required and failed.
    pub async fn enter(&self, title: (&str, &str), phase: Phase, is_first: Option<State>, stop: &Stop) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let over = self.story().next_phase(title.0, title.1, phase);
        if let Some(alert) = over {
            self.tell(&alert);
        }
        if let Some(state) = is_first {
            self.before(title, HookEvent::Before(phase), state, stop).await?;
        }
        self.story().enter(phase);
        Ok(())
    }

    /// It is about to be undone.
    pub async fn turn_back(&self, title: (&str, &str), state: State, stop: &Stop) -> Result<()> {
        self.before(title, HookEvent::BeforeRollback, state, stop).await?;
        self.story().turn_back();
        Ok(())
    }

    /// Something is about to begin: commands are waited for, all others are told.
    pub async fn before(&self, title: (&str, &str), event: HookEvent, state: State, stop: &Stop) -> Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let Some(alert) = self.story().before(title, event, state) else { return Ok(()) };
        for line in self.lines.iter().filter(|line| line.hook.on.contains(&event)) {
            if !line.hook.is_waited_for(event) {
                line.tell(&alert);
                continue;
            }
            let result = line.call(&alert, stop).await;
            let what = match event {
                HookEvent::Before(phase) => phase.name(),
                _ => "the way back",
            };
            if stop.is_requested() {
                return Err(Error::failed(format!(
                    "stopped while {} ran, before {what} of migration {} {}",
                    line.hook.name, title.0, title.1
                ))
                .hint(format!("nothing of {what} was done; run the same command again")));
            }
            if let (Err(why), true) = (result, line.hook.is_required()) {
                return Err(Error::failed(format!(
                    "{} is required before {what} of migration {} {}, and failed: {why}",
                    line.hook.name, title.0, title.1
                ))
                .hint(format!("nothing of {what} was done; mend it, then run the same command again")));
            }
        }
        Ok(())
    }

    /// What failed since the last time.
    fn failures(&self) -> Vec<Notice> {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| failures.as_mut().and_then(|failures| failures.try_recv().ok())).collect()
    }

    /// Tells how the run ended, and waits until all is told or takes too long.
    async fn end(&self, error: Option<&Error>, stop: &Stop) {
        if self.lines.is_empty() {
            return;
        }
        let last = match error {
            None => self.story().end(),
            Some(error) => {
                let mut story = self.story();
                let is_news = match error.kind() {
                    ErrorKind::Failed => true,
                    ErrorKind::Refused => story.is_under_way(),
                    ErrorKind::Usage => false,
                };
                is_news.then(|| story.fail(&error.chain(), error.hint_text(), stop.is_requested()))
            }
        };
        if let Some(alert) = last {
            self.tell(&alert);
        }
        let since = Instant::now();
        for line in &self.lines {
            line.end(since).await;
        }
    }
}

/// Tells the hooks of a rehearsal that went wrong, and waits until all is told. Returns what failed of that.
pub(crate) async fn announce_failed_rehearsal(
    hooks: &Hooks,
    origin: Origin,
    (version, name): (Option<String>, Option<String>),
    problems: Vec<String>,
) -> Vec<Notice> {
    let teller = Teller::start(hooks, origin.clone(), None);
    let mut alert = Alert::new(HookEvent::RehearsalFailed, &origin);
    (alert.version, alert.name) = (version, name);
    alert.error = problems.first().cloned();
    alert.reasons = problems;
    alert.next = Some("nothing was changed; `crossfade rehearse` shows all of it".to_owned());
    teller.tell(&alert.told());
    let since = Instant::now();
    for line in &teller.lines {
        line.end(since).await;
    }
    teller.failures()
}

/// An observer that tells the hooks what it is shown, and shows what came of that.
pub(crate) struct Told<'a> {
    teller: Arc<Teller>,
    inner: &'a mut dyn Observer,
    /// Who writes down what was told.
    keeper: Option<JoinHandle<()>>,
}

impl<'a> Told<'a> {
    pub fn new(teller: Arc<Teller>, inner: &'a mut dyn Observer, keeper: Option<JoinHandle<()>>) -> Told<'a> {
        Told { teller, inner, keeper }
    }

    /// The run is over. What comes of it is not changed by any hook.
    pub async fn end<T>(self, result: Result<T>, stop: &Stop) -> Result<T> {
        self.teller.end(result.as_ref().err(), stop).await;
        for failure in self.teller.failures() {
            self.inner.notice(failure);
        }
        if let Some(mut keeper) = self.keeper
            && tokio::time::timeout(KEPT, &mut keeper).await.is_err()
        {
            keeper.abort();
        }
        result
    }
}

impl Observer for Told<'_> {
    fn notice(&mut self, notice: Notice) {
        self.teller.hear(&notice);
        self.inner.notice(notice);
        for failure in self.teller.failures() {
            self.inner.notice(failure);
        }
    }
}
