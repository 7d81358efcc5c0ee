//! What goes on at the tables that are worked on: waiters for locks, autovacuum, dead rows.

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_core::sql;
use crossfade_core::sql::TableName;
use crossfade_core::throttle::Key;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use crossfade_core::units::show_duration;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::look::NEEDS_PG_MONITOR;
use super::look::Seen;
use super::look::is_ours;
use crate::error::Doing as _;
use crate::error::Result;

/// Since when an autovacuum is waited for, by its process.
#[derive(Debug, Default)]
pub(super) struct Memory {
    vacuums: BTreeMap<i32, Duration>,
}

pub(super) async fn look(
    client: &Client,
    settings: &Settings,
    tables: &[TableName],
    memory: &mut Memory,
    now: Duration,
) -> Result<Seen> {
    let names: Vec<String> = tables.iter().map(|table| sql!("{}", table).as_str().to_owned()).collect();
    let mut seen = Seen::default();
    if let Some(limit) = settings.waiters {
        let waiting = waiters(client, &names).await?;
        let text = format!("{waiting} sessions wait for locks on the table");
        seen.push(Reading::value(Signal::Waiters, "", waiting as f64, limit as f64, text));
    }
    if let Some(limit) = settings.autovacuum {
        autovacuum(client, &names, limit, settings.is_said(Key::Autovacuum), memory, now, &mut seen).await?;
    }
    if let Some(limit) = settings.dead_tuples {
        let query = "SELECT n::text, (pg_catalog.pg_stat_get_dead_tuples(to_regclass(n)) / (pg_catalog.pg_stat_get_live_tuples(to_regclass(n)) + 1.0))::float8 \
                     FROM unnest($1::text[]) AS n WHERE to_regclass(n) IS NOT NULL";
        let rows = client.query_typed(query, &[(&names, Type::TEXT_ARRAY)]).await.doing("look at dead rows")?;
        for row in rows {
            let (table, dead): (String, f64) = (row.get(0), row.get::<_, Option<f64>>(1).unwrap_or_default());
            let text = format!("{} of the rows of {table} are dead", Signal::DeadTuples.show(dead));
            seen.push(Reading::value(Signal::DeadTuples, &table, dead, limit, text));
        }
    }
    Ok(seen)
}

/// Sessions of others that wait for the table, or for a row of it: who waits for a row holds its tuple meanwhile. Those that have waited
/// for less than 100 ms are not counted, where the server knows since when they do.
async fn waiters(client: &Client, names: &[String]) -> Result<i64> {
    let query = sql!(
        "WITH t AS MATERIALIZED (SELECT to_regclass(n)::oid AS oid FROM unnest($1::text[]) AS n), l AS MATERIALIZED (SELECT * FROM pg_catalog.pg_locks) \
         SELECT count(DISTINCT l.pid) FROM l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid WHERE NOT l.granted AND NOT {} \
         AND (l.relation IN (SELECT oid FROM t) OR EXISTS (SELECT FROM l AS h WHERE h.pid = l.pid AND h.locktype = 'tuple' AND h.relation IN (SELECT oid FROM t))) \
         AND CASE WHEN to_jsonb(l) ? 'waitstart' THEN (to_jsonb(l) ->> 'waitstart')::timestamptz < clock_timestamp() - interval '100 ms' ELSE true END",
        is_ours()
    );
    let names = names.to_vec();
    let row = client
        .query_typed_one(query.as_str(), &[(&names, Type::TEXT_ARRAY)])
        .await
        .doing("look for sessions that wait for locks")?;
    Ok(row.get(0))
}

/// Each one is waited for so long, and no longer.
async fn autovacuum(
    client: &Client,
    names: &[String],
    limit: Duration,
    is_said: bool,
    memory: &mut Memory,
    now: Duration,
    seen: &mut Seen,
) -> Result<()> {
    let query = "SELECT v.pid, v.relid::regclass::text, v.relid IS NULL FROM pg_catalog.pg_stat_progress_vacuum AS v \
                 LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = v.pid WHERE v.datname = current_database() AND (v.relid IS NULL \
                 OR a.backend_type = 'autovacuum worker' AND v.relid IN (SELECT to_regclass(n)::oid FROM unnest($1::text[]) AS n))";
    let names = names.to_vec();
    let rows = client.query_typed(query, &[(&names, Type::TEXT_ARRAY)]).await.doing("look for autovacuums")?;
    if rows.iter().any(|row| row.get(2)) {
        seen.blind(Signal::Autovacuum, is_said, NEEDS_PG_MONITOR);
    }
    let at_work: Vec<(i32, String)> =
        rows.iter().filter(|row| !row.get::<_, bool>(2)).map(|row| (row.get(0), row.get(1))).collect();
    memory.vacuums.retain(|pid, _| at_work.iter().any(|(other, _)| other == pid));
    for (pid, table) in at_work {
        let since = *memory.vacuums.entry(pid).or_insert(now);
        let waits = now.saturating_sub(since) < limit;
        let text = format!("an autovacuum is at work on {table}; it is waited for {} at most", show_duration(limit));
        seen.push(Reading::condition(Signal::Autovacuum, &table, waits, text));
    }
    Ok(())
}
