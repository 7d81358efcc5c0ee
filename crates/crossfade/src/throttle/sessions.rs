//! What other sessions do: how many are at work, and how old the oldest snapshot is.

use crossfade_core::sql;
use crossfade_core::throttle::Key;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;

use super::look::NEEDS_PG_MONITOR;
use super::look::Seen;
use super::look::is_ours;
use crate::error::Doing as _;
use crate::error::Result;

const NONE_HELD: &str = "nobody holds a snapshot";

pub(super) async fn look(client: &Client, settings: &Settings) -> Result<Seen> {
    let mut seen = Seen::default();
    if let Some(limit) = settings.active {
        active(client, limit, settings.is_said(Key::Active), &mut seen).await?;
    }
    if settings.xmin_age.is_some() || settings.xmin_xids.is_some() {
        snapshots(client, settings, &mut seen).await?;
    }
    Ok(seen)
}

/// What a role may not see has no state.
async fn active(client: &Client, limit: u64, is_said: bool, seen: &mut Seen) -> Result<()> {
    let query = sql!(
        "SELECT count(*) FILTER (WHERE a.state = 'active' AND coalesce(a.wait_event_type, '') NOT IN ('Client', 'Activity')), \
         count(*) FILTER (WHERE a.state IS NULL AND a.usesysid IS NOT NULL AND a.backend_type IS NULL) \
         FROM pg_catalog.pg_stat_activity AS a WHERE NOT {}",
        is_ours()
    );
    let row = client.query_typed_one(query.as_str(), &[]).await.doing("look at the sessions")?;
    let (active, hidden): (i64, i64) = (row.get(0), row.get(1));
    if hidden > 0 {
        seen.blind(Signal::Active, is_said, NEEDS_PG_MONITOR);
    } else {
        let text = format!("{active} sessions are at work");
        seen.push(Reading::value(Signal::Active, "", active as f64, limit as f64, text));
    }
    Ok(())
}

/// A VACUUM's own snapshot holds nothing back. Of another database only what a standby or a slot asks for does.
async fn snapshots(client: &Client, settings: &Settings, seen: &mut Seen) -> Result<()> {
    let query = sql!(
        "SELECT h.who, h.xids::float8, h.seconds, h.hidden FROM ( \
           SELECT format('pid %s (%s)', a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type)) AS who, \
             greatest(age(a.backend_xmin), age(a.backend_xid)) AS xids, extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds, \
             a.xact_start IS NULL AND a.backend_type IS NULL AS hidden \
           FROM pg_catalog.pg_stat_activity AS a WHERE (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL) AND NOT {} \
             AND (a.datname = current_database() OR a.backend_type = 'walsender') AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_vacuum AS v WHERE v.pid = a.pid) \
           UNION ALL SELECT format('prepared transaction %s', p.gid), age(p.transaction), extract(epoch FROM clock_timestamp() - p.prepared)::float8, false \
           FROM pg_catalog.pg_prepared_xacts AS p WHERE p.database = current_database() \
           UNION ALL SELECT format('slot %s', s.slot_name), age(s.xmin), NULL, false FROM pg_catalog.pg_replication_slots AS s WHERE s.xmin IS NOT NULL \
         ) AS h",
        is_ours()
    );
    let rows = client.query_typed(query.as_str(), &[]).await.doing("look for old snapshots")?;
    let worst = |column: &str| {
        let values = rows.iter().filter_map(|row| {
            let value: Option<f64> = row.get(column);
            Some((row.get::<_, String>("who"), value?))
        });
        values.max_by(|(_, a), (_, b)| a.total_cmp(b))
    };
    if let Some(limit) = settings.xmin_age {
        if rows.iter().any(|row| row.get("hidden")) && settings.is_said(Key::XminAge) {
            seen.push(Reading::unmeasurable(Signal::XminAge, "", NEEDS_PG_MONITOR));
        } else {
            if rows.iter().any(|row| row.get("hidden")) {
                seen.blind(Signal::XminAge, false, NEEDS_PG_MONITOR);
            }
            let (seconds, text) = match worst("seconds") {
                Some((who, seconds)) => {
                    (seconds, format!("{who} holds a snapshot since {}", Signal::XminAge.show(seconds)))
                }
                None => (0.0, NONE_HELD.to_owned()),
            };
            seen.push(Reading::value(Signal::XminAge, "", seconds, limit.as_secs_f64(), text));
        }
    }
    if let Some(limit) = settings.xmin_xids {
        let (xids, text) = match worst("xids") {
            Some((who, xids)) => (xids, format!("{who} holds a snapshot that is {xids} transactions old")),
            None => (0.0, NONE_HELD.to_owned()),
        };
        seen.push(Reading::value(Signal::XminXids, "", xids, limit as f64, text));
    }
    Ok(())
}
