//! The journal in the target database: plans, events, cursors, and the tracking table that people know.

mod alerts;
mod cursors;
mod done;
mod events;
mod fault;
mod format;
mod given_back;
mod readiness;
mod taken_over;
mod texts;
mod trail;

use crossfade_core::journal::Event;
use crossfade_core::journal::State;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::sql;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Sql;
use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;
use crossfade_core::step::StepId;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

pub(crate) use cursors::Follows;
pub(crate) use done::RecordDone;
pub(crate) use events::Run;
pub(crate) use fault::Fault;
pub(crate) use readiness::Standing;
pub(crate) use taken_over::TakenOver;
pub(crate) use texts::StoredTexts;
pub(crate) use trail::Since;
pub(crate) use trail::TrailEvent;

use crate::audit::Audit;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;

/// The journal, over one connection.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub schema: Ident,
    pub fault: Option<Fault>,
    /// What stands beside each event that it writes.
    pub run: Run,
}

/// A row of the tracking table.
#[derive(Clone, Debug)]
pub(crate) struct TrackedRow {
    pub version: String,
    pub name: String,
    pub checksum: String,
    pub state: State,
    pub plan_id: i64,
    pub applied_at: Option<String>,
    pub duration_ms: Option<i64>,
    pub applied_by: Option<String>,
    /// Seconds since contract, for the retention.
    pub contracted_for: Option<f64>,
    /// Who ran it: `crossfade`, the tool that it was taken over from, or `baseline`.
    pub origin: String,
    /// Why its file may be missing; none: it may not.
    pub missing_because: Option<String>,
}

/// A stored plan with what has happened to it.
#[derive(Clone, Debug)]
pub(crate) struct StoredPlan {
    pub id: i64,
    pub plan: Plan,
    pub events: Vec<Event>,
    pub up_sql: String,
}

/// What is written beside a plan.
#[derive(Clone, Debug)]
pub(crate) struct PlanFiles<'a> {
    pub up_sql: &'a str,
    pub down_sql: Option<&'a str>,
}

fn state_from(name: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.name() == name)
}

/// As the column `kind` spells it.
fn kind_name(kind: PlanKind) -> &'static str {
    match kind {
        PlanKind::Up => "up",
        PlanKind::Down => "down",
        PlanKind::Backfill => "backfill",
    }
}

impl Store {
    /// For tests of the recovery: notes that something is about to be written.
    pub(super) fn count_writes(&self, writes: usize) -> Result<()> {
        self.fault.as_ref().map_or(Ok(()), |fault| fault.count(writes))
    }

    pub fn new(schema: &Ident) -> Store {
        Store { schema: schema.clone(), fault: None, run: Run::new(Audit::default()) }
    }

    /// The tracking table.
    pub async fn rows(&self, client: &Client) -> Result<Vec<TrackedRow>> {
        // A column that an earlier version's table lacks is found in the row beside it.
        let query = sql!(
            "SELECT m.* FROM (VALUES ('crossfade'::text, NULL::text)) AS lacking (origin, missing_because), LATERAL (\
             SELECT version, name, checksum, state, plan_id, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), duration_ms, applied_by, \
             extract(epoch FROM now() - contracted_at)::float8, origin, missing_because FROM {}.schema_migrations) AS m",
            self.schema
        );
        let rows = client.query_typed(query.as_str(), &[]).await.doing("read the tracking table")?;
        let mut tracked = Vec::new();
        for row in rows {
            let state: String = row.get(3);
            let state = state_from(&state).ok_or_else(|| {
                Error::refused(format!("the tracking table has a state {state} that this program does not know"))
                    .hint("use a newer crossfade")
            })?;
            tracked.push(TrackedRow {
                version: row.get(0),
                name: row.get(1),
                checksum: row.get(2),
                state,
                plan_id: row.get(4),
                applied_at: row.get(5),
                duration_ms: row.get(6),
                applied_by: row.get(7),
                contracted_for: row.get(8),
                origin: row.get(9),
                missing_because: row.get(10),
            });
        }
        tracked.sort_by_cached_key(|row| crate::source::VersionKey::of(&row.version));
        Ok(tracked)
    }

