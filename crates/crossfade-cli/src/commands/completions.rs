//! `crossfade completions`: a script for a shell.

use clap::CommandFactory as _;
use crossfade::Error;
use crossfade::Result;

use super::Context;
use crate::args::Cli;
use crate::args::CompletionsArgs;

pub(super) fn run(args: &CompletionsArgs, context: &Context) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "crossfade", &mut script);
    let script =
        String::from_utf8(script).map_err(|error| Error::failed("could not make the script").caused_by(error))?;
    context.screen.print(&script)?;
    Ok(0)
}
