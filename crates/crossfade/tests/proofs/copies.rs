//! What somebody makes on a column that goes while old and new code live: the copy of a renamed one, or one whose type changes. It would go with
//! the column, so contract names it and waits.

use crossfade::ErrorKind;
use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::server::Database;
use crate::server::main_server;
use crate::server::run;
use crate::server::servers;

const BEFORE: &str = "CREATE TABLE \"T\" (id integer PRIMARY KEY, v text UNIQUE, n integer) ;
    CREATE TABLE p (id integer, v text, n integer) PARTITION BY RANGE (id);
    CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (0) TO (200);
    CREATE INDEX p_v ON p (v);
    CREATE TABLE kinds (name text PRIMARY KEY);
    CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    INSERT INTO \"T\" SELECT g, 'v' || g, g FROM generate_series(1, 100) AS g;
    INSERT INTO kinds SELECT v FROM \"T\";
    INSERT INTO p SELECT g, 'v' || g, g FROM generate_series(1, 100) AS g;";

const RENAME: &str = "ALTER TABLE \"T\" RENAME COLUMN v TO \"W\"; ALTER TABLE p RENAME COLUMN v TO \"W\";";

/// What is made by hand, how contract names it, and what takes it away.
const MADE: [(&str, &str, &str); 9] = [
    ("CREATE INDEX by_hand ON \"T\" (\"W\")", "index by_hand is on", "DROP INDEX by_hand"),
    ("CREATE INDEX by_hand ON \"T\" (n, lower(\"W\"))", "index by_hand is on", "DROP INDEX by_hand"),
    ("CREATE INDEX by_hand ON p_1 (n) WHERE \"W\" > 'v'", "index by_hand is on", "DROP INDEX by_hand"),
    ("CREATE STATISTICS by_hand ON n, \"W\" FROM \"T\"", "statistics object by_hand is on", "DROP STATISTICS by_hand"),
    (
        "ALTER TABLE \"T\" ADD CONSTRAINT by_hand CHECK (\"W\" <> '')",
        "constraint by_hand on table \"T\" is on",
        "ALTER TABLE \"T\" DROP CONSTRAINT by_hand",
    ),
    (
        "ALTER TABLE \"T\" ADD CONSTRAINT by_hand FOREIGN KEY (\"W\") REFERENCES kinds",
        "constraint by_hand on table \"T\" is on",
        "ALTER TABLE \"T\" DROP CONSTRAINT by_hand",
    ),
    (
        "CREATE TRIGGER by_hand AFTER UPDATE OF \"W\" ON \"T\" FOR EACH ROW EXECUTE FUNCTION nothing()",
        "trigger by_hand on table \"T\" is on",
        "DROP TRIGGER by_hand ON \"T\"",
    ),
    (
        "ALTER TABLE \"T\" ALTER COLUMN \"W\" SET DEFAULT 'x'",
        "default value for column W of table \"T\" is on",
        "ALTER TABLE \"T\" ALTER COLUMN \"W\" DROP DEFAULT",
    ),
    (
        "ALTER TABLE \"T\" ALTER COLUMN \"W\" SET NOT NULL",
        "NOT NULL is on",
        "ALTER TABLE \"T\" ALTER COLUMN \"W\" DROP NOT NULL",
    ),
];

#[test]
fn what_is_made_by_hand_on_the_copy_of_a_renamed_column_holds_contract_up_and_is_named() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run(BEFORE).await.expect("it is SQL");
            let project = Project::new(&database, &[("001_case.sql", RENAME)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
            for (make, named, drop) in MADE {
                database.run(make).await.unwrap_or_else(|error| panic!("{make}: {error}"));
                let contract = Command::Contract.watched(&project.migrator, &mut Watch::default()).await;
                let error = contract.expect_err("it would be lost");
                let said = said(&error);
                assert_eq!(error.kind(), ErrorKind::Refused, "{said}");
                let place = if make.contains("p_1") { "\"p\"" } else { "\"T\"" };
                let named = format!("{named} \"W\" of \"public\".{place}, a copy that goes ");
                assert!(said.contains(&named), "{} on {}: {said}", make, server.major());
                assert!(!said.contains("_cf_") && !said.contains("zzz_"), "our own things are not meant: {said}");
                assert!(said.contains("which becomes"), "{said}");
                database.run(drop).await.expect("it is dropped");
            }
            assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
        }
    });
}

