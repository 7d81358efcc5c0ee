//! What `status` shows, folded from the journal: a second terminal sees what the first does.

use std::collections::BTreeMap;

use crossfade_core::journal::Direction;
use crossfade_core::journal::Progress;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use crossfade_core::throttle::Signal;
use tokio_postgres::Client;

use super::Migrator;
use super::history;
use super::shared::next_text;
use super::steering::paused_text;
use crate::error::Result;
use crate::postgres::controls::Waited;
use crate::postgres::lease::APPLICATION;
use crate::postgres::lease::current_epoch;
use crate::postgres::lease::current_runner;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::TrackedRow;
use crate::report::BackfillStatus;
use crate::report::MigrationStatus;
use crate::report::OldFormStatus;
use crate::report::PauseReport;
use crate::report::ProgressReport;
use crate::report::REPORT_FORMAT;
use crate::report::StatusReport;
use crate::report::StepReport;
use crate::report::WaitedReport;
use crate::source::FileKind;
use crate::source::SourceFile;
use crate::source::VersionKey;

/// The origin of what no other tool has run.
const OWN: &str = "crossfade";

/// The report, with the plans that are not over.
pub(super) struct Gathered {
    pub report: StatusReport,
    /// By the migration's version, with its row.
    pub plans: BTreeMap<String, (TrackedRow, StoredPlan)>,
    /// Of the backfills that were called for alone, in the report's order.
    pub backfills: Vec<StoredPlan>,
}

pub(super) async fn report(migrator: &Migrator) -> Result<StatusReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    let mut gathered = gather(migrator, &client).await?;
    let seen = old_forms(migrator, &client, &gathered).await?;
    show_old_forms(&mut gathered.report, &seen);
    Ok(gathered.report)
}

/// Who was seen to use the old form of what waits for the deploy, by version. It reads more than all the rest.
pub(super) async fn old_forms(
    migrator: &Migrator,
    client: &Client,
    gathered: &Gathered,
) -> Result<BTreeMap<String, OldFormStatus>> {
    let store = migrator.store();
    let mut found = BTreeMap::new();
    for migration in gathered.report.migrations.iter().filter(|migration| migration.state == State::Ready) {
        let Some((row, stored)) = gathered.plans.get(&migration.version) else { continue };
        let usage = migrator.witness(client, &store).usage(row, stored).await?;
        found.extend(usage.into_status().map(|seen| (migration.version.clone(), seen)));
    }
    Ok(found)
}

/// Puts it where the report has it.
pub(super) fn show_old_forms(report: &mut StatusReport, seen: &BTreeMap<String, OldFormStatus>) {
    for migration in report.migrations.iter_mut().filter(|migration| migration.state == State::Ready) {
        migration.old_form = seen.get(&migration.version).cloned();
    }
}

pub(super) async fn gather(migrator: &Migrator, client: &Client) -> Result<Gathered> {
    let folder = migrator.config.migrations.exists().then(|| migrator.folder()).transpose()?;
    let layout = folder.as_ref().map(|folder| folder.layout.name());
    let (files, passed_over) = folder.map(|folder| (folder.files, folder.passed_over)).unwrap_or_default();
    let store = migrator.store();
    let mut epoch = None;
    let mut failed_alerts = BTreeMap::new();
    let (mut rows, runner, backfills) = if store.exists(client).await? {
        let runner = current_runner(client, &store.schema).await?;
        if runner.is_some() {
            epoch = current_epoch(client, &store.schema).await?;
        }
        failed_alerts = store.failed_alerts(client).await?;
        (store.rows(client).await?, runner, backfills(client, &store, epoch).await?)
    } else {
        (Vec::new(), None, Vec::new())
    };
    let (backfills, backfill_plans): (Vec<BackfillStatus>, Vec<StoredPlan>) = backfills.into_iter().unzip();
    let files = history::as_tracked(files, &rows);
    let mut warnings = super::tolerance::tolerate_on(client, &store, &files, &mut rows).await?;
    let mut plans = BTreeMap::new();
    let mut migrations = Vec::new();
    let (by_version, run_late) = (history::by_version(&rows), history::run_late(&rows));
    let found = history::compare(&files, &rows, migrator.config.out_of_order);
    let file_of: BTreeMap<&str, &SourceFile> = files.iter().map(|file| (file.version.as_str(), file)).collect();
    for row in &rows {
        let file = file_of.get(row.version.as_str()).copied();
        let (status, stored) = of_row(migrator, client, &store, row, file, epoch).await?;
        plans.extend(stored.map(|stored| (row.version.clone(), (row.clone(), stored))));
        let failed_alerts = failed_alerts.remove(&row.version).unwrap_or_default();
        let out_of_order = run_late.contains(&row.version);
        migrations.push(MigrationStatus { out_of_order, failed_alerts, ..status });
    }
    for file in files.iter().filter(|file| !by_version.contains_key(file.version.as_str())) {
        migrations.push(MigrationStatus { out_of_order: found.late.contains(&file.version), ..pending(file) });
    }
    migrations.sort_by_cached_key(|migration| VersionKey::of(&migration.version));
    let problems = found.problems.into_iter().map(|problem| format!("{} ({})", problem.what, problem.hint)).collect();
    warnings.extend(found.notices);
    let passed_over = passed_over.iter();
    warnings.extend(passed_over.map(|file| format!("{} is passed over: {}", file.path.display(), file.why)));
    let report = StatusReport {
        format: REPORT_FORMAT,
        database: migrator.target.display(),
        layout,
        runner,
        migrations,
        backfills,
        warnings,
        problems,
    };
    Ok(Gathered { report, plans, backfills: backfill_plans })
}

