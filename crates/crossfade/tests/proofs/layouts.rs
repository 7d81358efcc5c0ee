//! Folders as other tools have them: each is migrated, goes back where it has a way back, and an error names the place in the file.

use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::MigrateOptions;
use crossfade::RenumberOptions;
use crossfade::RunOptions;
use crossfade::Stop;
use crossfade::config::OutOfOrder;
use crossfade::report::StatusReport;
use crossfade::source::Layout;
use crossfade_core::journal::State;
use crossfade_core::sql::Span;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::database;
use crate::server::Database;
use crate::server::run;
use crate::snapshot::Snapshot;

/// A migration, for any layout.
#[derive(Clone, Copy)]
struct Change {
    number: u32,
    name: &'static str,
    up: &'static str,
    down: &'static str,
    /// Marked as one that does not run in a transaction.
    alone: bool,
}

const A: Change = Change {
    number: 1,
    name: "a",
    up: "CREATE TABLE a (id integer PRIMARY KEY);",
    down: "DROP TABLE a;",
    alone: false,
};
const B: Change = Change {
    number: 2,
    name: "b",
    up: "CREATE TABLE b (id integer REFERENCES a (id));\nCREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $$\nBEGIN\n  RETURN 1;\nEND\n$$;",
    down: "DROP FUNCTION f();\nDROP TABLE b;",
    alone: false,
};
const ALONE: Change = Change { number: 3, name: "c", up: "VACUUM a;", down: "VACUUM a;", alone: true };
const FAILS: Change =
    Change { number: 4, name: "d", up: "CREATE TABLE d ();\nSELECT no_such;", down: "DROP TABLE d;", alone: false };
const NO_SQL: Change = Change { up: "CREATE TABLE d ();\n  SELEC no_such;", ..FAILS };
const NO_WAY_BACK: Change = Change { up: "CREATE TABLE d ();", down: "DROP TABLE d;\nSELECT no_such;", ..FAILS };

