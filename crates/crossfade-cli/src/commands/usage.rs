//! `crossfade usage`: who still uses the old form.

use crossfade::ErrorKind;
use crossfade::Result;

use super::Context;
use crate::args::VersionArgs;
use crate::render;

pub(super) async fn run(args: &VersionArgs, context: &Context) -> Result<u8> {
    let report = context.migrator(context.config()?).await?.usage(args.version.as_deref()).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::usage::text(&report, context.screen.out()))?;
    }
    let open = report.migrations.iter().any(|migration| !migration.reasons.is_empty());
    Ok(if open { ErrorKind::Refused.exit_code() } else { 0 })
}
