//! `crossfade wait`: until the database answers, or its schema is at least at a version.

use std::time::Instant;

use crossfade::Readiness;
use crossfade::Result;
use crossfade::report::REPORT_FORMAT;
use crossfade::report::WaitReport;

use super::Context;
use super::Sources;
use super::time_of;
use crate::args::WaitArgs;
use crate::progress::Progress;
use crate::render;
use crate::signals;

pub(super) async fn run(args: WaitArgs, context: &Context) -> Result<u8> {
    let timeout = time_of("--timeout", &args.timeout)?;
    let config = context.config()?;
    let mut progress = Progress::new(context.screen.clone(), Sources::new(&config));
    let migrator = context.migrator(config).await?;
    let stop = signals::watch(&context.screen)?;
    let begun = Instant::now();
    let ahead_at = match &args.for_version {
        None => {
            migrator.wait_for_database(timeout, &mut progress, &stop).await?;
            None
        }
        Some(version) => match migrator.wait_until_at_least(version, timeout, &mut progress, &stop).await? {
            Readiness::Ahead { at } => Some(at),
            Readiness::Ready | Readiness::Behind { .. } => None,
        },
    };
    let report = WaitReport {
        format: REPORT_FORMAT,
        database: migrator.target().display(),
        version: args.for_version,
        ahead_at,
        waited_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::wait::text(&report))?;
    }
    Ok(0)
}
