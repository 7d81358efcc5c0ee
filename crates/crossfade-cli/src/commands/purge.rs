//! `crossfade purge`: drops what contract retained.

use crossfade::Result;

use super::Context;
use crate::args::RunArgs;
use crate::signals;

pub(super) async fn run(args: &RunArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner()?;
    let stop = signals::watch(&context.screen)?;
    let report = migrator.purge(args.version.as_deref(), args.into(), &mut progress, &stop).await?;
    context.finish(&report, &progress)
}
