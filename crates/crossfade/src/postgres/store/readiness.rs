//! What a program that waits for the schema asks of the tracking table. Readable in every format, those to come included.

use crossfade_core::journal::State;
use crossfade_core::sql;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::Store;
use crate::error::Error;
use crate::error::Result;

/// A migration, and whether code that needs it can run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub version: String,
    pub is_ready: bool,
    /// Whether all versions before it count as applied with it.
    pub is_baseline: bool,
}

impl Store {
    /// Every migration of the tracking table, in order; none where there is no journal. Needs the right to read the tracking table; to read the events
    /// only where a migration has failed.
    pub async fn standings(&self, client: &Client) -> Result<Vec<Standing>> {
        let refused = |error: tokio_postgres::Error| self.explain(error);
        let name = sql!("{}.schema_migrations", self.schema);
        let there = client
            .query_typed_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[(&name.as_str(), Type::TEXT)])
            .await
            .map_err(refused)?;
        if !there.get::<_, bool>(0) {
            return Ok(Vec::new());
        }
        // A column that an earlier version's table lacks is found in the row beside it.
        let query = sql!(
            "SELECT m.* FROM (VALUES ('crossfade'::text)) AS lacking (origin), \
             LATERAL (SELECT version, state, plan_id, origin FROM {}.schema_migrations) AS m",
            self.schema
        );
        let mut standings = Vec::new();
        for row in client.query_typed(query.as_str(), &[]).await.map_err(refused)? {
            let state: &str = row.get(1);
            let is_ready = if state == State::Failed.name() {
                self.was_ready(client, row.get(2)).await.map_err(refused)?
            } else {
                [State::Ready, State::Contracting, State::Contracted, State::Applied]
                    .iter()
                    .any(|ready| ready.name() == state)
            };
            let is_baseline = row.get::<_, &str>(3) == "baseline";
            standings.push(Standing { version: row.get(0), is_ready, is_baseline });
        }
        standings.sort_by(|a, b| crate::source::compare_versions(&a.version, &b.version));
        Ok(standings)
    }

    /// Whether what has failed now was ready before: only then contract can be asked for. New code runs on it all the same.
    async fn was_ready(&self, client: &Client, plan_id: i64) -> Result<bool, tokio_postgres::Error> {
        let query = sql!(
            "SELECT EXISTS (SELECT FROM {}.events WHERE plan_id = $1 AND event ->> 'event' = 'requested' AND event ->> 'request' = 'contract')",
            self.schema
        );
        Ok(client.query_typed_one(query.as_str(), &[(&plan_id, Type::INT8)]).await?.get(0))
    }

    fn explain(&self, error: tokio_postgres::Error) -> Error {
        let forbidden = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
        let failed = Error::failed("could not read the tracking table").caused_by(error);
        if forbidden {
            let schema = &self.schema;
            failed.hint(format!("grant it: GRANT USAGE ON SCHEMA {schema} TO …; GRANT SELECT ON {schema}.schema_migrations, {schema}.events TO …"))
        } else {
            failed
        }
    }
}
