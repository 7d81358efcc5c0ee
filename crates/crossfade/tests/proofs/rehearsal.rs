//! `rehearse`: what is right goes through clean, what is wrong is found in its place, and a database is never changed.

use std::time::Duration;

use crossfade::Error;
use crossfade::RehearseOptions;
use crossfade::RehearseSource;
use crossfade::RowsWanted;
use crossfade::Stop;
use crossfade::Target;
use crossfade::observer::Unobserved;
use crossfade::report::RehearsalReport;
use crossfade_core::journal::State;

use crate::drift::beside;
use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::scene;
use crate::server::Database;
use crate::server::main_server;

const USERS: (&str, &str) = (
    "001_users.sql",
    "CREATE TABLE users (id bigserial PRIMARY KEY, email text NOT NULL UNIQUE, age integer CHECK (age BETWEEN 0 AND 150));",
);
const RENAME: (&str, &str) = ("002_rename.sql", "ALTER TABLE users RENAME COLUMN email TO email_address;");

fn options(source: RehearseSource) -> RehearseOptions {
    RehearseOptions {
        version: None,
        source,
        scratch: beside(main_server()),
        rows: RowsWanted::AtMost(2_000),
        old_queries: None,
        new_queries: None,
        with_data: false,
        hold: Duration::from_millis(150),
    }
}

fn file(text: &str) -> Option<(std::path::PathBuf, String)> {
    Some(("queries.sql".into(), text.to_owned()))
}

/// On what the migrations in front of the last one make. No database is connected to.
async fn rehearsed(
    files: &[(&str, &str)],
    change: impl FnOnce(&mut RehearseOptions),
) -> Result<RehearsalReport, Error> {
    let nowhere = Target::from_url("postgres://nobody@127.0.0.1:1/nowhere").expect("the URL is one");
    let project = Project::on(nowhere, files, |_| {});
    let mut options = options(RehearseSource::Migrations);
    change(&mut options);
    project.migrator.rehearse(&options, &mut Unobserved, &Stop::default()).await
}

async fn clean(files: &[(&str, &str)], change: impl FnOnce(&mut RehearseOptions)) -> RehearsalReport {
    let report = rehearsed(files, change).await.unwrap_or_else(|error| panic!("{}", said(&error)));
    assert_eq!(report.problems, Vec::<String>::new(), "{report:#?}");
    report
}

