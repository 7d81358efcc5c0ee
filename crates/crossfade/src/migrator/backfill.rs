//! `crossfade backfill`: the copy of one column alone, sweep after sweep, until no row is left.

use std::path::PathBuf;

use crossfade_core::backfill::Chunk;
use crossfade_core::finding::Finding;
use crossfade_core::journal::State;
use crossfade_core::journal::StepStatus;
use crossfade_core::journal::fold;
use crossfade_core::plan::BackfillRequest;
use crossfade_core::plan::PlannedBackfill;
use crossfade_core::plan::Policy;
use crossfade_core::plan::plan_backfill;
use crossfade_core::sql;
use crossfade_core::step::Action;
use tokio_postgres::Client;

use super::BackfillOptions;
use super::Migrator;
use super::planning;
use super::session::Session;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::ErrorKind;
use crate::error::FileFindings;
use crate::error::Result;
use crate::error::describe;
use crate::executor::Bound;
use crate::observer::Notice;
use crate::observer::Observer;
use crate::postgres::lease::APPLICATION;
use crate::postgres::store::StoredPlan;
use crate::report::BackfillReport;
use crate::report::REPORT_FORMAT;
use crate::stop::Stop;

/// So often a table is swept before it counts as hopeless: something writes rows anew that are not filled.
const MOST_SWEEPS: u32 = 5;

/// Sweeps that each find only a few rows are another case: these are written all the time, and each sweep misses fewer of them.
const FEW_ROWS: u64 = 1000;
const MOST_SWEEPS_FOR_FEW: u32 = 25;

pub(super) async fn run(
    migrator: &Migrator,
    request: &BackfillRequest,
    options: BackfillOptions,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<BackfillReport> {
    let request = &request.clone().at_most(options.batch_size);
    // Before the journal is made and the lease is taken: what is refused changes nothing.
    let planned = planned(migrator, request, options.park).await?;
    let (plan, statement) = (&planned.plan, &planned.statement);
    let mut session = Session::open(migrator, options.wait, observer, stop).await?;
    session.most_rows = options.batch_size;
    for finding in &plan.findings {
        session.observer.notice(Notice::Found { version: plan.version.clone(), finding: finding.clone() });
    }
    let table = plan.claims.first().map(|claim| claim.table.to_string()).unwrap_or_default();
    let mut report = BackfillReport {
        format: REPORT_FORMAT,
        table,
        statement: statement.to_string(),
        state: State::Pending,
        sweeps: 0,
        rows: 0,
    };
    loop {
        let begun = match session.begun_backfill(&planned).await? {
            Some(stored) if !is_over(&stored)? => stored,
            Some(_) | None => session.record_backfill(plan, statement.as_str()).await?,
        };
        report.sweeps += 1;
        let result = session.carry_on(begun.id, None).await;
        let failed = match result {
            Ok(state) => {
                report.rows += rows_of(&session.stored(begun.id).await?)?;
                report.state = state;
                return Ok(report);
            }
            Err(error) => error,
        };
        let refused = failed.kind() != ErrorKind::Failed || failed.sql_state().is_some();
        if refused || failed.is_connection_lost() || stop.is_requested() {
            return Err(failed);
        }
        let stored = session.stored(begun.id).await?;
        let changed = rows_of(&stored)?;
        let most = if changed <= FEW_ROWS { MOST_SWEEPS_FOR_FEW } else { MOST_SWEEPS };
        if !is_over(&stored)? || report.sweeps >= most {
            return Err(failed);
        }
        report.rows += changed;
        session.observer.notice(Notice::Info { text: format!("{}; the table is swept again", failed.chain()) });
    }
}

/// The plan, on the tables as they are now, with the server's word that it can be carried out.
async fn planned(migrator: &Migrator, request: &BackfillRequest, park: bool) -> Result<PlannedBackfill> {
    let client = migrator.target.connect(APPLICATION).await?;
    let store = migrator.store();
    let rows = if store.exists(&client).await? { store.rows(&client).await? } else { Vec::new() };
    let in_flight = planning::in_flight(&client, &store, &rows).await?;
    let catalog = planning::catalog(&client, &store).await?;
    let policy = Policy { park, ..migrator.policy() };
    let mut planned = plan_backfill(request, &catalog, &policy, &in_flight).map_err(refused)?;
    let mut findings = planning::ask_the_server(&client, &planned.plan).await?;
    if findings.is_empty() {
        findings.extend(refused_statement(&client, &planned).await?);
    }
    if !findings.is_empty() {
        return Err(refused(findings));
    }
    planned.plan = planning::audited(planned.plan)?;
    Ok(planned)
}

fn refused(findings: Vec<Finding>) -> Error {
    let findings = findings.into_iter().filter(Finding::is_error).collect();
    Error::refused("the backfill is refused; nothing was changed").with_findings(vec![FileFindings {
        path: PathBuf::new(),
        text: String::new(),
        findings,
    }])
}

/// Whether the server takes the statement of a chunk: its names and types, and our right to run it. Nothing is run.
async fn refused_statement(client: &Client, planned: &PlannedBackfill) -> Result<Option<Finding>> {
    let mut units = Vec::new();
    for step in &planned.plan.steps {
        if let Action::Backfill(backfill) = &step.action {
            units.extend(&backfill.units);
        }
    }
    for unit in units {
        client.batch_execute("BEGIN READ ONLY; SET LOCAL lock_timeout = '5s'").await.doing("check the statement")?;
        let bound = Bound::blocks(Chunk { from: 0, to: 0, stripe: 0, stripes: 1 }, unit.bounds);
        let explained = client.query_typed(sql!("EXPLAIN {}", unit.statement).as_str(), &bound.params()).await;
        client.batch_execute("ROLLBACK").await.doing("check the statement")?;
        let Err(error) = explained else { continue };
        let Some(db) = error.as_db_error() else { return Err(error).doing("check the statement") };
        let message = format!("the server refuses to fill {}: {}", unit.relation, describe(db));
        return Ok(Some(
            Finding::error("expression", None, message).help(format!("it comes to: {}", planned.statement)),
        ));
    }
    Ok(None)
}

/// Whether a sweep came to its end: with nothing left, or with rows that only another sweep can fill.
fn is_over(stored: &StoredPlan) -> Result<bool> {
    let progress = fold(&stored.plan, &stored.events)
        .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
    Ok(progress.steps.last().is_some_and(|last| match last {
        StepStatus::Succeeded | StepStatus::Failed => true,
        StepStatus::NotStarted
        | StepStatus::Running
        | StepStatus::Undoing
        | StepStatus::UndoFailed
        | StepStatus::Undone => false,
    }))
}

fn rows_of(stored: &StoredPlan) -> Result<u64> {
    let progress = fold(&stored.plan, &stored.events)
        .map_err(|error| Error::failed("the journal does not add up").caused_by(error))?;
    Ok(progress.chunks.iter().flatten().map(|chunks| chunks.rows).sum())
}
