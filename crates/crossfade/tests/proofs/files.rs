//! What files hold beside plain statements, and what sessions would leak: the traps of reference E5 that a server has a part in.

use crossfade::ErrorKind;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::database;
use crate::server::Database;
use crate::server::run;
use crate::server::servers;
use crate::snapshot::Snapshot;

const NEXT: (&str, &str) = ("002_next.sql", "CREATE TABLE next (id integer);\nINSERT INTO next VALUES (1);");

/// All of them are applied, on every server.
async fn all_apply(files: &[(&str, &str)], proof: impl AsyncFn(&Database)) {
    for server in servers() {
        let database = Database::create(server).await;
        let project = Project::new(&database, files);
        let outcome = Command::Migrate.on(&project.migrator).await;
        assert_eq!(outcome, Ok(Some(State::Applied)), "on {}: {files:?}", server.major());
        proof(&database).await;
    }
}

/// What is said of one file. Nothing was changed then.
async fn refusal(text: &str) -> String {
    let database = database("CREATE TABLE t (id integer, a text)").await;
    let was = Snapshot::seen(&database).await;
    let project = Project::new(&database, &[("001_one.sql", text)]);
    let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("it is refused");
    assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
    let places = error.findings().iter().flat_map(|file| {
        file.findings.iter().map(|finding| {
            let (line, column) = finding.span.unwrap_or_default().line_and_column(&file.text);
            format!("{line}:{column} [{}] {}", finding.rule, finding.message)
        })
    });
    let all = places.collect::<Vec<_>>().join("\n");
    if all.is_empty() { said(&error) } else { all }
}

/// 23, 24, 32: what pg_dump writes is loaded as it is, and the next file finds its own session.
#[test]
fn e5_a_dump_is_loaded_with_its_rows() {
    const DUMP: &str = "\\restrict aBcD1\n\nSET statement_timeout = 0;\nSET client_encoding = 'UTF8';\n\
        SELECT pg_catalog.set_config('search_path', '', false);\nSET check_function_bodies = false;\n\
        CREATE TABLE public.t (id integer, a text);\n\
        COPY public.t (id, a) FROM stdin;\n1\tone; ' $$\n2\t\\N\n3\t\\\\. é\n\\.\n\n\
        CREATE TABLE public.u (id integer);\nCOPY public.u FROM STDIN WITH (FORMAT csv);\n7\n\\.\n\
        ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n\\unrestrict aBcD1\n";
    run(async {
        all_apply(&[("001_dump.sql", DUMP), NEXT], async |database| {
            assert_eq!(
                database.value("SELECT string_agg(id || coalesce(a, '-'), ',' ORDER BY id) FROM t").await,
                "1one; ' $$,2-,3\\. é"
            );
            assert_eq!(database.value("SELECT id FROM u").await, "7");
            assert_eq!(database.value("SELECT count(*) FROM public.next").await, "1");
        })
        .await;
    });
}

/// The rows are part of the migration's one transaction, and a bad one is named.
#[test]
fn e5_a_bad_row_of_a_copy_is_named_and_nothing_stays() {
    run(async {
        let text = "CREATE TABLE u (id integer);\nCOPY u FROM stdin;\n1\nx\n\\.\n";
        let said = refusal(text).await;
        assert!(
            said.starts_with("2:1 [server] invalid input syntax") && said.contains("COPY u, line 2, column id: \"x\""),
            "{said}"
        );
    });
}

/// 16, 17, 20, 26, and what psql would do.
#[test]
fn e5_what_ends_the_transaction_or_is_for_psql_is_refused_with_its_place() {
    run(async {
        for (text, expected) in [
            ("SELECT 1;\nCOMMIT;\nSELECT 2;", "2:1 [transaction-control]"),
            ("BEGIN;\nSELECT 1;\nCOMMIT AND CHAIN;\nSELECT 2;\nCOMMIT;", "3:1 [transaction-control]"),
            ("START TRANSACTION;\nSELECT 1;", "1:1 [transaction-control]"),
            ("SELECT 1;\nPREPARE TRANSACTION 'x';", "2:1 [transaction-control]"),
            ("SELECT 1;\n\\i other.sql\n", "2:1 [syntax] \\i is a command of psql"),
            ("COPY t FROM stdin;\n", "1:1 [copy-from-stdin]"),
            (
                "CREATE TABLE made (id integer);\nCREATE INDEX CONCURRENTLY made_id ON made (id);",
                "2:1 [concurrently-on-new-table]",
            ),
            ("SELECT\u{a0}1;", "1:7 [syntax] an invisible character U+00A0"),
            ("DO $$ BEGIN\nCOMMIT;\nEND $$;", "1:1 [server] invalid transaction termination"),
        ] {
            let said = refusal(text).await;
            assert!(said.contains(expected), "{text}: {said}");
        }
    });
}

