//! `crossfade backfill`: the copy of one column alone, on any table, beside a sync that was made by hand.

use std::time::Duration;

use crossfade::BackfillOptions;
use crossfade::Error;
use crossfade::ErrorKind;
use crossfade::Migrator;
use crossfade::Stop;
use crossfade::observer::Notice;
use crossfade::report::BackfillReport;
use crossfade::report::BackfillStatus;
use crossfade_core::journal::State;
use crossfade_core::plan::BackfillRequest;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::TABLE;
use crate::scene::WAITS;
use crate::scene::database;
use crate::scene::in_transaction;
use crate::scene::terminate;
use crate::scene::until;
use crate::server::Database;
use crate::server::outer_servers;
use crate::server::run;
use crate::server::servers;

/// A column beside `v`, and the sync that people write by hand: it fires for those writes only that name `v`.
const BY_HAND: &str = "ALTER TABLE t ADD COLUMN w text;
    CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.w := NEW.v; RETURN NEW; END $$;
    CREATE TRIGGER follow BEFORE INSERT OR UPDATE OF v ON t FOR EACH ROW EXECUTE FUNCTION follow();";

const LEFT: &str = "SELECT count(*) FROM t WHERE w IS DISTINCT FROM v";

fn request(table: &str, source: &str, target: &str) -> BackfillRequest {
    with(table, source, target, None, None)
}

fn with(table: &str, source: &str, target: &str, value: Option<&str>, only: Option<&str>) -> BackfillRequest {
    BackfillRequest::read(table, source, target, value, only).expect("it can be read")
}

async fn backfill(migrator: &Migrator, request: &BackfillRequest, watch: &mut Watch) -> Result<BackfillReport, Error> {
    migrator.backfill(request, BackfillOptions::default(), watch, &Stop::default()).await
}

async fn fills(migrator: &Migrator, request: &BackfillRequest) -> Result<(u32, u64), String> {
    let report = backfill(migrator, request, &mut Watch::default()).await.map_err(|error| said(&error))?;
    assert_eq!(report.state, State::Applied);
    Ok((report.sweeps, report.rows))
}

async fn only_status(project: &Project) -> BackfillStatus {
    let mut status = project.migrator.status().await.expect("the status can be read");
    assert_eq!((status.migrations.len(), status.problems.len()), (0, 0));
    status.backfills.pop().expect("there is a backfill")
}

#[test]
fn what_can_t_be_done_is_refused_before_anything_is_changed() {
    const BEFORE: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE t (id integer PRIMARY KEY, v text, w text, n integer, m mood, twice integer GENERATED ALWAYS AS (n * 2) STORED, \"Odd\" text);
        INSERT INTO t (id, v, n) SELECT g, 'v' || g, g FROM generate_series(1, 20) AS g;
        CREATE VIEW seen AS SELECT * FROM t;
        CREATE TABLE p (id integer, k integer, v integer) PARTITION BY RANGE (k);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
        CREATE FUNCTION next() RETURNS integer LANGUAGE sql VOLATILE AS 'SELECT 1';";
    type Bad = (
        &'static str,
        &'static str,
        &'static str,
        Option<&'static str>,
        Option<&'static str>,
        &'static str,
        &'static str,
    );
    let cases: &[Bad] = &[
        ("u", "v", "w", None, None, "[no-such-table]", "there is no table u"),
        ("T", "v", "missing", None, None, "[no-such-column]", "has no column missing"),
        ("t", "odd", "w", None, None, "[no-such-column]", "has no column odd"),
        ("t", "v", "n", None, None, "[expression]", "type integer but expression is of type text"),
        ("t", "v", "m", None, None, "[expression]", "type mood but expression is of type text"),
        ("t", "n", "twice", None, None, "[generated-column]", "is generated"),
        ("t", "v", "v", None, None, "[nothing-to-copy]", "SOURCE and TARGET are both"),
        ("seen", "v", "w", None, None, "[not-a-table]", "no ordinary table"),
        ("p", "v", "k", None, None, "[partition-key]", "partition key"),
        ("p1", "v", "k", None, None, "[partition-key]", "partition key"),
        ("t", "v", "w", Some("lower(v, v)"), None, "[expression]", "function lower(text, text) does not exist"),
        ("t", "v", "w", Some("no_such(v)"), None, "[expression]", "does not exist"),
        ("t", "v", "w", Some("max(v)"), None, "[expression]", "aggregate functions are not allowed"),
        ("t", "v", "w", Some("unnest(ARRAY[v])"), None, "[expression]", "set-returning"),
        ("t", "v", "w", Some("v || x"), None, "[no-such-column]", "--expr names it"),
        ("t", "v", "w", Some("u.v"), None, "[no-such-table]", "--expr names a table u"),
        ("t", "v", "w", Some("t.*"), None, "[whole-row]", "as a whole"),
        ("t", "v", "w", Some("coalesce(w, v)"), None, "[reads-target]", "which it writes"),
        ("t", "v", "n", Some("random()::integer"), None, "[volatile-value]", "random()"),
        ("t", "v", "n", Some("public.next() + n"), None, "[reads-target]", "which it writes"),
        ("t", "v", "n", Some("public.next()"), None, "[volatile-value]", "next()"),
        ("t", "v", "w", Some("now()::text"), None, "[volatile-value]", "another value in each transaction"),
        ("t", "v", "w", None, Some("random() < 0.5"), "[volatile-value]", "random()"),
        ("t", "v", "w", None, Some("v"), "[expression]", "must be type boolean"),
        ("t", "v", "w", None, Some("missing > 1"), "[no-such-column]", "--where names it"),
    ];
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run(BEFORE).await.expect("before");
            let project = Project::new(&database, &[]);
            for (table, source, target, value, only, rule, message) in cases {
                let request = with(table, source, target, *value, *only);
                let error = backfill(&project.migrator, &request, &mut Watch::default()).await.expect_err("refused");
                let text = said(&error);
                assert_eq!(error.kind(), ErrorKind::Refused, "{request:?} on {}: {text}", server.major());
                assert!(text.contains(rule) && text.contains(message), "{request:?} on {}: {text}", server.major());
            }
            assert_eq!(database.value("SELECT count(*) FROM t WHERE w IS NOT NULL OR v <> 'v' || id").await, "0");
            assert_eq!(database.value("SELECT to_regnamespace('crossfade') IS NULL").await, "t");
        }
    });
}

