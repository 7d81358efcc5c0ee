//! A partition is attached without being read: the server itself says that our CHECK proves the bound.

use crossfade_core::journal::State;

use crate::project::Command;
use crate::project::Project;
use crate::scene::in_transaction;
use crate::server::Database;
use crate::server::run;
use crate::server::servers;

/// Columns, key, the bound of a partition that is there, the new one's, and a row for the new one and one for the DEFAULT partition.
type Case = (&'static str, &'static str, &'static str, &'static str, [&'static str; 2]);

const CASES: [Case; 9] = [
    ("id integer", "RANGE (id)", "FROM (0) TO (10)", "FROM (10) TO (20)", ["15", "99"]),
    ("id bigint", "RANGE (id)", "FROM (MINVALUE) TO (10)", "FROM (10) TO ('20')", ["15", "99"]),
    ("n numeric(8,2)", "RANGE (n)", "FROM (0) TO (10)", "FROM (-1.5) TO (0)", ["-1", "99"]),
    (
        "at timestamptz",
        "RANGE (at)",
        "FROM ('2026-01-01') TO ('2026-02-01')",
        "FROM ('2026-02-01') TO ('2026-03-01')",
        ["'2026-02-03'", "'2020-01-01'"],
    ),
    (
        "id integer, k text",
        "RANGE (id, k)",
        "FROM (0, 'a') TO (10, 'm')",
        "FROM (10, 'm') TO (20, 'x')",
        ["15, 'z'", "99, 'a'"],
    ),
    (
        "id integer, k text",
        "RANGE (lower(k), ((id + 1)))",
        "FROM ('a', 1) TO ('b', 1)",
        "FROM ('b', 1) TO ('c', MINVALUE)",
        ["3, 'B'", "1, 'x'"],
    ),
    ("k varchar(10)", "LIST (k)", "IN ('a')", "IN ('b', 'c')", ["'b'", "'x'"]),
    ("k text", "LIST (k)", "IN ('a')", "IN ('b', NULL)", ["NULL", "'x'"]),
    ("k boolean", "LIST (k)", "IN (true)", "IN (false)", ["false", "NULL"]),
];

#[test]
fn an_attached_partition_and_the_default_one_are_not_read() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let (mut before, mut migration) = (String::new(), String::new());
            for (at, (columns, key, there, new, [row, other])) in CASES.iter().enumerate() {
                let name = format!("unread_{at}");
                before.push_str(&format!(
                    "CREATE TABLE {name} ({columns}) PARTITION BY {key};
                     CREATE TABLE {name}_there PARTITION OF {name} FOR VALUES {there};
                     CREATE TABLE {name}_default PARTITION OF {name} DEFAULT;
                     CREATE TABLE {name}_new (LIKE {name});
                     INSERT INTO {name}_new VALUES ({row});
                     INSERT INTO {name} VALUES ({other});
                     INSERT INTO {name}_default SELECT d.* FROM {name}_default AS d, generate_series(1, 10100);
                     ANALYZE {name}_default;\n"
                ));
                migration.push_str(&format!("ALTER TABLE {name} ATTACH PARTITION {name}_new FOR VALUES {new};\n"));
            }
            database.run(&before).await.expect("the tables are made");
            database
                .run(&format!("ALTER DATABASE {} SET log_min_messages = debug1", database.name))
                .await
                .expect("the server says more");
            let project = Project::new(&database, &[("001_attach.sql", &migration)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            let log = std::fs::read_to_string(server.scratch.socket_dir().join("log")).expect("the server has a log");
            for (at, case) in CASES.iter().enumerate() {
                for said in [
                    format!("partition constraint for table \"unread_{at}_new\" is implied by existing constraints"),
                    format!(
                        "updated partition constraint for default partition \"unread_{at}_default\" is implied by existing constraints"
                    ),
                ] {
                    assert!(log.contains(&said), "PostgreSQL {}: {case:?}: {said}", server.major());
                }
            }
        }
    });
}

