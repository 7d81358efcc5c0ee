//! Enums and domains.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Enums,
    level: Some(Severity::Error),
    setup: "CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN percent AS integer;
CREATE TABLE users (id bigint PRIMARY KEY, mood mood, share percent);",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "enum-value-used-at-once",
        title: "a new value of an enum that is used in the transaction that adds it",
        effect: "it fails: unsafe use of new value",
        bad: "ALTER TYPE mood ADD VALUE 'happy';
UPDATE users SET mood = 'happy' WHERE id = 1;",
        good: "ALTER TYPE mood ADD VALUE 'happy';",
        exceptions: "A type that is made in the same transaction, from PostgreSQL 17 on. Crossfade commits between the two.",
        ..RULE
    },
    Rule {
        name: "constrain-domain",
        title: "ALTER DOMAIN … ADD CONSTRAINT without NOT VALID, and SET NOT NULL",
        effect: "every table with a column of the domain is read as a whole, and nobody can write to it meanwhile",
        cost: Some(Cost::scan("users", LockMode::Share)),
        bad: "ALTER DOMAIN percent ADD CONSTRAINT at_most CHECK (VALUE <= 100);",
        good: "ALTER DOMAIN percent ADD CONSTRAINT at_most CHECK (VALUE <= 100) NOT VALID;
-- in another transaction
ALTER DOMAIN percent VALIDATE CONSTRAINT at_most;",
        exceptions: "A domain that the file makes.",
        ..RULE
    },
    Rule {
        name: "domain-with-constraint",
        level: None,
        title: "CREATE DOMAIN with a constraint",
        effect: "a column of it can't be added without writing the table anew, and the constraint can't be changed table by table",
        bad: "CREATE DOMAIN positive AS integer CHECK (VALUE > 0);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY, total integer CHECK (total > 0));",
        exceptions: "Off until it is asked for: at the beginning of a schema it does no harm.",
        ..RULE
    },
    Rule {
        name: "enum-value-without-place",
        level: None,
        title: "ALTER TYPE … ADD VALUE without BEFORE or AFTER",
        effect: "it sorts last, whatever is meant",
        bad: "ALTER TYPE mood ADD VALUE 'happy';",
        good: "ALTER TYPE mood ADD VALUE 'happy' AFTER 'ok';",
        exceptions: "Off until it is asked for.",
        source: "the manual, ALTER TYPE",
        ..RULE
    },
    Rule {
        name: "new-enum-value",
        level: None,
        title: "ALTER TYPE … ADD VALUE",
        effect: "code that is running may meet a value that it does not know",
        bad: "ALTER TYPE mood ADD VALUE 'happy' AFTER 'ok';",
        good: "CREATE TYPE weather AS ENUM ('fair', 'foul');",
        exceptions: "Off until it is asked for.",
        source: "what readers do with values that they don't know",
        ..RULE
    },
];
