//! What the rules of lint say that statements cost, traced on every server; and lint with a database and with a trace.

use crossfade::LintOptions;
use crossfade::postgres::trace::trace;
use crossfade::scratch::ScratchPlace;
use crossfade_core::finding::Severity;
use crossfade_core::lint::Evidence;
use crossfade_core::lint::Rule;
use crossfade_core::lint::read_script;
use crossfade_core::lint::rules;
use crossfade_core::lock::LockMode;

use crate::project::Project;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::run;
use crate::server::servers;

/// What a rule claims beside what the server did, as far as they differ.
async fn differences(
    server: &'static Server,
    (client, beside): (&tokio_postgres::Client, &tokio_postgres::Client),
    rule: &Rule,
) -> Vec<String> {
    let Some(cost) = rule.cost else { return Vec::new() };
    let schema = rule.name.replace('-', "_");
    let set = [
        "DROP SCHEMA IF EXISTS archive CASCADE; CREATE SCHEMA ",
        &schema,
        "; SET search_path = ",
        &schema,
        ", pg_catalog; ",
        rule.setup,
    ]
    .concat();
    client.batch_execute(&set).await.expect("the schema before the example can be made");
    let script = read_script(rule.bad);
    let statements: Vec<&str> = script.statements().map(|span| span.of(rule.bad)).collect();
    let traced = trace(client, beside, &statements, false).await.expect("the server can be asked");
    let place = format!("{}, PostgreSQL {}", rule.name, server.major());
    let mut differences = Vec::new();
    if let Some(failed) = &traced.failed {
        differences.push(format!("{place}: {failed}"));
        return differences;
    }
    let table = [&schema, ".", cost.table].concat();
    let lock = traced.locks.get(&table).copied();
    if lock != Some(cost.lock) {
        differences.push(format!("{place}: the lock on {} is {lock:?}, and the rule says {}", cost.table, cost.lock));
    }
    let rewritten = traced.rewritten.contains(&table);
    if rewritten != cost.rewrite {
        differences.push(format!("{place}: {} written anew: {rewritten}", cost.table));
    }
    let scanned = traced.scanned.contains(&table);
    if !traced.outside && scanned != cost.scan {
        differences.push(format!("{place}: {} read as a whole: {scanned}", cost.table));
    }
    differences
}

#[test]
fn every_rule_costs_what_it_says() {
    let on = |server: &'static Server| {
        move || {
            run(async move {
                let database = Database::create(server).await;
                let client = database.connect().await;
                let beside = database.connect().await;
                // That of the page on SET TABLESPACE; an earlier run on this server may have made it.
                client.batch_execute("SET allow_in_place_tablespaces = on").await.expect("a superuser may");
                if let Err(error) = client.batch_execute("CREATE TABLESPACE fast LOCATION ''").await {
                    assert_eq!(error.code(), Some(&tokio_postgres::error::SqlState::DUPLICATE_OBJECT), "{error}");
                }
                let fits = |rule: &&Rule| (rule.servers.0..=rule.servers.1).contains(&server.major());
                let mut all = Vec::new();
                for rule in rules::all().filter(fits) {
                    all.extend(differences(server, (&client, &beside), rule).await);
                }
                all
            })
        }
    };
    let differ: Vec<String> = std::thread::scope(|scope| {
        let each: Vec<_> = servers().iter().map(|server| scope.spawn(on(server))).collect();
        each.into_iter().flat_map(|thread| thread.join().expect("the trace ends")).collect()
    });
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn a_database_says_how_big_a_table_is_and_what_its_types_are() {
    run(async {
        let database = Database::create(main_server()).await;
        let before = "CREATE TABLE big (id bigint PRIMARY KEY, name varchar(20), age integer);
            INSERT INTO big SELECT i, 'n' || i, i FROM generate_series(1, 20000) AS i;
            CREATE TABLE small (id bigint PRIMARY KEY, name varchar(20));
            CREATE VIEW names AS SELECT name FROM small; ANALYZE";
        database.run(before).await.expect("the tables are made");
        // The server counts a little later.
        while database.value("SELECT n_tup_ins >= 20000 FROM pg_stat_user_tables WHERE relname = 'big'").await != "t" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let project = Project::new(
            &database,
            &[
                ("001_wider.sql", "ALTER TABLE big ALTER COLUMN name TYPE varchar(40);"),
                ("002_lock.sql", "LOCK TABLE big; LOCK TABLE small;"),
                ("003_view.sql", "-- crossfade: direct we know\nALTER TABLE small ALTER COLUMN name TYPE varchar(40);"),
                ("004_logged.sql", "ALTER TABLE big SET UNLOGGED;"),
            ],
        );
        let options = LintOptions { live: true, ..LintOptions::default() };
        let report = project.migrator.lint(&options).await.expect("it is looked at");
        let shown: Vec<(String, Severity)> =
            report.findings.iter().map(|place| (place.finding.rule.clone(), place.finding.level)).collect();
        let expected = [
            ("explicit-lock", Severity::Warning),
            ("explicit-lock", Severity::Note),
            ("alter-type-blocked", Severity::Error),
            ("set-logged", Severity::Error),
        ];
        assert_eq!(shown, expected.map(|(rule, level)| (rule.to_owned(), level)), "{report:#?}");
        assert!(report.findings.iter().all(|place| place.finding.evidence == Evidence::Catalog));
        let blocked = report.findings[3].finding.blocked_for.clone().expect("its size is known");
        assert_eq!((blocked.table.as_str(), blocked.rows), ("big", 20_000));
        assert!(blocked.bytes > 500_000 && !blocked.time.is_zero(), "{blocked:?}");
        let hot = Project::with(&database, &[("001_hot.sql", "LOCK TABLE big; LOCK TABLE small;")], |config| {
            config.lint.hot_rate = 1;
        });
        let report = hot.migrator.lint(&options).await.expect("it is looked at");
        let found = report.findings.iter().filter(|place| place.finding.rule == "hot-table");
        let said: Vec<&str> = found.map(|place| place.finding.message.as_str()).collect();
        assert!(matches!(said.as_slice(), [one] if one.starts_with("big is scanned")), "{said:?}");
        // It made nothing.
        assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'crossfade'").await, "0");
    });
}

