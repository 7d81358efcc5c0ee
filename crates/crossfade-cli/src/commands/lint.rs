//! `crossfade lint`: what the files would do to those who use the database meanwhile.

use crossfade::ErrorKind;
use crossfade::LintOptions;
use crossfade::Result;
use crossfade_core::finding::Severity;

use super::Context;
use super::outlets;
use super::outlets::Found;
use crate::args::LintArgs;
use crate::args::LintLevel;
use crate::render;

pub(super) async fn run(args: &LintArgs, context: &Context) -> Result<u8> {
    outlets::check(&args.formats)?;
    let migrator = context.beside()?.0;
    let traced = args.trace || args.place.scratch_url.is_some();
    let config = context.config()?;
    let trace = traced.then(|| context.scratch(args.place.scratch_url.as_deref(), &config)).transpose()?;
    let live = args.live || context.global.database_url.is_some();
    let options = LintOptions { paths: args.paths.clone(), since: args.since.clone(), live, trace };
    let report = migrator.lint(&options).await?;
    let text = |paint| render::lint::text(&report, paint);
    let found = Found { report: &report, text: &text, review: render::review::Review::of_lint(&report) };
    outlets::write(&args.formats, &found, &context.screen)?;
    let fail_on = match args.fail_on {
        LintLevel::Never => None,
        LintLevel::Error => Some(Severity::Error),
        LintLevel::Warning => Some(Severity::Warning),
        LintLevel::Note => Some(Severity::Note),
    };
    let fails = fail_on.is_some_and(|level| report.reaches(level));
    Ok(if fails { ErrorKind::Refused.exit_code() } else { 0 })
}
