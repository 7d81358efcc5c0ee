//! What one hook is still to be told, in order, and who tells it: a task beside the work.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::task::JoinHandle;

use super::alert::Alert;
use super::command;
use super::event::HookEvent;
use super::outcome::Failure;
use super::outcome::Outcome;
use super::settings::Around;
use super::settings::Call;
use super::settings::Format;
use super::settings::Hook;
use super::webhook;
use crate::observer::Notice;
use crate::stop::Stop;

/// A call that ends by itself at its timeout says more than that it was cut off.
const GRACE: Duration = Duration::from_millis(200);

/// One alert on its way.
struct Item {
    alert: Alert,
    /// Who waits for it, and may stop waiting.
    waited_for: Option<(oneshot::Sender<Result<(), String>>, Stop)>,
}

/// What is not told yet, in order, as it will be written down; what is under way is the first.
type Pending = Arc<Mutex<VecDeque<Outcome>>>;

/// One hook with what it is still to be told.
#[derive(Debug)]
pub(super) struct Line {
    pub hook: Arc<Hook>,
    queue: Mutex<Option<UnboundedSender<Item>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    pending: Pending,
    keeper: Mutex<Option<UnboundedSender<Outcome>>>,
    failures: UnboundedSender<Notice>,
    blocked: Mutex<bool>,
    rest: Mutex<Option<Rest>>,
}

/// A pause that this hook may have to be told of.
#[derive(Debug)]
struct Rest {
    sleeper: AbortHandle,
    told: Arc<Mutex<Telling>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Telling {
    NotYet,
    Told,
    Over,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Begins to wait for alerts. What fails goes to `failures`, and what came of each to whoever keeps it.
    pub fn start(
        hook: Hook,
        around: Around,
        failures: UnboundedSender<Notice>,
        keeper: Option<UnboundedSender<Outcome>>,
    ) -> Line {
        let (queue, items) = unbounded_channel();
        let (hook, pending) = (Arc::new(hook), Pending::default());
        let task = tokio::spawn(work(hook.clone(), around, items, pending.clone(), (failures.clone(), keeper.clone())));
        Line {
            hook,
            queue: Mutex::new(Some(queue)),
            task: Mutex::new(Some(task)),
            pending,
            keeper: Mutex::new(keeper),
            failures,
            blocked: Mutex::new(false),
            rest: Mutex::new(None),
        }
    }

    fn is_on(&self, event: HookEvent) -> bool {
        self.hook.on.contains(&event)
    }

    /// Tells it, if it wants to know, behind what it is told already.
    pub fn tell(&self, alert: &Alert) {
        if self.is_on(alert.event) {
            self.push(Item { alert: alert.clone(), waited_for: None });
        }
    }

    fn push(&self, item: Item) {
        send(&lock(&self.queue), &self.pending, &self.hook, item);
    }

    /// Tells it and waits for what comes of it.
    pub async fn call(&self, alert: &Alert, stop: &Stop) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.push(Item { alert: alert.clone(), waited_for: Some((answer, stop.clone())) });
        answered.await.unwrap_or_else(|_| Err("it was not called: the run is over".to_owned()))
    }

    /// Tells it of a wait that lasts so long by now, once.
    pub fn wait_lasts(&self, alert: &Alert, long: Duration) {
        let mut told = lock(&self.blocked);
        if !*told && self.is_on(alert.event) && long >= self.hook.after {
            *told = true;
            self.tell(alert);
        }
    }

    /// The wait is over.
    pub fn wait_is_over(&self) {
        *lock(&self.blocked) = false;
    }

    /// The work rests. It is told when that lasts.
    pub fn rests(&self, alert: Alert) {
        let (on_pause, on_resume) = (self.is_on(HookEvent::Paused), self.is_on(HookEvent::Resumed));
        let mut rest = lock(&self.rest);
        if rest.is_some() || !(on_pause || on_resume) {
            return;
        }
        let told = Arc::new(Mutex::new(Telling::NotYet));
        let (hook, shared, pending) = (self.hook.clone(), told.clone(), self.pending.clone());
        // The queue stays open as long as somebody may put something into it; a rest that is over is aborted.
        let queue = lock(&self.queue).clone();
        let sleeper = tokio::spawn(async move {
            tokio::time::sleep(hook.after).await;
            let mut told = lock(&shared);
            if *told == Telling::NotYet {
                *told = Telling::Told;
                if on_pause {
                    send(&queue, &pending, &hook, Item { alert, waited_for: None });
                }
            }
        });
        *rest = Some(Rest { sleeper: sleeper.abort_handle(), told });
    }

