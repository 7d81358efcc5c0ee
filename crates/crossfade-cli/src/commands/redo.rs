//! `crossfade redo`: undoes a migration and runs its file again.

use crossfade::RedoOptions;
use crossfade::Result;

use super::Context;
use crate::args::RedoArgs;
use crate::signals;

pub(super) async fn run(args: RedoArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let options = RedoOptions { version: args.version, complete: args.complete, wait: args.wait };
    let report = migrator.redo(&options, &mut progress, &stop).await?;
    context.finish(&report, &progress)
}
