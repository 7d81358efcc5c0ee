//! `crossfade squash`: one file in the place of many.

use crossfade::Result;
use crossfade::SquashOptions;

use super::Context;
use crate::args::SquashArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: SquashArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let scratch = context.scratch(args.scratch.scratch_url.as_deref(), &config)?;
    let (migrator, mut progress) = if args.offline { context.beside()? } else { context.runner().await? };
    let stop = signals::watch(&context.screen)?;
    let options = SquashOptions { to: args.to, name: args.name, dry_run: args.dry_run, offline: args.offline, scratch };
    let report = migrator.squash(&options, &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::squash::text(&report))?;
    }
    Ok(0)
}