/// Files of a migration: of the way forward, of the way back (it may be the same), and what stands beside them.
fn files(layout: Layout, change: Change) -> (String, Option<String>, Vec<(String, String)>) {
    let Change { number, name, up, down, alone } = change;
    let (file, time) = (format!("{number:03}_{name}"), format!("2024010100000{number}_{name}"));
    let directive = if alone { "-- crossfade: no-transaction\n" } else { "" };
    let pair = |up_file: String, down_file: String| {
        let files = vec![
            (up_file.clone(), format!("{directive}-- forward\n{up}\n")),
            (down_file.clone(), format!("{directive}-- back\n{down}\n")),
        ];
        (up_file, Some(down_file), files)
    };
    let one =
        |file: String, text: String, has_down: bool| (file.clone(), has_down.then(|| file.clone()), vec![(file, text)]);
    match layout {
        Layout::Plain => pair(format!("{file}.sql"), format!("{file}_down.sql")),
        Layout::UpDown => pair(format!("{file}.up.sql"), format!("{file}.down.sql")),
        Layout::Folders => {
            let folder = format!("2024-01-01-00000{number}_{name}");
            let (up, down) = (format!("{folder}/up.sql"), format!("{folder}/down.sql"));
            let (up, down, mut files) = pair(up, down);
            if alone {
                files.iter_mut().for_each(|(_, text)| *text = text.replace(directive, ""));
                files.push((format!("{folder}/metadata.toml"), "run_in_transaction = false\n".to_owned()));
            }
            (up, down, files)
        }
        Layout::Flyway => {
            let (up, down, mut files) = pair(format!("V1_{number}__{name}.sql"), format!("U1_{number}__{name}.sql"));
            if alone {
                files.iter_mut().for_each(|(_, text)| *text = text.replace(directive, ""));
                let settings: Vec<_> = files
                    .iter()
                    .map(|(file, _)| (format!("{file}.conf"), "executeInTransaction=false\n".to_owned()))
                    .collect();
                files.extend(settings);
            }
            (up, down, files)
        }
        Layout::Refinery => {
            let letter = if number == 2 { "U" } else { "V" };
            one(format!("{letter}{number}__{name}.sql"), format!("{directive}{up}\n"), false)
        }
        Layout::Dbmate => {
            let option = if alone { " transaction:false" } else { "" };
            let text = format!("-- {name}\n-- migrate:up{option}\n{up}\n\n-- migrate:down{option}\n{down}\n");
            one(format!("{time}.sql"), text, true)
        }
        Layout::Goose => {
            let option = if alone { "-- +goose NO TRANSACTION\n" } else { "" };
            let text = format!(
                "{option}-- +goose Up\n-- +goose StatementBegin\n{up}\n-- +goose StatementEnd\n\n-- +goose Down\n{down}\n"
            );
            one(format!("{file}.sql"), text, true)
        }
        Layout::SqlMigrate => {
            let option = if alone { " notransaction" } else { "" };
            let text = format!("\n-- +migrate Up{option}\n{up}\n\n-- +migrate Down{option}\n{down}\n");
            one(format!("{number:03}-{name}.sql"), text, true)
        }
        Layout::NodePgMigrate => {
            let option = if alone { "-- crossfade: no-transaction\n" } else { "" };
            let text = format!("-- Up Migration\n{option}{up}\n\n-- Down Migration\n{option}{down}\n");
            one(format!("141454938126{number}_{name}.sql"), text, true)
        }
        Layout::Tern => {
            let option = if alone { "---- tern: disable-tx ----\n" } else { "" };
            one(format!("{file}.sql"), format!("{option}{up}\n\n---- create above / drop below ----\n\n{down}\n"), true)
        }
        Layout::Prisma => pair(format!("{time}/migration.sql"), format!("{time}/down.sql")),
        Layout::Graphile => {
            let option = if alone { "--! no-transaction\n" } else { "" };
            let text = format!("--! Previous: -\n--! Hash: sha1:0\n\n{option}{up}\n");
            one(format!("committed/00000{number}-{name}.sql"), text, false)
        }
        Layout::Sqitch => {
            let (up, down, mut files) = pair(format!("deploy/{name}.sql"), format!("revert/{name}.sql"));
            if !alone {
                files
                    .iter_mut()
                    .for_each(|(_, text)| *text = format!("\\set ON_ERROR_STOP on\nBEGIN;\n{text}COMMIT;\n"));
            }
            let names: String = ["a", "b", "c", "d"]
                .iter()
                .take(number as usize)
                .map(|name| format!("{name} 2024-01-01T00:00:00Z M <m@example.org>\n"))
                .collect();
            files.push(("sqitch.plan".to_owned(), format!("%project=x\n\n{names}")));
            (up, down, files)
        }
        Layout::Atlas => {
            let option = if alone { "-- atlas:txmode none\n\n" } else { "" };
            let (file, down, mut files) = one(format!("{time}.sql"), format!("{option}{up}\n"), false);
            files.push(("atlas.sum".to_owned(), "h1:x\n".to_owned()));
            (file, down, files)
        }
    }
}

fn write(project: &Project, layout: Layout, change: Change) -> (String, Option<String>) {
    let (up, down, files) = files(layout, change);
    for (name, text) in files {
        put(project, &name, &text);
    }
    (up, down)
}

fn put(project: &Project, name: &str, text: &str) {
    let path = project.path().join(name);
    std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder is made");
    std::fs::write(path, text).expect("a file is written");
}