    /// The rest is over. Whoever was told of it, or would have been, is told that, too.
    pub fn goes_on(&self, alert: &Alert) {
        if self.forget_rest() {
            self.tell(alert);
        }
    }

    /// Returns whether the rest had lasted long enough to be told.
    fn forget_rest(&self) -> bool {
        let Some(rest) = lock(&self.rest).take() else { return false };
        let was = std::mem::replace(&mut *lock(&rest.told), Telling::Over);
        rest.sleeper.abort();
        was == Telling::Told
    }

    /// Nothing more comes. Waits for what is under way, but not longer than the hook's timeout from then on.
    pub async fn end(&self, since: Instant) {
        self.forget_rest();
        *lock(&self.queue) = None;
        let keeper = lock(&self.keeper).take();
        let Some(mut task) = lock(&self.task).take() else { return };
        let left = (self.hook.timeout + GRACE).saturating_sub(since.elapsed());
        if tokio::time::timeout(left, &mut task).await.is_err() {
            task.abort();
            let unsent: Vec<Outcome> = lock(&self.pending).drain(..).collect();
            let alerts = match unsent.len() {
                1 => "1 alert".to_owned(),
                many => format!("{many} alerts"),
            };
            let in_time = format!("could not be sent within {:?} of the end of the run", self.hook.timeout);
            for outcome in unsent {
                keep(keeper.as_ref(), outcome.ended(since.elapsed(), Some(format!("it {in_time}"))));
            }
            let why = format!("{alerts} {in_time}");
            let _ = self.failures.send(Notice::HookFailed { hook: self.hook.name.clone(), event: None, why });
        }
    }
}

fn keep(keeper: Option<&UnboundedSender<Outcome>>, outcome: Outcome) {
    if let Some(keeper) = keeper {
        // Where nobody keeps it any more, it is lost.
        let _ = keeper.send(outcome);
    }
}

fn send(queue: &Option<UnboundedSender<Item>>, pending: &Pending, hook: &Hook, item: Item) {
    if let Some(queue) = queue {
        // Both in one order, whoever else sends.
        let mut pending = lock(pending);
        pending.push_back(Outcome::of(&hook.name, &item.alert));
        // It listens as long as the queue is there.
        let _ = queue.send(item);
    }
}

async fn work(
    hook: Arc<Hook>,
    around: Around,
    mut items: UnboundedReceiver<Item>,
    pending: Pending,
    (failures, keeper): (UnboundedSender<Notice>, Option<UnboundedSender<Outcome>>),
) {
    while let Some(Item { alert, waited_for }) = items.recv().await {
        let (event, begun) = (alert.event, Instant::now());
        let result = match &waited_for {
            None => deliver(&hook, &around, &alert).await,
            Some((_, stop)) => tokio::select! {
                result = deliver(&hook, &around, &alert) => result,
                () = stop.requested() => Err(Failure::new("it was ended, because the run was asked to stop", "")),
            },
        };
        let first = lock(&pending).pop_front();
        if let Some(outcome) = first {
            let failed = result.as_ref().err().map(|failure| failure.brief.clone());
            keep(keeper.as_ref(), outcome.ended(begun.elapsed(), failed));
        }
        match &result {
            Ok(answer) => tracing::debug!(hook = hook.name, %event, answer, "a hook was called"),
            Err(failure) => {
                // What is required says so itself.
                if waited_for.is_none() || !hook.is_required() {
                    let (name, why) = (hook.name.clone(), failure.why.clone());
                    let _ = failures.send(Notice::HookFailed { hook: name, event: Some(event), why });
                }
            }
        }
        if let Some((answer, _)) = waited_for {
            // Whoever asked may be gone.
            let _ = answer.send(result.map(|_| ()).map_err(|failure| failure.why));
        }
    }
}

/// Calls a hook once, with its retries. Returns what came back.
pub(super) async fn deliver(hook: &Hook, around: &Around, alert: &Alert) -> Result<String, Failure> {
    match &hook.call {
        Call::Command { run, .. } => command::call(run.read()?, &around.folder, alert, hook.timeout).await,
        Call::Webhook { address, format, retries } => {
            let body = match format {
                Format::Json => alert.json(),
                Format::Slack => alert.slack(),
                Format::PagerDuty(key) => alert.pagerduty(key.read()?),
            };
            webhook::call(address.read()?, around.proxy.as_ref(), &body, *retries, hook.timeout).await
        }
    }
}
