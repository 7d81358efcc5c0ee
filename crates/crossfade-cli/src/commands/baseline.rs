//! `crossfade baseline`: what stands in the database already counts as applied.

use crossfade::BaselineOptions;
use crossfade::Result;

use super::Context;
use crate::args::BaselineArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: BaselineArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let options = BaselineOptions { version: args.version, name: args.name, dry_run: args.dry_run, wait: args.wait };
    let report = migrator.baseline(&options, &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::baseline::text(&report))?;
    }
    Ok(0)
}
