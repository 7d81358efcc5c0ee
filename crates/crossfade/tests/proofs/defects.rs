//! Defects of other tools that must not be ours, by their numbers. Those that are cases of the corpus have theirs in the fixture's name;
//! D2 is in `runners`, D6 in `blocked`, D7 in `kill`.

use std::time::Duration;

use crossfade::ErrorKind;
use crossfade::observer::Notice;
use crossfade_core::journal::State;

use crate::clients::in_turn;
use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::RENAME;
use crate::scene::Running;
use crate::scene::Start;
use crate::scene::TABLE;
use crate::scene::WAITS;
use crate::scene::database;
use crate::scene::expanded;
use crate::scene::in_transaction;
use crate::scene::scene;
use crate::scene::until;
use crate::server::run;
use crate::snapshot::Snapshot;

const DIFFERING: &str = "SELECT count(*) FROM t WHERE v IS DISTINCT FROM w";

/// A table that takes several chunks.
const LARGE: &str = "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer, pad text);
    INSERT INTO t SELECT g, 'v' || g, g, repeat('p', 1800) FROM generate_series(1, 1500) AS g;";

/// Dies in the middle of the backfill: some rows are filled, and some are not.
async fn dead_in_the_middle(project: &Project, database: &crate::server::Database) {
    for writes in 4..40 {
        let said = Command::Migrate.on(&project.migrator.clone().crashing_after(writes)).await.expect_err("it dies");
        assert!(said.contains("crashed here"), "{said}");
        let filled = database.value("SELECT count(*) FROM t WHERE w IS NOT NULL").await;
        if !["0", "1500"].contains(&filled.as_str()) {
            return;
        }
    }
    panic!("it never died in the middle of its chunks");
}

#[test]
fn d01_contract_after_a_crash_in_the_backfill_is_refused_and_loses_nothing() {
    run(async {
        let database = database(LARGE).await;
        let project = Project::new(&database, &[("001_case.sql", RENAME)]);
        dead_in_the_middle(&project, &database).await;
        let error = Command::Contract.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", said(&error));
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(database.value(DIFFERING).await, "0");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(database.value("SELECT count(*) FROM t WHERE w IS DISTINCT FROM 'v' || id").await, "0");
    });
}

#[test]
fn d05_after_a_crash_in_the_backfill_it_goes_on_from_its_cursor() {
    run(async {
        let database = database(LARGE).await;
        let project = Project::new(&database, &[("001_case.sql", RENAME)]);
        dead_in_the_middle(&project, &database).await;
        let filled: u64 = database.value("SELECT count(*) FROM t WHERE w IS NOT NULL").await.parse().expect("a count");
        database
            .run("CREATE TABLE before AS SELECT id, xmin::text AS writer FROM t WHERE w IS NOT NULL")
            .await
            .expect("kept");
        let mut watch = Watch::default();
        let state = Command::Migrate.watched(&project.migrator, &mut watch).await.map_err(|error| said(&error));
        assert_eq!(state, Ok(Some(State::Ready)));
        let done = watch.notices.iter().find_map(|notice| match notice {
            Notice::MigrationStarted { done, .. } => Some(*done),
            _ => None,
        });
        assert!(done > Some(0), "it began anew");
        let touched = "SELECT count(*) FROM t JOIN before USING (id) WHERE t.xmin::text <> writer";
        assert_eq!(database.value(touched).await, "0", "of {filled} rows");
    });
}

/// Two migrations stand at their hold. The contract of the second can't get its lock.
async fn second_contract_fails() -> (crate::server::Database, Project, Snapshot, tokio_postgres::Client) {
    let database =
        database(&format!("{TABLE} CREATE TABLE u AS SELECT * FROM t; ALTER TABLE u ADD PRIMARY KEY (id);")).await;
    let was = Snapshot::seen(&database).await;
    let files = [("001_case.sql", RENAME), ("002_other.sql", "ALTER TABLE u RENAME COLUMN v TO w;")];
    let project = Project::with(&database, &files, |config| config.locks.budget = Duration::from_millis(500));
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    let blocker = in_transaction(&database, "SELECT count(*) FROM u").await;
    tokio::time::sleep(Duration::from_millis(350)).await;
    let error = Command::Contract.watched(&project.migrator, &mut Watch::default()).await.expect_err("it fails");
    assert_eq!(error.kind(), ErrorKind::Failed, "{}", said(&error));
    (database, project, was, blocker)
}

