//! `crossfade resume`: lets what is paused go on.

use crossfade::Result;

use super::Context;
use crate::args::VersionArgs;

pub(super) async fn run(args: &VersionArgs, context: &Context) -> Result<u8> {
    let report = context.migrator(context.config()?).await?.resume(args.version.as_deref()).await?;
    context.show_run(&report)
}
