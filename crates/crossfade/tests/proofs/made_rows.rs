//! Rows that an INSERT of a file makes beside something that waits: a rollback takes back those that nobody uses.

use std::time::Duration;

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::scene::TABLE;
use crate::scene::WAITS;
use crate::scene::database;
use crate::scene::in_transaction;
use crate::scene::until;
use crate::server::Database;
use crate::server::run;

const PLANS: &str = "CREATE TABLE plans (id integer PRIMARY KEY, name text, price integer);
    INSERT INTO plans VALUES (1, 'free', 0);
    CREATE TABLE subscriptions (id integer PRIMARY KEY, plan integer REFERENCES plans ON DELETE CASCADE);";

const FILE: &str = "INSERT INTO plans VALUES (2, 'solo', 10), (3, 'team', 20), (4, 'large', 40), (1, 'other', 1) ON CONFLICT DO NOTHING;
    ALTER TABLE t RENAME COLUMN v TO w;";

const ALL: &str = "SELECT string_agg(id || ' ' || name || ' ' || price, ', ' ORDER BY id) FROM plans";

const OURS: &str = "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_cf\\_%'";

async fn ready() -> (Database, Project) {
    let database = database(&format!("{TABLE} {PLANS}")).await;
    let project = Project::new(&database, &[("001_case.sql", FILE)]);
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    (database, project)
}

async fn used(database: &Database) {
    database
        .run("INSERT INTO subscriptions VALUES (1, 2); UPDATE plans SET price = 25 WHERE id = 3")
        .await
        .expect("used");
}

#[test]
fn a_row_that_is_pointed_to_or_changed_by_then_stays() {
    run(async {
        for contract in [false, true] {
            let (database, project) = ready().await;
            used(&database).await;
            if contract {
                assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
            }
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
            assert_eq!(database.value(ALL).await, "1 free 0, 2 solo 10, 3 team 25");
            assert_eq!(database.value("SELECT count(*) FROM subscriptions").await, "1");
            assert_eq!(database.value(OURS).await, "0");
        }
    });
}

#[test]
fn once_it_is_purged_nothing_is_kept_of_the_rows() {
    run(async {
        let (database, project) = ready().await;
        used(&database).await;
        assert_eq!(database.value(OURS).await, "1");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(database.value(OURS).await, "1");
        assert_eq!(Command::Purge.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value(OURS).await, "0");
        assert_eq!(database.value(ALL).await, "1 free 0, 2 solo 10, 3 team 25, 4 large 40");
    });
}

#[test]
fn where_nothing_is_retained_they_are_forgotten_at_contract() {
    run(async {
        let database = database(&format!("{TABLE} {PLANS}")).await;
        let project = Project::with(&database, &[("001_case.sql", FILE)], |config| config.retain = Duration::ZERO);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value(OURS).await, "0");
    });
}

/// A rollback that was killed has either taken them back and forgotten them, or neither.
#[test]
fn a_crash_on_the_way_back_leaves_none_and_forgets_none() {
    run(async {
        for writes in 1.. {
            let (database, project) = ready().await;
            used(&database).await;
            let died = Command::Rollback.on(&project.migrator.clone().crashing_after(writes)).await;
            let is_over = died.is_ok();
            let kept = database.value(OURS).await;
            assert_eq!(database.value("SELECT count(*) FROM plans").await, if kept == "1" { "4" } else { "3" });
            Command::Rollback.on(&project.migrator).await.unwrap_or_else(|why| panic!("after {writes}: {why}"));
            assert_eq!(database.value(ALL).await, "1 free 0, 2 solo 10, 3 team 25");
            if is_over {
                break;
            }
        }
    });
}

/// A foreign key that only came since counts, and so does a row that is written in the very moment.
#[test]
fn a_session_that_is_about_to_point_to_a_row_is_waited_for() {
    run(async {
        let (database, project) = ready().await;
        database
            .run("CREATE TABLE trials (id integer PRIMARY KEY, plan integer REFERENCES plans ON DELETE CASCADE)")
            .await
            .expect("made since");
        let client = in_transaction(&database, "INSERT INTO trials VALUES (1, 2)").await;
        let commit = async {
            until(&database, WAITS).await;
            client.batch_execute("COMMIT").await.expect("it commits");
        };
        let (state, ()) = tokio::join!(Command::Rollback.on(&project.migrator), commit);
        assert_eq!(state, Ok(Some(State::RolledBack)));
        assert_eq!(database.value(ALL).await, "1 free 0, 2 solo 10");
        assert_eq!(database.value("SELECT count(*) FROM trials").await, "1");
    });
}

/// Whether such a row was changed can't be told any more.
#[test]
fn where_another_file_has_changed_their_columns_since_all_stay() {
    run(async {
        for change in
            ["RENAME COLUMN price TO cost", "DROP COLUMN price", "ALTER price TYPE bigint", "ALTER name TYPE char(9)"]
        {
            let (database, project) = ready().await;
            database.run(&format!("ALTER TABLE plans {change}")).await.expect("changed since");
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)), "{change}");
            assert_eq!(database.value("SELECT count(*) FROM plans").await, "4", "{change}");
            assert_eq!(database.value(OURS).await, "0", "{change}");
        }
    });
}
