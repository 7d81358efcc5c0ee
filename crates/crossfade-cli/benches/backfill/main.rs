//! `make bench`: the backfill of Crossfade beside what people do by hand, on a scratch server with PostgreSQL's default settings.
//!
//! Standard output is the environment and tables in Markdown, as they stand in docs/benchmarks.md; progress goes to standard error. A bar that is
//! missed stands in the table and is no failure: the exit code is 1 only where something could not be done, or was done wrongly.
//! `ROWS` and `TURNS` are variables of the environment.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its tables, and how far it is")]

mod binary;
mod change;
mod clients;
mod figures;
mod markdown;
mod measure;
mod server;
mod settings;
mod watch;
mod way;

use std::fmt::Display;
use std::process::ExitCode;

use crossfade::Error;
use crossfade::Result;

use crate::figures::Figures;
use crate::server::Server;
use crate::settings::Settings;

fn main() -> ExitCode {
    // `cargo test --all-targets` starts it, too; only `cargo bench` says this.
    if !std::env::args().any(|argument| argument == "--bench") {
        eprintln!("this is a benchmark: run it by `make bench`");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<()> {
    let settings = Settings::read()?;
    let server = Server::start(&settings).await?;
    let environment = server.environment(&settings).await?;
    eprint!("{environment}");
    let figures = Figures::take(&server, &settings).await?;
    println!("{environment}\n{}", markdown::tables(&figures));
    server.stop()
}

/// Says what was being done: it reads after "could not".
fn could_not<E: std::error::Error + Send + Sync + 'static>(what: impl Display) -> impl FnOnce(E) -> Error {
    move |error| Error::failed(format!("could not {what}")).caused_by(error)
}
