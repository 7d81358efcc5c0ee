//! Measures beside the work, in tasks of their own on connections of their own, for as long as one step works.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crossfade_core::sql::TableName;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use crossfade_core::throttle::Work;
use crossfade_core::throttle::look_at_the_calendar;
use tokio::task::JoinSet;
use tokio_postgres::Client;

use super::board::Board;
use super::board::Gate;
use super::http;
use super::look::Family;
use super::look::Memory;
use super::look::look;
use super::pulse;
use super::query;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::Target;
use crate::postgres::lease::worker_name;
use crate::postgres::store::Store;

/// How often the server's statistics are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// How often requests and live settings are, and what the user gave to ask.
const ASK: Duration = Duration::from_secs(1);

/// How often it is decided anew when nothing comes in.
const TICK: Duration = Duration::from_millis(250);

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is watched, and for which work.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub target: Target,
    pub store: Store,
    pub epoch: i64,
    pub plan_id: i64,
    pub step: u16,
    pub work: Work,
    /// The relations that are worked on.
    pub tables: Vec<TableName>,
    /// What crossfade.toml says.
    pub base: Settings,
    /// Whether requests to pause count: not on the way back.
    pub listens: bool,
}

/// The tasks that measure. They end with it.
#[derive(Debug)]
pub(crate) struct Sampler {
    gate: Gate,
    _tasks: JoinSet<()>,
}

impl Sampler {
    /// Begins to measure. The gate is closed until everything was looked at once.
    pub fn start(watched: Watched) -> Sampler {
        let (board, gate) = Board::new(watched.work, watched.base.clone());
        let watched = Arc::new(watched);
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(Line::new(&watched), board.clone()));
        tasks.spawn(beat(Line::new(&watched), board.clone()));
        for (family, signal) in [(Family::Query, Signal::Query), (Family::Critical, Signal::Critical)] {
            tasks.spawn(question(Line::new(&watched), board.clone(), family, signal));
        }
        tasks.spawn(check(board.clone()));
        tasks.spawn(tick(board));
        Sampler { gate, _tasks: tasks }
    }

    /// What the work asks.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }
}

/// A connection that is made when it is needed, and again when it is lost.
struct Line {
    watched: Arc<Watched>,
    client: Option<Client>,
}

impl Line {
    fn new(watched: &Arc<Watched>) -> Line {
        Line { watched: watched.clone(), client: None }
    }

    async fn client(&mut self) -> Result<&Client> {
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => {
                let connected = tokio::time::timeout(PATIENCE, connect(&self.watched)).await;
                connected.map_err(|_| Error::failed("no connection could be made in time"))??
            }
        };
        Ok(self.client.insert(client))
    }

    /// Gives the connection up: nobody knows in which state it is.
    fn give_up(&mut self) {
        self.client = None;
    }
}

async fn connect(watched: &Watched) -> Result<Client> {
    let client = watched.target.connect(&worker_name(&watched.store.schema, watched.epoch)).await?;
    client
        .batch_execute(
            "SET statement_timeout = '4s'; SET lock_timeout = '1s'; SET idle_in_transaction_session_timeout = '10s'; \
             SET standard_conforming_strings = on; SET default_transaction_read_only = off; \
             SET default_transaction_isolation = 'read committed'; SET jit = off",
        )
        .await
        .doing("prepare the session")?;
    Ok(client)
}

/// Runs one look with a limit on its time. A connection on which it did not end in time is given up.
async fn in_time<T>(line: &mut Line, doing: &str, work: impl AsyncFnOnce(&Client, &Watched) -> Result<T>) -> Result<T> {
    let watched = line.watched.clone();
    let client = line.client().await?;
    match tokio::time::timeout(PATIENCE, work(client, &watched)).await {
        Ok(done) => done,
        Err(_) => {
            line.give_up();
            Err(Error::failed(format!("could not {doing} in {} s", PATIENCE.as_secs())))
        }
    }
}