/// What was true when it was asserted is asked again in the transaction that goes by it.
#[test]
fn what_is_made_on_the_copy_between_two_runs_of_contract_is_found_too() {
    run(async {
        let mut tried = 0;
        for writes in 1..20 {
            let database = Database::create(main_server()).await;
            database.run(BEFORE).await.expect("it is SQL");
            let project = Project::new(&database, &[("001_case.sql", RENAME)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
            let _ = Command::Contract.on(&project.migrator.clone().crashing_after(writes)).await;
            if database.value("SELECT (to_regclass('\"T\"') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = '\"T\"'::regclass AND attname = 'v'))::text").await == "false" {
                break;
            }
            database.run("CREATE INDEX by_hand ON \"T\" (\"W\")").await.expect("the copy is there");
            let said = Command::Contract.on(&project.migrator).await.expect_err("it would be lost");
            assert!(said.contains("index by_hand is on \"W\" of \"public\".\"T\""), "after {writes}: {said}");
            tried += 1;
        }
        assert!(tried > 3, "it was tried at {tried} places");
    });
}

/// What is made by hand on a column whose type changes, how contract names it, and what takes it away.
const MADE_ON_OLD: [(&str, &str, &str); 11] = [
    // One of another table's that points to it; the name may be that of a constraint which was there.
    (
        "ALTER TABLE kinds ADD CONSTRAINT by_hand FOREIGN KEY (k) REFERENCES \"T\" (k) NOT VALID",
        "constraint by_hand on table kinds is on k of",
        "ALTER TABLE kinds DROP CONSTRAINT by_hand",
    ),
    (
        "ALTER TABLE pointer ADD CONSTRAINT was_there FOREIGN KEY (k, k) REFERENCES \"T\" (id, k)",
        "constraint was_there on table pointer is on k of",
        "ALTER TABLE pointer DROP CONSTRAINT was_there",
    ),
    ("CREATE INDEX by_hand ON \"T\" (n)", "index by_hand is on n of", "DROP INDEX by_hand"),
    ("CREATE INDEX by_hand ON \"T\" (v, (n + 1))", "index by_hand is on n of", "DROP INDEX by_hand"),
    ("CREATE INDEX by_hand ON p_1 (id) WHERE n > 3", "index by_hand is on n of", "DROP INDEX by_hand"),
    (
        "ALTER TABLE \"T\" ADD CONSTRAINT by_hand UNIQUE (n)",
        "constraint by_hand on table \"T\" is on n of",
        "ALTER TABLE \"T\" DROP CONSTRAINT by_hand",
    ),
    (
        "ALTER TABLE \"T\" ADD CONSTRAINT by_hand CHECK (n > 0) NOT VALID",
        "constraint by_hand on table \"T\" is on n of",
        "ALTER TABLE \"T\" DROP CONSTRAINT by_hand",
    ),
    (
        "CREATE VIEW by_hand AS SELECT id FROM \"T\" WHERE n > 3",
        "rule _RETURN on view by_hand is on n of",
        "DROP VIEW by_hand",
    ),
    (
        "CREATE TRIGGER by_hand BEFORE UPDATE OF n ON \"T\" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "trigger by_hand on table \"T\" is on n of",
        "DROP TRIGGER by_hand ON \"T\"",
    ),
    (
        "CREATE POLICY by_hand ON \"T\" USING (n > 0)",
        "policy by_hand on table \"T\" is on n of",
        "DROP POLICY by_hand ON \"T\"",
    ),
    // Behind this one the contract of the others is done.
    (
        "ALTER TABLE p ADD CONSTRAINT by_hand CHECK (n > 0)",
        "constraint by_hand on table p is on n of",
        "ALTER TABLE p DROP CONSTRAINT by_hand",
    ),
];

#[test]
fn what_is_made_by_hand_on_a_column_whose_type_changes_holds_contract_up_and_is_named() {
    const RETYPE: &str = "ALTER TABLE \"T\" ALTER COLUMN n TYPE bigint; ALTER TABLE \"T\" ALTER COLUMN k TYPE bigint;
        ALTER TABLE p ALTER COLUMN n TYPE bigint;";
    const KEYS: &str = "ALTER TABLE \"T\" ADD COLUMN k integer UNIQUE, ADD UNIQUE (id, k);
        ALTER TABLE kinds ADD COLUMN k integer CONSTRAINT was_there REFERENCES \"T\" (k);
        CREATE TABLE pointer (k integer);";
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            database.run(BEFORE).await.expect("it is SQL");
            database.run(KEYS).await.expect("it is SQL");
            database.run("CREATE INDEX p_n ON p (n); ALTER TABLE \"T\" ADD CHECK (n < 1000)").await.expect("it is SQL");
            let project = Project::new(&database, &[("001_case.sql", RETYPE)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
            // A new partition has what its parent has, and that is known.
            database.run("CREATE TABLE p_2 PARTITION OF p FOR VALUES FROM (200) TO (300)").await.expect("it is made");
            for (make, named, drop) in MADE_ON_OLD {
                database.run(make).await.unwrap_or_else(|error| panic!("{make}: {error}"));
                let contract = Command::Contract.watched(&project.migrator, &mut Watch::default()).await;
                let error = contract.err().unwrap_or_else(|| panic!("{make} on {}: it would be lost", server.major()));
                let said = said(&error);
                assert_eq!(error.kind(), ErrorKind::Refused, "{said}");
                assert!(said.contains(named), "{make} on {}: {said}", server.major());
                assert!(said.contains("make it anew"), "{said}");
                database.run(drop).await.expect("it is dropped");
            }
            assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
            assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
        }
    });
}
