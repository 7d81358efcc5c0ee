//! What is remembered of the use of an old form, in tables of the journal: who wrote it, how often statements that name it had been called when
//! somebody last looked, and what the last comparison of both forms found.
//!
//! Who writes the old form is written down by the application's own sessions, in a function that the triggers of a plan call: it needs no right but to name
//! the schema, which everybody is given. It must never make an application wait or fail: it inserts rows and takes older ones of the same application away, but only those that nobody else
//! has in his hands, at most once a minute in each session; what fails in it is passed over.

use crossfade_core::plan::SEEN_FUNCTION;
use crossfade_core::sql;
use crossfade_core::sql::DollarQuoted;
use crossfade_core::sql::Ident;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::store::Store;
use super::store::utc;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// Who has written the old form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OldWriter {
    pub relation: String,
    pub application: String,
    pub address: Option<String>,
    pub user: String,
    /// In UTC.
    pub first_seen: String,
    /// In UTC.
    pub last_seen: String,
    pub seconds_ago: f64,
    /// How often it was noticed: at most once a minute for each session.
    pub sightings: i64,
}

/// How often a statement had been called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub user_id: u32,
    pub query_id: i64,
    pub calls: i64,
    /// In UTC: when this number was seen first.
    pub grown_at: String,
    pub seconds_ago: f64,
}

/// The last comparison of both forms.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LastVerify {
    pub at: String,
    pub seconds_ago: f64,
    pub rows: i64,
    pub differing: i64,
}