/// Statistics, requests and live settings; and writes down what the work waits for.
async fn watch(mut line: Line, board: Arc<Board>) {
    let mut memory = Memory::default();
    let mut told_blind: Vec<Signal> = Vec::new();
    let mut asked: Option<Duration> = None;
    loop {
        if asked.is_none_or(|at| board.now().saturating_sub(at) >= ASK) {
            asked = Some(board.now());
            let heard = in_time(&mut line, "look for requests", async |client, watched| {
                let live = watched.store.live_settings(client).await?;
                board.set(Store::with_live(&watched.base, &live));
                requests(client, watched).await
            });
            let heard = heard.await;
            board.post(Family::Requests, heard);
            write_down(&mut line, &board).await;
        }
        for family in Family::OF_THE_SERVER {
            let settings = board.settings();
            if family.covers(&settings, line.watched.work).is_empty() {
                board.post(family, Ok(Vec::new()));
                continue;
            }
            let now = board.now();
            let seen = in_time(&mut line, "look at the server", async |client, watched| {
                look(family, client, &settings, &watched.tables, &mut memory, now).await
            });
            let seen = seen.await.map(|seen| {
                for (signal, why) in seen.blind {
                    if !told_blind.contains(&signal) {
                        tracing::info!(signal = signal.name(), why, "not measured");
                        told_blind.push(signal);
                    }
                }
                seen.readings
            });
            board.post(family, seen);
        }
        if board.has_news() {
            write_down(&mut line, &board).await;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Writes down what the work waits for, for whoever looks at the status.
async fn write_down(line: &mut Line, board: &Board) {
    for ((signal, scope), waiting) in board.take_ledger() {
        let written = in_time(line, "write down what the work waits for", async |client, watched| {
            let place = (watched.plan_id, watched.step);
            watched.store.add_waiting(client, watched.epoch, place, (signal, &scope), &waiting).await
        });
        if let Err(error) = written.await {
            tracing::debug!(error = %error.chain(), "the record of pauses has a gap");
        }
    }
}

async fn requests(client: &Client, watched: &Watched) -> Result<Vec<Reading>> {
    let asked = watched.store.last_asked(client, watched.plan_id).await?.filter(|_| watched.listens);
    let paused = asked.filter(|asked| asked.is_pause());
    let text = paused.as_ref().map_or_else(|| "nobody asked for a pause".to_owned(), |asked| asked.text());
    Ok(vec![Reading::condition(Signal::Request, "", paused.is_some(), text)])
}

async fn beat(mut line: Line, board: Arc<Board>) {
    let mut last = None;
    loop {
        let settings = board.settings();
        let seen = if settings.commit.is_some() {
            in_time(&mut line, "write the heartbeat", async |client, watched| {
                pulse::look(client, &watched.store.schema, &settings, last).await
            })
            .await
        } else {
            Ok(Vec::new())
        };
        last = seen.as_ref().ok().and_then(|seen| seen.iter().find_map(Reading::number));
        board.post(Family::Pulse, seen);
        board.sleep(ASK).await;
    }
}

async fn question(mut line: Line, board: Arc<Board>, family: Family, signal: Signal) {
    loop {
        let settings = board.settings();
        let text = if signal == Signal::Critical { settings.critical } else { settings.query };
        let seen = match text {
            Some(text) => {
                let asked = in_time(&mut line, "ask the query of the throttle", async |client, _| {
                    query::look(client, signal, &text).await
                });
                asked.await.map(|reading| vec![reading])
            }
            None => Ok(Vec::new()),
        };
        board.post(family, seen);
        board.sleep(ASK).await;
    }
}

async fn check(board: Arc<Board>) {
    loop {
        let readings = match board.settings().http {
            Some(address) => vec![http::look(&address).await],
            None => Vec::new(),
        };
        board.post(Family::Http, Ok(readings));
        board.sleep(ASK).await;
    }
}

async fn tick(board: Arc<Board>) {
    let mut looked: Option<Duration> = None;
    loop {
        if looked.is_none_or(|at| board.now().saturating_sub(at) >= LOOK) {
            looked = Some(board.now());
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            board.post(Family::Calendar, Ok(look_at_the_calendar(&board.settings(), since_epoch)));
        } else {
            board.tick();
        }
        tokio::time::sleep(TICK).await;
    }
}