#[test]
fn a_column_that_a_migration_has_in_hand_and_the_journal_are_left_alone() {
    run(async {
        let database = database(TABLE).await;
        let project = Project::new(&database, &[("001_case.sql", "ALTER TABLE t RENAME COLUMN v TO w;")]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let result = fills(&project.migrator, &with("t", "n", "v", Some("n::text"), None)).await;
        assert!(result.is_err_and(|said| said.contains("[in-flight]") && said.contains("001")));
        for table in ["crossfade.events", "crossfade.cursors"] {
            let result = fills(&project.migrator, &request(table, "id", "epoch")).await;
            assert!(result.is_err_and(|said| said.contains("[no-such-table]")));
        }
    });
}

#[test]
fn a_role_that_may_not_write_the_table_is_told_before_anything_is_changed() {
    run(async {
        let database =
            database(&format!("{TABLE} {BY_HAND}; GRANT USAGE ON SCHEMA public TO app_reader; GRANT SELECT ON t TO app_reader; ALTER ROLE app_reader LOGIN")).await;
        let url = database.url().replacen("postgres@", "app_reader@", 1).replace("user=postgres", "user=app_reader");
        assert_ne!(url, database.url());
        let config = crossfade::Config::default();
        let migrator = Migrator::new(config, crossfade::Target::from_url(&url).expect("the URL is one"));
        let error = backfill(&migrator, &request("t", "v", "w"), &mut Watch::default()).await.expect_err("refused");
        assert!(said(&error).contains("permission denied"), "{}", said(&error));
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert_eq!(database.value("SELECT to_regnamespace('crossfade') IS NULL").await, "t");
    });
}

/// A trigger that fires for some writes only lets rows move out of the sweep's way (reference, B3): they are counted and swept again.
#[test]
fn rows_that_moved_out_of_the_sweeps_way_are_filled_by_another_sweep() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run(&format!("{TABLE} {BY_HAND} ANALYZE t;")).await.expect("before");
            let project = Project::new(&database, &[]);
            let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 1").await;
            let migrator = project.migrator.clone();
            let sweep = tokio::spawn(async move {
                let mut watch = Watch::default();
                let report = backfill(&migrator, &request("t", "v", "w"), &mut watch).await;
                (report.map_err(|error| said(&error)), watch)
            });
            until(&database, WAITS).await;
            // The sweep has read how far the table goes; these rows go to blocks behind that, and the trigger does not fire.
            database.run("UPDATE t SET n = n + 1 WHERE id > 300").await.expect("the application writes");
            blocker.batch_execute("COMMIT").await.expect("it commits");
            let (report, watch) = sweep.await.expect("it does not panic");
            let report = report.expect("it is filled");
            assert_eq!((report.sweeps, report.state), (2, State::Applied), "on {}", server.major());
            assert_eq!(database.value(LEFT).await, "0");
            let told = |notice: &Notice| matches!(notice, Notice::Info { text } if text.contains("rows of public.t are left") && text.contains("id="));
            assert!(watch.notices.iter().any(told), "{:?}", watch.notices);
            let named = |notice: &Notice| matches!(notice, Notice::Found { finding, .. } if finding.message.contains("trigger follow fires"));
            assert!(watch.notices.iter().any(named), "{:?}", watch.notices);
        }
    });
}

