//! `crossfade test`: every way back, gone on a scratch database.

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::Result;
use crossfade::TestOptions;

use super::Context;
use crate::args::TestArgs;
use crate::render;
use crate::signals;

pub(super) async fn run(args: TestArgs, context: &Context) -> Result<u8> {
    let config = context.config()?;
    let scratch = context.scratch(args.scratch.scratch_url.as_deref(), &config)?;
    let seed = match args.seed {
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .map_err(|error| Error::usage(format!("could not read {}", path.display())).caused_by(error))?;
            Some((path, text))
        }
        None => None,
    };
    let (migrator, mut progress) = context.beside()?;
    let stop = signals::watch(&context.screen)?;
    let options = TestOptions { versions: args.versions, scratch, seed };
    let report = migrator.test(&options, &mut progress, &stop).await?;
    if context.screen.is_json() {
        context.screen.document(&report)?;
    } else {
        context.screen.print(&render::tested::text(&report, context.screen.out()))?;
    }
    Ok(if report.is_proven() { 0 } else { ErrorKind::Refused.exit_code() })
}
