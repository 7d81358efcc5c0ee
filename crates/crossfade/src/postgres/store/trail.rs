//! The events of the journal with who wrote them, for people.

use std::collections::BTreeMap;

use crossfade_core::journal::Event;
use crossfade_core::sql;
use crossfade_core::step::Plan;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::Store;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// From when on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Since<'a> {
    /// A point in time as PostgreSQL reads it.
    pub time: Option<&'a str>,
    /// So many seconds ago.
    pub ago: Option<f64>,
    /// Only so many, the newest.
    pub newest: Option<i64>,
}

/// An event with all that stands beside it.
#[derive(Clone, Debug)]
pub(crate) struct TrailEvent {
    pub plan_id: i64,
    pub event: Event,
    /// In UTC.
    pub at: String,
    pub actor: String,
    pub host: Option<String>,
    pub tool_version: String,
    pub run_id: Option<String>,
    pub git_commit: Option<String>,
    pub git_dirty: Option<bool>,
    pub ci_url: Option<String>,
    pub db_user: Option<String>,
}

impl Store {
    /// The events of these versions, or all, in order.
    pub async fn trail(
        &self,
        client: &Client,
        versions: Option<&[String]>,
        since: Since<'_>,
    ) -> Result<Vec<TrailEvent>> {
        // What an earlier version's table lacks is found in the row beside it.
        let query = sql!(
            "SELECT e.* FROM (VALUES (NULL::uuid, NULL::text, NULL::boolean, NULL::text, NULL::text)) AS lacking (run_id, git_commit, git_dirty, ci_url, db_user), \
             LATERAL (SELECT plan_id, event::text, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS said, actor, host, tool_version, run_id::text, \
               git_commit, git_dirty, ci_url, db_user, id FROM {}.events \
               WHERE ($1::text[] IS NULL OR plan_id IN (SELECT p.id FROM {}.plans AS p WHERE p.version = ANY ($1))) \
               AND ($2::text IS NULL OR at >= $2::timestamptz) AND ($3::float8 IS NULL OR at >= now() - make_interval(secs => $3)) ORDER BY id DESC LIMIT $4) AS e ORDER BY e.id",
            self.schema,
            self.schema
        );
        let rows = client
            .query_typed(
                query.as_str(),
                &[
                    (&versions, Type::TEXT_ARRAY),
                    (&since.time, Type::TEXT),
                    (&since.ago, Type::FLOAT8),
                    (&since.newest, Type::INT8),
                ],
            )
            .await
            .doing("read the history")?;
        rows.iter().map(trail_event).collect()
    }

    /// The versions of all plans that were ever stored.
    pub async fn planned_versions(&self, client: &Client) -> Result<Vec<String>> {
        let query = sql!("SELECT DISTINCT version FROM {}.plans", self.schema);
        let rows = client.query_typed(query.as_str(), &[]).await.doing("read the plans")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// The newest plans that have a step which took at least a second.
    pub async fn slow_plans(&self, client: &Client, limit: i64) -> Result<Vec<i64>> {
        let query = sql!(
            "SELECT plan_id FROM {}.events WHERE event ->> 'event' = 'step_succeeded' AND (event ->> 'took_ms')::numeric >= 1000 \
             GROUP BY plan_id ORDER BY plan_id DESC LIMIT $1",
            self.schema
        );
        let rows = client.query_typed(query.as_str(), &[(&limit, Type::INT8)]).await.doing("read the history")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Stored plans by their id.
    pub async fn plans(&self, client: &Client, ids: &[i64]) -> Result<BTreeMap<i64, Plan>> {
        let query = sql!("SELECT id, plan::text FROM {}.plans WHERE id = ANY ($1)", self.schema);
        let rows = client.query_typed(query.as_str(), &[(&ids, Type::INT8_ARRAY)]).await.doing("read the plans")?;
        let plan = |row: &Row| {
            let id: i64 = row.get(0);
            let plan = serde_json::from_str(row.get(1))
                .map_err(|error| Error::failed(format!("plan {id} in the journal can't be read")).caused_by(error))?;
            Ok((id, plan))
        };
        rows.iter().map(plan).collect()
    }
}

fn trail_event(row: &Row) -> Result<TrailEvent> {
    let event = serde_json::from_str(row.get(1))
        .map_err(|error| Error::failed("an event of the journal can't be read").caused_by(error))?;
    Ok(TrailEvent {
        plan_id: row.get(0),
        event,
        at: row.get(2),
        actor: row.get(3),
        host: row.get(4),
        tool_version: row.get(5),
        run_id: row.get(6),
        git_commit: row.get(7),
        git_dirty: row.get(8),
        ci_url: row.get(9),
        db_user: row.get(10),
    })
}
