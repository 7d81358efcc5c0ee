//! The two laws: the phased way ends as the direct one does, and there is a way back that loses no write.

use std::collections::BTreeMap;

use crossfade_core::journal::State;

use crate::clients::in_turn;
use crate::clients::tried;
use crate::fixture::Fixture;
use crate::project::Command;
use crate::project::Project;
use crate::prove;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::snapshot::Snapshot;
use crate::spread_thin;

#[test]
fn both_laws_hold() {
    prove(spread_thin(|fixture| fixture.refused.is_none()), both_laws);
}

#[test]
fn what_is_refused_changes_nothing() {
    prove(spread_thin(|fixture| fixture.refused.is_some()), refused);
}

/// A database in which `@before` was run.
pub async fn before(server: &'static Server, fixture: &Fixture) -> Result<Database, String> {
    let mut database = Database::create(server).await;
    database.run(&fixture.before).await.map_err(|error| format!("@before: {error}"))?;
    if fixture.alone {
        database.leave_alone().await;
    }
    Ok(database)
}

/// A snapshot of the direct way's end.
pub async fn direct(server: &'static Server, fixture: &Fixture) -> Result<Snapshot, String> {
    let database = before(server, fixture).await?;
    database
        .run(fixture.direct_sql.as_ref().unwrap_or(&fixture.migration))
        .await
        .map_err(|error| format!("the direct way: {error}"))?;
    Ok(Snapshot::take(&database).await)
}

/// A folder with the case's migration.
pub fn project(database: &Database, fixture: &Fixture) -> Project {
    Project::new(database, &[("001_case.sql", &fixture.migration)])
}

/// Contract and purge, as far as there are any.
pub async fn finish(project: &Project) -> Result<(), String> {
    let mut state = project.state().await;
    for (waits, command) in [(State::Ready, Command::Contract), (State::Contracted, Command::Purge)] {
        if state == waits {
            state = command.on(&project.migrator).await?.unwrap_or(state);
        }
    }
    expect(state, State::Applied)
}

pub fn expect(state: State, wanted: State) -> Result<(), String> {
    if state == wanted { Ok(()) } else { Err(format!("it is {}, not {}", state.name(), wanted.name())) }
}

pub fn same(what: &str, difference: Option<String>) -> Result<(), String> {
    difference.map_or(Ok(()), |difference| Err(format!("{what}: {difference}")))
}

async fn both_laws(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let want = direct(server, &fixture).await?;
    let mut database = before(server, &fixture).await?;
    let was = Snapshot::take(&database).await;
    if fixture.alone {
        database.leave_alone().await;
    }
    let project = project(&database, &fixture);
    let waits = there_and_back(&database, &fixture, &project, &was).await?;
    if waits && (fixture.every_crash || server.major() == main_server().major()) {
        written_by_both(server, &fixture, &was, &want).await.map_err(|why| format!("with writes: {why}"))?;
    }
    finish(&project).await?;
    let end = Snapshot::take(&database).await;
    same("the schema is not the direct one", want.schema_difference(&end))?;
    if !fixture.volatile {
        same("the rows are not the direct ones", want.row_difference(&end))?;
    }
    Command::Migrate.on(&project.migrator).await?;
    let again = Snapshot::seen(&database).await;
    same("a second migrate changed the schema", end.schema_difference(&again))?;
    same("a second migrate changed rows", end.row_difference(&again))
}

/// Migrates; where that waits, goes back and migrates again. Returns whether it waits.
async fn there_and_back(
    database: &Database,
    fixture: &Fixture,
    project: &Project,
    was: &Snapshot,
) -> Result<bool, String> {
    let migrator = &project.migrator;
    let state = Command::Migrate.on(migrator).await?.unwrap_or(State::Pending);
    if state == State::Applied && !fixture.phased {
        return Ok(false);
    }
    expect(state, State::Ready)?;
    expect(Command::Rollback.on(migrator).await?.unwrap_or(state), State::RolledBack)?;
    let back = Snapshot::take(database).await;
    same("the schema after a rollback from ready", was.schema_difference(&back))?;
    same("the rows after a rollback from ready", was.row_difference(&back))?;
    expect(Command::Migrate.on(migrator).await?.unwrap_or(State::Pending), State::Ready)?;
    Ok(true)
}

