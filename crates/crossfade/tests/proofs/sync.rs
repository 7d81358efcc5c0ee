//! The table of the design: which side of a row a write changes decides what the other side gets.

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::scene::database;
use crate::server::Database;
use crate::server::Server;
use crate::server::run;
use crate::server::servers;
use crate::snapshot::Snapshot;

const PRODUCTS: &str = "CREATE TABLE p (id integer PRIMARY KEY, price numeric(10, 2) NOT NULL DEFAULT 5, note text);
    INSERT INTO p SELECT g, g / 100.0 FROM generate_series(1, 300) AS g;";

const CENTS: &str = "ALTER TABLE p ADD COLUMN cents integer;\nUPDATE p SET cents = (price * 100)::integer;\n\
    -- crossfade: down cents / 100.0\nALTER TABLE p DROP COLUMN price;";

/// What a write is, and what `price cents` of its row is after.
const TABLE: [(&str, &str, &str); 11] = [
    ("INSERT, only the old side", "INSERT INTO p (id, price) VALUES (1000, 1.25)", "1.25 125"),
    (
        "INSERT, only the new side, and the old has a default",
        "INSERT INTO p (id, cents) VALUES (1000, 250)",
        "2.50 250",
    ),
    ("INSERT, both sides", "INSERT INTO p (id, price, cents) VALUES (1000, 1, 777)", "1.00 777"),
    ("INSERT, neither side", "INSERT INTO p (id) VALUES (1000)", "5.00 500"),
    ("UPDATE of the old side", "UPDATE p SET price = 9 WHERE id = 1", "9.00 900"),
    ("UPDATE of the new side", "UPDATE p SET cents = 42 WHERE id = 1", "0.42 42"),
    ("UPDATE of both sides", "UPDATE p SET price = 3, cents = 888 WHERE id = 1", "3.00 888"),
    ("UPDATE of neither side", "UPDATE p SET note = 'x' WHERE id = 1", "0.01 1"),
    ("UPDATE to the same value", "UPDATE p SET price = price, cents = cents WHERE id = 1", "0.01 1"),
    (
        "INSERT … ON CONFLICT DO UPDATE",
        "INSERT INTO p (id, price) VALUES (1, 8) ON CONFLICT (id) DO UPDATE SET price = EXCLUDED.price",
        "8.00 800",
    ),
    ("COPY, by way of INSERT … SELECT", "INSERT INTO p (id, price) SELECT 1000, 7", "7.00 700"),
];

