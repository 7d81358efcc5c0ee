//! A file that is not as it was run.

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::HistoryOptions;
use crossfade::RepairAction;
use crossfade::RepairOptions;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade::report::Change;
use crossfade::report::RepairReport;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

const ONE: (&str, &str) = ("001_one.sql", "CREATE TABLE one (id integer PRIMARY KEY, v text);\n");
const TWO: (&str, &str) = ("002_two.sql", "CREATE TABLE two (id integer);\n");
const CHANGED: &str = "CREATE TABLE one (id bigint PRIMARY KEY, v text);\n";

async fn repair(project: &Project, version: Option<&str>, action: RepairAction) -> Result<RepairReport, Error> {
    let options = RepairOptions { version: version.map(str::to_owned), action, wait: false };
    project.migrator.repair(&options, &mut Unobserved, &Stop::default()).await
}

async fn changes(project: &Project) -> Vec<String> {
    let report = repair(project, None, RepairAction::Show).await.expect("it can be shown");
    report.migrations.iter().map(|one| format!("{} {:?}", one.version, one.change)).collect()
}

async fn applied() -> (Database, Project) {
    let database = Database::create(main_server()).await;
    let project = Project::new(&database, &[ONE, TWO]);
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    (database, project)
}

#[test]
fn a_changed_file_is_refused_shown_and_accepted() {
    run(async {
        let (database, project) = applied().await;
        project.write(ONE.0, CHANGED);
        let refused = Command::Migrate.on(&project.migrator).await.expect_err("it is refused");
        assert!(refused.contains("crossfade repair 001"), "{refused}");
        let journal = "SELECT count(*) FROM crossfade.events";
        let before = database.value(journal).await;
        let shown = repair(&project, Some("1"), RepairAction::Show).await.expect("it can be shown");
        let diff = shown.migrations[0].diff.as_deref().expect("there is a difference");
        assert!(
            diff.contains("-CREATE TABLE one (id integer") && diff.contains("+CREATE TABLE one (id bigint"),
            "{diff}"
        );
        assert_eq!(database.value(journal).await, before, "showing writes nothing");
        let accepted = repair(&project, None, RepairAction::Accept).await.expect("it is accepted");
        assert_eq!((accepted.migrations.len(), accepted.migrations[0].change), (1, Change::Code));
        assert!(changes(&project).await.is_empty());
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        // Nothing was run, and the text from before is still there.
        assert_eq!(
            database
                .value(
                    "SELECT data_type FROM information_schema.columns WHERE table_name = 'one' AND column_name = 'id'"
                )
                .await,
            "integer"
        );
        assert_eq!(
            database.value("SELECT up_sql FROM crossfade.plans WHERE version = '001'").await.trim_end(),
            ONE.1.trim_end()
        );
        let history = project.migrator.history(&HistoryOptions::default()).await.expect("it can be read");
        let last = history.events.last().expect("there is one");
        assert_eq!((last.version.as_deref(), last.event.as_str()), (Some("001"), "repaired"));
        // The accepted text is what is compared from now on.
        project.write(ONE.0, ONE.1);
        let shown = repair(&project, None, RepairAction::Show).await.expect("it can be shown");
        assert!(shown.migrations[0].diff.as_deref().is_some_and(|diff| diff.contains("-CREATE TABLE one (id bigint")));
    });
}

#[test]
fn a_changed_comment_is_a_warning_and_line_ends_are_nothing() {
    run(async {
        let (_database, project) = applied().await;
        project.write(ONE.0, &format!("\u{feff}{}", ONE.1.replace('\n', "\r\n")));
        project.write(TWO.0, &format!("-- SPDX-License-Identifier: MIT\n{}", TWO.1));
        project.write("003_three.sql", "CREATE TABLE three ();");
        let status = project.migrator.status().await.expect("the status can be read");
        assert!(status.problems.is_empty(), "{:?}", status.problems);
        assert!(status.warnings.len() == 1 && status.warnings[0].contains("002_two.sql"), "{:?}", status.warnings);
        assert!(project.migrator.plan(None).await.is_ok());
        let mut watch = Watch::default();
        let state = Command::Migrate.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
        assert_eq!(state, Ok(Some(State::Applied)));
        assert!(format!("{:?}", watch.notices).contains("in comments and white space only"), "{:?}", watch.notices);
        assert_eq!(changes(&project).await, ["002 Comments"]);
        repair(&project, Some("002"), RepairAction::Accept).await.expect("it is accepted");
        let status = project.migrator.status().await.expect("the status can be read");
        assert!(status.warnings.is_empty(), "{:?}", status.warnings);
    });
}

#[test]
fn what_is_under_way_takes_no_other_text_but_may_change_its_comments() {
    run(async {
        let (database, project) = applied().await;
        database.run("INSERT INTO one VALUES (1, 'a')").await.expect("a row is written");
        let rename = ("003_rename.sql", "ALTER TABLE one RENAME COLUMN v TO w;");
        project.write(rename.0, rename.1);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        project.write(rename.0, "ALTER TABLE one RENAME COLUMN v TO z;");
        let error = repair(&project, None, RepairAction::Accept).await.expect_err("it is under way");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(said(&error).contains("it is under way (ready)"), "{}", said(&error));
        project.write(rename.0, "-- for clarity\nALTER TABLE one RENAME COLUMN v TO w;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(changes(&project).await, ["003 Comments"]);
        repair(&project, None, RepairAction::Accept).await.expect("what runs is the same");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert!(changes(&project).await.is_empty());
    });
}

#[test]
fn a_file_that_is_gone_for_good_is_missed_until_somebody_says_so() {
    run(async {
        let (_database, project) = applied().await;
        std::fs::remove_file(project.path().join(ONE.0)).expect("it can be removed");
        let refused = Command::Migrate.on(&project.migrator).await.expect_err("it is missed");
        assert!(refused.contains("crossfade repair --forget-missing 001"), "{refused}");
        assert_eq!(changes(&project).await, ["001 Missing"]);
        // Accepting what differs does not silently accept that.
        let accepted = repair(&project, None, RepairAction::Accept).await.expect("there is nothing to accept");
        assert!(accepted.migrations.is_empty());
        let error = repair(&project, Some("001"), RepairAction::Accept).await.expect_err("there is no file");
        assert!(said(&error).contains("--forget-missing 001"), "{}", said(&error));
        let error = repair(&project, Some("002"), RepairAction::ForgetMissing).await.expect_err("it is there");
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", said(&error));
        repair(&project, Some("1"), RepairAction::ForgetMissing).await.expect("it is forgotten");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert!(changes(&project).await.is_empty());
        let status = project.migrator.status().await.expect("the status can be read");
        assert_eq!(status.migrations[0].missing_because.as_deref(), Some("forgotten"));
        // When it comes back it is held to what was run.
        project.write(ONE.0, CHANGED);
        assert_eq!(changes(&project).await, ["001 Code"]);
    });
}

#[test]
fn a_mended_way_back_is_shown_and_taken_into_the_journal() {
    run(async {
        let database = Database::create(main_server()).await;
        let down = ("001_one_down.sql", "DROP TABLE no_such_table;\n");
        let project = Project::new(&database, &[ONE, down]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        project.write(down.0, "DROP TABLE one;\n");
        assert_eq!(changes(&project).await, ["001 Down"]);
        repair(&project, None, RepairAction::Accept).await.expect("it is accepted");
        assert!(changes(&project).await.is_empty());
        std::fs::remove_file(project.path().join(down.0)).expect("it can be removed");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(database.value("SELECT coalesce(to_regclass('one')::text, 'gone')").await, "gone");
    });
}
