//! The form of the journal's tables: how they are made, and brought from an earlier form into today's.

use crossfade_core::sql;
use crossfade_core::sql::Number;
use crossfade_core::sql::Sql;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Store;
use super::finish;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// The format of the journal's tables.
///
/// 2: a cursor for each segment. 3: who did it and from where, and migrations that something else has run.
const STORE_FORMAT: i32 = 3;

/// The format since which events say who did it.
pub(super) const AUDIT_SINCE: i32 = 3;

impl Store {
    /// Whether the journal is there. Changes nothing.
    pub async fn exists(&self, client: &Client) -> Result<bool> {
        Ok(self.format(client).await?.is_some())
    }

    /// The format of the journal; none where there is none. One that this program can't read is refused. Changes nothing.
    pub(super) async fn format(&self, client: &Client) -> Result<Option<i32>> {
        let name = sql!("{}.schema_migrations", self.schema);
        let row = client
            .query_typed_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[(&name.as_str(), Type::TEXT)])
            .await
            .doing("look for the journal")?;
        if !row.get::<_, bool>(0) {
            return Ok(None);
        }
        let query = sql!("SELECT format FROM {}.meta", self.schema);
        let row = client.query_typed_one(query.as_str(), &[]).await.doing("read the journal's format")?;
        let format: i32 = row.get(0);
        if format > STORE_FORMAT {
            return Err(Error::refused(format!(
                "the journal has format {format}, and this program knows {STORE_FORMAT}"
            ))
            .hint("use the crossfade that wrote it, or a newer one"));
        }
        Ok(Some(format))
    }

    /// Makes the journal, or brings the one of an earlier version into today's form.
    pub async fn ensure(&self, client: &Client) -> Result<()> {
        match self.format(client).await? {
            None => self.make(client).await?,
            Some(format) if format < STORE_FORMAT => self.upgrade(client).await?,
            Some(_) => {}
        }
        // One look for all: mostly nothing is missing.
        let names =
            [sql!("{}.heartbeat", self.schema), sql!("{}.parked", self.schema), sql!("{}.compared", self.schema)];
        let [heartbeat, parked, compared] = names.each_ref().map(Sql::as_str);
        let query = "SELECT pg_catalog.to_regclass($2) IS NOT NULL AND pg_catalog.to_regclass($3) IS NOT NULL \
            AND EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass($1) AND attname = 'commit_us')";
        let params = [
            (&heartbeat as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT),
            (&parked, Type::TEXT),
            (&compared, Type::TEXT),
        ];
        let row = client.query_typed_one(query, &params).await;
        if row.doing("look for the journal")?.get(0) {
            return Ok(());
        }
        self.ensure_controls(client).await?;
        self.ensure_parked(client).await?;
        self.ensure_usage(client).await
    }

    async fn make(&self, client: &Client) -> Result<()> {
        let s = &self.schema;
        let text = sql!(
            "BEGIN; \
             CREATE SCHEMA IF NOT EXISTS {}; \
             CREATE TABLE {}.meta (format int NOT NULL, made_at timestamptz NOT NULL DEFAULT now()); \
             INSERT INTO {}.meta (format) VALUES ({}); \
             CREATE TABLE {}.plans (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, version text NOT NULL, kind text NOT NULL, \
               plan json NOT NULL, up_sql text NOT NULL, down_sql text, made_at timestamptz NOT NULL DEFAULT clock_timestamp()); \
             CREATE TABLE {}.events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, plan_id bigint NOT NULL REFERENCES {}.plans, \
               at timestamptz NOT NULL DEFAULT clock_timestamp(), event jsonb NOT NULL, epoch bigint NOT NULL, \
               actor text NOT NULL DEFAULT session_user, host text, tool_version text NOT NULL, run_id uuid, git_commit text, git_dirty boolean, \
               ci_url text, db_user text NOT NULL DEFAULT session_user); \
             CREATE INDEX events_plan_id ON {}.events (plan_id, id); \
             CREATE TABLE {}.cursors (plan_id bigint NOT NULL REFERENCES {}.plans, step int NOT NULL, lane bigint NOT NULL, cursor jsonb NOT NULL, rows bigint NOT NULL, \
               took_ms bigint NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (plan_id, step, lane)); \
             CREATE TABLE {}.lease (id int PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, host text NOT NULL, pid int NOT NULL, since timestamptz NOT NULL); \
             CREATE TABLE {}.schema_migrations (version text PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, state text NOT NULL, \
               plan_id bigint NOT NULL REFERENCES {}.plans, applied_at timestamptz, contracted_at timestamptz, duration_ms bigint NOT NULL DEFAULT 0, \
               applied_by text NOT NULL DEFAULT session_user, host text, tool_version text NOT NULL, git_commit text, \
               origin text NOT NULL DEFAULT 'crossfade', raw_checksum text, missing_because text); \
             COMMIT",
            s,
            s,
            s,
            Number(i64::from(STORE_FORMAT)),
            s,
            s,
            s,
            s,
            s,
            s,
            s,
            s,
            s
        );
        if let Err(error) = client.batch_execute(text.as_str()).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(Error::failed(format!("could not make the journal in schema {s}"))
                .hint("the role needs CREATE on the database; or make the schema for it and grant CREATE on it; `schema` in crossfade.toml names another")
                .caused_by(error));
        }
        Ok(())
    }

    /// Brings the journal of an earlier version into today's form, in one transaction.
    async fn upgrade(&self, client: &Client) -> Result<()> {
        let s = &self.schema;
        let doing = "bring the journal into the form of this version";
        client.batch_execute("BEGIN").await.doing(doing)?;
        let upgraded = async {
            let lock = sql!("LOCK TABLE {}.meta IN ACCESS EXCLUSIVE MODE", s);
            client.batch_execute(lock.as_str()).await?;
            // Asked again behind the lock: somebody else may have done it just now.
            let query = sql!("SELECT format FROM {}.meta", s);
            let format: i32 = client.query_typed_one(query.as_str(), &[]).await?.get(0);
            for (since, text) in [(2, self.to_format_2()), (3, self.to_format_3())] {
                if format < since {
                    client.batch_execute(text.as_str()).await?;
                }
            }
            let update = sql!("UPDATE {}.meta SET format = {}", s, Number(i64::from(STORE_FORMAT)));
            client.batch_execute(update.as_str()).await
        };
        let upgraded = upgraded.await.map_err(|error| {
            Error::failed(format!("could not bring the journal in schema {s} into the form of this version"))
                .hint("the role must own the journal's tables; nothing was changed")
                .caused_by(error)
        });
        finish(client, upgraded, doing).await
    }

    /// Format 1 had one cursor a step.
    fn to_format_2(&self) -> Sql {
        let s = &self.schema;
        sql!(
            "ALTER TABLE {}.cursors ADD COLUMN lane bigint; \
             UPDATE {}.cursors SET lane = CASE WHEN cursor ? 'keys' THEN -1 ELSE (cursor->>'unit')::bigint << 16 END; \
             ALTER TABLE {}.cursors ALTER COLUMN lane SET NOT NULL, DROP CONSTRAINT cursors_pkey, ADD PRIMARY KEY (plan_id, step, lane)",
            s,
            s,
            s
        )
    }

    /// In format 2 the actor was the role of the session, always; and nothing but crossfade had run a migration.
    fn to_format_3(&self) -> Sql {
        let s = &self.schema;
        sql!(
            "ALTER TABLE {}.events ADD COLUMN run_id uuid, ADD COLUMN git_commit text, ADD COLUMN git_dirty boolean, ADD COLUMN ci_url text, \
               ADD COLUMN db_user text; \
             UPDATE {}.events SET db_user = actor; \
             ALTER TABLE {}.events ALTER COLUMN db_user SET DEFAULT session_user, ALTER COLUMN db_user SET NOT NULL; \
             ALTER TABLE {}.schema_migrations ADD COLUMN origin text NOT NULL DEFAULT 'crossfade', ADD COLUMN raw_checksum text, \
               ADD COLUMN missing_because text",
            s,
            s,
            s,
            s
        )
    }
}