#[test]
fn rows_that_are_never_filled_end_it_with_their_keys() {
    run(async {
        let spite = "ALTER TABLE t ADD COLUMN w text;
            CREATE FUNCTION spite() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 7 THEN NEW.w := NULL; END IF; RETURN NEW; END $$;
            CREATE TRIGGER spite BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION spite();";
        let database = database(&format!("{TABLE} {spite}")).await;
        let project = Project::new(&database, &[]);
        let error =
            backfill(&project.migrator, &request("t", "v", "w"), &mut Watch::default()).await.expect_err("it fails");
        let text = said(&error);
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(text.contains("1 of 600 rows of public.t are left; the first: id=7"), "{text}");
        let status = only_status(&project).await;
        assert_eq!((status.state, status.command.as_str()), (State::Failed, "crossfade backfill public.t v w"));
        assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "25");
        database.run("DROP TRIGGER spite ON t").await.expect("it is mended");
        assert_eq!(fills(&project.migrator, &request("t", "v", "w")).await, Ok((1, 1)));
        assert_eq!(only_status(&project).await.state, State::Applied);
        project.write("001_case.sql", "ALTER TABLE t RENAME COLUMN n TO number;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)), "no migration minds it");
    });
}

#[test]
fn a_row_that_can_t_be_filled_is_named_and_the_same_command_goes_on() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database
                .run(&format!("{TABLE} ALTER TABLE t ADD COLUMN w integer; UPDATE t SET v = id; UPDATE t SET v = 'x' WHERE id = 555;"))
                .await
                .expect("before");
            let project = Project::new(&database, &[]);
            let request = with("t", "v", "w", Some("v::integer"), Some("id <> 3"));
            let error = backfill(&project.migrator, &request, &mut Watch::default()).await.expect_err("it fails");
            let text = said(&error);
            assert!(
                text.contains("the row is id=555 of public.t") && text.contains("run the same command again"),
                "{text}"
            );
            assert!(text.contains("invalid input syntax"), "{text}");
            assert!(!text.contains("crossfade migrate"), "{text}");
            let status = only_status(&project).await;
            assert_eq!(status.command, "crossfade backfill public.t v w --expr v::integer --where 'id <> 3'");
            assert!(status.error.is_some_and(|error| error.contains("invalid input syntax")));
            database.run("UPDATE t SET v = '555' WHERE id = 555").await.expect("it is mended");
            // The mended row has moved, and no trigger follows it: it may be left for another sweep.
            assert!(fills(&project.migrator, &request).await.is_ok_and(|(sweeps, _)| sweeps <= 2));
            let wrong = "SELECT count(*) FROM t WHERE w IS DISTINCT FROM CASE WHEN id <> 3 THEN id END";
            assert_eq!(database.value(wrong).await, "0");
        }
    });
}

