//! What hooks were told, in a table that is made when the first one is called: a record for people, which nothing is decided by.
//!
//! It is no event of a plan, so a program that does not know it passes it over. The newest ones are kept.

use std::collections::BTreeMap;

use crossfade_core::sql;
use crossfade_core::sql::Number;
use crossfade_core::sql::Sql;
use tokio_postgres::Client;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use tokio_postgres::types::Type;

use super::Since;
use super::Store;
use super::events::columns;
use super::events::values;
use super::finish;
use super::utc;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::hooks::Outcome;
use crate::report::FailedAlert;
use crate::report::FailingHook;
use crate::report::HistoryAlert;

/// So many are kept.
const MOST: i64 = 1000;

const READING: &str = "read what hooks were told";

impl Store {
    /// Writes down what hooks were told, in a transaction of its own with limits. The table is made where there is none.
    pub async fn write_alerts(&self, client: &Client, outcomes: &[Outcome]) -> Result<()> {
        let doing = "write down what hooks were told";
        if !self.exists(client).await? {
            return Err(Error::failed("there is no journal"));
        }
        // Asked first, so that the server's log is not filled with what this role may not do.
        let name = sql!("{}.alerts", self.schema);
        let query = "SELECT t.oid IS NOT NULL, coalesce(pg_catalog.has_table_privilege(t.oid, 'INSERT'), pg_catalog.has_schema_privilege($2, 'CREATE')) \
            FROM (SELECT pg_catalog.to_regclass($1)::oid) AS t (oid)";
        let params: [(&(dyn ToSql + Sync), Type); 2] =
            [(&name.as_str(), Type::TEXT), (&self.schema.as_str(), Type::TEXT)];
        let row = client.query_typed_one(query, &params).await.doing(doing)?;
        let (is_there, may): (bool, bool) = (row.get(0), row.get(1));
        if !may {
            return Err(Error::failed(format!("this role may not write to {name}")));
        }
        let limits = "BEGIN; SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '1s'";
        client.batch_execute(limits).await.doing(doing)?;
        let written = async {
            if !is_there {
                client.batch_execute(self.alerts_table().as_str()).await.doing(doing)?;
            }
            for outcome in outcomes {
                self.insert_alert(client, outcome).await?;
            }
            let forget = sql!(
                "DELETE FROM {}.alerts WHERE id <= (SELECT id FROM {}.alerts ORDER BY id DESC OFFSET {} LIMIT 1)",
                self.schema,
                self.schema,
                Number(MOST)
            );
            client.batch_execute(forget.as_str()).await.doing(doing)
        };
        finish(client, written.await, doing).await
    }

    fn alerts_table(&self) -> Sql {
        sql!(
            "CREATE TABLE IF NOT EXISTS {}.alerts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL, hook text NOT NULL, \
             event text NOT NULL, version text, name text, failed text, took_ms bigint NOT NULL, test boolean NOT NULL, actor text NOT NULL, \
             db_user text NOT NULL DEFAULT session_user, host text, tool_version text NOT NULL, run_id uuid, git_commit text, git_dirty boolean, ci_url text)",
            self.schema
        )
    }

    async fn insert_alert(&self, client: &Client, outcome: &Outcome) -> Result<()> {
        let insert = sql!(
            "INSERT INTO {}.alerts ({}, at, hook, event, version, name, failed, took_ms, test) \
             VALUES ({}, clock_timestamp() - make_interval(secs => $8), $9, $10, $11, $12, $13, $14, $15)",
            self.schema,
            columns(),
            values()
        );
        let (ago, event) = (outcome.ended.elapsed().as_secs_f64(), outcome.event.name());
        let took_ms = i64::try_from(outcome.took.as_millis()).unwrap_or(i64::MAX);
        let mut params = self.run.params().to_vec();
        params.extend::<[(&(dyn ToSql + Sync), Type); 8]>([
            (&ago, Type::FLOAT8),
            (&outcome.hook, Type::TEXT),
            (&event, Type::TEXT),
            (&outcome.version, Type::TEXT),
            (&outcome.name, Type::TEXT),
            (&outcome.failed, Type::TEXT),
            (&took_ms, Type::INT8),
            (&outcome.test, Type::BOOL),
        ]);
        client.execute_typed(insert.as_str(), &params).await.doing("write down what hooks were told")?;
        Ok(())
    }

    /// Whether they can be read: none where nothing was ever written down.
    async fn may_read_alerts(&self, client: &Client) -> Result<Option<bool>> {
        let name = sql!("{}.alerts", self.schema);
        let query = "SELECT pg_catalog.has_table_privilege(pg_catalog.to_regclass($1)::oid, 'SELECT')";
        let row = client.query_typed_one(query, &[(&name.as_str(), Type::TEXT)]).await.doing(READING)?;
        Ok(row.get(0))
    }

