//! Every signal on servers of every version: trouble is made, the backfill waits and names it, the trouble ends, and it goes on.

use std::sync::LazyLock;
use std::time::Duration;
use std::time::Instant;

use crossfade::Config;
use crossfade::ErrorKind;
use crossfade::Target;
use crossfade::report::ThrottleReport;
use crossfade_core::journal::State;
use crossfade_core::throttle::Key;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::TABLE;
use crate::scene::in_transaction;
use crate::scene::until;
use crate::server::Database;
use crate::server::Server;
use crate::server::connect;
use crate::server::run;
use crate::server::servers;
use crate::server::start_standby;
use crate::server::start_with;
use crate::throttle::goes_on;
use crate::throttle::pauses;
use crate::throttle::waits;

/// Servers as they stand in production: with WAL senders, an archive and autovacuum.
static PRODUCTION: LazyLock<Vec<Server>> = LazyLock::new(|| {
    let settings = [
        ("wal_level", "replica"),
        ("max_wal_senders", "5"),
        ("max_replication_slots", "5"),
        ("max_prepared_transactions", "5"),
        ("archive_mode", "on"),
        ("archive_command", "true"),
        ("autovacuum", "on"),
        ("autovacuum_naptime", "1s"),
        ("autovacuum_vacuum_cost_delay", "0"),
        ("wal_sender_timeout", "10s"),
    ];
    let start =
        |server: &Server| Server { scratch: start_with(server.scratch.bin_dir().to_owned(), &settings), pg_dump: None };
    servers().iter().map(start).collect()
});

/// A table on this server, a rename of a column of it, and a throttle of which only this is switched on.
async fn only(server: &'static Server, settings: &[(Key, &str)]) -> (Database, Project) {
    let database = Database::create(server).await;
    database.run(TABLE).await.expect("a table");
    database.run("ALTER TABLE t SET (autovacuum_enabled = off)").await.expect("a setting");
    let project = Project::with(&database, &[("001_case.sql", RENAME)], |config| switch_on(config, settings));
    (database, project)
}

fn switch_on(config: &mut Config, settings: &[(Key, &str)]) {
    for key in Key::ALL.into_iter().filter(|key| *key != Key::Duty) {
        config.throttle.set_text(key, "off").expect("a setting");
    }
    for (key, text) in settings {
        config.throttle.set_text(*key, text).expect("a setting");
    }
}

