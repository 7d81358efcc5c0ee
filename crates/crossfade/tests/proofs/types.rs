//! Types and functions under a new name: what is made of a stand-in, who knows it by its number, and the way that keeps nothing.

use std::time::Duration;

use crossfade::ContractOptions;
use crossfade::ErrorKind;
use crossfade::Stop;
use crossfade_core::journal::State;

use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::direct;
use crate::laws::same;
use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::run;
use crate::server::servers;
use crate::snapshot::Snapshot;

const BEFORE: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TABLE t (id integer PRIMARY KEY, m mood);
    CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1';
    INSERT INTO t SELECT g, 'ok' FROM generate_series(1, 300) AS g;";

const RENAMES: &str = "ALTER TYPE mood RENAME TO feeling;
    ALTER FUNCTION one() RENAME TO first;";

async fn ready(server: &'static Server) -> (Database, Project) {
    let database = Database::create(server).await;
    database.run(BEFORE).await.expect("it is SQL");
    let project = Project::new(&database, &[("001_case.sql", RENAMES)]);
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    (database, project)
}

/// A column of the stand-in would not become one of the type, and a view of the copy would not go on with the function.
#[test]
fn what_is_made_of_a_stand_in_is_named_at_contract() {
    run(async {
        for server in servers() {
            let (database, project) = ready(server).await;
            database.run("CREATE VIEW ones AS SELECT first()").await.expect("the name is there");
            let said = Command::Contract.on(&project.migrator).await.expect_err("a view uses the copy");
            assert!(said.contains("uses public.first"), "{said}");
            database.run("CREATE OR REPLACE VIEW ones AS SELECT one() AS first").await.expect("both names are there");
            database.run("CREATE TABLE late (m feeling, many feeling[])").await.expect("the name is there");
            let said = Command::Contract.on(&project.migrator).await.expect_err("a column has the stand-in's type");
            assert!(said.contains("column m of table late uses public.feeling"), "{said}");
            assert!(said.contains("column many of table late uses public.feeling"), "{said}");
            let mend = "ALTER TABLE late ALTER COLUMN m TYPE mood USING m::text::mood, ALTER COLUMN many TYPE mood[] USING many::text::mood[]";
            database.run(mend).await.expect("both names are there");
            assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
            let types = "SELECT string_agg(format_type(atttypid, NULL), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'late'::regclass AND attnum > 0";
            assert_eq!(database.value(types).await, "feeling feeling[]");
            assert_eq!(
                database.value("SELECT pg_get_viewdef('ones'::regclass)").await.trim(),
                "SELECT first() AS first;"
            );
        }
    });
}

/// What was true when it was asserted is asked again in the transaction that goes by it.
#[test]
fn what_is_made_of_a_stand_in_between_two_runs_is_found_too() {
    run(async {
        let mut stood_in = 0;
        for writes in 1..12 {
            let (database, project) = ready(main_server()).await;
            let said = Command::Contract.on(&project.migrator.clone().crashing_after(writes)).await;
            if database.value("SELECT (to_regtype('mood') IS NULL)::text").await == "true" {
                break;
            }
            assert!(said.is_err_and(|said| said.contains("crashed here")), "after {writes}");
            database.run("CREATE TABLE late (m feeling)").await.expect("the name is there");
            let said = Command::Contract.on(&project.migrator).await.expect_err("a column has the stand-in's type");
            assert!(said.contains("column m of table late uses public.feeling"), "after {writes}: {said}");
            stood_in += 1;
        }
        assert!(stood_in > 3, "it was tried at {stood_in} places");
    });
}

/// Drivers look a type's number up once, and statements are prepared with it.
#[test]
fn who_knows_a_stand_in_by_its_number_goes_on_until_the_purge() {
    run(async {
        for server in servers() {
            let (database, project) = ready(server).await;
            let client = database.connect().await;
            client
                .batch_execute("PREPARE found(feeling) AS SELECT count(*) FROM t WHERE m = $1; EXECUTE found('ok')")
                .await
                .expect("the stand-in is there");
            client
                .batch_execute("PREPARE put(feeling) AS UPDATE t SET m = $1 WHERE id = 1; EXECUTE put('ok')")
                .await
                .expect("the stand-in is there");
            assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
            client.batch_execute("EXECUTE put('sad'); EXECUTE found('ok')").await.expect("it is still there");
            assert_eq!(database.value("SELECT m FROM t WHERE id = 1 AND m = 'sad'::feeling").await, "sad");
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
            assert_eq!(database.value("SELECT m FROM t WHERE id = 1 AND m = 'sad'::mood").await, "sad");
        }
    });
}

