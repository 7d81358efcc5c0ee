//! `crossfade rollback`: undoes a migration, or all above a version.

use crossfade::GotoOptions;
use crossfade::Result;
use crossfade::RunOptions;

use super::Context;
use crate::args::RollbackArgs;
use crate::signals;

pub(super) async fn run(args: RollbackArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner()?;
    let stop = signals::watch(&context.screen)?;
    if let Some(to) = args.to {
        let (dry_run, wait) = (args.dry_run, args.wait);
        let options = GotoOptions { to, only_back: true, complete: false, dry_run, wait };
        let report = migrator.goto(&options, &mut progress, &stop).await?;
        return context.arrive(&report, &progress);
    }
    let options = RunOptions { wait: args.wait };
    let report = migrator.rollback(args.version.as_deref(), options, &mut progress, &stop).await?;
    context.finish(&report, &progress)
}
