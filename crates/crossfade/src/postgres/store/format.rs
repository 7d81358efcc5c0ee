//! The form of the journal's tables: how they are made, and brought from an earlier form into today's.

use crossfade_core::sql;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Store;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// The format of the journal's tables.
const STORE_FORMAT: i32 = 2;

impl Store {
    /// Whether the journal is there. Changes nothing.
    pub async fn exists(&self, client: &Client) -> Result<bool> {
        let name = sql!("{}.schema_migrations", self.schema);
        let row = client
            .query_typed_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[(&name.as_str(), Type::TEXT)])
            .await
            .doing("look for the journal")?;
        Ok(row.get(0))
    }

    /// Makes the journal, or checks that this version of it can be read.
    pub async fn ensure(&self, client: &Client) -> Result<()> {
        let s = &self.schema;
        if self.exists(client).await? {
            let row = client
                .query_typed_one(sql!("SELECT format FROM {}.meta", s).as_str(), &[])
                .await
                .doing("read the journal's format")?;
            let format: i32 = row.get(0);
            if format > STORE_FORMAT {
                return Err(Error::refused(format!(
                    "the journal has format {format}, and this program knows {STORE_FORMAT}"
                ))
                .hint("use the crossfade that wrote it, or a newer one"));
            }
            if format < STORE_FORMAT {
                self.upgrade(client).await?;
            }
            self.ensure_controls(client).await?;
            return self.ensure_parked(client).await;
        }
        let text = sql!(
            "BEGIN; \
             CREATE SCHEMA IF NOT EXISTS {}; \
             CREATE TABLE {}.meta (format int NOT NULL, made_at timestamptz NOT NULL DEFAULT now()); \
             INSERT INTO {}.meta (format) VALUES ({}); \
             CREATE TABLE {}.plans (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, version text NOT NULL, kind text NOT NULL, \
               plan json NOT NULL, up_sql text NOT NULL, down_sql text, made_at timestamptz NOT NULL DEFAULT clock_timestamp()); \
             CREATE TABLE {}.events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, plan_id bigint NOT NULL REFERENCES {}.plans, \
               at timestamptz NOT NULL DEFAULT clock_timestamp(), event jsonb NOT NULL, epoch bigint NOT NULL, \
               actor text NOT NULL DEFAULT session_user, host text, tool_version text NOT NULL); \
             CREATE INDEX events_plan_id ON {}.events (plan_id, id); \
             CREATE TABLE {}.cursors (plan_id bigint NOT NULL REFERENCES {}.plans, step int NOT NULL, lane bigint NOT NULL, cursor jsonb NOT NULL, rows bigint NOT NULL, \
               took_ms bigint NOT NULL, updated_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (plan_id, step, lane)); \
             CREATE TABLE {}.lease (id int PRIMARY KEY CHECK (id = 1), epoch bigint NOT NULL, host text NOT NULL, pid int NOT NULL, since timestamptz NOT NULL); \
             CREATE TABLE {}.schema_migrations (version text PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, state text NOT NULL, \
               plan_id bigint NOT NULL REFERENCES {}.plans, applied_at timestamptz, contracted_at timestamptz, duration_ms bigint NOT NULL DEFAULT 0, \
               applied_by text NOT NULL DEFAULT session_user, host text, tool_version text NOT NULL, git_commit text); \
             COMMIT",
            s,
            s,
            s,
            crossfade_core::sql::Number(i64::from(STORE_FORMAT)),
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
        self.ensure_controls(client).await?;
        self.ensure_parked(client).await
    }

    /// Brings the journal of an earlier version into today's form. Format 1 had one cursor a step.
    async fn upgrade(&self, client: &Client) -> Result<()> {
        let s = &self.schema;
        let text = sql!(
            "BEGIN; LOCK TABLE {}.meta IN ACCESS EXCLUSIVE MODE; \
             ALTER TABLE {}.cursors ADD COLUMN lane bigint; \
             UPDATE {}.cursors SET lane = CASE WHEN cursor ? 'keys' THEN -1 ELSE (cursor->>'unit')::bigint << 16 END; \
             ALTER TABLE {}.cursors ALTER COLUMN lane SET NOT NULL, DROP CONSTRAINT cursors_pkey, ADD PRIMARY KEY (plan_id, step, lane); \
             UPDATE {}.meta SET format = {}; \
             COMMIT",
            s,
            s,
            s,
            s,
            s,
            crossfade_core::sql::Number(i64::from(STORE_FORMAT))
        );
        if let Err(error) = client.batch_execute(text.as_str()).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(Error::failed(format!(
                "could not bring the journal in schema {s} into the form of this version"
            ))
            .hint("the role must own the journal's tables; nothing was changed")
            .caused_by(error));
        }
        Ok(())
    }
}