/// Each table with its name as a person writes it, and how many rows are to be filled.
#[test]
fn any_table_is_filled_and_filled_again_without_touching_what_is_right() {
    let long = "ü".repeat(31);
    let before = format!(
        "CREATE SCHEMA \"Odd Schema\";
         CREATE TABLE nokey (a integer, b bigint); INSERT INTO nokey SELECT g % 7, NULL FROM generate_series(1, 500) AS g;
         CREATE TABLE \"Odd Schema\".\"select\" (\"from\" text PRIMARY KEY, \"{long}\" text);
         INSERT INTO \"Odd Schema\".\"select\" SELECT 'k' || g FROM generate_series(1, 300) AS g;
         CREATE TABLE parts (id integer, k text, a numeric, b numeric, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
         CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
         CREATE TABLE parts_b PARTITION OF parts FOR VALUES IN ('b') PARTITION BY RANGE (id);
         CREATE TABLE parts_b1 PARTITION OF parts_b DEFAULT;
         INSERT INTO parts SELECT g, CASE g % 2 WHEN 0 THEN 'a' ELSE 'b' END, g FROM generate_series(1, 400) AS g;
         CREATE TABLE parent (id integer, a text, b text); CREATE TABLE child (c integer) INHERITS (parent);
         INSERT INTO parent SELECT g, 'p' FROM generate_series(1, 50) AS g; INSERT INTO child SELECT g, 'c' FROM generate_series(1, 50) AS g;
         CREATE TABLE js (id integer PRIMARY KEY, a json, b json); INSERT INTO js SELECT g, '{{\"x\": 1}}' FROM generate_series(1, 30) AS g;
         CREATE TABLE teams (id integer PRIMARY KEY, name text); INSERT INTO teams VALUES (1, 'one'), (2, 'two');
         CREATE TABLE people (id integer PRIMARY KEY, team integer, name text);
         INSERT INTO people SELECT g, g % 3 FROM generate_series(1, 90) AS g;
         CREATE TABLE nothing (a integer, b integer);"
    );
    let quoted = format!("\"{long}\"");
    let cases = [
        (with("nokey", "a", "b", None, None), "nokey", 500),
        (with("\"Odd Schema\".\"select\"", "\"from\"", &quoted, None, None), "\"Odd Schema\".\"select\"", 300),
        (with("public.parts", "a", "b", Some("a + 0.50 -- half"), None), "parts", 400),
        (with("parts_b", "a", "b", Some("parts_b.a * 2"), Some("id <= 100")), "parts", 50),
        (with("parent", "a", "b", None, None), "parent", 100),
        (with("js", "a", "b", None, None), "js", 30),
        (with("people", "team", "name", Some("(SELECT name FROM teams WHERE id = team)"), None), "people", 60),
        (with("nothing", "a", "b", None, None), "nothing", 0),
    ];
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run(&before).await.expect("before");
            let project = Project::new(&database, &[]);
            for (request, table, rows) in &cases {
                let writers = format!(
                    "SELECT md5(string_agg(xmin::text || ctid::text, ' ' ORDER BY tableoid, ctid)) FROM {table}"
                );
                let was = database.value(&writers).await;
                assert_eq!(fills(&project.migrator, request).await, Ok((1, *rows)), "{table} on {}", server.major());
                let now = database.value(&writers).await;
                assert_eq!(was == now, *rows == 0);
                assert_eq!(fills(&project.migrator, request).await, Ok((1, 0)), "{table} again");
                assert_eq!(database.value(&writers).await, now, "{table} is touched again");
            }
            let wrong = "SELECT (SELECT count(*) FROM nokey WHERE b IS DISTINCT FROM a)
                + (SELECT count(*) FROM parts WHERE b IS DISTINCT FROM CASE WHEN k = 'b' AND id <= 100 THEN a * 2 ELSE a + 0.50 END)
                + (SELECT count(*) FROM parent WHERE b IS DISTINCT FROM a) + (SELECT count(*) FROM js WHERE b::text <> a::text)
                + (SELECT count(*) FROM people AS p WHERE name IS DISTINCT FROM (SELECT name FROM teams AS t WHERE t.id = p.team))";
            assert_eq!(database.value(wrong).await, "0");
        }
    });
}

#[test]
fn dying_at_each_position_it_goes_on_from_there() {
    run(async {
        let database = database(&format!("{TABLE} {BY_HAND} CREATE TABLE t2 AS SELECT * FROM t")).await;
        let project = Project::new(&database, &[]);
        let mut ended = false;
        for writes in 0..40 {
            database.run("UPDATE t SET w = NULL WHERE id % 3 = 0").await.expect("it is undone");
            let dying = project.migrator.clone().crashing_after(writes);
            match fills(&dying, &request("t", "v", "w")).await {
                Ok(_) => ended = true,
                Err(said) => assert!(said.contains("crashed here"), "{said}"),
            }
            let (sweeps, rows) = fills(&project.migrator, &request("t", "v", "w")).await.expect("it goes on");
            assert_eq!(sweeps, 1, "after {writes} writes");
            assert!(rows <= 600, "no row is done twice: {rows} after {writes}");
            assert_eq!(database.value(LEFT).await, "0", "after {writes} writes");
            assert_eq!(only_status(&project).await.state, State::Applied);
            if ended {
                break;
            }
        }
        assert!(ended, "it never came to its end");
    });
}

