//! Programs that wait for the database or for its schema, and applications that migrate when they start.

use std::time::Duration;
use std::time::Instant;

use crossfade::Config;
use crossfade::ErrorKind;
use crossfade::Migrator;
use crossfade::Readiness;
use crossfade::StartOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::observer::Notice;
use crossfade::observer::Unobserved;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::TABLE;
use crate::scene::database;
use crate::scene::expanded;
use crate::scene::in_transaction;
use crate::server::Database;
use crate::server::connect;
use crate::server::main_server;
use crate::server::run;

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(30);

const FILES: [(&str, &str); 3] = [
    ("001_one.sql", "CREATE TABLE one (id integer PRIMARY KEY);"),
    ("002_two.sql", "CREATE TABLE two (id integer);"),
    ("003_three.sql", "CREATE TABLE three (id integer);"),
];

const JOURNAL: &str = "SELECT coalesce(to_regnamespace('crossfade')::text, 'none')";
const EPOCH: &str = "SELECT epoch FROM crossfade.lease";

fn at(url: &str) -> Migrator {
    let config = Config { migrations: "/nowhere".into(), ..Config::default() };
    Migrator::new(config, Target::from_url(url).expect("the URL is one"))
}

fn lines(watch: &Watch) -> Vec<String> {
    let line = |notice: &Notice| match notice {
        Notice::Info { text } => Some(text.clone()),
        _ => None,
    };
    watch.notices.iter().filter_map(line).collect()
}

fn behind(at: Option<&str>, missing: &[&str]) -> Readiness {
    let missing = missing.iter().map(|version| (*version).to_owned()).collect();
    Readiness::Behind { at: at.map(str::to_owned), missing }
}

#[test]
fn a_server_that_is_not_there_is_waited_for_and_the_last_error_is_told() {
    run(async {
        let folder = tempfile::tempdir().expect("a folder is made");
        let migrator = at(&format!("postgres:///d?user=u&host={}", folder.path().display()));
        let (mut watch, begun) = (Watch::default(), Instant::now());
        let error = migrator.wait_for_database(SHORT, &mut watch, &Stop::default()).await.expect_err("it is not there");
        assert_eq!(error.kind(), ErrorKind::Failed);
        let text = said(&error);
        assert!(text.starts_with("the database did not answer within 400ms: could not connect to "), "{text}");
        assert!(text.contains("No such file") && text.contains("is the server running there?"), "{text}");
        assert!(begun.elapsed() >= SHORT && begun.elapsed() < LONG);
        let told = lines(&watch);
        assert_eq!(told.len(), 1, "the same is said once: {told:?}");
        assert!(told[0].starts_with("waiting for the database: could not connect to "), "{told:?}");

        // Once, where there is no time.
        let mut watch = Watch::default();
        migrator.wait_for_database(Duration::ZERO, &mut watch, &Stop::default()).await.expect_err("it is not there");
        assert!(watch.notices.is_empty());

        let (stop, begun) = (Stop::default(), Instant::now());
        let asked = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            asked.request();
        });
        let error = migrator.wait_for_database(LONG, &mut Unobserved, &stop).await.expect_err("it is stopped");
        assert!(said(&error).starts_with("stopped while waiting for the database"), "{}", said(&error));
        assert!(begun.elapsed() < LONG / 2);
    });
}

#[test]
fn what_time_does_not_mend_is_not_waited_for() {
    run(async {
        let server = &main_server().scratch;
        let begun = Instant::now();
        let nobody = server.url("postgres").replacen("user=", "user=nobody_", 1);
        let nobody = if nobody == server.url("postgres") { nobody.replacen("://", "://nobody_", 1) } else { nobody };
        let error = at(&nobody).wait_for_database(LONG, &mut Unobserved, &Stop::default()).await.expect_err("no role");
        assert!(error.sql_state().is_some_and(|state| state.starts_with("28")), "{}", said(&error));
        assert!(begun.elapsed() < LONG / 2);
    });
}

