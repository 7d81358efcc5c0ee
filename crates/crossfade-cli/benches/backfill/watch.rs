//! Looks at the server every 10 ms while Crossfade is at work: how old the transactions of its workers are, and how far the log is.
//!
//! What ends between two looks is seen by up to 10 ms too short. VACUUM is left out: what it calls a transaction holds no snapshot that others
//! wait for, and no lock that hinders a write.

use std::time::Duration;

use crossfade::Error;
use crossfade::Result;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::Row;

use crate::could_not;

const EVERY: Duration = Duration::from_millis(10);

/// The oldest transaction that works on rows, and the oldest ANALYZE.
const LOOK: &str = "SELECT extract(epoch FROM clock_timestamp())::float8, (pg_current_wal_insert_lsn() - '0/0')::int8, \
        max(age) FILTER (WHERE NOT analyzes), max(age) FILTER (WHERE analyzes), \
        (array_agg(query ORDER BY age DESC) FILTER (WHERE NOT analyzes))[1] \
    FROM (SELECT extract(epoch FROM clock_timestamp() - xact_start)::float8 * 1000 AS age, query ILIKE 'ANALYZE%' AS analyzes, \
            left(regexp_replace(query, '\\s+', ' ', 'g'), 160) AS query \
        FROM pg_stat_activity WHERE application_name LIKE 'crossfade worker%' AND xact_start IS NOT NULL AND query NOT ILIKE 'VACUUM%') AS workers";

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    looks: Vec<Look>,
    /// Of the longest transaction that was no ANALYZE, in milliseconds.
    pub longest_ms: f64,
    /// What it ran.
    pub longest_query: String,
    /// Of the longest ANALYZE, in milliseconds.
    pub analyze_ms: f64,
}

impl Seen {
    /// Bytes that were written to the log between two moments, in seconds of the server's clock.
    pub fn wal_between(&self, from: f64, to: f64) -> Option<f64> {
        let at = |moment: f64| self.looks.iter().find(|look| look.at >= moment).or(self.looks.last());
        Some((at(to)?.log - at(from)?.log) as f64)
    }

    /// The longest transaction between two moments, ANALYZE left out, in milliseconds.
    pub fn longest_between(&self, from: f64, to: f64) -> f64 {
        let within = self.looks.iter().filter(|look| look.at >= from && look.at <= to);
        within.filter_map(|look| look.oldest_ms).fold(0.0, f64::max)
    }

    /// The longest transaction, whatever it ran, in milliseconds.
    pub fn longest_of_all(&self) -> f64 {
        self.longest_ms.max(self.analyze_ms)
    }

    fn note(&mut self, row: &Row) -> Result<(), tokio_postgres::Error> {
        let (work, analyze): (Option<f64>, Option<f64>) = (row.try_get(2)?, row.try_get(3)?);
        self.looks.push(Look { at: row.try_get(0)?, log: row.try_get(1)?, oldest_ms: work });
        if let Some(work) = work.filter(|work| *work > self.longest_ms) {
            self.longest_ms = work;
            self.longest_query = row.try_get::<_, Option<String>>(4)?.unwrap_or_default();
        }
        self.analyze_ms = self.analyze_ms.max(analyze.unwrap_or_default());
        Ok(())
    }
}

/// What one look showed.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// In seconds of the server's clock.
    at: f64,
    /// How far the log was, in bytes.
    log: i64,
    /// How old the oldest transaction was that was no ANALYZE, in milliseconds.
    oldest_ms: Option<f64>,
}

/// The watcher while it looks.
#[derive(Debug)]
pub struct Watch {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Seen, tokio_postgres::Error>>,
}

impl Watch {
    /// Begins to look, on this connection.
    pub fn start(client: Client) -> Watch {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut seen = Seen::default();
            let look = client.prepare(LOOK).await?;
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let last = tokio::select! {
                    _ = ticks.tick() => false,
                    _ = &mut stopped => true,
                };
                seen.note(&client.query_one(&look, &[]).await?)?;
                if last {
                    return Ok(seen);
                }
            }
        });
        Watch { stop, task }
    }

    /// Looks once more, and tells.
    pub async fn stop(self) -> Result<Seen> {
        // Where it has ended already, its error says why.
        let _: Result<(), ()> = self.stop.send(());
        let ended = self.task.await.map_err(|error| Error::failed("the watcher ended").caused_by(error))?;
        ended.map_err(could_not("watch the server"))
    }
}
