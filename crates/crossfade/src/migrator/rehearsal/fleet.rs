//! Both versions of the application: sessions that run their queries, one after the other, and count what comes of it.
//!
//! They do not stop for an error. Each writes rows of its own, so that the last value that it wrote is known; what was written is in the [`Ledger`].

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use bytes::BytesMut;
use crossfade_core::sql::Sql;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::Statement;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Format;
use tokio_postgres::types::IsNull;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::stats::Ledger;
use super::stats::Stats;
use super::stats::lock;
use crate::error::Result;
use crate::error::describe;
use crate::postgres::Target;

/// Sessions of each version.
pub const SESSIONS: usize = 2;

/// The pause between two statements of a session.
const PAUSE: Duration = Duration::from_millis(4);

/// A version of the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The one that runs now.
    Old,
    /// The one that comes.
    New,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Old => "old",
            Side::New => "new",
        }
    }
}

/// What a session does with a query's parameters.
#[derive(Clone, Debug)]
pub enum Supply {
    /// One of these.
    Any(Arc<Vec<Option<String>>>),
    /// The next of these, each once.
    Once(Arc<Vec<Option<String>>>),
    /// This part of the key of one of the session's rows.
    Key(usize),
    /// This part of the row to insert.
    Part(usize),
}

/// What is known of a write.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Nothing is written.
    Reads,
    /// This column of the row with the session's key gets the value of this parameter.
    Sets { table: usize, column: String, parameter: usize },
    /// A row comes, whose key the server answers.
    Inserts { table: usize },
    /// It writes, and what is not known.
    Writes,
}

/// A query to be played.
#[derive(Clone, Debug)]
pub struct Play {
    /// Its text.
    pub sql: Sql,
    /// Its parameters.
    pub supplies: Vec<Supply>,
    /// What it does.
    pub effect: Effect,
    /// The rows that it may be about.
    pub keys: Arc<Vec<Key>>,
    /// Whole rows to be inserted.
    pub rows: Arc<Vec<Vec<Option<String>>>>,
}

/// The key of a row.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its parts.
    pub parts: Vec<String>,
    /// All of it, as the server writes a row.
    pub text: String,
}

/// Text as the server reads it, whatever the type.
#[derive(Debug)]
struct AsText<'t>(Option<&'t str>);

