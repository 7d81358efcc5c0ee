//! Looks at the database again and again, beside whoever shows it: the last look, and whether it failed.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crossfade::Error;
use crossfade::Stop;
use crossfade::Watcher;
use crossfade::report::Snapshot;
use crossfade::report::UnreachedReport;
use crossfade_core::journal::State;
use tokio::sync::watch;

/// What is known of the database now.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    /// The last look that did not fail, and when it was.
    pub seen: Option<(Instant, Arc<Snapshot>)>,
    /// Why the last look failed, and since when they do.
    pub failed: Option<(Instant, Failure)>,
    /// Looks that did not fail, and those that did.
    pub looks: (u64, u64),
}

/// Why a look failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// With its causes.
    pub error: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Sight {
    /// As documents have it.
    pub fn unreached(&self) -> Option<UnreachedReport> {
        self.failed.as_ref().map(|(since, failure)| UnreachedReport {
            error: failure.error.clone(),
            hint: failure.hint.clone(),
            seconds: since.elapsed().as_secs_f64(),
        })
    }

    /// How old the snapshot is.
    pub fn age(&self) -> Option<Duration> {
        self.seen.as_ref().map(|(at, _)| at.elapsed())
    }

    /// Whether a migration waits for its deploy, as far as is known.
    pub fn waits_for_deploy(&self, version: &str) -> bool {
        let Some((_, snapshot)) = &self.seen else { return true };
        snapshot.flights.iter().any(|flight| flight.state == State::Ready && flight.version.as_deref() == Some(version))
    }

    fn take(&mut self, looked: Result<Snapshot, Error>) {
        match looked {
            Ok(snapshot) => {
                self.seen = Some((Instant::now(), Arc::new(snapshot)));
                self.failed = None;
                self.looks.0 += 1;
            }
            Err(error) => {
                tracing::debug!(error = %error.chain(), "a look at the database failed");
                let failure = Failure { error: error.chain(), hint: error.hint_text().map(str::to_owned) };
                let since = self.failed.as_ref().map_or_else(Instant::now, |(since, _)| *since);
                self.failed = Some((since, failure));
                self.looks.1 += 1;
            }
        }
    }
}

/// Begins to look, every `interval`, until somebody asks to stop. `adapt` makes of a snapshot what may be shown.
pub fn begin(
    mut watcher: Watcher,
    interval: Duration,
    stop: &Stop,
    adapt: impl Fn(Snapshot) -> Snapshot + Send + 'static,
) -> watch::Receiver<Sight> {
    let (sender, receiver) = watch::channel(Sight::default());
    let stop = stop.clone();
    tokio::spawn(async move {
        while !stop.is_requested() {
            let begun = Instant::now();
            let looked = tokio::select! {
                looked = watcher.look() => looked,
                () = stop.requested() => return,
            };
            sender.send_modify(|sight| sight.take(looked.map(&adapt)));
            stop.sleep(interval.saturating_sub(begun.elapsed()).max(interval / 4)).await;
        }
    });
    receiver
}
