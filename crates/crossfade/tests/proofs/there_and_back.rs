//! `test`: a way back that is right is proven, one that is wrong is named with what it leaves.

use crossfade::Error;
use crossfade::Stop;
use crossfade::TestOptions;
use crossfade::observer::Unobserved;
use crossfade::report::TestReport;
use crossfade::report::TestedMigration;
use crossfade::report::TestedWay;
use crossfade::report::Way;

use crate::drift::beside;
use crate::project::Project;
use crate::project::said;
use crate::server::main_server;

const USERS: (&str, &str) = ("001_users.sql", "CREATE TABLE users (id integer PRIMARY KEY, email text, age integer);");

async fn tested(files: &[(&str, &str)], versions: &[&str], seed: Option<&str>) -> Result<TestReport, Error> {
    // The project's database is never connected to.
    let nowhere = crossfade::Target::from_url("postgres://nobody@127.0.0.1:1/nowhere").expect("the URL is one");
    let project = Project::on(nowhere, files, |_| {});
    let options = TestOptions {
        versions: versions.iter().map(|version| (*version).to_owned()).collect(),
        scratch: beside(main_server()),
        seed: seed.map(|text| ("seed.sql".into(), text.to_owned())),
    };
    project.migrator.test(&options, &mut Unobserved, &Stop::default()).await
}

async fn of(files: &[(&str, &str)], version: &str) -> TestedMigration {
    let report = tested(files, &[version], None).await.unwrap_or_else(|error| panic!("{}", said(&error)));
    report.migrations.into_iter().next().expect("it was asked for")
}

fn ways(migration: &TestedMigration) -> Vec<(Way, bool)> {
    migration.ways.iter().map(|way| (way.way, way.is_right())).collect()
}

