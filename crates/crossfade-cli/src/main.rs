//! The `crossfade` command. Here the environment is read, and nowhere else.

mod args;
mod audit;
mod commands;
mod progress;
mod render;
mod screen;
mod serve;
mod sight;
mod signals;
mod variables;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;
use crossfade::Error;
use crossfade::Result;

use crate::args::Cli;
use crate::args::Global;
use crate::commands::Context;
use crate::screen::Screen;
use crate::variables::Variables;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_use(&error),
    };
    let screen = Screen::new(cli.wants_json(), cli.global.color);
    ExitCode::from(match run(cli, &screen) {
        Ok(code) => code,
        Err(error) => {
            screen.error(&error);
            error.kind().exit_code()
        }
    })
}

fn run(cli: Cli, screen: &Screen) -> Result<u8> {
    let variables = Variables::read();
    start_log(&cli.global, &variables)?;
    variables.report_skipped();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::failed("could not start").caused_by(error))?;
    let context = Context { global: cli.global, variables, screen: screen.clone() };
    let result = runtime.block_on(commands::run(cli.command, &context));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// The log for people who look for a fault, on standard error: `-v`, `-vv`, or what CROSSFADE_LOG says.
fn start_log(global: &Global, variables: &Variables) -> Result<()> {
    let filter = match variables.get("CROSSFADE_LOG") {
        Some(filter) => filter,
        None => match global.verbose {
            0 => "warn".to_owned(),
            1 => "info,crossfade=debug,crossfade_core=debug".to_owned(),
            _ => "debug,crossfade=trace,crossfade_core=trace".to_owned(),
        },
    };
    let filter = tracing_subscriber::EnvFilter::try_new(&filter).map_err(|error| {
        Error::usage("CROSSFADE_LOG can't be read").caused_by(error).hint("for example CROSSFADE_LOG=debug")
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Screen::new(false, global.color).is_styled())
        .init();
    Ok(())
}

/// What clap says of wrong use; also `--help` and `--version`.
fn wrong_use(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Screen::new(true, args::Color::Never).error(&Error::usage(message).hint("crossfade --help"));
    } else {
        // A closed pipe behind --help is no failure.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}
