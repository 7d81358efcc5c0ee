//! A fresh database runs a whole folder in one run: on what the run itself has made nobody is in the way, and every change is done at once.

use crossfade::MigrateOptions;
use crossfade::Stop;
use crossfade_core::journal::State;

use crate::cases;
use crate::fixture::Fixture;
use crate::laws::direct;
use crate::laws::same;
use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::prove;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;
use crate::server::run;
use crate::snapshot::Snapshot;

#[test]
fn a_fresh_database_runs_base_and_migration_in_one_run_and_ends_as_the_direct_way() {
    let own = std::slice::from_ref(main_server());
    prove(cases(own, |fixture| fixture.refused.is_none()), |server, fixture| in_one_run(server, fixture, ""));
}

/// What the run makes is new there, too, but views, types and functions may be somebody's, and what uses them goes in phases.
#[test]
fn beside_a_table_in_use_a_file_with_directives_is_not_refused_for_being_in_the_run_that_makes_its_tables() {
    let own = std::slice::from_ref(main_server());
    let speaks = |fixture: &Fixture| fixture.refused.is_none() && fixture.migration.contains("-- crossfade:");
    let beside = "CREATE SCHEMA beside; CREATE TABLE beside.used (id integer); INSERT INTO beside.used VALUES (1);";
    prove(cases(own, speaks), |server, fixture| in_one_run(server, fixture, beside));
}

async fn in_one_run(server: &'static Server, fixture: Fixture, beside: &str) -> Result<(), String> {
    let want = direct(server, &Fixture { before: format!("{beside}\n{}", fixture.before), ..fixture.clone() }).await?;
    let database = Database::create(server).await;
    database.run(beside).await.map_err(|error| format!("beside: {error}"))?;
    let project = Project::new(&database, &[("001_base.sql", &fixture.before), ("002_case.sql", &fixture.migration)]);
    let options = MigrateOptions { complete: !beside.is_empty(), ..MigrateOptions::default() };
    let run = project.migrator.migrate(options, &mut Watch::default(), &Stop::default()).await;
    let run = run.map_err(|error| said(&error))?;
    match run.migrations.last().map(|migration| migration.state) {
        Some(State::Applied) => {}
        state => return Err(format!("it is {state:?} after one run")),
    }
    let end = Snapshot::take(&database).await;
    same("the schema is not the direct one", want.schema_difference(&end))?;
    if fixture.volatile { Ok(()) } else { same("the rows are not the direct ones", want.row_difference(&end)) }
}

const BASE: &str = "CREATE TABLE parent (id integer PRIMARY KEY);\nINSERT INTO parent VALUES (1);\n\
    CREATE TABLE t (id integer PRIMARY KEY, price numeric, at integer, p integer);\n\
    INSERT INTO t VALUES (1, 1.5, NULL, 1), (2, -2, 7, 9), (3, NULL, 8, NULL);";

#[test]
fn rows_of_an_earlier_file_of_the_run_get_the_values_that_directives_say() {
    let all = "-- crossfade: up(cents) coalesce(price * 100, 0)\n-- crossfade: down(price) cents / 100.0\n\
        ALTER TABLE t DROP COLUMN price, ADD COLUMN cents bigint NOT NULL DEFAULT 5;\n\
        -- crossfade: up 0\nALTER TABLE t ALTER COLUMN at SET NOT NULL;\n\
        -- crossfade: up greatest(cents, 0)\nALTER TABLE t ADD CONSTRAINT rich CHECK (cents >= 0);\n\
        -- crossfade: up NULL\nALTER TABLE t ADD CONSTRAINT p FOREIGN KEY (p) REFERENCES parent;\n\
        -- crossfade: up at + 1\n-- crossfade: down at - 1\nALTER TABLE t ALTER COLUMN at TYPE bigint;\n\
        INSERT INTO t (id, at) VALUES (4, 4);";
    run(async {
        let database = Database::create(main_server()).await;
        let project = Project::new(&database, &[("001_base.sql", BASE), ("002_all.sql", all)]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        let rows = "SELECT string_agg(concat_ws(' ', id, cents, at, coalesce(p::text, '-')), ', ' ORDER BY id) FROM t";
        assert_eq!(database.value(rows).await, "1 150 1 1, 2 0 8 -, 3 0 9 -, 4 5 4 -");
        let types = "SELECT string_agg(format('%s %s %s', attname, atttypid::regtype, attnotnull), ', ' ORDER BY attname) \
            FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped";
        assert_eq!(database.value(types).await, "at bigint t, cents bigint t, id integer t, p integer f");
    });
}

#[test]
fn a_directive_that_speaks_for_nothing_is_refused_on_what_is_new_too() {
    run(async {
        let wrong = [
            ("-- crossfade: up(nothing) 1\nALTER TABLE t ADD COLUMN c integer;", "unused-directive"),
            ("-- crossfade: up 1\nALTER TABLE t ADD COLUMN c integer, ADD COLUMN d integer;", "directive"),
            ("-- crossfade: down at\nALTER TABLE t ALTER COLUMN at SET NOT NULL;", "unused-directive"),
            ("-- crossfade: up 1\nCREATE INDEX ON t (at);", "unused-directive"),
            ("-- crossfade: up 1\nALTER TABLE nothing ADD COLUMN c integer;", "no-such-table"),
            ("-- crossfade: up 1\nALTER TABLE t ADD FOREIGN KEY (p) REFERENCES parent (id, id);", "directive"),
        ];
        for (text, rule) in wrong {
            let database = Database::create(main_server()).await;
            let project = Project::new(&database, &[("001_base.sql", BASE), ("002_wrong.sql", text)]);
            let said = Command::Migrate.on(&project.migrator).await.expect_err("it is refused");
            assert!(said.contains(&format!("[{rule}]")), "{text}: {said}");
        }
    });
}

#[test]
fn what_can_not_run_in_a_transaction_runs_on_what_is_new() {
    run(async {
        let database = Database::create(main_server()).await;
        let files = [
            ("001_base.sql", BASE),
            ("002_index.sql", "CREATE INDEX CONCURRENTLY t_at ON t (at);"),
            ("003_index.sql", "DROP INDEX CONCURRENTLY t_at;"),
            ("004_end.sql", "CREATE TABLE behind (id integer);"),
        ];
        let project = Project::new(&database, &files);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(
            database.value("SELECT count(*)::text FROM pg_class WHERE relname IN ('t_at', 'behind')").await,
            "1"
        );
    });
}
