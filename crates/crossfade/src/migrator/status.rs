//! What `status` shows, folded from the journal: a second terminal sees what the first does.

use std::path::Path;

use crossfade_core::journal::Progress;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use tokio_postgres::Client;

use super::Migrator;
use super::next_text;
use super::same_version;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::lease::current_runner;
use crate::postgres::store::Store;
use crate::postgres::store::StoredPlan;
use crate::postgres::store::TrackedRow;
use crate::report::BackfillStatus;
use crate::report::MigrationStatus;
use crate::report::ProgressReport;
use crate::report::REPORT_FORMAT;
use crate::report::StatusReport;
use crate::report::StepReport;
use crate::source::SourceFile;
use crate::source::compare_versions;

pub(super) async fn report(migrator: &Migrator) -> Result<StatusReport> {
    let files = if Path::new(&migrator.config.migrations).exists() { migrator.files()? } else { Vec::new() };
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let (rows, runner, backfills) = if store.exists(&client).await? {
        let runner = current_runner(&client, &store.schema).await?;
        (store.rows(&client).await?, runner, backfills(&client, &store).await?)
    } else {
        (Vec::new(), None, Vec::new())
    };
    let mut migrations = Vec::new();
    for row in &rows {
        let file = files.iter().find(|file| same_version(&file.version, &row.version));
        migrations.push(of_row(migrator, &client, &store, row, file).await?);
    }
    for file in files.iter().filter(|file| !rows.iter().any(|row| same_version(&row.version, &file.version))) {
        migrations.push(pending(file));
    }
    migrations.sort_by(|a, b| compare_versions(&a.version, &b.version));
    let problems = super::history::problems(&files, &rows)
        .into_iter()
        .map(|problem| format!("{} ({})", problem.what, problem.hint))
        .collect();
    Ok(StatusReport {
        format: REPORT_FORMAT,
        database: migrator.target.display(),
        runner,
        migrations,
        backfills,
        problems,
    })
}

fn pending(file: &SourceFile) -> MigrationStatus {
    MigrationStatus {
        version: file.version.clone(),
        name: file.name.clone(),
        state: State::Pending,
        next: next_text(State::Pending, &file.version),
        step: None,
        progress: None,
        error: None,
        applied_at: None,
        duration_ms: None,
        applied_by: None,
        retained_until: None,
        file: true,
        down_file: file.down.is_some(),
    }
}

async fn of_row(
    migrator: &Migrator,
    client: &Client,
    store: &Store,
    row: &TrackedRow,
    file: Option<&SourceFile>,
) -> Result<MigrationStatus> {
    let mut status = MigrationStatus {
        version: row.version.clone(),
        name: row.name.clone(),
        state: row.state,
        next: None,
        step: None,
        progress: None,
        error: None,
        applied_at: row.applied_at.clone(),
        duration_ms: row.duration_ms,
        applied_by: row.applied_by.clone(),
        retained_until: None,
        file: file.is_some(),
        down_file: file.is_some_and(|file| file.down.is_some()),
    };
    if !matches!(row.state, State::Applied | State::RolledBack) {
        let stored = store.load(client, row.plan_id).await?;
        let place = place(&stored);
        status.state = place.state.unwrap_or(status.state);
        (status.step, status.progress, status.error) = (place.step, place.progress, place.error);
    }
    if status.state == State::Contracted {
        let left = migrator.config.retain.as_secs_f64() - row.contracted_for.unwrap_or(0.0);
        let query =
            "SELECT to_char((now() + make_interval(secs => $1)) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
        let row = client.query_typed_one(query, &[(&left, tokio_postgres::types::Type::FLOAT8)]).await;
        status.retained_until = row.ok().map(|row| row.get(0));
    }
    status.next = next_text(status.state, &row.version);
    Ok(status)
}

/// What `crossfade backfill` was called for. No migration, so nothing that the files are compared with.
async fn backfills(client: &Client, store: &Store) -> Result<Vec<BackfillStatus>> {
    let mut found = Vec::new();
    for id in store.backfills(client).await? {
        let stored = store.load(client, id).await?;
        let command = stored.plan.command();
        let Place { state, step, progress, error } = place(&stored);
        let state = state.unwrap_or(State::Failed);
        let next = (state != State::Applied).then(|| format!("`{command}` goes on"));
        found.push(BackfillStatus { command, statement: stored.up_sql, state, next, step, progress, error });
    }
    Ok(found)
}

/// How far a stored plan has come.
struct Place {
    /// None where the journal does not add up.
    state: Option<State>,
    step: Option<StepReport>,
    progress: Option<ProgressReport>,
    error: Option<String>,
}

fn place(stored: &StoredPlan) -> Place {
    match fold(&stored.plan, &stored.events) {
        Ok(progress) => Place {
            state: Some(state_of(&stored.plan, &progress)),
            step: current_step(&stored.plan, &progress),
            progress: progress_of(&stored.plan, &progress),
            error: progress.error,
        },
        Err(error) => Place { state: None, step: None, progress: None, error: Some(error.to_string()) },
    }
}

fn at(plan: &Plan, progress: &Progress) -> Option<usize> {
    plan.steps.iter().zip(&progress.steps).position(|(_, status)| !matches!(status, StepStatus::Succeeded))
}

fn current_step(plan: &Plan, progress: &Progress) -> Option<StepReport> {
    let at = at(plan, progress)?;
    let step = plan.steps.get(at)?;
    Some(StepReport { number: at + 1, of: plan.steps.len(), phase: step.phase.name(), summary: step.summary.clone() })
}

fn progress_of(plan: &Plan, progress: &Progress) -> Option<ProgressReport> {
    let at = at(plan, progress)?;
    let chunks = progress.chunks.get(at)?.as_ref()?;
    let Action::Backfill(backfill) = &plan.steps.get(at)?.action else { return None };
    let unit = chunks.cursor.unit as usize;
    let stripes = backfill.units.get(unit).map_or(1, |unit| unit.stripes);
    let fraction = (unit as f64 + chunks.cursor.fraction(stripes)) / backfill.units.len().max(1) as f64;
    let seconds = chunks.took_ms as f64 / 1000.0;
    let rows_per_second = if seconds > 0.0 { chunks.rows as f64 / seconds } else { 0.0 };
    Some(ProgressReport {
        rows: chunks.rows,
        estimated_rows: backfill.units.iter().map(|unit| unit.estimated_rows).sum::<u64>().max(chunks.rows),
        fraction,
        rows_per_second,
        eta_seconds: (fraction > 0.01).then(|| seconds / fraction * (1.0 - fraction)),
    })
}
