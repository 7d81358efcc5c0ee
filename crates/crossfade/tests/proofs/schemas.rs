//! Schemas read object by object, and what makes one out of another: for every pair, what is printed is run, and then nothing differs, as the
//! reader sees it and as `pg_dump` does.

use std::path::Path;

use crossfade::schema::read;
use crossfade_core::schema::Compare;
use crossfade_core::schema::DatabaseSchema;
use crossfade_core::schema::Difference;
use crossfade_core::schema::difference;

use crate::cases;
use crate::each;
use crate::every_case;
use crate::fixture::Fixture;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::servers;
use crate::snapshot;
use crate::spread_thin;

/// One object of each kind, and the same in other forms.
const EVERYTHING: &str = "everything.sql";
const CHANGED: &str = "changed.sql";

const WITH_OWNERS: Compare = Compare { owners: true };

#[test]
fn a_migration_is_found_and_can_be_made_and_taken_back() {
    // A range in the place of another one under a column can't be made while the functions of the old one have its names.
    let runs = |fixture: &Fixture| fixture.refused.is_none() && fixture.name != "rename_type_range";
    let label = |(server, fixture): (&'static Server, Fixture)| {
        (format!("{} on {}", fixture.name, server.major()), (server, fixture))
    };
    // `CROSSFADE_EVERY_CASE` has the other half.
    let cases = spread_thin(runs).into_iter().step_by(if every_case() { 1 } else { 2 }).map(label).collect();
    each(cases, crate::PATIENCE, |(server, fixture)| async move {
        let migration = fixture.direct_sql.as_ref().unwrap_or(&fixture.migration);
        both_ways(server, &[&fixture.before], &[&fixture.before, migration]).await
    });
}

/// Schemas that have nothing to do with each other.
#[test]
fn any_schema_is_made_out_of_any_other() {
    let all = cases(std::slice::from_ref(main_server()), |_| true);
    let strangers = all.iter().zip(all.iter().skip(7)).step_by(if every_case() { 1 } else { 5 });
    let label = |((server, one), (_, other)): (&(&'static Server, Fixture), &(&'static Server, Fixture))| {
        let label = format!("{} and {} on {}", one.name, other.name, server.major());
        (label, (*server, one.before.clone(), other.before.clone()))
    };
    each(strangers.map(label).collect(), crate::PATIENCE, |(server, one, other)| async move {
        both_ways(server, &[&one], &[&other]).await
    });
}

#[test]
fn every_kind_of_object_is_made_changed_and_dropped() {
    let mut pairs = Vec::new();
    for server in servers() {
        for (one, other) in [("", EVERYTHING), (EVERYTHING, CHANGED), ("", CHANGED)] {
            let label = format!("{one} and {other} on {}", server.major());
            pairs.push((label, (server, for_version(one, server), for_version(other, server))));
        }
    }
    each(pairs, crate::PATIENCE, |(server, one, other)| async move { both_ways(server, &[&one], &[&other]).await });
}

/// A file without the lines that need a newer server: they end with `-- @N`.
fn for_version(file: &str, server: &Server) -> String {
    if file.is_empty() {
        return String::new();
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/proofs/schemas");
    let text = std::fs::read_to_string(folder.join(file)).expect("the schema can be read");
    let fits = |line: &&str| {
        let since = line.rsplit_once("-- @").and_then(|(_, since)| since.trim().parse::<u32>().ok());
        since.is_none_or(|since| server.major() >= since)
    };
    text.lines().filter(fits).map(|line| format!("{line}\n")).collect()
}

async fn both_ways(server: &'static Server, one: &[&str], other: &[&str]) -> Result<(), String> {
    let (first, second) = (made(server, one).await?, made(server, other).await?);
    into(&first, &second).await.map_err(|why| format!("there: {why}"))?;
    let (first, second) = (made(server, one).await?, second);
    into(&second, &first).await.map_err(|why| format!("back: {why}"))
}

/// A database with this schema, and without rows: what a difference does to rows is not its matter here.
async fn made(server: &'static Server, scripts: &[&str]) -> Result<Database, String> {
    let database = Database::create(server).await;
    for script in scripts {
        database.run(script).await.map_err(|error| format!("the schema: {error}"))?;
    }
    let emptied = "DO $$ DECLARE name text; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR name IN SELECT format('%s', c.oid::regclass) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' LOOP
            EXECUTE 'TRUNCATE ' || name || ' CASCADE';
        END LOOP; END $$";
    database.run(emptied).await.map_err(|error| format!("without rows: {error}"))?;
    Ok(database)
}

/// Makes the schema of `to` in `from`.
async fn into(from: &Database, to: &Database) -> Result<(), String> {
    let (is, wanted) = (seen(from).await?, seen(to).await?);
    let todo = difference(&wanted, &is, WITH_OWNERS);
    let client = from.connect().await;
    for statement in todo.statements() {
        client
            .batch_execute(statement.as_str())
            .await
            .map_err(|error| format!("{statement}: {}\nof\n{}", crate::text_of(&error), script(&todo)))?;
    }
    let left = difference(&wanted, &seen(from).await?, WITH_OWNERS);
    let back = difference(&seen(from).await?, &wanted, WITH_OWNERS);
    if !left.is_empty() || !back.is_empty() {
        return Err(format!("it left\n{}and back\n{}of\n{}", script(&left), script(&back), script(&todo)));
    }
    if let Some(dumps) = snapshot::dumps_differ(to, from) {
        return Err(format!("pg_dump: {dumps}\nof\n{}", script(&todo)));
    }
    Ok(())
}

async fn seen(database: &Database) -> Result<DatabaseSchema, String> {
    let client = database.connect().await;
    read(&client, "crossfade").await.map_err(|error| {
        format!("reading: {error}: {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
    })
}

fn script(difference: &Difference) -> String {
    let one = |change: &crossfade_core::schema::Change| {
        let statements: String = change.statements.iter().map(|statement| format!("{statement};\n")).collect();
        format!("-- {}\n{statements}", change.sentence)
    };
    difference.changes.iter().map(one).collect()
}
