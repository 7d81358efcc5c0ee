//! Several migrations down or up, in order.

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::GotoOptions;
use crossfade::RedoOptions;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade::report::GotoReport;
use crossfade::report::RunReport;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;
use crate::snapshot::Snapshot;

const FILES: [(&str, &str); 6] = [
    ("001_one.sql", "CREATE TABLE one (id integer PRIMARY KEY, v text);"),
    ("001_one_down.sql", "DROP TABLE one;"),
    ("002_two.sql", "CREATE TABLE two (id integer);"),
    ("002_two_down.sql", "DROP TABLE two;"),
    ("003_three.sql", "CREATE TABLE three (id integer);"),
    ("003_three_down.sql", "DROP TABLE three;"),
];

const TABLES: &str =
    "SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_tables WHERE schemaname = 'public'";

fn to(version: &str) -> GotoOptions {
    GotoOptions { to: version.to_owned(), ..GotoOptions::default() }
}

async fn go(project: &Project, options: &GotoOptions) -> Result<GotoReport, Error> {
    project.migrator.goto(options, &mut Unobserved, &Stop::default()).await
}

async fn redo(project: &Project, version: Option<&str>) -> Result<RunReport, Error> {
    let options = RedoOptions { version: version.map(str::to_owned), ..RedoOptions::default() };
    project.migrator.redo(&options, &mut Unobserved, &Stop::default()).await
}

fn way(report: &GotoReport) -> String {
    let legs = report.way.iter().map(|leg| format!("{:?} {} by {}", leg.direction, leg.version, leg.by));
    legs.collect::<Vec<_>>().join(", ")
}

#[test]
fn down_and_up_in_order() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        let shown = go(&project, &GotoOptions { dry_run: true, ..to("2") }).await.expect("the way can be shown");
        assert_eq!(way(&shown), "Up 001 by its file, Up 002 by its file");
        assert_eq!(database.value("SELECT coalesce(to_regnamespace('crossfade')::text, 'none')").await, "none");
        go(&project, &to("2")).await.expect("it goes up");
        assert_eq!(database.value(TABLES).await, "one two");
        let two = Snapshot::take(&database).await;
        go(&project, &to("003")).await.expect("it goes up");
        assert_eq!(database.value(TABLES).await, "one three two");
        let back = go(&project, &to("1")).await.expect("it goes down");
        assert_eq!(way(&back), "Down 003 by its down file, Down 002 by its down file");
        assert_eq!(back.migrations.iter().map(|one| one.state).collect::<Vec<_>>(), [State::RolledBack; 2]);
        assert_eq!(database.value(TABLES).await, "one");
        go(&project, &to("2")).await.expect("it goes up");
        assert_eq!(two.schema_difference(&Snapshot::take(&database).await), None);
        let nothing = go(&project, &to("2")).await.expect("it is there");
        assert!(nothing.way.is_empty());
        let back = go(&project, &GotoOptions { only_back: true, ..to("0") }).await.expect("it goes back to nothing");
        assert_eq!(back.way.len(), 2);
        assert_eq!(database.value(TABLES).await, "");
    });
}

#[test]
fn a_way_that_can_not_be_gone_to_its_end_is_not_begun() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        // The text that the journal has would do for 001 and 003; here it is their files that count.
        project.write("001_one_down.sql", "DROP TABLE one");
        project.write("002_two_down.sql", "DORP TABLE two;");
        project.write("003_three_down.sql", "DROP TABLE three CASCADE;");
        let rows = "SELECT string_agg(state, ' ' ORDER BY version) || count(*) FROM crossfade.schema_migrations";
        let before = (database.value(rows).await, database.value("SELECT count(*) FROM crossfade.events").await);
        for dry_run in [true, false] {
            let error = go(&project, &GotoOptions { dry_run, ..to("0") }).await.expect_err("002 can't be undone");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(said(&error).contains("[syntax]"), "{}", said(&error));
        }
        let after = (database.value(rows).await, database.value("SELECT count(*) FROM crossfade.events").await);
        assert_eq!((before, database.value(TABLES).await.as_str()), (after, "one three two"));
        let error = go(&project, &to("7")).await.expect_err("there is no such version");
        assert_eq!(error.kind(), ErrorKind::Usage);
    });
}

#[test]
fn all_that_have_no_way_back_are_named_at_once() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &[FILES[0], FILES[2], FILES[4], FILES[5]]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let error = go(&project, &to("0")).await.expect_err("two of them have no down file");
        let text = said(&error);
        assert!(
            text.contains("002 two is applied and has no down file") && text.contains("also: migration 001"),
            "{text}"
        );
        assert_eq!(database.value(TABLES).await, "one three two");
    });
}

#[test]
fn what_is_in_flight_goes_back_by_its_plan() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES[..2]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        database.run("INSERT INTO one VALUES (1, 'a')").await.expect("a row is written");
        let was = Snapshot::take(&database).await;
        project.write("002_rename.sql", "ALTER TABLE one RENAME COLUMN v TO w;");
        project.write("003_late.sql", "CREATE TABLE late ();");
        project.write("003_late_down.sql", "DROP TABLE late;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let back = go(&project, &GotoOptions { only_back: true, ..to("1") }).await.expect("it goes back");
        assert_eq!(way(&back), "Down 003 by its down file, Down 002 by its plan");
        let now = Snapshot::take(&database).await;
        assert_eq!((was.schema_difference(&now), was.row_difference(&now)), (None, None));
    });
}

#[test]
fn redo_runs_the_newest_again_as_it_is_now() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        project.write("003_three.sql", "CREATE TABLE three (id bigint);");
        let report = redo(&project, None).await.expect("it is done again");
        assert_eq!(report.migrations.iter().map(|one| one.state).collect::<Vec<_>>(), [State::Applied]);
        let column = "SELECT data_type FROM information_schema.columns WHERE table_name = 'three'";
        assert_eq!(database.value(column).await, "bigint");
        // Something later may stand on an earlier one.
        let error = redo(&project, Some("2")).await.expect_err("003 was run after it");
        assert!(said(&error).contains("003 three was run after 002 two"), "{}", said(&error));
    });
}

#[test]
fn what_could_not_be_run_again_is_not_undone() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        project.write("003_three.sql", "CRATE TABLE three (id bigint);");
        let error = redo(&project, None).await.expect_err("it is not SQL");
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", said(&error));
        std::fs::remove_file(project.path().join("003_three.sql")).expect("it can be removed");
        std::fs::remove_file(project.path().join("003_three_down.sql")).expect("it can be removed");
        let error = redo(&project, None).await.expect_err("it is not there");
        assert!(said(&error).contains("could only be undone"), "{}", said(&error));
        assert_eq!(database.value(TABLES).await, "one three two");
    });
}

#[test]
fn redo_of_what_is_ready_begins_anew() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &FILES[..2]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        database.run("INSERT INTO one VALUES (1, 'a')").await.expect("a row is written");
        project.write("002_rename.sql", "ALTER TABLE one RENAME COLUMN v TO w;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        project.write("002_rename.sql", "ALTER TABLE one RENAME COLUMN v TO better;");
        let report = redo(&project, None).await.expect("it is done again");
        assert_eq!(report.migrations[0].state, State::Ready);
        assert_eq!(database.value("SELECT better FROM one").await, "a");
    });
}