#[test]
fn a_database_that_is_made_meanwhile_is_found() {
    run(async {
        let server = &main_server().scratch;
        let admin = connect(&server.url("postgres")).await;
        admin.batch_execute("DROP DATABASE IF EXISTS comes_late").await.expect("it is dropped");
        let migrator = at(&server.url("comes_late"));
        let waits = tokio::spawn(async move {
            let mut watch = Watch::default();
            let waited = migrator.wait_for_database(LONG, &mut watch, &Stop::default()).await;
            (waited.map_err(|error| said(&error)), lines(&watch))
        });
        tokio::time::sleep(Duration::from_millis(300)).await;
        admin.batch_execute("CREATE DATABASE comes_late TEMPLATE template0").await.expect("a database is made");
        let (waited, told) = waits.await.expect("it does not panic");
        assert_eq!(waited, Ok(()));
        assert!(told.iter().any(|line| line.contains("\"comes_late\" does not exist")), "{told:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
        admin.batch_execute("DROP DATABASE comes_late WITH (FORCE)").await.expect("it is dropped");
    });
}

#[test]
fn behind_is_told_with_what_is_missing_and_ahead_is_ready() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES[..2]);
        let migrator = &project.migrator;
        let is = async |version: &str| migrator.is_at_least(version).await.map_err(|error| said(&error));
        assert_eq!(is("002").await, Ok(behind(None, &["001", "002"])));
        assert_eq!(database.value(JOURNAL).await, "none", "looking makes nothing");
        assert_eq!(Command::Migrate.on(migrator).await, Ok(Some(State::Applied)));
        let epoch = database.value(EPOCH).await;
        assert_eq!(is("2").await, Ok(Readiness::Ready));
        assert_eq!(is("001").await, Ok(Readiness::Ahead { at: "002".to_owned() }));
        assert_eq!(is("003").await, Ok(behind(Some("002"), &["003"])));
        project.write(FILES[2].0, FILES[2].1);
        assert_eq!(migrator.is_up_to_date().await.map_err(|error| said(&error)), Ok(behind(Some("002"), &["003"])));
        // The program alone, without its files.
        let alone = at(&database.url());
        let ready = alone.is_at_least("002").await.map_err(|error| said(&error));
        assert_eq!(ready, Ok(Readiness::Ready));
        assert_eq!(alone.is_up_to_date().await.expect_err("it knows of none").kind(), ErrorKind::Usage);
        assert_eq!(database.value(EPOCH).await, epoch, "no lease was taken");

        let begun = Instant::now();
        let error = migrator.wait_until_at_least("003", SHORT, &mut Unobserved, &Stop::default()).await;
        let error = error.expect_err("nobody migrates");
        let text = said(&error);
        assert!(text.starts_with("the schema is not at version 003 after 400ms: it is at 002; missing: 003"), "{text}");
        assert!(begun.elapsed() < LONG / 2);
        let waiting = migrator.clone();
        let waits = tokio::spawn(async move {
            waiting.wait_until_at_least("003", LONG, &mut Unobserved, &Stop::default()).await.map_err(|e| said(&e))
        });
        assert_eq!(Command::Migrate.on(migrator).await, Ok(Some(State::Applied)));
        assert_eq!(waits.await.expect("it does not panic"), Ok(Readiness::Ready));
    });
}

