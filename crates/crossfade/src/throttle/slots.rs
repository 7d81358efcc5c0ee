//! WAL that replication slots retain.

use crossfade_core::throttle::Key;
use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;

use super::look::Seen;
use crate::error::Doing as _;
use crate::error::Result;

/// A slot that is lost retains nothing any more.
const QUERY: &str = "SELECT s.slot_name::text, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn)::float8, s.active, \
    pg_catalog.pg_size_bytes(current_setting('max_slot_wal_keep_size'))::float8 \
    FROM pg_catalog.pg_replication_slots AS s WHERE s.restart_lsn IS NOT NULL AND s.wal_status IS DISTINCT FROM 'lost' AND NOT s.temporary";

/// Of the size at which the server gives a slot up, the default limit leaves so much.
const SHARE_OF_KEPT: f64 = 0.25;

pub(super) async fn look(client: &Client, settings: &Settings) -> Result<Seen> {
    let mut seen = Seen::default();
    let Some(limit) = settings.slots else { return Ok(seen) };
    for row in client.query_typed(QUERY, &[]).await.doing("look at the replication slots")? {
        let (name, retained): (String, f64) = (row.get(0), row.get(1));
        let (active, kept): (bool, f64) = (row.get(2), row.get(3));
        let mut limit = limit as f64;
        if kept > 0.0 && !settings.is_said(Key::Slots) {
            limit = limit.min(kept * SHARE_OF_KEPT);
        }
        let who = if active { "" } else { ", which nobody reads," };
        let text = format!("slot {name}{who} retains {} of WAL", Signal::Slots.show(retained));
        seen.push(Reading::value(Signal::Slots, &name, retained, limit, text));
    }
    Ok(seen)
}
