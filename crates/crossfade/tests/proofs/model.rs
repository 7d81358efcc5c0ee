//! Our model of the schema, checked by the real one: the stored catalogs are what a server returns, and what we say a migration leaves is
//! what it leaves.

use crossfade::postgres::introspect;
use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::Table;
use crossfade_core::migration::Migration;
use crossfade_core::plan::MadeInRun;
use crossfade_core::plan::PlanContext;
use crossfade_core::plan::Policy;
use crossfade_core::plan::project;

use crate::cases;
use crate::fixture::Fixture;
use crate::fixture::catalog_path;
use crate::laws::before;
use crate::laws::finish;
use crate::laws::project as folder;
use crate::project::Command;
use crate::prove;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::servers;

/// The version whose catalogs are stored, but of cases that are only for newer ones.
const STORED: u32 = 15;

fn stored_version(fixture: &Fixture) -> u32 {
    STORED.max(fixture.pg)
}

#[test]
fn stored_catalogs_are_what_a_server_returns() {
    let mut all = cases(servers(), |_| true);
    all.retain(|(server, fixture)| server.major() == stored_version(fixture));
    prove(all, stored_is_fresh);
}

#[test]
fn the_model_says_what_a_migration_leaves() {
    prove(cases(std::slice::from_ref(main_server()), |fixture| fixture.refused.is_none()), model_agrees);
}

async fn look(database: &Database) -> Result<Catalog, String> {
    let client = database.connect().await;
    introspect(&client, "crossfade").await.map_err(|error| error.to_string())
}

async fn stored_is_fresh(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let database = before(server, &fixture).await?;
    let mut catalog = look(&database).await?;
    catalog.server_version = stored_version(&fixture) * 10_000;
    catalog.other_sessions = u32::from(!fixture.alone);
    let fresh = format!("{}\n", serde_json::to_string_pretty(&catalog).expect("catalogs are data"));
    let path = catalog_path(&fixture.name);
    if std::env::var_os("CROSSFADE_UPDATE_FIXTURES").is_some() {
        return std::fs::write(&path, fresh).map_err(|error| error.to_string());
    }
    let stored = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let line = stored.lines().zip(fresh.lines()).position(|(stored, fresh)| stored != fresh);
    match (stored == fresh, line) {
        (true, _) => Ok(()),
        (false, line) => Err(format!("{} is old at line {}", path.display(), line.unwrap_or_default() + 1)),
    }
}

async fn model_agrees(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let database = before(server, &fixture).await?;
    let mut catalog = look(&database).await?;
    catalog.other_sessions = u32::from(!fixture.alone);
    let migration = Migration::parse("001", "case", &fixture.migration).map_err(|findings| format!("{findings:?}"))?;
    let policy = Policy::default();
    let cx = PlanContext {
        migration: &migration,
        catalog: &catalog,
        policy: &policy,
        in_flight: &[],
        made_in_run: &MadeInRun::default(),
    };
    let said = project(cx);
    let project = folder(&database, &fixture);
    Command::Migrate.on(&project.migrator).await?;
    finish(&project).await?;
    let is = look(&database).await?;
    for table in &said.tables {
        let found = is.table(&table.name).ok_or_else(|| format!("{} is not there", table.name))?;
        let (said, is) = (columns(table), columns(found));
        if said != is {
            return Err(format!("{}: the model has {said:?}, the server {is:?}", table.name));
        }
    }
    Ok(())
}

/// Name, type and NOT NULL of each column. A type has several spellings, and one base type with one modifier.
fn columns(table: &Table) -> Vec<String> {
    let mut all: Vec<String> = table
        .columns
        .iter()
        .map(|column| {
            let not_null = if column.not_null { " NOT NULL" } else { "" };
            format!("{} {} {}{not_null}", column.name, column.base_type, column.type_modifier)
        })
        .collect();
    all.sort();
    all
}
