//! `crossfade history`: everything that was ever done, by whom and from where.

use crossfade::HistoryOptions;
use crossfade::HistorySince;
use crossfade::Result;
use crossfade::config::parse_duration;

use super::Context;
use crate::args::HistoryArgs;
use crate::render;

pub(super) async fn run(args: HistoryArgs, context: &Context) -> Result<u8> {
    let since = args.since.map(|text| match parse_duration(&text) {
        Ok(ago) => HistorySince::Ago(ago),
        Err(_) => HistorySince::Time(text),
    });
    let options = HistoryOptions { version: args.version, since, sql: args.sql };
    let report = context.migrator(context.config()?).await?.history(&options).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::history::text(&report, context.screen.out()))?;
    }
    Ok(0)
}
