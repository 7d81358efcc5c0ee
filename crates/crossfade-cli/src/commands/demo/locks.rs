//! Watches the locks on the table, from a connection of its own, by looking every 20 ms.
//!
//! What is shorter than that can stay unseen; the latency of the clients is measured without such gaps.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crossfade::Result;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::Error;

use super::could_not;
use super::stats::Stats;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// A client's statement that waits for a lock does so from its beginning, as good as: all are short.
const LONGEST_WAIT: &str = "
    SELECT coalesce(max(extract(epoch FROM clock_timestamp() - query_start)), 0)::float8
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'app-%' AND state = 'active'
        AND wait_event_type = 'Lock'";

/// By whom, by transaction. The server's own work, such as an autovacuum that gives way, is not ours to count.
const EXCLUSIVE_LOCKS: &str = "
    SELECT locks.virtualtransaction
    FROM pg_locks AS locks JOIN pg_stat_activity AS activity USING (pid)
    WHERE locks.locktype = 'relation' AND locks.relation = $1 AND locks.mode = 'AccessExclusiveLock' AND locks.granted
        AND activity.backend_type = 'client backend'";

/// The watcher. It ends when this is dropped.
#[derive(Debug)]
pub struct LockWatch {
    task: JoinHandle<()>,
}

impl LockWatch {
    /// Watches the locks on `users`.
    pub async fn start(client: Client, stats: Arc<Stats>) -> Result<LockWatch> {
        let row = client.query_one("SELECT 'users'::regclass::oid", &[]).await;
        let table: u32 = row.and_then(|row| row.try_get(0)).map_err(could_not("find the table users"))?;
        let task = tokio::spawn(async move {
            // It ends with the connection, and that with the demo.
            let _: std::result::Result<(), Error> = watch(&client, table, &stats).await;
        });
        Ok(LockWatch { task })
    }
}

impl Drop for LockWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(client: &Client, table: u32, stats: &Stats) -> std::result::Result<(), Error> {
    let longest_wait = client.prepare(LONGEST_WAIT).await?;
    let exclusive_locks = client.prepare(EXCLUSIVE_LOCKS).await?;
    let mut held: HashMap<String, Instant> = HashMap::new();
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let phase = stats.now();
        let wait: f64 = client.query_one(&longest_wait, &[]).await?.try_get(0)?;
        if wait > 0.0 {
            stats.saw_wait(phase, super::seconds(wait));
        }
        let now = Instant::now();
        let mut still_held = HashMap::new();
        for row in client.query(&exclusive_locks, &[&table]).await? {
            let transaction: String = row.try_get(0)?;
            let since = held.get(&transaction).copied().unwrap_or(now);
            // Seen once, it was held for one interval on average.
            stats.saw_exclusive_lock(phase, now - since + INTERVAL);
            still_held.insert(transaction, since);
        }
        held = still_held;
    }
}
