//! `crossfade renumber`: pending files that come too late get the next free versions.

use std::time::SystemTime;

use crossfade::RenumberOptions;
use crossfade::Result;

use super::Context;
use crate::args::RenumberArgs;
use crate::render;

pub(super) async fn run(args: RenumberArgs, context: &Context) -> Result<u8> {
    let migrator = if args.offline { context.beside()?.0 } else { context.migrator(context.config()?).await? };
    let options = RenumberOptions {
        files: args.files,
        dry_run: args.dry_run,
        offline: args.offline,
        now: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
    };
    let report = migrator.renumber(&options).await?;
    let screen = &context.screen;
    if screen.is_json() {
        screen.document(&report)?;
    } else {
        for notice in &report.notices {
            screen.say(notice);
        }
        screen.print(&render::renumber::text(&report, screen.out()))?;
    }
    Ok(0)
}
