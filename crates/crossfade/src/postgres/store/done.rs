//! A migration with its whole record at once, in the transaction of its effect.

use std::time::Duration;

use crossfade_core::journal::Event;
use crossfade_core::journal::State;
use crossfade_core::sql;
use crossfade_core::step::Plan;
use tokio_postgres::Client;
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

impl Store {
    /// Writes down a migration that is applied: its plan, all its events and its row, in the transaction that is open. Fails when the lease is lost.
    pub async fn record_done(
        &self,
        client: &Client,
        epoch: i64,
        plan: &Plan,
        files: &PlanFiles<'_>,
        events: &[Event],
        took: Duration,
    ) -> Result<()> {
        let doing = "write the journal";
        self.count_writes(events.len())?;
        let json = serde_json::to_string(plan)
            .map_err(|error| Error::failed("could not write the plan down").caused_by(error))?;
        let told: Vec<String> = events.iter().map(event_json).collect::<Result<_>>()?;
        let took_ms = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
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
        let state = State::Applied.name();
        let mut params = self.run.params().to_vec();
        params.extend::<[(&(dyn ToSql + Sync), Type); 10]>([
            (&epoch, Type::INT8),
            (&plan.version, Type::TEXT),
            (&json, Type::TEXT),
            (&files.up_sql, Type::TEXT),
            (&files.down_sql, Type::TEXT),
            (&told, Type::TEXT_ARRAY),
            (&plan.name, Type::TEXT),
            (&plan.checksum, Type::TEXT),
            (&state, Type::TEXT),
            (&took_ms, Type::INT8),
        ]);
        let written = client.execute_typed(statement.as_str(), &params).await.doing(doing)?;
        if written == 1 { Ok(()) } else { Err(lease_lost()) }
    }
}
