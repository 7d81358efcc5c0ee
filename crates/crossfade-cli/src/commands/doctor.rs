//! `crossfade doctor`: what is left over or waits for a person, each with its mend.

use crossfade::ErrorKind;
use crossfade::Result;

use super::Context;
use crate::render;

pub(super) async fn run(context: &Context) -> Result<u8> {
    let report = context.migrator(context.config()?).await?.doctor().await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::doctor::text(&report, context.screen.out()))?;
    }
    Ok(if report.is_ill() { ErrorKind::Refused.exit_code() } else { 0 })
}
