//! Rewrites, maintenance, materialized views, explicit locks.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Maintenance,
    level: Some(Severity::Error),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text);
INSERT INTO users VALUES (1, 'a@b');
CREATE MATERIALIZED VIEW mails AS SELECT id, email FROM users;
CREATE UNIQUE INDEX mails_id ON mails (id);",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "vacuum-full",
        title: "VACUUM FULL",
        effect: REWRITTEN,
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        bad: "-- crossfade: no-transaction\nVACUUM FULL users;",
        good: "-- crossfade: no-transaction\nVACUUM users;",
        exceptions: "pg_repack and pg_squeeze do the same beside the running code.",
        ..RULE
    },
    Rule {
        name: "cluster",
        title: "CLUSTER",
        effect: REWRITTEN,
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        bad: "CLUSTER users USING users_pkey;",
        good: "ALTER TABLE users CLUSTER ON users_pkey;",
        exceptions: "pg_repack does the same beside the running code.",
        ..RULE
    },
    Rule {
        name: "set-logged",
        title: "SET LOGGED and SET UNLOGGED",
        effect: REWRITTEN,
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users SET UNLOGGED;",
        good: "CREATE UNLOGGED TABLE cache (id bigint PRIMARY KEY);",
        exceptions: "A table that is so already.",
        ..RULE
    },
    Rule {
        name: "set-tablespace",
        title: "SET TABLESPACE",
        effect: "all files of the table are copied; nobody can read it or write to it until that is done",
        cost: Some(Cost::copy("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users SET TABLESPACE fast;",
        good: "CREATE TABLE users_new (id bigint PRIMARY KEY, email text);",
        exceptions: "The tablespace that it is in already. Indexes can be moved one by one by REINDEX (TABLESPACE …) CONCURRENTLY.",
        ..RULE
    },
    Rule {
        name: "set-access-method",
        title: "SET ACCESS METHOD",
        effect: REWRITTEN,
        servers: (15, 18),
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        setup: "CREATE ACCESS METHOD columnar TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE users (id bigint PRIMARY KEY, email text);
INSERT INTO users VALUES (1, 'a@b');",
        bad: "ALTER TABLE users SET ACCESS METHOD columnar;",
        good: "CREATE TABLE users_new (id bigint PRIMARY KEY, email text);",
        exceptions: "The access method that it has already.",
        ..RULE
    },
    Rule {
        name: "refresh-materialized-view",
        title: "REFRESH MATERIALIZED VIEW without CONCURRENTLY",
        effect: "nobody can read the view for as long as its query takes",
        cost: Some(Cost::rewrite("mails", LockMode::AccessExclusive)),
        bad: "REFRESH MATERIALIZED VIEW mails;",
        good: "REFRESH MATERIALIZED VIEW CONCURRENTLY mails;",
        exceptions: "CONCURRENTLY needs a unique index over columns, without a condition.",
        ..RULE
    },
    Rule {
        name: "filled-in-migration",
        level: Some(Severity::Note),
        title: "CREATE MATERIALIZED VIEW or CREATE TABLE AS with data",
        effect: "the query runs in the migration's transaction: its snapshot holds vacuum up, and its locks are held, for as long as it takes",
        bad: "CREATE TABLE copies AS SELECT * FROM users;",
        good: "CREATE TABLE copies AS SELECT * FROM users WITH NO DATA;",
        exceptions: "Small tables.",
        source: "how snapshots work",
        ..RULE
    },
    Rule {
        name: "explicit-lock",
        level: Some(Severity::Warning),
        title: "LOCK TABLE",
        effect: "others wait until the transaction ends",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "LOCK TABLE users;",
        good: "LOCK TABLE users IN ACCESS SHARE MODE;",
        exceptions: "Modes that keep nobody from reading and writing.",
        ..RULE
    },
    Rule {
        name: "disable-autovacuum",
        level: Some(Severity::Warning),
        title: "autovacuum_enabled = false",
        effect: "dead rows stay, and the table grows, until somebody remembers to switch it on again",
        bad: "ALTER TABLE users SET (autovacuum_enabled = false);",
        good: "ALTER TABLE users SET (autovacuum_vacuum_scale_factor = 0.01);",
        exceptions: "None.",
        source: "the manual, routine vacuuming",
        ..RULE
    },
];
