//! `crossfade backfill`: the copy of one column alone.

use crossfade::BackfillOptions;
use crossfade::Error;
use crossfade::Result;
use crossfade_core::plan::BackfillRequest;

use super::Context;
use crate::args::BackfillArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &BackfillArgs, context: &Context) -> Result<u8> {
    let (value, only) = (args.expr.as_deref(), args.only.as_deref());
    let request = BackfillRequest::read(&args.table, &args.source, &args.target, value, only);
    let request = request.map_err(|(argument, error)| {
        let usage = Error::usage(format!("{}: {}", argument.name(), error.message));
        usage.hint(error.help.unwrap_or_else(|| "crossfade backfill --help".to_owned()))
    })?;
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let options = BackfillOptions {
        batch_size: args.batch_size,
        workers: args.workers.map(usize::from),
        park: args.park,
        wait: args.wait,
    };
    let report = migrator.backfill(&request, options, &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.say(&render::run::filled(&report));
    }
    Ok(0)
}
