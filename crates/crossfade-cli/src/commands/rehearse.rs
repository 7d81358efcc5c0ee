//! `crossfade rehearse`: a migration's whole way on a scratch database, under the load of both versions.

use std::path::PathBuf;

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::RehearseOptions;
use crossfade::RehearseSource;
use crossfade::Result;
use crossfade::RowsWanted;

use super::Context;
use super::time_of;
use crate::args::RehearseArgs;
use crate::args::RehearseFormat;
use crate::render;
use crate::signals;

pub(super) async fn run(args: RehearseArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let scratch = context.scratch(args.scratch.scratch_url.as_deref(), &config)?;
    let options = RehearseOptions {
        version: args.version,
        source: if context.names_database(&config)? { RehearseSource::Database } else { RehearseSource::Migrations },
        scratch,
        rows: match (args.rows, args.scale) {
            (Some(rows), _) => RowsWanted::AtMost(rows),
            (None, Some(share)) => RowsWanted::Share(share),
            (None, None) => RowsWanted::Usual,
        },
        old_queries: args.old_queries.map(read).transpose()?,
        new_queries: args.new_queries.map(read).transpose()?,
        with_data: args.with_data,
        hold: time_of("--hold", &args.hold)?,
    };
    let (migrator, mut progress) = match options.source {
        RehearseSource::Database => context.runner().await?,
        RehearseSource::Migrations => context.beside()?,
    };
    let screen = &context.screen;
    let stop = signals::watch(screen)?;
    let report = migrator.rehearse(&options, &mut progress, &stop).await?;
    match args.format {
        _ if screen.is_json() => screen.document(&report)?,
        RehearseFormat::Markdown => screen.print(&render::rehearsal::markdown(&report))?,
        RehearseFormat::Text | RehearseFormat::Json => screen.print(&render::rehearsal::text(&report, screen.out()))?,
    }
    Ok(if report.is_clean() { 0 } else { ErrorKind::Failed.exit_code() })
}

fn read(path: PathBuf) -> Result<(PathBuf, String)> {
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::usage(format!("could not read {}", path.display())).caused_by(error))?;
    Ok((path, text))
}
