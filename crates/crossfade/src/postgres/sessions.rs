//! Who waits for whom: sessions that wait for a lock, where a table of a migration or a session of ours is part of it.

use std::collections::BTreeMap;

use crossfade_core::sql;
use crossfade_core::sql::TableName;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Doing as _;
use crate::error::Result;
use crate::report::LockWait;
use crate::report::SessionReport;

/// Who waits longest first, and no more than so many: to ask who blocks takes locks inside of the server, one session at a time.
const MOST: i64 = 50;

/// Who waits for a row holds its tuple meanwhile, which names the table. Since when it waits the server knows from 14 on; before that the statement's begin
/// is the best there is.
const QUERY: &str = "WITH t AS MATERIALIZED (SELECT pg_catalog.to_regclass(n)::oid AS oid FROM unnest($1::text[]) AS n), \
    l AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks), \
    w AS MATERIALIZED (SELECT l.pid, l.mode, coalesce(l.relation, (SELECT min(h.relation::bigint)::oid FROM l AS h WHERE h.pid = l.pid AND h.locktype = 'tuple')) AS relation, \
        extract(epoch FROM clock_timestamp() - coalesce((to_jsonb(l) ->> 'waitstart')::timestamptz, a.query_start))::float8 AS seconds \
      FROM l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid WHERE NOT l.granted AND a.datname = current_database() AND a.pid <> pg_catalog.pg_backend_pid() \
      ORDER BY seconds DESC NULLS LAST LIMIT $2), \
    b AS MATERIALIZED (SELECT w.*, pg_catalog.pg_blocking_pids(w.pid) AS blockers FROM w), \
    s AS MATERIALIZED (SELECT pid FROM pg_catalog.pg_stat_activity WHERE application_name LIKE 'crossfade%') \
    SELECT b.pid, b.mode, b.relation::regclass::text AS relation, coalesce(b.seconds, 0) AS seconds, b.blockers FROM b \
    WHERE b.relation IN (SELECT oid FROM t) OR b.pid IN (SELECT pid FROM s) OR b.blockers && (SELECT coalesce(array_agg(pid), '{}') FROM s) \
    ORDER BY seconds DESC, b.pid";

const SESSIONS: &str = "SELECT a.pid, coalesce(a.application_name, '') AS application, a.usename::text AS usename, pg_catalog.host(a.client_addr) AS address, a.state, \
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds, left(regexp_replace(a.query, '\\s+', ' ', 'g'), 200) AS query, \
    a.application_name LIKE 'crossfade%' AS ours FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = ANY ($1)";

/// Who waits now, the longest wait first.
pub(crate) async fn lock_waits(client: &Client, tables: &[TableName]) -> Result<Vec<LockWait>> {
    let doing = "look who waits for locks";
    let names: Vec<String> = tables.iter().map(|table| sql!("{}", table).as_str().to_owned()).collect();
    let rows = client.query_typed(QUERY, &[(&names, Type::TEXT_ARRAY), (&MOST, Type::INT8)]).await.doing(doing)?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut pids: Vec<i32> = rows.iter().map(|row| row.get("pid")).collect();
    pids.extend(rows.iter().flat_map(|row| row.get::<_, Vec<i32>>("blockers")));
    pids.sort_unstable();
    pids.dedup();
    let found = client.query_typed(SESSIONS, &[(&pids, Type::INT4_ARRAY)]).await.doing(doing)?;
    let sessions: BTreeMap<i32, SessionReport> = found.iter().map(|row| (row.get("pid"), session(row))).collect();
    let of = |pid: i32| sessions.get(&pid).cloned().unwrap_or_else(|| gone(pid));
    let waits = rows.iter().map(|row| {
        let mut blockers: Vec<i32> = row.get("blockers");
        blockers.sort_unstable();
        blockers.dedup();
        LockWait {
            waiter: of(row.get("pid")),
            mode: row.get("mode"),
            relation: row.get("relation"),
            seconds: row.get::<_, f64>("seconds").max(0.0),
            blockers: blockers.into_iter().map(of).collect(),
        }
    });
    Ok(waits.collect())
}

fn session(row: &Row) -> SessionReport {
    SessionReport {
        pid: row.get("pid"),
        application: row.get("application"),
        user: row.get("usename"),
        address: row.get("address"),
        state: row.get("state"),
        transaction_seconds: row.get("seconds"),
        query: row.get("query"),
        ours: row.get::<_, Option<bool>>("ours").unwrap_or_default(),
    }
}

/// One that has ended meanwhile; of a prepared transaction the server says 0.
fn gone(pid: i32) -> SessionReport {
    let state = if pid == 0 { "prepared transaction" } else { "ended meanwhile" };
    SessionReport {
        pid,
        application: String::new(),
        user: None,
        address: None,
        state: Some(state.to_owned()),
        transaction_seconds: None,
        query: None,
        ours: false,
    }
}
