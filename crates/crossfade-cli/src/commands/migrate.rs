//! `crossfade migrate`: everything that is pending, each as far as is safe without a deploy.

use crossfade::MigrateOptions;
use crossfade::Result;

use super::Context;
use super::time_of;
use crate::args::MigrateArgs;
use crate::signals;

pub(super) async fn run(args: MigrateArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner()?;
    let stop = signals::watch(&context.screen)?;
    let options = MigrateOptions {
        to: args.to,
        complete: args.complete,
        wait: args.wait,
        workers: args.workers.map(usize::from),
        park: args.park,
        allow_out_of_order: args.allow_out_of_order,
    };
    if let Some(text) = &args.wait_for_database {
        migrator.wait_for_database(time_of("--wait-for-database", text)?, &mut progress, &stop).await?;
    }
    let report = migrator.migrate(options, &mut progress, &stop).await?;
    context.finish(&report, &progress)
}