/// The whole life of a migration, with writes of both versions, and a way back from contracted.
pub async fn written_by_both(
    server: &'static Server,
    fixture: &Fixture,
    was: &Snapshot,
    want: &Snapshot,
) -> Result<(), String> {
    let database = before(server, fixture).await?;
    let project = project(&database, fixture);
    let migrator = &project.migrator;
    expect(Command::Migrate.on(migrator).await?.unwrap_or(State::Pending), State::Ready)?;
    for _ in 0..3 {
        in_turn(&database, "old code", &fixture.old, 2).await?;
        in_turn(&database, "new code", &fixture.new, 2).await?;
    }
    check_invariant(&database, fixture).await?;
    let state = Command::Contract.on(migrator).await?;
    in_turn(&database, "new code after contract", &fixture.new, 5).await?;
    if state == Some(State::Contracted) {
        let new_form = Snapshot::seen(&database).await;
        Command::Rollback.on(migrator).await?;
        let back = Snapshot::seen(&database).await;
        same("the schema after a rollback from contracted", was.schema_difference(&back))?;
        let (before, kept, is) = (counts(was), counts(&new_form), counts(&back));
        let is_taken_back = |table: &String, rows: &&str| fixture.takes_back && before.get(table) == Some(rows);
        let mut changed = is.iter().filter(|(table, rows)| kept.get(*table).is_some_and(|kept| kept != *rows));
        if let Some((table, rows)) = changed.find(|(table, rows)| !is_taken_back(table, rows)) {
            return Err(format!("rows of {table} after a rollback: {rows}, not {:?}", kept.get(table)));
        }
        tried(&database, "old code after the way back", &fixture.old).await?;
        expect(Command::Migrate.on(migrator).await?.unwrap_or(State::Pending), State::Ready)?;
        check_invariant(&database, fixture).await?;
        Command::Contract.on(migrator).await?;
        if !fixture.forgets {
            let again = Snapshot::seen(&database).await;
            same("a write was lost on the way back", new_form.row_difference(&again))?;
        }
        in_turn(&database, "new code", &fixture.new, 1).await?;
    }
    finish(&project).await?;
    same("the schema in the end", want.schema_difference(&Snapshot::seen(&database).await))
}

/// How many rows each table has, by the name that it had before it was retired.
fn counts(snapshot: &Snapshot) -> BTreeMap<String, &str> {
    let plain = |table: &str| table.replace("_cf_old_001_", "").replace('"', "");
    snapshot.counts().into_iter().map(|(table, rows)| (plain(table), rows)).collect()
}

/// Old and new form agree.
pub async fn check_invariant(database: &Database, fixture: &Fixture) -> Result<(), String> {
    let Some(query) = &fixture.invariant else { return Ok(()) };
    match database.value(query).await.as_str() {
        "0" => Ok(()),
        differing => Err(format!("{differing} rows differ at ready")),
    }
}

async fn refused(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let database = before(server, &fixture).await?;
    let files = fixture.earlier.as_deref().map(|earlier| ("000_earlier.sql", earlier));
    let project = Project::new(&database, files.as_slice());
    if fixture.earlier.is_some() {
        let state = Command::Migrate.on(&project.migrator).await?.unwrap_or(State::Pending);
        expect(state, State::Ready).map_err(|why| format!("the earlier migration: {why}"))?;
    }
    let was = Snapshot::take(&database).await;
    project.write("001_case.sql", &fixture.migration);
    let rule = fixture.refused.clone().unwrap_or_default();
    match Command::Migrate.on(&project.migrator).await {
        Ok(state) => return Err(format!("it was not refused: {state:?}")),
        Err(said) if !said.contains(&format!("[{rule}]")) => return Err(format!("not by {rule}: {said}")),
        Err(_) => {}
    }
    let is = Snapshot::take(&database).await;
    same("a refusal changed the schema", was.schema_difference(&is))?;
    same("a refusal changed rows", was.row_difference(&is))
}
