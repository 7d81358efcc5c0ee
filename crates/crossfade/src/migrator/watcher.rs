//! Eyes on a database: the same look again and again, over one connection that is kept. It reads with limits, and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use crossfade_core::backfill::Pace;
use crossfade_core::backfill::blocks;
use crossfade_core::journal::Event;
use crossfade_core::journal::Progress;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::Migrator;
use super::status;
use super::status::Gathered;
use super::steering::signal_reports;
use super::trail;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::reading;
use crate::postgres::sessions::lock_waits;
use crate::postgres::store::Since;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::report::BlocksReport;
use crate::report::FailingHook;
use crate::report::Flight;
use crate::report::FlightStep;
use crate::report::HistoryAlert;
use crate::report::HistoryEvent;
use crate::report::OldFormStatus;
use crate::report::REPORT_FORMAT;
use crate::report::ReplicaReport;
use crate::report::Snapshot;
use crate::throttle::Beside;
use crate::throttle::Seen;

/// As the server shows it in `pg_stat_activity`.
const APPLICATION: &str = "crossfade watch";

/// How long one look may take, the connection included.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often it is looked who uses old forms: that reads the texts of all statements that the server counts.
const OLD_FORMS: Duration = Duration::from_secs(30);

/// So many events are shown.
const EVENTS: i64 = 200;

/// So many alerts are shown.
const ALERTS: i64 = 50;

/// Looks again and again. A connection that is lost is made anew by the next look.
#[derive(Debug)]
pub struct Watcher {
    migrator: Migrator,
    client: Option<Client>,
    begun: Instant,
    beside: Beside,
    paces: BTreeMap<(String, usize), Pace>,
    /// The newest events, and the newest one's number: they are read again when that has changed.
    events: Option<(i64, Vec<HistoryEvent>)>,
    old_forms: OldForms,
}

/// Who was seen to use old forms.
#[derive(Debug, Default)]
struct OldForms {
    /// When it was looked, and which versions waited for their deploy then.
    looked: Option<(Duration, Vec<String>)>,
    /// By version.
    seen: BTreeMap<String, OldFormStatus>,
    /// Why it can't be seen.
    unseen: Option<String>,
}

/// What is read of the journal in one transaction.
struct Read {
    taken_at: String,
    gathered: Gathered,
    settings: crossfade_core::throttle::Settings,
    commit_seconds: Option<f64>,
    events: Option<(i64, Vec<HistoryEvent>)>,
    /// None where this role may not read them.
    alerts: Option<Vec<HistoryAlert>>,
    failing_hooks: Vec<FailingHook>,
}

impl Watcher {
    pub(super) fn new(migrator: &Migrator) -> Watcher {
        Watcher {
            migrator: migrator.clone(),
            client: None,
            begun: Instant::now(),
            beside: Beside::default(),
            paces: BTreeMap::new(),
            events: None,
            old_forms: OldForms::default(),
        }
    }

    /// One look at everything.
    ///
    /// # Errors
    ///
    /// When the files or the database can't be read. The next look connects anew.
    pub async fn look(&mut self) -> Result<Snapshot> {
        let begun = Instant::now();
        // Taken out meanwhile: of a look that is given up nobody knows in which state it left the connection.
        let client = self.client.take().filter(|client| !client.is_closed());
        let looked = tokio::time::timeout(PATIENCE, async {
            let client = match client {
                Some(client) => client,
                None => self.migrator.target.connect(APPLICATION).await?,
            };
            let snapshot = self.look_over(&client).await?;
            Ok::<_, Error>((client, snapshot))
        });
        let looked = looked.await.map_err(|_| {
            Error::failed(format!("could not look at the database in {} s", PATIENCE.as_secs()))
                .hint("it is busy or out of reach; the next look connects anew")
        });
        let (client, snapshot) = looked??;
        self.client = Some(client);
        Ok(Snapshot { took_seconds: begun.elapsed().as_secs_f64(), ..snapshot })
    }