/// Checks that an error names this word in this file.
fn check_place(project: &Project, file: &str, word: &str, error: &Error) -> Result<(), String> {
    let text = std::fs::read_to_string(project.path().join(file)).map_err(|error| error.to_string())?;
    let at = text.find(word).ok_or("the word is in the file")?;
    let found = error.findings().first().ok_or_else(|| format!("no place: {}", said(error)))?;
    let span = found.findings.first().and_then(|finding| finding.span).ok_or("no span")?;
    let expected = (project.path().join(file), Span::new(at, at).line_and_column(&text));
    let seen = (found.path.clone(), span.line_and_column(&found.text));
    if seen == expected { Ok(()) } else { Err(format!("{seen:?} instead of {expected:?}")) }
}

async fn status(project: &Project) -> StatusReport {
    project.migrator.status().await.expect("the status can be read")
}

/// What `status` says of each migration.
async fn states(project: &Project) -> String {
    let migrations = status(project).await.migrations;
    let line = |migration: &crossfade::report::MigrationStatus| {
        let late = if migration.out_of_order { " out of order" } else { "" };
        format!("{} {}{late}", migration.version, migration.state.name())
    };
    migrations.iter().map(line).collect::<Vec<_>>().join(", ")
}

async fn failing(command: Command, project: &Project) -> Result<Error, String> {
    match command.watched(&project.migrator, &mut Watch::default()).await {
        Ok(state) => Err(format!("{command:?} ended in {state:?}")),
        Err(error) => Ok(error),
    }
}

async fn story(layout: Layout) -> Result<(), String> {
    let database = database("SELECT 1").await;
    let named = (layout == Layout::Refinery).then_some(layout);
    let project = Project::with(&database, &[], |config| config.layout = named);
    let tables =
        "SELECT coalesce(string_agg(tablename, ' ' ORDER BY tablename), '') FROM pg_tables WHERE schemaname = 'public'";
    let is = |what: &str, seen: String, expected: &str| {
        if seen == expected { Ok(()) } else { Err(format!("{what}: {seen} instead of {expected}")) }
    };

    write(&project, layout, A);
    let (_, back) = write(&project, layout, B);
    let found = crossfade::source::read(project.path(), named).map_err(|error| error.to_string())?;
    if found.layout != layout {
        return Err(format!("it is found as {}", found.layout));
    }
    let plan = project.migrator.plan(None).await.map_err(|error| said(&error))?;
    is("plans", plan.plans.len().to_string(), "2")?;
    Command::Migrate.on(&project.migrator).await?;
    is("after migrate", database.value(tables).await, "a b")?;
    let applied = states(&project).await;
    if applied.matches("applied").count() != 2 {
        return Err(format!("status: {applied}"));
    }

    if back.is_some() {
        Command::Rollback.on(&project.migrator).await?;
        is("after rollback", database.value(tables).await, "a")?;
        Command::Migrate.on(&project.migrator).await?;
        is("after the second migrate", database.value(tables).await, "a b")?;
    }

    write(&project, layout, ALONE);
    Command::Migrate.on(&project.migrator).await.map_err(|error| format!("outside of a transaction: {error}"))?;
    if back.is_some() {
        Command::Rollback
            .on(&project.migrator)
            .await
            .map_err(|error| format!("back outside of a transaction: {error}"))?;
        Command::Migrate.on(&project.migrator).await?;
    }

    let (file, _) = write(&project, layout, NO_SQL);
    let error = failing(Command::Migrate, &project).await?;
    check_place(&project, &file, "SELEC", &error).map_err(|why| format!("no SQL: {why}"))?;
    let (file, _) = write(&project, layout, FAILS);
    let error = failing(Command::Migrate, &project).await?;
    check_place(&project, &file, "no_such", &error).map_err(|why| format!("failing: {why}"))?;
    let (_, back) = write(&project, layout, NO_WAY_BACK);
    Command::Migrate.on(&project.migrator).await.map_err(|error| format!("mended: {error}"))?;
    is("at the end", database.value(tables).await, "a b d")?;
    if let Some(back) = back {
        let error = failing(Command::Rollback, &project).await?;
        check_place(&project, &back, "no_such", &error).map_err(|why| format!("failing way back: {why}"))?;
        is("after the way back failed", database.value(tables).await, "a b d")?;
    }
    Ok(())
}

