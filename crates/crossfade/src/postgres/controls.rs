//! What steers a run from beside it, in tables of the journal: requests to pause, live settings, and the record of pauses.
//!
//! A request and a setting are written without the lease: they are for whoever holds it. All else checks the lease's epoch.

use crossfade_core::journal::Event;
use crossfade_core::journal::Request;
use crossfade_core::sql;
use crossfade_core::throttle::Key;
use crossfade_core::throttle::Settings;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::store::Store;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// A request to pause or to go on, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub id: i64,
    pub request: Request,
    pub reason: Option<String>,
    pub actor: String,
    pub host: String,
    /// In UTC.
    pub at: String,
}

impl Asked {
    /// Whether it asks for a pause.
    pub fn is_pause(&self) -> bool {
        self.request == Request::Pause
    }

    /// For people: `paused by alice on web1 at 2026-01-31T12:00:00Z: sale until noon`.
    pub fn text(&self) -> String {
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("paused by {} on {} at {}{reason}", self.actor, self.host, self.at)
    }
}

/// A live setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveSetting {
    pub key: String,
    pub value: String,
    pub set_by: String,
    pub host: String,
    /// In UTC.
    pub set_at: String,
    /// In UTC; until when it holds.
    pub until: Option<String>,
}

/// Time that a step has spent waiting for one reason.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waited {
    pub signal: String,
    pub scope: String,
    pub reason: String,
    pub times: i64,
    pub total_ms: i64,
    /// In UTC, where it waits now.
    pub since: Option<String>,
    /// The lease's epoch of the run that wrote it.
    pub epoch: i64,
}

/// What is added to a [`Waited`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Waiting {
    pub reason: String,
    pub times: i64,
    pub ms: i64,
    /// How long it has waited now, in seconds, where it still does.
    pub since_seconds: Option<f64>,
}