#[test]
fn a_partition_is_made_without_reading_the_default_one() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before = "CREATE TABLE making (id integer, v text) PARTITION BY RANGE (id);
                CREATE TABLE making_default PARTITION OF making DEFAULT;
                INSERT INTO making SELECT 1000 + g, 'v' FROM generate_series(1, 10100) AS g;
                ANALYZE making_default";
            database.run(before).await.expect("the tables are made");
            let talk = format!("ALTER DATABASE {} SET log_min_messages = debug1", database.name);
            database.run(&talk).await.expect("the server says more");
            let migration = "CREATE TABLE making_new PARTITION OF making FOR VALUES FROM (0) TO (1000);";
            let project = Project::new(&database, &[("001_make.sql", migration)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            let log = std::fs::read_to_string(server.scratch.socket_dir().join("log")).expect("the server has a log");
            let said = "updated partition constraint for default partition \"making_default\" is implied by existing constraints";
            assert!(log.contains(said), "PostgreSQL {}", server.major());
            let left =
                "SELECT count(*) FROM pg_constraint WHERE conrelid = 'making_default'::regclass AND contype = 'c'";
            assert_eq!(database.value(left).await, "0");
        }
    });
}

#[test]
fn a_partition_is_made_while_others_read_and_write_the_parent() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before = "CREATE TABLE busy (id integer PRIMARY KEY, v text) PARTITION BY RANGE (id);
                CREATE TABLE busy_0 PARTITION OF busy FOR VALUES FROM (0) TO (1000);
                INSERT INTO busy SELECT g, 'v' FROM generate_series(1, 300) AS g";
            database.run(before).await.expect("the tables are made");
            let held = "SELECT count(*) FROM busy; UPDATE busy SET v = 'w' WHERE id = 7";
            let holder = in_transaction(&database, held).await;
            let migration = "CREATE TABLE busy_1 PARTITION OF busy FOR VALUES FROM (1000) TO (2000);";
            let project = Project::new(&database, &[("001_make.sql", migration)]);
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Applied)));
            database.run("INSERT INTO busy VALUES (1500, 'v')").await.expect("the partition is there");
            holder.batch_execute("COMMIT").await.expect("it was not disturbed");
        }
    });
}

#[test]
fn a_partition_that_comes_while_a_type_change_waits_is_changed_too() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before = "CREATE TABLE events (id integer, day integer, n integer, UNIQUE (day, id, n), PRIMARY KEY (id, day)) PARTITION BY LIST (day);
                CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
                CREATE INDEX by_id ON events (id DESC);
                INSERT INTO events SELECT g, 1 FROM generate_series(1, 300) AS g";
            database.run(before).await.expect("the tables are made");
            let migration = "ALTER TABLE events ALTER COLUMN id TYPE bigint;";
            let project = Project::new(&database, &[("001_type.sql", migration)]);
            let step = async |command: Command| command.on(&project.migrator).await;
            assert_eq!(step(Command::Migrate).await, Ok(Some(State::Ready)));
            database
                .run("CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2); INSERT INTO events SELECT g, 2 FROM generate_series(1, 300) AS g")
                .await
                .expect("a partition is made");
            assert_eq!(step(Command::Contract).await, Ok(Some(State::Contracted)));
            let complete = "SELECT count(*) || ' ' || bool_and(indisvalid) FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid \
                            AND a.attname = 'id' AND a.attnum = ANY (i.indkey) WHERE i.indrelid::regclass::text LIKE 'events%'";
            assert_eq!(database.value(complete).await, "9 true", "PostgreSQL {}", server.major());
            let twice = database.run("INSERT INTO events (id, day) VALUES (7, 2)").await.expect_err("the key holds");
            assert!(twice.contains("23505"), "{twice}");
            assert_eq!(step(Command::Rollback).await, Ok(Some(State::RolledBack)));
            assert_eq!(database.value(complete).await, "9 true", "PostgreSQL {}", server.major());
            database
                .run("CREATE TABLE events_3 PARTITION OF events FOR VALUES IN (3); INSERT INTO events (id, day) VALUES (7, 3)")
                .await
                .expect("another one is made");
            assert_eq!(step(Command::Migrate).await, Ok(Some(State::Ready)));
            assert_eq!(step(Command::Contract).await, Ok(Some(State::Contracted)));
            assert_eq!(step(Command::Purge).await, Ok(Some(State::Applied)));
            assert_eq!(database.value(complete).await, "12 true", "PostgreSQL {}", server.major());
        }
    });
}

/// Whether all is proven, as far as a dump would say it.
const PROVEN: &str = "SELECT count(*) || ' ' || bool_and(convalidated) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'public'::regnamespace";

