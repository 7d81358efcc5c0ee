//! `crossfade status`: every migration and its state.

use crossfade::Result;

use super::Context;
use crate::render;

pub(super) async fn run(context: &Context) -> Result<u8> {
    let report = context.migrator(context.config()?)?.status().await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::status::text(&report, context.screen.out()))?;
    }
    Ok(0)
}