fn pending(file: &SourceFile) -> MigrationStatus {
    MigrationStatus {
        version: file.version.clone(),
        name: file.name.clone(),
        state: State::Pending,
        next: next_text(State::Pending, &file.version),
        step: None,
        progress: None,
        pause: None,
        waited: Vec::new(),
        parked: 0,
        error: None,
        applied_at: None,
        duration_ms: None,
        applied_by: None,
        retained_until: None,
        old_form: None,
        failed_alerts: Vec::new(),
        origin: OWN.to_owned(),
        file: true,
        missing_because: None,
        down_file: file.down.is_some(),
        kind: file.kind.name(),
        out_of_order: false,
    }
}

async fn of_row(
    migrator: &Migrator,
    client: &Client,
    store: &Store,
    row: &TrackedRow,
    file: Option<&SourceFile>,
    epoch: Option<i64>,
) -> Result<(MigrationStatus, Option<StoredPlan>)> {
    let mut status = MigrationStatus {
        version: row.version.clone(),
        name: row.name.clone(),
        state: row.state,
        next: None,
        step: None,
        progress: None,
        pause: None,
        waited: Vec::new(),
        parked: 0,
        error: None,
        applied_at: row.applied_at.clone(),
        duration_ms: row.duration_ms,
        applied_by: row.applied_by.clone(),
        retained_until: None,
        old_form: None,
        failed_alerts: Vec::new(),
        origin: row.origin.clone(),
        file: file.is_some(),
        missing_because: row.missing_because.clone().filter(|_| file.is_none()),
        down_file: file.is_some_and(|file| file.down.is_some()),
        kind: if history::is_repeatable(row) {
            FileKind::Repeatable
        } else {
            file.map_or(FileKind::Versioned, |file| file.kind)
        }
        .name(),
        out_of_order: false,
    };
    let (mut paused, mut plan) = (None, None);
    if !matches!(row.state, State::Applied | State::RolledBack) {
        let stored = store.load(client, row.plan_id).await?;
        let place = place(client, store, &stored, epoch).await?;
        paused = place.is_asked_to_wait().then(|| paused_text(&stored.plan));
        status.state = place.state.unwrap_or(status.state);
        (status.step, status.progress, status.error) = (place.step, place.progress, place.error);
        (status.pause, status.waited) = (place.pause, place.waited);
        status.parked = store.parked_rows(client, row.plan_id).await?;
        plan = Some(stored);
    }
    if status.state == State::Contracted {
        let left = migrator.config.retain.as_secs_f64() - row.contracted_for.unwrap_or(0.0);
        let query =
            "SELECT to_char((now() + make_interval(secs => $1)) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
        let row = client.query_typed_one(query, &[(&left, tokio_postgres::types::Type::FLOAT8)]).await;
        status.retained_until = row.ok().map(|row| row.get(0));
    }
    status.next = paused.or_else(|| next_text(status.state, &row.version));
    if file.is_some_and(|file| history::is_to_be_repeated(file, row)) {
        status.state = State::Pending;
        status.next = Some("its text has changed: `crossfade migrate` runs it again".to_owned());
    }
    Ok((status, plan))
}

/// What `crossfade backfill` was called for. No migration, so nothing that the files are compared with.
async fn backfills(client: &Client, store: &Store, epoch: Option<i64>) -> Result<Vec<(BackfillStatus, StoredPlan)>> {
    let mut found = Vec::new();
    for id in store.backfills(client).await? {
        let stored = store.load(client, id).await?;
        let command = stored.plan.command();
        let place = place(client, store, &stored, epoch).await?;
        let paused = place.is_asked_to_wait().then(|| paused_text(&stored.plan));
        let Place { state, step, progress, pause, waited, error } = place;
        let state = state.unwrap_or(State::Failed);
        let next = paused.or_else(|| (state != State::Applied).then(|| format!("`{command}` goes on")));
        let status = BackfillStatus {
            command,
            statement: stored.up_sql.clone(),
            state,
            next,
            step,
            progress,
            pause,
            waited,
            parked: store.parked_rows(client, id).await?,
            error,
        };
        found.push((status, stored));
    }
    Ok(found)
}

