//! Every tool: what is said of its files, what stands in our journal afterwards, and how it goes on.

use std::collections::BTreeMap;

use crossfade::AdoptOptions;
use crossfade::RunOptions;
use crossfade::Stop;
use crossfade::Tool;
use crossfade::observer::Unobserved;
use crossfade::report::AdoptState;
use crossfade_core::journal::State;

use super::Scene;
use super::fixture;
use super::rewrite;
use super::states;
use crate::project::Command;
use crate::project::said;
use crate::server::run;
use crate::snapshot::Snapshot;

/// What is expected of a tool's fixture: three migrations are applied and one is pending.
struct Expected {
    tool: Tool,
    /// How the applied ones are seen, in the order of their versions.
    applied: &'static [(&'static str, AdoptState)],
    pending: &'static str,
    /// The same after a checkout with CRLF.
    crlf: AdoptState,
    has_downs: bool,
}

const fn expected(
    tool: Tool,
    applied: &'static [(&'static str, AdoptState)],
    pending: &'static str,
    crlf: AdoptState,
    has_downs: bool,
) -> Expected {
    Expected { tool, applied, pending, crlf, has_downs }
}

use AdoptState::LineEnds;
use AdoptState::Unverified;
use AdoptState::Verified;

const TIMES: [&str; 4] = ["20240101120000", "20240102120000", "20240103120000", "20240104120000"];
const TIMED_VERIFIED: &[(&str, AdoptState)] = &[(TIMES[0], Verified), (TIMES[1], Verified), (TIMES[2], Verified)];
const TIMED: &[(&str, AdoptState)] = &[(TIMES[0], Unverified), (TIMES[1], Unverified), (TIMES[2], Unverified)];

const TOOLS: [Expected; 13] = [
    expected(Tool::Atlas, TIMED_VERIFIED, TIMES[3], LineEnds, false),
    expected(Tool::Dbmate, TIMED, TIMES[3], Unverified, true),
    expected(
        Tool::Diesel,
        &[("2024-01-01-120000", Unverified), ("2024-01-02-120000", Unverified), ("2024-01-03-120000", Unverified)],
        "2024-01-04-120000",
        Unverified,
        true,
    ),
    expected(
        Tool::Flyway,
        &[("1_1", Verified), ("1_2", Verified), ("1_3", Verified), ("R__names", Verified)],
        "1_4",
        Verified,
        false,
    ),
    expected(
        Tool::GolangMigrate,
        &[("000001", Unverified), ("000002", Unverified), ("000003", Unverified)],
        "000004",
        Unverified,
        true,
    ),
    expected(
        Tool::Goose,
        &[("00001", Unverified), ("00002", Unverified), ("00003", Unverified)],
        "00004",
        Unverified,
        true,
    ),
    expected(
        Tool::GraphileMigrate,
        &[("000001", Verified), ("000002", Verified), ("000003", Verified)],
        "000004",
        LineEnds,
        false,
    ),
    expected(Tool::Prisma, TIMED_VERIFIED, TIMES[3], LineEnds, false),
    expected(Tool::Refinery, &[("1", Verified), ("2", Verified), ("3", Verified)], "4", LineEnds, false),
    expected(Tool::SqlMigrate, TIMED, TIMES[3], Unverified, true),
    expected(Tool::Sqitch, &[("001", Verified), ("002", Verified), ("003", Verified)], "004", LineEnds, true),
    expected(Tool::Sqlx, TIMED_VERIFIED, TIMES[3], LineEnds, true),
    expected(Tool::Supabase, TIMED_VERIFIED, TIMES[3], Verified, false),
];

/// tern's files have no gaps and its history one number.
const TERN: Expected =
    expected(Tool::Tern, &[("001", Unverified), ("002", Unverified), ("003", Unverified)], "004", Unverified, true);

fn all() -> impl Iterator<Item = Expected> {
    TOOLS.into_iter().chain([TERN])
}

fn with_pending(expected: &Expected) -> Vec<(&'static str, AdoptState)> {
    let mut all: Vec<_> = expected.applied.to_vec();
    let at = all.iter().position(|(version, _)| version.starts_with('R')).unwrap_or(all.len());
    all.insert(at, (expected.pending, AdoptState::Pending));
    all
}

#[test]
fn a_look_says_what_each_file_is_and_changes_nothing() {
    run(async {
        for expected in all() {
            let (tool, scene) = (expected.tool, Scene::new(expected.tool.name()).await);
            let before = Snapshot::take(&scene.database).await;
            let report =
                scene.look(&AdoptOptions::default()).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            assert_eq!((report.tool, states(&report)), (tool.name(), with_pending(&expected)), "{tool}");
            assert!(report.obstacles.is_empty() && !report.adopted, "{tool}: {:?}", report.obstacles);
            let is_number = matches!(tool, Tool::GolangMigrate | Tool::Tern);
            assert_eq!(report.assumption.is_some(), is_number, "{tool}");
            let after = Snapshot::take(&scene.database).await;
            assert_eq!((after.schema_difference(&before), after.row_difference(&before)), (None, None), "{tool}");
        }
    });
}