#[test]
fn a_trace_says_what_the_server_did() {
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(
            &database,
            &[
                (
                    "001_users.sql",
                    "CREATE DOMAIN short AS varchar(20);\nCREATE TABLE users (id integer PRIMARY KEY, name short, age integer);",
                ),
                (
                    "002_types.sql",
                    "-- crossfade: direct a\nALTER TABLE users ALTER COLUMN name TYPE text;\n-- crossfade: direct b\nALTER TABLE users ALTER COLUMN age TYPE bigint;\nDO $$ BEGIN EXECUTE 'ALTER TABLE users SET ' || 'UNLOGGED'; END $$;\nALTER TABLE nowhere ADD COLUMN a integer;",
                ),
            ],
        );
        let place = ScratchPlace::Private(Some(main_server().scratch.bin_dir().to_owned()));
        let options = LintOptions { trace: Some(place), ..LintOptions::default() };
        let report = project.migrator.lint(&options).await.expect("it is traced");
        let shown: Vec<(usize, &str, Evidence)> = report
            .findings
            .iter()
            .map(|place| (place.line, place.finding.rule.as_str(), place.finding.evidence))
            .collect();
        let expected = [
            (4, "alter-type-rewrite", Evidence::Trace),
            (5, "traced-rewrite", Evidence::Trace),
            (5, "opaque-sql", Evidence::Text),
            (6, "traced-failure", Evidence::Trace),
        ];
        assert_eq!(shown, expected, "{report:#?}");
        // A way back behind its migration, and files that are none of the folder, one behind the other on what the folder makes.
        let project = Project::new(
            &database,
            &[
                ("001_users.sql", "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20));"),
                ("002_wide.sql", "ALTER TABLE users ADD COLUMN age integer;"),
                ("002_wide_down.sql", "DO $$ BEGIN EXECUTE 'ALTER TABLE users ALTER age TYPE ' || 'bigint'; END $$;"),
            ],
        );
        let folder = tempfile::tempdir().expect("a folder");
        let other = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the file is written");
            path
        };
        let others = [
            other("first.sql", "ALTER TABLE users ADD COLUMN size integer;"),
            other(
                "second.sql",
                "-- crossfade: direct a\nALTER TABLE users ALTER COLUMN size TYPE bigint;\nVACUUM FULL users;",
            ),
        ];
        let traced = async |paths: &[std::path::PathBuf]| {
            let options = LintOptions { paths: paths.to_vec(), ..options.clone() };
            let report = project.migrator.lint(&options).await.expect("it is traced");
            let found = report.findings.into_iter().filter(|place| place.finding.evidence == Evidence::Trace);
            found.map(|place| (place.line, place.finding.rule, place.finding.lock)).collect::<Vec<_>>()
        };
        let lock = Some(LockMode::AccessExclusive);
        let rewrites = |line, rule: &str| (line, rule.to_owned(), lock);
        assert_eq!(traced(&[]).await, [rewrites(1, "traced-rewrite")]);
        assert_eq!(traced(&others).await, [rewrites(2, "alter-type-rewrite"), rewrites(3, "vacuum-full")]);
    });
}
