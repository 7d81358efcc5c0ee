//! `crossfade drift`: the database's schema beside what its migrations make.

use crossfade::DriftOptions;
use crossfade::ErrorKind;
use crossfade::Result;
use crossfade::report::Towards;

use super::Context;
use crate::args::DriftArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &DriftArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let scratch = context.scratch(args.scratch.scratch_url.as_deref(), &config)?;
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let options = DriftOptions { scratch, towards: if args.reverse { Towards::Database } else { Towards::Migrations } };
    let report = migrator.drift(&options, &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::drift::script(&report))?;
        context.screen.say(&render::drift::summary(&report, context.screen.err()));
    }
    Ok(if report.changes.is_empty() { 0 } else { ErrorKind::Refused.exit_code() })
}
