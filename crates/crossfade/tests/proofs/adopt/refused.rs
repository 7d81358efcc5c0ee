//! What is not taken over: unsettled states, changed and missing files, histories that are not clear, a tool that is at work, rights that lack.

use crossfade::AdoptOptions;
use crossfade::ErrorKind;
use crossfade::Stop;
use crossfade::Tool;
use crossfade::observer::Unobserved;
use crossfade::report::AdoptState;

use super::Scene;
use super::rewrite;
use super::states;
use crate::project::said;
use crate::server::Database;
use crate::server::connect;
use crate::server::main_server;
use crate::server::run;

#[test]
fn an_unsettled_state_is_refused_with_how_its_tool_mends_it() {
    run(async {
        for (tool, sql, what, hint) in [
            ("golang-migrate", "UPDATE schema_migrations SET dirty = true", "version 3 is dirty", "migrate force 3"),
            (
                "sqlx",
                "UPDATE _sqlx_migrations SET success = false WHERE version = 20240103120000",
                "migration 20240103120000 did not finish",
                "delete its row",
            ),
            (
                "flyway",
                "UPDATE flyway_schema_history SET success = false WHERE version = '1.3'",
                "V1_3__add_name.sql failed",
                "flyway repair",
            ),
            (
                "prisma",
                "INSERT INTO _prisma_migrations (id, checksum, migration_name, logs) VALUES ('x', '0', '20240104120000_create_tags', E'boom\\nmore')",
                "migration 20240104120000_create_tags failed: boom",
                "prisma migrate resolve --applied 20240104120000_create_tags",
            ),
            (
                "atlas",
                "UPDATE atlas_schema_revisions.atlas_schema_revisions SET applied = 1, error = 'boom' WHERE version = '20240102120000'",
                "of version 20240102120000 1 of 2 statements ran: boom",
                "atlas migrate apply",
            ),
            (
                "liquibase",
                "UPDATE databasechangeloglock SET locked = true, lockedby = 'web1', lockgranted = '2026-01-31 12:00'",
                "its lock is held by web1 since 2026-01-31 12:00",
                "liquibase release-locks",
            ),
            (
                "graphile-migrate",
                "INSERT INTO graphile_migrate.current (content) VALUES ('SELECT 1')",
                "current.sql was run and is not committed",
                "graphile-migrate commit",
            ),
            (
                "alembic",
                "INSERT INTO alembic_version VALUES ('ffff')",
                "the history has 2 heads",
                "alembic merge heads",
            ),
        ] {
            let scene = Scene::new(tool).await;
            scene.run(sql).await;
            let error = scene.refused(&AdoptOptions::default()).await;
            assert!(error.contains(what) && error.contains(hint), "{tool}: {error}");
            let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
            assert!(
                report.obstacles.iter().any(|obstacle| obstacle.what.contains(what)),
                "{tool}: {:?}",
                report.obstacles
            );
        }
    });
}

#[test]
fn a_changed_file_is_refused_unless_it_is_accepted() {
    run(async {
        for tool in ["atlas", "flyway", "graphile-migrate", "prisma", "refinery", "sqitch", "sqlx", "supabase"] {
            let scene = Scene::new(tool).await;
            rewrite(scene.project.path(), &|text| text.replace("title text", "title varchar"));
            let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
            assert_eq!(report.migrations[1].state, AdoptState::Differs, "{tool}: {:?}", states(&report));
            let error = scene.refused(&AdoptOptions::default()).await;
            assert!(
                error.contains("files that were run say something else now") && error.contains("posts"),
                "{tool}: {error}"
            );
            let accepted = AdoptOptions { accept_changed: true, ..AdoptOptions::default() };
            scene.adopt(&accepted).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            let status = scene.project.migrator.status().await.expect("the status can be read");
            assert_eq!(status.problems, Vec::<String>::new(), "{tool}");
        }
    });
}