#[test]
fn a_foreign_key_between_partitioned_tables_counts_before_and_after_its_type_changes() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before = "CREATE TABLE days (day date, n integer, PRIMARY KEY (day, n)) PARTITION BY RANGE (day);
                CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
                CREATE TABLE marks (day date, n integer, FOREIGN KEY (day, n) REFERENCES days) PARTITION BY RANGE (day);
                CREATE TABLE marks_1 PARTITION OF marks FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
                INSERT INTO days SELECT '2026-01-01', g FROM generate_series(1, 300) AS g;
                INSERT INTO marks SELECT * FROM days";
            database.run(before).await.expect("the tables are made");
            let migration =
                "ALTER TABLE marks ALTER COLUMN n TYPE bigint; ALTER TABLE days ALTER COLUMN n TYPE bigint;";
            let project = Project::new(&database, &[("001_type.sql", migration)]);
            let step = async |command: Command| command.on(&project.migrator).await;
            let counts = async |years: &[u32]| {
                assert_eq!(database.value(PROVEN).await, "1 true", "PostgreSQL {}", server.major());
                for year in years {
                    let nothing = format!("INSERT INTO marks (day, n) VALUES ('{year}-01-01', 301)");
                    let gone = format!("DELETE FROM days WHERE day = '{year}-01-01' AND n = 7");
                    for wrong in [nothing, gone] {
                        let said = database.run(&wrong).await.expect_err(&wrong);
                        assert!(said.contains("23503"), "{wrong} on PostgreSQL {}: {said}", server.major());
                    }
                }
            };
            let year = async |year: u32| {
                let (from, to) = (format!("{year}-01-01"), format!("{}-01-01", year + 1));
                let make = format!(
                    "CREATE TABLE days_{year} PARTITION OF days FOR VALUES FROM ('{from}') TO ('{to}');
                     CREATE TABLE marks_{year} PARTITION OF marks FOR VALUES FROM ('{from}') TO ('{to}');
                     INSERT INTO days (day, n) SELECT '{from}', g FROM generate_series(1, 300) AS g;
                     INSERT INTO marks (day, n) SELECT day, n FROM days WHERE day = '{from}'"
                );
                database.run(&make).await.expect("partitions are made");
            };
            assert_eq!(step(Command::Migrate).await, Ok(Some(State::Ready)));
            year(2027).await;
            counts(&[2026, 2027]).await;
            assert_eq!(step(Command::Contract).await, Ok(Some(State::Contracted)));
            counts(&[2026, 2027]).await;
            year(2028).await;
            assert_eq!(step(Command::Rollback).await, Ok(Some(State::RolledBack)));
            counts(&[2026, 2027, 2028]).await;
            assert_eq!(step(Command::Migrate).await, Ok(Some(State::Ready)));
            assert_eq!(step(Command::Contract).await, Ok(Some(State::Contracted)));
            assert_eq!(step(Command::Purge).await, Ok(Some(State::Applied)));
            counts(&[2026, 2027, 2028]).await;
        }
    });
}

#[test]
fn a_row_that_would_point_to_nothing_by_its_new_type_is_found_before_contract() {
    run(async {
        for server in servers() {
            let database = Database::create(server).await;
            let before = "CREATE TABLE prices (price numeric PRIMARY KEY);
                CREATE TABLE sales (id integer, price numeric REFERENCES prices) PARTITION BY RANGE (id);
                CREATE TABLE sales_1 PARTITION OF sales DEFAULT;
                INSERT INTO prices SELECT g FROM generate_series(1, 300) AS g;
                INSERT INTO prices VALUES (1.5);
                INSERT INTO sales VALUES (1, 1), (2, NULL), (3, 1.5)";
            database.run(before).await.expect("the tables are made");
            let migration = "ALTER TABLE sales ALTER COLUMN price TYPE integer USING price * 1000;";
            let project = Project::new(&database, &[("001_type.sql", migration)]);
            let said = Command::Migrate.on(&project.migrator).await.expect_err("two rows break it");
            assert!(said.contains("2 rows of public.sales would break sales_price_fkey"), "{said}");
            database.run("INSERT INTO prices VALUES (1000), (1500)").await.expect("they point to something");
            assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
            assert_eq!(Command::Contract.on(&project.migrator).await, Ok(Some(State::Contracted)));
            assert_eq!(database.value(PROVEN).await, "1 true", "PostgreSQL {}", server.major());
            assert_eq!(database.value("SELECT string_agg(price::text, ' ' ORDER BY id) FROM sales").await, "1000 1500");
        }
    });
}
