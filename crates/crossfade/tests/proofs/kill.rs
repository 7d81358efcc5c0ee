//! Death in the middle of an effect: the server ends our backend while it builds an index or fills a chunk.

use std::time::Duration;

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::WAITS;
use crate::scene::database;
use crate::scene::expanded;
use crate::scene::in_transaction;
use crate::scene::scene;
use crate::scene::terminate;
use crate::scene::until;
use crate::server::run;

const INVALID: &str = "SELECT count(*) FROM pg_index WHERE NOT (indisvalid AND indisready)";

#[test]
fn a_backend_killed_in_the_middle_of_create_index_concurrently() {
    run(async {
        let (database, project) = scene("CREATE INDEX t_v ON t (v);").await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 1").await;
        let first = Running::start(&project, Start::Migrate);
        until(&database, "SELECT count(*) > 0 FROM pg_index WHERE NOT indisvalid").await;
        until(&database, WAITS).await;
        assert_eq!(terminate(&database, "CREATE INDEX CONCURRENTLY%").await, 1);
        tokio::time::sleep(Duration::from_millis(200)).await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        // It may have gone on by itself; where not, the next run does.
        let (result, _) = first.end().await;
        if result.is_err() {
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        }
        assert_eq!(project.state().await, State::Applied);
        assert_eq!(database.value(INVALID).await, "0");
        let built = "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass";
        assert_eq!(database.value(built).await, "t");
    });
}

#[test]
fn a_killed_build_can_be_rolled_back() {
    run(async {
        let (database, project) = scene("CREATE UNIQUE INDEX t_v ON t (v);").await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 1").await;
        let first = Running::start(&project, Start::Migrate);
        until(&database, "SELECT count(*) > 0 FROM pg_index WHERE NOT indisvalid").await;
        until(&database, WAITS).await;
        // The whole process is gone: its lease, and its worker.
        first.kill();
        terminate(&database, "%").await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        let undone = settle(&project, Command::Rollback).await;
        assert_eq!(undone, Ok(Some(State::RolledBack)));
        assert_eq!(database.value("SELECT count(*) FROM pg_class WHERE relname LIKE 't\\_v%'").await, "0");
        assert_eq!(settle(&project, Command::Migrate).await, Ok(Some(State::Applied)));
    });
}

#[test]
fn a_backend_killed_in_the_middle_of_a_chunk() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let first = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;
        assert!(terminate(&database, "EXPLAIN%UPDATE ONLY%").await > 0, "no chunk was at work");
        blocker.batch_execute("COMMIT").await.expect("it commits");
        let (result, _) = first.end().await;
        assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)), "it goes on by itself");
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v IS DISTINCT FROM w").await, "0");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
    });
}

#[test]
fn a_server_that_ends_every_connection_is_outlived() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let first = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;
        let query = "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name LIKE 'crossfade%'";
        until(&database, query).await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        let (result, _) = first.end().await;
        assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)), "it goes on by itself");
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v IS DISTINCT FROM w").await, "0");
    });
}

/// A statement that must not be done twice to a row, with the worker killed again and again: whether the last chunk was committed is told by the
/// cursor alone, which shares its transaction.
#[test]
fn each_row_is_changed_once_whatever_is_killed() {
    run(async {
        let database = database(
            "CREATE TABLE accounts (id serial PRIMARY KEY, balance bigint NOT NULL);
             INSERT INTO accounts (balance) SELECT 1000 * g FROM generate_series(1, 40000) AS g",
        )
        .await;
        let project = Project::new(&database, &[("001_case.sql", "UPDATE accounts SET balance = balance + 1;")]);
        let first = Running::start(&project, Start::Migrate);
        let mut killed = 0;
        for chunks in [1, 3, 6, 10] {
            let some = format!("SELECT count(*) >= {chunks} * 128 FROM accounts WHERE balance % 1000 > 0");
            until(&database, &some).await;
            killed += terminate(&database, "%").await;
        }
        let (result, _) = first.end().await;
        assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Applied)), "it goes on by itself");
        assert!(killed > 0, "nobody was at work");
        assert_eq!(database.value("SELECT count(*) FROM accounts WHERE balance <> 1000 * id + 1").await, "0");
    });
}

/// A command, once the server has noticed that the runner before it is gone.
async fn settle(project: &Project, command: Command) -> crate::project::Outcome {
    let mut outcome = command.on(&project.migrator).await;
    for _ in 0..1200 {
        match &outcome {
            Err(said) if said.contains("another runner") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                outcome = command.on(&project.migrator).await;
            }
            _ => return outcome,
        }
    }
    outcome
}
