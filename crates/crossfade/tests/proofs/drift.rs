//! Drift: whatever state migrations are in, a database that nobody touched has none; what somebody did by hand is found, and what is printed takes
//! it back.

use crossfade::DriftOptions;
use crossfade::Stop;
use crossfade::Target;
use crossfade::observer::Unobserved;
use crossfade::report::DriftReport;
use crossfade::report::Towards;
use crossfade::scratch::ScratchPlace;
use crossfade_core::journal::State;

use crate::cases;
use crate::fixture::Fixture;
use crate::project::Command;
use crate::project::Project;
use crate::project::said;
use crate::prove;
use crate::scene;
use crate::server::Database;
use crate::server::Server;
use crate::server::main_server;

const SHOP: &str = "CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL DEFAULT '', mood mood);
    CREATE INDEX users_email ON users (email);
    CREATE VIEW mails AS SELECT email FROM users;
    GRANT SELECT ON users TO app_reader;";

/// On the server itself: a private one would cost a second each time.
pub fn beside(server: &Server) -> ScratchPlace {
    ScratchPlace::Server(Box::new(Target::from_url(&server.scratch.url("postgres")).expect("the URL is one")))
}

async fn drift(database: &Database, project: &Project, towards: Towards) -> Result<DriftReport, String> {
    let options = DriftOptions { scratch: beside(database.server), towards };
    let report = project.migrator.drift(&options, &mut Unobserved, &Stop::default()).await;
    report.map_err(|error| said(&error))
}

/// What differs, as sentences.
async fn found(database: &Database, project: &Project) -> Result<Vec<String>, String> {
    let report = drift(database, project, Towards::Migrations).await?;
    Ok(report.changes.into_iter().map(|change| change.sentence).collect())
}

async fn none(when: &str, database: &Database, project: &Project) -> Result<(), String> {
    let found = found(database, project).await?;
    if found.is_empty() { Ok(()) } else { Err(format!("{when}: {}", found.join("; "))) }
}

async fn applied(files: &[(&str, &str)]) -> (Database, Project) {
    let database = scene::database("").await;
    let project = Project::new(&database, files);
    Command::Migrate.on(&project.migrator).await.expect("it migrates");
    (database, project)
}

