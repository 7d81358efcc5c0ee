//! One file in the place of many: a database that has run those counts it as run, another one runs it.

use crossfade::ErrorKind;
use crossfade::GotoOptions;
use crossfade::RepairAction;
use crossfade::RepairOptions;
use crossfade::SquashOptions;
use crossfade::Stop;
use crossfade::observer::Unobserved;
use crossfade::report::SquashReport;
use crossfade::scratch::ScratchPlace;
use crossfade_core::journal::State;
use crossfade_core::squash::Piece;
use crossfade_core::squash::compose;

use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;
use crate::snapshot::Snapshot;

const OLD: [(&str, &str, &str); 3] = [
    ("001", "users", "CREATE TABLE users (id integer PRIMARY KEY, email text);\nINSERT INTO users VALUES (1, 'a');\n"),
    ("002", "rename", "ALTER TABLE users RENAME COLUMN email TO address"),
    (
        "003",
        "state",
        "CREATE TYPE state AS ENUM ('on', 'off');\nALTER TABLE users ADD COLUMN state state DEFAULT 'on' NOT NULL;\n",
    ),
];
const NEXT: (&str, &str) = ("004_next.sql", "CREATE TABLE next (id integer);");
const SQUASHED: &str = "003_squashed.sql";

fn name(of: (&str, &str, &str)) -> String {
    format!("{}_{}.sql", of.0, of.1)
}

fn squashed() -> String {
    let pieces = OLD.map(|(version, name, text)| Piece { version, name, text });
    compose(&pieces).expect("they fit together")
}

/// A database that has run so many of the files from before, and a folder in which they are squashed.
async fn after(count: usize) -> (Database, Project) {
    let database = Database::create(main_server()).await;
    let project = Project::new(&database, &[]);
    for old in &OLD[..count] {
        project.write(&name(*old), old.2);
    }
    project.write("003_state_down.sql", "ALTER TABLE users DROP COLUMN state; DROP TYPE state;");
    if count < OLD.len() {
        std::fs::remove_file(project.path().join("003_state_down.sql")).expect("it can be removed");
    }
    if count > 0 {
        let options = crossfade::MigrateOptions { complete: true, ..crossfade::MigrateOptions::default() };
        project.migrator.migrate(options, &mut Unobserved, &Stop::default()).await.expect("the old files can be run");
    }
    for old in &OLD[..count] {
        std::fs::remove_file(project.path().join(name(*old))).expect("it can be removed");
    }
    let _ = std::fs::remove_file(project.path().join("003_state_down.sql"));
    project.write(SQUASHED, &squashed());
    (database, project)
}

