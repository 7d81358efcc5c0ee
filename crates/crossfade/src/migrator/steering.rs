//! Steering a run from beside it, without the lease: pause, resume, and the throttle.

use std::time::Duration;

use crossfade_core::journal::Direction;
use crossfade_core::journal::Progress;
use crossfade_core::journal::Request;
use crossfade_core::journal::State;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::sql::TableName;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;
use crossfade_core::throttle::Key;
use crossfade_core::throttle::Measure;
use crossfade_core::throttle::Settings;
use tokio_postgres::Client;

use super::Migrator;
use super::shared::choose;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::controls::LiveSetting;
use crate::postgres::lease::APPLICATION;
use crate::postgres::lease::current_runner;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::report::REPORT_FORMAT;
use crate::report::RunMigration;
use crate::report::RunReport;
use crate::report::SettingReport;
use crate::report::SignalReport;
use crate::report::ThrottleReport;
use crate::throttle::Seen;
use crate::throttle::look_once;

/// What to do with a live setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveChange {
    /// Which.
    pub key: Key,
    /// To what; none takes it back.
    pub value: Option<String>,
}

/// A plan that was begun, with what its events add up to.
struct Begun {
    stored: StoredPlan,
    progress: Progress,
    state: State,
}

impl Begun {
    async fn load(client: &Client, store: &Store, plan_id: i64) -> Result<Begun> {
        let stored = store.load(client, plan_id).await?;
        let progress = fold(&stored.plan, &stored.events)
            .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
        let state = state_of(&stored.plan, &progress);
        Ok(Begun { stored, progress, state })
    }

    fn is_paused(&self) -> bool {
        self.progress.paused && self.progress.direction == Direction::Forward
    }
}

/// The plans of one migration; without a version of every migration, and of the backfills that were begun alone.
async fn begun(migrator: &Migrator, client: &Client, store: &Store, version: Option<&str>) -> Result<Vec<Begun>> {
    let rows = migrator.look().await?;
    let mut ids: Vec<i64> = choose(&rows, version)?
        .into_iter()
        .filter(|row| version.is_some() || !is_over(row.state))
        .map(|row| row.plan_id)
        .collect();
    if version.is_none() && store.exists(client).await? {
        ids.extend(store.backfills(client).await?);
    }
    let mut plans = Vec::new();
    for id in ids {
        plans.push(Begun::load(client, store, id).await?);
    }
    Ok(plans)
}

fn is_over(state: State) -> bool {
    match state {
        State::Applied | State::RolledBack => true,
        State::Pending
        | State::Expanding
        | State::Migrating
        | State::Ready
        | State::Contracting
        | State::Contracted
        | State::Failed
        | State::RollingBack => false,
    }
}

/// Whether a process may be at work on it, so that a pause without a version means it.
fn is_under_way(state: State) -> bool {
    match state {
        State::Pending | State::Expanding | State::Migrating | State::Contracting => true,
        State::Ready | State::Contracted | State::Failed | State::RollingBack | State::Applied | State::RolledBack => {
            false
        }
    }
}

fn report_of(plans: &[Begun], next: impl Fn(&Plan) -> Option<String>) -> RunReport {
    let migrations = plans.iter().map(|begun| {
        let plan = &begun.stored.plan;
        RunMigration { version: plan.version.clone(), name: plan.name.clone(), state: begun.state, next: next(plan) }
    });
    RunReport { format: REPORT_FORMAT, migrations: migrations.collect() }
}

pub(super) async fn pause(migrator: &Migrator, version: Option<&str>, reason: Option<&str>) -> Result<RunReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.recording_store();
    let mut due = begun(migrator, &client, &store, version).await?;
    due.retain(|begun| version.is_some() || is_under_way(begun.state));
    if due.is_empty() {
        return Err(
            Error::refused("nothing is under way").hint("`crossfade pause VERSION` pauses a migration that waits, too")
        );
    }
    for begun in &due {
        let why_not = match begun.state {
            State::RollingBack => Some("is being rolled back, and a rollback is not paused"),
            state if is_over(state) => Some("is not under way"),
            _ => None,
        };
        if let Some(why_not) = why_not {
            return Err(Error::refused(format!("{} {why_not}", begun.stored.plan.title()))
                .hint("Ctrl-C or SIGTERM stops the command that runs it at a safe point"));
        }
    }
    for begun in due.iter().filter(|begun| !begun.is_paused()) {
        store.ask(&client, begun.stored.id, Request::Pause, reason).await?;
    }
    Ok(report_of(&due, |plan| Some(paused_text(plan))))
}

/// What a paused plan waits for.
pub(super) fn paused_text(plan: &Plan) -> String {
    match plan.kind {
        PlanKind::Up | PlanKind::Down => {
            format!("it is paused; `crossfade resume {}` lets it go on", plan.version)
        }
        PlanKind::Backfill => "it is paused; `crossfade resume` lets it go on".to_owned(),
    }
}

