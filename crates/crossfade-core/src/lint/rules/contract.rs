//! Renames and drops: what running code relies on.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Contract,
    level: Some(Severity::Error),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text, age integer);
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SCHEMA archive;
CREATE VIEW adults AS SELECT id FROM users WHERE age >= 18;",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "rename-column",
        title: "RENAME COLUMN",
        effect: "code that is running uses the old name, and fails",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users RENAME COLUMN email TO mail;",
        good: "ALTER TABLE users ADD COLUMN mail text;
-- keep both the same by a trigger, fill the rows, deploy, drop the old one",
        exceptions: "Crossfade does this by itself: both names work until contract.",
        ..RULE
    },
    Rule {
        name: "rename-table",
        title: "RENAME TO of a table or a view",
        effect: "code that is running uses the old name, and fails",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users RENAME TO people;",
        good: "ALTER TABLE users RENAME TO people;
CREATE VIEW users AS SELECT * FROM people;",
        exceptions: "A view that takes the old name in the same transaction. Crossfade makes one by itself.",
        ..RULE
    },
    Rule {
        name: "rename-schema",
        title: "ALTER SCHEMA … RENAME",
        effect: "every name in it is another one, and code that is running fails",
        bad: "ALTER SCHEMA archive RENAME TO old;",
        good: "CREATE SCHEMA old;",
        exceptions: "None.",
        ..RULE
    },
    Rule {
        name: "set-schema",
        title: "SET SCHEMA",
        effect: "code that is running uses the old name, and fails",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users SET SCHEMA archive;",
        good: "ALTER TABLE users SET SCHEMA archive;
CREATE VIEW users AS SELECT * FROM archive.users;",
        exceptions: "A view that takes the old name in the same transaction. Crossfade makes one by itself.",
        ..RULE
    },
    Rule {
        name: "rename-object",
        level: Some(Severity::Warning),
        title: "RENAME of a function, type, sequence or domain",
        effect: "code that is running and uses the old name fails",
        bad: "ALTER TYPE mood RENAME TO feeling;",
        good: "CREATE TYPE feeling AS ENUM ('sad', 'ok');",
        exceptions: "Renaming an index, a constraint or a trigger harms no query.",
        ..RULE
    },
    Rule {
        name: "rename-enum-value",
        title: "ALTER TYPE … RENAME VALUE",
        effect: "code that is running and writes the old value, or asks for it, fails",
        bad: "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';",
        good: "ALTER TYPE mood ADD VALUE 'fine';",
        exceptions: "Crossfade runs it at contract, for code that works with either name. It is not replicated.",
        ..RULE
    },
    Rule {
        name: "drop-column",
        title: "DROP COLUMN",
        effect: "code that is running and names the column fails (many libraries name all that they have seen), and its values are gone",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users DROP COLUMN email;",
        good: "-- deploy code that does not name it first, and say so
-- crossfade: allow drop-column no code names it since release 12
ALTER TABLE users DROP COLUMN email;",
        exceptions: "Crossfade keeps the values until purge, and drops at contract.",
        ..RULE
    },
    Rule {
        name: "drop-column-takes-more",
        level: Some(Severity::Warning),
        title: "DROP COLUMN that takes constraints or indexes along",
        effect: "a key, a foreign key or an index over the column and others goes without a word",
        cost: Some(Cost::lock("pairs", LockMode::AccessExclusive)),
        setup: "CREATE TABLE pairs (a bigint, b bigint, c text, UNIQUE (a, b));",
        bad: "ALTER TABLE pairs DROP COLUMN b;",
        good: "ALTER TABLE pairs DROP COLUMN c;",
        exceptions: "One over this column alone is not missed.",
        ..RULE
    },
    Rule {
        name: "drop-table",
        title: "DROP TABLE",
        effect: "code that is running fails, the rows are gone, and tables that it points to are locked, too",
        cost: Some(Cost::lock("orders", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users);",
        bad: "DROP TABLE orders;",
        good: "ALTER TABLE orders RENAME TO orders_old;
-- wait, drop its foreign keys one by one, then
-- crossfade: allow drop-table nobody has asked for it for a month
DROP TABLE orders_old;",
        exceptions: "Temporary tables, and those that the file makes. Crossfade renames at contract and drops at purge.",
        ..RULE
    },
    Rule {
        name: "drop-cascade",
        title: "DROP … CASCADE",
        effect: "what hangs on it goes, too, whatever it is; each is locked so that nobody can use it",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "DROP TABLE users CASCADE;",
        good: "DROP VIEW adults;
DROP TABLE users;",
        exceptions: "Crossfade says what would go, and brings it back.",
        ..RULE
    },
    Rule {
        name: "drop-schema",
        title: "DROP SCHEMA",
        effect: "code that is running and uses what was in it fails",
        bad: "DROP SCHEMA archive;",
        good: "ALTER SCHEMA archive OWNER TO CURRENT_USER;",
        exceptions: "One that the file makes.",
        ..RULE
    },
    Rule {
        name: "drop-database",
        title: "DROP DATABASE",
        effect: "everything in it is gone",
        bad: "-- crossfade: no-transaction
DROP DATABASE archive;",
        good: "CREATE SCHEMA old;",
        exceptions: "None.",
        ..RULE
    },
    Rule {
        name: "drop-object",
        level: Some(Severity::Warning),
        title: "DROP of a view, function, type, domain, sequence or extension",
        effect: "code that is running and uses it fails",
        cost: Some(Cost::lock("adults", LockMode::AccessExclusive)),
        bad: "DROP VIEW adults;",
        good: "DROP VIEW adults;
CREATE VIEW adults AS SELECT id FROM users WHERE age >= 21;",
        exceptions: "What is made again in the same file.",
        ..RULE
    },
    Rule {
        name: "drop-and-create-table",
        title: "DROP TABLE and CREATE TABLE of the same name",
        effect: "the rows are gone; the table looks as if it had been there all the time",
        bad: "DROP TABLE users CASCADE;
CREATE TABLE users (id bigint PRIMARY KEY);",
        good: "CREATE TABLE people (id bigint PRIMARY KEY);",
        exceptions: "None.",
        ..RULE
    },
    Rule {
        name: "truncate",
        title: "TRUNCATE",
        effect: "the rows are gone, and nobody can read the table or write to it until the transaction ends",
        cost: Some(Cost::rewrite("users", LockMode::AccessExclusive)),
        bad: "TRUNCATE users;",
        good: "DELETE FROM users WHERE id BETWEEN 1 AND 1000;",
        exceptions: "A table that the file makes.",
        ..RULE
    },
    Rule {
        name: "truncate-cascade",
        title: "TRUNCATE … CASCADE",
        effect: "every table that points to it is emptied, too",
        cost: Some(Cost::rewrite("orders", LockMode::AccessExclusive)),
        setup: "CREATE TABLE users (id bigint PRIMARY KEY);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint REFERENCES users);",
        bad: "TRUNCATE users CASCADE;",
        good: "TRUNCATE orders, users;",
        exceptions: "None.",
        ..RULE
    },
];