#[test]
fn a_new_database_runs_it_and_one_with_the_old_history_does_not() {
    run(async {
        let (old, old_project) = after(3).await;
        let (new, new_project) = after(0).await;
        let status = old_project.migrator.status().await.expect("the status can be read");
        assert!(status.problems.is_empty() && status.warnings.is_empty(), "{status:?}");
        let told: Vec<String> = status
            .migrations
            .iter()
            .map(|one| format!("{} {:?} {}", one.version, one.state, one.missing_because.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(told, ["001 Applied squashed into 003", "002 Applied squashed into 003", "003 Applied -"]);
        let rows = "SELECT string_agg(m::text, ' ' ORDER BY version) FROM crossfade.schema_migrations AS m";
        let before = old.value(rows).await;
        assert_eq!(Command::Migrate.on(&old_project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(old.value(rows).await, before, "nothing is written for it");
        assert_eq!(Command::Migrate.on(&new_project.migrator).await, Ok(Some(State::Applied)));
        let (of_old, of_new) = (Snapshot::take(&old).await, Snapshot::take(&new).await);
        assert_eq!((of_old.schema_difference(&of_new), of_old.row_difference(&of_new)), (None, None));
        assert_eq!(
            new.value("SELECT string_agg(version || name, ' ') FROM crossfade.schema_migrations").await,
            "003squashed"
        );
        for (database, project) in [(&old, &old_project), (&new, &new_project)] {
            project.write(NEXT.0, NEXT.1);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            assert_eq!(database.value("SELECT count(*) FROM next").await, "0");
            let options = RepairOptions::default();
            let repair = project.migrator.repair(&options, &mut Unobserved, &Stop::default()).await;
            assert!(repair.expect("it can be compared").migrations.is_empty());
        }
    });
}

#[test]
fn a_database_that_has_run_half_of_it_is_refused_with_what_is_missing() {
    run(async {
        let (database, project) = after(2).await;
        let before = database.value("SELECT count(*) FROM crossfade.events").await;
        let refused = Command::Migrate.on(&project.migrator).await.expect_err("it is half of it");
        assert!(refused.contains("003 of what") && refused.contains("was not run here"), "{refused}");
        assert!(refused.contains("with the files from before"), "{refused}");
        assert!(project.migrator.plan(None).await.is_err());
        assert_eq!(database.value("SELECT count(*) FROM crossfade.events").await, before);
        // With the file from before it is brought there.
        std::fs::remove_file(project.path().join(SQUASHED)).expect("it can be removed");
        for old in OLD {
            project.write(&name(old), old.2);
        }
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        for old in OLD {
            std::fs::remove_file(project.path().join(name(old))).expect("it can be removed");
        }
        project.write(SQUASHED, &squashed());
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    });
}

#[test]
fn another_text_is_found_and_another_comment_is_not_minded() {
    run(async {
        let (database, project) = after(3).await;
        let commented = OLD.map(|(version, name, text)| (version, name, format!("-- a licence\n{text}")));
        let pieces = [0, 1, 2].map(|at: usize| {
            let (version, name, text) = &commented[at];
            Piece { version, name, text }
        });
        project.write(SQUASHED, &compose(&pieces).expect("they fit together"));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let other = Piece { version: "002", name: "rename", text: "ALTER TABLE users RENAME COLUMN email TO mail" };
        let pieces = [pieces[0].clone(), other, pieces[2].clone()];
        project.write(SQUASHED, &compose(&pieces).expect("they fit together"));
        let refused = Command::Migrate.on(&project.migrator).await.expect_err("it is another text");
        assert!(refused.contains("002 rename was run here with another text"), "{refused}");
        assert_eq!(database.value("SELECT count(address) FROM users").await, "1");
    });
}

#[test]
fn a_part_of_it_does_not_go_back_alone() {
    run(async {
        let (database, project) = after(3).await;
        for command in [Command::Rollback] {
            let refused = command.on(&project.migrator).await.expect_err("it is a part");
            assert!(refused.contains("was squashed into"), "{refused}");
        }
        let options = GotoOptions { to: "0".to_owned(), ..GotoOptions::default() };
        let error = project.migrator.goto(&options, &mut Unobserved, &Stop::default()).await.expect_err("it is a part");
        assert!(said(&error).contains("003 state was squashed into"), "{}", said(&error));
        assert_eq!(database.value("SELECT count(state) FROM users").await, "1");
        let options = RepairOptions { action: RepairAction::Accept, ..RepairOptions::default() };
        let nothing = project.migrator.repair(&options, &mut Unobserved, &Stop::default()).await;
        assert!(nothing.expect("there is nothing to accept").migrations.is_empty());
    });
}

#[test]
fn a_file_below_it_is_refused_everywhere() {
    run(async {
        for count in [0, 3] {
            let (_database, project) = after(count).await;
            project.write("002_late.sql", "CREATE TABLE late ();");
            let error = Command::Migrate.watched(&project.migrator, &mut Unobserved).await.expect_err("it is below");
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(said(&error).contains("002_late.sql stands below"), "{}", said(&error));
        }
    });
}

#[test]
fn a_line_that_can_not_be_read_runs_nothing_twice() {
    run(async {
        for count in [0, 3] {
            let (_database, project) = after(count).await;
            project.write(SQUASHED, "-- crossfade: replaces 001..003\nCREATE TABLE users (id integer);");
            let refused = Command::Migrate.on(&project.migrator).await.expect_err("it can't be read");
            assert!(refused.contains("can't be read"), "{refused}");
        }
    });
}

/// `crossfade squash --to VERSION`, with the server of the proofs for its scratch databases.
async fn squash(
    database: &Database,
    project: &Project,
    to: &str,
    dry_run: bool,
) -> Result<SquashReport, crossfade::Error> {
    let options = SquashOptions {
        to: to.to_owned(),
        name: "squashed".to_owned(),
        dry_run,
        offline: false,
        scratch: ScratchPlace::Server(Box::new(database.target())),
    };
    project.migrator.squash(&options, &mut Unobserved, &Stop::default()).await
}

/// A folder in a folder of its own, as the moved files go beside it, with all of it applied.
async fn before(files: &[(&str, &str)]) -> (Database, Project) {
    let database = Database::create(main_server()).await;
    let project = Project::with(&database, &[], |config| config.migrations.push("migrations"));
    std::fs::create_dir(project.path().join("migrations")).expect("a folder is made");
    for (name, text) in files {
        project.write(&format!("migrations/{name}"), text);
    }
    let options = crossfade::MigrateOptions { complete: true, ..crossfade::MigrateOptions::default() };
    project.migrator.migrate(options, &mut Unobserved, &Stop::default()).await.expect("the files can be run");
    (database, project)
}

/// What stands in the folder, and beside it.
fn listed(project: &Project) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![project.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("it can be read").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(project.path()).expect("it is below").display().to_string());
            }
        }
    }
    found.sort();
    found
}