impl ToSql for AsText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self.0 {
            None => Ok(IsNull::Yes),
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// The sessions of both versions. They end when this is dropped.
#[derive(Debug)]
pub struct Fleet {
    /// What they count.
    pub stats: Arc<Stats>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Fleet {
    /// Starts the sessions. None works before its version runs.
    pub async fn start(target: &Target, old: Vec<Play>, new: Vec<Play>) -> Result<Fleet> {
        let stats = Arc::new(Stats::new());
        let mut tasks = Vec::new();
        for (side, plays) in [(Side::Old, old), (Side::New, new)] {
            for number in 0..SESSIONS {
                let session = Session {
                    side,
                    number,
                    client: connect(target, side).await?,
                    target: target.clone(),
                    plays: plays.clone(),
                    prepared: BTreeMap::new(),
                    taken: plays.iter().map(|_| AtomicUsize::new(0)).collect(),
                    stats: stats.clone(),
                };
                tasks.push(tokio::spawn(session.work()));
            }
        }
        Ok(Fleet { stats, tasks })
    }

    /// Which versions run from now on. Returns once no statement of another is under way.
    pub async fn run(&self, old: bool, new: bool) {
        let _alone = self.stats.gate.write().await;
        self.stats.runs(Side::Old).store(old, Ordering::SeqCst);
        self.stats.runs(Side::New).store(new, Ordering::SeqCst);
    }

    /// Lets what writes unknown rows rest, or go on.
    pub async fn rest_unknown_writes(&self, rest: bool) {
        let _alone = self.stats.gate.write().await;
        self.stats.unknown_writes_rest.store(rest, Ordering::SeqCst);
    }

    /// What was written since the last time.
    pub fn take_ledger(&self) -> Ledger {
        std::mem::take(&mut *lock(&self.stats.ledger))
    }

    /// Waits until no statement is under way, and lets none begin until what is returned is dropped.
    pub async fn hold(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.stats.gate.write().await
    }

    /// Ends all sessions.
    pub async fn stop(mut self) -> Arc<Stats> {
        self.stats.stopping.store(true, Ordering::SeqCst);
        for task in std::mem::take(&mut self.tasks) {
            // It ends by itself, and a panic is shown where it came up.
            let _ = task.await;
        }
        self.stats.clone()
    }
}

async fn connect(target: &Target, side: Side) -> Result<Client> {
    target.connect(&format!("the {} version", side.name())).await
}

struct Session {
    side: Side,
    number: usize,
    client: Client,
    target: Target,
    plays: Vec<Play>,
    prepared: BTreeMap<usize, Statement>,
    /// How many values of each query were taken that are taken once.
    taken: Vec<AtomicUsize>,
    stats: Arc<Stats>,
}

/// What a statement was given.
struct Given {
    values: Vec<Option<String>>,
    key: Option<String>,
}

impl Session {
    async fn work(mut self) {
        let stats = self.stats.clone();
        while !stats.stopping.load(Ordering::SeqCst) {
            tokio::time::sleep(PAUSE).await;
            let _gate = stats.gate.read().await;
            if self.plays.is_empty() || !stats.runs(self.side).load(Ordering::SeqCst) {
                continue;
            }
            let stage = stats.now();
            if self.client.is_closed() {
                match connect(&self.target, self.side).await {
                    Ok(client) => {
                        self.client = client;
                        self.prepared.clear();
                    }
                    Err(error) => {
                        stats.count(stage, self.side, Duration::ZERO, Some(error.chain()));
                        continue;
                    }
                }
            }
            self.play(stage).await;
        }
    }

    async fn play(&mut self, stage: usize) {
        let at = rand::random_range(0..self.plays.len());
        let play = self.plays[at].clone();
        if matches!(play.effect, Effect::Writes) && self.stats.unknown_writes_rest.load(Ordering::SeqCst) {
            return;
        }
        let Some(given) = self.give(at, &play) else { return };
        let began = Instant::now();
        let was_prepared = self.prepared.contains_key(&at);
        let mut answer = self.send(at, &play, &given).await;
        // What was prepared before a column came, went or changed its type is prepared again, as drivers do it, or sessions that begin anew.
        if was_prepared && answer.as_ref().is_err_and(is_of_another_schema) {
            self.prepared.remove(&at);
            answer = self.send(at, &play, &given).await;
            if answer.is_ok() {
                self.stats.stale.store(true, Ordering::SeqCst);
            }
        }
        let took = began.elapsed();
        self.note(&play, &given, &answer);
        let error = answer.err().map(|error| {
            let why = error.as_db_error().map_or_else(|| describe(&error), |said| describe(said));
            format!("{why}, from {}", one_line(play.sql.as_str()))
        });
        self.stats.count(stage, self.side, took, error);
    }

    /// The values for a query's parameters; none where they have run out.
    fn give(&self, at: usize, play: &Play) -> Option<Given> {
        let mine = |many: usize| -> Option<usize> {
            // Each session has every nth: nobody else writes what is its own.
            let share = many.saturating_sub(self.lane()).div_ceil(2 * SESSIONS);
            (share > 0).then(|| rand::random_range(0..share) * 2 * SESSIONS + self.lane())
        };
        let key = if play.supplies.iter().any(|supply| matches!(supply, Supply::Key(_))) {
            Some(play.keys.get(mine(play.keys.len())?)?)
        } else {
            None
        };
        let taken = self.taken[at].fetch_add(1, Ordering::SeqCst) * SESSIONS + self.number;
        let mut values = Vec::with_capacity(play.supplies.len());
        for supply in &play.supplies {
            values.push(match supply {
                Supply::Any(pool) if pool.is_empty() => None,
                Supply::Any(pool) => pool.get(rand::random_range(0..pool.len()))?.clone(),
                Supply::Once(pool) => pool.get(taken)?.clone(),
                Supply::Key(part) => Some(key?.parts.get(*part)?.clone()),
                Supply::Part(part) => play.rows.get(taken)?.get(*part)?.clone(),
            });
        }
        Some(Given { values, key: key.map(|key| key.text.clone()) })
    }