    /// A stored plan with its events; the cursors come last, as the events that they are.
    pub async fn load(&self, client: &Client, plan_id: i64) -> Result<StoredPlan> {
        let doing = "read a plan from the journal";
        let query = sql!("SELECT plan::text, up_sql FROM {}.plans WHERE id = $1", self.schema);
        let row = client.query_typed_one(query.as_str(), &[(&plan_id, Type::INT8)]).await.doing(doing)?;
        let damaged = |error: serde_json::Error| {
            Error::failed(format!("plan {plan_id} in the journal can't be read")).caused_by(error)
        };
        let plan: Plan = serde_json::from_str(row.get(0)).map_err(damaged)?;
        if plan.format > crossfade_core::step::PLAN_FORMAT {
            return Err(Error::refused(format!("{} was planned by a newer crossfade", plan.title()))
                .hint("use that one to finish it"));
        }
        let query = sql!("SELECT event::text FROM {}.events WHERE plan_id = $1 ORDER BY id", self.schema);
        let rows = client.query_typed(query.as_str(), &[(&plan_id, Type::INT8)]).await.doing(doing)?;
        let mut events: Vec<Event> = Vec::new();
        for row in rows {
            events.push(serde_json::from_str(row.get(0)).map_err(damaged)?);
        }
        let query = sql!(
            "SELECT step, cursor::text, rows, took_ms FROM {}.cursors WHERE plan_id = $1 ORDER BY step, updated_at",
            self.schema
        );
        for row in client.query_typed(query.as_str(), &[(&plan_id, Type::INT8)]).await.doing(doing)? {
            events.push(Event::ChunkDone {
                step: StepId(row.get::<_, i32>(0) as u16),
                cursor: serde_json::from_str(row.get(1)).map_err(damaged)?,
                rows: row.get::<_, i64>(2) as u64,
                took_ms: row.get::<_, i64>(3) as u64,
            });
        }
        Ok(StoredPlan { id: plan_id, plan, events, up_sql: row.get(1) })
    }

    /// Stores a plan that belongs to no migration, and its first event.
    pub async fn record_alone(&self, client: &Client, epoch: i64, plan: &Plan, statement: &str) -> Result<StoredPlan> {
        let doing = "store the plan";
        client.batch_execute("BEGIN").await.doing(doing)?;
        let done = async {
            let files = PlanFiles { up_sql: statement, down_sql: None };
            let id = self.insert_plan(client, plan, &files).await?;
            // What its earlier sweeps have set aside is looked at again.
            let forget = sql!(
                "DELETE FROM {}.parked WHERE plan_id IN (SELECT id FROM {}.plans WHERE kind = $1 AND plan ->> 'name' = $2)",
                self.schema,
                self.schema
            );
            let kind = kind_name(plan.kind);
            client
                .execute_typed(forget.as_str(), &[(&kind, Type::TEXT), (&plan.name, Type::TEXT)])
                .await
                .doing(doing)?;
            let events = vec![Event::PlanRecorded];
            self.append(client, epoch, id, &plan.version, &events, State::Pending, 0).await?;
            Ok(StoredPlan { id, plan: plan.clone(), events, up_sql: statement.to_owned() })
        };
        finish(client, done.await, doing).await
    }

