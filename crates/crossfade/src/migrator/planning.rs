//! From a file to a plan that the server accepts.

use std::path::Path;

use crossfade_core::catalog::Catalog;
use crossfade_core::finding::Finding;
use crossfade_core::journal::State;
use crossfade_core::migration::Migration;
use crossfade_core::plan::InFlight;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::PlanContext;
use crossfade_core::plan::Policy;
use crossfade_core::plan::audit;
use crossfade_core::plan::plan;
use crossfade_core::plan::plan_down;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;
use crossfade_core::step::Step;
use tokio_postgres::Client;

use super::Migrator;
use super::way_back::WayDown;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::FileFindings;
use crate::error::Result;
use crate::error::describe;
use crate::postgres::introspect;
use crate::postgres::store::Store;
use crate::postgres::store::TrackedRow;
use crate::source::FileKind;
use crate::source::SourceFile;

impl Migrator {
    pub(super) fn policy(&self) -> Policy {
        Policy { schema: self.schema(), retain: !self.config.retain.is_zero(), ..Policy::default() }
    }
}

/// One way of a migration, as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way<'f> {
    version: &'f str,
    name: &'f str,
    path: &'f Path,
    text: &'f str,
    findings: &'f [Finding],
}

impl<'f> Way<'f> {
    /// The way forward.
    pub fn up(file: &'f SourceFile) -> Way<'f> {
        let SourceFile { version, name, path, text, findings, .. } = file;
        Way { version, name, path, text, findings }
    }

    /// The way back.
    pub fn down(row: &'f TrackedRow, down: &'f WayDown) -> Way<'f> {
        let WayDown { path, text, findings, .. } = down;
        Way { version: &row.version, name: &row.name, path, text, findings }
    }

    /// Reads it into a migration.
    pub fn parse(self) -> Result<Migration> {
        if !self.findings.is_empty() {
            return Err(self.refused(self.findings.to_vec()));
        }
        Migration::parse(self.version, self.name, self.text).map_err(|findings| self.refused(findings))
    }

    fn refused(self, findings: Vec<Finding>) -> Error {
        Error::refused(format!("migration {} {} is refused; nothing was changed", self.version, self.name))
            .with_findings(vec![FileFindings { path: self.path.to_owned(), text: self.text.to_owned(), findings }])
    }
}

/// What is in flight, for conflicts.
pub(super) async fn in_flight(client: &Client, store: &Store, rows: &[TrackedRow]) -> Result<Vec<InFlight>> {
    let mut found = Vec::new();
    for row in rows.iter().filter(|row| !matches!(row.state, State::Applied | State::RolledBack)) {
        let stored = store.load(client, row.plan_id).await?;
        found.push(InFlight { version: row.version.clone(), name: row.name.clone(), claims: stored.plan.claims });
    }
    Ok(found)
}

/// Looks at the database.
pub(super) async fn catalog(client: &Client, store: &Store) -> Result<Catalog> {
    introspect(client, store.schema.as_str())
        .await
        .map_err(|error| Error::failed("could not read the catalog").caused_by(error))
}

/// Plans one file on a catalog.
pub(super) fn plan_file(
    file: &SourceFile,
    catalog: &Catalog,
    policy: &Policy,
    in_flight: &[InFlight],
    made_in_run: &MadeInRun,
) -> Result<Plan> {
    plan_migration(file, &Way::up(file).parse()?, catalog, policy, in_flight, made_in_run)
}

/// Plans what was read of a file.
pub(super) fn plan_migration(
    file: &SourceFile,
    migration: &Migration,
    catalog: &Catalog,
    policy: &Policy,
    in_flight: &[InFlight],
    made_in_run: &MadeInRun,
) -> Result<Plan> {
    let way = Way::up(file);
    let cx = PlanContext { migration, catalog, policy, in_flight, made_in_run };
    let plan = plan(cx).map_err(|findings| way.refused(findings))?;
    if file.kind == FileKind::Repeatable {
        refuse_steps(&plan).map_err(|finding| way.refused(vec![finding]))?;
    }
    audited(plan)
}

/// What is run again and again is run in one transaction, or not at all.
fn refuse_steps(plan: &Plan) -> Result<(), Finding> {
    let at_once = |step: &Step| matches!(&step.action, Action::Ddl(ddl) if ddl.as_written);
    let wrong = plan.steps.iter().enumerate().find(|(at, step)| *at > 0 || !at_once(step));
    let Some((_, step)) = wrong else { return Ok(()) };
    let place = match &step.action {
        Action::Ddl(ddl) => ddl.statements.first().and_then(|statement| statement.at),
        Action::Concurrently(_)
        | Action::Validate(_)
        | Action::Backfill(_)
        | Action::Verify(_)
        | Action::Assert(_)
        | Action::Hold { .. } => None,
    };
    let message =
        format!("a repeatable migration is one transaction, and this would be done in steps: {}", step.summary);
    Err(Finding::error("repeatable", place, message)
        .help("it is for what can be made anew at once, like views, functions and grants; write the rest as a versioned migration"))
}

/// Plans the way back by a down file.
pub(super) fn plan_down_file(row: &TrackedRow, down: &WayDown, catalog: &Catalog, policy: &Policy) -> Result<Plan> {
    let way = Way::down(row, down);
    let migration = way.parse()?;
    let cx = PlanContext { migration: &migration, catalog, policy, in_flight: &[], made_in_run: &MadeInRun::default() };
    audited(plan_down(cx).map_err(|findings| way.refused(findings))?)
}

pub(super) fn audited(plan: Plan) -> Result<Plan> {
    let problems = audit(&plan);
    if problems.is_empty() {
        return Ok(plan);
    }
    Err(Error::failed(format!("the plan of {} breaks a rule of its own: {}", plan.title(), problems.join("; ")))
        .hint("this is a defect of crossfade; nothing was changed. Please report it with the migration's file"))
}

/// Asks the server whether it accepts the expressions of a plan. Changes nothing.
pub(super) async fn preflight(client: &Client, file: &SourceFile, plan: &Plan) -> Result<()> {
    let findings = ask_the_server(client, plan).await?;
    if findings.is_empty() { Ok(()) } else { Err(Way::up(file).refused(findings)) }
}

/// What the server has against the expressions of a plan.
pub(super) async fn ask_the_server(client: &Client, plan: &Plan) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for check in &plan.preflight {
        client.batch_execute("BEGIN READ ONLY; SET LOCAL lock_timeout = '5s'").await.doing("check the plan")?;
        let result = client.query_typed(check.query.as_str(), &[]).await;
        client.batch_execute("ROLLBACK").await.doing("check the plan")?;
        let wrong = match result {
            Ok(rows) => rows.first().map(|row| row.get::<_, Option<String>>(0).unwrap_or_default()),
            Err(error) => match error.as_db_error() {
                Some(db) => Some(describe(db)),
                None => return Err(error).doing("check the plan"),
            },
        };
        if let Some(wrong) = wrong {
            let message = format!("{}: {wrong}", check.finding.message);
            findings.push(Finding { message, ..check.finding.clone() });
        }
    }
    Ok(findings)
}
