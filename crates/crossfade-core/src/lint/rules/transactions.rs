//! Transactions, timeouts, how long locks are held.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Transactions,
    level: Some(Severity::Warning),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text);
CREATE TABLE orders (id bigint PRIMARY KEY, total integer);",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "missing-lock-timeout",
        title: "a strong lock without a lock_timeout",
        effect: "behind one long transaction the lock waits, and everybody who comes after waits behind it",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ADD COLUMN name text;",
        good: "SET lock_timeout = '2s';
ALTER TABLE users ADD COLUMN name text;",
        exceptions: "Only for files that another tool runs (`as_written = true`): Crossfade asks for every lock with a timeout, and again.",
        ..RULE
    },
    Rule {
        name: "missing-statement-timeout",
        level: None,
        title: "a schema change without a statement_timeout",
        effect: "a statement that takes longer than was thought holds its locks for as long",
        bad: "ALTER TABLE users ADD COLUMN name text;",
        good: "SET statement_timeout = '1min';
ALTER TABLE users ADD COLUMN name text;",
        exceptions: "Off until it is asked for, and only for files that another tool runs. VALIDATE and CONCURRENTLY want none.",
        source: "the manual, client connection defaults",
        ..RULE
    },
    Rule {
        name: "slow-under-lock",
        level: Some(Severity::Error),
        title: "a long statement in a transaction that holds a strong lock",
        effect: "the lock of the statement before is held for as long as this one takes",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ADD COLUMN name text;
UPDATE orders SET total = total + 1 WHERE total > 7;",
        good: "ALTER TABLE users ADD COLUMN name text;",
        exceptions: "Tables that the file makes. Crossfade gives rows a step of their own.",
        ..RULE
    },
    Rule {
        name: "wide-lock-window",
        title: "strong locks on several tables in one transaction",
        effect: "all of them are held until the last is there; with one that takes them in another order that is a deadlock",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "SET lock_timeout = '2s';
ALTER TABLE users ADD COLUMN name text;
ALTER TABLE orders ADD COLUMN note text;",
        good: "SET lock_timeout = '2s';
ALTER TABLE users ADD COLUMN name text;",
        exceptions: "Only for files that another tool runs: Crossfade asks for all locks of a step in one order, each with a timeout.",
        ..RULE
    },
    Rule {
        name: "transaction-in-file",
        level: Some(Severity::Error),
        title: "BEGIN or COMMIT in a file that is run in a transaction",
        effect: "the file is no longer done as a whole or not at all; what follows a COMMIT stays when something behind it fails",
        bad: "CREATE TABLE a (id bigint PRIMARY KEY);
COMMIT;
CREATE TABLE b (id bigint PRIMARY KEY);",
        good: "BEGIN;
CREATE TABLE a (id bigint PRIMARY KEY);
COMMIT;",
        exceptions: "BEGIN and COMMIT around the whole file mean what is done anyway.",
        source: "how files are run",
        ..RULE
    },
    Rule {
        name: "uncommitted-transaction",
        level: Some(Severity::Error),
        title: "BEGIN without COMMIT",
        effect: "what was done is undone when the connection ends, or its locks are held until somebody sees it",
        bad: "BEGIN;
CREATE TABLE a (id bigint PRIMARY KEY);",
        good: "BEGIN;
CREATE TABLE a (id bigint PRIMARY KEY);
COMMIT;",
        exceptions: "None.",
        source: "how transactions end",
        ..RULE
    },
    Rule {
        name: "not-retryable",
        title: "a file without a transaction that can't be run again",
        effect: "what failed half way can't be run again: what is there already stands in the way",
        bad: "-- crossfade: no-transaction
CREATE TABLE a (id bigint PRIMARY KEY);
CREATE TABLE b (id bigint PRIMARY KEY);",
        good: "-- crossfade: no-transaction
CREATE TABLE IF NOT EXISTS a (id bigint PRIMARY KEY);
CREATE TABLE IF NOT EXISTS b (id bigint PRIMARY KEY);",
        exceptions: "A file of one statement. Where Crossfade runs the file it keeps account of each statement, and goes on behind the last one.",
        source: "how files are run",
        ..RULE
    },
    Rule {
        name: "hot-table",
        title: "a lock that keeps others out, on a table that is used all the time",
        effect: "whoever comes has to wait as soon as the lock is asked for; on a table in such use a second of it is hundreds of waiting queries, and connections may run out",
        bad: "ALTER TABLE users ADD COLUMN age integer;",
        good: "CREATE TABLE ages (user_id bigint PRIMARY KEY, age integer);",
        exceptions: "Found where the database says that the table is scanned and written to a hundred times a second or more (`--live`; `hot_rate` in crossfade.toml), or where `hot_tables` names it. \
                     What Crossfade runs asks for the lock with a timeout, gives way and tries again: then it is a note.",
        source: "pg_stat_user_tables",
        ..RULE
    },
    Rule {
        name: "combine-alter-tables",
        level: None,
        title: "several ALTER TABLE of one table, one behind the other",
        effect: "the lock is waited for several times",
        bad: "ALTER TABLE users ADD COLUMN a text;
ALTER TABLE users ADD COLUMN b text;",
        good: "ALTER TABLE users ADD COLUMN a text, ADD COLUMN b text;",
        exceptions: "Off until it is asked for. What is validated, or proven for the next one, must stay apart.",
        ..RULE
    },
];
