//! A look from beside: it sees who waits on every version, needs no right to change anything, and reads what an older program has left.

use crossfade::Watcher;
use crossfade::report::LockWait;
use crossfade::report::Snapshot;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::scene::RENAME;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::TABLE;
use crate::scene::in_transaction;
use crate::scene::scene;
use crate::server::Database;
use crate::server::outer_servers;
use crate::server::run;

async fn look(watcher: &mut Watcher) -> Snapshot {
    watcher.look().await.unwrap_or_else(|error| panic!("{}", error.chain()))
}

/// Looks until somebody waits of whom this holds.
async fn until_waits(watcher: &mut Watcher, wanted: impl Fn(&LockWait) -> bool) -> Snapshot {
    for _ in 0..2400 {
        let snapshot = look(watcher).await;
        if snapshot.lock_waits.iter().any(&wanted) {
            return snapshot;
        }
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
    panic!("nobody waits: {:#?}", look(watcher).await.lock_waits)
}

#[test]
fn who_waits_and_who_is_in_the_way_is_seen_on_old_and_new_servers() {
    run(async {
        for server in outer_servers() {
            let database = Database::create(server).await;
            database.run(TABLE).await.expect("a table is made");
            let project = Project::new(&database, &[("001_case.sql", RENAME)]);
            let mut watcher = project.migrator.watcher();
            let before = look(&mut watcher).await;
            assert!(before.flights.is_empty() && before.events.is_empty(), "{before:#?}");
            let died = Command::Migrate.on(&project.migrator.clone().crashing_after(3)).await;
            assert!(died.is_err_and(|said| said.contains("crashed here")));
            // It is expanded. The fill comes to this row, and no further.
            let locker = in_transaction(&database, "UPDATE t SET pad = pad WHERE id = 300").await;
            let running = Running::start(&project, Start::Migrate);
            let seen = until_waits(&mut watcher, |wait| wait.waiter.ours).await;
            let wait = seen.lock_waits.iter().find(|wait| wait.waiter.ours).expect("it was just seen");
            let blocker = wait.blockers.first().expect("somebody is in the way");
            assert_eq!((blocker.application.as_str(), blocker.ours), ("the blocker", false), "{wait:#?}");
            assert!(blocker.query.as_deref().is_some_and(|query| query.contains("UPDATE t")), "{wait:#?}");
            assert!(wait.relation.as_deref() == Some("t") && wait.seconds >= 0.0, "{wait:#?}");
            let flight = seen.flights.first().expect("it is in flight");
            assert_eq!((flight.state, flight.tables.as_slice()), (State::Migrating, &["public.t".to_owned()][..]));

            // Somebody else waits on the same table, behind somebody else.
            let other = database.connect().await;
            let waiting =
                tokio::spawn(async move { other.batch_execute("BEGIN; LOCK TABLE t IN SHARE MODE; COMMIT").await });
            let seen = until_waits(&mut watcher, |wait| !wait.waiter.ours).await;
            let wait = seen.lock_waits.iter().find(|wait| !wait.waiter.ours).expect("it was just seen");
            assert_eq!((wait.mode.as_str(), wait.relation.as_deref()), ("ShareLock", Some("t")));

            locker.batch_execute("COMMIT").await.expect("it lets go");
            let (ended, _) = running.end().await;
            assert_eq!(ended.unwrap_or_else(|error| panic!("{}", error.chain())), Some(State::Ready));
            waiting.await.expect("it does not panic").expect("it got its lock");
            let after = look(&mut watcher).await;
            assert_eq!((after.lock_waits.len(), after.flights.len()), (0, 1), "{:#?}", after.lock_waits);
            let old_form = after.flights.first().and_then(|flight| flight.old_form.as_ref());
            assert!(old_form.is_some(), "{after:#?}");
        }
    });
}

#[test]
fn a_role_that_may_only_read_sees_what_it_may() {
    run(async {
        let (database, project) = scene(RENAME).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let rights = "CREATE ROLE looks_on LOGIN; GRANT USAGE ON SCHEMA crossfade TO looks_on; GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO looks_on";
        database.run(rights).await.expect("a role is made");
        let as_reader = database.server.scratch.url_as("looks_on", &database.name);
        let target = crossfade::Target::from_url(&as_reader).expect("a URL");
        let reader = Project::on(target, &[("001_case.sql", RENAME)], |_| {});
        let snapshot = look(&mut reader.migrator.watcher()).await;
        assert_eq!(snapshot.flights.first().map(|flight| flight.state), Some(State::Ready));
        assert!(!snapshot.events.is_empty());
        database.run("DROP OWNED BY looks_on; DROP ROLE looks_on").await.expect("the role is dropped");
    });
}

/// Found by reading: the heartbeat of an earlier program does not say how long its commit took.
#[test]
fn a_heartbeat_of_an_earlier_version_is_read_and_brought_over() {
    run(async {
        let (database, project) = scene(RENAME).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        database.run("ALTER TABLE crossfade.heartbeat DROP COLUMN commit_us").await.expect("it can be made old");
        assert_eq!(look(&mut project.migrator.watcher()).await.commit_seconds, None);
        project.migrator.throttle().await.expect("it is looked at as it is");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        let there = "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'crossfade' AND column_name = 'commit_us'";
        assert_eq!(database.value(there).await, "1");
    });
}