#[test]
fn d03_a_contract_that_failed_is_finished_by_the_next() {
    run(async {
        let (database, project, _, blocker) = second_contract_fails().await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(Command::Purge.on(&project.migrator).await, Ok(Some(State::Applied)));
        let columns = "SELECT string_agg(attname, ' ' ORDER BY attrelid::regclass::text, attname) FROM pg_attribute \
                       WHERE attrelid IN ('t'::regclass, 'u'::regclass) AND attnum > 0 AND NOT attisdropped";
        assert_eq!(database.value(columns).await, "id n pad w id n pad w");
    });
}

#[test]
fn d04_after_a_contract_that_failed_everything_can_be_rolled_back() {
    run(async {
        let (database, project, was, blocker) = second_contract_fails().await;
        blocker.batch_execute("COMMIT").await.expect("it commits");
        for _ in 0..2 {
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        }
        assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None);
        assert_eq!(was.row_difference(&Snapshot::seen(&database).await), None);
    });
}

/// The application writes two rows in the opposite order of a chunk, and holds one of them for long.
#[test]
fn d08_d09_the_application_never_loses_a_deadlock_with_a_chunk() {
    run(async {
        let (database, project) = expanded().await;
        let application = in_transaction(&database, "UPDATE t SET n = 0 WHERE id = 590").await;
        let migrate = Running::start(&project, Start::Migrate);
        until(&database, WAITS).await;
        // The chunk has the early rows and waits for a late one; we take it the other way round, again and again.
        for id in [10, 5, 1] {
            let update = format!("UPDATE t SET n = 0, v = 'a' || {id} WHERE id = {id}");
            application.batch_execute(&update).await.unwrap_or_else(|error| panic!("{}", crate::text_of(&error)));
            tokio::time::sleep(Duration::from_millis(350)).await;
        }
        application.batch_execute("COMMIT").await.expect("it commits");
        assert_eq!(migrate.end().await.0.map_err(|error| said(&error)), Ok(Some(State::Ready)));
        assert_eq!(database.value(DIFFERING).await, "0");
        assert_eq!(database.value("SELECT w FROM t WHERE id = 10").await, "a10");
    });
}

/// The side that a write changes decides, and not the session's search path.
#[test]
fn d11_the_search_path_of_a_session_does_not_matter() {
    run(async {
        let (database, project) = scene(RENAME).await;
        database.run("CREATE SCHEMA new").await.expect("it is made");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        for (path, name) in
            [("new, public", "t"), ("new", "public.t"), ("pg_catalog", "public.t"), ("crossfade, public", "t")]
        {
            let client = database.connect().await;
            let sql = format!(
                "SET search_path = {path}; UPDATE {name} SET w = 'new' WHERE id = 1; UPDATE {name} SET v = 'old' WHERE id = 2;
                 INSERT INTO {name} (id, w) VALUES (1001, 'n'); INSERT INTO {name} (id, v) VALUES (1002, 'o')"
            );
            client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{}", crate::text_of(&error)));
            let both = "SELECT string_agg(v || '=' || w, ' ' ORDER BY id) FROM t WHERE id IN (1, 2, 1001, 1002)";
            assert_eq!(database.value(both).await, "new=new old=old n=n o=o", "with {path}");
            database.run("DELETE FROM t WHERE id > 1000").await.expect("they go");
        }
    });
}

#[test]
fn d12_old_code_that_touches_another_column_keeps_what_new_code_wrote() {
    run(async {
        // Upper case can't be taken back: were `down` or `up` applied again, it would show.
        let file = "ALTER TABLE t ADD COLUMN w text;\nUPDATE t SET w = upper(v);\n-- crossfade: down lower(w)\nALTER TABLE t DROP COLUMN v;";
        let (database, project) = scene(file).await;
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let old = ["UPDATE t SET n = n + 1 WHERE id = 7".to_owned()];
        database.run("UPDATE t SET w = 'MiXed' WHERE id = 7").await.expect("new code writes");
        in_turn(&database, "old code", &old, 3).await.expect("old code writes");
        assert_eq!(database.value("SELECT v || ' ' || w FROM t WHERE id = 7").await, "mixed MiXed");
        assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        assert_eq!(database.value("SELECT w FROM t WHERE id = 7").await, "MiXed");
    });
}

