//! The lease: what makes us the only runner.
//!
//! A polled `pg_try_advisory_xact_lock` in a transaction of its own on its own connection. Never a blocking wait: a waiter holds a snapshot and
//! deadlocks with CREATE INDEX CONCURRENTLY. Never a session lock: behind a pooler it stays with the server's session. Beside it a row
//! with an epoch, which every journal entry and every chunk checks, so that a runner that was thought dead can't write any more.

use std::time::Duration;
use std::time::Instant;

use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Number;
use tokio_postgres::Client;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

use super::Target;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::report::Runner;
use crate::stop::Stop;

/// How often a waiting runner looks again.
const POLL: Duration = Duration::from_millis(100);

/// How long a runner that does not wait looks again all the same: the server needs a moment to see that a process is gone, and the command
/// before this one may have ended just now.
const GRACE: Duration = Duration::from_secs(2);

/// How often a waiting runner says that it still waits.
const REMIND: Duration = Duration::from_secs(1);

/// The prefix of every `application_name` of ours; the epoch follows.
pub(crate) const APPLICATION: &str = "crossfade";

/// The transaction of the lease is open for as long as a run takes. `transaction_timeout` is there from 17 on.
const UNLIMITED: &str = "SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings \
    WHERE name IN ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout')";

/// The right to be the only runner, until it is dropped.
#[derive(Debug)]
pub struct Lease {
    client: Client,
    /// Grows with each holder.
    pub epoch: i64,
    /// Whether a pooler in between gives its connections away between two transactions.
    pub(crate) shared: bool,
}

impl Lease {
    /// Whether the connection that holds it is still there.
    pub fn is_held(&self) -> bool {
        !self.client.is_closed()
    }

    /// No right at all: for reading.
    pub(crate) fn none(client: Client) -> Lease {
        Lease { client, epoch: 0, shared: false }
    }

    /// Gives it up, as far as its connection is still there.
    pub(crate) async fn release(&self) {
        if let Err(error) = self.client.batch_execute("ROLLBACK").await {
            tracing::debug!(%error, "the lease's connection is gone, and the lease with it");
        }
    }

    /// Takes the lease, or waits for it, or refuses with the name of the holder.
    pub(crate) async fn acquire(
        target: &Target,
        schema: &Ident,
        wait: bool,
        observer: &mut dyn Observer,
        stop: &Stop,
    ) -> Result<Lease> {
        let client = target.connect(APPLICATION).await?;
        let ask = sql!("SELECT pg_catalog.pg_try_advisory_xact_lock({})", Number(key(schema)));
        let mut told: Option<Instant> = None;
        let begun = Instant::now();
        loop {
            let doing = "open the transaction of the lease";
            client.batch_execute("BEGIN").await.doing(doing)?;
            client.simple_query(UNLIMITED).await.doing(doing)?;
            // By the simple protocol: a portal that stays open would hold a snapshot, and CREATE INDEX CONCURRENTLY waits for those.
            let answer = client.simple_query(ask.as_str()).await.doing("ask for the lease")?;
            let got = answer.iter().any(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0) == Some("t"),
                _ => false,
            });
            if got {
                break;
            }
            // Never kept open for the next try: a CREATE INDEX CONCURRENTLY that saw the snapshot of this one waits for the end of its whole
            // transaction, and that would be the end of the runner that builds (reference A4, the heartbeat trap).
            client.batch_execute("ROLLBACK").await.doing("ask for the lease")?;
            if begun.elapsed() < GRACE && !stop.is_requested() {
                stop.sleep(POLL).await;
                continue;
            }
            let holder = holder_text(target, schema).await;
            if !wait {
                return Err(Error::refused(format!("another runner is at work: {holder}"))
                    .hint("wait for it with `--wait`; `crossfade status` shows what it does"));
            }
            if told.is_none_or(|told| told.elapsed() >= REMIND) {
                observer.notice(Notice::LeaseHeld { holder, again: told.is_some() });
                told = Some(Instant::now());
            }
            stop.sleep(POLL).await;
            if stop.is_requested() {
                return Err(Error::failed("stopped while waiting for another runner; nothing was changed"));
            }
        }
        Ok(Lease { client, epoch: 0, shared: false })
    }

    /// Writes down that we hold it, and ends what a runner before us has left running: its backends may still be at work although the
    /// process is gone.
    pub(crate) async fn take_over(&mut self, client: &Client, schema: &Ident) -> Result<()> {
        let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
        let pid = std::process::id() as i32;
        let update = sql!(
            "INSERT INTO {}.lease AS l (id, epoch, host, pid, since) VALUES (1, 1, $1, $2, now()) ON CONFLICT (id) DO UPDATE SET epoch = l.epoch + 1, host = $1, pid = $2, since = now() RETURNING epoch",
            schema
        );
        let row = client
            .query_typed_one(update.as_str(), &[(&host, Type::TEXT), (&pid, Type::INT4)])
            .await
            .doing("write down who holds the lease")?;
        self.epoch = row.get(0);
        let mine = worker_name(schema, self.epoch);
        // One that is idle does no harm: what it may still be told to write is refused for its epoch. And behind a pooler it may be somebody else's by now.
        let orphans = "SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = current_database() \
                       AND usename = session_user AND pid <> pg_catalog.pg_backend_pid() AND application_name LIKE $1 AND application_name <> $2 AND state <> 'idle'";
        let like = format!("{}%", worker_prefix(schema));
        for _ in 0..100 {
            let left = client
                .query_typed(orphans, &[(&like, Type::TEXT), (&mine, Type::TEXT)])
                .await
                .doing("end what an earlier runner left at work")?;
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Error::failed("a backend of an earlier runner does not end")
            .hint("look at pg_stat_activity for application_name like 'crossfade%', end it with pg_terminate_backend(pid), and run again"))
    }
}

