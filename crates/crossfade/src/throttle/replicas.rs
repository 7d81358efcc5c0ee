//! How far replicas are behind: in time, from where the WAL ended when, and in WAL.

use std::time::Duration;

use crossfade_core::throttle::Key;
use crossfade_core::throttle::Lsn;
use crossfade_core::throttle::LsnClock;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;

use super::look::NEEDS_PG_MONITOR;
use super::look::Seen;
use crate::error::Doing as _;
use crate::error::Result;

/// Where the WAL ended at which time.
#[derive(Debug, Default)]
pub(super) struct Memory {
    clock: LsnClock,
}

const END: &str = "SELECT pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::int8";

/// Standbys and receivers of WAL. Who decodes it has a slot, and is seen there; a backup is no replica. What a role may not see is NULL.
const QUERY: &str = "SELECT r.pid, coalesce(r.application_name, ''), r.state, \
    pg_catalog.pg_wal_lsn_diff(coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn, r.sent_lsn), '0/0')::int8, \
    extract(epoch FROM r.replay_lag)::float8 FROM pg_catalog.pg_stat_replication AS r \
    WHERE r.application_name IS DISTINCT FROM 'pg_basebackup' AND coalesce(r.state, '') NOT IN ('startup', 'backup', 'stopping') \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_replication_slots AS s WHERE s.active_pid = r.pid AND s.slot_type = 'logical') ORDER BY r.pid";

pub(super) async fn look(client: &Client, settings: &Settings, memory: &mut Memory, now: Duration) -> Result<Seen> {
    let doing = "look at the replicas";
    let end = client.query_typed_one(END, &[]).await.doing(doing)?.get::<_, i64>(0);
    let rows = client.query_typed(QUERY, &[]).await.doing(doing)?;
    let end = Lsn(end as u64);
    memory.clock.record(end, now);
    let mut seen = Seen::default();
    let names: Vec<String> = rows.iter().map(|row| row.get(1)).collect();
    let signals = [
        settings.replica_lag.map(|limit| (Signal::ReplicaLag, limit.as_secs_f64())),
        settings.replica_bytes.map(|limit| (Signal::ReplicaBytes, limit as f64)),
    ];
    for (row, name) in rows.iter().zip(&names) {
        if settings.ignored_replicas.contains(name) {
            continue;
        }
        let scope = match names.iter().filter(|other| *other == name).count() {
            1 => name.clone(),
            _ => format!("{name} of process {}", row.get::<_, i32>(0)),
        };
        for (signal, limit) in signals.iter().flatten() {
            seen.push(match (row.get::<_, Option<String>>(2), row.get::<_, Option<i64>>(3)) {
                (Some(_), Some(position)) => {
                    let lacks = end.0.saturating_sub(position as u64);
                    if *signal == Signal::ReplicaBytes {
                        let text = format!("replica {scope} lacks {} of WAL", signal.show(lacks as f64));
                        Reading::value(*signal, &scope, lacks as f64, *limit, text)
                    } else {
                        // What the server says is old where a replica is idle; where it is stuck, both grow.
                        let own = memory.clock.behind(Lsn(position as u64), now).as_secs_f64();
                        let told = row.get::<_, Option<f64>>(4).filter(|_| lacks > 0).unwrap_or_default();
                        let behind = own.max(told);
                        let text = format!("replica {scope} is {} behind", signal.show(behind));
                        Reading::value(*signal, &scope, behind, *limit, text)
                    }
                }
                _ => {
                    let why =
                        format!("replica {scope} is connected, but {NEEDS_PG_MONITOR}, or set {}=off", signal.name());
                    Reading::unmeasurable(*signal, &scope, why)
                }
            });
        }
    }
    if settings.is_said(Key::Replicas) {
        for name in settings.replicas.iter().filter(|name| !names.contains(name)) {
            for (signal, _) in signals.iter().flatten() {
                seen.push(Reading::unmeasurable(*signal, name, format!("replica {name} is not connected")));
            }
        }
    }
    Ok(seen)
}