#[test]
fn the_side_that_a_write_changes_decides() {
    run(async {
        let database = database(PRODUCTS).await;
        let project = Project::new(&database, &[("001_cents.sql", CENTS)]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let client = database.connect().await;
        let mut failures = Vec::new();
        for (what, write, wanted) in TABLE {
            client.batch_execute("BEGIN").await.expect("a transaction begins");
            client.batch_execute(write).await.unwrap_or_else(|error| panic!("{what}: {}", crate::text_of(&error)));
            let read = "SELECT price || ' ' || cents FROM p WHERE id IN (1, 1000) ORDER BY id DESC LIMIT 1";
            let row = client.query_one(read, &[]).await.expect("the row is there");
            let is: String = row.get(0);
            if is != wanted {
                failures.push(format!("{what}: {is}, not {wanted}"));
            }
            client.batch_execute("ROLLBACK").await.expect("it is taken back");
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    });
}

/// While rows are being filled, an unrelated write to a row that is not filled yet fills it: it may move out of the sweep's way.
#[test]
fn a_write_to_a_row_that_is_not_filled_yet_fills_it() {
    run(async {
        let (database, _project) = crate::scene::expanded().await;
        database.run("UPDATE t SET n = n + 1 WHERE id = 7").await.expect("old code writes");
        assert_eq!(database.value("SELECT w FROM t WHERE id = 7").await, "v7");
        assert_eq!(database.value("SELECT count(w) FROM t").await, "1");
    });
}

/// The soak found it: between the end of the mending and the sweep that makes mended values again what they were, old code may write such a row. Its
/// value is nobody's mended one any more.
#[test]
fn a_write_to_a_mended_row_while_it_goes_back_is_kept() {
    const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, v integer, n integer);
        INSERT INTO t SELECT g, nullif(g % 3, 0), g FROM generate_series(1, 300) AS g;";
    let files = [
        "-- crossfade: up coalesce(v, 0)\nALTER TABLE t ALTER COLUMN v SET NOT NULL;",
        "-- crossfade: up(v) coalesce(v, 0)\nALTER TABLE t ADD CONSTRAINT t_v CHECK (v IS NOT NULL AND v >= 0);",
    ];
    run(async {
        for (text, contracted) in files.into_iter().flat_map(|text| [(text, false), (text, true)]) {
            for writes in 1.. {
                let database = database(TABLE).await;
                let project = Project::new(&database, &[("001_case.sql", text)]);
                assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
                if contracted {
                    assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
                }
                let died = Command::Rollback.on(&project.migrator.clone().crashing_after(writes)).await.is_err();
                database
                    .run("UPDATE t SET v = 77 WHERE id = 3; UPDATE t SET n = 0 WHERE id = 6")
                    .await
                    .expect("old code writes");
                let state = Command::Rollback.on(&project.migrator).await;
                assert!(matches!(state, Ok(Some(State::RolledBack) | None)), "{state:?}");
                let rows = database
                    .value("SELECT string_agg(concat(id, '=', v), ' ' ORDER BY id) FROM t WHERE id IN (3, 6, 7)")
                    .await;
                assert_eq!(rows, "3=77 6= 7=1", "after {writes} writes, contracted: {contracted}: {text}");
                assert_eq!(database.value("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'zzz%'").await, "0");
                if !died {
                    break;
                }
            }
        }
    });
}

/// While a unique column has two names or two types it has two unique indexes, and ON CONFLICT looks into one of them.
#[test]
fn sessions_that_upsert_one_key_see_no_error() {
    let files = [
        ("ALTER TABLE t RENAME COLUMN mail TO email;", "email"),
        ("ALTER TABLE t ALTER COLUMN mail TYPE varchar(80);", "mail"),
    ];
    run(async {
        for (server, (text, new)) in servers().iter().flat_map(|server| files.map(|file| (server, file))) {
            let database = Database::create(server).await;
            // An update of what is in an index makes a new entry in every index.
            let before = "CREATE TABLE t (id bigserial PRIMARY KEY, mail text UNIQUE, n integer);
                CREATE INDEX ON t (n); INSERT INTO t (mail, n) VALUES ('k1', 1), ('k2', 1);";
            database.run(before).await.expect("it is SQL");
            let project = Project::new(&database, &[("001_case.sql", text)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
            let upserts = |name: &str| {
                [
                    format!(
                        "INSERT INTO t ({name}, n) VALUES ('k' || (random() * 2)::integer, 1) ON CONFLICT ({name}) DO UPDATE SET n = t.n + 1"
                    ),
                    format!("INSERT INTO t ({name}, n) VALUES ('k1', 1) ON CONFLICT ({name}) DO NOTHING"),
                    format!("DELETE FROM t WHERE {name} = 'k' || (random() * 6)::integer"),
                ]
            };
            let (old, new) = (upserts("mail"), upserts(new));
            let client = |who, statements| crate::clients::in_turn(&database, who, statements, 200);
            let seen = tokio::join!(
                client("old code", &old),
                client("new code", &new),
                client("old code", &old),
                client("new code", &new),
                client("old code", &old),
                client("new code", &new),
            );
            let seen =
                [seen.0, seen.1, seen.2, seen.3, seen.4, seen.5].into_iter().collect::<Result<Vec<()>, String>>();
            assert_eq!(seen.map(drop), Ok(()), "on {}: {text}", server.major());
        }
    });
}

/// Who waits for a row has the key in its hands, and who has the row wants the key: neither waits for the other for ever.
#[test]
fn a_key_that_is_deleted_and_inserted_again_is_no_deadlock() {
    run(async {
        let database = database("CREATE TABLE t (id bigserial PRIMARY KEY, mail text UNIQUE, n integer DEFAULT 1); INSERT INTO t (mail) VALUES ('k')").await;
        let project = Project::new(&database, &[("001_case.sql", "ALTER TABLE t RENAME COLUMN mail TO email;")]);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        let (one, other) = (database.connect().await, database.connect().await);
        one.batch_execute("BEGIN; DELETE FROM t WHERE mail = 'k'").await.expect("the row is there");
        let waits = tokio::spawn(async move {
            other.batch_execute("INSERT INTO t (email) VALUES ('k') ON CONFLICT (email) DO UPDATE SET n = 5").await
        });
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'";
        while database.value(waiting).await != "1" {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        one.batch_execute("INSERT INTO t (mail) VALUES ('k'); COMMIT").await.expect("nobody has the key");
        waits.await.expect("it does not panic").expect("it finds the row");
        assert_eq!(database.value("SELECT string_agg(concat_ws(' ', mail, email, n), ',') FROM t").await, "k k 5");
    });
}

/// Of a row without a value for the old column: while old code reads it, the write fails, as it would leave NULL where none may be; behind contract
/// it goes through, and the way back asks for the value.
#[test]
fn what_has_no_old_value_is_refused_before_contract_and_asked_for_on_the_way_back() {
    run(async {
        for server in servers() {
            no_old_value(server).await;
        }
    });
}

async fn no_old_value(server: &'static Server) {
    let database = Database::create(server).await;
    let before = "CREATE TABLE p (id integer PRIMARY KEY, price numeric(10, 2) NOT NULL);
            INSERT INTO p SELECT g, g / 100.0 FROM generate_series(1, 300) AS g;";
    database.run(before).await.expect("it is SQL");
    let project = Project::new(&database, &[("001_cents.sql", CENTS)]);
    let was = Snapshot::seen(&database).await;
    assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
    let without = ["INSERT INTO p (id) VALUES (1000)", "UPDATE p SET cents = NULL WHERE id = 7"];
    for write in without {
        let refused = database.run(write).await.expect_err("old code reads a price from each row");
        assert!(refused.contains("null value in column \"price\""), "{}", refused);
    }
    assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
    for write in without {
        database.run(write).await.unwrap_or_else(|error| panic!("{write}: {}", error));
    }
    let refused = Command::Rollback.on(&project.migrator).await.expect_err("two rows have no price");
    assert!(refused.contains("2 rows of public.p have no price"), "{refused}");
    database.run("UPDATE p SET cents = 5 WHERE id = 7").await.expect("new code still works");
    database.run("UPDATE p SET _cf_old_001_price = 9 WHERE id = 1000").await.expect("as the help says");
    assert_eq!(Command::Rollback.on(&project.migrator).await, Ok(Some(State::RolledBack)));
    assert_eq!(was.schema_difference(&Snapshot::seen(&database).await), None, "on {}", server.major());
    let rows = "SELECT string_agg(concat_ws(' ', id, price), ', ' ORDER BY id) FROM p WHERE id IN (7, 8, 1000)";
    assert_eq!(database.value(rows).await, "7 0.05, 8 0.08, 1000 9.00");
}
