//! `--park`: rows that the server refuses are set aside, the others are filled, and nothing is ready before there is none.

use std::time::Duration;
use std::time::Instant;

use crossfade::BackfillOptions;
use crossfade::ErrorKind;
use crossfade::MigrateOptions;
use crossfade::Migrator;
use crossfade::Stop;
use crossfade_core::journal::State;
use crossfade_core::plan::BackfillRequest;

use crate::cases;
use crate::clients::in_turn;
use crate::fixture::Fixture;
use crate::laws::before;
use crate::laws::check_invariant;
use crate::laws::direct;
use crate::laws::expect;
use crate::laws::finish;
use crate::laws::project;
use crate::laws::same;
use crate::project::Command;
use crate::project::Outcome;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::prove;
use crate::scene::database;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::run;
use crate::server::servers;
use crate::snapshot::Snapshot;

/// 600 rows, and every 100th holds what is no number.
const BEFORE: &str = "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer, pad text);
    INSERT INTO t SELECT g, CASE WHEN g % 100 = 7 THEN 'x' || g ELSE g::text END, g, repeat('p', 200) FROM generate_series(1, 600) AS g;
    ANALYZE t;";

const REPLACE: &str = "ALTER TABLE t ADD COLUMN w integer;\nUPDATE t SET w = v::integer;\n-- crossfade: down w::text\nALTER TABLE t DROP COLUMN v;";
const RETYPE: &str = "-- crossfade: up v::integer\n-- crossfade: down v::text\nALTER TABLE t ALTER COLUMN v TYPE integer USING v::integer;";
const PARKED: &str = "SELECT string_agg(relation || ' ' || key, ', ' ORDER BY length(key), key) FROM crossfade.parked";
const ALL_SIX: &str =
    "public.t id=7, public.t id=107, public.t id=207, public.t id=307, public.t id=407, public.t id=507";

async fn parking(migrator: &Migrator) -> Outcome {
    let options = MigrateOptions { park: true, ..MigrateOptions::default() };
    let report = migrator.migrate(options, &mut Watch::default(), &Stop::default()).await;
    let report = report.map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::Failed, "{}", said(&error));
        said(&error)
    })?;
    Ok(report.migrations.last().map(|migration| migration.state))
}

async fn is_parked(project: &Project) -> u64 {
    let status = project.migrator.status().await.expect("the status can be read");
    status.migrations.last().map_or(0, |migration| migration.parked)
}

/// A plan that may set rows aside, and has none to set aside, keeps both laws, too.
#[test]
fn plans_that_may_park_keep_both_laws() {
    // What has a value that may fail, and so another function and another condition of its trigger.
    let computes = |text: &str| ["crossfade: up", "UPDATE ", " TYPE "].iter().any(|word| text.contains(word));
    let wanted = |fixture: &Fixture| fixture.refused.is_none() && fixture.phased && computes(&fixture.migration);
    prove(cases(std::slice::from_ref(main_server()), wanted), both_laws);
}

async fn both_laws(server: &'static Server, fixture: Fixture) -> Result<(), String> {
    let want = direct(server, &fixture).await?;
    let database = before(server, &fixture).await?;
    let was = Snapshot::take(&database).await;
    let project = project(&database, &fixture);
    expect(parking(&project.migrator).await?.unwrap_or(State::Pending), State::Ready)?;
    for _ in 0..2 {
        in_turn(&database, "old code", &fixture.old, 2).await?;
        in_turn(&database, "new code", &fixture.new, 2).await?;
    }
    check_invariant(&database, &fixture).await?;
    expect(Command::Rollback.on(&project.migrator).await?.unwrap_or(State::Pending), State::RolledBack)?;
    same("the schema after a rollback", was.schema_difference(&Snapshot::seen(&database).await))?;
    expect(parking(&project.migrator).await?.unwrap_or(State::Pending), State::Ready)?;
    finish(&project).await?;
    same("the schema in the end", want.schema_difference(&Snapshot::seen(&database).await))
}

