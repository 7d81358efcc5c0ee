//! What the journal says of who did what, and the way back by what it has.

use crossfade::Audit;
use crossfade::ErrorKind;
use crossfade::HistoryOptions;
use crossfade::HistorySince;
use crossfade::observer::Notice;
use crossfade::report::HistoryEvent;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

const ONE: (&str, &str) = ("001_one.sql", "CREATE TABLE one (id integer PRIMARY KEY, v text);");
const TWO: (&str, &str) = ("002_two.sql", "CREATE TABLE two (id integer);");
const DOWN: (&str, &str) = ("002_two_down.sql", "DROP TABLE two;");

async fn events(project: &Project, options: &HistoryOptions) -> Vec<HistoryEvent> {
    project.migrator.history(options).await.expect("the history can be read").events
}

#[test]
fn every_event_says_who_did_it_and_from_where() {
    run(async {
        let database = Database::create(main_server()).await;
        let mut project = Project::new(&database, &[ONE]);
        assert!(events(&project, &HistoryOptions::default()).await.is_empty(), "there is no journal yet");
        let audit = Audit {
            actor: Some("alice".to_owned()),
            git_commit: Some("3f2a1bc9d8".to_owned()),
            git_dirty: Some(true),
            ci_url: Some("https://ci.example.org/7".to_owned()),
        };
        let plain = project.migrator.clone();
        project.migrator = plain.clone().audited(audit);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        project.write(TWO.0, "INSERT INTO one VALUES (1); SELECT 1 / 0;");
        let failed = Command::Migrate.on(&plain).await;
        assert!(failed.is_err(), "{failed:?}");

        let all = events(&project, &HistoryOptions { sql: true, ..HistoryOptions::default() }).await;
        let told: Vec<String> = all
            .iter()
            .map(|event| format!("{} {} {}", event.version.as_deref().unwrap_or("-"), event.event, event.actor))
            .collect();
        let expected = [
            "001 plan_recorded alice",
            "001 step_started alice",
            "001 step_succeeded alice",
            "002 plan_recorded postgres",
            "002 step_started postgres",
            "002 step_failed postgres",
        ];
        assert_eq!(told, expected);
        let (first, last) = (&all[0], &all[5]);
        assert_eq!(first.git_commit.as_deref(), Some("3f2a1bc9d8"));
        assert_eq!((first.git_dirty, first.ci_url.as_deref()), (Some(true), Some("https://ci.example.org/7")));
        assert_eq!((first.db_user.as_deref(), last.git_dirty), (Some("postgres"), None));
        assert!(first.run_id.is_some() && first.run_id == all[2].run_id && first.run_id != last.run_id);
        assert!(last.error.as_ref().is_some_and(|error| error.contains("division by zero")), "{last:?}");
        assert_eq!(all[1].sql, ["CREATE TABLE one (id integer PRIMARY KEY, v text)"]);
        assert!(
            all[2].duration_ms.is_some() && all[2].text.starts_with("step 1 of 1 (expand) is done: "),
            "{:?}",
            all[2]
        );

        let of_one = HistoryOptions { version: Some("1".to_owned()), ..HistoryOptions::default() };
        assert_eq!(events(&project, &of_one).await.len(), 3);
        let since = |since| HistoryOptions { since: Some(since), ..HistoryOptions::default() };
        assert_eq!(events(&project, &since(HistorySince::Time("tomorrow".to_owned()))).await.len(), 0);
        assert_eq!(events(&project, &since(HistorySince::Time("2020-01-31 12:00+01".to_owned()))).await.len(), 6);
        assert_eq!(events(&project, &since(HistorySince::Ago(std::time::Duration::from_secs(3600)))).await.len(), 6);
        for (wrong, kind) in [
            (since(HistorySince::Time("noon-ish".to_owned())), ErrorKind::Usage),
            (HistoryOptions { version: Some("7".to_owned()), ..HistoryOptions::default() }, ErrorKind::Refused),
        ] {
            let error = project.migrator.history(&wrong).await.expect_err("it means nothing");
            assert_eq!(error.kind(), kind, "{}", said(&error));
        }
    });
}