#[test]
fn a_missing_file_is_refused_unless_it_is_accepted() {
    run(async {
        for (tool, file) in [
            ("dbmate", "20240102120000_create_posts.sql"),
            ("sqlx", "20240102120000_create_posts.up.sql"),
            ("golang-migrate", "000003_add_name.up.sql"),
        ] {
            let scene = Scene::new(tool).await;
            std::fs::remove_file(scene.project.path().join(file)).expect("the file is there");
            let _ = std::fs::remove_file(scene.project.path().join(file.replace(".up.", ".down.")));
            let error = scene.refused(&AdoptOptions::default()).await;
            assert!(error.contains("files that were run are missing"), "{tool}: {error}");
            let accepted = AdoptOptions { accept_missing: true, ..AdoptOptions::default() };
            let report = scene.adopt(&accepted).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            assert_eq!(report.migrations.len(), 4, "{tool}: {:?}", states(&report));
            let status = scene.project.migrator.status().await.expect("the status can be read");
            assert_eq!(status.problems, Vec::<String>::new(), "{tool}");
        }
    });
}

#[test]
fn a_file_that_came_late_is_said_to_be() {
    run(async {
        let scene = Scene::new("dbmate").await;
        scene.project.write("20240102130000_late.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n");
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert_eq!(report.migrations[2].state, AdoptState::Late, "{:?}", states(&report));
        // Below a bare number it would have been taken for applied: that is the assumption.
        let scene = Scene::new("golang-migrate").await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        let assumption = report.assumption.expect("the history is one number");
        assert!(assumption.contains("every file up to 3 was run is an assumption"), "{assumption}");
    });
}

/// dbmate runs 10 before 2.
#[test]
fn another_order_of_files_is_said() {
    run(async {
        let scene = Scene::new("dbmate").await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert_eq!(report.notes, Vec::<String>::new());
        scene.project.write("2_early.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n");
        scene.project.write("10_early.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\n");
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert!(report.notes[0].ends_with("for dbmate 10 comes before 2"), "{:?}", report.notes);
    });
}

#[test]
fn several_histories_are_listed() {
    run(async {
        let scene = Scene::new("dbmate").await;
        scene
            .run(
                "CREATE SCHEMA old; CREATE TABLE old.schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL); \
                 CREATE TABLE old.seeds (id text, applied_at timestamptz); CREATE TABLE public.numbers (version bigint)",
            )
            .await;
        let error = scene.refused(&AdoptOptions::default()).await;
        assert!(
            error.contains("golang-migrate in old.schema_migrations")
                && error.contains("dbmate in public.schema_migrations"),
            "{error}"
        );
        let only = |from: Option<Tool>, table: Option<&str>| AdoptOptions {
            from,
            table: table.map(str::to_owned),
            ..AdoptOptions::default()
        };
        let said_of = async |options: AdoptOptions| match scene.look(&options).await {
            Ok(report) => format!("{} {}", report.tool, report.table),
            Err(error) => {
                assert_eq!(error.kind(), if options.table.is_some() { ErrorKind::Usage } else { ErrorKind::Refused });
                said(&error)
            }
        };
        assert_eq!(said_of(only(Some(Tool::Dbmate), None)).await, "dbmate public.schema_migrations");
        assert_eq!(said_of(only(None, Some("public.schema_migrations"))).await, "dbmate public.schema_migrations");
        // The same columns may be those of an old Rails.
        let rails = only(Some(Tool::Rails), Some("\"public\".schema_migrations"));
        assert_eq!(said_of(rails).await, "rails public.schema_migrations");
        assert!(said_of(only(Some(Tool::Flyway), None)).await.contains("no history of flyway was found"));
        assert!(said_of(only(None, Some("schema_migrations"))).await.contains("write SCHEMA.TABLE"));
        assert!(said_of(only(None, Some("old.seeds"))).await.contains("`--from TOOL` says whose it is"));
        assert!(said_of(only(Some(Tool::Goose), Some("old.seeds"))).await.contains("old.seeds is no history of goose"));
        assert!(said_of(only(None, Some("no_such"))).await.contains("no_such is no history"));
        assert!(said_of(only(None, Some("a b"))).await.contains("not the name of a table"));
    });
}

#[test]
fn without_a_history_or_with_an_empty_one_there_is_nothing_to_take_over() {
    run(async {
        let scene = Scene::new("dbmate").await;
        scene.run("DELETE FROM schema_migrations").await;
        let error = scene.refused(&AdoptOptions::default()).await;
        assert!(error.contains("public.schema_migrations says that nothing was run"), "{error}");
        scene.run("DROP TABLE schema_migrations").await;
        let error = scene.refused(&AdoptOptions::default()).await;
        assert!(error.contains("no history was found in this database"), "{error}");
    });
}

