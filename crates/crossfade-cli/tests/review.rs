//! The real binary: what `lint` and `check` found in the forms that other programs read, and only what a branch has changed.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

mod repository;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::repository::Repository;
use crate::repository::call;
use crate::repository::text;

/// Names that need escaping in every form there is.
const NASTY: &str =
    "CREATE INDEX \"a|b`<x>&\" ON users (\n  email\n);\n-- größe 😀\nSELECT '😀'; CREATE INDEX c ON users (email);\n";

fn repository() -> Repository {
    let repository = Repository::new();
    repository.write("db/migrations/003_indexes 100%.sql", NASTY);
    repository
}

/// By the schema that OASIS publishes.
fn check_sarif(document: &str) -> Value {
    let schema: Value = serde_json::from_str(include_str!("schemas/sarif-2.1.0.json")).unwrap();
    let log: Value = serde_json::from_str(document).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        schema.iter_errors(&log).map(|error| format!("{error} at {}", error.instance_path)).collect();
    assert_eq!(errors, Vec::<String>::new(), "{document}");
    log
}

#[test]
fn sarif_is_what_the_official_schema_wants() {
    let repository = repository();
    let output = repository.call("lint", &[], &["--format", "sarif"]);
    let log = check_sarif(&text(&output.stdout));
    let run = &log["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 2, "{log:#}");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for result in results {
        let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(
            rule["helpUri"].as_str().unwrap().ends_with(&format!("/docs/rules/{}.md", rule["id"].as_str().unwrap()))
        );
    }
    let last = results.iter().rfind(|result| result["ruleId"] == "create-index-blocking").unwrap();
    let place = &last["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "db/migrations/003_indexes%20100%25.sql");
    // Characters, as columnKind says: the picture is one.
    assert_eq!((&place["region"]["startLine"], &place["region"]["startColumn"]), (&Value::from(5), &Value::from(13)));
    assert_eq!(run["columnKind"], "unicodeCodePoints");

    repository.write("db/migrations/004_bad.sql", "CREATE TABEL x ();\n");
    let output = repository.call("check", &[], &["--format", "sarif"]);
    assert_eq!(output.status.code(), Some(3));
    let log = check_sarif(&text(&output.stdout));
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "syntax");
    // Nothing found is a log, too.
    check_sarif(&text(&repository.call("lint", &[], &["--format=sarif", "db/migrations/002_posts.sql"]).stdout));
}

#[test]
fn several_forms_at_once_go_into_files() {
    let repository = repository();
    let formats =
        ["gitlab=q.json", "junit=j.xml", "markdown=m.md", "sarif=s.sarif", "json=f.json", "text=t.txt", "github"];
    let arguments: Vec<&str> = formats.iter().flat_map(|format| ["--format", *format]).collect();
    let output = repository.call("lint", &[], &arguments);
    let annotations = text(&output.stdout);
    assert!(annotations.lines().all(|line| line.starts_with("::")), "{annotations}");
    let read = |name: &str| std::fs::read_to_string(repository.path().join(name)).unwrap();
    let issues: Value = serde_json::from_str(&read("q.json")).unwrap();
    let prints: BTreeSet<&str> =
        issues.as_array().unwrap().iter().map(|issue| issue["fingerprint"].as_str().unwrap()).collect();
    assert_eq!(prints.len(), issues.as_array().unwrap().len());
    assert!(prints.len() >= 2);
    check_sarif(&read("s.sarif"));
    let document: Value = serde_json::from_str(&read("f.json")).unwrap();
    assert_eq!(document["findings"].as_array().unwrap().len(), prints.len());
    assert!(read("j.xml").starts_with("<?xml") && read("m.md").starts_with("# `crossfade lint`"));
    assert!(read("t.txt").contains("create-index-blocking") && !read("t.txt").contains('\u{1b}'));

    let two = repository.call("lint", &[], &["--format", "github", "--format", "sarif"]);
    assert_eq!(two.status.code(), Some(2));
    assert!(text(&two.stderr).contains("only one format can go to standard output"), "{}", text(&two.stderr));
    let unknown = repository.call("check", &[], &["--format", "xml"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        text(&unknown.stderr).contains("text, json, github, sarif, gitlab, junit, markdown"),
        "{}",
        text(&unknown.stderr)
    );
    let nowhere = repository.call("check", &[], &["--format", "sarif=nowhere/x.sarif"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).contains("could not write nowhere/x.sarif"), "{}", text(&nowhere.stderr));
    let json = repository.call("lint", &[], &["--format", "json"]);
    assert!(serde_json::from_slice::<Value>(&json.stdout).is_ok(), "{}", text(&json.stdout));
}

#[test]
fn only_what_a_branch_has_changed_is_found() {
    let repository = repository();
    let found = |arguments: &[&str]| {
        let output = repository.call("lint", &[], &[&["--json"], arguments].concat());
        let document: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        let findings = document["findings"].as_array().unwrap();
        let at = |finding: &Value| format!("{}:{}", finding["path"].as_str().unwrap(), finding["line"]);
        findings.iter().filter(|finding| finding["rule"] == "create-index-blocking").map(at).collect::<Vec<_>>()
    };
    let file = "db/migrations/003_indexes 100%.sql";
    // Not known to git yet.
    assert_eq!(found(&["--since", "main"]), [format!("{file}:1"), format!("{file}:5")]);
    repository.git(&["checkout", "-q", "main"]);
    repository.commit("indexes");
    repository.git(&["checkout", "-q", "-B", "topic"]);
    assert_eq!(found(&["--since", "main"]), Vec::<String>::new());
    assert_eq!(found(&[]).len(), 2);
    repository.write(file, &format!("CREATE INDEX d ON users (id);\n{NASTY}"));
    assert_eq!(found(&["--since", "main"]), [format!("{file}:1")]);
    repository.commit("one more");
    assert_eq!(found(&["--since", "main"]), [format!("{file}:1")]);
    // What others changed on the base since is not this branch's.
    repository.git(&["checkout", "-q", "main"]);
    repository.write("db/migrations/004_theirs.sql", "CREATE INDEX e ON users (id);\n");
    repository.commit("theirs");
    repository.git(&["checkout", "-q", "topic"]);
    assert_eq!(found(&["--since", "main"]), [format!("{file}:1")]);
    assert_eq!(found(&["--since", "HEAD"]), Vec::<String>::new());
    // A file that is named, and a folder that is not the one of the migrations.
    assert_eq!(found(&["--since", "main", file]), [format!("{file}:1")]);
    repository.write("other/x.sql", "CREATE INDEX f ON users (id);\n");
    assert_eq!(found(&["--since", "main", "other"]), ["other/x.sql:1"]);

    let unknown = repository.call("lint", &[], &["--since", "origin/nothing"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("git knows no origin/nothing"), "{}", text(&unknown.stderr));
    let nowhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(nowhere.path().join("migrations")).unwrap();
    let output = call(nowhere.path(), &[("GIT_CEILING_DIRECTORIES", "/")], &["lint", "--since", "main"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}
