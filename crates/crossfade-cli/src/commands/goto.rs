//! `crossfade goto`: down or up to a version.

use crossfade::GotoOptions;
use crossfade::Result;

use super::Context;
use crate::args::GotoArgs;
use crate::signals;

pub(super) async fn run(args: GotoArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let options = GotoOptions {
        to: args.version,
        only_back: false,
        complete: args.complete,
        dry_run: args.dry_run,
        wait: args.wait,
    };
    let report = migrator.goto(&options, &mut progress, &stop).await?;
    context.arrive(&report, &progress)
}