    async fn look_over(&mut self, client: &Client) -> Result<Snapshot> {
        let known = self.events.take();
        let migrator = &self.migrator;
        let store = migrator.store();
        let Read { taken_at, mut gathered, settings, commit_seconds, events, alerts, failing_hooks } =
            reading(client, async || read(migrator, client, &store, known).await).await?;
        let now = self.begun.elapsed();
        self.look_for_old_forms(client, &gathered, now).await;
        status::show_old_forms(&mut gathered.report, &self.old_forms.seen);
        let (flights, tables) = self.flights(&gathered, now);
        let seen = self.beside.look(client, &settings, &tables, now).await;
        let mut unseen: Vec<String> = self.old_forms.unseen.iter().cloned().collect();
        let waits = reading(client, async || lock_waits(client, &tables).await).await;
        let lock_waits = waits.unwrap_or_else(|error| {
            unseen.push(format!("who waits for locks: {}", error.chain()));
            Vec::new()
        });
        let blind = seen.on.blind.iter().chain(&seen.off.blind);
        unseen.extend(blind.map(|(signal, why)| format!("{}: {why}", signal.name())));
        if alerts.is_none() {
            unseen.push(format!("what hooks were told: GRANT SELECT ON {}.alerts TO this role", store.schema));
        }
        let shown = self.events.insert(events.unwrap_or_default()).1.clone();
        Ok(Snapshot {
            format: REPORT_FORMAT,
            taken_at,
            took_seconds: 0.0,
            flights,
            lock_waits,
            replicas: replicas(&[&seen.on, &seen.off]),
            signals: signal_reports(&seen.on),
            duty: settings.duty,
            commit_seconds: commit_seconds.filter(|_| gathered.report.runner.is_some()),
            oldest_transaction_seconds: [&seen.on, &seen.off]
                .into_iter()
                .flat_map(|seen| &seen.readings)
                .find(|reading| reading.signal == Signal::XminAge)
                .and_then(crossfade_core::throttle::Reading::number),
            events: shown,
            alerts: alerts.unwrap_or_default(),
            failing_hooks,
            unseen,
            status: gathered.report,
        })
    }

    /// Anew where another migration waits for its deploy, else now and then.
    async fn look_for_old_forms(&mut self, client: &Client, gathered: &Gathered, now: Duration) {
        let ready = gathered.report.migrations.iter().filter(|migration| migration.state == State::Ready);
        let ready: Vec<String> = ready.map(|migration| migration.version.clone()).collect();
        let is_fresh = |(at, of): &(Duration, Vec<String>)| *of == ready && now.saturating_sub(*at) < OLD_FORMS;
        if self.old_forms.looked.as_ref().is_some_and(is_fresh) {
            return;
        }
        let migrator = &self.migrator;
        let seen = reading(client, async || status::old_forms(migrator, client, gathered).await).await;
        let (seen, unseen) = match seen {
            Ok(seen) => (seen, None),
            // Something before it failed and was passed over: outside of a transaction that is no harm.
            Err(error) if error.sql_state().as_deref() == Some(SqlState::IN_FAILED_SQL_TRANSACTION.code()) => {
                (BTreeMap::new(), Some("who uses old forms: `crossfade usage` says what can't be seen".to_owned()))
            }
            Err(error) => (BTreeMap::new(), Some(format!("who uses old forms: {}", error.chain()))),
        };
        self.old_forms = OldForms { looked: Some((now, ready)), seen, unseen };
    }

    /// What is in flight, with the tables that it works on.
    fn flights(&mut self, gathered: &Gathered, now: Duration) -> (Vec<Flight>, Vec<TableName>) {
        let (mut flights, mut tables, mut paces) = (Vec::new(), Vec::new(), BTreeMap::new());
        let report = &gathered.report;
        for migration in &report.migrations {
            let Some((_, stored)) = gathered.plans.get(&migration.version) else { continue };
            let worked_on = tables_of(&stored.plan);
            flights.push(Flight {
                key: migration.version.clone(),
                version: Some(migration.version.clone()),
                name: migration.name.clone(),
                state: migration.state,
                next: migration.next.clone(),
                step: migration.step.clone(),
                progress: migration.progress.clone(),
                blocks: None,
                pace: None,
                pause: migration.pause.clone(),
                waited: migration.waited.clone(),
                parked: migration.parked,
                old_form: migration.old_form.clone(),
                error: migration.error.clone(),
                steps: Vec::new(),
                tables: worked_on.iter().map(ToString::to_string).collect(),
            });
            self.finish_flight(flights.last_mut(), stored, now, &mut paces);
            tables.extend(worked_on);
        }
        let backfills = report.backfills.iter().zip(&gathered.backfills);
        for (backfill, stored) in backfills.filter(|(backfill, _)| backfill.step.is_some()) {
            let worked_on = tables_of(&stored.plan);
            flights.push(Flight {
                key: backfill.command.clone(),
                version: None,
                name: stored.plan.name.clone(),
                state: backfill.state,
                next: backfill.next.clone(),
                step: backfill.step.clone(),
                progress: backfill.progress.clone(),
                blocks: None,
                pace: None,
                pause: backfill.pause.clone(),
                waited: backfill.waited.clone(),
                parked: backfill.parked,
                old_form: None,
                error: backfill.error.clone(),
                steps: Vec::new(),
                tables: worked_on.iter().map(ToString::to_string).collect(),
            });
            self.finish_flight(flights.last_mut(), stored, now, &mut paces);
            tables.extend(worked_on);
        }
        self.paces = paces;
        tables.sort();
        tables.dedup();
        (flights, tables)
    }

