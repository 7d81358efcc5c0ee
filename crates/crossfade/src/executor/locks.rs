//! Look before you queue: who is in the way of a lock, asked before the lock is.
//!
//! A waiting ALTER TABLE blocks every reader behind it, so the harm is the time spent waiting. Source: reference B5.

use std::time::Duration;

use crossfade_core::lock::LockMode;
use crossfade_core::lock::TableLock;
use crossfade_core::sql;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Doing as _;
use crate::error::Result;

/// Somebody who holds a lock that conflicts with ours.
#[derive(Clone, Debug)]
pub(crate) struct Blocker {
    /// One line for people.
    pub text: String,
    /// How long its transaction has been open.
    pub age: Duration,
    /// Whether it is an autovacuum that yields when it is asked.
    pub yielding_vacuum: bool,
}

const QUERY: &str = "SELECT coalesce(l.pid, 0), coalesce(a.application_name, ''), coalesce(a.state, 'prepared transaction'), \
    coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 1e6)::float8, coalesce(left(regexp_replace(a.query, '\\s+', ' ', 'g'), 120), ''), \
    coalesce(a.backend_type, ''), coalesce(to_char(a.xact_start, 'HH24:MI:SS'), '?'), l.mode \
    FROM pg_catalog.pg_locks AS l LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid \
    WHERE l.locktype = 'relation' AND l.granted AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) \
    AND l.relation = pg_catalog.to_regclass($1) AND l.mode = ANY (string_to_array($2, ',')) AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()";

/// Who holds locks that conflict with these.
pub(crate) async fn blockers(client: &Client, locks: &[TableLock]) -> Result<Vec<Blocker>> {
    let mut found = Vec::new();
    for lock in locks {
        let table = sql!("{}", lock.table);
        let conflicting: Vec<&str> = LockMode::ALL
            .into_iter()
            .filter(|mode| lock.mode.conflicts_with(*mode))
            .map(LockMode::pg_locks_name)
            .collect();
        let rows = client
            .query_typed(QUERY, &[(&table.as_str(), Type::TEXT), (&conflicting.join(","), Type::TEXT)])
            .await
            .doing("look for holders of locks")?;
        for row in rows {
            let (pid, application, state): (i32, String, String) = (row.get(0), row.get(1), row.get(2));
            let (age, query, kind): (f64, String, String) = (row.get(3), row.get(4), row.get(5));
            let (since, mode): (String, String) = (row.get(6), row.get(7));
            let yielding_vacuum = kind == "autovacuum worker" && !query.contains("to prevent wraparound");
            let who = if application.is_empty() { kind } else { application };
            found.push(Blocker {
                text: format!("pid {pid} ({who}, {state}, since {since}) holds {mode} on {}: {query}", lock.table),
                age: Duration::from_secs_f64(age.clamp(0.0, 1e7)),
                yielding_vacuum,
            });
        }
    }
    Ok(found)
}