fn stages(report: &RehearsalReport) -> Vec<&str> {
    report.stages.iter().map(|stage| stage.name.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_goes_the_whole_way_and_no_row_is_lost() {
    let report = clean(&[USERS, RENAME], |_| {}).await;
    assert_eq!((report.version.as_str(), report.phased), ("002", true));
    assert_eq!(
        stages(&report),
        [
            "before",
            "expand",
            "migrate",
            "ready",
            "rollback from ready",
            "rolled back from ready",
            "expand (2)",
            "migrate (2)",
            "ready (2)",
            "deployed",
            "contract",
            "contracted",
            "rollback from contracted",
            "rolled back from contracted",
            "expand (3)",
            "migrate (3)",
            "ready (3)",
            "deployed (2)",
            "contract (2)",
            "contracted (2)",
            "purged"
        ]
    );
    let users = &report.tables[0];
    assert_eq!((users.table.as_str(), users.rows, users.why.as_ref()), ("public.users", 2_000, None));
    assert_eq!((report.old.left_out.len(), report.new.left_out.len()), (0, 0), "{:?} {:?}", report.old, report.new);
    assert!(report.old.queries >= 4 && report.new.queries >= 4, "{:?}", report.old);
    let calls = |name: &str| {
        let stage = report.stages.iter().find(|stage| stage.name == name).expect("it is there");
        (stage.old.as_ref().map(|calls| calls.statements > 0), stage.new.as_ref().map(|calls| calls.statements > 0))
    };
    assert_eq!(calls("ready"), (Some(true), Some(true)));
    assert_eq!(calls("before"), (Some(true), None));
    assert_eq!(calls("purged"), (None, Some(true)));
    assert_eq!(calls("rollback from contracted"), (None, None));
    assert_eq!(report.ways_back.len(), 2);
    assert!(report.steps.len() >= 4, "{:?}", report.steps);
}

/// What the new code gets wrong is found where it runs first, and the old code is not blamed.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_query_that_is_wrong_is_found_in_the_part_in_which_it_runs() {
    let new = "SELECT id FROM users WHERE email_address = $1;\nUPDATE users SET mail = $1 WHERE id = $2;";
    let report = rehearsed(&[USERS, RENAME], |options| options.new_queries = file(new)).await.unwrap();
    assert!(!report.is_clean());
    let wrong: Vec<&str> = report
        .stages
        .iter()
        .filter(|stage| stage.new.as_ref().is_some_and(|calls| calls.errors > 0))
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(wrong.first(), Some(&"ready"));
    let ready = report.stages.iter().find(|stage| stage.name == "ready").and_then(|stage| stage.new.as_ref()).unwrap();
    assert_eq!(
        ready.messages,
        ["ERROR: column \"mail\" of relation \"users\" does not exist, from UPDATE users SET mail = $1 WHERE id = $2"]
    );
    assert!(report.stages.iter().filter_map(|stage| stage.old.as_ref()).all(|calls| calls.errors == 0), "{report:#?}");
    assert!(report.problems[0].contains("errors of the new version in ready"), "{:?}", report.problems);
    // What writes unknown rows makes no row that is lost.
    assert_eq!(report.lost, Vec::<String>::new());
}

/// Old code that can't go on once the migration begins.
#[tokio::test(flavor = "multi_thread")]
async fn old_code_that_breaks_is_found_in_the_phase_that_breaks_it() {
    let age = ("002_age.sql", "ALTER TABLE users ADD CONSTRAINT grown CHECK (age >= 18);");
    let old = "INSERT INTO users (email, age) VALUES ($1, 7)";
    let report = rehearsed(&[USERS, age], |options| options.old_queries = file(old)).await.unwrap();
    let before = report.stages[0].old.as_ref().unwrap();
    assert_eq!((report.stages[0].name.as_str(), before.errors), ("before", 0), "{report:#?}");
    let broken = report.stages.iter().find(|stage| stage.old.as_ref().is_some_and(|calls| calls.errors > 0));
    let message = &broken.unwrap_or_else(|| panic!("{report:#?}")).old.as_ref().unwrap().messages[0];
    assert!(message.contains("violates check constraint \"grown\""), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_keep_keys_checks_domains_and_partitions() {
    let shop = (
        "001_shop.sql",
        "CREATE TYPE mood AS ENUM ('sad', 'glad');
         CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]{3}$');
         CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
         CREATE TABLE shops (id uuid PRIMARY KEY, code code UNIQUE, name varchar(20) NOT NULL, mood mood NOT NULL, tags text[] NOT NULL);
         CREATE TABLE staff (shop uuid NOT NULL REFERENCES shops, number smallint, boss_shop uuid, boss smallint,
             PRIMARY KEY (shop, number), FOREIGN KEY (boss_shop, boss) REFERENCES staff);
         CREATE TABLE keys (shop uuid PRIMARY KEY REFERENCES shops, secret bytea NOT NULL);
         CREATE TABLE items (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, shop uuid NOT NULL REFERENCES shops,
             price numeric(8,2) NOT NULL CHECK (price > 0), off percent NOT NULL, state text NOT NULL CHECK (state IN ('new', 'it''s gone')),
             mail text CHECK (mail LIKE '%@%'), opens timestamptz NOT NULL, closes timestamptz NOT NULL, CHECK (opens < closes),
             gross numeric GENERATED ALWAYS AS (price * 2) STORED);
         CREATE TABLE bought (item integer REFERENCES items, shop uuid REFERENCES shops, PRIMARY KEY (item, shop));
         CREATE TABLE log (at date NOT NULL, text text, PRIMARY KEY (at, text)) PARTITION BY RANGE (at);
         CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
         CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
         CREATE TABLE shapes (id serial PRIMARY KEY, form path NOT NULL);
         CREATE TABLE corners (id serial PRIMARY KEY, shape integer NOT NULL REFERENCES shapes);
         CREATE TABLE counted (id serial PRIMARY KEY);",
    );
    let change = (
        "002_change.sql",
        "ALTER TABLE items RENAME COLUMN state TO status;
         ALTER TABLE shops ADD COLUMN a integer; ALTER TABLE staff ADD COLUMN a integer; ALTER TABLE keys ADD COLUMN a integer;
         ALTER TABLE bought ADD COLUMN a integer; ALTER TABLE log ADD COLUMN a integer; ALTER TABLE counted ADD COLUMN a integer;",
    );
    let report = clean(&[shop, change], |options| options.rows = RowsWanted::AtMost(500)).await;
    let rows = |name: &str| report.tables.iter().find(|table| table.table == format!("public.{name}")).unwrap();
    for name in ["shops", "staff", "keys", "items", "bought", "log", "counted"] {
        assert_eq!((rows(name).rows, &rows(name).why), (500, &None), "{name}: {:#?}", report.tables);
    }
    let why = |name: &str| (rows(name).rows, rows(name).why.clone().unwrap_or_default());
    assert_eq!(why("shapes"), (0, "no value of type path can be made up for its column form".to_owned()));
    assert_eq!(why("corners"), (0, "corners_shape_fkey points to public.shapes, which is empty".to_owned()));
}

async fn on(
    database: &Database,
    project: &Project,
    change: impl FnOnce(&mut RehearseOptions),
) -> Result<RehearsalReport, Error> {
    let mut options = options(RehearseSource::Database);
    change(&mut options);
    let before = database.value(EVERYTHING).await;
    let result = project.migrator.rehearse(&options, &mut Unobserved, &Stop::default()).await;
    assert_eq!(database.value(EVERYTHING).await, before, "the database is only read");
    result
}

/// Relations of a database and where their rows are, in one text.
const EVERYTHING: &str = "SELECT string_agg(oid::regclass || ' ' || relfilenode || ' ' || relnatts || ' ' || relhastriggers, ',' ORDER BY oid) FROM pg_class";

/// What is applied there, what waits for contract, what is pending in front of it, and how many rows there are.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_that_of_the_database_with_all_that_is_under_way_and_no_value_of_it() {
    let database = scene::database("").await;
    let project = Project::new(&database, &[USERS]);
    Command::Migrate.on(&project.migrator).await.unwrap();
    let by_hand =
        "INSERT INTO users (email, age) SELECT 'secret-' || g, 20 FROM generate_series(1, 3000) AS g; ANALYZE users;
                   CREATE TABLE by_hand (id integer PRIMARY KEY, user_id bigint REFERENCES users)";
    database.run(by_hand).await.unwrap();
    project
        .write("002_name.sql", "ALTER TABLE users ADD COLUMN name text; ALTER TABLE users RENAME COLUMN age TO years;");
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    project.write(
        "003_beside.sql",
        "CREATE TABLE beside (id integer PRIMARY KEY, user_id bigint NOT NULL REFERENCES users);",
    );
    project.write("004_hand.sql", "ALTER TABLE by_hand RENAME COLUMN user_id TO owner_id;");
    let report = on(&database, &project, |options| options.version = Some("004".to_owned())).await;
    let report = report.unwrap_or_else(|error| panic!("{}", said(&error)));
    assert_eq!(report.problems, Vec::<String>::new(), "{report:#?}");
    assert_eq!(report.before, ["003 beside"]);
    assert_eq!(report.database.as_deref(), Some(project.migrator.target().display().as_str()));
    assert!(report.steps.iter().any(|step| step.real.is_some()), "{:?}", report.steps);
    // Without a version it is the next one.
    let next = on(&database, &project, |_| {}).await.unwrap_or_else(|error| panic!("{}", said(&error)));
    assert_eq!((next.version.as_str(), next.phased, next.is_clean()), ("003", false, true), "{next:#?}");
    assert!(next.notes.iter().any(|note| note.contains("no down file")), "{:?}", next.notes);

    let refused = on(&database, &project, |options| options.version = Some("1".to_owned())).await.unwrap_err();
    assert!(refused.to_string().starts_with("migration 001 users is applied on"), "{refused}");
    assert_eq!(refused.kind(), crossfade::ErrorKind::Refused);
    let refused = on(&database, &project, |options| options.version = Some("002".to_owned())).await.unwrap_err();
    assert!(refused.to_string().starts_with("migration 002 name is ready on"), "{refused}");
    let unknown = on(&database, &project, |options| options.version = Some("9".to_owned())).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no migration 9");
}

/// Without `with_data` nothing that stands in the tables is seen on the scratch server; with it, what is met most often.
#[tokio::test(flavor = "multi_thread")]
async fn values_leave_the_database_only_where_that_is_asked_for() {
    let database = scene::database(
        "CREATE TABLE users (id bigserial PRIMARY KEY, town text NOT NULL);
         INSERT INTO users (town) SELECT 'Secretville' FROM generate_series(1, 500); ANALYZE users;",
    )
    .await;
    let project = Project::new(&database, &[("001_town.sql", "ALTER TABLE users RENAME COLUMN town TO city;")]);
    let old = "SELECT 1 / (CASE WHEN town = 'Secretville' THEN 0 ELSE 1 END) FROM users WHERE town = $1";
    let errors = async |with_data: bool| {
        let report = on(&database, &project, |options| {
            options.with_data = with_data;
            options.old_queries = file(old);
        });
        let report = report.await.unwrap_or_else(|error| panic!("{}", said(&error)));
        report.stages[0].old.as_ref().map(|calls| (calls.errors > 0, calls.messages.clone())).unwrap()
    };
    assert_eq!(errors(false).await, (false, Vec::new()));
    let (failed, messages) = errors(true).await;
    assert!(failed && messages[0].contains("division by zero"), "{messages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_that_the_scratch_server_lacks_is_named() {
    let database = scene::database("CREATE TABLE t (id integer PRIMARY KEY)").await;
    let project = Project::new(&database, &[("001_t.sql", "ALTER TABLE t ADD COLUMN a integer;")]);
    database.run("UPDATE pg_extension SET extname = 'worldmap' WHERE extname = 'plpgsql'").await.unwrap();
    let result = on(&database, &project, |_| {}).await;
    database.run("UPDATE pg_extension SET extname = 'plpgsql' WHERE extname = 'worldmap'").await.unwrap();
    let error = result.unwrap_err();
    assert!(error.to_string().ends_with("has the extension worldmap, and the scratch server does not"), "{error}");
}

/// A type that changes under the same name: values are made up that can be cast, both ways are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_type_and_a_split_go_the_whole_way() {
    let before = (
        "001_t.sql",
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, amount text NOT NULL, price numeric(8,2) NOT NULL, note text);
         CREATE INDEX ON t (price);",
    );
    let change = (
        "002_change.sql",
        "-- crossfade: down amount::text\nALTER TABLE t ALTER COLUMN amount TYPE integer USING amount::integer;
         ALTER TABLE t ADD COLUMN price_cents bigint;
         UPDATE t SET price_cents = (price * 100)::bigint;
         ALTER TABLE t ALTER COLUMN price_cents SET NOT NULL;
         -- crossfade: down price_cents / 100.0\nALTER TABLE t DROP COLUMN price;",
    );
    let report = clean(&[before, change], |_| {}).await;
    assert!(report.phased);
    assert!(report.new.queries >= 4, "{:?}", report.new);
    assert!(report.notes.iter().any(|note| note.contains("had to be prepared again")), "{:?}", report.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_statements_down_files_and_files_that_can_t_be_run() {
    let raw =
        ("002_raw.sql", "-- crossfade: undo DROP TABLE made\nDO $$ BEGIN CREATE TABLE made (id integer); END $$;");
    let report = rehearsed(&[USERS, raw], |_| {}).await.unwrap_or_else(|error| panic!("{}", said(&error)));
    assert_eq!((report.phased, report.problems.as_slice()), (false, [].as_slice()), "{report:#?}");
    let down = ("002_more_down.sql", "ALTER TABLE users DROP COLUMN more;");
    let more = ("002_more.sql", "ALTER TABLE users ADD COLUMN more text;");
    let report = clean(&[USERS, more, down], |_| {}).await;
    assert_eq!(report.ways_back.len(), 1);
    // A down file that leaves something.
    let more = ("002_more.sql", "ALTER TABLE users ADD COLUMN more text; CREATE INDEX by_age ON users (age);");
    let report = rehearsed(&[USERS, more, down], |_| {}).await.unwrap();
    assert_eq!(report.ways_back[0].changes[0].sentence, "index public.by_age is there, and should not be");
    assert!(
        report.problems.contains(&"rollback from applied: it does not restore what was there".to_owned()),
        "{report:#?}"
    );

    let broken = ("002_x.sql", "ALTER TABLE nowhere ADD COLUMN x text;");
    assert_eq!(rehearsed(&[USERS, broken], |_| {}).await.unwrap_err().kind(), crossfade::ErrorKind::Refused);
    let no_query =
        rehearsed(&[USERS, RENAME], |options| options.old_queries = file("VACUUM users;")).await.unwrap_err();
    assert_eq!(no_query.to_string(), "there is no query in queries.sql");
    let no_sql = rehearsed(&[USERS, RENAME], |options| options.new_queries = file("SELEC 1;")).await.unwrap_err();
    assert_eq!(no_sql.to_string(), "queries.sql can't be read");
}

/// The scratch databases go, whenever somebody stops it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_that_is_stopped_leaves_nothing() {
    let nowhere = Target::from_url("postgres://nobody@127.0.0.1:1/nowhere").unwrap();
    let project = Project::on(nowhere, &[USERS, RENAME], |_| {});
    let mut options = options(RehearseSource::Migrations);
    options.hold = Duration::from_secs(60);
    let stop = Stop::default();
    let (asked, admin) = (stop.clone(), crate::server::connect(&main_server().scratch.url("postgres")).await);
    let asking = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(2)).await;
        asked.request();
    });
    let error = project.migrator.rehearse(&options, &mut Unobserved, &stop).await.unwrap_err();
    asking.await.unwrap();
    assert!(error.to_string().starts_with("stopped before the rehearsal was over"), "{}", said(&error));
    let process = format!("%by process {} on%", std::process::id());
    let query = "SELECT count(*) FROM pg_database AS d WHERE shobj_description(oid, 'pg_database') LIKE $1
                 AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.datname = d.datname)";
    // Others of this process have theirs, too, and each is without a session for a moment.
    for _ in 0..1200 {
        if admin.query_one(query, &[&process]).await.unwrap().get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a scratch database is left");
}
