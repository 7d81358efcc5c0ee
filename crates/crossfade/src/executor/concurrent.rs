//! Statements that can't run in a transaction: look, act, look again.
//!
//! They do not run under a short `lock_timeout`: it would cancel them while they wait for old snapshots of other tables, and leave an
//! invalid index that still rejects duplicates (reference, findings 5 and 6).

use std::time::Duration;
use std::time::Instant;

use crossfade_core::sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::Concurrently;
use crossfade_core::step::Probe;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Done;
use super::Executor;
use super::connect_worker;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;

/// What became of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IndexState {
    Gone,
    Invalid,
    Valid,
}

/// Whether a table is a partition of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PartitionState {
    Attached,
    HalfDetached,
    Detached,
}

/// How often a build is tried that something passing has stopped.
const TRIES: u32 = 5;

/// How often it is looked who a build waits for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Executor<'_> {
    pub(super) async fn concurrently(&mut self, action: &Concurrently) -> Result<Done> {
        let client = connect_worker(self.target, &self.store.schema, self.lease).await?;
        let mut tries = 0;
        loop {
            match self.look(action).await? {
                true => return Ok(Done::Unrecorded),
                false => tries += 1,
            }
            match self.run_and_watch(&client, action).await {
                Ok(()) if action.probe == Probe::Repeatable => return Ok(Done::Unrecorded),
                Ok(()) => {}
                Err(error) => {
                    // An invalid unique index rejects duplicates and every invalid one costs writes: it does not stay.
                    if let Probe::IndexIsValid { index, table, .. } = &action.probe
                        && !client.is_closed()
                        && index_state(&client, index, table).await? == IndexState::Invalid
                    {
                        drop_index(&client, index).await?;
                    }
                    let passing =
                        error.sql_state().is_some_and(|state| matches!(state.as_str(), "40P01" | "55P03" | "40001"));
                    if !passing || tries >= TRIES || self.stop.is_requested() {
                        return Err(error);
                    }
                    self.observer.notice(Notice::Retrying { reason: error.chain() });
                    self.stop.sleep(Duration::from_millis(500 * u64::from(tries))).await;
                }
            }
            if tries > TRIES {
                return Err(Error::failed(format!("`{}` has no effect", action.run))
                    .hint("run it by hand and look what the server says"));
            }
        }
    }

    /// Whether the effect is there. What an earlier try left half done is cleared away.
    async fn look(&mut self, action: &Concurrently) -> Result<bool> {
        match &action.probe {
            Probe::IndexIsValid { index, table, .. } => match index_state(&self.client, index, table).await? {
                IndexState::Valid => Ok(true),
                IndexState::Gone => Ok(false),
                IndexState::Invalid => {
                    self.wait_for_other_builder(index).await?;
                    if index_state(&self.client, index, table).await? == IndexState::Valid {
                        return Ok(true);
                    }
                    self.observer
                        .notice(Notice::Info { text: format!("dropping the invalid left-over index {index}") });
                    drop_index(&self.client, index).await?;
                    Ok(false)
                }
            },
            Probe::IndexIsGone { index } => {
                let row = self
                    .client
                    .query_typed_one(
                        "SELECT pg_catalog.to_regclass($1) IS NULL",
                        &[(&sql!("{}", index).as_str(), Type::TEXT)],
                    )
                    .await
                    .doing("look for the index")?;
                Ok(row.get(0))
            }
            Probe::PartitionIs { parent, partition, attached, finalize } => {
                let mut state = partition_state(&self.client, parent, partition).await?;
                if state == PartitionState::HalfDetached {
                    self.observer.notice(Notice::Info { text: format!("ending the detachment of {partition}") });
                    self.client.batch_execute(finalize.as_str()).await.doing(&format!("detach {partition}"))?;
                    state = PartitionState::Detached;
                }
                Ok((state == PartitionState::Attached) == *attached)
            }
            Probe::Repeatable => Ok(false),
        }
    }

    /// Somebody else may be building it by hand right now.
    async fn wait_for_other_builder(&mut self, index: &TableName) -> Result<()> {
        let query =
            "SELECT pid FROM pg_catalog.pg_stat_progress_create_index WHERE index_relid = pg_catalog.to_regclass($1)";
        loop {
            let name = sql!("{}", index);
            let row = self
                .client
                .query_typed_opt(query, &[(&name.as_str(), Type::TEXT)])
                .await
                .doing("look for a running build")?;
            let Some(row) = row else { return Ok(()) };
            let pid: i32 = row.get(0);
            self.observer.notice(Notice::Info { text: format!("pid {pid} is building {index}; waiting for it") });
            self.stop.sleep(Duration::from_secs(1)).await;
            if self.stop.is_requested() {
                return Err(
                    Error::failed("stopped while waiting for another build").hint("run the command again to go on")
                );
            }
        }
    }

    /// Runs the statement; a request to stop cancels it.
    async fn run_and_watch(&mut self, client: &Client, action: &Concurrently) -> Result<()> {
        let pid: i32 = client
            .query_typed_one("SELECT pg_catalog.pg_backend_pid()", &[])
            .await
            .doing("look at the session")?
            .get(0);
        let doing = format!("run `{}`", action.run);
        let (mut looked, mut looks) = (Instant::now(), 0);
        let run = client.batch_execute(action.run.as_str());
        tokio::pin!(run);
        loop {
            tokio::select! {
                result = &mut run => {
                    return match result {
                        Ok(()) => Ok(()),
                        Err(error) if self.stop.is_requested() && error.code().is_some_and(|code| code.code() == "57014") => {
                            Err(Error::failed("stopped; the index that was being built is dropped").hint("run the command again to go on"))
                        }
                        Err(error) => Err(error).doing(&doing),
                    };
                }
                () = self.stop.sleep(Duration::from_millis(300)) => {
                    if self.stop.is_requested() {
                        self.client.query_typed("SELECT pg_catalog.pg_cancel_backend($1)", &[(&pid, Type::INT4)]).await.doing("cancel the build")?;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    } else if looked.elapsed() >= LOOK_EVERY {
                        looked = Instant::now();
                        let blockers = waits_for(&self.client, pid).await?;
                        if !blockers.is_empty() {
                            looks += 1;
                            self.observer.notice(Notice::Blocked { summary: action.run.to_string(), attempt: looks, blockers });
                        }
                    }
                }
            }
        }
    }
}