#[test]
fn every_layout_is_read_as_it_is() {
    let cases = Layout::ALL.map(|layout| (layout.to_string(), layout)).into();
    crate::each(cases, crate::PATIENCE, story);
}

/// The defect: run as plain SQL, a file with both ways makes its table and drops it again.
#[test]
fn both_ways_of_one_file_never_run_together() {
    run(async {
        let database = database("CREATE TABLE kept ()").await;
        let project = Project::with(&database, &[], |config| config.layout = Some(Layout::Plain));
        for text in [
            "-- +goose Up\nCREATE TABLE a ();\n-- +goose Down\nDROP TABLE kept;\n",
            "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE kept;\n",
            "CREATE TABLE a ();\n---- create above / drop below ----\nDROP TABLE kept;\n",
            "CREATE TABLE a ();\n-- Down\nDROP TABLE kept;\n",
        ] {
            put(&project, "001_a.sql", text);
            let error = failing(Command::Migrate, &project).await.expect("refused");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(said(&error).contains("foreign-marker"), "{}", said(&error));
        }
        assert_eq!(database.value("SELECT to_regclass('kept') IS NOT NULL").await, "t");
    });
}

/// The lie: nothing is undone, and the journal says that the migration is rolled back.
#[test]
fn an_empty_way_back_undoes_nothing_and_is_refused() {
    run(async {
        let database = database("SELECT 1").await;
        let project = Project::new(&database, &[]);
        for (file, text, place) in [
            (
                "001_a.sql",
                "-- migrate:up\nCREATE TABLE a ();\n\n-- migrate:down\n-- there is none\n",
                "`-- migrate:down` with what undoes it into 001_a.sql",
            ),
            (
                "001_a.sql",
                "-- migrate:up\nCREATE TABLE a ();\n\n-- migrate:down\n",
                "`-- migrate:down` with what undoes it into 001_a.sql",
            ),
        ] {
            put(&project, file, text);
            Command::Migrate.on(&project.migrator).await.expect("it runs");
            let error = failing(Command::Rollback, &project).await.expect("refused");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(said(&error).contains(place), "{}", said(&error));
            assert_eq!(states(&project).await, "001 applied");
        }
    });
}

#[test]
fn a_baseline_is_run_on_a_new_database_alone() {
    run(async {
        let old = [("V1__a.sql", "CREATE TABLE a ();"), ("V2__b.sql", "CREATE TABLE b ();")];
        let base = ("B2__base.sql", "CREATE TABLE a (); CREATE TABLE b (); CREATE TABLE of_base ();");
        let later = ("V3__c.sql", "CREATE TABLE c ();");
        let of_base = "SELECT to_regclass('of_base') IS NOT NULL";

        let new = database("SELECT 1").await;
        let project = Project::new(&new, &[old[0], old[1], base, later]);
        assert_eq!(states(&project).await, "2 pending, 3 pending");
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!((new.value(of_base).await.as_str(), states(&project).await.as_str()), ("t", "2 applied, 3 applied"));
        assert_eq!(status(&project).await.problems, Vec::<String>::new());

        let grown = database("SELECT 1").await;
        let project = Project::new(&grown, &old);
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        for (name, text) in [base, later] {
            put(&project, name, text);
        }
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!(
            (grown.value(of_base).await.as_str(), states(&project).await.as_str()),
            ("f", "1 applied, 2 applied, 3 applied")
        );
    });
}

