//! `crossfade verify`: compares old and new form again.

use crossfade::ErrorKind;
use crossfade::Result;

use super::Context;
use crate::args::VersionArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &VersionArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let report = migrator.verify(args.version.as_deref(), &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::verify::text(&report, context.screen.out()))?;
    }
    let differs = report.tables.iter().any(|table| table.differing > 0);
    Ok(if differs { ErrorKind::Refused.exit_code() } else { 0 })
}