#[test]
fn a_checkout_with_other_line_ends_is_no_change() {
    run(async {
        for expected in all() {
            let (tool, scene) = (expected.tool, Scene::new(expected.tool.name()).await);
            rewrite(scene.project.path(), &|text| text.replace('\n', "\r\n"));
            let report =
                scene.look(&AdoptOptions::default()).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            let seen: Vec<AdoptState> = report.migrations.iter().map(|migration| migration.state).collect();
            let applied = seen.iter().filter(|state| state.is_applied());
            assert!(applied.clone().all(|state| *state == expected.crlf), "{tool}: {seen:?}");
            assert_eq!(applied.count(), expected.applied.len(), "{tool}");
        }
    });
}

#[test]
fn what_was_taken_over_goes_on_and_back() {
    run(async {
        for expected in all() {
            let (tool, scene) = (expected.tool, Scene::new(expected.tool.name()).await);
            let migrator = &scene.project.migrator;
            let report =
                scene.adopt(&AdoptOptions::default()).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            assert!(report.adopted, "{tool}");
            let status = migrator.status().await.expect("the status can be read");
            assert_eq!(status.problems, Vec::<String>::new(), "{tool}");
            let seen: BTreeMap<&str, (State, &str)> = status
                .migrations
                .iter()
                .map(|migration| (migration.version.as_str(), (migration.state, migration.origin.as_str())))
                .collect();
            for (version, _) in expected.applied {
                assert_eq!(seen.get(version), Some(&(State::Applied, tool.name())), "{tool} {version}");
            }
            assert_eq!(seen.get(expected.pending).map(|seen| seen.0), Some(State::Pending), "{tool}");

            assert_eq!(Command::Migrate.on(migrator).await, Ok(Some(State::Applied)), "{tool}");
            assert_eq!(scene.database.value("SELECT to_regclass('public.tags') IS NOT NULL").await, "t", "{tool}");
            // Nothing of what was taken over ran again, or it would have failed.
            let again = scene.adopt(&AdoptOptions::default()).await.expect("it knows all of it");
            assert!(again.migrations.iter().all(|migration| migration.known), "{tool}");

            let stop = Stop::default();
            let back = migrator.rollback(Some(expected.pending), RunOptions::default(), &mut Unobserved, &stop).await;
            let newest =
                expected.applied.iter().rfind(|(version, _)| !version.starts_with('R')).map(|(version, _)| *version);
            if expected.has_downs {
                back.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
                migrator
                    .rollback(newest, RunOptions::default(), &mut Unobserved, &stop)
                    .await
                    .unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
                let column =
                    "SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'name'";
                assert_eq!(scene.database.value(column).await, "0", "{tool}: the down file of what was taken over ran");
            } else {
                assert!(back.is_err(), "{tool} has no way back");
            }
        }
    });
}

/// Both ways and the other tool's sum are kept.
#[test]
fn the_journal_keeps_the_texts_the_times_and_the_sums() {
    run(async {
        let scene = Scene::new("sqlx").await;
        scene.adopt(&AdoptOptions::default()).await.expect("it is taken over");
        let kept = "SELECT concat_ws(' ', m.name, m.raw_checksum, m.applied_at IS NOT NULL, p.up_sql LIKE 'CREATE TABLE users%', p.down_sql) \
                    FROM crossfade.schema_migrations AS m JOIN crossfade.plans AS p ON p.id = m.plan_id WHERE m.version = '20240101120000'";
        let sum = scene
            .database
            .value("SELECT encode(checksum, 'hex') FROM _sqlx_migrations WHERE version = 20240101120000")
            .await;
        assert_eq!(scene.database.value(kept).await, format!("create_users sqlx-sha384:{sum} t t DROP TABLE users;\n"));
        let applied = "SELECT bool_and(m.applied_at = date_trunc('second', s.installed_on)) FROM crossfade.schema_migrations AS m \
                       JOIN _sqlx_migrations AS s ON s.version::text = m.version";
        assert_eq!(scene.database.value(applied).await, "t");
        let events = "SELECT string_agg(DISTINCT event ->> 'event', ',') FROM crossfade.events";
        assert_eq!(scene.database.value(events).await, "taken_over");
    });
}