#[test]
fn without_it_a_bad_row_stops_everything_before_anything_is_changed() {
    run(async {
        let database = database(BEFORE).await;
        let was = Snapshot::seen(&database).await;
        let project = Project::new(&database, &[("001_case.sql", REPLACE)]);
        let failed = Command::Migrate.on(&project.migrator).await;
        assert!(failed.is_err_and(|said| said.contains("id=7") && said.contains("invalid input syntax")));
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        assert_eq!(database.value("SELECT count(*) FROM crossfade.parked").await, "0");
        // The same file with --park is planned anew: nothing of the first had an effect.
        assert!(parking(&project.migrator).await.is_err_and(|said| said.contains("6 rows are parked")));
        assert_eq!(database.value(PARKED).await, ALL_SIX);
    });
}

#[test]
fn what_can_be_filled_is_and_nothing_is_ready_before_the_rest_is_mended() {
    run(async {
        for server in servers() {
            for (file, new) in [(REPLACE, "w"), (RETYPE, "_cf_new_001_v")] {
                let database = Database::create(server).await;
                database.run(BEFORE).await.expect("before");
                let project = Project::new(&database, &[("001_case.sql", file)]);
                let text = parking(&project.migrator).await.expect_err("rows are parked");
                let parts = [
                    "6 rows are parked of public.t",
                    "public.t id=7: invalid input syntax",
                    "SELECT * FROM crossfade.parked",
                    "crossfade migrate",
                ];
                for part in parts {
                    assert!(text.contains(part), "{part} is not in: {text}");
                }
                assert_eq!(database.value(PARKED).await, ALL_SIX, "{file} on {}", server.major());
                let filled = format!("SELECT count({new}) FROM t");
                assert_eq!(database.value(&filled).await, "594");
                assert_eq!((project.state().await, is_parked(&project).await), (State::Failed, 6));
                let early = Command::Contract.on(&project.migrator).await;
                assert!(early.is_err_and(|said| said.contains("is not filled and verified yet")));

                // Old code goes on with such rows, whatever it writes into them.
                let old = [
                    "UPDATE t SET n = n + 1 WHERE id = 7",
                    "UPDATE t SET v = 'y', n = 0 WHERE id = 107",
                    "INSERT INTO t (id, v) VALUES (207, 'z') ON CONFLICT (id) DO UPDATE SET v = excluded.v",
                    "UPDATE t SET v = '307' WHERE id = 307",
                    "DELETE FROM t WHERE id = 407",
                ];
                in_turn(&database, "old code", &old.map(str::to_owned), 1).await.expect("old code does not fail");
                assert_eq!(database.value(&format!("SELECT {new} FROM t WHERE id = 307")).await, "307");
                assert!(
                    Command::Migrate.on(&project.migrator).await.is_err_and(|said| said.contains("4 rows are parked"))
                );
                let left = "public.t id=7, public.t id=107, public.t id=207, public.t id=507";
                assert_eq!(database.value(PARKED).await, left, "what is mended leaves the table");

                database.run("UPDATE t SET v = id WHERE v !~ '^[0-9]+$'").await.expect("they are mended");
                assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
                assert_eq!(database.value("SELECT count(*) FROM crossfade.parked").await, "0");
                assert_eq!(is_parked(&project).await, 0);
                let refused = database.run("UPDATE t SET v = 'bad' WHERE id = 1").await;
                assert!(
                    refused.is_err_and(|said| said.contains("22P02")),
                    "from ready on a bad value is refused, as ever"
                );
                assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
                let name = if file == REPLACE { "w" } else { "v" };
                assert_eq!(database.value(&format!("SELECT count(*) FROM t WHERE {name} <> id")).await, "0");
                assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
            }
        }
    });
}

