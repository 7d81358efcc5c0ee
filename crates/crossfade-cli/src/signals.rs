//! Ctrl-C and SIGTERM: the first asks to stop at a safe point, the second ends at once.

use crossfade::Error;
use crossfade::Result;
use crossfade::Stop;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::screen::Screen;

/// Begins to watch. What is returned is handed to the work.
pub fn watch(screen: &Screen) -> Result<Stop> {
    watch_saying(screen, "stopping at a safe point; once more to stop at once")
}

/// The same with other words for the first one.
pub fn watch_saying(screen: &Screen, words: &'static str) -> Result<Stop> {
    let (first, second) = (screen.clone(), screen.clone());
    watch_doing(move || first.say(words), move || second.clear())
}

/// The same, with something to do at the first one, and before the second one ends it.
pub fn watch_doing(first: impl Fn() + Send + 'static, second: impl Fn() + Send + 'static) -> Result<Stop> {
    let failed = |error: std::io::Error| Error::failed("could not watch for signals").caused_by(error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let stop = Stop::default();
    let requested = stop.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if requested.is_requested() {
                second();
                std::process::exit(130);
            }
            requested.request();
            first();
        }
    });
    Ok(stop)
}