pub(super) async fn resume(migrator: &Migrator, version: Option<&str>) -> Result<RunReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.recording_store();
    let mut due = begun(migrator, &client, &store, version).await?;
    due.retain(|begun| begun.is_paused() && !is_over(begun.state));
    if due.is_empty() {
        return Err(match version {
            Some(version) => Error::refused(format!("migration {version} is not paused")),
            None => Error::refused("nothing is paused"),
        });
    }
    let runs = current_runner(&client, &store.schema).await?.is_some();
    for begun in &due {
        store.ask(&client, begun.stored.id, Request::Resume, None).await?;
    }
    Ok(report_of(&due, |plan| {
        Some(if runs { "whoever runs it goes on".to_owned() } else { format!("`{}` goes on", plan.command()) })
    }))
}

pub(super) async fn set(migrator: &Migrator, changes: &[LiveChange], during: Option<Duration>) -> Result<()> {
    let mut settings = migrator.config.throttle_base();
    for change in changes {
        if let Some(value) = &change.value {
            settings.set_text(change.key, value).map_err(|why| {
                Error::usage(format!("{}: {why}", change.key.name()))
                    .hint("docs/throttle.md says what each key takes; KEY=default takes a live setting back")
            })?;
        }
    }
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.recording_store();
    if !store.exists(&client).await? {
        return Err(Error::refused("there is no journal in this database yet, so a live setting has no place")
            .hint("write it into crossfade.toml, under [throttle]"));
    }
    store.ensure(&client).await?;
    for change in changes {
        store.set_live(&client, change.key, change.value.as_deref(), during.map(|time| time.as_secs_f64())).await?;
    }
    Ok(())
}

pub(super) async fn report(migrator: &Migrator) -> Result<ThrottleReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let has_journal = store.exists(&client).await? && store.has_controls(&client).await?;
    let live = if has_journal { store.live_settings(&client).await? } else { Vec::new() };
    let base = migrator.config.throttle_base();
    let settings = Store::with_live(&base, &live);
    let mut tables = Vec::new();
    if has_journal {
        for begun in begun(migrator, &client, &store, None).await?.iter().filter(|begun| is_under_way(begun.state)) {
            tables.extend(current_tables(begun));
        }
    }
    let seen = look_once(&client, has_journal.then_some(&store), &settings, &tables).await;
    Ok(ThrottleReport {
        format: REPORT_FORMAT,
        settings: Key::ALL.into_iter().map(|key| setting(key, migrator, &settings, &live)).collect(),
        signals: signal_reports(&seen),
    })
}

/// What was seen, as documents have it.
pub(super) fn signal_reports(seen: &Seen) -> Vec<SignalReport> {
    let signals = seen.readings.iter().map(|reading| {
        let (value, error) = match &reading.measure {
            Measure::Value(value) => (Some(*value), None),
            Measure::Unmeasurable(why) => (None, Some(why.clone())),
        };
        SignalReport {
            signal: reading.signal.name(),
            scope: reading.scope.clone(),
            value,
            limit: (reading.limit > 0.0).then_some(reading.limit),
            over: reading.is_over(),
            text: reading.reason(),
            error,
        }
    });
    let blind = seen.blind.iter().map(|(signal, why)| SignalReport {
        signal: signal.name(),
        scope: String::new(),
        value: None,
        limit: None,
        over: false,
        text: format!("not measured: {why}"),
        error: Some(why.clone()),
    });
    signals.chain(blind).collect()
}

fn setting(key: Key, migrator: &Migrator, settings: &Settings, live: &[LiveSetting]) -> SettingReport {
    let set = live.iter().find(|setting| setting.key == key.name());
    let in_file = match key {
        Key::Duty => migrator.config.backfill.duty != Settings::default().duty,
        _ => migrator.config.throttle.is_said(key),
    };
    let source = match (set, in_file) {
        (Some(_), _) => "live",
        (None, true) => "file",
        (None, false) => "default",
    };
    SettingReport {
        key: key.name(),
        value: settings.show(key),
        source,
        set_by: set.map(|set| set.set_by.clone()),
        host: set.map(|set| set.host.clone()),
        set_at: set.map(|set| set.set_at.clone()),
        until: set.and_then(|set| set.until.clone()),
    }
}

/// The relations of the step that a migration is at.
fn current_tables(begun: &Begun) -> Vec<TableName> {
    let at = super::status::at(&begun.stored.plan, &begun.progress);
    let step = at.and_then(|at| begun.stored.plan.steps.get(at));
    match step.map(|step| &step.action) {
        Some(Action::Backfill(backfill)) => backfill.units.iter().map(|unit| unit.relation.clone()).collect(),
        Some(Action::Verify(verify)) => verify.units.iter().map(|unit| unit.relation.clone()).collect(),
        Some(
            Action::Ddl(_) | Action::Concurrently(_) | Action::Validate(_) | Action::Assert(_) | Action::Hold { .. },
        )
        | None => Vec::new(),
    }
}