#[test]
fn new_code_may_mend_a_parked_row_by_writing_the_new_column() {
    run(async {
        let database = database(BEFORE).await;
        let project = Project::new(&database, &[("001_case.sql", REPLACE)]);
        assert!(parking(&project.migrator).await.is_err());
        let new = ["UPDATE t SET w = id WHERE v LIKE 'x%'".to_owned()];
        in_turn(&database, "new code", &new, 1).await.expect("new code does not fail");
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v <> id::text").await, "0");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    });
}

#[test]
fn a_value_for_nulls_that_fails_is_parked_too() {
    run(async {
        let before = "CREATE TABLE t (id integer PRIMARY KEY, v integer, s text);
            INSERT INTO t SELECT g, CASE WHEN g % 2 = 0 THEN g END, CASE WHEN g = 33 THEN 'x' ELSE g::text END FROM generate_series(1, 400) AS g;";
        let database = database(before).await;
        let file = "-- crossfade: up s::integer\nALTER TABLE t ALTER COLUMN v SET NOT NULL;";
        let project = Project::new(&database, &[("001_case.sql", file)]);
        assert!(parking(&project.migrator).await.is_err_and(|said| said.contains("1 row is parked of public.t")));
        let old = ["UPDATE t SET s = 'y' WHERE id = 33", "INSERT INTO t VALUES (401, NULL, 'z')"];
        in_turn(&database, "old code", &old.map(str::to_owned), 1).await.expect("old code does not fail");
        assert!(Command::Migrate.on(&project.migrator).await.is_err_and(|said| said.contains("2 rows are parked")));
        database.run("UPDATE t SET s = id WHERE v IS NULL").await.expect("they are mended");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v IS DISTINCT FROM id").await, "0");
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(database.value("SELECT count(*) FROM t WHERE v IS NULL").await, "201");
    });
}

#[test]
fn a_rollback_forgets_what_was_parked() {
    run(async {
        let database = database(BEFORE).await;
        let was = Snapshot::seen(&database).await;
        let project = Project::new(&database, &[("001_case.sql", REPLACE)]);
        assert!(parking(&project.migrator).await.is_err());
        assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        assert_eq!(was.row_difference(&Snapshot::seen(&database).await), None);
        assert_eq!(database.value("SELECT count(*) FROM crossfade.parked").await, "0");
    });
}

#[test]
fn what_was_begun_without_it_is_not_turned_into_it() {
    run(async {
        let good = "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t SELECT g, g FROM generate_series(1, 400) AS g;";
        let database = database(good).await;
        let project = Project::new(&database, &[("001_case.sql", REPLACE)]);
        let died = Command::Migrate.on(&project.migrator.clone().crashing_after(6)).await;
        assert!(died.is_err_and(|said| said.contains("crashed here")));
        assert_eq!(
            database.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'w'").await,
            "1"
        );
        let options = MigrateOptions { park: true, ..MigrateOptions::default() };
        let refused =
            project.migrator.migrate(options, &mut Watch::default(), &Stop::default()).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::Refused);
        assert!(said(&refused).contains("was begun without --park"), "{}", said(&refused));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(parking(&project.migrator).await, Ok(Some(State::Ready)), "nothing is left to fill");
    });
}

/// A statement of the user's own is done once to each row, or not at all: it stops at the row, as without --park.
#[test]
fn a_statement_of_the_users_own_stops_at_the_row() {
    run(async {
        let before = "CREATE TABLE t (id integer PRIMARY KEY, n integer CHECK (n <> 30001));
            INSERT INTO t SELECT g, 2 * g FROM generate_series(1, 20000) AS g; ANALYZE t;";
        let database = database(before).await;
        let project = Project::new(&database, &[("001_case.sql", "UPDATE t SET n = n + 1;")]);
        let text = parking(&project.migrator).await.expect_err("it stops");
        assert!(text.contains("key (15000)") && text.contains("no row is changed twice"), "{text}");
        assert_eq!(database.value("SELECT count(*) FROM crossfade.parked").await, "0");
    });
}

#[test]
fn dying_at_each_position_the_same_rows_are_parked() {
    run(async {
        let database = database(BEFORE).await;
        let project = Project::new(&database, &[("001_case.sql", REPLACE)]);
        for writes in 0..60 {
            let died = parking(&project.migrator.clone().crashing_after(writes)).await.expect_err("it dies, or parks");
            if died.contains("crashed here") && writes < 2 {
                continue;
            }
            assert_eq!(
                database
                    .value("SELECT count(*) FROM t WHERE v <> CASE WHEN id % 100 = 7 THEN 'x' || id ELSE id::text END")
                    .await,
                "0"
            );
            assert!(
                parking(&project.migrator).await.is_err_and(|said| said.contains("6 rows are parked")),
                "after {writes}"
            );
            assert_eq!(database.value(PARKED).await, ALL_SIX, "after {writes} writes");
            assert_eq!(database.value("SELECT count(w) FROM t").await, "594");
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
            assert_eq!(database.value("SELECT count(*) FROM crossfade.parked").await, "0");
            if !died.contains("crashed here") {
                return;
            }
        }
        panic!("it never came to its end");
    });
}

#[test]
fn a_backfill_alone_parks_on_any_table() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before = "CREATE TABLE p (a text, b integer, k integer) PARTITION BY LIST (k);
                CREATE TABLE p0 PARTITION OF p FOR VALUES IN (0); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
                CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
                INSERT INTO p SELECT CASE WHEN g % 150 IN (3, 4) THEN 'x' ELSE g::text END, NULL, g % 2 FROM generate_series(1, 600) AS g;";
            database.run(before).await.expect("before");
            let project = Project::new(&database, &[]);
            let request = BackfillRequest::read("p", "a", "b", Some("a::integer"), None).expect("it can be read");
            let fill = async |park| {
                let options = BackfillOptions { park, ..BackfillOptions::default() };
                let result =
                    project.migrator.backfill(&request, options, &mut Watch::default(), &Stop::default()).await;
                result.map(|report| report.rows).map_err(|error| said(&error))
            };
            assert!(fill(false).await.is_err_and(|said| said.contains("invalid input syntax")));
            let text = fill(true).await.expect_err("rows are parked");
            assert!(text.contains("8 rows are parked of public.p") && !text.contains("rollback"), "{text}");
            assert_eq!(database.value("SELECT count(b) FROM p").await, "592");
            assert_eq!(
                database.value("SELECT count(DISTINCT relation) || ' ' || count(*) FROM crossfade.parked").await,
                "2 8"
            );
            let status = project.migrator.status().await.expect("the status can be read").backfills.remove(0);
            assert_eq!((status.state, status.parked), (State::Failed, 8));
            database.run("UPDATE p SET a = '0' WHERE a = 'x' AND k = 0").await.expect("some are mended");
            assert!(fill(true).await.is_err_and(|said| said.contains("4 rows are parked")));
            // Without --park it is another sweep, which stops at the first.
            assert!(
                fill(false)
                    .await
                    .is_err_and(|said| said.contains("the row is (") && said.contains("run the same command again"))
            );
            assert_eq!(database.value("SELECT count(*) FROM crossfade.parked").await, "0");
            database.run("UPDATE p SET a = '0' WHERE a = 'x'").await.expect("they are mended");
            assert_eq!(fill(true).await, Ok(4));
            assert_eq!(database.value("SELECT count(*) FROM p WHERE b IS DISTINCT FROM a::integer").await, "0");
        }
    });
}

/// Rows that are bad by the thousand, next to each other and scattered, on full pages that are swept in stripes.
#[test]
fn thousands_of_bad_rows_are_set_aside() {
    run(async {
        let before = "CREATE TABLE t (id integer PRIMARY KEY, v text);
            INSERT INTO t SELECT g, CASE WHEN g BETWEEN 5000 AND 5999 OR g % 40 = 0 THEN 'x' ELSE g::text END FROM generate_series(1, 40000) AS g;
            ANALYZE t;";
        let database = database(before).await;
        let project = Project::new(&database, &[("001_case.sql", REPLACE)]);
        let begun = Instant::now();
        assert!(parking(&project.migrator).await.is_err_and(|said| said.contains("1975 rows are parked")));
        assert!(begun.elapsed() < Duration::from_secs(120), "it took {:?}", begun.elapsed());
        assert_eq!(database.value("SELECT count(w) FROM t").await, (40000 - 1975).to_string());
        assert_eq!(
            database
                .value("SELECT count(*) FROM crossfade.parked AS p JOIN t ON p.key = 'id=' || t.id AND t.v = 'x'")
                .await,
            "1975"
        );
    });
}
