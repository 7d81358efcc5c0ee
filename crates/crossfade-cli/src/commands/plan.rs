//! `crossfade plan`: what a migration would run as.

use crossfade::ErrorKind;
use crossfade::Result;

use super::Context;
use super::Sources;
use crate::args::PlanArgs;
use crate::args::PlanFormat;
use crate::render;

pub(super) async fn run(args: &PlanArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let sources = Sources::new(&config);
    let lock_timeout = config.locks.timeout;
    let migrator = context.migrator(config)?;
    let screen = &context.screen;
    if args.format == Some(PlanFormat::Markdown) {
        let report = migrator.runbook(&args.versions).await?;
        if screen.is_json() {
            screen.document(&report)?;
        } else {
            screen.print(&render::runbook::markdown(&report))?;
        }
        return Ok(if report.refused.is_none() { 0 } else { ErrorKind::Refused.exit_code() });
    }
    let report = migrator.plans(&args.versions).await?;
    match args.format {
        Some(PlanFormat::Sql) if !context.global.json => screen.print(&render::script::text(&report, lock_timeout))?,
        _ if screen.is_json() => screen.document(&report)?,
        Some(_) | None => {
            let find = |plan: &crossfade_core::step::Plan| sources.of(&plan.version, Some(&plan.checksum));
            screen.print(&render::plan::text(&report, &find, screen.out()))?;
        }
    }
    Ok(0)
}
