//! What goes wrong while it works: a chunk is cancelled, its backend is ended, its table is rewritten.

use std::time::Duration;

use super::Case;
use super::kind::Layout;
use crate::scene::Running;
use crate::scene::terminate;
use crate::server::Database;

/// How often a chunk is cancelled in one run.
const CANCELLED: i64 = 3;

/// A chunk that is at work.
const CHUNK: &str = "EXPLAIN%UPDATE %";

/// What was done to a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hits {
    pub deaths: i64,
    pub cancelled: i64,
    pub terminated: i64,
    pub rewritten: i64,
}

impl Hits {
    pub fn add(&mut self, other: Hits) {
        self.deaths += other.deaths;
        self.cancelled += other.cancelled;
        self.terminated += other.terminated;
        self.rewritten += other.rewritten;
    }
}

/// Goes on until the command is over.
pub async fn rage(database: &Database, case: &Case, running: &mut Running, hits: &mut Hits) {
    let client = database.connect().await;
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
                  AND application_name LIKE 'crossfade worker%' AND state = 'active' AND query LIKE $1";
    let mut turn = 0_u32;
    while !running.is_over() {
        turn += 1;
        match turn % 4 {
            1 | 3 if hits.cancelled < CANCELLED => {
                hits.cancelled +=
                    client.query_one(cancel, &[&CHUNK]).await.expect("chunks can be cancelled").get::<_, i64>(0);
            }
            2 if hits.terminated < case.terminated => hits.terminated += terminate(database, CHUNK).await,
            0 if hits.rewritten < 2 && case.sabotage.is_none() => {
                // An index build waits for snapshots, and those for the rewrite: it gives way before the server has to choose a victim.
                rewrite(database, case.layout, "CLUSTER", "300ms", hits).await;
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
}

/// Rewrites a relation with rows, if it can be had in time.
pub async fn rewrite(database: &Database, layout: Layout, how: &str, in_time: &str, hits: &mut Hits) {
    let leaf = layout.leaf();
    let index = format!(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = '{leaf}'::regclass AND indisunique LIMIT 1"
    );
    let statement = match how {
        "CLUSTER" => format!("CLUSTER {leaf} USING {}", database.value(&index).await),
        other => format!("{other} {leaf}"),
    };
    let client = database.connect().await;
    client.batch_execute(&format!("SET lock_timeout = '{in_time}'")).await.expect("it is set");
    let file = format!("SELECT pg_relation_filenode('{leaf}')::text");
    let before = database.value(&file).await;
    match client.batch_execute(&statement).await {
        Ok(()) => {
            assert_ne!(before, database.value(&file).await, "{statement} left the file as it was");
            hits.rewritten += 1;
        }
        Err(error) => assert_eq!(error.code().map(|code| code.code()), Some("55P03"), "{}", crate::text_of(&error)),
    }
}