    /// What hooks were told of these versions, or of all, the oldest first, but for trials. None where this role may not read it.
    pub async fn alerts(
        &self,
        client: &Client,
        versions: Option<&[String]>,
        since: Since<'_>,
    ) -> Result<Option<Vec<HistoryAlert>>> {
        match self.may_read_alerts(client).await? {
            None => return Ok(Some(Vec::new())),
            Some(false) => return Ok(None),
            Some(true) => {}
        }
        let query = sql!(
            "SELECT a.* FROM (SELECT to_char(at AT TIME ZONE 'UTC', {}) AS said, run_id::text, version, name, hook, event, failed, took_ms, actor, db_user, host, \
               tool_version, git_commit, git_dirty, ci_url, id FROM {}.alerts \
               WHERE NOT test AND ($1::text[] IS NULL OR version = ANY ($1)) \
               AND ($2::text IS NULL OR at >= $2::timestamptz) AND ($3::float8 IS NULL OR at >= now() - make_interval(secs => $3)) ORDER BY id DESC LIMIT $4) AS a \
             ORDER BY a.id",
            utc(),
            self.schema
        );
        let params: [(&(dyn ToSql + Sync), Type); 4] = [
            (&versions, Type::TEXT_ARRAY),
            (&since.time, Type::TEXT),
            (&since.ago, Type::FLOAT8),
            (&since.newest, Type::INT8),
        ];
        let rows = client.query_typed(query.as_str(), &params).await.doing(READING)?;
        Ok(Some(rows.iter().map(alert).collect()))
    }

    /// Of each migration that is not over the hooks whose newest alert about it failed, by version. Nothing where this role may not read it.
    pub async fn failed_alerts(&self, client: &Client) -> Result<BTreeMap<String, Vec<FailedAlert>>> {
        let mut found: BTreeMap<String, Vec<FailedAlert>> = BTreeMap::new();
        if self.may_read_alerts(client).await? != Some(true) {
            return Ok(found);
        }
        // What was told before the plan was stored is about an earlier life of the migration, but for the last moment.
        let query = sql!(
            "SELECT version, hook, event, said, failed FROM (SELECT DISTINCT ON (a.version, a.hook) a.version, a.hook, a.event, \
               to_char(a.at AT TIME ZONE 'UTC', {}) AS said, a.failed FROM {}.alerts AS a JOIN {}.schema_migrations AS m ON m.version = a.version \
               JOIN {}.plans AS p ON p.id = m.plan_id \
               WHERE NOT a.test AND m.state NOT IN ('applied', 'rolled_back') AND a.at >= p.made_at - interval '10 s' \
               ORDER BY a.version, a.hook, a.id DESC) AS newest WHERE failed IS NOT NULL ORDER BY version, hook",
            utc(),
            self.schema,
            self.schema,
            self.schema
        );
        for row in client.query_typed(query.as_str(), &[]).await.doing(READING)? {
            let failed = FailedAlert { hook: row.get(1), event: row.get(2), at: row.get(3), error: row.get(4) };
            found.entry(row.get(0)).or_default().push(failed);
        }
        Ok(found)
    }

    /// Those of these hooks that have failed since they last worked, trials counted in. Nothing where this role may not read it.
    pub async fn failing_hooks(&self, client: &Client, hooks: &[String]) -> Result<Vec<FailingHook>> {
        if hooks.is_empty() || self.may_read_alerts(client).await? != Some(true) {
            return Ok(Vec::new());
        }
        let query = sql!(
            "WITH worked AS (SELECT hook, max(id) AS id FROM {}.alerts WHERE failed IS NULL GROUP BY hook) \
             SELECT a.hook, count(*), to_char(min(a.at) AT TIME ZONE 'UTC', {}), (array_agg(a.event ORDER BY a.id DESC))[1], \
               to_char(max(a.at) AT TIME ZONE 'UTC', {}), (array_agg(a.failed ORDER BY a.id DESC))[1] \
             FROM {}.alerts AS a LEFT JOIN worked AS w ON w.hook = a.hook \
             WHERE a.failed IS NOT NULL AND a.hook = ANY ($1) AND (w.id IS NULL OR a.id > w.id) GROUP BY a.hook ORDER BY a.hook",
            self.schema,
            utc(),
            utc(),
            self.schema
        );
        let rows = client.query_typed(query.as_str(), &[(&hooks, Type::TEXT_ARRAY)]).await.doing(READING)?;
        let failing = |row: &Row| FailingHook {
            hook: row.get(0),
            alerts: row.get(1),
            since: row.get(2),
            event: row.get(3),
            at: row.get(4),
            error: row.get(5),
        };
        Ok(rows.iter().map(failing).collect())
    }
}

fn alert(row: &Row) -> HistoryAlert {
    let error: Option<String> = row.get(6);
    HistoryAlert {
        at: row.get(0),
        run_id: row.get(1),
        version: row.get(2),
        name: row.get(3),
        hook: row.get(4),
        event: row.get(5),
        sent: error.is_none(),
        error,
        took_ms: row.get(7),
        actor: row.get(8),
        db_user: row.get(9),
        host: row.get(10),
        tool_version: row.get(11),
        git_commit: row.get(12),
        git_dirty: row.get(13),
        ci_url: row.get(14),
    }
}