#[test]
fn a_database_that_nobody_touched_has_no_drift_in_any_state() {
    let wanted = |fixture: &Fixture| {
        fixture.refused.is_none() && fixture.phased && fixture.every_crash && !fixture.before.contains("PUBLICATION")
    };
    prove(cases(std::slice::from_ref(main_server()), wanted), |server, fixture| async move {
        let database = Database::create(server).await;
        let project = Project::new(&database, &[("000_before.sql", &fixture.before)]);
        Command::Migrate.on(&project.migrator).await.map_err(|why| format!("before: {why}"))?;
        project.write("001_case.sql", &fixture.migration);
        let mut state = Command::Migrate.on(&project.migrator).await?;
        none("ready", &database, &project).await?;
        for (when, command, next) in
            [(State::Ready, Command::Contract, "contracted"), (State::Contracted, Command::Purge, "applied")]
        {
            if state == Some(when) {
                state = command.on(&project.migrator).await?;
                none(next, &database, &project).await?;
            }
        }
        Ok(())
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_did_by_hand_is_found_and_taken_back() {
    let (database, project) = applied(&[("001_shop.sql", SHOP)]).await;
    assert_eq!(found(&database, &project).await.unwrap(), Vec::<String>::new());
    let by_hand = "DROP INDEX users_email; ALTER TABLE users ALTER email DROP DEFAULT, ADD COLUMN note text;
        CREATE TABLE left_over (id integer); REVOKE SELECT ON users FROM app_reader; COMMENT ON VIEW mails IS 'mine';";
    database.run(by_hand).await.unwrap();
    let report = drift(&database, &project, Towards::Migrations).await.unwrap();
    let sentences: Vec<&str> = report.changes.iter().map(|change| change.sentence.as_str()).collect();
    assert_eq!(
        sentences,
        [
            "column public.users.note is there, and should not be",
            "table public.left_over is there, and should not be",
            "default of column public.users.email is missing",
            "index public.users_email is missing",
            "table public.users: app_reader lacks SELECT",
            "view public.mails has a comment, and should have none",
        ]
    );
    assert_eq!(report.changes.iter().filter(|change| change.loses_data).count(), 2);
    // The other way round it is what a migration would have to say.
    let reverse = drift(&database, &project, Towards::Database).await.unwrap();
    let statements: Vec<String> = reverse.changes.into_iter().flat_map(|change| change.sql).collect();
    assert!(statements.iter().any(|sql| sql.contains("ADD COLUMN \"note\" text")), "{statements:?}");
    for sql in report.preamble.iter().chain(report.changes.iter().flat_map(|change| &change.sql)) {
        database.run(sql).await.unwrap();
    }
    assert_eq!(found(&database, &project).await.unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_of_the_sync_that_is_gone_is_found() {
    let (database, project) = scene::scene(scene::RENAME).await;
    project.write("000_t.sql", scene::TABLE);
    // The table was there before its history began.
    let baseline = crossfade::BaselineOptions { version: "000".to_owned(), ..crossfade::BaselineOptions::default() };
    project.migrator.baseline(&baseline, &mut Unobserved, &Stop::default()).await.unwrap();
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    none("ready", &database, &project).await.unwrap();
    let trigger = database
        .value("SELECT tgname FROM pg_trigger WHERE tgrelid = 't'::regclass AND NOT tgisinternal LIMIT 1")
        .await;
    database.run(&format!("DROP TRIGGER \"{trigger}\" ON t")).await.unwrap();
    let found = found(&database, &project).await.unwrap();
    assert_eq!(found, [format!("trigger {trigger} of public.t is missing")]);
}

/// Half an expand: what is done of it counts, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_migration_is_compared_as_far_as_it_came() {
    let (database, project) = applied(&[("000_t.sql", scene::TABLE)]).await;
    project.write("001_case.sql", scene::RENAME);
    let died = Command::Migrate.on(&project.migrator.clone().crashing_after(3)).await;
    assert!(died.is_err_and(|said| said.contains("crashed here")));
    none("interrupted", &database, &project).await.unwrap();
    database.run("ALTER TABLE t DROP COLUMN n").await.unwrap();
    assert_eq!(found(&database, &project).await.unwrap(), ["column public.t.n is missing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_or_rolled_back_is_no_drift_and_the_folder_is_not_needed() {
    let (database, project) = applied(&[
        ("001_shop.sql", SHOP),
        ("002_more.sql", "CREATE TABLE more (id integer);"),
        ("002_more_down.sql", "DROP TABLE more;"),
    ])
    .await;
    Command::Rollback.on(&project.migrator).await.unwrap();
    project.write("003_pending.sql", "CREATE TABLE pending (id integer);");
    none("rolled back", &database, &project).await.unwrap();
    // An image with the program alone, or a branch with other files: the journal has the texts.
    std::fs::remove_file(project.path().join("001_shop.sql")).unwrap();
    none("without the file", &database, &project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_names_is_passed_over() {
    let database = scene::database(
        "CREATE SCHEMA audit; CREATE TABLE audit.log (id integer PRIMARY KEY); CREATE TABLE django_log ()",
    )
    .await;
    let ignore = ["schema audit", "public.django_*"].map(str::to_owned).to_vec();
    let project = Project::with(&database, &[("001_shop.sql", SHOP)], |config| config.drift.ignore = ignore);
    Command::Migrate.on(&project.migrator).await.unwrap();
    let report = drift(&database, &project, Towards::Migrations).await.unwrap();
    assert_eq!((report.changes.len(), report.ignored), (0, 6));
}

/// It looks, and makes nothing where it looks; a private server is the usual place to compare on.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_read_finds_the_drift() {
    let (database, project) = applied(&[("001_shop.sql", SHOP)]).await;
    database.run("ALTER TABLE users DROP COLUMN mood").await.unwrap();
    let role = "DO $$ BEGIN CREATE ROLE only_looks LOGIN; EXCEPTION WHEN duplicate_object THEN END $$; GRANT USAGE ON SCHEMA crossfade TO only_looks; \
                GRANT SELECT ON ALL TABLES IN SCHEMA crossfade TO only_looks";
    database.run(role).await.unwrap();
    let reader = Target::from_url(&database.server.scratch.url_as("only_looks", &database.name)).unwrap();
    let looking = Project::on(reader, &[], |_| {});
    let place = ScratchPlace::Private(Some(database.server.scratch.bin_dir().to_owned()));
    let options = DriftOptions { scratch: place, towards: Towards::Migrations };
    let report = looking.migrator.drift(&options, &mut Unobserved, &Stop::default()).await;
    let report = report.unwrap_or_else(|error| panic!("{}", said(&error)));
    let sentences: Vec<&str> = report.changes.iter().map(|change| change.sentence.as_str()).collect();
    assert_eq!(sentences, ["column public.users.mood is missing"]);
    assert!(report.scratch.starts_with("a private server (PostgreSQL "), "{}", report.scratch);
    drop(project);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_database_is_removed_also_when_the_migrations_fail_there() {
    let (database, project) = applied(&[("001_shop.sql", SHOP)]).await;
    // It stands on something that no migration made.
    database.run("CREATE TABLE by_hand (id integer)").await.unwrap();
    project.write("002_view.sql", "CREATE VIEW of_hand AS SELECT * FROM by_hand;");
    Command::Migrate.on(&project.migrator).await.unwrap();
    let maker = "DO $$ BEGIN CREATE ROLE makes_scratch LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN END $$";
    database.run(maker).await.unwrap();
    let url = database.server.scratch.url_as("makes_scratch", "postgres");
    let scratch = ScratchPlace::Server(Box::new(Target::from_url(&url).unwrap()));
    let options = DriftOptions { scratch, towards: Towards::Migrations };
    let why = project.migrator.drift(&options, &mut Unobserved, &Stop::default()).await.unwrap_err();
    let why = said(&why);
    assert!(why.contains("the applied migrations can't be run on an empty database"), "{why}");
    assert!(why.contains("by_hand"), "{why}");
    let stopped = Stop::default();
    stopped.request();
    assert!(project.migrator.drift(&options, &mut Unobserved, &stopped).await.is_err());
    let left = "SELECT count(*) FROM pg_database WHERE datdba = 'makes_scratch'::regrole";
    assert_eq!(database.value(left).await, "0");
}
