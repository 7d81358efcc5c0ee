//! One run of one way on a fresh table.

use std::time::Duration;
use std::time::Instant;

use crossfade::Error;
use crossfade::Result;
use tokio_postgres::Client;

use crate::binary;
use crate::change::Change;
use crate::server::Server;
use crate::server::one;
use crate::server::run;
use crate::watch::Seen;
use crate::watch::Watch;
use crate::way;
use crate::way::Way;

const SIZE: &str = "SELECT pg_total_relation_size('users')::float8";
const LOG: &str = "SELECT (pg_current_wal_insert_lsn() - '0/0')::float8";
const HOT: &str =
    "SELECT n_tup_hot_upd::float8 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relname = 'users'";

/// A backend tells its counters at most once a second, and when it ends.
const COUNTERS: Duration = Duration::from_millis(1200);

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The way.
    pub way: Way,
    /// Seconds until every row was filled. For Crossfade the fill alone, for the others the whole of psql.
    pub fill: f64,
    /// Seconds of the whole command.
    pub command: f64,
    /// Bytes of the log for the fill.
    pub wal: f64,
    /// Bytes of the log for the whole command.
    pub wal_command: f64,
    /// Size of table and indexes afterwards, by the size before.
    pub growth: f64,
    /// Share of the row versions that needed no index entry.
    pub hot: f64,
    /// What Crossfade's own run showed.
    pub own: Option<Own>,
    /// It was ended before it was through: the share of rows that were filled by then.
    pub cut_at: Option<f64>,
}

/// What is known of a run of Crossfade only.
#[derive(Clone, Debug)]
pub struct Own {
    /// Seconds of the step that fills, with statistics and VACUUM.
    pub step: f64,
    /// Its transactions.
    pub seen: Seen,
    /// The longest of them while it filled, in milliseconds.
    pub longest_chunk_ms: f64,
    /// The most memory of the process, in kilobytes.
    pub peak_kb: u64,
}

struct Times {
    fill: f64,
    command: f64,
    wal: f64,
    wal_command: f64,
    own: Option<Own>,
    cut: bool,
}

/// Goes one way on a table with so many rows; with a limit it is ended after so many seconds.
pub async fn measure(server: &Server, rows: u64, change: &Change, way: Way, limit: Option<f64>) -> Result<Measured> {
    let client = server.fresh(rows).await?;
    let before: f64 = one(&client, SIZE).await?;
    let times = match way {
        Way::Single => by_hand(server, &client, change, change.fill(""), limit).await?,
        Way::KeyBatches => by_hand(server, &client, change, way::key_batches(change), limit).await?,
        Way::NullBatches => by_hand(server, &client, change, way::null_batches(change), limit).await?,
        Way::Crossfade { workers } => by_crossfade(server, &client, change, workers).await?,
    };
    let after: f64 = one(&client, SIZE).await?;
    let cut_at = if times.cut {
        let filled: i64 = one(&client, &format!("SELECT count({}) FROM users", change.column)).await?;
        Some(filled as f64 / rows as f64)
    } else {
        all_right(&client, change, &way.title()).await?;
        None
    };
    tokio::time::sleep(COUNTERS).await;
    let hot = one(&client, HOT).await?;
    let Times { fill, command, wal, wal_command, own, cut: _ } = times;
    Ok(Measured { way, fill, command, wal, wal_command, growth: after / before, hot, own, cut_at })
}

/// The column is added before the clock starts.
async fn by_hand(server: &Server, client: &Client, change: &Change, sql: String, limit: Option<f64>) -> Result<Times> {
    run(client, &change.add()).await?;
    let log: f64 = one(client, LOG).await?;
    let begun = Instant::now();
    let done = server.psql(sql, limit.map(|seconds| (seconds * 1000.0) as u128)).await?;
    let took = begun.elapsed().as_secs_f64();
    let wal = one::<f64>(client, LOG).await? - log;
    Ok(Times { fill: took, command: took, wal, wal_command: wal, own: None, cut: done.is_none() })
}

async fn by_crossfade(server: &Server, client: &Client, change: &Change, workers: u32) -> Result<Times> {
    let watch = Watch::start(server.client(crate::server::DATABASE).await?);
    let log: f64 = one(client, LOG).await?;
    let arguments = ["--workers".to_owned(), workers.to_string()];
    let ran = binary::migrate(&server.url(), change, "[backfill]\nduty = 1.0\n", &arguments).await?;
    let wal_command = one::<f64>(client, LOG).await? - log;
    let seen = watch.stop().await?;
    let fill = binary::fill(client).await?;
    let wal = seen.wal_between(fill.began, fill.filled);
    let wal = wal.ok_or_else(|| Error::failed("the watcher saw nothing of the run"))?;
    let longest_chunk_ms = seen.longest_between(fill.began, fill.filled);
    let own = Own { step: fill.ended - fill.began, seen, longest_chunk_ms, peak_kb: ran.peak_kb };
    let (fill, command) = (fill.filled - fill.began, ran.took.as_secs_f64());
    Ok(Times { fill, command, wal, wal_command, own: Some(own), cut: false })
}

/// A fast way that leaves rows unfilled is none.
pub async fn all_right(client: &Client, change: &Change, way: &str) -> Result<()> {
    match one::<i64>(client, &change.wrong()).await? {
        0 => Ok(()),
        wrong => Err(Error::failed(format!("{way} left {wrong} rows with a wrong {}", change.column))),
    }
}
