//! `crossfade rollback`: undoes a migration, or all above a version.

use crossfade::Error;
use crossfade::GotoOptions;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::RunOptions;
use crossfade::Stop;
use crossfade::report::REPORT_FORMAT;
use crossfade::report::RunReport;
use crossfade::report::StatusReport;
use crossfade::source::compare_versions;
use crossfade_core::journal::State;

use super::Context;
use super::targets::Aim;
use super::targets::Manner;
use super::targets::Summary;
use crate::args::RollbackArgs;
use crate::progress::Progress;
use crate::render;
use crate::signals;

pub(super) async fn run(args: RollbackArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let manner = Manner::changing(args.many);
    let stop = signals::watch(&context.screen)?;
    let places = match context.aim(&config, manner).await? {
        Aim::One(migrator) => {
            let mut progress = context.progress(&config);
            if let Some(options) = way(&args) {
                let report = migrator.goto(&options, &mut progress, &stop).await?;
                return context.arrive(&report, &progress);
            }
            let options = RunOptions { wait: args.wait };
            let report = migrator.rollback(args.version.as_deref(), options, &mut progress, &stop).await?;
            return context.finish(&report, &progress);
        }
        Aim::Many(places) => places,
    };
    if args.version.is_none() && args.to.is_none() {
        return Err(Error::usage("the newest migration may be another one on each target")
            .hint("name it: crossfade rollback VERSION, or --to VERSION"));
    }
    let (to, version, wait) = (way(&args), args.version, args.wait);
    let work = move |migrator: Migrator, mut progress: Progress, stop: Stop| {
        let (to, version) = (to.clone(), version.clone());
        async move {
            if let Some(options) = to {
                let report = migrator.goto(&options, &mut progress, &stop).await?;
                let words = match report.dry_run {
                    true => render::goto::way(&report).trim_end().replace('\n', "; "),
                    false => render::targets::ran(&report.migrations),
                };
                return Summary::new(words, &report);
            }
            // Where it was never run there is nothing to undo: another target may be further.
            let version = version.unwrap_or_default();
            if !was_run(&migrator.status().await?, &version) {
                let report = RunReport { format: REPORT_FORMAT, migrations: Vec::new() };
                return Summary::new(format!("{version} is not run here"), &report);
            }
            let report = migrator.rollback(Some(&version), RunOptions { wait }, &mut progress, &stop).await?;
            Summary::new(render::targets::ran(&report.migrations), &report)
        }
    };
    context.on_each(&config, places, manner, &stop, work).await
}

fn way(args: &RollbackArgs) -> Option<GotoOptions> {
    let to = args.to.clone()?;
    Some(GotoOptions { to, only_back: true, complete: false, dry_run: args.dry_run, wait: args.wait })
}

fn was_run(report: &StatusReport, version: &str) -> bool {
    let named = report.migrations.iter().filter(|migration| compare_versions(&migration.version, version).is_eq());
    named.into_iter().any(|migration| !matches!(migration.state, State::Pending | State::RolledBack))
}