    fn lane(&self) -> usize {
        match self.side {
            Side::Old => self.number,
            Side::New => SESSIONS + self.number,
        }
    }

    async fn send(
        &mut self,
        at: usize,
        play: &Play,
        given: &Given,
    ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let statement = match self.prepared.get(&at) {
            Some(statement) => statement.clone(),
            None => {
                let statement = self.client.prepare(play.sql.as_str()).await?;
                self.prepared.insert(at, statement.clone());
                statement
            }
        };
        let values: Vec<AsText<'_>> = given.values.iter().map(|value| AsText(value.as_deref())).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        self.client.query(&statement, &values).await
    }

    /// Writes down what must hold from now on.
    fn note(&self, play: &Play, given: &Given, answer: &Result<Vec<tokio_postgres::Row>, tokio_postgres::Error>) {
        let refused = answer.as_ref().is_err_and(|error| error.as_db_error().is_some());
        if refused {
            return;
        }
        let mut ledger = lock(&self.stats.ledger);
        let written = ledger.of(self.side);
        match &play.effect {
            Effect::Reads | Effect::Writes => {}
            Effect::Sets { table, column, parameter } => {
                let Some(key) = &given.key else { return };
                let value = given.values.get(*parameter).cloned().flatten();
                let known = if answer.is_ok() { value } else { None };
                written.entry((*table, key.clone())).or_default().insert(column.clone(), known);
            }
            Effect::Inserts { table } => {
                let key = answer.as_ref().ok().and_then(|rows| rows.first()).and_then(|row| row.try_get(0).ok());
                if let Some(key) = key {
                    written.entry((*table, key)).or_default();
                }
            }
        }
    }
}

/// Whether a statement does not fit the schema (any more).
fn is_of_another_schema(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code().starts_with("42") || *code == SqlState::FEATURE_NOT_SUPPORTED)
}

/// A query on one line, not too long.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = crossfade_core::sql::cut(&line, 160);
    if cut.len() < line.len() { format!("{cut} …") } else { line }
}

/// Tries a query once, and takes back what it did. An error says why it can't be played.
pub async fn try_once(client: &Client, play: &Play) -> Result<(), String> {
    let said = |error: &tokio_postgres::Error| {
        error.as_db_error().map_or_else(|| describe(error), |said| said.message().to_owned())
    };
    let key = play.keys.first();
    let row = play.rows.first();
    let value = |supply: &Supply| match supply {
        Supply::Any(pool) | Supply::Once(pool) => pool.first().cloned().flatten(),
        Supply::Key(part) => key.and_then(|key| key.parts.get(*part).cloned()),
        Supply::Part(part) => row.and_then(|row| row.get(*part).cloned().flatten()),
    };
    let values: Vec<Option<String>> = play.supplies.iter().map(value).collect();
    let values: Vec<AsText<'_>> = values.iter().map(|value| AsText(value.as_deref())).collect();
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    client.batch_execute("BEGIN").await.map_err(|error| said(&error))?;
    let result = match client.prepare(play.sql.as_str()).await {
        Ok(statement) if statement.params().len() == values.len() => client.query(&statement, &values).await.map(drop),
        Ok(_) => return rolled_back(client, Err("its parameters are not understood".to_owned())).await,
        Err(error) => Err(error),
    };
    rolled_back(client, result.map_err(|error| said(&error))).await
}

async fn rolled_back(client: &Client, result: Result<(), String>) -> Result<(), String> {
    client.batch_execute("ROLLBACK").await.map_err(|error| describe(&error))?;
    result
}