/// Rails, Django, Alembic and Ecto: no files of ours. What comes after is.
#[test]
fn migrations_that_are_no_sql_are_kept_without_files() {
    run(async {
        for (tool, versions) in [
            ("alembic", vec!["alembic:1b2c3d4e5f60"]),
            (
                "django",
                vec![
                    "django:contenttypes.0001_initial",
                    "django:contenttypes.0002_remove_content_type_name",
                    "django:shop.0001_initial",
                ],
            ),
            ("ecto", vec!["ecto:20240101120000", "ecto:20240102120000"]),
            ("rails", vec!["rails:20240101120000", "rails:20240102120000"]),
        ] {
            let scene = Scene::new(tool).await;
            let report =
                scene.adopt(&AdoptOptions::default()).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            let expected: Vec<_> = versions.iter().map(|version| (*version, AdoptState::NotSql)).collect();
            assert_eq!((states(&report), report.layout), (expected, None), "{tool}");
            scene.project.write("001_tags.sql", "CREATE TABLE tags (id integer PRIMARY KEY);");
            scene.project.write("001_tags_down.sql", "DROP TABLE tags;");
            let migrator = &scene.project.migrator;
            let status = migrator.status().await.expect("the status can be read");
            assert_eq!(status.problems, Vec::<String>::new(), "{tool}");
            assert_eq!(Command::Migrate.on(migrator).await, Ok(Some(State::Applied)), "{tool}");
            // The newest is ours.
            assert_eq!(Command::Rollback.on(migrator).await, Ok(Some(State::RolledBack)), "{tool}");
            assert_eq!(scene.database.value("SELECT to_regclass('public.tags') IS NULL").await, "t", "{tool}");
            let error = Command::Rollback.on(migrator).await.expect_err("there is no way back from what was no SQL");
            assert!(error.contains(versions[versions.len() - 1]), "{tool}: {error}");
        }
    });
}

#[test]
fn changesets_of_liquibase_are_compared_and_kept_without_files() {
    run(async {
        let scene = Scene::new("liquibase").await;
        let bare = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert!(bare.migrations.iter().all(|migration| migration.state == Unverified), "{:?}", states(&bare));
        let options = AdoptOptions { files: Some(fixture("liquibase/changelog")), ..AdoptOptions::default() };
        let report = scene.adopt(&options).await.expect("it is taken over");
        assert_eq!(
            states(&report),
            [
                ("liquibase:add-name::bob b::changelog/002_names.sql", Verified),
                ("liquibase:create-posts::ann::changelog/001_users.sql", Verified),
                ("liquibase:create-users::ann::changelog/001_users.sql", Verified),
            ]
        );
        scene.project.write("001_tags.sql", "CREATE TABLE tags (id integer PRIMARY KEY);");
        assert_eq!(Command::Migrate.on(&scene.project.migrator).await, Ok(Some(State::Applied)));
    });
}

#[test]
fn what_came_since_is_taken_over_when_called_again() {
    run(async {
        let scene = Scene::new("dbmate").await;
        scene.adopt(&AdoptOptions::default()).await.expect("it is taken over");
        // dbmate was run once more.
        scene.run("CREATE TABLE tags (id integer); INSERT INTO schema_migrations VALUES ('20240104120000')").await;
        let report = scene.adopt(&AdoptOptions::default()).await.expect("it is taken over");
        let known: Vec<bool> = report.migrations.iter().map(|migration| migration.known).collect();
        assert_eq!(known, [true, true, true, false]);
        let rows = "SELECT count(*) FROM crossfade.schema_migrations WHERE state = 'applied' AND origin = 'dbmate'";
        assert_eq!(scene.database.value(rows).await, "4");
    });
}

/// Old versions of goose write a row when they go down.
#[test]
fn goose_s_newest_row_counts() {
    run(async {
        let scene = Scene::new("goose").await;
        scene.run("INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, false)").await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert_eq!(report.migrations[2].state, AdoptState::Pending);
        scene.run("INSERT INTO goose_db_version (version_id, is_applied) VALUES (3, true)").await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert_eq!(report.migrations[2].state, Unverified);
    });
}

#[test]
fn flyway_s_baselines_undone_and_deleted_rows() {
    run(async {
        let scene = Scene::new("flyway").await;
        let row = |rank: u32, version: &str, kind: &str| {
            format!(
                "INSERT INTO flyway_schema_history VALUES ({rank}, '{version}', 'x', '{kind}', 'x.sql', NULL, 'me', now(), 1, true)"
            )
        };
        // 1.3 was undone.
        scene.run(&row(5, "1.3", "UNDO_SQL")).await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert_eq!(report.migrations[2].state, AdoptState::Pending);
        // Instead of the first two there was a baseline.
        scene.run("DELETE FROM flyway_schema_history WHERE installed_rank < 3").await;
        scene.run(&row(0, "1.2", "BASELINE")).await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        let expected = [
            ("1_1", Unverified),
            ("1_2", Unverified),
            ("1_3", AdoptState::Pending),
            ("1_4", AdoptState::Pending),
            ("R__names", Verified),
        ];
        assert_eq!(states(&report), expected);
        // A program of Java.
        scene.run(&row(6, "1.3", "JDBC")).await;
        scene.run(&row(7, "1.5", "JDBC")).await;
        scene.adopt(&AdoptOptions::default()).await.expect("it is taken over");
        let status = scene.project.migrator.status().await.expect("the status can be read");
        assert!(status.problems.iter().all(|problem| problem.contains("V1_4")), "{:?}", status.problems);
    });
}

