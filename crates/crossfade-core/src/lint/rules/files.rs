//! The file itself.

use super::PLAIN;
use super::Rule;
use super::Severity;
use super::Theme;

const FILE: Rule = Rule {
    theme: Theme::Files,
    source: "how Crossfade reads files",
    setup: "CREATE TABLE users (id bigint PRIMARY KEY, email text);",
    ..PLAIN
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "syntax",
        level: Some(Severity::Error),
        title: "what is no SQL",
        effect: "the statement can't be run, and nothing in it was looked at",
        bad: "ALTER TABEL users ADD COLUMN a int;",
        good: "ALTER TABLE users ADD COLUMN a int;",
        exceptions: "The grammar is that of PostgreSQL 18.",
        ..FILE
    },
    Rule {
        name: "refused",
        level: Some(Severity::Error),
        title: "what Crossfade refuses",
        effect: "nothing of the file is run",
        bad: "-- crossfade: upp 1\nALTER TABLE users ADD COLUMN age integer;",
        good: "-- crossfade: up 1\nALTER TABLE users ADD COLUMN age integer NOT NULL;",
        exceptions: "Only of files that Crossfade runs.",
        ..FILE
    },
    Rule {
        name: "bad-allow",
        level: Some(Severity::Error),
        title: "an `allow` that names no rule or says no reason",
        effect: "it allows nothing: whoever reads it later can't know what was meant",
        bad: "-- crossfade: allow create-index-blocking\nSELECT 1;",
        good: "-- crossfade: allow create-index-blocking the table has ten rows\nCREATE INDEX users_email ON users (email);",
        exceptions: "None.",
        ..FILE
    },
    Rule {
        name: "unused-allow",
        title: "an `allow` that allows nothing",
        effect: "it would hide the next one that comes",
        bad: "-- crossfade: allow create-index-blocking the table has ten rows\nSELECT 1;",
        good: "SELECT 1;",
        exceptions: "None for a rule that is switched off.",
        ..FILE
    },
    Rule {
        name: "traced-rewrite",
        level: Some(Severity::Error),
        title: "what the scratch server wrote anew, and no other rule knew of",
        effect: "the table is written anew; nobody can read it or write to it until that is done",
        bad: "ALTER TABLE users ALTER COLUMN id TYPE numeric;",
        good: "ALTER TABLE users ADD COLUMN age integer;",
        exceptions: "With `--trace` only.",
        source: "the number of the table's file, before and after",
        ..FILE
    },
    Rule {
        name: "traced-scan",
        title: "what the scratch server read as a whole under a strong lock, and no other rule knew of",
        effect: "others wait for as long as the table is read",
        bad: "ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
        good: "ALTER TABLE users ADD COLUMN age integer;",
        exceptions: "With `--trace` only.",
        source: "the server's own count of scans, before and after",
        ..FILE
    },
    Rule {
        name: "traced-failure",
        level: Some(Severity::Error),
        title: "what the scratch server refuses",
        effect: "it will fail; what stands behind it was not traced",
        bad: "ALTER TABLE nowhere ADD COLUMN age integer;",
        good: "ALTER TABLE users ADD COLUMN age integer;",
        exceptions: "With `--trace` only. What the statement needs beside the migrations must be on the scratch server.",
        source: "the server's message",
        ..FILE
    },
];