#[test]
fn what_is_repeatable_runs_again_when_it_changes() {
    run(async {
        let database = database("SELECT 1").await;
        let view = |text: &str| format!("DROP VIEW IF EXISTS v;\nCREATE VIEW v AS SELECT {text} AS x FROM a;");
        let project =
            Project::new(&database, &[("001_a.sql", "CREATE TABLE a (id integer);"), ("R__v.sql", &view("id"))]);
        let counted = "SELECT (SELECT count(*) FROM crossfade.plans) || ' ' || (SELECT count(*) FROM crossfade.schema_migrations)";
        assert_eq!(states(&project).await, "001 pending, R__v pending");
        assert_eq!(project.migrator.plan(None).await.expect("planned").plans.len(), 2);
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!(
            (states(&project).await.as_str(), database.value(counted).await.as_str()),
            ("001 applied, R__v applied", "2 2")
        );
        Command::Migrate.on(&project.migrator).await.expect("nothing to do");
        assert_eq!(database.value(counted).await, "2 2");
        let first = status(&project).await.migrations.pop().expect("the view");
        assert_eq!(first.kind, "repeatable");

        // A versioned file comes first, and the changed one sees what it made.
        put(&project, "002_b.sql", "ALTER TABLE a ADD COLUMN b integer;");
        put(&project, "R__v.sql", &view("b"));
        assert_eq!(states(&project).await, "001 applied, 002 pending, R__v pending");
        let plans = project.migrator.plan(None).await.expect("planned").plans;
        assert_eq!(plans.iter().map(|plan| plan.version.as_str()).collect::<Vec<_>>(), ["002", "R__v"]);
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!(database.value("SELECT pg_get_viewdef('v') LIKE '%b AS x%'").await, "t");
        assert_eq!(
            (states(&project).await.as_str(), database.value(counted).await.as_str()),
            ("001 applied, 002 applied, R__v applied", "4 3")
        );
        let second = status(&project).await.migrations.pop().expect("the view");
        assert!(second.applied_at > first.applied_at, "{:?} {:?}", first.applied_at, second.applied_at);

        // One that fails leaves the old one, and can be mended.
        put(&project, "R__v.sql", &view("no_such"));
        let error = failing(Command::Migrate, &project).await.expect("it fails");
        check_place(&project, "R__v.sql", "no_such", &error).expect("the place");
        assert_eq!(database.value("SELECT count(*) FROM v").await, "0");
        assert_eq!(states(&project).await, "001 applied, 002 applied, R__v failed");
        put(&project, "R__v.sql", &view("b + 1"));
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!(states(&project).await, "001 applied, 002 applied, R__v applied");

        // It is no version: it goes back with its text, and stands in no other's way.
        let options = RunOptions::default();
        let error = project
            .migrator
            .rollback(Some("R__v"), options, &mut Watch::default(), &Stop::default())
            .await
            .expect_err("refused");
        assert!(said(&error).contains("has no way back"), "{}", said(&error));
        put(&project, "R__v.sql", &view("id"));
        put(&project, "002_b_down.sql", "ALTER TABLE a DROP COLUMN b;");
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(states(&project).await, "001 applied, 002 rolled_back, R__v applied");
        std::fs::remove_file(project.path().join("R__v.sql")).expect("removed");
        let status = status(&project).await;
        assert_eq!(status.problems, Vec::<String>::new());
        assert!(
            status.warnings[0].contains("R__v was run on this database, and its file is gone"),
            "{:?}",
            status.warnings
        );
    });
}

#[test]
fn what_is_repeatable_is_one_transaction() {
    run(async {
        let database = database(
            "CREATE TABLE t (id integer, v text); INSERT INTO t SELECT g, 'x' FROM generate_series(1, 100) AS g",
        )
        .await;
        let project = Project::new(&database, &[]);
        let was = Snapshot::seen(&database).await;
        for text in [
            "ALTER TABLE t RENAME COLUMN v TO w;",
            "CREATE INDEX IF NOT EXISTS i ON t (v);",
            "-- crossfade: no-transaction\nVACUUM t;",
            "ALTER TABLE t ADD CHECK (id > 0);",
        ] {
            put(&project, "R__x.sql", text);
            for error in [
                failing(Command::Migrate, &project).await.expect("refused"),
                project.migrator.plan(None).await.expect_err("refused"),
            ] {
                assert_eq!(error.kind(), ErrorKind::Refused, "{}", said(&error));
                assert!(said(&error).contains("[repeatable]"), "{text}: {}", said(&error));
            }
        }
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
    });
}

