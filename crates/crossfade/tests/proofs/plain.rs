//! Plain migrations and their files: once, all or nothing, in order, and back by the down file.

use crossfade::ErrorKind;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::database;
use crate::server::Database;
use crate::server::run;
use crate::snapshot::Snapshot;

const ONE: (&str, &str) = ("001_one.sql", "CREATE TABLE one (id integer PRIMARY KEY);\nINSERT INTO one VALUES (1);");
const TWO: (&str, &str) =
    ("002_two.sql", "CREATE TABLE two (id integer REFERENCES one (id));\nINSERT INTO two VALUES (1);");

async fn applied(files: &[(&str, &str)]) -> (Database, Project) {
    let database = database("SELECT 1").await;
    let project = Project::new(&database, files);
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    (database, project)
}

/// What `migrate` says where it refuses. Nothing was changed then.
async fn refusal(database: &Database, project: &Project) -> String {
    let was = Snapshot::seen(database).await;
    let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", said(&error));
    assert_eq!(was.schema_difference(&Snapshot::seen(database).await), None);
    said(&error)
}

#[test]
fn run_twice_nothing_happens() {
    run(async {
        let (database, project) = applied(&[ONE, TWO]).await;
        let tracked = "SELECT string_agg(t::text, ' ' ORDER BY version) FROM crossfade.schema_migrations AS t";
        let first = (database.value(tracked).await, database.value("SELECT count(*) FROM crossfade.events").await);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let second = (database.value(tracked).await, database.value("SELECT count(*) FROM crossfade.events").await);
        assert_eq!(first, second);
        assert_eq!(database.value("SELECT count(*) FROM two").await, "1");
    });
}

#[test]
fn a_failing_file_leaves_nothing_behind_and_may_be_mended() {
    run(async {
        let broken = "CREATE TABLE two (id integer);\nINSERT INTO one VALUES (2);\nINSERT INTO one VALUES (1);\nCREATE TABLE never ();";
        let database = database("SELECT 1").await;
        let project =
            Project::new(&database, &[ONE, ("002_two.sql", broken), ("003_three.sql", "CREATE TABLE three ();")]);
        let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("it fails");
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(said(&error).contains("duplicate key"), "{}", said(&error));
        let found = error.findings().first().expect("it shows the place");
        let span = found.findings.first().and_then(|finding| finding.span).expect("it has a place");
        assert_eq!(span.line_and_column(&found.text).0, 3);
        let tables = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(database.value(tables).await, "one");
        assert_eq!(database.value("SELECT count(*) FROM one").await, "1");
        project.write("002_two.sql", TWO.1);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value(tables).await, "one three two");
    });
}

#[test]
fn a_changed_file_is_refused() {
    run(async {
        let (database, project) = applied(&[ONE]).await;
        project.write(ONE.0, "CREATE TABLE one (id bigint PRIMARY KEY);");
        project.write(TWO.0, TWO.1);
        assert!(refusal(&database, &project).await.contains("was changed after it was run"));
        // Line ends and a byte order mark are no change.
        project.write(ONE.0, &format!("\u{feff}{}", ONE.1.replace('\n', "\r\n")));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    });
}

#[test]
fn a_missing_file_is_refused() {
    run(async {
        let (database, project) = applied(&[ONE, TWO]).await;
        std::fs::remove_file(project.path().join(ONE.0)).expect("it can be removed");
        assert!(refusal(&database, &project).await.contains("its file is missing"));
    });
}

#[test]
fn two_files_of_one_version_are_refused() {
    run(async {
        let (database, project) = applied(&[ONE]).await;
        project.write("01_other.sql", "CREATE TABLE other ();");
        assert!(refusal(&database, &project).await.contains("have the same version"));
    });
}

#[test]
fn a_file_below_the_newest_is_refused() {
    run(async {
        let (database, project) = applied(&[ONE, ("003_three.sql", "CREATE TABLE three ();")]).await;
        project.write(TWO.0, TWO.1);
        assert!(refusal(&database, &project).await.contains("comes before 003"));
    });
}

#[test]
fn a_down_file_is_the_way_back_of_what_is_applied() {
    run(async {
        let (database, project) = applied(&[ONE]).await;
        let was = Snapshot::take(&database).await;
        let down = ("002_two_down.sql", "DROP TABLE two;");
        project.write(TWO.0, TWO.1);
        project.write(down.0, down.1);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(was.schema_difference(&Snapshot::take(&database).await), None);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value("SELECT count(*) FROM two").await, "1");
    });
}

#[test]
fn a_failing_down_file_leaves_the_migration_applied() {
    run(async {
        let (database, project) = applied(&[ONE, TWO]).await;
        project.write("002_two_down.sql", "DROP TABLE two;\nDROP TABLE no_such_table;");
        let error = Command::Rollback.watched(&project.migrator, &mut Watch::default()).await.expect_err("it fails");
        assert_eq!(error.kind(), ErrorKind::Failed, "{}", said(&error));
        assert_eq!(project.state().await, State::Applied);
        assert_eq!(database.value("SELECT count(*) FROM two").await, "1");
        project.write("002_two_down.sql", "DROP TABLE two;");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
    });
}

#[test]
fn without_a_down_file_what_is_applied_has_no_way_back() {
    run(async {
        let (_database, project) = applied(&[ONE]).await;
        let error = Command::Rollback.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(said(&error).contains("001_one_down.sql"), "{}", said(&error));
    });
}

#[test]
fn what_a_file_sets_stays_with_it() {
    run(async {
        let sets = "SET search_path = pg_catalog;\nSET ROLE app_writer;\nSET statement_timeout = '1min';";
        let (database, project) =
            applied(&[ONE, ("002_sets.sql", sets), ("003_three.sql", "CREATE TABLE three ();")]).await;
        assert_eq!(database.value("SELECT tableowner FROM pg_tables WHERE tablename = 'three'").await, "postgres");
        assert_eq!(project.state().await, State::Applied);
    });
}
