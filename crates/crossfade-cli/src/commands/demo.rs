//! `crossfade demo`: a scratch server, a fleet of application servers, and a live rename of a column.
//!
//! People should see it hold before they trust it. So this is no animation: a real server, real clients that keep in
//! memory what they wrote and read it again, and the same front door that `crossfade migrate` uses. The fleet runs
//! old code, is deployed one by one to new code, and runs new code; what it met is counted by phase. `--naive` shows
//! the same fleet under what people do without Crossfade.
//!
//! What is measured is honest in one direction only: the server is thrown away and does not wait for the disk.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crossfade::Config;
use crossfade::ContractOptions;
use crossfade::Error;
use crossfade::MigrateOptions;
use crossfade::Migrator;
use crossfade::Result;
use crossfade::RunOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::report::RunReport;
use crossfade::scratch::ScratchError;
use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use crossfade_core::journal::State;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use self::people::say;
use self::progress::Progress;
use self::report::Report;
use self::scene::Scene;
use self::stats::Stats;

mod app;
mod fleet;
mod locks;
mod memory;
mod naive;
mod people;
mod progress;
mod report;
mod scene;
mod stats;
mod users;

/// The exit code after Ctrl-C, as shells have it.
const INTERRUPTED: u8 = 130;

/// The whole of what a user writes.
const MIGRATION: &str = "ALTER TABLE users RENAME COLUMN email TO email_address;\n";

/// Show a live migration on a scratch server, under a fleet of old and new clients.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Rows of the table that is migrated
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1000..=100_000_000))]
    rows: u32,

    /// Application servers, each with its own connection
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=500))]
    apps: u32,

    /// Do it without Crossfade, to see the outage
    #[arg(long)]
    naive: bool,

    /// How long the phases are that only wait; 1 is the normal length
    #[arg(long, value_name = "F", default_value_t = 1.0, value_parser = scale, hide = true)]
    phase_seconds: f64,
}

/// Runs the demo; returns the exit code.
///
/// # Errors
///
/// When there is no PostgreSQL, or the migration itself fails. Errors of the fleet are the demo's result instead.
pub async fn run(args: DemoArgs, json: bool) -> Result<u8> {
    // The future that loses is dropped before the answer counts, and with it the server.
    let played = tokio::select! {
        played = play(&args) => Some(played?),
        interrupted = interrupted() => { interrupted?; None }
    };
    let Some(report) = played else {
        say("interrupted: the scratch server is stopped and removed");
        return Ok(INTERRUPTED);
    };
    let text = if json { report.json() } else { report.text() };
    let written = std::io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|source| Error::failed("could not write the report").caused_by(source))?;
    Ok(u8::from(!report.as_expected()))
}

async fn play(args: &DemoArgs) -> Result<Report> {
    let started = Instant::now();
    let server = start_server(args.apps).await?;
    say(&format!(
        "A scratch PostgreSQL {} with {} users, and {} application servers on it.",
        server.major_version(),
        people::count(args.rows.into()),
        args.apps
    ));
    let stats = Arc::new(Stats::default());
    let rows_checked = if args.naive {
        naive::play(&server, args, &stats).await?
    } else {
        migrate_live(&server, args, &stats).await?
    };
    let report = Report::new(args, server.major_version(), &stats, rows_checked, started.elapsed());
    server.stop().map_err(scratch_error)?;
    Ok(report)
}