    /// The newest plan of each backfill that was ever begun alone.
    pub async fn backfills(&self, client: &Client) -> Result<Vec<i64>> {
        let query = sql!(
            "SELECT id FROM (SELECT DISTINCT ON (plan ->> 'name') id FROM {}.plans WHERE kind = {} ORDER BY plan ->> 'name', id DESC) AS newest ORDER BY id",
            self.schema,
            Literal(kind_name(PlanKind::Backfill).to_owned())
        );
        let rows = client.query_typed(query.as_str(), &[]).await.doing("read the backfills")?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn insert_plan(&self, client: &Client, plan: &Plan, files: &PlanFiles<'_>) -> Result<i64> {
        let json = serde_json::to_string(plan)
            .map_err(|error| Error::failed("could not write the plan down").caused_by(error))?;
        let insert = sql!(
            "INSERT INTO {}.plans (version, kind, plan, up_sql, down_sql) VALUES ($1, $2, $3::text::json, $4, $5) RETURNING id",
            self.schema
        );
        let row = client
            .query_typed_one(
                insert.as_str(),
                &[
                    (&plan.version, Type::TEXT),
                    (&kind_name(plan.kind), Type::TEXT),
                    (&json, Type::TEXT),
                    (&files.up_sql, Type::TEXT),
                    (&files.down_sql, Type::TEXT),
                ],
            )
            .await
            .doing("store the plan")?;
        Ok(row.get(0))
    }

    /// Stores a plan and its first event, and makes it the migration's current one.
    pub async fn record(&self, client: &Client, epoch: i64, plan: &Plan, files: &PlanFiles<'_>) -> Result<StoredPlan> {
        self.record_mended(client, epoch, plan, files, &[]).await
    }

    /// The same for a plan of which something is done already, as these events say.
    pub async fn record_mended(
        &self,
        client: &Client,
        epoch: i64,
        plan: &Plan,
        files: &PlanFiles<'_>,
        done: &[Event],
    ) -> Result<StoredPlan> {
        let doing = "store the plan";
        client.batch_execute("BEGIN").await.doing(doing)?;
        let done = async {
            let id = self.insert_plan(client, plan, files).await?;
            let events: Vec<Event> = std::iter::once(Event::PlanRecorded).chain(done.iter().cloned()).collect();
            let progress = fold(plan, &events)
                .map_err(|error| Error::failed("an event does not fit the journal").caused_by(error))?;
            let state = state_of(plan, &progress);
            let track = sql!(
                "INSERT INTO {}.schema_migrations AS m (version, name, checksum, state, plan_id, host, tool_version, git_commit) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (version) DO UPDATE SET name = $2, checksum = CASE WHEN $9 THEN m.checksum ELSE $3 END, state = $4, plan_id = $5, \
                 duration_ms = CASE WHEN $9 THEN m.duration_ms ELSE 0 END, applied_by = session_user, host = $6, tool_version = $7, git_commit = $8, contracted_at = NULL, \
                 origin = CASE WHEN $9 THEN m.origin ELSE 'crossfade' END, raw_checksum = CASE WHEN $9 THEN m.raw_checksum END, \
                 missing_because = CASE WHEN $9 THEN m.missing_because END, applied_at = CASE WHEN $9 THEN m.applied_at END",
                self.schema
            );
            client
                .execute_typed(
                    track.as_str(),
                    &[
                        (&plan.version, Type::TEXT),
                        (&plan.name, Type::TEXT),
                        (&plan.checksum, Type::TEXT),
                        (&state.name(), Type::TEXT),
                        (&id, Type::INT8),
                        (&self.run.host, Type::TEXT),
                        (&env!("CARGO_PKG_VERSION"), Type::TEXT),
                        (&self.run.audit.git_commit, Type::TEXT),
                        (&(plan.kind == PlanKind::Down), Type::BOOL),
                    ],
                )
                .await
                .doing(doing)?;
            self.append(client, epoch, id, &plan.version, &events, state, 0).await?;
            Ok(StoredPlan { id, plan: plan.clone(), events, up_sql: files.up_sql.to_owned() })
        };
        finish(client, done.await, doing).await
    }

    /// Appends events in the transaction that is open, or in one of their own, and keeps the tracking row true. Fails when the lease is lost.
    #[expect(clippy::too_many_arguments, reason = "each is one column of the row")]
    pub async fn append(
        &self,
        client: &Client,
        epoch: i64,
        plan_id: i64,
        version: &str,
        events: &[Event],
        state: State,
        took_ms: i64,
    ) -> Result<()> {
        let doing = "write the journal";
        self.count_writes(events.len())?;
        for event in events {
            self.insert_event(client, epoch, plan_id, event).await?;
        }
        let update = sql!(
            "UPDATE {}.schema_migrations SET state = $1, duration_ms = duration_ms + $2, \
             applied_at = CASE WHEN $1 = 'applied' THEN coalesce(applied_at, clock_timestamp()) WHEN $1 IN ('contracted', 'ready') THEN applied_at ELSE NULL END, \
             contracted_at = CASE WHEN $1 IN ('contracted', 'applied') THEN coalesce(contracted_at, clock_timestamp()) ELSE NULL END \
             WHERE version = $3 AND plan_id = $4 AND (state <> $1 OR $2 > 0)",
            self.schema
        );
        client
            .execute_typed(
                update.as_str(),
                &[(&state.name(), Type::TEXT), (&took_ms, Type::INT8), (&version, Type::TEXT), (&plan_id, Type::INT8)],
            )
            .await
            .doing(doing)?;
        Ok(())
    }
}

/// Ends a transaction: commits what succeeded, rolls back what did not.
pub(crate) async fn finish<T>(client: &Client, result: Result<T>, doing: &str) -> Result<T> {
    match result {
        Ok(value) => {
            client.batch_execute("COMMIT").await.doing(doing)?;
            Ok(value)
        }
        Err(error) => {
            let _ = client.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

/// How a time in UTC is written, for `to_char`.
pub(super) fn utc() -> Sql {
    sql!("'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'")
}

fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default()
}

pub(super) fn lease_lost() -> Error {
    Error::failed("another runner took the lease over; nothing of this step was kept")
        .hint("`crossfade status` shows who runs now")
}
