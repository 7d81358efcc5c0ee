//! A database that was there before its history.

use crossfade::BaselineOptions;
use crossfade::ErrorKind;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade::report::BaselineReport;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

const FILES: [(&str, &str); 4] = [
    ("001_one.sql", "CREATE TABLE one (id integer PRIMARY KEY);"),
    ("002_two.sql", "CREATE TABLE two (id integer);"),
    ("002_two_down.sql", "DROP TABLE two;"),
    ("003_three.sql", "CREATE TABLE three (id integer);"),
];

fn to(version: &str) -> BaselineOptions {
    BaselineOptions { version: version.to_owned(), ..BaselineOptions::default() }
}

async fn baseline(project: &Project, options: &BaselineOptions) -> Result<BaselineReport, crossfade::Error> {
    project.migrator.baseline(options, &mut Unobserved, &Stop::default()).await
}

/// As somebody made it by hand.
async fn by_hand() -> Database {
    let database = Database::create(main_server()).await;
    database.run("CREATE TABLE one (id integer PRIMARY KEY)").await.expect("a table is made");
    database.run("CREATE TABLE two (id integer)").await.expect("a table is made");
    database
}

const JOURNAL: &str = "SELECT coalesce(to_regnamespace('crossfade')::text, 'none')";
const ROWS: &str = "SELECT string_agg(concat_ws(' ', version, name, state, origin, applied_at IS NULL), ', ' ORDER BY version) FROM crossfade.schema_migrations";

#[test]
fn what_stands_there_counts_as_applied_and_the_rest_is_run() {
    run(async {
        let database = by_hand().await;
        let project = Project::new(&database, &FILES);
        let dry = baseline(&project, &BaselineOptions { dry_run: true, ..to("2") }).await.expect("it can be shown");
        let told: Vec<String> =
            dry.migrations.iter().map(|one| format!("{} {} {}", one.version, one.file, one.known)).collect();
        assert_eq!(told, ["001 true false", "002 true false"]);
        assert_eq!(database.value(JOURNAL).await, "none", "nothing was written");
        baseline(&project, &to("2")).await.expect("the baseline is set");
        assert_eq!(database.value(ROWS).await, "001 one applied baseline t, 002 two applied baseline t");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value("SELECT to_regclass('three')::text").await, "three");
        // The journal has their texts: the way back is there, too.
        for (expected, left) in [("not", "003"), ("gone", "002")] {
            if expected == "not" {
                let error = Command::Rollback.on(&project.migrator).await.expect_err("it has no down file");
                assert!(error.contains(left), "{error}");
                project.write("003_three_down.sql", "DROP TABLE three;");
            }
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        }
        assert_eq!(database.value("SELECT coalesce(to_regclass('two')::text, 'gone')").await, "gone");
    });
}

#[test]
fn setting_it_again_changes_nothing_and_setting_it_higher_adds() {
    run(async {
        let database = by_hand().await;
        let project = Project::new(&database, &FILES);
        baseline(&project, &to("001")).await.expect("the baseline is set");
        let events = "SELECT count(*) FROM crossfade.events";
        baseline(&project, &to("001")).await.expect("there is nothing to do");
        assert_eq!(database.value(events).await, "1");
        let report = baseline(&project, &to("002")).await.expect("the baseline is set");
        assert_eq!(report.migrations.iter().filter(|one| !one.known).count(), 1);
        assert_eq!(database.value(events).await, "2");
    });
}

#[test]
fn without_files_it_is_a_version_and_a_name() {
    run(async {
        let database = by_hand().await;
        let project = Project::new(&database, &[]);
        let named = BaselineOptions { name: Some("shop".to_owned()), ..to("010") };
        baseline(&project, &named).await.expect("the baseline is set");
        assert_eq!(database.value(ROWS).await, "010 shop applied baseline t");
        let status = project.migrator.status().await.expect("the status can be read");
        assert!(status.problems.is_empty(), "{:?}", status.problems);
        assert_eq!(status.migrations[0].missing_because.as_deref(), Some("baseline"));
        project.write("011_next.sql", "CREATE TABLE next ();");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        project.write("009_late.sql", "CREATE TABLE late ();");
        let error = Command::Migrate.on(&project.migrator).await.expect_err("it comes too late");
        assert!(error.contains("comes before 011"), "{error}");
    });
}

#[test]
fn a_history_beyond_it_and_an_empty_database_are_refused() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        let error = baseline(&project, &to("2")).await.expect_err("there is nothing in it");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(said(&error).contains("this database is empty"), "{}", said(&error));
        assert_eq!(database.value(JOURNAL).await, "none");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let error = baseline(&project, &to("2")).await.expect_err("it was run");
        assert!(said(&error).contains("goes beyond 2: 003 three is applied"), "{}", said(&error));
        for wrong in ["004", "latest", ""] {
            let error = baseline(&project, &to(wrong)).await.expect_err("there is no such version");
            assert_eq!(error.kind(), ErrorKind::Usage, "{}", said(&error));
        }
    });
}

#[test]
fn thousands_of_files_are_written_down_at_once() {
    run(async {
        let database = by_hand().await;
        let project = Project::new(&database, &[]);
        for n in 1..=2000 {
            project.write(&format!("{n:05}_x.sql"), &format!("SELECT {n};"));
        }
        let begun = std::time::Instant::now();
        baseline(&project, &to("2000")).await.expect("the baseline is set");
        let took = begun.elapsed();
        assert_eq!(database.value("SELECT count(*) FROM crossfade.schema_migrations").await, "2000");
        let transactions = "SELECT count(DISTINCT xmin::text) FROM crossfade.schema_migrations";
        assert_eq!(database.value(transactions).await, "1", "it is one transaction ({took:?})");
    });
}
