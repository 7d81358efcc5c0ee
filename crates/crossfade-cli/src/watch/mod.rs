//! What `crossfade watch` shows: a model that is told what was seen and which keys were pressed, and a terminal that draws it.

mod draw;
mod model;
mod terminal;
#[cfg(test)]
pub mod tests;
mod words;

use std::time::Duration;

use crossfade::Error;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::Stop;
use tokio::sync::mpsc;
use tokio::sync::watch;

pub use self::model::Model;
use self::model::Wish;
pub use self::terminal::restore;
use crate::screen::Screen;
use crate::sight::Sight;

/// A line whenever something has changed, until it is stopped or nobody reads on.
pub async fn plain(mut model: Model, mut sight: watch::Receiver<Sight>, screen: &Screen, stop: &Stop) -> Result<()> {
    let mut last = Vec::new();
    loop {
        tokio::select! {
            () = stop.requested() => return Ok(()),
            changed = sight.changed() => if changed.is_err() { return Ok(()) },
        }
        model.saw(&sight.borrow_and_update());
        let lines = draw::lines(&model);
        for line in lines.iter().filter(|line| !last.contains(*line)) {
            if !screen.offer(line)? {
                return Ok(());
            }
        }
        last = lines;
    }
}

/// On the whole terminal, until somebody leaves.
pub async fn live(
    mut model: Model,
    mut sight: watch::Receiver<Sight>,
    migrator: Migrator,
    stop: &Stop,
    tick: Duration,
) -> Result<()> {
    let failed = |error: std::io::Error| Error::failed("could not draw on the terminal").caused_by(error);
    let mut terminal = terminal::Terminal::open().map_err(failed)?;
    let (told, mut news) = mpsc::unbounded_channel();
    loop {
        model.saw(&sight.borrow_and_update());
        terminal.draw(&model).map_err(failed)?;
        let wish = tokio::select! {
            () = stop.requested() => Wish::Leave,
            changed = sight.changed() => if changed.is_ok() { Wish::Nothing } else { Wish::Leave },
            key = terminal.key() => key.map_or(Wish::Leave, |key| model.press(key)),
            Some(words) = news.recv() => { model.say(words); Wish::Nothing }
            () = tokio::time::sleep(tick) => Wish::Nothing,
        };
        match wish {
            Wish::Nothing => {}
            Wish::Leave => {
                stop.request();
                return Ok(());
            }
            Wish::Pause(version) => {
                let (migrator, told) = (migrator.clone(), told.clone());
                tokio::spawn(async move {
                    let asked = migrator.pause(version.as_deref(), Some("by crossfade watch")).await;
                    let _ = told.send(answer("asked to pause", asked));
                });
            }
            Wish::Resume(version) => {
                let (migrator, told) = (migrator.clone(), told.clone());
                tokio::spawn(async move {
                    let asked = migrator.resume(version.as_deref()).await;
                    let _ = told.send(answer("asked to go on", asked));
                });
            }
        }
    }
}

/// What came of a wish, for people.
fn answer(done: &str, asked: Result<crossfade::report::RunReport>) -> String {
    match asked {
        Ok(report) => {
            let names: Vec<String> =
                report.migrations.into_iter().map(|one| format!("{} {}", one.version, one.name)).collect();
            format!("{done}: {}", names.join(", "))
        }
        Err(error) => error.chain(),
    }
}