const FIRST: (&str, &str) = ("001_a.sql", "CREATE TABLE a (id integer PRIMARY KEY);");
const THIRD: (&str, &str) = ("003_c.sql", "CREATE TABLE c ();");

async fn with_a_late_file() -> (Database, Project) {
    let database = database("SELECT 1").await;
    let project = Project::new(&database, &[FIRST, THIRD]);
    Command::Migrate.on(&project.migrator).await.expect("it runs");
    put(&project, "002_b.sql", "CREATE TABLE b ();");
    put(&project, "002_b_down.sql", "DROP TABLE b;");
    put(&project, "004_d.sql", "CREATE TABLE d ();");
    (database, project)
}

#[test]
fn a_late_file_is_refused_or_run_as_the_team_decides() {
    run(async {
        let (database, project) = with_a_late_file().await;
        assert_eq!(states(&project).await, "001 applied, 002 pending out of order, 003 applied, 004 pending");
        let error = failing(Command::Migrate, &project).await.expect("refused");
        assert!(said(&error).contains("crossfade renumber"), "{}", said(&error));
        assert_eq!(database.value("SELECT to_regclass('d') IS NULL").await, "t");

        let options = MigrateOptions { allow_out_of_order: true, ..MigrateOptions::default() };
        let report = project.migrator.migrate(options, &mut Watch::default(), &Stop::default()).await.expect("it runs");
        let order: Vec<&str> = report.migrations.iter().map(|migration| migration.version.as_str()).collect();
        assert_eq!(order, ["002", "004"]);
        assert_eq!(states(&project).await, "001 applied, 002 applied out of order, 003 applied, 004 applied");
        assert_eq!(status(&project).await.problems, Vec::<String>::new());

        // What was run last goes first.
        put(&project, "004_d_down.sql", "DROP TABLE d;");
        put(&project, "003_c_down.sql", "DROP TABLE c;");
        let rollback = |version: Option<&'static str>| {
            let migrator = &project.migrator;
            async move { migrator.rollback(version, RunOptions::default(), &mut Watch::default(), &Stop::default()).await }
        };
        let error = rollback(Some("003")).await.expect_err("refused");
        assert!(said(&error).contains("004 d was run after 003 c"), "{}", said(&error));
        for version in ["004", "002", "003"] {
            let report = rollback(None).await.expect("it goes back");
            assert_eq!(report.migrations[0].version, version);
        }
    });
}

#[test]
fn out_of_order_can_be_allowed_for_good() {
    run(async {
        let (database, project) = with_a_late_file().await;
        let config = crossfade::Config {
            migrations: project.path().to_owned(),
            out_of_order: OutOfOrder::Allow,
            ..crossfade::Config::default()
        };
        let migrator = crossfade::Migrator::new(config, database.target());
        assert_eq!(migrator.plan(None).await.expect("planned").plans.len(), 2);
        assert_eq!(Command::Migrate.on(&migrator).await, Ok(Some(State::Applied)));
    });
}

#[test]
fn a_database_that_is_ahead_of_the_files_is_no_fault() {
    run(async {
        let database = database("SELECT 1").await;
        let project = Project::new(&database, &[FIRST, ("002_b.sql", "CREATE TABLE b ();"), THIRD]);
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        std::fs::remove_file(project.path().join(THIRD.0)).expect("removed");
        let mut watch = Watch::default();
        Command::Migrate.watched(&project.migrator, &mut watch).await.expect("nothing to do");
        let told = format!("{:?}", watch.notices);
        assert!(told.contains("the database is ahead of this folder"), "{told}");
        let seen = status(&project).await;
        assert_eq!((seen.problems.len(), seen.warnings.len()), (0, 1), "{seen:?}");
        std::fs::remove_file(project.path().join(FIRST.0)).expect("removed");
        let error = failing(Command::Migrate, &project).await.expect("refused");
        assert!(
            said(&error).contains("migration 001 a was run on this database, and its file is missing"),
            "{}",
            said(&error)
        );
    });
}

