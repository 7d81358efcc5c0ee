//! Triggers, rules, row security, rights, replication.

use super::*;

const RULE: Rule = Rule {
    theme: Theme::Surroundings,
    level: Some(Severity::Warning),
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch();",
    source: MEASURED,
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "create-trigger",
        level: Some(Severity::Note),
        title: "CREATE TRIGGER on a table that is in use",
        effect: "nobody can write to the table while the lock is waited for; from then on each write pays for it",
        cost: Some(Cost::lock("users", LockMode::ShareRowExclusive)),
        bad: "CREATE TRIGGER touched_too BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touch();",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);
CREATE TRIGGER touched_too BEFORE INSERT ON carts FOR EACH ROW EXECUTE FUNCTION touch();",
        exceptions: "A trigger that keeps two forms in step is what a change in phases needs.",
        ..RULE
    },
    Rule {
        name: "drop-trigger",
        title: "DROP TRIGGER",
        effect: "what the trigger did is no longer done, and while the lock is waited for nobody can read the table or write to it",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "DROP TRIGGER touched ON users;",
        good: "DROP TRIGGER touched ON users;
CREATE TRIGGER touched BEFORE UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION touch();",
        exceptions: "One that is made again in the same file.",
        ..RULE
    },
    Rule {
        name: "disable-trigger",
        level: Some(Severity::Error),
        title: "DISABLE TRIGGER",
        effect: "what the trigger did is no longer done, for everybody; ALL switches foreign keys off, too, and what breaks them meanwhile is never looked at again",
        cost: Some(Cost::lock("users", LockMode::ShareRowExclusive)),
        bad: "ALTER TABLE users DISABLE TRIGGER ALL;",
        good: "SET LOCAL session_replication_role = 'replica';",
        exceptions: "None; ENABLE TRIGGER is no harm.",
        ..RULE
    },
    Rule {
        name: "create-rule",
        title: "CREATE RULE on a table that is in use",
        effect: "queries are written into others from then on, and while the lock is waited for nobody can read the table or write to it",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "CREATE RULE no_delete AS ON DELETE TO users DO INSTEAD NOTHING;",
        good: "CREATE VIEW mails AS SELECT email FROM users;",
        exceptions: "A table that the file makes.",
        ..RULE
    },
    Rule {
        name: "create-policy",
        level: Some(Severity::Note),
        title: "CREATE POLICY on a table that is in use",
        effect: WAITED,
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "CREATE POLICY own ON users USING (true);",
        good: "CREATE TABLE carts (id bigint PRIMARY KEY);
CREATE POLICY own ON carts USING (true);",
        exceptions: "A table that the file makes.",
        ..RULE
    },
    Rule {
        name: "row-security-without-policy",
        level: Some(Severity::Error),
        title: "ENABLE ROW LEVEL SECURITY without a policy",
        effect: "nobody but the owner sees a row or writes one",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users ENABLE ROW LEVEL SECURITY;",
        good: "CREATE POLICY own ON users USING (true);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;",
        exceptions: "A policy in the same file or an earlier one.",
        ..RULE
    },
    Rule {
        name: "security-definer-search-path",
        title: "SECURITY DEFINER without a search_path of its own",
        effect: "whoever calls it decides what the names in it mean, and so what its owner does",
        bad: "CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM users';",
        good: "CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, public AS 'SELECT count(*) FROM users';",
        exceptions: "None.",
        source: "the manual, CREATE FUNCTION, writing SECURITY DEFINER functions safely",
        ..RULE
    },
    Rule {
        name: "replica-identity",
        title: "REPLICA IDENTITY",
        effect: "what is written to the log for UPDATE and DELETE changes: with FULL the whole old row, with NOTHING they fail where the table is published",
        cost: Some(Cost::lock("users", LockMode::AccessExclusive)),
        bad: "ALTER TABLE users REPLICA IDENTITY FULL;",
        good: "ALTER TABLE users REPLICA IDENTITY DEFAULT;",
        exceptions: "DEFAULT is the primary key.",
        ..RULE
    },
];