/// How far a stored plan has come.
struct Place {
    /// None where the journal does not add up.
    state: Option<State>,
    step: Option<StepReport>,
    progress: Option<ProgressReport>,
    pause: Option<PauseReport>,
    waited: Vec<WaitedReport>,
    error: Option<String>,
}

impl Place {
    /// Whether a person has it paused.
    fn is_asked_to_wait(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.by.is_some())
    }
}

async fn place(client: &Client, store: &Store, stored: &StoredPlan, epoch: Option<i64>) -> Result<Place> {
    let progress = match fold(&stored.plan, &stored.events) {
        Ok(progress) => progress,
        Err(error) => {
            let error = Some(error.to_string());
            return Ok(Place { state: None, step: None, progress: None, pause: None, waited: Vec::new(), error });
        }
    };
    let mut place = Place {
        state: Some(state_of(&stored.plan, &progress)),
        step: current_step(&stored.plan, &progress),
        progress: progress_of(&stored.plan, &progress),
        pause: None,
        waited: Vec::new(),
        error: progress.error.clone(),
    };
    if let Some(step) = at(&stored.plan, &progress).and_then(|at| stored.plan.steps.get(at)) {
        waiting(&mut place, &store.waited(client, stored.id, step.id.0).await?, epoch);
    }
    if progress.paused && progress.direction == Direction::Forward {
        place.pause = store.last_asked(client, stored.id).await?.map(|asked| PauseReport {
            signal: Signal::Request.name().to_owned(),
            reason: asked.text(),
            since: Some(asked.at),
            by: Some(asked.actor),
            host: Some(asked.host),
        });
    }
    Ok(place)
}

/// What the step has waited for, and waits for now where the process that wrote it still runs.
fn waiting(place: &mut Place, waited: &[Waited], epoch: Option<i64>) {
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let all = waited.iter().find(|waited| waited.signal.is_empty()).map_or(0.0, |all| seconds(all.total_ms));
    let reasons: Vec<&Waited> = waited.iter().filter(|waited| !waited.signal.is_empty()).collect();
    let idle: f64 = reasons.iter().map(|waited| seconds(waited.total_ms)).sum();
    place.waited = reasons
        .iter()
        .map(|waited| WaitedReport {
            signal: waited.signal.clone(),
            scope: waited.scope.clone(),
            reason: waited.reason.clone(),
            times: waited.times,
            seconds: seconds(waited.total_ms),
            share: if all > 0.0 { (seconds(waited.total_ms) / all).min(1.0) } else { 0.0 },
        })
        .collect();
    let now = reasons.iter().find(|waited| waited.since.is_some() && epoch == Some(waited.epoch));
    place.pause = now.map(|waited| PauseReport {
        signal: waited.signal.clone(),
        reason: waited.reason.clone(),
        since: waited.since.clone(),
        by: None,
        host: None,
    });
    if let Some(progress) = &mut place.progress
        && progress.fraction > 0.01
        && all > 0.0
    {
        let left = (1.0 - progress.fraction) / progress.fraction;
        progress.eta_seconds = Some((all - idle).max(0.0) * left);
        progress.eta_with_pauses_seconds = Some(all * left);
    }
}

pub(super) fn at(plan: &Plan, progress: &Progress) -> Option<usize> {
    plan.steps.iter().zip(&progress.steps).position(|(_, status)| !matches!(status, StepStatus::Succeeded))
}

fn current_step(plan: &Plan, progress: &Progress) -> Option<StepReport> {
    let at = at(plan, progress)?;
    let step = plan.steps.get(at)?;
    Some(StepReport { number: at + 1, of: plan.steps.len(), phase: step.phase.name(), summary: step.summary.clone() })
}

fn progress_of(plan: &Plan, progress: &Progress) -> Option<ProgressReport> {
    let at = at(plan, progress)?;
    let lanes = progress.chunks.get(at).filter(|lanes| !lanes.is_empty())?;
    let Action::Backfill(backfill) = &plan.steps.get(at)?.action else { return None };
    let fraction = crossfade_core::backfill::fraction(backfill, lanes.iter().map(|lane| &lane.cursor));
    let rows: u64 = lanes.iter().map(|lane| lane.rows).sum();
    // Lanes that are under way at the same time spend it side by side.
    let side_by_side = lanes.iter().filter(|lane| !lane.cursor.is_done()).count().max(1);
    let seconds = lanes.iter().map(|lane| lane.took_ms).sum::<u64>() as f64 / 1000.0 / side_by_side as f64;
    let rows_per_second = if seconds > 0.0 { rows as f64 / seconds } else { 0.0 };
    Some(ProgressReport {
        rows,
        estimated_rows: backfill.units.iter().map(|unit| unit.estimated_rows).sum::<u64>().max(rows),
        fraction,
        rows_per_second,
        eta_seconds: (fraction > 0.01).then(|| seconds / fraction * (1.0 - fraction)),
        eta_with_pauses_seconds: None,
    })
}