#[test]
fn renumber_moves_what_is_late_and_nothing_that_was_run() {
    run(async {
        let (_database, project) = with_a_late_file().await;
        let names = || {
            let mut names: Vec<String> = std::fs::read_dir(project.path())
                .expect("it can be read")
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
                .collect();
            names.sort();
            names.join(" ")
        };
        let before = "001_a.sql 002_b.sql 002_b_down.sql 003_c.sql 004_d.sql";
        let offline = RenumberOptions { offline: true, ..RenumberOptions::default() };
        assert_eq!(project.migrator.renumber(&offline).await.expect("read").migrations.len(), 0);
        let dry = RenumberOptions { dry_run: true, ..RenumberOptions::default() };
        assert_eq!(project.migrator.renumber(&dry).await.expect("read").migrations[0].new_version, "005");
        assert_eq!(names(), before);
        let only = |file: &str| RenumberOptions { files: vec![file.to_owned()], ..RenumberOptions::default() };
        let error = project.migrator.renumber(&only("001_a.sql")).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Refused);
        let error = project.migrator.renumber(&only("009")).await.expect_err("not there");
        assert_eq!(error.kind(), ErrorKind::Usage);

        // A second 003, beside the one that was run.
        put(&project, "03_e.sql", "CREATE TABLE e ();");
        let error = failing(Command::Migrate, &project).await.expect("refused");
        assert!(said(&error).contains("have the same version"), "{}", said(&error));
        let report = project.migrator.renumber(&RenumberOptions::default()).await.expect("it renames");
        assert_eq!(report.migrations.len(), 2);
        assert_eq!(names(), "001_a.sql 003_c.sql 004_d.sql 005_b.sql 005_b_down.sql 006_e.sql");
        Command::Migrate.on(&project.migrator).await.expect("it runs");
        assert_eq!(states(&project).await, "001 applied, 003 applied, 004 applied, 005 applied, 006 applied");
        assert_eq!(project.migrator.renumber(&RenumberOptions::default()).await.expect("read").migrations.len(), 0);
    });
}

#[test]
fn files_that_are_no_text_are_named_with_their_place() {
    run(async {
        let database = database("SELECT 1").await;
        let project = Project::new(&database, &[FIRST]);
        for (bytes, place) in [
            (b"SELECT 1;\n-- caf\xe9\n".as_slice(), "002_b.sql:2:7: byte 0xE9 at offset 16 is not UTF-8"),
            (b"\xff\xfeS\0E\0L\0".as_slice(), "002_b.sql:1:1: the file is UTF-16"),
            (b"SELECT 1;\nS\0".as_slice(), "002_b.sql:2:2: a NUL byte stands here, at offset 11"),
        ] {
            std::fs::write(project.path().join("002_b.sql"), bytes).expect("written");
            let error = failing(Command::Migrate, &project).await.expect("refused");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(said(&error).contains(place), "{}", said(&error));
        }
        put(&project, "002_b.sql", "\u{feff}CREATE TABLE b ();\n\u{a0}CREATE TABLE c ();");
        let error = failing(Command::Migrate, &project).await.expect("refused");
        assert!(said(&error).contains("an invisible character U+00A0 stands here"), "{}", said(&error));
        let found = &error.findings()[0];
        assert_eq!(found.findings[0].span.map(|span| span.line_and_column(&found.text)), Some((2, 1)));
        put(&project, "002_b.sql", "\u{feff}CREATE TABLE b ();\r\n");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    });
}
