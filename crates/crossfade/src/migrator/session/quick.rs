//! Small files on tables of this run: each in one transaction with its whole record, and no look at the database in between.
//!
//! Most migrations that are run on an empty database are of this kind: a test, a new tenant, a developer's first day. The ordinary way reads the catalog for each file,
//! opens a session for it and commits three times. See docs/decisions/0021.

use std::time::Instant;

use crossfade_core::catalog::Catalog;
use crossfade_core::finding::Severity;
use crossfade_core::journal::Event;
use crossfade_core::journal::State;
use crossfade_core::journal::fold;
use crossfade_core::journal::state_of;
use crossfade_core::migration::Migration;
use crossfade_core::migration::Statement;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::PlanContext;
use crossfade_core::plan::project;
use crossfade_core::sql;
use crossfade_core::sql::Literal;
use crossfade_core::sql::Sql;
use crossfade_core::sql::StatementKind;
use crossfade_core::step::Action;
use crossfade_core::step::Plan;

use super::Session;
use crate::error::Doing as _;
use crate::error::Error;
use crate::error::Result;
use crate::migrator::planning;
use crate::observer::Notice;
use crate::postgres::store::PlanFiles;
use crate::report::RunMigration;
use crate::source::SourceFile;

/// What the planner knows of the database.
#[derive(Debug)]
pub(super) struct Known {
    pub catalog: Catalog,
    /// Whether it was read just now; else it follows from what was read and the files that ran since.
    pub fresh: bool,
}

/// Words of functions and types with which a statement may leave something in its session.
const LEAVE_SOMETHING: [&str; 7] =
    ["temp", "temporary", "pg_temp", "set_config", "lo_create", "dblink_connect", "setseed"];

impl Session<'_> {
    /// Runs a file so, where that is all there is to it. None: it has to go the ordinary way, and nothing was changed.
    pub(super) async fn quickly(&mut self, file: &SourceFile) -> Result<Option<RunMigration>> {
        if self.lease.shared || !self.is_quick {
            return Ok(None);
        }
        let known = match self.known.take() {
            Some(known) => known,
            None => Known { catalog: planning::catalog(&self.client, &self.store).await?, fresh: true },
        };
        let policy = self.migrator.policy();
        let made_in_run = self.made_in_run.get_or_insert_with(|| MadeInRun::beginning(&known.catalog)).clone();
        let planned = planning::plan_file(file, &known.catalog, &policy, &[], &made_in_run);
        let (plan, migration) = match planned {
            Ok(plan) => (plan, planning::Way::up(file).parse()?),
            // What was read shows it again, and what was not may be out of date.
            Err(_) => {
                self.known = Some(known).filter(|known| known.fresh);
                return Ok(None);
            }
        };
        if !is_quick(&plan, &migration, &known.catalog, &made_in_run) {
            self.known = Some(known).filter(|known| known.fresh);
            return Ok(None);
        }
        let begun = Instant::now();
        let events = events(&plan, begun);
        let progress = fold(&plan, &events)
            .map_err(|error| Error::failed("an event does not fit the journal").caused_by(error))?;
        let state = state_of(&plan, &progress);
        if state != State::Applied || self.run_quickly(file, &plan, &events, begun).await.is_none() {
            self.known = Some(known).filter(|known| known.fresh);
            return Ok(None);
        }
        self.unsettled = true;
        let cx = PlanContext {
            migration: &migration,
            catalog: &known.catalog,
            policy: &policy,
            in_flight: &[],
            made_in_run: &made_in_run,
        };
        self.known = migration
            .statements
            .iter()
            .all(|statement| follows_from_its_text(&statement.parsed.kind))
            .then(|| Known { catalog: project(cx), fresh: false });
        if let Some(made_in_run) = &mut self.made_in_run {
            made_in_run.add(&migration, &known.catalog);
        }
        Ok(Some(self.tell(&plan, state, begun)))
    }

    /// None where anything went wrong: the ordinary way meets it again, and says what it is.
    async fn run_quickly(&mut self, file: &SourceFile, plan: &Plan, events: &[Event], begun: Instant) -> Option<()> {
        if self.record_done.is_none() {
            self.record_done = self.store.prepare_done(&self.client).await.ok();
        }
        let prepared = self.record_done.as_ref()?;
        let files = PlanFiles {
            up_sql: file.text.trim_start_matches('\u{feff}'),
            down_sql: file.down.as_ref().map(|(_, text)| text.as_str()),
        };
        let work = async {
            let timeout = Literal(format!("{}ms", self.migrator.config.locks.timeout.as_millis().max(1)));
            // Its record is in the same transaction: where the server dies before the log is on disk, both are gone. The command ends with a commit
            // that waits.
            let begin = sql!("BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = {}", timeout);
            let all = Sql::join(std::iter::once(begin).chain(statements(plan)), ";\n");
            self.client.batch_execute(all.as_str()).await.doing("run the statements")?;
            self.store
                .record_done(&self.client, prepared, self.lease.epoch, plan, &files, events, begun.elapsed())
                .await?;
            self.client.batch_execute("COMMIT").await.doing("commit")
        };
        let result: Result<()> = work.await;
        if let Err(error) = &result {
            tracing::debug!(error = %error.chain(), "it goes the ordinary way");
            let _ = self.client.batch_execute("ROLLBACK").await;
        }
        result.ok()
    }

    fn tell(&mut self, plan: &Plan, state: State, begun: Instant) -> RunMigration {
        for finding in plan.findings.iter().filter(|finding| finding.severity > Severity::Note) {
            self.observer.notice(Notice::Found { version: plan.version.clone(), finding: finding.clone() });
        }
        for (at, step) in plan.steps.iter().enumerate() {
            let (number, of) = (at + 1, plan.steps.len());
            self.observer.notice(Notice::StepStarted { number, of, phase: step.phase, summary: step.summary.clone() });
            self.observer.notice(Notice::StepFinished { number, took: begun.elapsed() });
        }
        let done = RunMigration {
            version: plan.version.clone(),
            name: plan.name.clone(),
            state,
            next: crate::migrator::shared::next_text(state, &plan.version),
        };
        self.observer.notice(Notice::MigrationStopped {
            version: done.version.clone(),
            name: done.name.clone(),
            state: done.state,
            next: done.next.clone(),
        });
        done
    }

    /// Waits until what was done so is on disk.
    pub async fn settle(&mut self) -> Result<()> {
        if std::mem::take(&mut self.unsettled) {
            // A commit waits for all of the log before it, but only where it has written something itself.
            let touch = sql!("UPDATE {}.lease SET since = since WHERE id = 1", self.store.schema);
            self.client.batch_execute(touch.as_str()).await.doing("wait for the server's log")?;
        }
        Ok(())
    }
}