const FILES: [(&str, &str); 4] = [
    ("001_users.sql", OLD[0].2),
    ("002_rename.sql", OLD[1].2),
    ("003_state.sql", OLD[2].2),
    ("003_state_down.sql", "ALTER TABLE users DROP COLUMN state; DROP TYPE state;"),
];

#[test]
fn files_become_one_that_old_and_new_databases_understand() {
    run(async {
        let (database, project) = before(&FILES).await;
        let shown = squash(&database, &project, "3", true).await.expect("it can be proven");
        assert_eq!((shown.replaces.join(" "), shown.notes.len()), ("001 002 003".to_owned(), 0));
        assert_eq!(listed(&project).len(), 4, "nothing was written");
        let done = squash(&database, &project, "3", false).await.expect("it is squashed");
        assert!(done.objects > 3, "{done:?}");
        let expected = [
            "migrations/003_squashed.sql",
            "migrations_squashed/003/001_users.sql",
            "migrations_squashed/003/002_rename.sql",
            "migrations_squashed/003/003_state.sql",
            "migrations_squashed/003/003_state_down.sql",
        ];
        assert_eq!(listed(&project), expected);
        project.write("migrations/004_next.sql", NEXT.1);
        let status = project.migrator.status().await.expect("the status can be read");
        assert!(status.problems.is_empty(), "{:?}", status.problems);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let new = Database::create(main_server()).await;
        let again = Project::with(&new, &[], |config| config.migrations = project.path().join("migrations"));
        assert_eq!(Command::Migrate.on(&again.migrator).await, Ok(Some(State::Applied)));
        let (of_old, of_new) = (Snapshot::take(&database).await, Snapshot::take(&new).await);
        assert_eq!((of_old.schema_difference(&of_new), of_old.row_difference(&of_new)), (None, None));
        // Squashed again, it is known to both.
        squash(&database, &project, "4", false).await.expect("it is squashed again");
        for (project, versions) in [(&project, "001002003004"), (&again, "003004")] {
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            let database = if versions.len() > 6 { &database } else { &new };
            let rows = "SELECT string_agg(version, '' ORDER BY version) FROM crossfade.schema_migrations";
            assert_eq!(database.value(rows).await, versions);
        }
        // That scratch databases are removed is proven where nobody else makes any: in `scratch::database`.
    });
}

#[test]
fn what_would_not_make_the_same_is_refused_and_nothing_is_touched() {
    run(async {
        // A session of its own for each file; in one file the first speaks for the second.
        let leaking = [
            ("001_app.sql", "CREATE SCHEMA app; SET search_path = app; CREATE TABLE one (id integer);"),
            ("002_two.sql", "CREATE TABLE two (id integer);"),
        ];
        let (database, project) = before(&leaking).await;
        let error = squash(&database, &project, "2", false).await.expect_err("two would be another table");
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", said(&error));
        assert!(said(&error).contains("app.two") && said(&error).contains("search_path"), "{}", said(&error));
        assert_eq!(listed(&project), ["migrations/001_app.sql", "migrations/002_two.sql"]);

        let alone = [("001_a.sql", "CREATE TABLE a ();"), ("002_b.sql", "-- crossfade: no-transaction\nVACUUM a;")];
        let (database, project) = before(&alone).await;
        let error = squash(&database, &project, "2", false).await.expect_err("it is no transaction");
        assert!(said(&error).contains("does not run in one transaction"), "{}", said(&error));
        assert_eq!(listed(&project).len(), 2);
    });
}

#[test]
fn what_is_not_applied_or_alone_is_not_squashed() {
    run(async {
        let (database, project) = before(&FILES[..2]).await;
        project.write("migrations/003_state.sql", OLD[2].2);
        let error = squash(&database, &project, "3", false).await.expect_err("003 is pending");
        assert!(said(&error).contains("003 state is pending"), "{}", said(&error));
        project.write("migrations/002_rename.sql", "ALTER TABLE users RENAME COLUMN email TO mail");
        let error = squash(&database, &project, "2", false).await.expect_err("002 is another one");
        assert!(said(&error).contains("was changed after it was run"), "{}", said(&error));
        let error = squash(&database, &project, "1", false).await.expect_err("it is one file");
        assert!(said(&error).contains("there is one file only"), "{}", said(&error));
        let error = squash(&database, &project, "9", false).await.expect_err("there is no such file");
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert_eq!(listed(&project).len(), 3);
    });
}
