//! `crossfade watch`: a migration on this terminal, live.

use std::time::Duration;

use crossfade::Error;
use crossfade::Result;

use super::Context;
use super::serve::interval_of;
use crate::args::WatchArgs;
use crate::sight;
use crate::signals;
use crate::watch;
use crate::watch::Model;

pub(super) async fn run(args: &WatchArgs, context: &Context) -> Result<u8> {
    let interval = interval_of(&args.interval)?;
    let screen = &context.screen;
    let draws = !screen.is_json() && !args.plain;
    if draws && !screen.is_terminal() {
        return Err(Error::usage("watch draws on a terminal, and this is none").hint(
            "--plain prints a line whenever something has changed; --json prints what is to be seen, once; `crossfade status` shows it once",
        ));
    }
    let migrator = context.migrator(context.config()?).await?;
    let mut watcher = migrator.watcher();
    if screen.is_json() {
        screen.document(&watcher.look().await?)?;
        return Ok(0);
    }
    let model = Model::new(migrator.target().display(), args.version.clone(), screen.out().is_styled(), interval);
    if args.plain {
        let stop = signals::watch_doing(|| {}, || {})?;
        let sight = sight::begin(watcher, interval, &stop, |snapshot| snapshot);
        return watch::plain(model, sight, screen, &stop).await.map(|()| 0);
    }
    let stop = signals::watch_doing(|| {}, watch::restore)?;
    let sight = sight::begin(watcher, interval, &stop, |snapshot| snapshot);
    watch::live(model, sight, migrator, &stop, Duration::from_secs(1)).await.map(|()| 0)
}
