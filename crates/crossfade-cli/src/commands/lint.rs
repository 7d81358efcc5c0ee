//! `crossfade lint`: what the files would do to those who use the database meanwhile.

use crossfade::ErrorKind;
use crossfade::LintOptions;
use crossfade::Result;
use crossfade_core::finding::Severity;

use super::Context;
use crate::args::LintArgs;
use crate::args::LintLevel;
use crate::render;

pub(super) async fn run(args: &LintArgs, context: &Context) -> Result<u8> {
    let migrator = context.beside()?.0;
    let report = migrator.lint(&LintOptions { paths: args.paths.clone() }).await?;
    let screen = &context.screen;
    if screen.is_json() {
        screen.document(&report)?;
    } else {
        screen.print(&render::lint::text(&report, screen.out()))?;
    }
    let fail_on = match args.fail_on {
        LintLevel::Never => None,
        LintLevel::Error => Some(Severity::Error),
        LintLevel::Warning => Some(Severity::Warning),
        LintLevel::Note => Some(Severity::Note),
    };
    let fails = fail_on.is_some_and(|level| report.reaches(level));
    Ok(if fails { ErrorKind::Refused.exit_code() } else { 0 })
}
