//! `crossfade plan`: what a migration would run as.

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::Migrator;
use crossfade::Result;

use super::Context;
use super::Sources;
use super::targets::Aim;
use super::targets::Manner;
use super::targets::Summary;
use crate::args::PlanArgs;
use crate::args::PlanFormat;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &PlanArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let sources = Sources::new(&config);
    let manner = Manner::looking(args.many);
    let screen = &context.screen;
    let is_text = !context.global.json && matches!(args.format, Some(PlanFormat::Sql | PlanFormat::Markdown));
    let migrator = match context.aim(&config, manner).await? {
        Aim::One(migrator) => migrator,
        Aim::Many(_) if is_text => {
            return Err(Error::usage("there is one text for each target").hint("name one with --target"));
        }
        Aim::Many(places) => {
            let stop = signals::watch(screen)?;
            let versions = args.versions.clone();
            let look = move |migrator: Migrator, _, _| {
                let versions = versions.clone();
                async move {
                    let report = migrator.plans(&versions).await?;
                    Summary::new(render::targets::planned(&report), &report)
                }
            };
            return context.on_each(&config, places, manner, &stop, look).await;
        }
    };
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
        Some(PlanFormat::Sql) if is_text => screen.print(&render::script::text(&report, config.locks.timeout))?,
        _ if screen.is_json() => screen.document(&report)?,
        Some(_) | None => {
            let find = |plan: &crossfade_core::step::Plan| sources.of(&plan.version, Some(&plan.checksum));
            screen.print(&render::plan::text(&report, &find, screen.out()))?;
        }
    }
    Ok(0)
}
