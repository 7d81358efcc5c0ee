//! `crossfade repair`: what differs between files and journal, and how to accept it.

use crossfade::RepairAction;
use crossfade::RepairOptions;
use crossfade::Result;

use super::Context;
use crate::args::RepairArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: RepairArgs, context: &Context) -> Result<u8> {
    let (migrator, mut progress) = context.runner().await?;
    let stop = signals::watch(&context.screen)?;
    let (version, action) = match (args.forget_missing, args.accept) {
        (Some(version), _) => (Some(version), RepairAction::ForgetMissing),
        (None, true) => (args.version, RepairAction::Accept),
        (None, false) => (args.version, RepairAction::Show),
    };
    let options = RepairOptions { version, action, wait: args.wait };
    let report = migrator.repair(&options, &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::repair::text(&report, context.screen.out()))?;
    }
    Ok(0)
}