#[test]
fn a_backend_that_is_killed_in_a_chunk_is_made_anew() {
    run(async {
        let database = database(&format!("{TABLE} {BY_HAND}")).await;
        let project = Project::new(&database, &[]);
        let blocker = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 300").await;
        let migrator = project.migrator.clone();
        let sweep = tokio::spawn(async move { fills(&migrator, &request("t", "v", "w")).await });
        until(&database, WAITS).await;
        assert!(terminate(&database, "EXPLAIN%UPDATE ONLY%").await > 0, "no chunk was at work");
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(sweep.await.expect("it does not panic").map(|(sweeps, _)| sweeps), Ok(1));
        assert_eq!(database.value(LEFT).await, "0");
    });
}

#[test]
fn it_stops_between_two_chunks_and_says_how_to_go_on() {
    run(async {
        let database = database(&format!("{TABLE} {BY_HAND}")).await;
        let project = Project::with(&database, &[], |config| config.backfill.duty = 0.001);
        let stop = Stop::default();
        let (migrator, asked) = (project.migrator.clone(), stop.clone());
        let sweep = tokio::spawn(async move {
            migrator.backfill(&request("t", "v", "w"), BackfillOptions::default(), &mut Watch::default(), &asked).await
        });
        until(&database, "SELECT count(w) > 0 FROM t").await;
        stop.request();
        let error = sweep.await.expect("it does not panic").expect_err("it is stopped");
        let text = said(&error);
        assert!(text.contains("run `crossfade backfill public.t v w` to go on from there"), "{text}");
        let filled = database.value("SELECT count(w) FROM t").await;
        let status = only_status(&project).await;
        assert_eq!(status.progress.map(|progress| progress.rows.to_string()), Some(filled));
        assert_eq!((status.state, status.error), (State::Migrating, None));
        let quick = Project::new(&database, &[]);
        assert_eq!(fills(&quick.migrator, &request("public.t", "v", "w")).await, Ok((1, 600)));
        assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "1", "it went on");
    });
}

/// A table that is another one by now is swept anew: the cursor speaks of the old one.
#[test]
fn a_table_that_was_made_anew_is_begun_anew() {
    run(async {
        let database = database(&format!("{TABLE} {BY_HAND}")).await;
        let project = Project::new(&database, &[]);
        let dying = project.migrator.clone().crashing_after(4);
        assert!(fills(&dying, &request("t", "v", "w")).await.is_err_and(|said| said.contains("crashed here")));
        database.run(&format!("DROP TABLE t; DROP FUNCTION follow; {TABLE} {BY_HAND}")).await.expect("it is made anew");
        assert_eq!(fills(&project.migrator, &request("t", "v", "w")).await.map(|(sweeps, _)| sweeps), Ok(1));
        assert_eq!(database.value(LEFT).await, "0");
        database.run("ALTER TABLE t DROP COLUMN w; ALTER TABLE t ADD COLUMN w varchar").await.expect("another type");
        let dying = project.migrator.clone().crashing_after(4);
        assert!(fills(&dying, &request("t", "v", "w")).await.is_err_and(|said| said.contains("crashed here")));
        database.run("ALTER TABLE t ALTER COLUMN w TYPE varchar(40)").await.expect("and another one");
        assert_eq!(fills(&project.migrator, &request("t", "v", "w")).await.map(|(sweeps, _)| sweeps), Ok(1));
        assert_eq!(database.value(LEFT).await, "0");
    });
}

