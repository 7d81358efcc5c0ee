//! One runner at a time: the second is told who the first is, and may wait for it.

use std::time::Duration;

use crossfade::ErrorKind;
use crossfade::observer::Notice;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::WAITS;
use crate::scene::database;
use crate::scene::expanded;
use crate::scene::in_transaction;
use crate::scene::until;
use crate::server::run;

#[test]
fn a_second_runner_is_told_who_the_first_is_and_may_wait() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let mut first = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;

        let refused = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        let text = said(&refused);
        let host = nix::unistd::gethostname().expect("the host has a name").into_string().expect("a plain one");
        for part in [host, std::process::id().to_string(), "since 20".to_owned(), "--wait".to_owned()] {
            assert!(text.contains(&part), "{part} is not in: {text}");
        }
        let runner = project.migrator.status().await.expect("status needs no lease").runner.expect("there is one");
        assert_eq!(runner.pid, i32::try_from(std::process::id()).expect("it fits"));

        let mut second = Running::start(&project, Start::MigrateWaiting);
        // It says nothing of a holder that ends right away.
        tokio::time::sleep(Duration::from_millis(2600)).await;
        assert!(!second.is_over() && !first.is_over(), "both are still there");
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(first.end().await.0.map_err(|error| said(&error)), Ok(Some(State::Ready)));
        let (result, watch) = second.end().await;
        assert!(result.is_ok(), "{result:?}");
        assert_eq!(project.state().await, State::Ready);
        assert!(
            watch.notices.iter().any(|notice| matches!(notice, Notice::LeaseHeld { .. })),
            "it was told whom it waits for"
        );
    });
}

/// D2: another tool completes from a second process while the first still fills rows, and loses values.
#[test]
fn d02_contract_from_a_second_process_during_a_backfill_is_refused() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let first = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;
        for command in [Command::Contract, Command::Rollback, Command::Purge] {
            let refused = command.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
            assert_eq!(refused.kind(), ErrorKind::Refused, "{}", said(&refused));
        }
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(first.end().await.0.map_err(|error| said(&error)), Ok(Some(State::Ready)));
        assert_eq!(database.value("SELECT count(*) FROM t WHERE w IS NULL").await, "0");
    });
}

/// E5 39: many runners at once, one of which builds an index CONCURRENTLY while the others wait for it: each file is run once, and nobody hangs.
#[test]
fn runners_at_once_run_each_file_once() {
    run(async {
        for turn in 0..50 {
            let database = database("CREATE TABLE t (id integer); INSERT INTO t SELECT generate_series(1, 2000)").await;
            let files = [
                ("001_one.sql", "CREATE TABLE one (id integer);"),
                ("002_index.sql", "CREATE INDEX CONCURRENTLY t_id ON t (id);"),
                ("003_row.sql", "INSERT INTO one VALUES (3);"),
            ];
            let project = Project::new(&database, &files);
            let runners: Vec<Running> = (0..3).map(|_| Running::start(&project, Start::MigrateWaiting)).collect();
            for runner in runners {
                let ended = tokio::time::timeout(Duration::from_secs(60), runner.end()).await;
                let (result, _) = ended.unwrap_or_else(|_| panic!("turn {turn}: a runner hangs"));
                assert!(result.is_ok(), "turn {turn}: {result:?}");
            }
            assert_eq!(database.value("SELECT count(*) FROM one").await, "1", "turn {turn}");
            assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "3", "turn {turn}");
        }
    });
}

/// A waiter asks again and again, each time in a transaction of its own: in one that stays open, CREATE INDEX CONCURRENTLY would wait for its end.
#[test]
fn who_waits_for_the_lease_keeps_no_transaction_open() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let first = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;
        let second = Running::start(&project, Start::MigrateWaiting);
        let asks = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crossfade' AND query = 'ROLLBACK'";
        until(&database, asks).await;
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crossfade' \
             AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '1 s' \
             AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted)";
        // Of 3 s, one that is open for the whole time is seen in two; a busy machine may leave one lie for a moment.
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert_eq!(database.value(open).await, "0");
        }
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert!(first.end().await.0.is_ok() && second.end().await.0.is_ok());
    });
}
