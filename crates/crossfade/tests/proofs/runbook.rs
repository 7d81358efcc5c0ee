//! The runbook knows the sizes that the server has and what earlier runs took, and needs no right to change anything.

use std::time::Duration;

use crossfade::Target;
use crossfade_core::journal::State;
use crossfade_core::runbook::Basis;
use crossfade_core::runbook::Runbook;
use crossfade_core::runbook::RunbookStep;

use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;

const BEFORE: &str = "
    CREATE TABLE users (id integer PRIMARY KEY, email text);
    INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 20000) AS i;
    CREATE TABLE orders (id integer PRIMARY KEY, city text);
    INSERT INTO orders SELECT i, 'c' || i FROM generate_series(1, 40000) AS i;
    ANALYZE users, orders";

const RENAME: (&str, &str) = ("001_email.sql", "ALTER TABLE users RENAME COLUMN email TO email_address;");

fn steps<'a>(book: &'a Runbook, kind: &str) -> Vec<&'a RunbookStep> {
    book.phases.iter().flat_map(|phase| &phase.steps).filter(|step| step.kind == kind).collect()
}

#[test]
fn sizes_are_the_servers_and_rates_those_of_earlier_runs() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(BEFORE).await.expect("the tables are made");
        let project = Project::new(&database, &[RENAME]);

        let first = project.migrator.runbook(&[]).await.expect("there is a runbook").runbooks.remove(0);
        let size = &first.tables[0];
        let real = database.value("SELECT concat_ws(' ', pg_table_size('users'), pg_indexes_size('users'))").await;
        assert_eq!(format!("{} {}", size.heap, size.indexes), real);
        assert_eq!((first.state, first.phased, size.rows), (State::Pending, true, 20_000));
        assert!(
            steps(&first, "backfill")
                .iter()
                .all(|step| { step.time.as_ref().is_some_and(|time| matches!(time.basis[..], [Basis::Assumed(_)])) })
        );
        assert_eq!(database.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'crossfade'").await, "0");

        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        // As if each step had taken two seconds.
        let slower = "UPDATE crossfade.events SET event = jsonb_set(event, '{took_ms}', '2000') WHERE event ->> 'event' = 'step_succeeded'";
        database.run(slower).await.expect("the journal is changed");
        project.write("002_city.sql", "ALTER TABLE orders RENAME COLUMN city TO town;");
        project.write("003_wrong.sql", "ALTER TABLE nowhere RENAME COLUMN city TO town;");
        project.write("004_behind.sql", "CREATE TABLE later (id integer);");

        let report = project.migrator.runbook(&[]).await.expect("there is a runbook");
        let versions: Vec<&str> = report.runbooks.iter().map(|book| book.version.as_str()).collect();
        assert_eq!(versions, ["001", "002", "004"]);
        let (under_way, pending) = (&report.runbooks[0], &report.runbooks[1]);
        assert_eq!((under_way.state, pending.state), (State::Ready, State::Pending));
        assert!(steps(under_way, "backfill").iter().all(|step| step.done));
        assert!(steps(pending, "backfill").iter().all(|step| !step.done));
        let time = steps(pending, "backfill")[0].time.clone().expect("a fill takes time");
        let [Basis::Measured(measured)] = &time.basis[..] else { panic!("{:?}", time.basis) };
        assert!(
            measured.contains("10,000 rows/s in one earlier run here, the last one of public.users by 001"),
            "{measured}"
        );
        // 40,000 rows, half as fast again or slower.
        assert_eq!(time.most_seconds.map(f64::round), Some(6.0), "{time:?}");
        assert!(report.unplanned.iter().any(|note| note.starts_with("003 wrong")), "{:?}", report.unplanned);

        let one = project.migrator.runbook(&["2".to_owned()]).await.expect("there is a runbook");
        assert_eq!(one.runbooks.iter().map(|book| book.version.as_str()).collect::<Vec<_>>(), ["002"]);
        let nothing = project.migrator.runbook(&["9".to_owned()]).await.map(|_| ()).map_err(|error| said(&error));
        assert!(nothing.is_err_and(|error| error.contains("there is no migration 9")));
    });
}

#[test]
fn a_refused_file_leaves_the_runbooks_in_front_of_it() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(BEFORE).await.expect("the tables are made");
        let wrong = ("002_wrong.sql", "ALTER TABLE users ADD COLUMN n integer NOT NULL;");
        let project = Project::new(&database, &[RENAME, wrong, ("003_behind.sql", "CREATE TABLE later (id integer);")]);
        let report = project.migrator.runbook(&[]).await.expect("there is a runbook");
        assert_eq!(report.runbooks.iter().map(|book| book.version.as_str()).collect::<Vec<_>>(), ["001"]);
        let refused = report.refused.expect("002 is refused");
        assert!(refused.message.contains("migration 002 wrong is refused"), "{}", refused.message);
        assert_eq!(refused.findings[0].line, Some(1));
        assert!(project.migrator.plans(&[]).await.is_err(), "the plan alone is refused");
    });
}

#[test]
fn a_role_that_may_only_look_gets_the_runbook() {
    run(async {
        let database = Database::create(main_server()).await;
        database.run(BEFORE).await.expect("the tables are made");
        let role = "DO $$ BEGIN CREATE ROLE cf_looks LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$";
        database.run(role).await.expect("the role is made");
        let looks = Target::from_url(&database.url().replacen("postgres@", "cf_looks@", 1)).expect("it is a URL");
        let project = Project::on(looks, &[RENAME], |config| config.locks.timeout = Duration::from_millis(250));
        let report = project.migrator.runbook(&[]).await.map_err(|error| said(&error)).expect("there is a runbook");
        assert!(report.runbooks[0].tables[0].heap > 0);
        assert_eq!(report.lock_timeout_ms, 250);
    });
}