/// 15, 18, 21, 22, 25, 27 to 29: what is ordinary, whatever it looks like.
#[test]
fn e5_what_looks_odd_and_is_fine_is_applied() {
    run(async {
        let files = [
            ("001_bom.sql", "\u{feff}CREATE TABLE t (id integer);\r\n-- é\r\nINSERT INTO t VALUES (1);\r\n"),
            ("002_empty.sql", ""),
            ("003_comment.sql", "-- nothing; to do\n/* '; /* nested */ */\n"),
            ("004_no_end.sql", "INSERT INTO t VALUES (2)"),
            ("005_outer.sql", "-- before\nBEGIN;\nINSERT INTO t VALUES (3);\nCOMMIT;\n-- behind\n"),
            ("006_index.sql", "create /* x */ index -- y\n concurrently t_id on t (id);"),
            ("007_names.sql", "CREATE TABLE \"concurrently\" (vacuum text DEFAULT 'VACUUM; COMMIT;');"),
            ("008_body.sql", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END;';"),
            ("009_set_and_index.sql", "SET lock_timeout = '5s';\nCREATE INDEX CONCURRENTLY t_id2 ON t (id);"),
        ];
        all_apply(&files, async |database| {
            assert_eq!(database.value("SELECT count(*) FROM t").await, "3");
            assert_eq!(database.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid").await, "0");
            assert_eq!(
                database.value("SELECT count(*) FROM crossfade.schema_migrations WHERE state = 'applied'").await,
                "9"
            );
        })
        .await;
    });
}

/// 31 to 33: what a file leaves in its session, the next one does not meet.
#[test]
fn e5_nothing_leaks_from_file_to_file() {
    const LEAKS: &str = "CREATE TEMP TABLE next (id integer);\nSET search_path = pg_temp, public;\n\
        SET session_replication_role = replica;\nSET ROLE app_writer;\nSET default_transaction_read_only = on;\nSET statement_timeout = '11min';\n\
        SET standard_conforming_strings = off;\nPREPARE p AS SELECT 1;\nLISTEN here;\nSELECT pg_advisory_lock(1);\nSELECT pg_advisory_unlock_all();\n";
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run("GRANT CREATE ON SCHEMA public TO app_writer").await.expect("a right");
            let next =
                "CREATE TABLE next (timeout text);\nINSERT INTO next VALUES (current_setting('statement_timeout'));";
            let project = Project::new(&database, &[("001_leaks.sql", LEAKS), ("002_next.sql", next)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            assert_ne!(database.value("SELECT timeout FROM public.next").await, "11min");
            assert_eq!(database.value("SELECT tableowner FROM pg_tables WHERE tablename = 'next'").await, "postgres");
        }
    });
}

/// 30: as long as a file may be.
#[test]
fn e5_a_file_of_ten_megabytes_is_applied() {
    run(async {
        let row = format!("({}, '{}'),\n", 7, "x\\".repeat(500));
        let mut text = "CREATE TABLE t (id integer, a text);\nINSERT INTO t VALUES\n".to_owned();
        text.extend(std::iter::repeat_n(row.as_str(), 10_000));
        text.push_str("(0, 'last');\n");
        let database = database("SELECT 1").await;
        let project = Project::new(&database, &[("001_big.sql", text.as_str())]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value("SELECT count(*) FROM t").await, "10001");
    });
}

/// 34, 35: what can't run in a transaction is done statement by statement, and goes on at the one that failed.
#[test]
fn e5_a_file_without_transaction_goes_on_at_the_statement_that_failed() {
    const FIVE: &str = "-- crossfade: no-transaction\nCREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);\nINSERT INTO a SELECT 1 / d.n FROM divisor AS d;\n\
        VACUUM a;\nINSERT INTO a VALUES (5);\n";
    run(async {
        let database = database("CREATE TABLE divisor (n integer); INSERT INTO divisor VALUES (0)").await;
        let project = Project::new(&database, &[("001_five.sql", FIVE)]);
        let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("it fails");
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert_eq!(project.state().await, State::Failed);
        assert_eq!(database.value("SELECT count(*) FROM a").await, "1", "what was done stays");

        project.write("001_five.sql", &FIVE.replace("VALUES (1)", "VALUES (2)"));
        let refused = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
        assert_eq!(refused.kind(), ErrorKind::Refused, "{}", said(&refused));

        project.write("001_five.sql", FIVE);
        database.run("UPDATE divisor SET n = 1").await.expect("the cause is gone");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM a").await, "1,1,5");
    });
}

/// The file is changed from the statement that failed on. Before that was possible, a wrong statement could only be undone with all before it.
#[test]
fn a_file_without_transaction_may_be_mended_from_the_statement_that_failed() {
    const HEAD: &str = "-- crossfade: no-transaction\nCREATE TABLE a (id integer);\nINSERT INTO a VALUES (1);\n";
    run(async {
        let database = database("SELECT 1").await;
        let wrong = format!("{HEAD}INSERT INTO a SELECT 1 / 0;\nINSERT INTO a VALUES (4);\n");
        let project = Project::new(&database, &[("001_a.sql", wrong.as_str())]);
        let error = Command::Migrate.on(&project.migrator).await.expect_err("it fails");
        assert!(error.contains("division by zero"), "{error}");

        // What was run must stand there as it was run, and all of it.
        for changed in [
            wrong.replace("VALUES (1)", "VALUES (2)"),
            "-- crossfade: no-transaction\nCREATE TABLE a (id integer);\n".to_owned(),
            wrong.replace("-- crossfade: no-transaction\n", ""),
            format!("-- crossfade: no-transaction\nSELECT 1;\n{HEAD}"),
        ] {
            project.write("001_a.sql", &changed);
            let refused = Command::Migrate.on(&project.migrator).await.expect_err("it is refused");
            assert!(refused.contains("was changed while it is under way"), "{refused}");
        }
        // What is wrong with the rest is said at its place, and nothing is lost by it.
        project.write("001_a.sql", &format!("{HEAD}INSERT INTO a VALUES (3);\nCREATE DATABASE x;\n"));
        let refused = Command::Migrate.on(&project.migrator).await.expect_err("it is refused");
        assert!(refused.contains("[not-in-transaction]"), "{refused}");
        assert_eq!(project.state().await, State::Failed);

        let mended = format!(
            "{}-- better\nINSERT INTO a VALUES (3);\nVACUUM a;\nINSERT INTO a SELECT 1 / 0;\n",
            HEAD.replace("INTO a", "INTO  a")
        );
        project.write("001_a.sql", &mended);
        let error = Command::Migrate.on(&project.migrator).await.expect_err("another one fails");
        assert!(error.contains("division by zero"), "{error}");
        assert_eq!(
            database.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM a").await,
            "1,3",
            "nothing is run twice"
        );

        project.write("001_a.sql", &mended.replace("SELECT 1 / 0", "VALUES (5)"));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM a").await, "1,3,5");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)), "there is nothing to do");
        assert_eq!(database.value("SELECT count(*) FROM a").await, "3");
    });
}

/// The last statement is left away: then what is done is all.
#[test]
fn a_mended_file_may_end_with_what_is_done() {
    run(async {
        let database = database("CREATE TABLE t (id integer); INSERT INTO t VALUES (1), (1)").await;
        let text =
            "-- crossfade: no-transaction\nCREATE INDEX t_id ON t (id);\nCREATE UNIQUE INDEX t_once ON t (id);\n";
        let project = Project::new(&database, &[("001_a.sql", text)]);
        Command::Migrate.on(&project.migrator).await.expect_err("two rows are the same");
        project.write("001_a.sql", "-- crossfade: no-transaction\nCREATE INDEX t_id ON t (id);\n");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let indexes = "SELECT string_agg(indexrelid::regclass::text, ',') FROM pg_index WHERE indrelid = 't'::regclass";
        assert_eq!(database.value(indexes).await, "t_id");
    });
}