impl Store {
    /// Makes the tables and the function here where they are not there yet.
    pub(super) async fn ensure_usage(&self, client: &Client) -> Result<()> {
        if self.has_usage(client).await? {
            return Ok(());
        }
        let s = &self.schema;
        let body = sql!(
            "\nDECLARE\n  who CONSTANT text := current_setting('application_name');\n\
             BEGIN\n\
             \x20 -- Nobody calls it by hand.\n\
             \x20 IF pg_trigger_depth() = 0 THEN RETURN; END IF;\n\
             \x20 PERFORM set_config(told, encode(timestamptz_send(clock_timestamp() + interval '1 minute'), 'hex'), false);\n\
             \x20 BEGIN\n\
             \x20   IF current_setting('transaction_isolation') <> 'read committed' THEN\n\
             \x20     -- Reading here could make such a transaction fail.\n\
             \x20     INSERT INTO {}.old_writes VALUES (migration, in_schema, in_table, who, inet_client_addr(), session_user, clock_timestamp(), clock_timestamp(), 1);\n\
             \x20   ELSIF NOT EXISTS (SELECT FROM {}.old_writes AS w WHERE w.version = migration AND w.table_schema = in_schema AND w.table_name = in_table\n\
             \x20       AND w.application = who AND w.address IS NOT DISTINCT FROM inet_client_addr() AND w.last_at > clock_timestamp() - interval '1 minute') THEN\n\
             \x20     WITH older AS (\n\
             \x20       SELECT w.ctid AS at FROM {}.old_writes AS w WHERE w.version = migration AND w.table_schema = in_schema AND w.table_name = in_table\n\
             \x20         AND w.application = who AND w.address IS NOT DISTINCT FROM inet_client_addr() AND w.db_user = session_user FOR UPDATE SKIP LOCKED\n\
             \x20     ), gone AS (\n\
             \x20       DELETE FROM {}.old_writes AS w USING older WHERE w.ctid = older.at RETURNING w.first_at, w.sightings\n\
             \x20     )\n\
             \x20     INSERT INTO {}.old_writes SELECT migration, in_schema, in_table, who, inet_client_addr(), session_user,\n\
             \x20       coalesce(min(g.first_at), clock_timestamp()), clock_timestamp(), coalesce(sum(g.sightings), 0) + 1 FROM gone AS g;\n\
             \x20   END IF;\n\
             \x20 EXCEPTION WHEN OTHERS THEN\n\
             \x20   -- What is not written down is missed; the application's write is not.\n\
             \x20   NULL;\n\
             \x20 END;\n\
             END\n",
            s,
            s,
            s,
            s,
            s
        );
        let text = sql!(
            "BEGIN; \
             CREATE TABLE IF NOT EXISTS {}.old_writes (version text NOT NULL, table_schema text NOT NULL, table_name text NOT NULL, application text NOT NULL, \
               address inet, db_user text NOT NULL, first_at timestamptz NOT NULL, last_at timestamptz NOT NULL, sightings bigint NOT NULL); \
             CREATE INDEX IF NOT EXISTS old_writes_by ON {}.old_writes (version, table_name, application); \
             CREATE TABLE IF NOT EXISTS {}.sampled (plan_id bigint PRIMARY KEY REFERENCES {}.plans, first_at timestamptz NOT NULL, last_at timestamptz NOT NULL); \
             CREATE TABLE IF NOT EXISTS {}.samples (plan_id bigint NOT NULL REFERENCES {}.plans, user_id oid NOT NULL, query_id bigint NOT NULL, calls bigint NOT NULL, \
               grown_at timestamptz NOT NULL, PRIMARY KEY (plan_id, user_id, query_id)); \
             CREATE TABLE IF NOT EXISTS {}.compared (plan_id bigint PRIMARY KEY REFERENCES {}.plans, at timestamptz NOT NULL, rows bigint NOT NULL, differing bigint NOT NULL); \
             CREATE OR REPLACE FUNCTION {}.{}(migration text, told text, in_schema text, in_table text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {}; \
             GRANT USAGE ON SCHEMA {} TO PUBLIC; \
             COMMIT",
            s,
            s,
            s,
            s,
            s,
            s,
            s,
            s,
            s,
            Ident::new(SEEN_FUNCTION),
            DollarQuoted(body),
            s
        );
        if let Err(error) = client.batch_execute(text.as_str()).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(
                Error::failed(format!("could not make the tables of the evidence in schema {s}")).caused_by(error)
            );
        }
        Ok(())
    }

    /// Whether what is made here is there: a journal of an older program lacks it.
    pub async fn has_usage(&self, client: &Client) -> Result<bool> {
        // It is made last.
        let name = sql!("{}.{}", self.schema, Ident::new(SEEN_FUNCTION));
        let there = "SELECT pg_catalog.to_regproc($1) IS NOT NULL";
        let row = client.query_typed_one(there, &[(&name.as_str(), Type::TEXT)]).await;
        Ok(row.doing("look for the journal")?.get(0))
    }

    /// Who has written the old form of a migration since it was planned, the last one first.
    pub async fn old_writers(&self, client: &Client, version: &str, plan_id: i64) -> Result<Vec<OldWriter>> {
        let query = sql!(
            "SELECT pg_catalog.format('%I.%I', table_schema, table_name), application, pg_catalog.host(address), db_user, \
               to_char(min(first_at) AT TIME ZONE 'UTC', {}), to_char(max(last_at) AT TIME ZONE 'UTC', {}), \
               extract(epoch FROM clock_timestamp() - max(last_at))::float8, sum(sightings)::bigint \
             FROM {}.old_writes WHERE version = $1 AND last_at >= (SELECT p.made_at FROM {}.plans AS p WHERE p.id = $2) \
             GROUP BY 1, 2, 3, 4 ORDER BY max(last_at) DESC",
            utc(),
            utc(),
            self.schema,
            self.schema
        );
        let rows = client.query_typed(query.as_str(), &[(&version, Type::TEXT), (&plan_id, Type::INT8)]).await;
        let writer = |row: &tokio_postgres::Row| OldWriter {
            relation: row.get(0),
            application: row.get(1),
            address: row.get(2),
            user: row.get(3),
            first_seen: row.get(4),
            last_seen: row.get(5),
            seconds_ago: row.get(6),
            sightings: row.get(7),
        };
        Ok(rows.doing("read who writes the old form")?.iter().map(writer).collect())
    }

    /// What was counted of statements so far; none where nobody has looked yet.
    pub async fn samples(&self, client: &Client, plan_id: i64) -> Result<Option<Vec<Sample>>> {
        let doing = "read how often statements were called";
        let looked = sql!("SELECT FROM {}.sampled WHERE plan_id = $1", self.schema);
        if client.query_typed_opt(looked.as_str(), &[(&plan_id, Type::INT8)]).await.doing(doing)?.is_none() {
            return Ok(None);
        }
        let query = sql!(
            "SELECT user_id, query_id, calls, to_char(grown_at AT TIME ZONE 'UTC', {}), extract(epoch FROM clock_timestamp() - grown_at)::float8 \
             FROM {}.samples WHERE plan_id = $1",
            utc(),
            self.schema
        );
        let rows = client.query_typed(query.as_str(), &[(&plan_id, Type::INT8)]).await.doing(doing)?;
        let sample = |row: &tokio_postgres::Row| Sample {
            user_id: row.get(0),
            query_id: row.get(1),
            calls: row.get(2),
            grown_at: row.get(3),
            seconds_ago: row.get(4),
        };
        Ok(Some(rows.iter().map(sample).collect()))
    }

    /// Writes down how often statements have been called: user, statement, calls. What has not grown keeps its time.
    pub async fn save_samples(&self, client: &Client, plan_id: i64, counted: &[(u32, i64, i64)]) -> Result<()> {
        let users: Vec<u32> = counted.iter().map(|(user, _, _)| *user).collect();
        let queries: Vec<i64> = counted.iter().map(|(_, query, _)| *query).collect();
        let calls: Vec<i64> = counted.iter().map(|(_, _, calls)| *calls).collect();
        let upsert = sql!(
            "WITH looked AS (\
               INSERT INTO {}.sampled AS l (plan_id, first_at, last_at) VALUES ($1, clock_timestamp(), clock_timestamp()) \
               ON CONFLICT (plan_id) DO UPDATE SET last_at = excluded.last_at\
             ) INSERT INTO {}.samples AS s (plan_id, user_id, query_id, calls, grown_at) \
             SELECT $1, c.u, c.q, c.n, clock_timestamp() FROM unnest($2::oid[], $3::int8[], $4::int8[]) AS c (u, q, n) \
             ON CONFLICT (plan_id, user_id, query_id) DO UPDATE SET calls = excluded.calls, grown_at = excluded.grown_at WHERE s.calls <> excluded.calls",
            self.schema,
            self.schema
        );
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
            (&plan_id, Type::INT8),
            (&users, Type::OID_ARRAY),
            (&queries, Type::INT8_ARRAY),
            (&calls, Type::INT8_ARRAY),
        ];
        client.execute_typed(upsert.as_str(), &params).await.doing("write down how often statements were called")?;
        Ok(())
    }

    /// The last comparison of both forms.
    pub async fn last_verify(&self, client: &Client, plan_id: i64) -> Result<Option<LastVerify>> {
        let query = sql!(
            "SELECT to_char(at AT TIME ZONE 'UTC', {}), extract(epoch FROM clock_timestamp() - at)::float8, rows, differing FROM {}.compared WHERE plan_id = $1",
            utc(),
            self.schema
        );
        let row = client.query_typed_opt(query.as_str(), &[(&plan_id, Type::INT8)]).await;
        Ok(row.doing("read what the last verify found")?.map(|row| LastVerify {
            at: row.get(0),
            seconds_ago: row.get(1),
            rows: row.get(2),
            differing: row.get(3),
        }))
    }

    /// Writes down what a comparison of both forms found, and returns in how many rows they differed the time before. In one statement: of several who compare
    /// at the same time each sees what the one before has written.
    pub async fn save_verify(&self, client: &Client, plan_id: i64, rows: u64, differing: u64) -> Result<u64> {
        // What was there is read and locked before the row is written: what is only named behind RETURNING would be looked for too late.
        let upsert = sql!(
            "WITH before AS (SELECT differing FROM {}.compared WHERE plan_id = $1 FOR UPDATE) \
             INSERT INTO {}.compared (plan_id, at, rows, differing) \
             SELECT $1, clock_timestamp(), $2, $3 FROM (SELECT count(*) FROM before) AS first \
             ON CONFLICT (plan_id) DO UPDATE SET at = excluded.at, rows = excluded.rows, differing = excluded.differing \
             RETURNING coalesce((SELECT before.differing FROM before), 0)",
            self.schema,
            self.schema
        );
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&plan_id, Type::INT8), (&(rows as i64), Type::INT8), (&(differing as i64), Type::INT8)];
        let row = client.query_typed_one(upsert.as_str(), &params).await.doing("write down what a verify found")?;
        Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
    }

    /// Since when a migration waits for the deploy: the time in UTC, and how long ago in seconds. Where it has nothing to do before, since it was planned.
    pub async fn ready_since(&self, client: &Client, plan_id: i64) -> Result<Option<(String, f64)>> {
        let query = sql!(
            "SELECT to_char(max(at) AT TIME ZONE 'UTC', {}), extract(epoch FROM clock_timestamp() - max(at))::float8 FROM {}.events \
             WHERE plan_id = $1 AND event ->> 'event' IN ('plan_recorded', 'step_succeeded')",
            utc(),
            self.schema
        );
        let row = client.query_typed_one(query.as_str(), &[(&plan_id, Type::INT8)]).await;
        let row = row.doing("look since when it is ready")?;
        let at: Option<String> = row.get(0);
        let ago: Option<f64> = row.get(1);
        Ok(at.zip(ago))
    }
}
