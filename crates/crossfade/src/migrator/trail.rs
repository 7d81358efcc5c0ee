//! What `history` shows: every event, with who did it and from where.

use std::time::Duration;

use crossfade_core::journal::Event;
use crossfade_core::step::Plan;
use crossfade_core::step::PlanKind;
use tokio_postgres::Client;

use super::Migrator;
use super::shared::same_version;
use crate::error::Error;
use crate::error::Result;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::Since;
use crate::postgres::store::Store;
use crate::postgres::store::TrailEvent;
use crate::report::HistoryEvent;
use crate::report::HistoryReport;
use crate::report::REPORT_FORMAT;

/// What `history` is to show.
#[derive(Clone, Debug, Default)]
pub struct HistoryOptions {
    /// Only this migration.
    pub version: Option<String>,
    /// Only what happened since then.
    pub since: Option<HistorySince>,
    /// With the statements of each step that began.
    pub sql: bool,
}

/// From when on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistorySince {
    /// So long ago.
    Ago(Duration),
    /// A point in time, as PostgreSQL reads it: `2026-01-31`, `2026-01-31 12:00+01`, `yesterday`.
    Time(String),
}

pub(super) async fn report(migrator: &Migrator, options: &HistoryOptions) -> Result<HistoryReport> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let mut report = HistoryReport {
        format: REPORT_FORMAT,
        database: migrator.target.display(),
        events: Vec::new(),
        alerts: Some(Vec::new()),
    };
    if !store.exists(&client).await? {
        return Ok(report);
    }
    let versions = match &options.version {
        None => None,
        Some(version) => {
            let mut known = store.planned_versions(&client).await?;
            known.retain(|known| same_version(known, version));
            if known.is_empty() {
                return Err(Error::refused(format!("migration {version} has not been run on this database"))
                    .hint("`crossfade status` lists them"));
            }
            Some(known)
        }
    };
    let since = match &options.since {
        None => Since::default(),
        Some(HistorySince::Ago(time)) => Since { ago: Some(time.as_secs_f64()), ..Since::default() },
        Some(HistorySince::Time(time)) => Since { time: Some(time), ..Since::default() },
    };
    let events = store.trail(&client, versions.as_deref(), since).await.map_err(|error| match &options.since {
        // What the server says of a text that is no time, or has an unknown time zone.
        Some(HistorySince::Time(time))
            if error.sql_state().is_some_and(|state| matches!(state.as_str(), "22007" | "22008" | "22023")) =>
        {
            Error::usage(format!("\"{time}\" is no point in time"))
                .hint("write 2026-01-31, '2026-01-31 12:00+01', or how long ago: 2h, 7d")
        }
        Some(_) | None => error,
    })?;
    report.events = in_words(&client, &store, events, options.sql).await?;
    report.alerts = store.alerts(&client, versions.as_deref(), since).await?;
    Ok(report)
}

/// The newest events, the oldest of them first, without what they run.
pub(super) async fn newest(client: &Client, store: &Store, most: i64) -> Result<Vec<HistoryEvent>> {
    let events = store.trail(client, None, Since { newest: Some(most), ..Since::default() }).await?;
    in_words(client, store, events, false).await
}

async fn in_words(
    client: &Client,
    store: &Store,
    events: Vec<TrailEvent>,
    with_sql: bool,
) -> Result<Vec<HistoryEvent>> {
    let mut ids: Vec<i64> = events.iter().map(|event| event.plan_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let plans = store.plans(client, &ids).await?;
    let shown = events.into_iter().filter_map(|event| {
        let plan = plans.get(&event.plan_id)?;
        Some(shown(event, plan, with_sql))
    });
    Ok(shown.collect())
}

fn shown(of: TrailEvent, plan: &Plan, with_sql: bool) -> HistoryEvent {
    let (duration_ms, error) = match &of.event {
        Event::StepSucceeded { took_ms, .. } => (Some(*took_ms), None),
        Event::StepFailed { error, .. } | Event::UndoFailed { error, .. } => (None, Some(error.clone())),
        Event::PlanRecorded
        | Event::Kept { .. }
        | Event::TakenOver { .. }
        | Event::GivenBack
        | Event::Repaired { .. }
        | Event::FileForgotten
        | Event::StepStarted { .. }
        | Event::ChunkDone { .. }
        | Event::UndoStarted { .. }
        | Event::UndoSucceeded { .. }
        | Event::Requested { .. } => (None, None),
    };
    HistoryEvent {
        text: of.event.words(plan),
        event: of.event.kind().to_owned(),
        step: of.event.step().map(|step| usize::from(step.0) + 1),
        sql: if with_sql { statements(&of.event, plan) } else { Vec::new() },
        version: match plan.kind {
            PlanKind::Up | PlanKind::Down => Some(plan.version.clone()),
            PlanKind::Backfill => None,
        },
        name: plan.name.clone(),
        duration_ms,
        error,
        at: of.at,
        run_id: of.run_id,
        actor: of.actor,
        db_user: of.db_user,
        host: of.host,
        tool_version: of.tool_version,
        git_commit: of.git_commit,
        git_dirty: of.git_dirty,
        ci_url: of.ci_url,
    }
}

/// What a step that begins here runs.
fn statements(event: &Event, plan: &Plan) -> Vec<String> {
    let action = match event {
        Event::StepStarted { step } => plan.step(*step).map(|step| &step.action),
        Event::UndoStarted { step } => plan.step(*step).and_then(|step| step.undo.as_ref()),
        Event::PlanRecorded
        | Event::Kept { .. }
        | Event::TakenOver { .. }
        | Event::GivenBack
        | Event::Repaired { .. }
        | Event::FileForgotten
        | Event::ChunkDone { .. }
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::UndoSucceeded { .. }
        | Event::UndoFailed { .. }
        | Event::Requested { .. } => None,
    };
    action.map(|action| action.statements().into_iter().map(ToString::to_string).collect()).unwrap_or_default()
}