/// What was done before stands in the new plan, too: it used to be told twice.
#[test]
fn each_step_of_a_mended_file_is_told_once() {
    const WRONG: &str = "-- crossfade: no-transaction\nCREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);\nINSERT INTO a SELECT 1 / 0;\n";
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &[("001_a.sql", WRONG)]);
        for (text, done) in [
            (WRONG.to_owned(), false),
            (WRONG.replace("1 / 0;", "3; INSERT INTO a SELECT 1 / 0;"), false),
            (WRONG.replace("1 / 0;", "3; INSERT INTO a SELECT 4;"), true),
        ] {
            project.write("001_a.sql", &text);
            assert_eq!(Command::Migrate.on(&project.migrator).await.is_ok(), done, "{text}");
        }
        let options = HistoryOptions { sql: true, ..HistoryOptions::default() };
        let told: Vec<String> = events(&project, &options)
            .await
            .iter()
            .filter(|event| event.event != "step_started")
            .map(|event| format!("{} {}", event.event, event.step.unwrap_or_default()))
            .collect();
        let expected = [
            ["plan_recorded 0", "step_succeeded 1", "step_succeeded 2", "step_failed 3"],
            ["plan_recorded 0", "kept 0", "step_succeeded 3", "step_failed 4"],
        ];
        assert_eq!(told, [expected.concat(), vec!["plan_recorded 0", "kept 0", "step_succeeded 4"]].concat());
        let kept = events(&project, &options).await.into_iter().rfind(|event| event.event == "kept");
        let text = kept.map(|kept| kept.text).unwrap_or_default();
        assert_eq!(text, "steps 1 to 3 of 4 were done before the file was mended, and are not run again");
    });
}

/// As docs/history.md says.
#[test]
fn a_role_that_can_only_append_runs_everything() {
    run(async {
        let database = Database::create(main_server()).await;
        let owners = Project::new(&database, &[ONE]);
        assert_eq!(Command::Migrate.on(&owners.migrator).await, Ok(Some(State::Applied)));
        database.run("INSERT INTO one VALUES (1, 'a')").await.expect("a row can be written");
        for statement in [
            "DO $$ BEGIN CREATE ROLE deploy LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
            "GRANT USAGE, CREATE ON SCHEMA crossfade, public TO deploy",
            "GRANT ALL ON ALL TABLES IN SCHEMA crossfade TO deploy",
            "REVOKE UPDATE, DELETE, TRUNCATE ON crossfade.events, crossfade.plans FROM deploy",
            "ALTER TABLE one OWNER TO deploy",
        ] {
            database.run(statement).await.expect("rights can be given");
        }
        let url = database.url().replace("//postgres@", "//deploy@");
        let target = crossfade::Target::from_url(&url).expect("the URL is one");
        let project = Project::on(target, &[ONE, ("002_rename.sql", "ALTER TABLE one RENAME COLUMN v TO w;")], |_| {});
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(Command::Purge.on(&project.migrator).await, Ok(Some(State::Applied)));
        let last = events(&project, &HistoryOptions::default()).await.pop().expect("there is one");
        assert_eq!((last.actor.as_str(), last.db_user.as_deref()), ("deploy", Some("deploy")));
    });
}

#[test]
fn a_request_says_who_asked_though_another_runs_it() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &[ONE]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        database.run("INSERT INTO one VALUES (1, 'a')").await.expect("a row can be written");
        project.write("002_rename.sql", "ALTER TABLE one RENAME COLUMN v TO w;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let bob = project.migrator.clone().audited(Audit { actor: Some("bob".to_owned()), ..Audit::default() });
        let paused = bob.pause(Some("002"), Some("sale until noon")).await.expect("it can be paused");
        assert_eq!(paused.migrations[0].state, State::Ready);
        let last = events(&project, &HistoryOptions::default()).await.pop().expect("there is one");
        assert_eq!((last.actor.as_str(), last.text.as_str()), ("bob", "a pause was asked for: sale until noon"));
        let status = project.migrator.status().await.expect("the status can be read");
        let pause = status.migrations[1].pause.as_ref().expect("it is paused");
        assert_eq!(pause.by.as_deref(), Some("bob"));
    });
}

