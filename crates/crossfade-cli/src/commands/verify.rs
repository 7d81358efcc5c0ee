//! `crossfade verify`: compares old and new form again.

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::KeepVerifyingOptions;
use crossfade::Result;

use super::Context;
use crate::args::VerifyArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &VerifyArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let version = args.version.as_deref();
    let report = match &args.every {
        None => migrator.verify(version, &mut progress, &stop).await?,
        Some(every) => {
            let options = KeepVerifyingOptions { rounds: args.rounds, ..options(every, args.duty)? };
            migrator.keep_verifying(version, options, &mut progress, &stop).await?
        }
    };
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::verify::text(&report, context.screen.out()))?;
    }
    let differs = report.tables.iter().any(|table| table.differing > 0);
    Ok(if differs { ErrorKind::Refused.exit_code() } else { 0 })
}

/// Reads `--every` and `--duty`.
pub(super) fn options(every: &str, duty: f64) -> Result<KeepVerifyingOptions> {
    if !(duty > 0.0 && duty <= 1.0) {
        return Err(Error::usage(format!("--duty is {duty}")).hint("a share of the time: above 0 and up to 1"));
    }
    Ok(KeepVerifyingOptions { every: super::time_of("--every", every)?, duty, ..KeepVerifyingOptions::default() })
}