/// Who a build waits for: transactions that were there before it, one line each. They hold no lock that conflicts with ours, and are waited for all the same.
async fn waits_for(client: &Client, pid: i32) -> Result<Vec<String>> {
    let query = "SELECT format('pid %s (%s, %s, since %s) is waited for: %s', a.pid, coalesce(nullif(a.application_name, ''), a.backend_type), \
                 coalesce(a.state, '?'), coalesce(to_char(a.xact_start, 'HH24:MI:SS'), '?'), coalesce(left(regexp_replace(a.query, '\\s+', ' ', 'g'), 120), '')) \
                 FROM unnest(pg_catalog.pg_blocking_pids($1)) AS b(pid) JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid ORDER BY a.pid";
    let rows = client.query_typed(query, &[(&pid, Type::INT4)]).await.doing("look who a build waits for")?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn index_state(client: &Client, index: &TableName, table: &TableName) -> Result<IndexState> {
    let query = "SELECT i.indisvalid AND i.indisready AND i.indislive, i.indrelid = pg_catalog.to_regclass($2) FROM pg_catalog.pg_index AS i WHERE i.indexrelid = pg_catalog.to_regclass($1)";
    let (index_sql, table_sql) = (sql!("{}", index), sql!("{}", table));
    let row = client
        .query_typed_opt(query, &[(&index_sql.as_str(), Type::TEXT), (&table_sql.as_str(), Type::TEXT)])
        .await
        .doing("look for the index")?;
    match row {
        None => Ok(IndexState::Gone),
        Some(row) if !row.get::<_, bool>(1) => {
            Err(Error::failed(format!("there is another index {index}, and it is not on {table}"))
                .hint("rename one of them; nothing was changed"))
        }
        Some(row) => Ok(if row.get(0) { IndexState::Valid } else { IndexState::Invalid }),
    }
}

/// `inhdetachpending` came with PostgreSQL 14, as did what sets it.
async fn partition_state(client: &Client, parent: &TableName, partition: &TableName) -> Result<PartitionState> {
    let query = "SELECT coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::bool, false) FROM pg_catalog.pg_inherits AS i \
                 WHERE i.inhparent = pg_catalog.to_regclass($1) AND i.inhrelid = pg_catalog.to_regclass($2)";
    let (parent, partition) = (sql!("{}", parent), sql!("{}", partition));
    let row = client
        .query_typed_opt(query, &[(&parent.as_str(), Type::TEXT), (&partition.as_str(), Type::TEXT)])
        .await
        .doing("look for the partition")?;
    Ok(match row.map(|row| row.get::<_, bool>(0)) {
        None => PartitionState::Detached,
        Some(true) => PartitionState::HalfDetached,
        Some(false) => PartitionState::Attached,
    })
}

async fn drop_index(client: &Client, index: &TableName) -> Result<()> {
    let drop = sql!("DROP INDEX CONCURRENTLY IF EXISTS {}", index);
    client.batch_execute(drop.as_str()).await.doing(&format!("drop the invalid index {index}"))
}