#[test]
fn of_several_projects_of_sqitch_the_folder_s_is_taken() {
    run(async {
        let scene = Scene::new("sqitch").await;
        scene
            .run(
                "INSERT INTO sqitch.projects VALUES ('other', NULL, now(), 'a', 'a'); \
                 INSERT INTO sqitch.changes VALUES ('x', 'y', 'elsewhere', 'other', '', now(), 'a', 'a', now(), 'a', 'a')",
            )
            .await;
        let report = scene.look(&AdoptOptions::default()).await.expect("it can be looked at");
        assert_eq!(report.migrations.len(), 4, "{:?}", states(&report));
        rewrite(scene.project.path(), &|text| text.replace("%project=shop", "%project=none"));
        let error = said(&scene.look(&AdoptOptions::default()).await.expect_err("it is not clear"));
        assert!(error.contains("several projects: other, shop"), "{error}");
    });
}

#[test]
fn a_fence_lets_nobody_write_and_comes_down_again() {
    run(async {
        for (tool, write) in [
            ("golang-migrate", "TRUNCATE schema_migrations"),
            ("sqlx", "INSERT INTO _sqlx_migrations VALUES (9, 'x', now(), false, '', -1)"),
            ("goose", "DELETE FROM goose_db_version WHERE version_id = 3"),
            ("flyway", "UPDATE flyway_schema_history SET success = true WHERE false"),
        ] {
            let scene = Scene::new(tool).await;
            let options = AdoptOptions { fence: true, ..AdoptOptions::default() };
            let report = scene.adopt(&options).await.unwrap_or_else(|error| panic!("{tool}: {}", said(&error)));
            assert!(report.fenced);
            let error = scene.database.run(write).await.expect_err("the fence stands");
            assert!(error.starts_with("55000 crossfade has taken over the migrations of"), "{error}");
            assert!(scene.look(&options).await.expect("it can be looked at").fenced);
            scene.adopt(&options).await.expect("it stands already");
            let down = scene.project.migrator.unfence().await.expect("it comes down");
            assert_eq!(down.unfenced.len(), 1);
            scene.run(write).await;
            assert!(scene.project.migrator.unfence().await.expect("there is none").unfenced.is_empty());
        }
    });
}

#[test]
fn what_was_taken_over_is_given_back() {
    run(async {
        let scene = Scene::new("golang-migrate").await;
        let migrator = &scene.project.migrator;
        let stop = Stop::default();
        let nothing = migrator
            .give_back(RunOptions::default(), &mut Unobserved, &stop)
            .await
            .expect_err("nothing was taken over");
        assert!(said(&nothing).contains("nothing to undo"), "{}", said(&nothing));
        let options = AdoptOptions { fence: true, ..AdoptOptions::default() };
        scene.adopt(&options).await.expect("it is taken over");
        let back = migrator.give_back(RunOptions::default(), &mut Unobserved, &stop).await.expect("it is given back");
        assert_eq!((back.migrations.len(), back.unfenced.len()), (3, 1));
        assert_eq!(scene.database.value("SELECT count(*) FROM crossfade.schema_migrations").await, "0");
        scene.run("UPDATE schema_migrations SET dirty = false").await;
        scene.adopt(&AdoptOptions::default()).await.expect("it is taken over again");
        assert_eq!(Command::Migrate.on(migrator).await, Ok(Some(State::Applied)));
        let error = migrator
            .give_back(RunOptions::default(), &mut Unobserved, &stop)
            .await
            .expect_err("one of ours stands on it");
        assert!(said(&error).contains("migration 000004 create_tags was run by crossfade since"), "{}", said(&error));
        assert_eq!(Command::Rollback.on(migrator).await, Ok(Some(State::RolledBack)));
        migrator.give_back(RunOptions::default(), &mut Unobserved, &stop).await.expect("it is given back");
        scene.adopt(&AdoptOptions::default()).await.expect("it is taken over again");
        assert_eq!(Command::Rollback.on(migrator).await, Ok(Some(State::RolledBack)));
        let error =
            migrator.give_back(RunOptions::default(), &mut Unobserved, &stop).await.expect_err("one was rolled back");
        assert!(said(&error).contains("is rolled_back now"), "{}", said(&error));
    });
}
