//! Design, which is asked for.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Design,
    level: None,
    exceptions: "Off until it is asked for.",
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text);",
    source: "the manual, data types; wiki.postgresql.org, Don't Do This",
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "prefer-bigint",
        title: "a column of type integer or smallint for numbers that are given out",
        effect: "after 2,147,483,647 rows nothing can be inserted, and the way to bigint is long",
        bad: "CREATE TABLE carts (id integer PRIMARY KEY);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);",
        ..RULE
    },
    Rule {
        name: "prefer-identity",
        title: "a column of type serial",
        effect: "the sequence has rights and an owner of its own, which are forgotten",
        bad: "CREATE TABLE carts (id bigserial PRIMARY KEY);",
        good: "CREATE TABLE carts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);",
        ..RULE
    },
    Rule {
        name: "prefer-text",
        title: "a column of type varchar(n)",
        effect: "a longer value fails, and the limit is hard to lower",
        bad: "CREATE TABLE carts (id bigint PRIMARY KEY, name varchar(50));",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, name text CHECK (length(name) <= 50));",
        ..RULE
    },
    Rule {
        name: "avoid-char",
        title: "a column of type char(n)",
        effect: "values are filled up with blanks, and comparisons forget them",
        bad: "CREATE TABLE carts (id bigint PRIMARY KEY, code char(3));",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, code text);",
        ..RULE
    },
    Rule {
        name: "prefer-timestamptz",
        title: "a column of type timestamp without time zone",
        effect: "which moment a value means depends on who reads it",
        bad: "CREATE TABLE carts (id bigint PRIMARY KEY, at timestamp);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, at timestamptz);",
        ..RULE
    },
    Rule {
        name: "avoid-money",
        title: "a column of type money",
        effect: "how many digits it has depends on a setting of the server",
        bad: "CREATE TABLE carts (id bigint PRIMARY KEY, total money);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, total numeric(12, 2));",
        ..RULE
    },
    Rule {
        name: "no-primary-key",
        title: "a table without a primary key",
        effect: "rows have no identity: logical replication of UPDATE and DELETE fails, and a fill in parts has nothing to go by",
        bad: "CREATE TABLE carts (id bigint);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);",
        ..RULE
    },
    Rule {
        name: "unlogged-table",
        title: "CREATE UNLOGGED TABLE",
        effect: "after a crash it is empty, and replicas never have it",
        bad: "CREATE UNLOGGED TABLE carts (id bigint PRIMARY KEY);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);",
        ..RULE
    },
    Rule {
        name: "unqualified-name",
        title: "a table without its schema",
        effect: "which table is meant depends on the search_path of whoever runs it",
        bad: "ALTER TABLE users ADD COLUMN name text;",
        good: "ALTER TABLE public.users ADD COLUMN name text;",
        ..RULE
    },
    Rule {
        name: "name-too-long",
        level: Some(Severity::Warning),
        title: "a name of more than 63 bytes",
        effect: "the server cuts it without an error, and two that begin alike become one",
        bad: "CREATE TABLE a_very_long_name_that_goes_on_and_on_until_nobody_can_remember_it (id bigint);",
        good: "CREATE TABLE a_name (id bigint);",
        exceptions: "None.",
        source: "the manual, lexical structure",
        ..RULE
    },
    Rule {
        name: "wide-index",
        title: "an index over more than three columns that is not unique",
        effect: "it is seldom used beyond its first columns, and each write keeps all of them",
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, a text, b text, c text, d text);",
        bad: "CREATE INDEX CONCURRENTLY wide ON users (a, b, c, d);",
        good: "CREATE INDEX CONCURRENTLY narrow ON users (a, b);",
        ..RULE
    },
    Rule {
        name: "new-enum",
        title: "CREATE TYPE … AS ENUM",
        effect: "a value can be added, but never taken out again without a new type",
        bad: "CREATE TYPE mood AS ENUM ('sad', 'ok');",
        good: "CREATE TABLE moods (name text PRIMARY KEY);",
        ..RULE
    },
    Rule {
        name: "replaced-code",
        title: "CREATE OR REPLACE of a view or a function",
        effect: "what running code gets changes under it at once",
        bad: "CREATE OR REPLACE VIEW mails AS SELECT email FROM users;",
        good: "CREATE VIEW mails AS SELECT email FROM users;",
        ..RULE
    },
    Rule {
        name: "create-table-if-not-exists",
        title: "CREATE TABLE IF NOT EXISTS",
        effect: "a table of this name may be another one, and nobody is told",
        bad: "CREATE TABLE IF NOT EXISTS carts (id bigint PRIMARY KEY);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);",
        ..RULE
    },
];
