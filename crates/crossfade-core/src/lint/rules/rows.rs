//! Rows that a migration changes.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Rows,
    level: Some(Severity::Warning),
    setup: "CREATE TABLE users (id bigserial PRIMARY KEY, email text);
INSERT INTO users (email) VALUES ('a@b');",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "unbatched-update",
        title: "UPDATE of a table in one transaction",
        effect: "every row is locked until the end, the table grows by as many dead rows, and replicas fall behind",
        cost: Some(Cost::scan("users", LockMode::RowExclusive)),
        bad: "UPDATE users SET email = lower(email) WHERE email IS NOT NULL;",
        good: "UPDATE users SET email = lower(email) WHERE id = 7;",
        exceptions: "Few rows by their id; tables that the file makes. Crossfade does it a part at a time.",
        ..RULE
    },
    Rule {
        name: "unbatched-delete",
        title: "DELETE from a table in one transaction",
        effect: "every row is locked until the end, and replicas fall behind",
        cost: Some(Cost::scan("users", LockMode::RowExclusive)),
        bad: "DELETE FROM users WHERE email IS NULL;",
        good: "DELETE FROM users WHERE id IN (7, 8);",
        exceptions: "Few rows by their id; tables that the file makes. Crossfade does it a part at a time.",
        ..RULE
    },
    Rule {
        name: "tautological-where",
        level: Some(Severity::Error),
        title: "UPDATE or DELETE with a WHERE that is always true",
        effect: "it means every row, and hides it",
        bad: "DELETE FROM users WHERE true;",
        good: "DELETE FROM users WHERE id = 7;",
        exceptions: "None: without a WHERE it says what it means.",
        source: "the condition is one of constants",
        ..RULE
    },
    Rule {
        name: "sequence-not-reset",
        title: "INSERT of numbers that a sequence gives",
        effect: "the sequence gives the same numbers again: the next INSERT of an application fails, or many of them",
        bad: "INSERT INTO users (id, email) VALUES (10, 'c@d');",
        good: "INSERT INTO users (id, email) VALUES (10, 'c@d');
SELECT setval('users_id_seq', (SELECT max(id) FROM users));",
        exceptions: "A setval behind it.",
        source: "how sequences work",
        ..RULE
    },
    Rule {
        name: "opaque-sql",
        title: "what can't be seen through",
        effect: "nobody can say before what it locks and changes",
        bad: "DO $$ BEGIN EXECUTE 'DROP TABLE ' || current_user; END $$;",
        good: "DO $$ BEGIN IF NOT EXISTS (SELECT FROM users) THEN INSERT INTO users (email) VALUES ('x'); END IF; END $$;",
        exceptions: "Statements that stand in a DO block or a function as they are run are looked at like any other.",
        source: "the text",
        ..RULE
    },
];