/// What a rollback said that had a choice.
async fn undone(project: &Project) -> (Result<Option<State>, String>, String) {
    let mut watch = Watch::default();
    let result = Command::Rollback.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
    let told = watch.notices.into_iter().filter_map(|notice| match notice {
        Notice::Info { text } => Some(text),
        _ => None,
    });
    (result, told.collect())
}

async fn with_down() -> (Database, Project) {
    let database = Database::create(main_server()).await;
    let project = Project::new(&database, &[ONE, TWO, DOWN]);
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    (database, project)
}

const TABLES: &str = "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'";

/// An image that was rolled back holds the files of before.
#[test]
fn an_earlier_folder_goes_back_by_the_down_file_that_the_journal_has() {
    run(async {
        let (database, project) = with_down().await;
        for file in [TWO.0, DOWN.0] {
            std::fs::remove_file(project.path().join(file)).expect("it can be removed");
        }
        // It goes on working: what it has was run.
        let mut watch = Watch::default();
        let went = Command::Migrate.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
        assert_eq!(went, Ok(Some(State::Applied)));
        assert!(format!("{:?}", watch.notices).contains("the database is ahead of this folder"), "{:?}", watch.notices);
        let status = project.migrator.status().await.expect("the status can be read");
        assert_eq!((status.problems.len(), status.warnings.len()), (0, 1), "{status:?}");
        let (result, told) = undone(&project).await;
        assert_eq!(result, Ok(Some(State::RolledBack)));
        assert!(told.contains("there is no down file of 002 here"), "{told}");
        assert_eq!(database.value(TABLES).await, "one");
    });
}

#[test]
fn without_any_folder_the_journal_alone_goes_back() {
    run(async {
        let (database, project) = with_down().await;
        let elsewhere = Project::with(&database, &[], |config| config.migrations.push("nowhere"));
        let (result, _) = undone(&elsewhere).await;
        assert_eq!(result, Ok(Some(State::RolledBack)));
        assert_eq!(database.value(TABLES).await, "one");
        drop(project);
    });
}

#[test]
fn a_down_file_that_was_mended_is_the_one_that_is_run() {
    run(async {
        let (database, project) = with_down().await;
        project.write(DOWN.0, "DROP TABLE two; CREATE TABLE mended ();");
        let (result, told) = undone(&project).await;
        assert_eq!(result, Ok(Some(State::RolledBack)));
        assert!(told.contains("it is undone by the file as it is now"), "{told}");
        assert_eq!(database.value(TABLES).await, "mended one");
    });
}

/// On another branch the number may be another migration's.
#[test]
fn the_down_file_of_another_migration_is_not_run() {
    run(async {
        let (database, project) = with_down().await;
        project.write(TWO.0, "CREATE TABLE other ();");
        project.write(DOWN.0, "DROP TABLE one;");
        let (result, told) = undone(&project).await;
        assert_eq!(result, Ok(Some(State::RolledBack)));
        assert!(told.contains("is not the one that was run"), "{told}");
        assert_eq!(database.value(TABLES).await, "one");
    });
}

/// A down file that fails is mended and tried again; the journal's is still the one from when it was run.
#[test]
fn a_failed_way_back_does_not_become_the_stored_one() {
    run(async {
        let (database, project) = with_down().await;
        project.write(DOWN.0, "DROP TABLE no_such_table;");
        let (result, _) = undone(&project).await;
        assert!(result.is_err(), "{result:?}");
        std::fs::remove_file(project.path().join(DOWN.0)).expect("it can be removed");
        let (result, _) = undone(&project).await;
        assert_eq!(result, Ok(Some(State::RolledBack)));
        assert_eq!(database.value(TABLES).await, "one");
    });
}
