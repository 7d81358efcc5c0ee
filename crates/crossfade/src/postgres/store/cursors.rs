//! The durable place of a step that is done a chunk at a time.

use crossfade_core::backfill::Cursor;
use crossfade_core::journal::BackfillProgress;
use crossfade_core::sql;
use crossfade_core::step::StepId;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Store;
use super::lease_lost;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// What a cursor that is stored must find in its place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Follows<'a> {
    /// Anything: the chunk may be done twice.
    Any,
    /// This cursor, or none.
    Only(Option<&'a Cursor>),
}

impl Store {
    /// Stores a cursor in the transaction that is open, in the place of the one that it follows. Fails when the lease is lost, and where another
    /// cursor stands there: a connection that was given up may have committed its last chunk after all.
    pub async fn save_cursor(
        &self,
        client: &Client,
        epoch: i64,
        plan_id: i64,
        step: StepId,
        progress: &BackfillProgress,
        follows: &Follows<'_>,
    ) -> Result<()> {
        self.count_writes(1)?;
        let write = |cursor: &Cursor| {
            serde_json::to_string(cursor)
                .map_err(|error| Error::failed("could not write the cursor down").caused_by(error))
        };
        let json = write(&progress.cursor)?;
        let (any, before) = match follows {
            Follows::Any => (true, None),
            Follows::Only(before) => (false, before.map(write).transpose()?),
        };
        let upsert = sql!(
            "INSERT INTO {}.cursors AS c (plan_id, step, lane, cursor, rows, took_ms) SELECT $1, $2, $9, $3::text::jsonb, $4, $5 \
             FROM (SELECT epoch FROM {}.lease WHERE id = 1 AND epoch = $6 FOR SHARE) AS l \
             ON CONFLICT (plan_id, step, lane) DO UPDATE SET cursor = excluded.cursor, rows = excluded.rows, took_ms = excluded.took_ms, updated_at = clock_timestamp() \
             WHERE $7 OR c.cursor = $8::text::jsonb",
            self.schema,
            self.schema
        );
        let written = client
            .execute_typed(
                upsert.as_str(),
                &[
                    (&plan_id, Type::INT8),
                    (&i32::from(step.0), Type::INT4),
                    (&json, Type::TEXT),
                    (&(progress.rows as i64), Type::INT8),
                    (&(progress.took_ms as i64), Type::INT8),
                    (&epoch, Type::INT8),
                    (&any, Type::BOOL),
                    (&before, Type::TEXT),
                    (&progress.cursor.lane().number(), Type::INT8),
                ],
            )
            .await
            .doing("store the cursor")?;
        if written == 1 { Ok(()) } else { Err(lease_lost()) }
    }

    /// Forgets the cursors of a step: it begins anew.
    pub async fn clear_cursors(&self, client: &Client, epoch: i64, plan_id: i64, step: StepId) -> Result<()> {
        let delete = sql!(
            "DELETE FROM {}.cursors WHERE plan_id = $1 AND step = $2 AND EXISTS (SELECT FROM {}.lease WHERE id = 1 AND epoch = $3)",
            self.schema,
            self.schema
        );
        client
            .execute_typed(
                delete.as_str(),
                &[(&plan_id, Type::INT8), (&i32::from(step.0), Type::INT4), (&epoch, Type::INT8)],
            )
            .await
            .doing("reset the cursors")?;
        Ok(())
    }
}
