//! `crossfade hooks test`: a sample to each hook, and what came back.

use crossfade::Error;
use crossfade::Result;
use crossfade::hooks::HookEvent;

use super::Context;
use crate::args::HooksArgs;
use crate::args::HooksCommand;
use crate::render;

pub(super) async fn run(args: HooksArgs, context: &Context) -> Result<u8> {
    let HooksCommand::Test(args) = args.command;
    let event = args.event.as_deref().map(|name| {
        HookEvent::by_name(name).ok_or_else(|| {
            Error::usage(format!("\"{name}\" is no event")).hint(format!("the events are {}", HookEvent::names()))
        })
    });
    let event = event.transpose()?;
    let report = match args.record {
        true => context.migrator(context.config()?).await?.try_hooks_and_record(event).await?,
        false => context.beside()?.0.try_hooks(event).await,
    };
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::hooks::text(&report, context.screen.out()))?;
    }
    Ok(u8::from(report.hooks.iter().any(|hook| hook.error.is_some())))
}
