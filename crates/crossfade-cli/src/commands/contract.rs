//! `crossfade contract`: after the deploy, the old form goes out of use.

use crossfade::ContractOptions;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::Stop;

use super::Context;
use super::targets::Aim;
use super::targets::Manner;
use super::targets::Summary;
use crate::args::ContractArgs;
use crate::progress::Progress;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &ContractArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let manner = Manner::changing(args.many);
    let force = args.reason.clone().filter(|_| args.force);
    let (version, options) = (args.version.clone(), ContractOptions { wait: args.wait, force });
    let stop = signals::watch(&context.screen)?;
    match context.aim(&config, manner).await? {
        Aim::One(migrator) => {
            let mut progress = context.progress(&config);
            let report = migrator.contract(version.as_deref(), &options, &mut progress, &stop).await?;
            context.finish(&report, &progress)
        }
        Aim::Many(places) => {
            let work = move |migrator: Migrator, mut progress: Progress, stop: Stop| {
                let (version, options) = (version.clone(), options.clone());
                async move {
                    let report = migrator.contract(version.as_deref(), &options, &mut progress, &stop).await?;
                    Summary::new(render::targets::ran(&report.migrations), &report)
                }
            };
            context.on_each(&config, places, manner, &stop, work).await
        }
    }
}