fn sentences(way: &TestedWay) -> Vec<&str> {
    way.changes.iter().map(|change| change.sentence.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_down_that_leaves_something_is_named_with_what_would_mend_it() {
    let files = [
        USERS,
        (
            "002_more.sql",
            "CREATE TABLE posts (id integer); CREATE INDEX users_email ON users (email); ALTER TABLE users ALTER age SET DEFAULT 3;",
        ),
        ("002_more_down.sql", "DROP TABLE posts; ALTER TABLE users ALTER age DROP DEFAULT;"),
        ("003_next.sql", "CREATE TABLE next (id integer);"),
        ("003_next_down.sql", "DROP TABLE next;"),
    ];
    let report = tested(&files, &[], None).await.unwrap();
    assert!(!report.is_proven());
    let [first, wrong, right] = report.migrations.as_slice() else { panic!("{report:?}") };
    assert_eq!(first.skipped.as_deref(), Some("it has no down file"));
    assert_eq!(ways(wrong), [(Way::Down, false)]);
    assert_eq!(sentences(&wrong.ways[0]), ["index public.users_email is there, and should not be"]);
    assert_eq!(wrong.ways[0].changes[0].sql, ["DROP INDEX \"public\".\"users_email\""]);
    // What the wrong one left does not stand in the way of the next one.
    assert_eq!(ways(right), [(Way::Down, true), (Way::UpAgain, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_down_that_fails_and_an_up_that_fails_the_second_time_are_named() {
    let fails = of(&[USERS, ("002_x.sql", "CREATE TABLE x ();"), ("002_x_down.sql", "DROP TABLE y;")], "002").await;
    assert_eq!(ways(&fails), [(Way::Down, false)]);
    assert!(
        fails.ways[0]
            .error
            .as_ref()
            .is_some_and(|why| why.contains("\"y\" does not exist") || why.contains("no table")),
        "{fails:?}"
    );
    // The down restores the schema, and something outside of it makes the second time fail.
    let up = "DO $$ BEGIN IF current_setting('x.done', true) = 'yes' THEN RAISE EXCEPTION 'once only'; END IF; END $$; \
              DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET x.done = %L', current_database(), 'yes'); END $$; CREATE TABLE x ();";
    let twice = of(&[USERS, ("002_x.sql", up), ("002_x_down.sql", "DROP TABLE x;")], "002").await;
    assert_eq!(ways(&twice), [(Way::Down, true), (Way::UpAgain, false)]);
    assert!(twice.ways[1].error.as_ref().is_some_and(|why| why.contains("once only")), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_phases_goes_back_from_each() {
    let rename = ("002_rename.sql", "ALTER TABLE users RENAME COLUMN email TO email_address;");
    let without = of(&[USERS, rename], "002").await;
    assert!(without.phased);
    assert_eq!(ways(&without), [(Way::RollbackFromReady, true), (Way::RollbackFromContracted, true)]);
    let down = ("002_rename_down.sql", "ALTER TABLE users RENAME COLUMN email_address TO email;");
    let with = of(&[USERS, rename, down], "002").await;
    assert_eq!(
        ways(&with),
        [(Way::RollbackFromReady, true), (Way::RollbackFromContracted, true), (Way::Down, true), (Way::UpAgain, true)]
    );
    let wrong = ("002_rename_down.sql", "ALTER TABLE users RENAME COLUMN email_address TO mail;");
    let wrong = of(&[USERS, rename, wrong], "002").await;
    assert_eq!(ways(&wrong).last(), Some(&(Way::Down, false)));
    assert_eq!(
        sentences(&wrong.ways[2]),
        ["column public.users.mail is there, and should not be", "column public.users.email is missing"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_down_loses_of_the_rows_is_found_with_a_seed() {
    let files = [
        USERS,
        ("002_age.sql", "-- crossfade: direct nobody reads it\nALTER TABLE users DROP COLUMN age;"),
        ("002_age_down.sql", "ALTER TABLE users ADD COLUMN age integer;"),
        ("003_posts.sql", "CREATE TABLE posts (id integer);"),
        ("003_posts_down.sql", "DROP TABLE posts;"),
    ];
    let seed = "INSERT INTO users (id, email, age) SELECT g, 'u' || g, g FROM generate_series(1, 10) AS g;\n\
                INSERT INTO users (id, email) VALUES (11, 'without an age');\nINSERT INTO nowhere VALUES (1);";
    let report = tested(&files, &[], Some(seed)).await.unwrap();
    let [_, age, posts] = report.migrations.as_slice() else { panic!("{report:?}") };
    assert_eq!((age.seeded, posts.seeded), (Some(2), Some(1)));
    let way = &age.ways[0];
    assert_eq!((way.way, way.error.as_ref(), way.changes.len()), (Way::Down, None, 0));
    let lost: Vec<(&str, i64, i64)> =
        way.rows.iter().map(|rows| (rows.table.as_str(), rows.before, rows.after)).collect();
    assert_eq!(lost, [("public.users", 11, 11)]);
    assert_eq!(ways(posts), [(Way::Down, true), (Way::UpAgain, true)]);
    assert_eq!(report.notes, ["seed.sql:3 fitted nowhere: relation \"nowhere\" does not exist"]);
    // Without rows nothing is lost.
    assert!(tested(&files, &["002"], None).await.unwrap().is_proven());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_a_migration_that_fails_is_not_tried() {
    let files = [
        USERS,
        ("002_broken.sql", "CREATE VIEW broken AS SELECT 1 / 0 AS n FROM nowhere;"),
        ("003_next.sql", "CREATE TABLE next (id integer);"),
        ("003_next_down.sql", "DROP TABLE next;"),
    ];
    let report = tested(&files, &[], None).await.unwrap();
    let [_, broken, next] = report.migrations.as_slice() else { panic!("{report:?}") };
    assert_eq!(ways(broken), [(Way::Up, false)]);
    assert!(next.skipped.as_ref().is_some_and(|why| why.starts_with("what comes before it fails: ")), "{next:?}");
    assert!(!report.is_proven());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_use_is_told_before_anything_is_made() {
    let unknown = tested(&[USERS], &["007"], None).await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no migration 007");
    let seed = tested(&[USERS], &[], Some("INSERT INTO users VALUES (1;")).await.unwrap_err();
    assert_eq!(seed.to_string(), "seed.sql can't be read");
    let stop = Stop::default();
    stop.request();
    let nowhere = crossfade::Target::from_url("postgres://nobody@127.0.0.1:1/nowhere").unwrap();
    let project = Project::on(nowhere, &[USERS], |_| {});
    let options = TestOptions { versions: Vec::new(), scratch: beside(main_server()), seed: None };
    let stopped = project.migrator.test(&options, &mut Unobserved, &stop).await.unwrap_err();
    assert!(stopped.to_string().starts_with("stopped before"), "{stopped}");
}
