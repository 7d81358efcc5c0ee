//! `crossfade migrate`: everything that is pending, each as far as is safe without a deploy.

use crossfade::MigrateOptions;
use crossfade::Result;

use super::Context;
use crate::args::MigrateArgs;
use crate::signals;

pub(super) async fn run(args: MigrateArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner()?;
    let stop = signals::watch(&context.screen)?;
    let workers = args.workers.map(usize::from);
    let options = MigrateOptions { to: args.to, complete: args.complete, wait: args.wait, workers, park: args.park };
    let report = migrator.migrate(options, &mut progress, &stop).await?;
    context.finish(&report, &progress)
}