/// Runs a proof on every production server, all at once: most of the time is waiting.
fn on_each<W: Future<Output = ()>>(proof: impl Fn(&'static Server) -> W + Sync) {
    std::thread::scope(|scope| {
        for server in PRODUCTION.iter() {
            let proof = &proof;
            scope.spawn(move || run(async { proof(server).await }));
        }
    });
}

/// It waits for a reason that begins and ends so; once the trouble is over it goes on.
async fn held_up(database: &Database, project: &Project, reason: (&str, &str), end: impl AsyncFnOnce()) {
    let mut running = Running::start(project, Start::Migrate);
    waits(database, &mut running).await;
    let begun = Instant::now();
    let shown = loop {
        let status = project.migrator.status().await.expect("the status can be read");
        match &status.migrations[0].pause {
            Some(pause) => break pause.reason.clone(),
            None => assert!(begun.elapsed() < Duration::from_secs(60), "it is not shown"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    end().await;
    let watch = goes_on(running).await;
    for text in [&shown, &pauses(&watch)[0]] {
        let (begin, end) = reason;
        assert!(text.starts_with(begin) && text.ends_with(end), "on {}: {text}", database.server.major());
    }
}

#[test]
fn a_slot_that_retains_wal() {
    on_each(async |server| {
        let (database, project) = only(server, &[(Key::Slots, "1MB")]).await;
        let slot = "SELECT pg_create_physical_replication_slot('forgotten', true); SELECT pg_switch_wal(); CREATE TABLE x (); SELECT pg_switch_wal()";
        for statement in slot.split(';') {
            database.run(statement).await.expect("a slot");
        }
        let reason = ("slot forgotten, which nobody reads, retains ", "MB of WAL (limit 1MB)");
        held_up(&database, &project, reason, async || {
            database.run("SELECT pg_drop_replication_slot('forgotten')").await.expect("it is dropped");
        })
        .await;
    });
}

#[test]
fn an_archive_that_does_not_follow() {
    on_each(async |server| {
        let (database, project) = only(server, &[(Key::Archive, "2")]).await;
        let switch = async || {
            database
                .run("CREATE TABLE IF NOT EXISTS x (n int); INSERT INTO x VALUES (1); SELECT pg_switch_wal()")
                .await
                .expect("a switch");
        };
        switch().await;
        until(&database, "SELECT last_archived_wal IS NOT NULL FROM pg_stat_archiver").await;
        for statement in ["ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()"] {
            database.run(statement).await.expect("a setting");
        }
        for _ in 0..5 {
            switch().await;
        }
        until(&database, "SELECT last_failed_time > last_archived_time FROM pg_stat_archiver").await;
        held_up(
            &database,
            &project,
            ("", " WAL segments wait for the archive, and archiving fails (limit 2)"),
            async || {
                for statement in ["ALTER SYSTEM SET archive_command = 'true'", "SELECT pg_reload_conf()"] {
                    database.run(statement).await.expect("a setting");
                }
                switch().await;
            },
        )
        .await;
    });
}

#[test]
fn an_old_snapshot() {
    on_each(async |server| {
        let (database, project) = only(server, &[(Key::XminAge, "1s")]).await;
        let blocker = in_transaction(&database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
        tokio::time::sleep(Duration::from_millis(1100)).await;
        held_up(&database, &project, ("pid ", " s (limit 1.0 s)"), async || {
            blocker.batch_execute("COMMIT").await.expect("it commits");
        })
        .await;

        // The same in transactions, held by one that was prepared and forgotten.
        let (database, project) = only(server, &[(Key::XminXids, "50")]).await;
        database
            .run("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'forgotten'")
            .await
            .expect("it is prepared");
        let client = database.connect().await;
        for _ in 0..60 {
            client.batch_execute("SELECT pg_current_xact_id()").await.expect("a transaction");
        }
        let reason = ("prepared transaction forgotten holds a snapshot that is ", " transactions old (limit 50)");
        held_up(&database, &project, reason, async || {
            database.run("ROLLBACK PREPARED 'forgotten'").await.expect("it is rolled back");
        })
        .await;
    });
}

#[test]
fn dead_rows() {
    on_each(async |server| {
        let (database, project) = only(server, &[(Key::DeadTuples, "20%")]).await;
        database.run("UPDATE t SET n = 0").await.expect("dead rows");
        until(&database, "SELECT pg_stat_get_dead_tuples('t'::regclass) > 200").await;
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        // Its own chunks make dead rows, too.
        while !running.is_over() {
            database.run("VACUUM t").await.expect("a vacuum");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let watch = goes_on(running).await;
        let first = &pauses(&watch)[0];
        assert!(first.ends_with("% of the rows of \"public\".\"t\" are dead (limit 20 %)"), "{first}");
    });
}

#[test]
fn an_autovacuum_is_waited_for_so_long_and_no_longer() {
    on_each(async |server| {
        let (database, project) = only(server, &[(Key::Autovacuum, "4s")]).await;
        // Expand asks for a lock that would end it, so that comes first.
        let died = Command::Migrate.on(&project.migrator.clone().crashing_after(3)).await;
        assert!(died.is_err_and(|said| said.contains("crashed here")));
        // It takes more than half a minute over this table.
        let provoke = "ALTER TABLE t SET (autovacuum_enabled = on, autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0, \
                       autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1); DELETE FROM t WHERE id % 2 = 0";
        database.run(provoke).await.expect("dead rows");
        let at_work = "SELECT count(*) > 0 FROM pg_stat_progress_vacuum WHERE relid = 't'::regclass";
        until(&database, at_work).await;
        let begun = Instant::now();
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        let watch = goes_on(running).await;
        let expected = "an autovacuum is at work on t; it is waited for 4s at most";
        assert_eq!(pauses(&watch)[0], expected, "on {}", server.major());
        assert!(begun.elapsed() >= Duration::from_secs(4));
    });
}

#[test]
fn what_others_do_is_seen() {
    on_each(async |server| {
        let settings = [(Key::Query, "SELECT 1"), (Key::Waiters, "1"), (Key::Active, "1"), (Key::Commit, "1m")];
        let (database, project) = only(server, &settings).await;
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 1 WHERE id = 7").await;
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let url = database.url();
                tokio::spawn(async move { connect(&url).await.batch_execute("UPDATE t SET n = 2 WHERE id = 7").await })
            })
            .collect();
        until(
            &database,
            "SELECT count(*) = 3 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        assert_eq!(value(&shown, "waiters"), (Some(3.0), true), "on {}: {shown:?}", server.major());
        let (active, over) = value(&shown, "active");
        assert!(active >= Some(3.0) && over, "{shown:?}");
        let (commit, over) = value(&shown, "commit");
        assert!(commit.is_some() && !over, "{shown:?}");
        blocker.batch_execute("COMMIT").await.expect("it commits");
        for waiter in waiters {
            waiter.await.expect("no panic").expect("it writes");
        }
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        assert_eq!(value(&shown, "waiters"), (Some(0.0), false));
        running.kill();
    });
}

fn as_role(url: &str) -> Target {
    Target::from_url(url).expect("the URL is one")
}

fn value(shown: &ThrottleReport, signal: &str) -> (Option<f64>, bool) {
    let found = shown.signals.iter().find(|found| found.signal == signal);
    let found = found.unwrap_or_else(|| panic!("{signal} is not in {shown:?}"));
    (found.value, found.over)
}

/// A role that owns its tables, and sees nothing of what others do.
#[test]
fn a_role_without_rights_is_not_held_up_by_what_it_may_not_see() {
    on_each(async |server| {
        let database = Database::create(server).await;
        let role = format!("owner_{}", database.name);
        let made = format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {} TO {role}; ALTER SCHEMA public OWNER TO {role}; SET ROLE {role}; {TABLE}",
            database.name
        );
        database.run(&made).await.expect("a role and its table");
        let url = database.url().replace("postgres://postgres@", &format!("postgres://{role}@"));
        let project = Project::on(as_role(&url), &[("001_case.sql", RENAME)], |_| {});
        let blocker = in_transaction(&database, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
        let mut watch = Watch::default();
        let state = Command::Migrate.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
        assert_eq!((state, pauses(&watch)), (Ok(Some(State::Ready)), Vec::new()), "on {}", server.major());
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        let told = shown.signals.iter().find(|signal| signal.signal == "xmin_age" && signal.error.is_some());
        let told = told.expect("it says what it does not see");
        assert!(told.text.contains("GRANT pg_monitor") && !told.over, "{told:?}");
        blocker.batch_execute("COMMIT").await.expect("it commits");
    });
}

#[test]
fn a_critical_query_ends_the_command_and_nothing_is_lost() {
    on_each(async |server| {
        let (database, project) =
            only(server, &[(Key::Critical, "SELECT count(*) FROM full_disk"), (Key::Query, "SELECT 1")]).await;
        database.run("CREATE TABLE full_disk (); INSERT INTO full_disk DEFAULT VALUES").await.expect("a table");
        let begun = Instant::now();
        let stopped =
            Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("it is critical");
        assert_eq!(stopped.kind(), ErrorKind::Failed);
        assert!(said(&stopped).contains("the query says 1"), "{}", said(&stopped));
        assert!(begun.elapsed() > Duration::from_millis(2500), "once is not enough");
        assert_eq!(database.value("SELECT count(w) FROM t").await, "0");
        let calm = Project::with(&database, &[("001_case.sql", RENAME)], |config| switch_on(config, &[]));
        assert_eq!(Command::Migrate.on(&calm.migrator).await, Ok(Some(State::Ready)));
    });
}

/// Where the log ended when is only known from the second look on.
async fn lag_is_seen_from_beside(project: &Project) {
    let mut watcher = project.migrator.watcher();
    for _ in 0..600 {
        let snapshot = watcher.look().await.expect("it can be looked at");
        let replica = snapshot.replicas.first().expect("the standby is connected");
        assert_eq!((replica.name.as_str(), replica.error.as_deref()), ("standby1", None));
        if replica.lag_seconds.is_some_and(|lag| lag > 1.0) && replica.lag_bytes.is_some_and(|lag| lag > 0) {
            let flight = snapshot.flights.first().expect("it is in flight");
            let pause = flight.pause.as_ref().expect("it waits");
            assert_eq!((pause.signal.as_str(), flight.is_paused_by_a_person()), ("replica_lag", false));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the standby's lag is not seen");
}

/// Needs `pg_basebackup`, which the packages of a system bring, but not those of the other versions.
#[test]
fn a_standby_that_lags() {
    let server = PRODUCTION.iter().find(|server| server.scratch.bin_dir().join("pg_basebackup").exists());
    let server = server.expect("one of the servers has a pg_basebackup");
    let settings = [
        ("max_wal_senders", "5"),
        ("max_replication_slots", "5"),
        ("max_prepared_transactions", "5"),
        ("wal_level", "replica"),
        ("recovery_min_apply_delay", "1h"),
        ("wal_receiver_status_interval", "1s"),
    ];
    let standby = start_standby(&server.scratch, "standby1", &settings);
    run(async {
        let (database, project) = only(server, &[(Key::ReplicaLag, "1s"), (Key::ReplicaBytes, "16MB")]).await;
        until(&database, "SELECT count(*) > 0 FROM pg_stat_replication WHERE state = 'streaming'").await;
        database.run("CREATE TABLE x (n int)").await.expect("something to replay");
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        lag_is_seen_from_beside(&project).await;

        // A role that may not see where the standby is does not go on, either.
        database.run("CREATE ROLE stranger LOGIN").await.expect("a role");
        let other = Database::create(server).await;
        let made = format!(
            "GRANT CREATE ON DATABASE {} TO stranger; ALTER SCHEMA public OWNER TO stranger; SET ROLE stranger; {TABLE}",
            other.name
        );
        other.run(&made).await.expect("its table");
        let url = other.url().replace("postgres://postgres@", "postgres://stranger@");
        let stranger = Project::on(as_role(&url), &[("001_case.sql", RENAME)], |_| {});
        let mut blind = Running::start(&stranger, Start::Migrate);
        waits(&other, &mut blind).await;
        other.run("GRANT pg_monitor TO stranger").await.expect("a right");

        let standby_client = connect(&standby.url("postgres")).await;
        standby_client.batch_execute("ALTER SYSTEM SET recovery_min_apply_delay = 0").await.expect("a setting");
        standby_client.batch_execute("SELECT pg_reload_conf()").await.expect("a setting");
        let watch = goes_on(running).await;
        let first = &pauses(&watch)[0];
        assert!(first.starts_with("replica standby1 is ") && first.ends_with(" behind (limit 1.0 s)"), "{first}");
        let watch = goes_on(blind).await;
        let first = &pauses(&watch)[0];
        assert!(
            first.starts_with(
                "replica_lag can't be measured: replica standby1 is connected, but this role may not see it"
            ),
            "{first}"
        );

        // One that must be there and is not.
        let (database, project) = only(server, &[(Key::ReplicaLag, "1m"), (Key::Replicas, "standby1, standby2")]).await;
        let mut running = Running::start(&project, Start::Migrate);
        waits(&database, &mut running).await;
        let shown = project.migrator.throttle().await.expect("it can be looked at");
        let missing = shown.signals.iter().find(|signal| signal.scope == "standby2").expect("it is missed");
        assert!(missing.over && missing.text.ends_with("replica standby2 is not connected"), "{missing:?}");
        let change = crossfade::LiveChange { key: Key::Replicas, value: Some("standby1".to_owned()) };
        project.migrator.set_throttle(&[change], None).await.expect("it can be set");
        goes_on(running).await;
    });
    standby.stop().expect("it stops");
}
