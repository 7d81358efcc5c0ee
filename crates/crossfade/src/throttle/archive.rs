//! WAL segments that wait for the archive.

use crossfade_core::throttle::Reading;
use crossfade_core::throttle::Settings;
use crossfade_core::throttle::Signal;
use crossfade_core::throttle::segments_behind;
use tokio_postgres::Client;

use super::look::Seen;
use crate::error::Doing as _;
use crate::error::Result;

/// The segment in which we began to look, for a server that has archived nothing since its statistics began.
#[derive(Debug, Default)]
pub(super) struct Memory {
    first: Option<String>,
}

const QUERY: &str = "SELECT current_setting('archive_mode') <> 'off', a.last_archived_wal, \
    pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), pg_catalog.pg_size_bytes(current_setting('wal_segment_size')), \
    coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) FROM pg_catalog.pg_stat_archiver AS a";

pub(super) async fn look(client: &Client, settings: &Settings, memory: &mut Memory) -> Result<Seen> {
    let mut seen = Seen::default();
    let Some(limit) = settings.archive else { return Ok(seen) };
    let row = client.query_typed_one(QUERY, &[]).await.doing("look at the archive")?;
    if !row.get::<_, bool>(0) {
        return Ok(seen);
    }
    let (archived, current): (Option<String>, String) = (row.get(1), row.get(2));
    let (segment, fails): (i64, bool) = (row.get(3), row.get(4));
    let segment = segment.unsigned_abs();
    let first = memory.first.get_or_insert_with(|| current.clone());
    let known = archived.as_deref().and_then(|name| segments_behind(name, &current, segment));
    // The last one may have been the history of a timeline, which has no place in the row.
    let waiting = known.or_else(|| segments_behind(first, &current, segment)).unwrap_or_default();
    let how = if fails { ", and archiving fails" } else { "" };
    let text = format!("{waiting} WAL segments wait for the archive{how}");
    seen.push(Reading::value(Signal::Archive, "", waiting as f64, limit as f64, text));
    Ok(seen)
}
