//! Chunks of a key: where a sweep begins and ends, and where it is cut.
//!
//! Source: reference B2. The end is read once, before the first chunk, so that rows that come later are left alone.

use crossfade_core::backfill::Cursor;
use crossfade_core::backfill::ServoLimits;
use crossfade_core::step::Backfill;
use crossfade_core::step::BackfillUnit;
use crossfade_core::step::KeyCut;
use tokio_postgres::types::Type;

use super::Bound;
use super::Worker;
use crate::error::Doing as _;
use crate::error::Result;
use crate::postgres::store::finish;

/// Rows of the first chunk.
const FIRST_ROWS: u64 = 128;

/// The highest key of each relation; none for one that is empty, or is swept by blocks.
type Ends = Vec<Option<Vec<String>>>;

/// The servo's limits in rows.
pub(super) fn key_limits(blocks: ServoLimits) -> ServoLimits {
    ServoLimits { min_blocks: 16, max_blocks: 50_000, ..blocks }
}

/// A cursor at the beginning of a relation, or the stored one.
pub(super) fn begin_keys(position: usize, unit: &BackfillUnit, ends: &Ends, stored: Option<Cursor>) -> Cursor {
    match stored {
        Some(cursor) if cursor.unit as usize == position && cursor.keys.is_some() => cursor,
        _ => Cursor::start_of_keys(position as u32, ends.clone(), unit.estimated_rows, FIRST_ROWS),
    }
}

impl Worker<'_> {
    /// The ends of all relations, in one snapshot; those that a stored cursor began with, where there is one.
    pub(super) async fn ends_of(&self, backfill: &Backfill, stored: Option<&Cursor>) -> Result<Ends> {
        if let Some(place) = stored.and_then(|cursor| cursor.keys.as_ref()) {
            return Ok(place.ends.clone());
        }
        if backfill.units.iter().all(|unit| unit.keys.is_none()) {
            return Ok(Vec::new());
        }
        let client = self.client;
        let read = async {
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL DateStyle = ISO; SET LOCAL lock_timeout = '5s'";
            client.batch_execute(begin).await.doing("look for the highest keys")?;
            let mut ends = Vec::new();
            for unit in &backfill.units {
                let end = match &unit.keys {
                    Some(keys) => {
                        let doing = format!("look for the highest key of {}", unit.relation);
                        client.query_typed_opt(keys.end.as_str(), &[]).await.doing(&doing)?.map(|row| row.get(0))
                    }
                    None => None,
                };
                ends.push(end);
            }
            Ok(ends)
        };
        finish(client, read.await, "look for the highest keys").await
    }

    /// The last key of the chunk behind the cursor, of at most so many rows.
    pub(super) async fn cut(&self, keys: &KeyCut, at: &Cursor, rows: u64) -> Result<Vec<String>> {
        let end = at.end_key().cloned().unwrap_or_default();
        let after = at.keys.as_ref().and_then(|place| place.after.clone());
        Ok(self.cut_between(keys, after, end.clone(), rows).await?.unwrap_or(end))
    }

    pub(super) async fn cut_between(
        &self,
        keys: &KeyCut,
        after: Option<Vec<String>>,
        last: Vec<String>,
        rows: u64,
    ) -> Result<Option<Vec<String>>> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let bound = Bound::keys(after, last);
        let mut params = bound.params();
        params.push((&rows, Type::INT8));
        let row = self.client.query_typed_opt(keys.cut.as_str(), &params).await.doing("look for the end of a chunk")?;
        Ok(row.map(|row| row.get(0)))
    }
}
