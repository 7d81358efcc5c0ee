//! `crossfade migrate`: everything that is pending, each as far as is safe without a deploy.

use std::time::Duration;

use crossfade::MigrateOptions;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::Stop;
use crossfade::report::RunReport;

use super::Context;
use super::targets::Aim;
use super::targets::Manner;
use super::targets::Summary;
use super::time_of;
use crate::args::MigrateArgs;
use crate::progress::Progress;
use crate::render;
use crate::signals;

pub(super) async fn run(args: MigrateArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let manner = Manner::making(args.many);
    let options = MigrateOptions {
        to: args.to,
        complete: args.complete,
        wait: args.wait,
        workers: args.workers.map(usize::from),
        park: args.park,
        allow_out_of_order: args.allow_out_of_order,
    };
    let patience = args.wait_for_database.map(|text| time_of("--wait-for-database", &text)).transpose()?;
    let stop = signals::watch(&context.screen)?;
    match context.aim(&config, manner).await? {
        Aim::One(migrator) => {
            let mut progress = context.progress(&config);
            let report = migrate(&migrator, options, patience, &mut progress, &stop).await?;
            context.finish(&report, &progress)
        }
        Aim::Many(places) => {
            let work = move |migrator: Migrator, mut progress: Progress, stop: Stop| {
                let options = options.clone();
                async move {
                    let report = migrate(&migrator, options, patience, &mut progress, &stop).await?;
                    Summary::new(render::targets::ran(&report.migrations), &report)
                }
            };
            context.on_each(&config, places, manner, &stop, work).await
        }
    }
}

async fn migrate(
    migrator: &Migrator,
    options: MigrateOptions,
    patience: Option<Duration>,
    progress: &mut Progress,
    stop: &Stop,
) -> Result<RunReport> {
    if let Some(patience) = patience {
        migrator.wait_for_database(patience, progress, stop).await?;
    }
    migrator.migrate(options, progress, stop).await
}
