//! The journal of an earlier version is taken over.

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

/// As format 2 had it: nothing of who did it, and nothing that something else has run.
async fn as_format_2(database: &Database) {
    for statement in [
        "ALTER TABLE crossfade.events DROP COLUMN run_id, DROP COLUMN git_commit, DROP COLUMN git_dirty, DROP COLUMN ci_url, DROP COLUMN db_user",
        "ALTER TABLE crossfade.schema_migrations DROP COLUMN origin, DROP COLUMN raw_checksum, DROP COLUMN missing_because",
        "UPDATE crossfade.meta SET format = 2",
    ] {
        database.run(statement).await.expect("the journal can be made old");
    }
}

/// A column that format 2 did not have.
const NEW_COLUMNS: &str = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'crossfade' AND column_name IN ('origin', 'run_id')";

/// A fill that stopped in the middle, in a journal as format 1 had it: one cursor a step.
#[test]
fn a_fill_that_an_earlier_version_began_is_finished() {
    run(async {
        let database = Database::create(main_server()).await;
        let table = "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 30000) AS g";
        for statement in table.split(';') {
            database.run(statement).await.expect("the table can be made");
        }
        let project = Project::new(&database, &[("001_case.sql", "ALTER TABLE t RENAME COLUMN v TO w;")]);
        // Plan, expand (2 events), the fill's start, and a few chunks.
        let crashed = Command::Migrate.on(&project.migrator.clone().crashing_after(9)).await;
        assert!(crashed.is_err(), "it crashes: {crashed:?}");
        let cursors = database.value("SELECT count(*) FROM crossfade.cursors").await;
        assert_ne!(cursors, "0", "a chunk is done");
        as_format_2(&database).await;
        for statement in [
            "DELETE FROM crossfade.cursors WHERE lane > (SELECT min(lane) FROM crossfade.cursors)",
            "ALTER TABLE crossfade.cursors DROP COLUMN lane",
            "ALTER TABLE crossfade.cursors ADD PRIMARY KEY (plan_id, step)",
            "UPDATE crossfade.meta SET format = 1",
        ] {
            database.run(statement).await.expect("the journal can be made old");
        }
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(database.value("SELECT format FROM crossfade.meta").await, "3");
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v IS DISTINCT FROM w").await, "0");
    });
}

/// Reading changes nothing, so it reads what is there.
#[test]
fn a_journal_of_format_2_is_read_as_it_is_and_brought_over_by_the_first_command_that_writes() {
    run(async {
        let database = Database::create(main_server()).await;
        let rename = ("002_rename.sql", "ALTER TABLE t RENAME COLUMN v TO w;");
        let project = Project::new(&database, &[("001_t.sql", "CREATE TABLE t (id serial PRIMARY KEY, v text);")]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        project.write(rename.0, rename.1);
        database
            .run("INSERT INTO t (v) SELECT 'v' || g FROM generate_series(1, 10) AS g")
            .await
            .expect("rows can be written");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        as_format_2(&database).await;
        let status = project.migrator.status().await.expect("the status can be read");
        let states: Vec<State> = status.migrations.iter().map(|migration| migration.state).collect();
        assert_eq!(states, [State::Applied, State::Ready]);
        assert!(project.migrator.plan(None).await.is_ok());
        // Steering goes on beside a runner of that version.
        project.migrator.pause(None, Some("for a while")).await.expect_err("nothing is under way");
        project.migrator.pause(Some("002"), Some("for a while")).await.expect("it can be paused");
        project.migrator.resume(Some("002")).await.expect("it goes on");
        assert_eq!(database.value("SELECT format FROM crossfade.meta").await, "2");
        assert_eq!(database.value(NEW_COLUMNS).await, "0");
        let before = database.value("SELECT count(*) FROM crossfade.events").await;
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(database.value("SELECT format FROM crossfade.meta").await, "3");
        assert_eq!(database.value(NEW_COLUMNS).await, "2");
        let old = "SELECT count(*) FROM crossfade.events WHERE run_id IS NULL AND db_user = actor";
        assert_eq!(database.value(old).await, before);
        assert_eq!(
            database.value("SELECT count(*) FROM crossfade.events WHERE db_user IS DISTINCT FROM 'postgres'").await,
            "0"
        );
        assert_eq!(
            database.value("SELECT string_agg(DISTINCT origin, ',') FROM crossfade.schema_migrations").await,
            "crossfade"
        );
    });
}

#[test]
fn a_journal_of_a_newer_version_is_not_read() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &[("001_t.sql", "CREATE TABLE t ();")]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        database.run("UPDATE crossfade.meta SET format = 4").await.expect("the journal can be made new");
        let error = project.migrator.status().await.expect_err("it is refused");
        assert!(error.to_string().contains("the journal has format 4, and this program knows 3"), "{error}");
    });
}