    /// What the plan and its events say beyond the status.
    fn finish_flight(
        &mut self,
        flight: Option<&mut Flight>,
        stored: &StoredPlan,
        now: Duration,
        paces: &mut BTreeMap<(String, usize), Pace>,
    ) {
        let Some(flight) = flight else { return };
        // Where the journal does not add up, the status says so.
        let Ok(progress) = fold(&stored.plan, &stored.events) else { return };
        flight.steps = steps_of(stored, &progress);
        let Some(at) = status::at(&stored.plan, &progress) else { return };
        let (Some(lanes), Some(step)) = (progress.chunks.get(at), stored.plan.steps.get(at)) else { return };
        let Action::Backfill(backfill) = &step.action else { return };
        let swept = blocks(backfill, lanes.iter().map(|lane| &lane.cursor));
        flight.blocks = swept.map(|(done, all)| BlocksReport { done, all });
        if let Some(progress) = &flight.progress {
            let key = (flight.key.clone(), at);
            let mut pace = self.paces.remove(&key).unwrap_or_default();
            flight.pace = pace.saw(now, progress.rows);
            paces.insert(key, pace);
        }
    }
}

async fn read(
    migrator: &Migrator,
    client: &Client,
    store: &Store,
    known: Option<(i64, Vec<HistoryEvent>)>,
) -> Result<Read> {
    let query = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let taken_at: String = client.query_typed_one(query, &[]).await.doing("ask for the time")?.get(0);
    let gathered = status::gather(migrator, client).await?;
    let base = migrator.config.throttle_base();
    if !store.exists(client).await? {
        return Ok(Read {
            taken_at,
            gathered,
            settings: base,
            commit_seconds: None,
            events: None,
            alerts: Some(Vec::new()),
            failing_hooks: Vec::new(),
        });
    }
    let live = if store.has_controls(client).await? { store.live_settings(client).await? } else { Vec::new() };
    let query = sql!("SELECT coalesce(max(id), 0) FROM {}.events", store.schema);
    let newest: i64 = client.query_typed_one(query.as_str(), &[]).await.doing("read the history")?.get(0);
    let events = match known.filter(|(known, _)| *known == newest) {
        Some(known) => known,
        None => (newest, trail::newest(client, store, EVENTS).await?),
    };
    Ok(Read {
        taken_at,
        gathered,
        settings: Store::with_live(&base, &live),
        commit_seconds: store.last_commit(client).await?,
        events: Some(events),
        alerts: store.alerts(client, None, Since { newest: Some(ALERTS), ..Since::default() }).await?,
        failing_hooks: store.failing_hooks(client, &migrator.hook_names()).await?,
    })
}

fn steps_of(stored: &StoredPlan, progress: &Progress) -> Vec<FlightStep> {
    let took = |number: usize| {
        stored.events.iter().rev().find_map(|event| {
            let Event::StepSucceeded { step, took_ms } = event else { return None };
            (usize::from(step.0) == number).then_some(*took_ms)
        })
    };
    let steps = stored.plan.steps.iter().zip(&progress.steps).enumerate();
    let step = |(at, (step, status)): (usize, (&crossfade_core::step::Step, &StepStatus))| FlightStep {
        number: at + 1,
        phase: step.phase.name(),
        kind: step.action.kind(),
        summary: step.summary.clone(),
        status: *status,
        took_ms: took(at).filter(|_| *status == StepStatus::Succeeded),
    };
    steps.map(step).collect()
}

/// What it fills, compares and locks.
fn tables_of(plan: &Plan) -> Vec<TableName> {
    let mut tables: Vec<TableName> = match plan.kind {
        PlanKind::Up | PlanKind::Down => plan.claims.iter().map(|claim| claim.table.clone()).collect(),
        PlanKind::Backfill => Vec::new(),
    };
    for step in &plan.steps {
        tables.extend(step.locks.iter().map(|lock| lock.table.clone()));
        match &step.action {
            Action::Backfill(backfill) => tables.extend(backfill.units.iter().map(|unit| unit.relation.clone())),
            Action::Verify(verify) => tables.extend(verify.units.iter().map(|unit| unit.relation.clone())),
            Action::Ddl(_)
            | Action::Concurrently(_)
            | Action::Validate(_)
            | Action::Assert(_)
            | Action::Hold { .. } => {}
        }
    }
    tables.sort();
    tables.dedup();
    tables
}

/// Each receiver once, from the two signals that speak of it.
fn replicas(seen: &[&Seen]) -> Vec<ReplicaReport> {
    let mut found: BTreeMap<&str, ReplicaReport> = BTreeMap::new();
    for reading in seen.iter().flat_map(|seen| &seen.readings) {
        if !matches!(reading.signal, Signal::ReplicaLag | Signal::ReplicaBytes) || reading.scope.is_empty() {
            continue;
        }
        let replica = found.entry(&reading.scope).or_insert_with(|| ReplicaReport {
            name: reading.scope.clone(),
            lag_seconds: None,
            lag_bytes: None,
            error: None,
        });
        match reading.number() {
            None => replica.error = Some(reading.text.clone()),
            Some(lag) if reading.signal == Signal::ReplicaLag => replica.lag_seconds = Some(lag),
            Some(lag) => replica.lag_bytes = Some(lag as u64),
        }
    }
    found.into_values().collect()
}
