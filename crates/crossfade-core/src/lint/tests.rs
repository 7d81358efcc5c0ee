//! Every rule finds its bad case, and nothing in its good one.

use super::*;
use crate::catalog::Table;
use crate::runbook::Sample;
use crate::runbook::Surroundings;
use crate::runbook::TableSize;
use crate::runbook::Work;
use crate::sql::TableName;

fn settings(rule: &Rule) -> LintSettings {
    let levels = [(rule.name.to_owned(), Some(rule.level.unwrap_or(crate::finding::Severity::Warning)))];
    LintSettings {
        levels: levels.into_iter().collect(),
        server_version: rule.servers.0,
        server_minor: Some(0),
        hot_tables: if rule.name == "hot-table" { vec!["users".to_owned()] } else { Vec::new() },
        big_tables: if rule.name == "slow-index-build" { vec!["users".to_owned()] } else { Vec::new() },
        as_written: rule.name != "refused",
        ..LintSettings::default()
    }
}

/// The findings of the last of these files.
fn found(settings: &LintSettings, files: &[&str]) -> Vec<LintFinding> {
    let mut linter = Linter::new(settings);
    let mut last = Vec::new();
    for text in files {
        last = linter.file(text, &read_script(text)).found;
    }
    last
}

fn names(settings: &LintSettings, files: &[&str]) -> Vec<String> {
    found(settings, files).into_iter().map(|finding| finding.rule).collect()
}