async fn migrate_live(server: &ScratchServer, args: &DemoArgs, stats: &Arc<Stats>) -> Result<u64> {
    let scene = Scene::open(server, args, stats, "crossfade").await?;
    let migrator = migrator(server, &scene)?;
    let stop = Stop::default();
    say("");
    say(&format!("The migration, all of it:  {}", MIGRATION.trim_end()));
    say("");

    scene.begin("baseline", "old code only: it reads and writes the column email");
    scene.pass(3.0).await;

    scene.begin("expand+backfill", "crossfade migrate: adds email_address, keeps both in sync, fills every row");
    let mut progress = Progress::default();
    let ran = migrator.migrate(MigrateOptions::default(), &mut progress, &stop).await?;
    stats.set_backfill_rate(progress.rows_per_second());
    expect_state(&ran, State::Ready)?;

    scene.begin("ready", "both columns are equal and stay so; old code goes on undisturbed");
    scene.pass(2.0).await;

    scene.begin("deploy", "one application server after the other gets the new code: both versions write");
    scene.deploy(4.0).await;

    scene.begin("deployed", "new code only: it reads and writes the column email_address");
    scene.pass(2.0).await;

    scene.begin("contract", "crossfade contract: the old column goes out of use, and is kept for a way back");
    // The fleet keeps its connections over the deploy, and the demo does not wait for an hour.
    let by_the_script =
        ContractOptions { force: Some("every application runs new code".to_owned()), ..ContractOptions::default() };
    let ran = migrator.contract(None, &by_the_script, &mut progress, &stop).await?;
    expect_state(&ran, State::Contracted)?;
    scene.pass(1.0).await;

    scene.begin("after", "new code only, on the new schema");
    scene.pass(2.0).await;

    scene.begin("purge", "crossfade purge: the old column is dropped");
    let ran = migrator.purge(None, RunOptions::default(), &mut progress, &stop).await?;
    expect_state(&ran, State::Applied)?;
    scene.pass(1.0).await;

    scene.expect_renamed().await?;
    scene.close().await
}

/// The migration's folder lies in the server's, and goes when that goes, however this process ends.
fn migrator(server: &ScratchServer, scene: &Scene) -> Result<Migrator> {
    let folder = server.socket_dir().join("migrations");
    let file = folder.join("001_rename_email.sql");
    let written = std::fs::create_dir(&folder).and_then(|()| std::fs::write(&file, MIGRATION));
    written.map_err(|source| Error::failed(format!("could not write {}", file.display())).caused_by(source))?;
    let config = Config { migrations: folder, ..Config::default() };
    Ok(Migrator::new(config, Target::from_url(scene.url())?))
}

fn expect_state(ran: &RunReport, expected: State) -> Result<()> {
    match ran.migrations.as_slice() {
        [migration] if migration.state == expected => Ok(()),
        migrations => {
            let states: Vec<&str> = migrations.iter().map(|migration| migration.state.name()).collect();
            let message = format!("the migration is {:?} and not {}", states.join(", "), expected.name());
            Err(Error::failed(message))
        }
    }
}

async fn start_server(apps: u32) -> Result<ScratchServer> {
    let configured = std::env::var_os("CROSSFADE_PG_BIN");
    let bin_dir = find_binaries(configured.as_deref().map(Path::new)).map_err(scratch_error)?;
    let mut options = ScratchOptions::new(bin_dir);
    options.max_connections = apps + 30;
    let start = tokio::task::spawn_blocking(move || ScratchServer::start(options)).await;
    start.map_err(|source| Error::failed("could not start a scratch server").caused_by(source))?.map_err(scratch_error)
}

/// What a person can put right by another configuration or an installation is their side; the rest is ours.
fn scratch_error(error: ScratchError) -> Error {
    let usage = matches!(
        error,
        ScratchError::NotBinaries { .. }
            | ScratchError::NoBinaries
            | ScratchError::NoAccount
            | ScratchError::NoFolder { .. }
    );
    let message = error.to_string();
    let failed = if usage { Error::usage(message) } else { Error::failed(message) };
    match std::error::Error::source(&error) {
        Some(source) => failed.caused_by(source.to_string()),
        None => failed,
    }
}

/// Returns when somebody wants this process to end.
async fn interrupted() -> Result<()> {
    let no_signals = |source| Error::failed("could not listen for signals").caused_by(source);
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal).into_iter();
    let mut next = || signals.next().expect("there are three").map_err(no_signals);
    let (mut interrupt, mut terminate, mut hangup) = (next()?, next()?, next()?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

fn scale(text: &str) -> std::result::Result<f64, String> {
    let scale: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=100.0).contains(&scale) { Ok(scale) } else { Err("must be from 0.01 to 100".to_owned()) }
}

/// A server's error while the demo itself was doing something; errors of the fleet are counted instead.
fn could_not(doing: &str) -> impl Fn(tokio_postgres::Error) -> Error {
    move |source| Error::failed(format!("could not {doing}")).caused_by(source)
}

/// A length of time in the demo's own clock.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}