/// A domain hides the enum from the claims: contract still finds the trigger function that would fail with each write.
#[test]
fn a_value_that_a_trigger_of_another_migration_names_keeps_its_name() {
    run(async {
        let database = Database::create(main_server()).await;
        let before = "CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE DOMAIN feeling AS mood;
            CREATE TABLE t (id integer PRIMARY KEY, m feeling DEFAULT 'sad', n integer);
            INSERT INTO t SELECT g, 'ok', g FROM generate_series(1, 300) AS g;";
        database.run(before).await.expect("it is SQL");
        let files = [
            ("001_first.sql", "ALTER TABLE t RENAME COLUMN m TO w;"),
            ("002_second.sql", "ALTER TYPE mood RENAME VALUE 'sad' TO 'down';"),
        ];
        let project = Project::new(&database, &files);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let contract = |version: &'static str| {
            let migrator = project.migrator.clone();
            async move {
                let (options, stop) = (ContractOptions::default(), Stop::default());
                let report = migrator.contract(Some(version), &options, &mut Watch::default(), &stop).await;
                report.map(|_| ()).map_err(|error| (error.kind(), said(&error)))
            }
        };
        let (kind, refused) = contract("002").await.expect_err("the trigger names it");
        assert_eq!(kind, ErrorKind::Refused, "{refused}");
        assert!(refused.contains("sync_001_public_t has the old name in its text"), "{refused}");
        database.run("INSERT INTO t (id, n) VALUES (400, 1)").await.expect("old code writes on");
        contract("001").await.expect("nothing is in its way");
        contract("002").await.expect("the trigger is gone");
        database.run("INSERT INTO t (id, n) VALUES (401, 1)").await.expect("new code writes on");
        assert_eq!(database.value("SELECT string_agg(DISTINCT w::text, ' ') FROM t WHERE id >= 400").await, "down");
    });
}

/// `retain = "0"`: contract drops what is else kept for the way back.
#[test]
fn without_retention_types_and_functions_end_as_the_direct_way() {
    let wanted = |fixture: &Fixture| {
        let about = [
            "rename_type",
            "rename_domain",
            "rename_function",
            "rename_procedure",
            "rename_enum",
            "enum_",
            "move_type",
            "type_",
        ];
        fixture.refused.is_none() && about.iter().any(|part| fixture.name.starts_with(part))
    };
    crate::prove(crate::spread_thin(wanted), at_once);
}

async fn at_once(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let want = direct(server, &fixture).await?;
    let database = before(server, &fixture).await?;
    let files = [("001_case.sql", fixture.migration.as_str())];
    let project = Project::with(&database, &files, |config| config.retain = Duration::ZERO);
    let mut state = Command::Migrate.on(&project.migrator).await?;
    if state == Some(State::Ready) {
        state = Command::Contract.on(&project.migrator).await?;
    }
    crate::laws::expect(state.unwrap_or(State::Pending), State::Applied)?;
    same("the schema is not the direct one", want.schema_difference(&Snapshot::take(&database).await))
}

/// After contract each write of the application makes a value of the old type, too: there must be a way to it, and what it does not hold must fail no write.
#[test]
fn no_write_fails_after_contract_for_what_the_old_type_does_not_hold() {
    run(async {
        let database = Database::create(main_server()).await;
        let before = "CREATE DOMAIN code AS text CHECK (length(VALUE) < 4);
            CREATE TYPE mood AS ENUM ('sad', 'ok');
            CREATE TABLE t (id integer PRIMARY KEY, c code, m mood, a smallint);
            INSERT INTO t SELECT g, g % 100, 'ok', 1 FROM generate_series(1, 300) AS g;";
        database.run(before).await.expect("it is SQL");
        let migration = "CREATE TYPE feeling AS ENUM ('sad', 'ok', 'fine');
            ALTER TABLE t ALTER COLUMN c TYPE integer USING c::text::integer,
                ALTER COLUMN m TYPE feeling USING m::text::feeling, ALTER COLUMN a TYPE boolean USING a <> 0;";
        let project = Project::new(&database, &[("001_case.sql", migration)]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        database.run("UPDATE t SET c = 77, m = 'sad', a = false WHERE id = 1").await.expect("the old types hold it");
        database.run("UPDATE t SET c = 12345, m = 'fine', a = true WHERE id = 2").await.expect("they do not hold it");
        let said = Command::Rollback.on(&project.migrator).await.expect_err("the old types do not hold it");
        assert!(said.contains("1 rows of public.t hold a c that the type from before can't hold"), "{said}");
        database.run("UPDATE t SET c = 123, m = 'ok' WHERE id = 2").await.expect("the old types hold it");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        let rows = "SELECT string_agg(concat_ws(' ', id, c, m, a), ', ' ORDER BY id) FROM t WHERE id < 4";
        assert_eq!(database.value(rows).await, "1 77 sad 0, 2 123 ok 1, 3 3 ok 1");
    });
}
