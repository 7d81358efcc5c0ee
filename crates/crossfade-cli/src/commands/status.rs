//! `crossfade status`: every migration and its state.

use crossfade::Migrator;
use crossfade::Result;

use super::Context;
use super::targets::Aim;
use super::targets::Manner;
use super::targets::Summary;
use crate::args::StatusArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: &StatusArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let manner = Manner::looking(args.many);
    let report = match context.aim(&config, manner).await? {
        Aim::One(migrator) => migrator.status().await?,
        Aim::Many(places) => {
            let stop = signals::watch(&context.screen)?;
            let look = |migrator: Migrator, _, _| async move {
                let report = migrator.status().await?;
                Summary::new(render::targets::status(&report), &report)
            };
            return context.on_each(&config, places, manner, &stop, look).await;
        }
    };
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::status::text(&report, context.screen.out()))?;
    }
    Ok(0)
}