#[test]
fn every_rule_finds_its_bad_case_and_nothing_in_its_good_one() {
    let mut wrong = Vec::new();
    for rule in rules::all() {
        let settings = settings(rule);
        let bad = found(&settings, &[rule.setup, rule.bad]);
        // A trace finds those.
        let traced = rule.name.starts_with("traced-");
        if !traced && !bad.iter().any(|finding| finding.rule == rule.name) {
            wrong.push(format!("{} does not find its bad case, but {bad:?}", rule.name));
        }
        let good = names(&settings, &[rule.setup, rule.good]);
        if good.iter().any(|name| name == rule.name) {
            wrong.push(format!("{} finds its good case", rule.name));
        }
        let words = [rule.title, rule.effect, rule.bad, rule.good, rule.exceptions, rule.source];
        if words.iter().any(|text| text.is_empty()) {
            wrong.push(format!("{} has an empty page", rule.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_distinct_and_in_kebab_case() {
    let mut names: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    let plain = |name: &&&str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    assert_eq!(names.iter().filter(plain).count(), names.len());
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules::all().count());
}

/// Another tool runs the files, and sets its timeouts by itself.
fn another_tool() -> LintSettings {
    let levels = ["missing-lock-timeout", "wide-lock-window"].map(|name| (name.to_owned(), None));
    LintSettings { as_written: true, levels: levels.into_iter().collect(), ..LintSettings::default() }
}

fn shown(settings: &LintSettings, files: &[&str]) -> Vec<String> {
    let each = found(settings, files).into_iter().map(|finding| {
        let phased = finding.phased.map(|way| format!(" ({way})")).unwrap_or_default();
        format!("{:?} {}{phased}", finding.level, finding.rule).to_lowercase()
    });
    each.collect()
}

const TABLES: &str = "CREATE TABLE users (id bigint PRIMARY KEY, email text, age integer, name varchar(50));
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total integer);
CREATE INDEX orders_user ON orders (user_id);";

#[test]
fn what_crossfade_phases_by_itself_is_no_error() {
    let settings = LintSettings::default();
    let cases = [
        "ALTER TABLE users RENAME COLUMN email TO mail;",
        "ALTER TABLE users DROP COLUMN age;",
        "ALTER TABLE users ALTER COLUMN age TYPE bigint;",
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
        "ALTER TABLE users ADD COLUMN token float8 DEFAULT random();",
        "ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (user_id) REFERENCES users;",
        "ALTER TABLE users ADD CONSTRAINT c CHECK (age > 0);",
        "ALTER TABLE users ADD CONSTRAINT k UNIQUE (email);",
        "CREATE INDEX users_email ON users (email);",
        "DROP INDEX orders_user;",
        "DROP INDEX no_file_made_it;",
        "DROP TABLE orders;",
        "UPDATE users SET age = 0 WHERE age IS NULL;",
        "ALTER TABLE users RENAME TO people;",
        "ALTER TABLE not_in_the_files ALTER COLUMN a TYPE bigint;",
        "ALTER TABLE not_in_the_files RENAME COLUMN a TO b;",
        "ALTER TABLE users ADD COLUMN mail text;\nUPDATE users SET mail = email;\nALTER TABLE users DROP COLUMN email;",
    ];
    let mut wrong = Vec::new();
    for case in cases {
        let found = found(&settings, &[TABLES, case]);
        if found.is_empty() {
            wrong.push(format!("{case}: nothing"));
        }
        for finding in found {
            if finding.level != crate::finding::Severity::Note || finding.phased.is_none() {
                wrong.push(format!("{case}: {} {}", finding.rule, finding.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_stays_dangerous_is_an_error() {
    let settings = LintSettings::default();
    let errors = |case: &str| {
        let found = found(&settings, &[TABLES, case]).into_iter();
        let errors = found.filter(|finding| finding.level == crate::finding::Severity::Error);
        errors.map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let cases: [(&str, &[&str]); 8] = [
        ("-- crossfade: direct we know\nALTER TABLE users RENAME COLUMN email TO mail;", &["rename-column"]),
        ("DO $$ BEGIN ALTER TABLE users RENAME COLUMN email TO mail; END $$;", &["rename-column"]),
        ("TRUNCATE users;", &["truncate"]),
        ("CLUSTER users USING users_pkey;", &["cluster"]),
        ("ALTER TABLE users SET UNLOGGED;", &["set-logged"]),
        ("VACUUM FULL users;", &["not-in-transaction", "vacuum-full"]),
        ("-- crossfade: direkt x\nSELECT 1;", &["refused"]),
        ("ALTER TABLE users ADD COLUMN x integer;\nTRUNCATE orders;", &["truncate"]),
    ];
    for (case, rules) in cases {
        assert_eq!(errors(case), rules, "{case}");
    }
}

#[test]
fn nothing_is_found_where_nobody_is_harmed() {
    let quiet = [
        "CREATE TABLE a (id bigint PRIMARY KEY, b integer);\nCREATE INDEX a_b ON a (b);\nALTER TABLE a ADD COLUMN c serial;\n\
         ALTER TABLE a ALTER COLUMN b SET NOT NULL;\nALTER TABLE a ADD CONSTRAINT k UNIQUE (b), ADD CHECK (b > 0);\n\
         ALTER TABLE a ALTER COLUMN b TYPE bigint;\nALTER TABLE a RENAME COLUMN b TO d;\nUPDATE a SET d = 1;\nDELETE FROM a;\n\
         TRUNCATE a;\nCREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f();\nALTER TABLE a RENAME TO z;\nDROP TABLE z;",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar(100);",
        "ALTER TABLE users ALTER COLUMN name TYPE text;",
        "ALTER TABLE users ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();",
        "ALTER TABLE users ADD COLUMN day timestamptz DEFAULT date_trunc('day', now());",
        "COMMENT ON TABLE users IS 'who';",
    ];
    for as_written in [false, true] {
        let settings = LintSettings { as_written, ..another_tool() };
        for case in quiet {
            assert_eq!(shown(&settings, &[TABLES, case]), Vec::<String>::new(), "{case}");
        }
        let proven = "ALTER TABLE users ADD CONSTRAINT given CHECK (email IS NOT NULL) NOT VALID;";
        let validated = "ALTER TABLE users VALIDATE CONSTRAINT given;";
        let set = "ALTER TABLE users ALTER COLUMN email SET NOT NULL;\nALTER TABLE users DROP CONSTRAINT given;";
        assert_eq!(shown(&settings, &[TABLES, proven, validated, set]), Vec::<String>::new());
        // A CHECK that nobody validated is no proof.
        let not_yet = shown(&settings, &[TABLES, proven, "ALTER TABLE users ALTER COLUMN email SET NOT NULL;"]);
        assert!(not_yet.iter().any(|found| found.contains("set-not-null-scanning")), "{not_yet:?}");
    }
}

#[test]
fn bodies_are_looked_into() {
    let settings = LintSettings { as_written: true, ..LintSettings::default() };
    let text = "DO $$\nBEGIN\n  IF true THEN\n    EXECUTE 'DROP TABLE orders';\n  END IF;\nEND $$;";
    let dropped = found(&settings, &[TABLES, text]);
    let rules: Vec<&str> = dropped.iter().map(|finding| finding.rule.as_str()).collect();
    assert_eq!(rules, ["drop-table", "missing-lock-timeout"]);
    assert_eq!(dropped[0].span.of(text), "'DROP TABLE orders'");
    let function = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN TRUNCATE users; END $$;";
    let later = found(&settings, &[TABLES, function]);
    assert_eq!(later.len(), 1, "{later:?}");
    assert!(later[0].effect.starts_with("when the function is called, "), "{later:?}");
    let made = "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'x'); END $$;";
    assert_eq!(names(&settings, &[TABLES, made]), ["opaque-sql"]);
    assert_eq!(names(&settings, &[TABLES, "DO LANGUAGE plperl $$ x $$;"]), ["opaque-sql"]);
}

#[test]
fn an_allow_needs_a_rule_a_reason_and_something_to_allow() {
    let settings = another_tool();
    let none: [&str; 0] = [];
    let run = |text: &str| names(&settings, &[TABLES, text]);
    assert_eq!(run("-- crossfade: allow truncate nobody reads it\nTRUNCATE users;"), none);
    assert_eq!(run("TRUNCATE users; -- crossfade: allow truncate nobody reads it"), none);
    assert_eq!(run("-- crossfade: allow truncate\nTRUNCATE users;"), ["bad-allow", "truncate"]);
    assert_eq!(run("-- crossfade: allow trunkate because\nSELECT 1;"), ["bad-allow"]);
    let wrong_place = "-- crossfade: allow truncate because\nSELECT 1;\nTRUNCATE users;";
    assert_eq!(run(wrong_place), ["unused-allow", "truncate"]);
    assert_eq!(run("-- crossfade: allow-file truncate a test\nTRUNCATE users;\nTRUNCATE orders;"), none);
}

#[test]
fn it_goes_on_behind_what_is_no_sql() {
    let settings = another_tool();
    assert_eq!(names(&settings, &[TABLES, "ALTER TABEL x;\nTRUNCATE users;"]), ["syntax", "truncate"]);
}

#[test]
fn the_safe_sql_can_be_pasted() {
    let settings = another_tool();
    let cases = [
        "ALTER TABLE users ADD CONSTRAINT adult CHECK (age >= 0)",
        "ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE",
        "CREATE UNIQUE INDEX i ON users USING btree (lower(email)) WHERE age > 0",
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL",
        "ALTER TABLE users ADD CONSTRAINT k UNIQUE (email, age)",
        "ALTER TABLE users ADD UNIQUE (email)",
        "ALTER TABLE users ADD UNIQUE NULLS NOT DISTINCT (email, age) INCLUDE (name) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE pairs ADD UNIQUE (a)",
        "ALTER TABLE pairs ADD PRIMARY KEY (a, b)",
        "ALTER TABLE users ADD CHECK (age > 0)",
        "ALTER TABLE users ADD CHECK (age > 0 OR email IS NULL)",
        "ALTER TABLE ONLY orders ADD FOREIGN KEY (user_id) REFERENCES users",
        "ALTER TABLE users ADD COLUMN handle text UNIQUE",
        "DROP INDEX orders_user",
        "REINDEX TABLE users",
    ];
    let shown: Vec<String> = cases
        .iter()
        .map(|case| {
            let pairs = "CREATE TABLE pairs (a integer, b integer, UNIQUE (a));";
            let found = found(&settings, &[TABLES, pairs, case]);
            let safe: Vec<String> = found.into_iter().filter_map(|finding| finding.safe_sql).collect();
            assert!(!safe.is_empty(), "{case} has no safe form");
            for text in &safe {
                let script = read_script(text);
                assert!(script.errors.is_empty(), "{text}: {:?}", script.errors);
            }
            format!("{case}\n  -> {}", safe.join("\n").replace('\n', "\n     "))
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_builtin_with_arguments_that_it_does_not_take_is_none() {
    let settings = another_tool();
    let added =
        |default: &str| names(&settings, &[TABLES, &format!("ALTER TABLE users ADD COLUMN x text DEFAULT {default};")]);
    let none: [&str; 0] = [];
    for known in ["now()", "pg_catalog.now()", "date_trunc('day', now())", "to_char(now(), 'YYYY')", "lower('A')"] {
        assert_eq!(added(known), none, "{known}");
    }
    for unknown in ["now(1)", "lower()", "date_trunc('day')", "own.now()", "random()", "current_setting('a', true, 1)"]
    {
        assert_eq!(added(unknown), ["add-column-volatile-default"], "{unknown}");
    }
}

#[test]
fn a_unique_constraint_of_a_partitioned_table_has_its_key() {
    let settings = another_tool();
    let found = |text: &str| {
        let all = names(&settings, &["CREATE TABLE e (id bigint, at date) PARTITION BY RANGE (at);", text]);
        all.into_iter().filter(|name| name == "partition-key-not-in-unique").count()
    };
    for wrong in [
        "ALTER TABLE e ADD UNIQUE (id);",
        "ALTER TABLE e ADD COLUMN x integer UNIQUE;",
        "CREATE UNIQUE INDEX ON e (id);",
        "CREATE UNIQUE INDEX ON e (id) INCLUDE (at);",
        "CREATE TABLE f (id bigint PRIMARY KEY, at date) PARTITION BY LIST (at);",
        "CREATE TABLE f (id bigint, at date, UNIQUE (id, at)) PARTITION BY LIST ((at + 1));",
    ] {
        assert_eq!(found(wrong), 1, "{wrong}");
    }
    for right in [
        "ALTER TABLE e ADD PRIMARY KEY (id, at);",
        "CREATE UNIQUE INDEX ON e ((id + 1), at);",
        "CREATE INDEX ON e (id);",
        "CREATE TABLE f (id bigint PRIMARY KEY, at date) PARTITION BY HASH (id);",
        "CREATE TABLE f PARTITION OF e (PRIMARY KEY (id)) DEFAULT;",
    ] {
        assert_eq!(found(right), 0, "{right}");
    }
}

/// Crossfade builds every index CONCURRENTLY, and that is what may lose rows.
#[test]
fn an_index_is_built_concurrently_on_a_server_that_may_lose_its_rows() {
    let on = |major: u32, minor: Option<u32>, as_written: bool, text: &str| {
        let settings = LintSettings { server_version: major, server_minor: minor, as_written, ..another_tool() };
        shown(&settings, &[TABLES, text]).contains(&"error index-corruption-14".to_owned())
    };
    let built = "CREATE INDEX users_email ON users (email);";
    let written = "CREATE INDEX CONCURRENTLY users_email ON users (email);";
    let unique = "ALTER TABLE users ADD CONSTRAINT k UNIQUE (email);";
    let again = "-- crossfade: no-transaction\nREINDEX TABLE CONCURRENTLY users;";
    for (text, as_written, expected) in [
        (built, false, true),
        (built, true, false),
        (written, false, true),
        (written, true, true),
        (unique, false, true),
        (unique, true, false),
        (again, true, true),
        ("CREATE TABLE x (id bigint);\nCREATE INDEX CONCURRENTLY ON x (id);", true, false),
    ] {
        assert_eq!(on(14, Some(3), as_written, text), expected, "{text} {as_written}");
    }
    for (major, minor) in [(14, None), (14, Some(4)), (13, Some(2)), (15, Some(0))] {
        assert!(!on(major, minor, true, written), "{major} {minor:?}");
    }
}

/// A database with one table.
fn with_users(rows: u64, scans: f64, samples: Vec<Sample>) -> (Catalog, Observed) {
    let name = TableName::new("public", "users");
    let table = Table { has_rows: true, estimated_rows: rows, blocks: rows / 50, ..Table::empty(name.clone()) };
    let catalog = Catalog { server_version: 150_004, block_size: 8192, tables: vec![table], ..Catalog::default() };
    let tables = vec![TableSize { table: name.clone(), rows, heap: rows * 160, indexes: 0 }];
    let around = Surroundings { tables, samples, ..Surroundings::default() };
    (catalog, Observed { loads: vec![Load { table: name, scans, writes: 1.0 }], around })
}

fn on(settings: &LintSettings, (catalog, observed): (Catalog, Observed), text: &str) -> Vec<LintFinding> {
    Linter::on(settings, catalog).observed(observed).file(text, &read_script(text)).found
}

#[test]
fn a_table_in_heavy_use_is_hot_and_never_small() {
    let rules = |settings: &LintSettings, scans: f64, text: &str| {
        let found = on(settings, with_users(1_000, scans, Vec::new()), text).into_iter();
        found.map(|finding| (finding.rule, finding.level)).collect::<Vec<_>>()
    };
    let written = another_tool();
    let (warning, error) = (crate::finding::Severity::Warning, crate::finding::Severity::Error);
    let locked = |level| ("explicit-lock".to_owned(), level);
    let note = crate::finding::Severity::Note;
    let lock = "LOCK TABLE users;";
    assert_eq!(rules(&written, 99.0, lock), [locked(warning), ("hot-table".to_owned(), warning)]);
    assert_eq!(rules(&written, 98.0, lock), [locked(note)]);
    let crossfade = LintSettings { as_written: false, ..written.clone() };
    let add = "ALTER TABLE users ADD COLUMN age integer;";
    assert_eq!(rules(&crossfade, 500.0, add), [("hot-table".to_owned(), note)]);
    assert_eq!(rules(&written, 500.0, "CREATE INDEX CONCURRENTLY i ON users (id);"), []);
    let blocking = rules(&written, 500.0, "CREATE INDEX i ON users (id);");
    assert_eq!(blocking, [("create-index-blocking".to_owned(), error), ("hot-table".to_owned(), warning)]);
}

#[test]
fn times_are_those_of_earlier_runs_where_there_are_some() {
    let settings = LintSettings { as_written: true, ..another_tool() };
    let sample = |work, seconds| Sample {
        work,
        table: TableName::new("public", "users"),
        rows: None,
        took: std::time::Duration::from_secs(seconds),
        version: "7".to_owned(),
    };
    let rows = 10_000_000;
    let blocked = |samples: Vec<Sample>, text: &str| {
        let found = on(&settings, with_users(rows, 0.0, samples), text);
        let one = found.into_iter().find_map(|finding| finding.blocked_for).expect("its size is known");
        (one.time.as_secs(), one.measured)
    };
    let check = "ALTER TABLE users ADD CONSTRAINT c CHECK (id > 0);";
    let index = "CREATE INDEX i ON users (id);";
    assert_eq!(blocked(Vec::new(), check), (7, None));
    assert_eq!(blocked(Vec::new(), index), (50, None));
    // One on the same work: as long again, but for what blocks are more than rows.
    let (time, basis) = blocked(vec![sample(Work::Scan, 100)], check);
    assert_eq!(time, 102);
    assert_eq!(
        basis.as_deref(),
        Some("reading a table once at 16 MB/s in one earlier run here, the last one of public.users by 7")
    );
    assert_eq!(blocked(vec![sample(Work::Index, 300)], index).0, 300);
    assert_eq!(blocked(vec![sample(Work::Scan, 100)], index), (50, None));
    // Nothing measures a rewrite.
    let (time, basis) = blocked(vec![sample(Work::Scan, 100)], "ALTER TABLE users SET UNLOGGED;");
    assert_eq!((time, basis), (52, None));
}

#[test]
fn a_build_that_takes_long_is_said() {
    let settings = another_tool();
    let rules = |rows: u64, text: &str| {
        let found = on(&settings, with_users(rows, 0.0, Vec::new()), text).into_iter();
        found.filter(|finding| finding.rule == "slow-index-build").map(|finding| finding.message).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    let index = "CREATE INDEX CONCURRENTLY i ON users (id);";
    assert_eq!(rules(119_000_000, index), none);
    assert_eq!(rules(120_000_000, index), ["an index over 120000000 rows of users takes about 10 minutes"]);
    assert_eq!(rules(120_000_000, "CREATE INDEX i ON users (id);"), none);
    assert_eq!(rules(120_000_000, "ALTER TABLE users ADD UNIQUE USING INDEX i;"), none);
    let crossfade = LintSettings { as_written: false, ..settings.clone() };
    let unique = "ALTER TABLE users ADD CONSTRAINT k UNIQUE (id);";
    let found = on(&crossfade, with_users(120_000_000, 0.0, Vec::new()), unique);
    assert!(found.iter().any(|finding| finding.rule == "slow-index-build"), "{found:?}");
}

#[test]
fn a_way_back_runs_as_it_is_written_and_drops_what_was_made() {
    let settings = LintSettings::default();
    let mut linter = Linter::new(&settings);
    let up = "ALTER TABLE users ADD COLUMN token text;\nCREATE INDEX users_token ON users (token);";
    for text in [TABLES, up] {
        linter.file(text, &read_script(text));
    }
    let back = |linter: &Linter<'_>, text: &str| {
        let found = linter.way_back(text, &read_script(text)).found.into_iter();
        found.map(|finding| format!("{:?} {}", finding.level, finding.rule).to_lowercase()).collect::<Vec<_>>()
    };
    let dropped = "ALTER TABLE users DROP COLUMN token;";
    assert_eq!(back(&linter, dropped), ["note drop-column"]);
    assert_eq!(back(&linter, "TRUNCATE users;"), ["error truncate"]);
    // An index is not built beside the others' work here.
    let index = "CREATE INDEX users_name ON users (name);";
    assert_eq!(back(&linter, index), ["error create-index-blocking"]);
    assert_eq!(back(&linter, &format!("-- crossfade: allow create-index-blocking a test\n{index}")), [""; 0]);
    // A table that the migration made is in use by then, and what the way back does is not done for the files behind it.
    assert_eq!(back(&linter, "DROP INDEX users_token;"), ["error drop-index-blocking"]);
    let narrow = "ALTER TABLE users DROP COLUMN name;";
    back(&linter, narrow);
    let next = "ALTER TABLE users ALTER COLUMN name TYPE varchar(100);";
    assert_eq!(linter.file(next, &read_script(next)).found, []);
}

#[test]
fn what_is_allowed_is_kept_with_its_reason() {
    let settings = another_tool();
    let text = "-- crossfade: allow truncate nobody reads it\nTRUNCATE users;\nTRUNCATE orders;";
    let mut linter = Linter::new(&settings);
    let LintFindings { found, allowed } = linter.file(text, &read_script(text));
    let shown = |all: &[LintFinding]| {
        all.iter().map(|one| (one.rule.clone(), one.message.clone(), one.allowed.clone())).collect::<Vec<_>>()
    };
    let reason = Some("nobody reads it".to_owned());
    assert_eq!(shown(&allowed), [("truncate".to_owned(), "users is emptied".to_owned(), reason)]);
    assert_eq!(shown(&found), [("truncate".to_owned(), "orders is emptied".to_owned(), None)]);
}
