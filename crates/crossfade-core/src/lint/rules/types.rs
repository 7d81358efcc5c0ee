//! Types, defaults and storage of columns.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Types,
    level: Some(Severity::Error),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(50), age integer, email text);
INSERT INTO users VALUES (1, 'a', 7, 'a@b');",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "alter-type-rewrite",
        title: "ALTER COLUMN … TYPE that writes the table anew",
        effect: REWRITTEN,
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ALTER COLUMN age TYPE bigint;",
        good: "ALTER TABLE users ALTER COLUMN name TYPE varchar(100);",
        exceptions: "Nothing is written for: varchar(n) to a longer one, to text or to varchar; text to varchar; numeric to more digits of the same scale; \
                     timestamp to a higher precision; varbit to a longer one; cidr to inet; timestamp to timestamptz in a session in UTC. \
                     Where the files or a database tell the old type, only what does write is found; else every change of a type is.",
        ..RULE
    },
    Rule {
        name: "alter-type-narrowing",
        title: "ALTER COLUMN … TYPE to one that holds less",
        effect: "it fails at the first value that does not fit; until then nobody can read the table or write to it",
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ALTER COLUMN email TYPE varchar(20);",
        good: "ALTER TABLE users ADD CONSTRAINT email_fits CHECK (length(email) <= 20) NOT VALID;",
        exceptions: "None.",
        ..RULE
    },
    Rule {
        name: "alter-type-hidden-work",
        title: "a type change that is free but for what stands on the column",
        effect: "the CHECKs on the column are verified again, and indexes with an expression or a condition on it are built again, while nobody can read the table or write to it",
        cost: Some(Cost::scan("users", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(50) CHECK (name <> ''));",
        bad: "ALTER TABLE users ALTER COLUMN name TYPE varchar(100);",
        good: "ALTER TABLE users ADD COLUMN nickname varchar(100);",
        exceptions: "A CHECK that is NOT VALID is not verified. A plain index is kept.",
        ..RULE
    },
    Rule {
        name: "alter-type-of-key",
        title: "a type change on one side of a foreign key",
        effect: "both tables are locked, and where the comparison changes all rows are compared again",
        cost: Some(Cost::scan("orders", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id integer PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id integer REFERENCES users);",
        bad: "ALTER TABLE users ALTER COLUMN id TYPE bigint;",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);",
        exceptions: "varchar to text.",
        ..RULE
    },
    Rule {
        name: "alter-type-of-foreign-column",
        level: Some(Severity::Warning),
        title: "a type change of a foreign table's column",
        effect: "nothing is written, as the rows stand on another server: from then on they are read as the new type, and queries fail at a value that does not fit it",
        cost: Some(Cost::lock("visits", LockMode::AccessExclusive)),
        setup: "CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER other FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE visits (id integer, at date) SERVER other;",
        bad: "ALTER FOREIGN TABLE visits ALTER COLUMN id TYPE bigint;",
        good: "CREATE FOREIGN TABLE visits_new (id bigint, at date) SERVER other;",
        exceptions: "Where the column over there is of the new type already.",
        ..RULE
    },
    Rule {
        name: "alter-type-of-attribute",
        title: "a type change of an attribute of a composite type",
        effect: "it fails where a column is of the type; with CASCADE every table OF it is written anew, and nobody can read it or write to it until that is done",
        cost: Some(Cost::rewrite("people", LockMode::AccessExclusive)),
        setup: "CREATE TYPE person AS (id integer, name text);
CREATE TABLE people OF person;",
        bad: "ALTER TYPE person ALTER ATTRIBUTE id TYPE bigint CASCADE;",
        good: "ALTER TYPE person ADD ATTRIBUTE number bigint CASCADE;",
        exceptions: "A type that the file makes. Functions that take or return the type keep their code: look at them, too.",
        ..RULE
    },
    Rule {
        name: "alter-type-blocked",
        title: "a type change of a column that a view or a generated column uses",
        effect: "it fails: what uses the column must be dropped first and made again",
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, price integer, cents integer GENERATED ALWAYS AS (price * 100) STORED);",
        bad: "ALTER TABLE users ALTER COLUMN price TYPE bigint;",
        good: "ALTER TABLE users ALTER COLUMN id SET DEFAULT 1;",
        exceptions: "Views, triggers, policies and the like are seen with a database only; of generated columns the files tell.",
        ..RULE
    },
    Rule {
        name: "change-default",
        level: Some(Severity::Note),
        title: "SET DEFAULT and DROP DEFAULT",
        effect: "code that is running and leaves the column out writes another value from then on, or none",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ALTER COLUMN age SET DEFAULT 18;",
        good: "CREATE TABLE carts (age integer DEFAULT 18);",
        exceptions: "Where all code writes the column itself.",
        ..RULE
    },
    Rule {
        name: "set-expression",
        title: "SET EXPRESSION of a stored generated column",
        effect: REWRITTEN,
        servers: (17, 18),
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY, price integer, cents integer GENERATED ALWAYS AS (price * 100) STORED);",
        bad: "ALTER TABLE users ALTER COLUMN cents SET EXPRESSION AS (price * 1000);",
        good: "ALTER TABLE users ADD COLUMN mills integer;
-- a trigger that computes it, then fill the rows that are there, a part at a time",
        exceptions: "Of a virtual column (PostgreSQL 18) nothing is written.",
        ..RULE
    },
];
