//! What `crossfade serve` answers. It only shows; what changes something needs the token, and is off without one.

mod actions;
mod guard;
mod metrics;
mod page;
mod runbook;
mod token;
mod verifying;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::middleware;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::get;
use axum::routing::post;
use crossfade::Migrator;
use crossfade::report::REPORT_FORMAT;
use crossfade::report::SightReport;
use crossfade::report::Snapshot;
use serde::Serialize;
use tokio::sync::watch;

pub use self::token::Token;
pub use self::verifying::Verified;
pub use self::verifying::begin as begin_verifying;
use crate::sight::Sight;

/// What a request may bring.
const MOST_BODY: usize = 64 * 1024;

/// The database counts as reached when the last look is no older than so many intervals, and this on top.
const INTERVALS: u32 = 3;
const SLACK: Duration = Duration::from_secs(3);

/// What every answer is made from.
#[derive(Debug)]
pub struct Desk {
    migrator: Migrator,
    sight: watch::Receiver<Sight>,
    verified: Option<watch::Receiver<Verified>>,
    interval: Duration,
    token: Option<Token>,
    loopback: bool,
    runbook: runbook::Shelf,
    counts: actions::Counts,
}

impl Desk {
    /// Nothing is answered yet.
    pub fn new(
        migrator: Migrator,
        sight: watch::Receiver<Sight>,
        verified: Option<watch::Receiver<Verified>>,
        interval: Duration,
        token: Option<Token>,
        loopback: bool,
    ) -> Desk {
        let counts = actions::Counts::default();
        Desk { migrator, sight, verified, interval, token, loopback, runbook: runbook::Shelf::default(), counts }
    }

    fn sight(&self) -> Sight {
        self.sight.borrow().clone()
    }

    fn verified(&self) -> Option<Verified> {
        self.verified.as_ref().map(|verified| verified.borrow().clone())
    }

    /// Whether the database was reached within the last intervals.
    fn is_ready(&self, sight: &Sight) -> bool {
        sight.age().is_some_and(|age| age <= self.interval * INTERVALS + SLACK)
    }
}

/// What may be shown of a snapshot: beyond this machine no texts of statements, which may hold what is nobody's business.
pub fn held_back(hold_back: bool) -> impl Fn(Snapshot) -> Snapshot + Send + 'static {
    move |mut snapshot| {
        if hold_back {
            for wait in &mut snapshot.lock_waits {
                wait.waiter.query = None;
                wait.blockers.iter_mut().for_each(|blocker| blocker.query = None);
            }
            let flights = snapshot.flights.iter_mut().map(|flight| &mut flight.old_form);
            let migrations = snapshot.status.migrations.iter_mut().map(|migration| &mut migration.old_form);
            for last in flights.chain(migrations).filter_map(|old| old.as_mut()?.last.as_mut()) {
                last.statement = None;
            }
        }
        snapshot
    }
}

/// Every address.
pub fn app(desk: Desk) -> Router {
    let desk = Arc::new(desk);
    Router::new()
        .route("/", get(page::page))
        .route("/metrics", get(scraped))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .route("/api/v1/runbook", get(runbook::runbook))
        .route("/api/v1/pause", post(actions::pause))
        .route("/api/v1/resume", post(actions::resume))
        .route("/api/v1/throttle", post(actions::throttle))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here; / is the page\n"))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(middleware::from_fn_with_state(desk.clone(), guard::guard))
        .with_state(desk)
}

async fn scraped(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let asks = |text: &str| text.contains("application/openmetrics-text");
    let open = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(asks);
    match metrics::text(&desk, open) {
        Ok((kind, text)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics can't be written\n").into_response(),
    }
}

async fn readyz(State(desk): State<Arc<Desk>>) -> Response {
    let sight = desk.sight();
    if desk.is_ready(&sight) {
        return "ok\n".into_response();
    }
    let why = match sight.failed {
        Some((_, failure)) => format!("the database is out of reach: {}\n", failure.error),
        None => "the database was not looked at yet\n".to_owned(),
    };
    (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
}

async fn status(State(desk): State<Arc<Desk>>) -> Response {
    let sight = desk.sight();
    let waits = |version: &str| sight.waits_for_deploy(version);
    let report = SightReport {
        format: REPORT_FORMAT,
        version: env!("CARGO_PKG_VERSION"),
        database: desk.migrator.target().display(),
        interval_seconds: desk.interval.as_secs_f64(),
        age_seconds: sight.age().map(|age| age.as_secs_f64()),
        unreached: sight.unreached(),
        queries_held_back: !desk.loopback,
        snapshot: sight.seen.as_ref().map(|(_, snapshot)| snapshot.as_ref()),
        verify: desk.verified().map(|verified| verified.report(waits, !desk.loopback)),
    };
    json(StatusCode::OK, &report)
}

/// An answer for a program.
fn json(code: StatusCode, document: &impl Serialize) -> Response {
    match serde_json::to_vec(document) {
        Ok(text) => (code, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the document can't be written\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::held_back;
    use crate::watch::tests::flight;
    use crate::watch::tests::snapshot;

    #[test]
    fn beyond_this_machine_no_statement_is_shown() {
        let shown = |hold_back: bool| {
            let document =
                serde_json::to_string(&held_back(hold_back)(snapshot(vec![flight()]))).expect("it is a document");
            ["UPDATE users SET seen", "ALTER TABLE public.users"].map(|statement| document.contains(statement))
        };
        assert_eq!((shown(false), shown(true)), ([true, true], [false, false]));
    }
}
