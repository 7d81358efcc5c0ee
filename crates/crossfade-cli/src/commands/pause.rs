//! `crossfade pause`: asks whoever runs a migration to wait.

use crossfade::Result;

use super::Context;
use crate::args::PauseArgs;

pub(super) async fn run(args: &PauseArgs, context: &Context) -> Result<u8> {
    let report =
        context.migrator(context.config()?).await?.pause(args.version.as_deref(), args.reason.as_deref()).await?;
    context.show_run(&report)
}
