//! The locks that a step declares are the locks that it takes: what is seen in `pg_locks` while it runs is covered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossfade::observer::Notice;
use crossfade::observer::Observer;
use crossfade_core::journal::State;
use crossfade_core::lock::LockMode;

use crate::cases;
use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::project;
use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::prove;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;

/// Every statement that changes the schema rests a little with its locks held, so that none is missed.
const REST: &str = "CREATE SCHEMA slow;
    CREATE FUNCTION slow.rest() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.012); END $$;
    CREATE EVENT TRIGGER rest ON ddl_command_end EXECUTE FUNCTION slow.rest()";

const SEEN: &str = "SELECT n.nspname::text, c.relname::text, l.mode FROM pg_locks AS l
    JOIN pg_stat_activity AS a ON a.pid = l.pid JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE a.datname = current_database() AND a.application_name LIKE 'crossfade worker%' AND l.locktype = 'relation'
    AND c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'crossfade', 'slow') AND n.nspname !~ '^pg_'
    AND l.mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock')";

#[test]
fn locks_seen_are_locks_declared() {
    // Whoever looks is connected, too.
    let wanted = |fixture: &Fixture| fixture.refused.is_none() && !fixture.alone;
    prove(cases(std::slice::from_ref(main_server()), wanted), covered);
}

/// A lock, and the steps between which it was seen.
type Seen = (usize, usize, String, String, String);

struct CurrentStep(Arc<AtomicUsize>);

impl Observer for CurrentStep {
    fn notice(&mut self, notice: Notice) {
        if let Notice::StepStarted { number, .. } = notice {
            self.0.store(number, Ordering::SeqCst);
        }
    }
}

async fn covered(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let database = before(server, &fixture).await?;
    let existing: BTreeSet<String> = tables(&database).await;
    database.run(REST).await?;
    let project = project(&database, &fixture);
    // What is begun again is planned again, and an autovacuum in between may make another plan of it: each run has its own steps.
    let (mut undeclared, state) = seen(&database, &project, &existing, Command::Migrate).await?;
    let state = if state == Some(State::Ready) {
        let (of_undo, _) = seen(&database, &project, &existing, Command::Rollback).await?;
        let (of_migrate, _) = seen(&database, &project, &existing, Command::Migrate).await?;
        let (of_contract, state) = seen(&database, &project, &existing, Command::Contract).await?;
        undeclared.extend([of_undo, of_migrate, of_contract].into_iter().flatten());
        state
    } else {
        state
    };
    if state == Some(State::Contracted) {
        undeclared.extend(seen(&database, &project, &existing, Command::Purge).await?.0);
    }
    if undeclared.is_empty() { Ok(()) } else { Err(undeclared.join("; ")) }
}

/// Runs a command and looks on: the locks that it took on tables that were there, and that no step of its plan declares.
async fn seen(
    database: &Database,
    project: &Project,
    existing: &BTreeSet<String>,
    command: Command,
) -> Result<(Vec<String>, Option<State>), String> {
    let migrator = &project.migrator;
    let plan = async || {
        let report = migrator.plan(Some("001")).await.map_err(|error| said(&error))?;
        report.plans.into_iter().next().map(|plan| plan.steps).ok_or_else(|| "there is no plan".to_owned())
    };
    // What goes on is planned already; what begins is planned as it begins, and is found stored once it did.
    let planned = plan().await?;
    let (step, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let sampler = tokio::spawn(sample(database.url(), step.clone(), stop.clone()));
    let ran = command.watched(migrator, &mut CurrentStep(step.clone())).await;
    stop.store(true, Ordering::SeqCst);
    let seen = sampler.await.expect("the sampler does not panic");
    let state = ran.map_err(|error| said(&error))?;
    let steps = if matches!(command, Command::Migrate) { plan().await? } else { planned };
    let undeclared = seen
        .into_iter()
        .filter(|(_, _, schema, table, _)| existing.contains(&format!("{schema}.{table}")))
        .filter(|(from, to, schema, table, mode)| {
            let mode = LockMode::ALL.into_iter().find(|known| known.pg_locks_name() == mode).expect("a lock mode");
            let (low, high) = ((*from).min(*to).max(1), (*from).max(*to).max(1));
            !steps[low - 1..high].iter().any(|step| {
                step.locks.iter().any(|lock| {
                    (lock.table.schema.as_str(), lock.table.name.as_str()) == (schema.as_str(), table.as_str())
                        && lock.mode.covers(mode)
                })
            })
        })
        .map(|(from, _, _, table, mode)| {
            let summary = steps.get(from.saturating_sub(1)).map(|step| step.summary.clone()).unwrap_or_default();
            format!("{command:?}: step {from} ({summary}) took {mode} on {table}")
        })
        .collect();
    Ok((undeclared, state))
}

async fn tables(database: &Database) -> BTreeSet<String> {
    let client = database.connect().await;
    let query = "SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')";
    let rows = client.query(query, &[]).await.expect("tables can be listed");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn sample(url: String, step: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> BTreeSet<Seen> {
    let client = crate::server::connect(&url).await;
    let statement = client.prepare(SEEN).await.expect("pg_locks can be read");
    let mut all = BTreeSet::new();
    while !stop.load(Ordering::SeqCst) {
        let before = step.load(Ordering::SeqCst);
        let rows = client.query(&statement, &[]).await.unwrap_or_default();
        let after = step.load(Ordering::SeqCst);
        all.extend(rows.iter().map(|row| (before, after, row.get(0), row.get(1), row.get(2))));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    all
}
