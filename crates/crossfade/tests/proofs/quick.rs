//! Many small files on an empty database, each in one transaction with its record: they end as if each had gone the ordinary way.

use crossfade::ErrorKind;
use crossfade::Target;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::server::Database;
use crate::server::connect;
use crate::server::folders;
use crate::server::run;
use crate::server::servers;
use crate::server::start_with;
use crate::snapshot::Snapshot;

/// What small files do, in turn, with the table of their turn.
fn statement(at: usize) -> String {
    let t = format!("t{}", at / 8);
    match at % 8 {
        0 => format!(
            "CREATE TABLE {t} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL DEFAULT 'x');"
        ),
        1 => format!("ALTER TABLE {t} ADD COLUMN email text;\nCOMMENT ON COLUMN {t}.email IS 'where to';"),
        2 => format!("CREATE UNIQUE INDEX {t}_email ON {t} (email);"),
        3 => format!("INSERT INTO {t} (email) VALUES ('a'), ('b');"),
        4 => format!("ALTER TABLE {t} RENAME COLUMN name TO title;"),
        5 => format!("UPDATE {t} SET title = 'y' WHERE email = 'a';"),
        6 => {
            format!("ALTER TABLE {t} ALTER COLUMN title TYPE varchar(9), ADD CONSTRAINT {t}_title CHECK (title <> '');")
        }
        _ => format!("-- nothing for {t}"),
    }
}

fn files(count: usize) -> Vec<(String, String)> {
    (0..count).map(|at| (format!("{:04}_small.sql", at + 1), statement(at))).collect()
}

fn borrowed(files: &[(String, String)]) -> Vec<(&str, &str)> {
    files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

#[test]
fn small_files_end_as_psql_would_end_and_each_has_its_record() {
    run(async {
        for server in servers() {
            let direct = Database::create(server).await;
            let database = Database::create(server).await;
            let files = files(40);
            for (_, text) in &files {
                direct.run(text).await.expect("psql runs it");
            }
            let project = Project::new(&database, &borrowed(&files));
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            let (expected, found) = (Snapshot::take(&direct).await, Snapshot::take(&database).await);
            assert_eq!(expected.schema_difference(&found), None, "on {}", server.major());
            let tracked = "SELECT count(*) FROM crossfade.schema_migrations AS m JOIN crossfade.plans AS p ON p.id = m.plan_id AND p.version = m.version \
                 WHERE state = 'applied' AND applied_at IS NOT NULL AND checksum LIKE 'sha256:%' AND p.up_sql <> ''";
            assert_eq!(database.value(tracked).await, "40");
            let events = "SELECT count(DISTINCT plan_id) || ' ' || count(*) FILTER (WHERE event::text LIKE '%step_succeeded%') FROM crossfade.events";
            assert_eq!(database.value(events).await, "40 35");
            // Most of them were committed once.
            let transactions = "SELECT count(DISTINCT xmin::text) FROM crossfade.events";
            assert_eq!(database.value(transactions).await, "40", "on {}", server.major());
        }
    });
}

/// Where one fails, it fails as it always does: with its place, and nothing of it stays.
#[test]
fn a_small_file_that_fails_is_named_and_those_before_it_stay() {
    run(async {
        let database = crate::scene::database("SELECT 1").await;
        let mut files = files(12);
        files[11].1 = "INSERT INTO t1 (email) VALUES ('c');\nINSERT INTO t1 (email) VALUES ('c');\n".to_owned();
        let project = Project::new(&database, &borrowed(&files));
        let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("it fails");
        assert_eq!(error.kind(), ErrorKind::Failed);
        let found = error.findings().first().expect("it has a place");
        let span = found.findings.first().and_then(|finding| finding.span).expect("it has a place");
        assert_eq!(
            (found.path.ends_with("0012_small.sql"), span.line_and_column(&found.text).0),
            (true, 2),
            "{}",
            said(&error)
        );
        let states = "SELECT string_agg(state || ' ' || n, ', ' ORDER BY state) FROM (SELECT state, count(*) AS n FROM crossfade.schema_migrations GROUP BY 1) AS s";
        assert_eq!(database.value(states).await, "applied 11, failed 1");
        assert_eq!(database.value("SELECT count(*) FROM t1").await, "0");
        project.write("0012_small.sql", &statement(11));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    });
}

/// What a file does to its session, and what can't be foreseen from its text, goes the ordinary way, and the files behind it see what it made.
#[test]
fn files_of_other_kinds_in_between_are_seen_by_those_behind_them() {
    run(async {
        let database = crate::scene::database("SELECT 1").await;
        let texts = [
            "CREATE TABLE a (id integer);",
            "SET search_path = pg_catalog;\nCREATE TYPE public.mood AS ENUM ('good');\nSET ROLE app_reader;",
            "ALTER TABLE a ADD COLUMN mood mood;",
            "DO $$ BEGIN CREATE TABLE made (id integer); END $$;",
            "ALTER TABLE made ADD COLUMN n integer;\nINSERT INTO made VALUES (1, 2);",
            "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('role', 'app_reader', false); RETURN NEW; END $$;",
            "CREATE TRIGGER leave BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION leave();",
            "INSERT INTO a (id) VALUES (1);",
            "CREATE TABLE b (id integer REFERENCES gone);",
        ];
        let files: Vec<(String, &str)> =
            texts.iter().enumerate().map(|(at, text)| (format!("{:03}_x.sql", at + 1), *text)).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        let project = Project::new(&database, &files);
        let error =
            Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("the last one fails");
        assert!(said(&error).contains("gone"), "{}", said(&error));
        assert_eq!(
            database.value("SELECT count(*) FROM crossfade.schema_migrations WHERE state = 'applied'").await,
            "8"
        );
        assert_eq!(
            database.value("SELECT string_agg(tableowner, ',') FROM pg_tables WHERE schemaname = 'public'").await,
            "postgres,postgres"
        );
        assert_eq!(database.value("SELECT sum(n) FROM made").await, "2");
    });
}

/// A command that has ended has its work on disk, though its small transactions did not wait for that.
#[test]
fn after_the_command_a_crash_of_the_server_takes_nothing_away() {
    run(async {
        let folder = folders().into_iter().next().expect("there is a server");
        let mut server = start_with(folder, &[("wal_writer_delay", "10s"), ("synchronous_commit", "on")]);
        let url = server.url("postgres");
        let files = files(30);
        let project = Project::on(Target::from_url(&url).expect("the URL is one"), &borrowed(&files), |_| {});
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        server.crash().expect("it ends");
        server.start_again().expect("it comes back");
        let client = connect(&url).await;
        let row = client.query_one("SELECT count(*) FROM crossfade.schema_migrations", &[]).await.expect("it is there");
        assert_eq!(row.get::<_, i64>(0), 30);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
    });
}