fn events(plan: &Plan, begun: Instant) -> Vec<Event> {
    let mut events = vec![Event::PlanRecorded];
    for step in &plan.steps {
        events.push(Event::StepStarted { step: step.id });
        events.push(Event::StepSucceeded { step: step.id, took_ms: begun.elapsed().as_millis() as u64 });
    }
    events
}

fn statements(plan: &Plan) -> impl Iterator<Item = Sql> {
    plan.steps.iter().flat_map(|step| match &step.action {
        Action::Ddl(ddl) => ddl.statements.iter().map(|statement| statement.sql.clone()).collect::<Vec<_>>(),
        Action::Concurrently(_)
        | Action::Validate(_)
        | Action::Backfill(_)
        | Action::Verify(_)
        | Action::Assert(_)
        | Action::Hold { .. } => Vec::new(),
    })
}

/// Whether a plan is nothing but statements as written, on tables that this run has made, in a session that stays as it is.
fn is_quick(plan: &Plan, migration: &Migration, catalog: &Catalog, made_in_run: &MadeInRun) -> bool {
    // A function of the user's may do anything, and be called by a trigger.
    let calls = catalog.objects.iter().any(|object| object.kind == "function");
    plan.preflight.is_empty()
        && plan.steps.iter().all(|step| match &step.action {
            Action::Ddl(ddl) => {
                ddl.as_written
                    && ddl.lock_first.iter().all(|lock| made_in_run.has(&lock.table))
                    && ddl.statements.iter().all(|statement| statement.rows.is_none())
            }
            Action::Concurrently(_)
            | Action::Validate(_)
            | Action::Backfill(_)
            | Action::Verify(_)
            | Action::Assert(_)
            | Action::Hold { .. } => false,
        })
        && !migration.no_transaction
        && migration.statements.iter().all(|statement| leaves_its_session(statement, calls))
}

fn leaves_its_session(statement: &Statement, calls: bool) -> bool {
    let words = &statement.parsed.words;
    let plain = !words.iter().any(|word| LEAVE_SOMETHING.contains(&word.as_str()) || word.starts_with("pg_advisory"));
    // What a directive says is not among the words.
    let silent = statement.up.is_empty();
    plain
        && silent
        && match &statement.parsed.kind {
            StatementKind::CreateTable { .. }
            | StatementKind::AlterTable { .. }
            | StatementKind::RenameColumn { .. }
            | StatementKind::CreateIndex(_)
            | StatementKind::DropIndex { .. } => true,
            StatementKind::Update(_) => !calls,
            StatementKind::Other { what, opaque, .. } => {
                !opaque
                    && match what.as_str() {
                        "INSERT" | "DELETE" => !calls,
                        "COMMENT" => true,
                        _ => false,
                    }
            }
            StatementKind::Drop { .. }
            | StatementKind::Move { .. }
            | StatementKind::Transaction(_)
            | StatementKind::NotInTransaction { .. }
            | StatementKind::CopyFromStdin { .. } => false,
        }
}

/// Whether the model shows what the statement does.
fn follows_from_its_text(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::CreateTable { .. }
        | StatementKind::AlterTable { .. }
        | StatementKind::RenameColumn { .. }
        | StatementKind::CreateIndex(_)
        | StatementKind::DropIndex { .. }
        | StatementKind::Update(_)
        | StatementKind::Other { .. } => true,
        StatementKind::Drop { .. }
        | StatementKind::Move { .. }
        | StatementKind::Transaction(_)
        | StatementKind::NotInTransaction { .. }
        | StatementKind::CopyFromStdin { .. } => false,
    }
}