impl Store {
    /// Whether the tables here are there: a journal of an older program lacks them.
    pub async fn has_controls(&self, client: &Client) -> Result<bool> {
        let there = sql!("{}.heartbeat", self.schema);
        let row = client
            .query_typed_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[(&there.as_str(), Type::TEXT)])
            .await
            .doing("look for the journal")?;
        Ok(row.get(0))
    }

    /// Makes the tables here where they are not there yet.
    pub(super) async fn ensure_controls(&self, client: &Client) -> Result<()> {
        let s = &self.schema;
        if self.has_controls(client).await? {
            return self.ensure_commit_column(client).await;
        }
        let text = sql!(
            "BEGIN; \
             CREATE TABLE IF NOT EXISTS {}.throttle_settings (key text PRIMARY KEY, value text NOT NULL, set_by text NOT NULL DEFAULT session_user, \
               host text NOT NULL, set_at timestamptz NOT NULL DEFAULT clock_timestamp(), until timestamptz); \
             CREATE TABLE IF NOT EXISTS {}.throttle_pauses (plan_id bigint NOT NULL REFERENCES {}.plans, step int NOT NULL, signal text NOT NULL, \
               scope text NOT NULL, reason text NOT NULL, times bigint NOT NULL, total_ms bigint NOT NULL, since timestamptz, epoch bigint NOT NULL, \
               updated_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (plan_id, step, signal, scope)); \
             CREATE TABLE IF NOT EXISTS {}.heartbeat (id int PRIMARY KEY CHECK (id = 1), at timestamptz NOT NULL, commit_us bigint); \
             COMMIT",
            s,
            s,
            s,
            s
        );
        if let Err(error) = client.batch_execute(text.as_str()).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(
                Error::failed(format!("could not make the tables of the throttle in schema {s}")).caused_by(error)
            );
        }
        Ok(())
    }

    /// The heartbeat of an older program did not say how long its commit took.
    async fn ensure_commit_column(&self, client: &Client) -> Result<()> {
        let doing = "look for the journal's heartbeat";
        let heartbeat = sql!("{}.heartbeat", self.schema);
        let query = "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = pg_catalog.to_regclass($1) AND attname = 'commit_us')";
        let row = client.query_typed_one(query, &[(&heartbeat.as_str(), Type::TEXT)]).await.doing(doing)?;
        if row.get(0) {
            return Ok(());
        }
        let add = sql!("ALTER TABLE {}.heartbeat ADD COLUMN IF NOT EXISTS commit_us bigint", self.schema);
        client.batch_execute(add.as_str()).await.map_err(|error| {
            Error::failed(format!(
                "could not bring the journal in schema {} into the form of this version",
                self.schema
            ))
            .hint("the role must own the journal's tables; nothing was changed")
            .caused_by(error)
        })
    }

    /// How long the last commit took that whoever runs has measured just now, in seconds. Changes nothing.
    pub async fn last_commit(&self, client: &Client) -> Result<Option<f64>> {
        if !self.has_controls(client).await? {
            return Ok(None);
        }
        // By its name, since the heartbeat of an older program has no such column.
        let query = sql!(
            "SELECT (to_jsonb(h) ->> 'commit_us')::float8 / 1e6 FROM {}.heartbeat AS h WHERE h.at > clock_timestamp() - interval '5 s'",
            self.schema
        );
        let row = client.query_typed_opt(query.as_str(), &[]).await.doing("read the heartbeat")?;
        Ok(row.and_then(|row| row.get(0)))
    }

    /// The last request to pause or to go on.
    pub async fn last_asked(&self, client: &Client, plan_id: i64) -> Result<Option<Asked>> {
        let doing = "look for a request to pause";
        let query = sql!(
            "SELECT id, event::text, actor, coalesce(host, ''), to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM {}.events \
             WHERE plan_id = $1 AND event ->> 'event' = 'requested' AND event ->> 'request' IN ('pause', 'resume') ORDER BY id DESC LIMIT 1",
            self.schema
        );
        let Some(row) = client.query_typed_opt(query.as_str(), &[(&plan_id, Type::INT8)]).await.doing(doing)? else {
            return Ok(None);
        };
        let event: Event = serde_json::from_str(row.get(1))
            .map_err(|error| Error::failed("an event of the journal can't be read").caused_by(error))?;
        Ok(match event {
            Event::Requested { request, reason } => {
                Some(Asked { id: row.get(0), request, reason, actor: row.get(2), host: row.get(3), at: row.get(4) })
            }
            Event::PlanRecorded
            | Event::Kept { .. }
            | Event::TakenOver { .. }
            | Event::Repaired { .. }
            | Event::FileForgotten
            | Event::GivenBack
            | Event::StepStarted { .. }
            | Event::ChunkDone { .. }
            | Event::StepSucceeded { .. }
            | Event::StepFailed { .. }
            | Event::UndoStarted { .. }
            | Event::UndoSucceeded { .. }
            | Event::UndoFailed { .. } => None,
        })
    }

    /// The live settings that hold now.
    pub async fn live_settings(&self, client: &Client) -> Result<Vec<LiveSetting>> {
        let query = sql!(
            "SELECT key, value, set_by, host, to_char(set_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
             to_char(until AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM {}.throttle_settings \
             WHERE until IS NULL OR until > clock_timestamp() ORDER BY key",
            self.schema
        );
        let rows = client.query_typed(query.as_str(), &[]).await.doing("read the live settings")?;
        let setting = |row: &tokio_postgres::Row| LiveSetting {
            key: row.get(0),
            value: row.get(1),
            set_by: row.get(2),
            host: row.get(3),
            set_at: row.get(4),
            until: row.get(5),
        };
        Ok(rows.iter().map(setting).collect())
    }

    /// The base with the live settings over it. One that a newer program has written is passed over, and logged.
    pub fn with_live(base: &Settings, live: &[LiveSetting]) -> Settings {
        let mut settings = base.clone();
        for setting in live {
            let set = match Key::by_name(&setting.key) {
                Some(key) => settings.set_text(key, &setting.value),
                None => Err("no such key".to_owned()),
            };
            if let Err(why) = set {
                tracing::warn!(
                    key = setting.key,
                    why,
                    "a live setting of the throttle is not understood, and was left out"
                );
            }
        }
        settings
    }

    /// Sets a live setting, for so many seconds where that is said; without a value it is taken back.
    pub async fn set_live(&self, client: &Client, key: Key, value: Option<&str>, seconds: Option<f64>) -> Result<()> {
        let doing = "write a live setting";
        let Some(value) = value else {
            let delete = sql!("DELETE FROM {}.throttle_settings WHERE key = $1", self.schema);
            client.execute_typed(delete.as_str(), &[(&key.name(), Type::TEXT)]).await.doing(doing)?;
            return Ok(());
        };
        let upsert = sql!(
            "INSERT INTO {}.throttle_settings (key, value, host, until, set_by) \
             VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4), coalesce($5, session_user::text)) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, host = excluded.host, until = excluded.until, \
             set_by = excluded.set_by, set_at = clock_timestamp()",
            self.schema
        );
        client
            .execute_typed(
                upsert.as_str(),
                &[
                    (&key.name(), Type::TEXT),
                    (&value, Type::TEXT),
                    (&self.run.host, Type::TEXT),
                    (&seconds, Type::FLOAT8),
                    (&self.run.audit.actor, Type::TEXT),
                ],
            )
            .await
            .doing(doing)?;
        Ok(())
    }

    /// Adds time that was spent waiting. The row without a signal counts the time that the step was at work or waiting in all.
    pub async fn add_waiting(
        &self,
        client: &Client,
        epoch: i64,
        place: (i64, u16),
        reason: (&str, &str),
        waiting: &Waiting,
    ) -> Result<()> {
        let upsert = sql!(
            "INSERT INTO {}.throttle_pauses AS p (plan_id, step, signal, scope, reason, times, total_ms, since, epoch) \
             SELECT $1, $2, $3, $4, $5, $6, $7, clock_timestamp() - make_interval(secs => $8), l.epoch FROM {}.lease AS l WHERE l.id = 1 AND l.epoch = $9 \
             ON CONFLICT (plan_id, step, signal, scope) DO UPDATE SET reason = excluded.reason, times = p.times + excluded.times, \
             total_ms = p.total_ms + excluded.total_ms, since = excluded.since, epoch = excluded.epoch, updated_at = clock_timestamp()",
            self.schema,
            self.schema
        );
        let (plan_id, step) = place;
        client
            .execute_typed(
                upsert.as_str(),
                &[
                    (&plan_id, Type::INT8),
                    (&i32::from(step), Type::INT4),
                    (&reason.0, Type::TEXT),
                    (&reason.1, Type::TEXT),
                    (&waiting.reason, Type::TEXT),
                    (&waiting.times, Type::INT8),
                    (&waiting.ms, Type::INT8),
                    (&waiting.since_seconds, Type::FLOAT8),
                    (&epoch, Type::INT8),
                ],
            )
            .await
            .doing("write down what the work waits for")?;
        Ok(())
    }

    /// What a step has waited for so far. Nothing where the journal has no such table yet.
    pub async fn waited(&self, client: &Client, plan_id: i64, step: u16) -> Result<Vec<Waited>> {
        let doing = "read what the work waits for";
        if !self.has_controls(client).await? {
            return Ok(Vec::new());
        }
        let query = sql!(
            "SELECT signal, scope, reason, times, total_ms, to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), epoch \
             FROM {}.throttle_pauses WHERE plan_id = $1 AND step = $2 ORDER BY total_ms DESC, signal, scope",
            self.schema
        );
        let rows = client
            .query_typed(query.as_str(), &[(&plan_id, Type::INT8), (&i32::from(step), Type::INT4)])
            .await
            .doing(doing)?;
        let waited = |row: &tokio_postgres::Row| Waited {
            signal: row.get(0),
            scope: row.get(1),
            reason: row.get(2),
            times: row.get(3),
            total_ms: row.get(4),
            since: row.get(5),
            epoch: row.get(6),
        };
        Ok(rows.iter().map(waited).collect())
    }
}
