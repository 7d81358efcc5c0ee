//! The texts of migrations as they were run, and what mends the record of them.

use std::collections::BTreeMap;

use crossfade_core::journal::Event;
use crossfade_core::sql;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Store;
use super::TrackedRow;
use super::finish;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// The texts of one migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredTexts {
    /// The plan of its file; events about its texts belong to it.
    pub plan_id: i64,
    /// What was run, or was accepted in its place. Empty where another tool ran it and nobody had the file.
    pub up: String,
    /// Its down file's text, where it had one.
    pub down: Option<String>,
}

impl Store {
    /// The texts of these versions, or of all.
    pub async fn texts(&self, client: &Client, versions: Option<&[&str]>) -> Result<BTreeMap<String, StoredTexts>> {
        let query = sql!(
            "SELECT p.version, p.id, p.up_sql, p.down_sql, r.event::text FROM (\
               SELECT DISTINCT ON (version) version, id, up_sql, down_sql FROM {}.plans \
               WHERE kind = 'up' AND ($1::text[] IS NULL OR version = ANY ($1)) ORDER BY version, id DESC) AS p \
             LEFT JOIN LATERAL (\
               SELECT event FROM {}.events WHERE plan_id = p.id AND event ->> 'event' = 'repaired' ORDER BY id DESC LIMIT 1) AS r ON true",
            self.schema,
            self.schema
        );
        let rows = client
            .query_typed(query.as_str(), &[(&versions, Type::TEXT_ARRAY)])
            .await
            .doing("read the texts of the migrations")?;
        let mut texts = BTreeMap::new();
        for row in rows {
            let mut found = StoredTexts { plan_id: row.get(1), up: row.get(2), down: row.get(3) };
            if let Some(event) = row.get::<_, Option<String>>(4) {
                let event: Event = serde_json::from_str(&event)
                    .map_err(|error| Error::failed("an event of the journal can't be read").caused_by(error))?;
                if let Event::Repaired { up_sql, down_sql, .. } = event {
                    (found.up, found.down) = (up_sql, down_sql);
                }
            }
            texts.insert(row.get(0), found);
        }
        Ok(texts)
    }

    /// Takes other texts for the ones that were run. The earlier ones stay where they are, in the plan and in earlier events.
    pub async fn repair(
        &self,
        client: &Client,
        epoch: i64,
        row: &TrackedRow,
        plan_id: i64,
        accepted: (&str, &str, Option<&str>),
    ) -> Result<()> {
        let (checksum, up, down) = accepted;
        let event = Event::Repaired {
            from: row.checksum.clone(),
            to: checksum.to_owned(),
            up_sql: up.to_owned(),
            down_sql: down.map(str::to_owned),
        };
        let update = sql!(
            "UPDATE {}.schema_migrations SET checksum = $1, missing_because = NULL WHERE version = $2 AND checksum = $3",
            self.schema
        );
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&checksum, Type::TEXT), (&row.version, Type::TEXT), (&row.checksum, Type::TEXT)];
        self.with_event(client, epoch, plan_id, &event, update.as_str(), &params).await
    }

    /// Remembers that a migration's file may be missing, and why.
    pub async fn allow_missing(
        &self,
        client: &Client,
        epoch: i64,
        row: &TrackedRow,
        plan_id: i64,
        because: &str,
    ) -> Result<()> {
        let update = sql!("UPDATE {}.schema_migrations SET missing_because = $1 WHERE version = $2", self.schema);
        let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&because, Type::TEXT), (&row.version, Type::TEXT)];
        self.with_event(client, epoch, plan_id, &Event::FileForgotten, update.as_str(), &params).await
    }

    /// An event and the change of one row that it is about, together.
    async fn with_event(
        &self,
        client: &Client,
        epoch: i64,
        plan_id: i64,
        event: &Event,
        update: &str,
        params: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)],
    ) -> Result<()> {
        let doing = "write the journal";
        self.count_writes(1)?;
        client.batch_execute("BEGIN").await.doing(doing)?;
        let done = async {
            self.insert_event(client, epoch, plan_id, event).await?;
            match client.execute_typed(update, params).await.doing(doing)? {
                1 => Ok(()),
                _ => {
                    Err(Error::failed("the tracking table was changed by somebody else meanwhile; nothing was changed")
                        .hint("run the same command again"))
                }
            }
        };
        finish(client, done.await, doing).await
    }
}
