//! Indexes.

use super::Cost;
use super::LockMode;
use super::MEASURED;
use super::PLAIN;
use super::Rule;
use super::Severity;
use super::Theme;

const INDEX: Rule = Rule {
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
        cost: Some(Cost::scan("users", LockMode::Share)),
        bad: "CREATE INDEX users_email ON users (email);",
        good: "CREATE INDEX CONCURRENTLY users_email ON users (email);",
        exceptions: "On a partitioned table CONCURRENTLY is an error: build it on each partition, and attach them to one made with ON ONLY.",
        ..INDEX
    },
    Rule {
        name: "drop-index-blocking",
        title: "DROP INDEX without CONCURRENTLY",
        effect: "the lock is short, but while it is waited for nobody can read the table or write to it",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "DROP INDEX users_name;",
        good: "DROP INDEX CONCURRENTLY users_name;",
        exceptions: "The index of a partitioned table can't be dropped concurrently.",
        ..INDEX
    },
];