fn worker_prefix(schema: &Ident) -> String {
    format!("{APPLICATION} worker {} ", crossfade_core::sql::short_hash(schema.as_str()))
}

/// The `application_name` of the connections that do the work of this epoch.
pub(crate) fn worker_name(schema: &Ident, epoch: i64) -> String {
    format!("{}{epoch}", worker_prefix(schema))
}

/// The advisory lock's key: one for each journal schema.
fn key(schema: &Ident) -> i64 {
    let hash = crossfade_core::sql::short_hash(&format!("crossfade lease {schema}"));
    i64::from_str_radix(&hash, 16).unwrap_or(0x0063_726f_7373)
}

/// Who holds the lease, where that is written down and still true.
pub(crate) async fn current_runner(client: &Client, schema: &Ident) -> Result<Option<Runner>> {
    let held = "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
                AND (classid::int8 << 32) + objid::int8 = $1 AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))";
    let row = client.query_typed_one(held, &[(&key(schema), Type::INT8)]).await.doing("look who holds the lease")?;
    if !row.get::<_, bool>(0) {
        return Ok(None);
    }
    let query = sql!(
        "SELECT host, pid, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM {}.lease",
        schema
    );
    match client.query_typed_opt(query.as_str(), &[]).await {
        Ok(row) => Ok(row.map(|row| Runner { host: row.get(0), pid: row.get(1), since: row.get(2) })),
        Err(_) => Ok(None),
    }
}

/// The epoch of who holds the lease, or held it last.
pub(crate) async fn current_epoch(client: &Client, schema: &Ident) -> Result<Option<i64>> {
    let query = sql!("SELECT epoch FROM {}.lease WHERE id = 1", schema);
    let row = client.query_typed_opt(query.as_str(), &[]).await.doing("look who holds the lease")?;
    Ok(row.map(|row| row.get(0)))
}

async fn holder_text(target: &Target, schema: &Ident) -> String {
    let known = async {
        let client = target.connect(APPLICATION).await?;
        current_runner(&client, schema).await
    };
    match known.await {
        Ok(Some(runner)) => format!("process {} on {}, since {}", runner.pid, runner.host, runner.since),
        Ok(None) | Err(_) => "its name is not written down yet".to_owned(),
    }
}