#[test]
fn new_code_can_run_from_ready_on_and_not_before() {
    run(async {
        let (_database, project) = expanded().await;
        let migrator = &project.migrator;
        let is = async || migrator.is_at_least("001").await.map_err(|error| said(&error));
        assert_eq!(is().await, Ok(behind(None, &["001"])), "it is not filled yet");
        assert_eq!(Command::Migrate.on(migrator).await, Ok(Some(State::Ready)));
        assert_eq!(is().await, Ok(Readiness::Ready));
        assert_eq!(Command::Contract.on(migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(is().await, Ok(Readiness::Ready));
        assert_eq!(Command::Rollback.on(migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(is().await, Ok(behind(None, &["001"])));
    });
}

/// Else every copy of the application that runs well would be taken out of service.
#[test]
fn a_contract_that_has_failed_makes_nobody_unready() {
    run(async {
        let database = database(TABLE).await;
        let project = Project::with(&database, &[("001_case.sql", RENAME)], |config| {
            config.locks.budget = Duration::from_millis(500);
        });
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let blocker = in_transaction(&database, "SELECT count(*) FROM t").await;
        Command::Contract.on(&project.migrator).await.expect_err("a lock is not to be had");
        assert_eq!(project.state().await, State::Failed);
        let is = project.migrator.is_at_least("001").await.map_err(|error| said(&error));
        assert_eq!(is, Ok(Readiness::Ready));
        drop(blocker);
    });
}

#[test]
fn who_may_only_read_the_tracking_table_can_look() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let url = format!(
            "{}{}options=-c%20role%3Dapp_reader",
            database.url(),
            if database.url().contains('?') { '&' } else { '?' }
        );
        let reader = at(&url);
        let error = reader.wait_until_at_least("003", LONG, &mut Unobserved, &Stop::default()).await;
        let text = said(&error.expect_err("it may not"));
        assert!(text.contains("permission denied") && text.contains("GRANT USAGE ON SCHEMA crossfade TO"), "{text}");
        database
            .run("GRANT USAGE ON SCHEMA crossfade TO app_reader; GRANT SELECT ON crossfade.schema_migrations TO app_reader")
            .await
            .expect("it is granted");
        assert_eq!(reader.is_at_least("003").await.map_err(|error| said(&error)), Ok(Readiness::Ready));
    });
}

/// Also where a newer Crossfade has given the journal a form that this one does not know.
#[test]
fn an_older_program_starts_on_a_newer_schema_and_runs_nothing() {
    run(async {
        let database = Database::create(main_server()).await;
        let newer = Project::new(&database, &FILES);
        assert_eq!(Command::Migrate.on(&newer.migrator).await, Ok(Some(State::Applied)));
        database.run("UPDATE crossfade.meta SET format = 99").await.expect("it is written");
        let older =
            Project::new(&database, &[FILES[0], FILES[1], ("R__view.sql", "CREATE VIEW old_view AS SELECT 1 AS a;")]);
        let mut watch = Watch::default();
        let report = older.migrator.start(&StartOptions::default(), &mut watch, &Stop::default()).await;
        assert!(report.map_err(|error| said(&error)).expect("it starts").migrations.is_empty());
        assert_eq!(lines(&watch), ["the schema is at 003, and this program ends at 002: nothing is run"]);
        assert_eq!(database.value("SELECT coalesce(to_regclass('old_view')::text, 'none')").await, "none");
        let is = newer.migrator.is_up_to_date().await.map_err(|error| said(&error));
        assert_eq!(is, Ok(Readiness::Ready));
    });
}

#[test]
fn copies_that_start_at_once_run_each_file_once_and_then_take_no_lease() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        let start = async |copies: usize| {
            let copies = (0..copies).map(|_| {
                let migrator = project.migrator.clone();
                tokio::spawn(async move {
                    let started = migrator.start(&StartOptions::default(), &mut Unobserved, &Stop::default()).await;
                    started.map(drop).map_err(|error| said(&error))
                })
            });
            for copy in copies.collect::<Vec<_>>() {
                assert_eq!(copy.await.expect("it does not panic"), Ok(()));
            }
        };
        start(4).await;
        let succeeded = "SELECT count(*) FROM crossfade.plans";
        assert_eq!(database.value(succeeded).await, "3");
        let epoch = database.value(EPOCH).await;
        start(20).await;
        assert_eq!(database.value(EPOCH).await, epoch, "nothing is to be done, and no lease is asked for");
    });
}

#[test]
fn a_start_ends_in_time_and_the_next_goes_on() {
    run(async {
        let (database, project) = expanded().await;
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let options = StartOptions { timeout: Duration::from_secs(1), ..StartOptions::default() };
        let begun = Instant::now();
        let error =
            project.migrator.start(&options, &mut Unobserved, &Stop::default()).await.expect_err("it is blocked");
        assert!(said(&error).starts_with("the migrations were not done within 1s: "), "{}", said(&error));
        assert!(begun.elapsed() < LONG);
        blocker.batch_execute("COMMIT").await.expect("it commits");
        let report = project.migrator.start(&StartOptions::default(), &mut Unobserved, &Stop::default()).await;
        let states: Vec<State> = report.expect("it goes on").migrations.iter().map(|one| one.state).collect();
        assert_eq!(states, [State::Ready]);
    });
}
