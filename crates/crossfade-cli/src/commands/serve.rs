//! `crossfade serve`: metrics, health and a page, until it is stopped.

use std::time::Duration;

use crossfade::Error;
use crossfade::Result;
use crossfade::connection;
use crossfade::report::ListeningReport;
use crossfade::report::REPORT_FORMAT;
use tokio::net::TcpListener;

use super::Context;
use super::time_of;
use super::verify;
use crate::args::ServeArgs;
use crate::serve;
use crate::serve::Token;
use crate::sight;
use crate::signals;

/// Where the token may stand when no file is named.
const TOKEN: &str = "CROSSFADE_SERVE_TOKEN";

/// More often than this nothing new is to be seen.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// How long requests that are under way may take once it is to stop.
const GRACE: Duration = Duration::from_secs(3);

pub(super) async fn run(args: &ServeArgs, context: &Context) -> Result<u8> {
    let screen = &context.screen;
    let interval = interval_of(&args.interval)?;
    let token = token(args, context)?;
    let verify = args.verify.then(|| verify::options(&args.every, args.duty)).transpose()?;
    let config = context.config()?;
    let progress = context.progress(&config);
    let migrator = context.migrator(config).await?;
    let listener = TcpListener::bind(&args.listen).await.map_err(|error| {
        Error::failed(format!("could not listen at {}", args.listen))
            .hint("--listen ADDRESS:PORT names another place; port 0 takes any that is free")
            .caused_by(error)
    })?;
    let address = listener.local_addr().map_err(|error| Error::failed("could not listen").caused_by(error))?;
    let loopback = address.ip().is_loopback();
    let stop = signals::watch_saying(screen, "stopping")?;
    let sight = sight::begin(migrator.watcher(), interval, &stop, serve::held_back(!loopback));
    let report = ListeningReport {
        format: REPORT_FORMAT,
        database: migrator.target().display(),
        url: format!("http://{address}/"),
        loopback,
        actions: token.is_some(),
        verify: verify.is_some(),
    };
    if screen.is_json() {
        screen.document(&report)?;
    } else {
        screen.print(&format!("{} is shown at {}", report.database, report.url))?;
    }
    if !loopback {
        screen.say(beyond_this_machine(report.actions));
    }
    if verify.is_some() {
        let every = &args.every;
        screen.say(&format!(
            "old and new form of what waits for the deploy are compared every {every}, and what is found is written down"
        ));
    }
    let begun = verify.map(|options| serve::begin_verifying(migrator.clone(), options, progress, &stop));
    let (verified, verifying) = begun.unzip();
    let app = serve::app(serve::Desk::new(migrator, sight, verified, interval, token, loopback));
    let ended = stop.clone();
    let served = axum::serve(listener, app).with_graceful_shutdown(async move { ended.requested().await });
    tokio::select! {
        served = served => served.map_err(|error| Error::failed("could not serve").caused_by(error))?,
        () = async { stop.requested().await; tokio::time::sleep(GRACE).await } => {}
    }
    if let Some(verifying) = verifying {
        verifying.await.map_err(|error| Error::failed("comparing old and new form broke off").caused_by(error))?;
    }
    Ok(0)
}

fn beyond_this_machine(actions: bool) -> &'static str {
    if actions {
        "it listens beyond this machine, without TLS: whoever reaches it can read, and the token crosses the network as it is; put a proxy with TLS in front of it"
    } else {
        "it listens beyond this machine: whoever reaches it can read; texts of statements are held back"
    }
}

/// Reads `--interval`.
pub(super) fn interval_of(text: &str) -> Result<Duration> {
    let interval = time_of("--interval", text)?;
    if interval < LEAST_INTERVAL {
        return Err(Error::usage(format!("--interval: {text} is less than 100ms")).hint("2s is a good value"));
    }
    Ok(interval)
}

fn token(args: &ServeArgs, context: &Context) -> Result<Option<Token>> {
    match (&args.token_file, context.variables.get(TOKEN)) {
        (Some(path), _) => {
            let read = connection::read_file(path);
            let text = read.map_err(|error| Error::usage("--token-file can't be used").caused_by(error))?;
            Token::new(&text, "the file of --token-file").map(Some)
        }
        (None, Some(text)) => Token::new(&text, TOKEN).map(Some),
        (None, None) => Ok(None),
    }
}