/// Clients write while the table is swept again and again; the sync was made by hand and fires for some of their writes only.
#[test]
fn under_load_nothing_is_left_in_the_end() {
    run(async {
        let database = database(&format!("{TABLE} {BY_HAND} INSERT INTO t (id, v, n, pad) SELECT g, 'v', g, repeat('p', 400) FROM generate_series(601, 4000) AS g; UPDATE t SET w = NULL;")).await;
        let project = Project::new(&database, &[]);
        let writer = database.connect().await;
        let stop = Stop::default();
        let stopped = stop.clone();
        let load = tokio::spawn(async move {
            let mut turn = 0_i32;
            while !stopped.is_requested() {
                let id = turn.wrapping_mul(7919).rem_euclid(4000) + 1;
                writer.execute("UPDATE t SET n = n + 1 WHERE id = $1", &[&id]).await.expect("it writes");
                writer.execute("UPDATE t SET v = v || 'x' WHERE id = $1", &[&(id % 500 + 1)]).await.expect("it writes");
                turn += 1;
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let filled = fills(&project.migrator, &request("t", "v", "w")).await;
        stop.request();
        load.await.expect("the writer does not fail");
        assert!(filled.is_ok(), "{filled:?}");
        assert_eq!(database.value(LEFT).await, "0");
    });
}

/// An index that finds what `--where` asks for is of no use to a chunk: each would read all of it.
#[test]
fn a_chunk_goes_by_blocks_whatever_index_is_there() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database
                .run(&format!("{TABLE} ALTER TABLE t ADD COLUMN w text; CREATE INDEX ON t (n); ANALYZE t;"))
                .await
                .expect("before");
            let project = Project::new(&database, &[]);
            assert_eq!(fills(&project.migrator, &with("t", "v", "w", None, Some("n = 5"))).await, Ok((1, 1)));
            let statement =
                database.value("SELECT plan #>> '{steps,0,action,units,0,statement}' FROM crossfade.plans").await;
            let (types, bounds) =
                if server.major() >= 14 { ("text, text", "'(0,0)', '(8,0)'") } else { ("int8, int8", "0, 8") };
            let client = database.connect().await;
            let prepare = format!("SET enable_seqscan = off; PREPARE chunk ({types}, int4, int4) AS {statement}");
            client.batch_execute(&prepare).await.unwrap_or_else(|error| panic!("{}", crate::text_of(&error)));
            let lines =
                client.simple_query(&format!("EXPLAIN EXECUTE chunk ({bounds}, 1, 0)")).await.expect("it is explained");
            let text = format!("{lines:?}");
            assert!(text.contains("Tid ") && !text.contains("Index"), "on {}: {text}", server.major());
        }
    });
}

/// Full pages, sparse pages and statistics that say nothing of either: no transaction changes more rows than it may.
#[test]
fn no_chunk_has_more_rows_than_it_may() {
    const BEFORE: &str = "CREATE TABLE t (id integer, w integer, pad text);
        INSERT INTO t SELECT g, NULL, CASE WHEN g > 600 THEN repeat('p', 900) END FROM generate_series(1, 640) AS g;
        CREATE TABLE log (rows bigint);
        CREATE FUNCTION count_them() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log SELECT count(*) FROM changed; RETURN NULL; END $$;
        CREATE TRIGGER count_them AFTER UPDATE ON t REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_them();";
    run(async {
        for server in outer_servers() {
            for (rows, analyzed) in [(1, false), (10, true), (100, false)] {
                let database = Database::create(server).await;
                database.run(BEFORE).await.expect("before");
                if analyzed {
                    database.run("ANALYZE t").await.expect("it is analyzed");
                }
                let project = Project::new(&database, &[]);
                let options = BackfillOptions { batch_size: Some(rows), ..BackfillOptions::default() };
                let (request, mut watch, stop) = (request("t", "id", "w"), Watch::default(), Stop::default());
                let report = project.migrator.backfill(&request, options, &mut watch, &stop).await;
                let report = report.unwrap_or_else(|error| panic!("{}", said(&error)));
                assert_eq!((report.rows, report.sweeps), (640, 1));
                let most = database.value("SELECT max(rows) FROM log").await;
                assert!(most.parse::<u64>().is_ok_and(|most| most <= rows), "{most} of {rows} on {}", server.major());
                assert_eq!(database.value("SELECT sum(rows) FROM log").await, "640");
            }
        }
    });
}

