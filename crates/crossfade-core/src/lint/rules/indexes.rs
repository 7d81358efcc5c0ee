//! Indexes.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Indexes,
    level: Some(Severity::Error),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE INDEX users_name ON users (name);",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "create-index-blocking",
        title: "CREATE INDEX without CONCURRENTLY",
        effect: "nobody can write to the table while the index is built",
        cost: Some(Cost::build("users", LockMode::Share)),
        bad: "CREATE INDEX users_email ON users (email);",
        good: "CREATE INDEX CONCURRENTLY users_email ON users (email);",
        exceptions: "On a partitioned table CONCURRENTLY is an error: build it on each partition, and attach them to one made with ON ONLY.",
        ..RULE
    },
    Rule {
        name: "drop-index-blocking",
        title: "DROP INDEX without CONCURRENTLY",
        effect: WAITED,
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "DROP INDEX users_name;",
        good: "DROP INDEX CONCURRENTLY users_name;",
        exceptions: "The index of a partitioned table can't be dropped concurrently.",
        ..RULE
    },
    Rule {
        name: "reindex-blocking",
        title: "REINDEX without CONCURRENTLY",
        effect: "nobody can write to the table, and no query can use the index, while it is built again; most reads wait, too, as the planner looks at every index",
        cost: Some(Cost::build("users", LockMode::Share)),
        bad: "REINDEX TABLE users;",
        good: "-- crossfade: no-transaction
REINDEX TABLE CONCURRENTLY users;",
        exceptions: "None from PostgreSQL 12 on.",
        ..RULE
    },
    Rule {
        name: "not-in-transaction",
        title: "what can't run in a transaction, in a file that is one",
        effect: "it fails",
        bad: "ALTER TABLE users ADD COLUMN age integer;
REINDEX TABLE CONCURRENTLY users;",
        good: "-- crossfade: no-transaction
REINDEX TABLE CONCURRENTLY users;",
        exceptions: "CREATE INDEX, DROP INDEX and DETACH PARTITION … CONCURRENTLY are steps of their own where Crossfade runs the file.",
        ..RULE
    },
    Rule {
        name: "index-corruption-14",
        title: "an index that is built CONCURRENTLY on PostgreSQL 14.0 to 14.3",
        effect: "the index may lack rows, and nothing says so: queries miss them, and a unique one lets values in twice",
        bad: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY users_email ON users (email);",
        good: "-- crossfade: no-transaction
DROP INDEX CONCURRENTLY users_name;",
        exceptions: "14.4 and every other major version. It needs the minor version: from a database (--live), or from `server_version = \"14.2\"` in crossfade.toml. \
                     What was built so is mended by REINDEX on a newer server; amcheck finds it.",
        servers: (14, 14),
        source: "release notes of PostgreSQL 14.4: a fault in CREATE INDEX CONCURRENTLY and REINDEX CONCURRENTLY",
        ..RULE
    },
    Rule {
        name: "concurrent-index-if-not-exists",
        level: Some(Severity::Warning),
        title: "CREATE INDEX CONCURRENTLY IF NOT EXISTS",
        effect: "a build that failed leaves an invalid index of this name; the next try then does nothing and calls it done",
        bad: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_email ON users (email);",
        good: "-- crossfade: no-transaction
DROP INDEX CONCURRENTLY IF EXISTS users_email;
CREATE INDEX CONCURRENTLY users_email ON users (email);",
        exceptions: "A DROP INDEX of the same name in front of it. Crossfade clears invalid left-overs by itself.",
        ..RULE
    },
    Rule {
        name: "concurrent-index-unnamed",
        level: Some(Severity::Warning),
        title: "CREATE INDEX CONCURRENTLY without a name",
        effect: "each try that fails leaves one more invalid index, which costs as much at each write as a valid one",
        bad: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY ON users (email);",
        good: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY users_email ON users (email);",
        exceptions: "Crossfade gives it the server's name and clears left-overs.",
        ..RULE
    },
    Rule {
        name: "concurrently-on-partitioned",
        title: "an index of a partitioned table, CONCURRENTLY",
        effect: "it fails",
        setup: "CREATE TABLE events (id bigint, at date) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');",
        bad: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY events_id ON events (id);",
        good: "-- crossfade: no-transaction
CREATE INDEX events_id ON ONLY events (id);
CREATE INDEX CONCURRENTLY events_2024_id ON events_2024 (id);
ALTER INDEX events_id ATTACH PARTITION events_2024_id;",
        exceptions: "Crossfade does the three steps by itself.",
        ..RULE
    },
    Rule {
        name: "slow-index-build",
        level: Some(Severity::Warning),
        title: "an index that takes long to build, although nobody is kept out",
        effect: "the build reads the table and writes the index for all that time: disks and replicas have less for others, and VACUUM can't take away dead rows of any table; \
                 a transaction that is open for long makes it longer still",
        bad: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY users_email ON users (email);",
        good: "-- crossfade: no-transaction
DROP INDEX CONCURRENTLY users_name;",
        exceptions: "Found where the database says that the build takes ten minutes or more (`--live`: by rows, or as earlier runs measured it), or where `big_tables` names the table. \
                     Run it when little goes on; Crossfade goes on where it stopped, and `crossfade plan --format markdown` says how long.",
        source: "the manual, CREATE INDEX, building indexes concurrently",
        ..RULE
    },
    Rule {
        name: "replace-index-order",
        level: Some(Severity::Warning),
        title: "an index that is dropped before the one in its place is built",
        effect: "queries have no index for as long as the build takes",
        bad: "-- crossfade: no-transaction
DROP INDEX CONCURRENTLY users_name;
CREATE INDEX CONCURRENTLY users_name_email ON users (name, email);",
        good: "-- crossfade: no-transaction
CREATE INDEX CONCURRENTLY users_name_email ON users (name, email);
DROP INDEX CONCURRENTLY users_name;",
        exceptions: "One of the same name: it may be invalid.",
        source: "queries that the dropped index served",
        ..RULE
    },
    Rule {
        name: "redundant-index",
        level: Some(Severity::Note),
        title: "an index over the first columns of another one",
        effect: "each write keeps both; the longer one serves the same queries",
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE INDEX users_name_email ON users (name, email);",
        bad: "CREATE INDEX CONCURRENTLY users_name ON users (name);",
        good: "CREATE INDEX CONCURRENTLY users_email ON users (email);",
        exceptions: "A unique one says something of its own; one with a condition or another access method is another one.",
        source: "how btree indexes are searched",
        ..RULE
    },
];