/// D17: the stamp of rows that nobody changed does not move, by the data law of its fixture; that of rows that somebody does change does.
#[test]
fn d17_the_users_own_trigger_still_fires_for_the_users_own_writes() {
    run(async {
        let stamp = "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.pad := 'stamped'; RETURN NEW; END $$;
            CREATE TRIGGER stamped BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();";
        let database = database(&format!("{TABLE}{stamp}")).await;
        let project = Project::new(&database, &[("001_case.sql", RENAME)]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(database.value("SELECT count(*) FROM t WHERE pad = 'stamped'").await, "0");
        database.run("UPDATE t SET w = 'x' WHERE id = 1; UPDATE t SET v = 'y' WHERE id = 2").await.expect("both write");
        assert_eq!(database.value("SELECT count(*) FROM t WHERE pad = 'stamped' AND v = w").await, "2");
    });
}

#[test]
fn d22_after_a_bad_type_name_nothing_stands_in_the_way() {
    run(async {
        let (database, project) = scene("ALTER TABLE t ALTER COLUMN n TYPE bigintt;").await;
        let error = Command::Migrate.watched(&project.migrator, &mut Watch::default()).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Refused);
        project.write("001_case.sql", "ALTER TABLE t ALTER COLUMN n TYPE bigint;");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        assert_eq!(database.value("SELECT count(*) FROM crossfade.plans").await, "1");
    });
}

#[test]
fn d23_what_the_catalog_alone_can_say_copies_no_row() {
    run(async {
        let before =
            "CREATE TABLE t (id integer PRIMARY KEY, v varchar(20) NOT NULL, n numeric(8, 2), c cidr, at timestamp(3));
            INSERT INTO t SELECT g, 'v', g FROM generate_series(1, 300) AS g;";
        let files = [
            ("001_widen.sql", "ALTER TABLE t ALTER COLUMN v TYPE varchar(60);"),
            ("002_text.sql", "ALTER TABLE t ALTER COLUMN v TYPE text;"),
            ("003_precision.sql", "ALTER TABLE t ALTER COLUMN n TYPE numeric(12, 2);"),
            (
                "004_default.sql",
                "ALTER TABLE t ALTER COLUMN v SET DEFAULT 'x';\nALTER TABLE t ALTER COLUMN v DROP NOT NULL;",
            ),
            ("005_comment.sql", "COMMENT ON COLUMN t.v IS 'words';"),
            ("006_add.sql", "ALTER TABLE t ADD COLUMN k integer NOT NULL DEFAULT 5;"),
            ("007_inet.sql", "ALTER TABLE t ALTER COLUMN c TYPE inet;"),
            ("008_zone.sql", "SET timezone = 'Etc/UTC';\nALTER TABLE t ALTER COLUMN at TYPE timestamptz;"),
            ("009_back.sql", "SET LOCAL timezone = 'GMT';\nALTER TABLE t ALTER COLUMN at TYPE timestamp;"),
        ];
        let database = database(before).await;
        let node =
            "SELECT relfilenode::text || (SELECT max(xmin::text) FROM t) FROM pg_class WHERE oid = 't'::regclass";
        let was = database.value(node).await;
        let project = Project::new(&database, &files);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
        assert_eq!(database.value(node).await, was);
    });
}

/// D24: the copy's foreign key is added NOT VALID and proven after; one that was validated under its lock would stop all writes.
#[test]
fn d24_a_foreign_key_is_proven_without_a_lock_that_stops_writes() {
    run(async {
        let before = "CREATE TABLE teams (id integer PRIMARY KEY); INSERT INTO teams SELECT generate_series(1, 20);
            CREATE TABLE t (id integer PRIMARY KEY, team integer REFERENCES teams (id));
            INSERT INTO t SELECT g, 1 + g % 20 FROM generate_series(1, 600) AS g;";
        let database = database(before).await;
        let project = Project::new(&database, &[("001_case.sql", "ALTER TABLE t RENAME COLUMN team TO squad;")]);
        let plan = project.migrator.plan(None).await.expect("it is planned").plans.remove(0);
        let text = serde_json::to_string(&plan).expect("plans are data");
        assert!(!text.contains("FOREIGN KEY") || text.contains("NOT VALID"), "{text}");
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let wrong = database.run("INSERT INTO t (id, squad) VALUES (1001, 99)").await;
        assert!(wrong.is_err_and(|said| said.contains("23503")), "new code is held to the foreign key, too");
    });
}
