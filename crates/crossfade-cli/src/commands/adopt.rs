//! `crossfade adopt`: the history of another tool becomes ours.

use crossfade::AdoptOptions;
use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::Result;
use crossfade::RunOptions;
use crossfade::Tool;
use crossfade::report::AdoptReport;
use crossfade::report::GivenBackReport;

use super::Context;
use crate::args::AdoptArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &AdoptArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let from = args.from.as_deref().map(Tool::by_name).transpose()?;
    let options = AdoptOptions {
        from,
        table: args.table.clone(),
        files: args.files.clone(),
        accept_changed: args.accept_changed,
        accept_missing: args.accept_missing,
        prove: args.prove.then(|| context.scratch(args.scratch.scratch_url.as_deref(), &config)).transpose()?,
        fence: args.fence,
        wait: args.wait,
    };
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    if args.unfence {
        return given_back(&migrator.unfence().await?, context);
    }
    if args.undo {
        return given_back(&migrator.give_back(RunOptions { wait: args.wait }, &mut progress, &stop).await?, context);
    }
    if args.dry_run {
        let report = migrator.adopt_preview(&options, &mut progress, &stop).await?;
        show(&report, context)?;
        let is_fine = report.obstacles.is_empty() && !report.is_disproved();
        return Ok(if is_fine { 0 } else { ErrorKind::Refused.exit_code() });
    }
    let report = migrator.adopt(&options, &mut progress, &stop).await?;
    if report.is_disproved() {
        show(&report, context)?;
        return Ok(ErrorKind::Refused.exit_code());
    }
    let kept = match report.layout {
        Some(layout) => crossfade::config::keep_layout(&context.global.dir, layout).map_err(|error| {
            Error::failed("the history is taken over, but not how its files are laid out")
                .hint(format!("write it yourself: layout = \"{layout}\""))
                .caused_by(error)
        })?,
        None => None,
    };
    show(&report, context)?;
    if let (Some(path), Some(layout), false) = (kept, report.layout, context.screen.is_json()) {
        context.screen.say(&format!("{}: layout = \"{layout}\"", path.display()));
    }
    Ok(0)
}

fn show(report: &AdoptReport, context: &Context) -> Result<()> {
    if context.screen.is_json() {
        context.screen.document(report)
    } else {
        context.screen.print(&render::adopt::text(report, context.screen.out()))
    }
}

fn given_back(report: &GivenBackReport, context: &Context) -> Result<u8> {
    if context.screen.is_json() {
        context.screen.document(report)?;
    } else {
        context.screen.say(&render::adopt::given_back(report));
    }
    Ok(0)
}
