//! A migration with its whole record at once, in the transaction of its effect.

use std::time::Duration;

use crossfade_core::journal::Event;
use crossfade_core::journal::State;
use crossfade_core::sql;
use crossfade_core::step::Plan;
use tokio_postgres::Client;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::PlanFiles;
use super::Store;
use super::events;
use super::events::event_json;
use super::lease_lost;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// The statement that writes a migration down, prepared once for a run: planning it takes longer than running it.
#[derive(Clone)]
pub(crate) struct RecordDone(Statement);

impl std::fmt::Debug for RecordDone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordDone")
    }
}

/// Of what stands behind the columns that say who did it.
const TYPES: [Type; 10] = [
    Type::INT8,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT_ARRAY,
    Type::TEXT,
    Type::TEXT,
    Type::TEXT,
    Type::INT8,
];

impl Store {
    /// Prepares what [`Store::record_done`] runs.
    pub async fn prepare_done(&self, client: &Client) -> Result<RecordDone> {
        let statement = sql!(
            "WITH holder AS (\
               SELECT epoch FROM {}.lease WHERE id = 1 AND epoch = $8 FOR SHARE\
             ), stored AS (\
               INSERT INTO {}.plans (version, kind, plan, up_sql, down_sql) SELECT $9, 'up', $10::text::json, $11, $12 FROM holder RETURNING id\
             ), told AS (\
               INSERT INTO {}.events ({}, plan_id, event, epoch) SELECT {}, s.id, t.event::jsonb, h.epoch \
               FROM stored AS s, holder AS h, unnest($13::text[]) WITH ORDINALITY AS t (event, position) ORDER BY t.position\
             ) INSERT INTO {}.schema_migrations AS m (version, name, checksum, state, plan_id, applied_at, duration_ms, host, tool_version, git_commit) \
             SELECT $9, $14, $15, $16, s.id, clock_timestamp(), $17, $2, $3, $5 FROM stored AS s \
             ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum, state = excluded.state, plan_id = excluded.plan_id, \
               applied_at = excluded.applied_at, contracted_at = NULL, duration_ms = excluded.duration_ms, applied_by = session_user, host = excluded.host, \
               tool_version = excluded.tool_version, git_commit = excluded.git_commit, origin = 'crossfade', raw_checksum = NULL, missing_because = NULL",
            self.schema,
            self.schema,
            self.schema,
            events::columns(),
            events::values(),
            self.schema
        );
        let types: Vec<Type> = self.run.params().into_iter().map(|(_, kind)| kind).chain(TYPES).collect();
        client.prepare_typed(statement.as_str(), &types).await.doing("prepare to write the journal").map(RecordDone)
    }

    /// Writes down a migration that is applied: its plan, all its events and its row, in the transaction that is open. Fails when the lease is lost.
    #[expect(clippy::too_many_arguments, reason = "the parts of one record, each once")]
    pub async fn record_done(
        &self,
        client: &Client,
        prepared: &RecordDone,
        epoch: i64,
        plan: &Plan,
        files: &PlanFiles<'_>,
        events: &[Event],
        took: Duration,
    ) -> Result<()> {
        self.count_writes(events.len())?;
        let json = serde_json::to_string(plan)
            .map_err(|error| Error::failed("could not write the plan down").caused_by(error))?;
        let told: Vec<String> = events.iter().map(event_json).collect::<Result<_>>()?;
        let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let state = State::Applied.name();
        let run = self.run.params();
        let mut params: Vec<&(dyn ToSql + Sync)> = run.iter().map(|(value, _)| *value).collect();
        params.extend::<[&(dyn ToSql + Sync); 10]>([
            &epoch,
            &plan.version,
            &json,
            &files.up_sql,
            &files.down_sql,
            &told,
            &plan.name,
            &plan.checksum,
            &state,
            &took_ms,
        ]);
        let written = client.execute(&prepared.0, &params).await.doing("write the journal")?;
        if written == 1 { Ok(()) } else { Err(lease_lost()) }
    }
}