#[test]
fn another_batch_size_goes_on_where_the_first_stopped() {
    run(async {
        let database = database(&format!("{TABLE} {BY_HAND} ANALYZE t;")).await;
        let project = Project::new(&database, &[]);
        let with_size = async |migrator: &Migrator, rows| {
            let options = BackfillOptions { batch_size: Some(rows), ..BackfillOptions::default() };
            let result =
                migrator.backfill(&request("t", "v", "w"), options, &mut Watch::default(), &Stop::default()).await;
            result.map(|report| report.rows).map_err(|error| said(&error))
        };
        let died = with_size(&project.migrator.clone().crashing_after(4), 100).await;
        assert!(died.is_err_and(|said| said.contains("crashed here")));
        let first: u64 = database.value("SELECT count(w) FROM t").await.parse().expect("a number");
        assert!(0 < first && first < 600, "{first}");
        assert_eq!(with_size(&project.migrator, 150).await, Ok(600));
        assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "1", "it went on");
        // A block may hold more rows than that: it has to be cut into more parts, and what is right is not touched.
        database.run("UPDATE t SET w = NULL WHERE id <= 50").await.expect("some are taken away");
        let died = with_size(&project.migrator.clone().crashing_after(4), 20).await;
        assert!(died.is_err_and(|said| said.contains("crashed here")));
        assert!(with_size(&project.migrator, 2).await.is_ok_and(|rows| rows <= 50));
        assert_eq!(database.value(LEFT).await, "0");
    });
}

/// Whoever reads the column next is planned by what stands in it now.
#[test]
fn a_big_backfill_leaves_statistics_and_no_dead_rows() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before =
                "CREATE TABLE t (id integer PRIMARY KEY, v integer, w integer) WITH (autovacuum_enabled = off);
                INSERT INTO t SELECT g, g % 3 FROM generate_series(1, 12000) AS g; ANALYZE t;";
            database.run(before).await.expect("before");
            let project = Project::new(&database, &[]);
            let options = BackfillOptions { workers: Some(3), ..BackfillOptions::default() };
            let (request, mut watch, stop) = (request("t", "v", "w"), Watch::default(), Stop::default());
            let report = project.migrator.backfill(&request, options, &mut watch, &stop).await;
            assert_eq!(report.map_err(|error| said(&error)).map(|report| report.rows), Ok(12000));
            let known = "SELECT n_distinct FROM pg_stats WHERE tablename = 't' AND attname = 'w'";
            assert_eq!(database.value(known).await, "3", "on {}", server.major());
            let seen = "SELECT relallvisible > 0 FROM pg_class WHERE oid = 't'::regclass";
            assert_eq!(database.value(seen).await, "t", "it was vacuumed on {}", server.major());
            // In front of VACUUM the transaction of ANALYZE would write every page that it reads.
            until(&database, "SELECT last_analyze > last_vacuum FROM pg_stat_user_tables WHERE relname = 't'").await;
        }
    });
}

/// Done twice to a row it is done once, so it needs no key, and no order: each worker has its segments.
#[test]
fn an_update_without_a_key_is_swept_by_several_workers_and_a_killed_one_is_finished() {
    run(async {
        let before = "CREATE TABLE t (v integer, w integer, pad text);
            INSERT INTO t SELECT g, 0, repeat('p', 400) FROM generate_series(1, 45000) AS g; ANALYZE t;";
        let mut most_lanes = 0;
        for writes in [5, 8, 12] {
            let database = database(before).await;
            let project = Project::new(&database, &[("001_case.sql", "UPDATE t SET w = v * 2;")]);
            let died = Command::Migrate.on(&project.migrator.clone().crashing_after(writes)).await;
            assert!(died.is_err_and(|said| said.contains("crashed here")), "after {writes}");
            let lanes = database.value("SELECT count(*)::text FROM crossfade.cursors").await;
            most_lanes = most_lanes.max(lanes.parse::<u32>().expect("a number"));
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)), "after {writes}");
            let wrong = "SELECT count(*)::text FROM t WHERE w IS DISTINCT FROM v * 2";
            assert_eq!(database.value(wrong).await, "0", "after {writes}");
        }
        assert!(most_lanes > 1, "no run had two segments under way");
    });
}

/// In the order of the blocks each place is free when a row wants it; with two segments the second one's first row would wait for the first one's last.
#[test]
fn an_update_of_a_unique_column_goes_by_one_worker_in_order() {
    run(async {
        let before = "CREATE TABLE t (v integer, w integer UNIQUE, pad text);
            INSERT INTO t SELECT g, g + 1, repeat('p', 400) FROM generate_series(1, 45000) AS g; ANALYZE t;";
        let database = database(before).await;
        let project = Project::new(&database, &[("001_case.sql", "UPDATE t SET w = v;")]);
        let died = Command::Migrate.on(&project.migrator.clone().crashing_after(8)).await;
        assert!(died.is_err_and(|said| said.contains("crashed here")));
        assert_eq!(database.value("SELECT count(*)::text FROM crossfade.cursors").await, "1");
    });
}