#[test]
fn a_tool_that_is_at_work_is_not_disturbed() {
    run(async {
        let scene = Scene::new("goose").await;
        let other = scene.database.connect().await;
        other.batch_execute("SELECT pg_advisory_lock(4097083626)").await.expect("a lock can be taken");
        let error = said(&scene.adopt(&AdoptOptions::default()).await.expect_err("goose is at work"));
        assert!(error.contains("goose is at work on this database: it holds its lock"), "{error}");
        other.batch_execute("SELECT pg_advisory_unlock_all()").await.expect("a lock can be given up");
        // dbmate takes no lock of its own; what it writes shows that it is at work.
        other
            .batch_execute("BEGIN; INSERT INTO goose_db_version (version_id, is_applied) VALUES (4, true)")
            .await
            .expect("it writes");
        let error = said(&scene.adopt(&AdoptOptions::default()).await.expect_err("goose is at work"));
        assert!(error.contains("goose is at work on this database"), "{error}");
        assert_eq!(scene.database.value("SELECT count(*) FROM crossfade.schema_migrations").await, "0");
        other.batch_execute("ROLLBACK").await.expect("it ends");
        scene.adopt(&AdoptOptions::default()).await.expect("nobody is at work");
    });
}

/// A look needs SELECT on the history and nothing else.
#[test]
fn a_look_needs_no_right_to_write() {
    run(async {
        let scene = Scene::new("sqlx").await;
        scene.run("GRANT SELECT ON _sqlx_migrations TO app_reader; REVOKE ALL ON SCHEMA public FROM public; GRANT USAGE ON SCHEMA public TO app_reader").await;
        scene.run("DO $$ BEGIN CREATE ROLE looker LOGIN IN ROLE app_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$").await;
        let url = scene.database.url().replace("user=postgres", "user=looker");
        let url = if url.contains("looker") { url } else { url.replacen("postgres@", "looker@", 1) };
        assert!(url.contains("looker"), "{url}");
        let target = crossfade::Target::from_url(&url).expect("the URL is one");
        let config = crossfade::Config { migrations: scene.project.path().to_owned(), ..crossfade::Config::default() };
        let looker = crossfade::Migrator::new(config, target);
        let report = looker
            .adopt_preview(&AdoptOptions::default(), &mut Unobserved, &Stop::default())
            .await
            .expect("it can be looked at");
        assert_eq!(report.migrations.len(), 4);
        let stop = crossfade::Stop::default();
        let error = looker.adopt(&AdoptOptions::default(), &mut crossfade::observer::Unobserved, &stop).await;
        assert!(said(&error.expect_err("it may not write")).contains("could not make the journal"));
    });
}

/// Every tool's table in one database, each in a schema of its own.
#[test]
fn every_history_is_recognised_among_the_others() {
    run(async {
        let database = Database::create(main_server()).await;
        let client = connect(&database.url()).await;
        let mut expected = Vec::new();
        for tool in Tool::ALL {
            let file = super::fixture(tool.name()).join("history.sql");
            let history = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            client
                .batch_execute("DROP SCHEMA IF EXISTS public CASCADE; CREATE SCHEMA public")
                .await
                .expect("it is emptied");
            client.batch_execute(&history).await.expect("the history can be loaded");
            client
                .batch_execute(&format!("ALTER SCHEMA public RENAME TO \"of {tool}\"; RESET ALL"))
                .await
                .expect("it is renamed");
            expected.push(tool);
        }
        let project = crate::project::Project::new(&database, &[]);
        let error = project
            .migrator
            .adopt_preview(&AdoptOptions::default(), &mut Unobserved, &Stop::default())
            .await
            .expect_err("there are several");
        for tool in expected {
            assert!(error.to_string().contains(&format!("\n  {tool} in ")), "{tool}: {error}");
        }
        assert_eq!(error.to_string().lines().count(), 1 + Tool::ALL.len(), "{error}");
    });
}
