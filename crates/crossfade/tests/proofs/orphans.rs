//! Rows that point to nothing, and what they point to going away: a foreign key with `up`, under writes that cross.

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::scene::in_transaction;
use crate::scene::until;
use crate::server::Database;
use crate::server::connect;
use crate::server::run;
use crate::server::servers;

/// Users 1 to 100, and notes that point to 1 to 200.
const TABLES: &str = "CREATE TABLE users (id integer PRIMARY KEY);
    CREATE TABLE notes (id integer PRIMARY KEY, user_id integer, v text);
    INSERT INTO users SELECT g FROM generate_series(1, 100) AS g;
    INSERT INTO notes SELECT g, g FROM generate_series(1, 200) AS g;
    GRANT USAGE ON SCHEMA public TO app_writer;
    GRANT SELECT, DELETE ON users TO app_writer;";

const KEY: &str = "-- crossfade: up NULL\n\
    ALTER TABLE notes ADD CONSTRAINT notes_user FOREIGN KEY (user_id) REFERENCES users ON DELETE RESTRICT;";

/// Whether somebody waits for somebody.
const WAITS: &str =
    "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// [`TABLES`] on each server, with the migration not begun.
async fn on_each() -> Vec<(Database, Project)> {
    let mut all = Vec::new();
    for server in servers() {
        let database = Database::create(server).await;
        database.run(TABLES).await.expect("the tables are made");
        let project = Project::new(&database, &[("001_key.sql", KEY)]);
        all.push((database, project));
    }
    all
}

/// As [`on_each`], at ready.
async fn ready_on_each() -> Vec<(Database, Project)> {
    let all = on_each().await;
    for (_, project) in &all {
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    }
    all
}

/// One session has run its statement and not committed; another waits for it, and goes on when it does.
async fn crossing(database: &Database, first: &str, second: &str) -> Result<(), String> {
    let client = in_transaction(database, first).await;
    let (url, second) = (database.url(), second.to_owned());
    let waiting =
        tokio::spawn(async move { connect(&url).await.batch_execute(&second).await.map_err(|e| crate::text_of(&e)) });
    until(database, WAITS).await;
    client.batch_execute("COMMIT").await.expect("it is committed");
    waiting.await.expect("a session does not panic")
}

#[test]
fn a_row_that_points_to_what_is_being_deleted_waits_and_is_mended() {
    run(async {
        for (database, _project) in ready_on_each().await {
            let gone = "DELETE FROM users WHERE id = 1";
            crossing(&database, gone, "INSERT INTO notes VALUES (1000, 1)").await.expect("old code inserts");
            assert_eq!(database.value("SELECT count(user_id) FROM notes WHERE id IN (1, 1000)").await, "0");
            let gone = "DELETE FROM users WHERE id = 2";
            crossing(&database, gone, "UPDATE notes SET user_id = 2 WHERE id = 3").await.expect("old code updates");
            assert_eq!(database.value("SELECT count(user_id) FROM notes WHERE id IN (2, 3)").await, "0");
        }
    });
}

#[test]
fn what_a_row_of_an_open_transaction_points_to_goes_after_it() {
    run(async {
        for (database, _project) in ready_on_each().await {
            let points = "INSERT INTO notes VALUES (1000, 1)";
            crossing(&database, points, "DELETE FROM users WHERE id = 1").await.expect("old code deletes");
            assert_eq!(database.value("SELECT count(user_id) FROM notes WHERE id IN (1, 1000)").await, "0");
            let points = "UPDATE notes SET user_id = 5 WHERE id = 4";
            crossing(&database, points, "UPDATE users SET id = 500 WHERE id = 5").await.expect("old code renumbers");
            assert_eq!(database.value("SELECT count(user_id) FROM notes WHERE id IN (4, 5)").await, "0");
        }
    });
}

/// Also what was mended because a parent went, by somebody who may not write the rows that pointed to it.
#[test]
fn a_rollback_gives_back_what_rows_pointed_to() {
    run(async {
        for (database, project) in ready_on_each().await {
            assert_eq!(database.value("SELECT count(user_id) || ' ' || max(user_id) FROM notes").await, "100 100");
            let delete = "SET ROLE app_writer; DELETE FROM users WHERE id IN (5, 6); RESET ROLE;";
            database.run(delete).await.expect("old code deletes");
            database.run("UPDATE notes SET user_id = 999 WHERE id = 7").await.expect("old code writes");
            database.run("UPDATE notes SET user_id = 1 WHERE id IN (6, 150)").await.expect("new code writes");
            let mended = "SELECT string_agg(coalesce(user_id::text, '-'), ' ' ORDER BY id) FROM notes \
                          WHERE id IN (5, 6, 7, 8, 150, 151)";
            assert_eq!(database.value(mended).await, "- 1 - 8 1 -");
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
            assert_eq!(database.value(mended).await, "5 1 999 8 1 151");
            assert_eq!(database.value("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal").await, "0");
        }
    });
}

/// A write may take a row out of the sweep's way; then nobody else would mend it.
#[test]
fn any_write_to_a_row_that_is_not_mended_yet_mends_it() {
    run(async {
        for (database, project) in on_each().await {
            let key = "SELECT count(*) FROM pg_constraint WHERE conname = 'notes_user'";
            for writes in 3.. {
                let died = Command::Migrate.on(&project.migrator.clone().crashing_after(writes)).await;
                assert!(died.is_err_and(|said| said.contains("crashed here")));
                if database.value(key).await == "1" {
                    break;
                }
            }
            assert_eq!(database.value("SELECT count(user_id) FROM notes").await, "200");
            database.run("UPDATE notes SET v = 'o' WHERE id IN (7, 150)").await.expect("old code writes");
            assert_eq!(database.value("SELECT id FROM notes WHERE user_id IS NULL").await, "150");
            database.run("DELETE FROM users WHERE id = 8").await.expect("old code deletes");
            assert_eq!(database.value("SELECT count(*) FROM notes WHERE user_id IS NULL").await, "2");
        }
    });
}
