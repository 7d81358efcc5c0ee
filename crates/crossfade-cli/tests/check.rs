//! The real binary in a git repository: what a branch does to the files of the base, and how CI is told.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

mod repository;

use serde_json::Value;

use crate::repository::Repository;
use crate::repository::call;
use crate::repository::text;

/// Rules with their files, as the document has them.
fn rules(repository: &Repository, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let output = repository.call("check", &[], &[&["--json"], arguments].concat());
    let document: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
    let findings = document["findings"].as_array().unwrap_or_else(|| panic!("{document}"));
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let rules = findings.iter().map(|finding| format!("{} {}", word(finding, "rule"), word(finding, "path")));
    (output.status.code(), rules.collect())
}

fn remove(repository: &Repository, file: &str) {
    std::fs::remove_file(repository.path().join(file)).unwrap();
}

#[test]
fn wrong_use_is_told_with_what_to_do() {
    let repository = Repository::new();
    for (base, said, hint) in [
        ("origin/main", "git knows no origin/main", "git fetch origin main"),
        ("--all", "git knows no --all", "fetch it first"),
        ("main^{tree}", "git knows no main^{tree}", "fetch it first"),
    ] {
        let output = repository.call("check", &[], &[&format!("--base={base}")]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said) && text(&output.stderr).contains(hint), "{}", text(&output.stderr));
    }
    // A branch that has nothing in common with this one.
    repository.git(&["checkout", "-q", "--orphan", "other"]);
    repository.commit("other");
    let unrelated = repository.call("check", &[], &["--base", "main"]);
    assert_eq!(unrelated.status.code(), Some(2));
    assert!(text(&unrelated.stderr).contains("fetch-depth: 0"), "{}", text(&unrelated.stderr));

    let nowhere = tempfile::tempdir().unwrap();
    std::fs::create_dir(nowhere.path().join("migrations")).unwrap();
    let output = call(nowhere.path(), &[("GIT_CEILING_DIRECTORIES", "/")], &["check", "--base", "main"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("not a git repository"), "{}", text(&output.stderr));
    let output = call(nowhere.path(), &[("PATH", "/nowhere")], &["check", "--base", "main"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("could not run git"), "{}", text(&output.stderr));
    // Without a base git is not needed.
    let output = call(nowhere.path(), &[("PATH", "/nowhere")], &["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_a_branch_does_to_the_files_of_the_base_is_found() {
    let repository = Repository::new();
    assert_eq!(rules(&repository, &["--base", "main"]), (Some(0), Vec::new()));
    repository.write("db/migrations/001_users.sql", "CREATE TABLE users (id bigint PRIMARY KEY);\n");
    remove(&repository, "db/migrations/002_posts.sql");
    remove(&repository, "db/migrations/002_posts_down.sql");
    repository.write("db/migrations/003_new.sql", "CREATE TABLE n (id integer);\n");
    repository.git(&["stash", "-q", "-u"]);
    repository.git(&["checkout", "-q", "main"]);
    repository.write("db/migrations/004_merged.sql", "CREATE TABLE m (id integer);\n");
    repository.commit("merged meanwhile");
    repository.git(&["checkout", "-q", "topic"]);
    repository.git(&["stash", "pop", "-q"]);
    // Also what is not committed yet.
    let expected = [
        "changed-file db/migrations/001_users.sql",
        "deleted-file db/migrations/002_posts.sql",
        "out-of-order db/migrations/003_new.sql",
    ];
    assert_eq!(rules(&repository, &["--base", "main"]), (Some(3), expected.map(str::to_owned).to_vec()));
    let shown = repository.call("check", &[], &["--base", "main"]);
    assert_eq!(shown.status.code(), Some(3));
    insta::assert_snapshot!(text(&shown.stdout));
    let annotated = repository.call("check", &[], &["--base", "main", "--format", "github"]);
    insta::assert_snapshot!(text(&annotated.stdout));
}

#[test]
fn the_base_comes_from_the_configuration_or_from_the_ci_system() {
    let repository = Repository::new();
    repository.write("db/migrations/000_late.sql", "CREATE TABLE late (id integer);\n");
    assert_eq!(rules(&repository, &[]), (Some(0), Vec::new()), "nothing to compare with");
    repository.write("db/crossfade.toml", "base = \"main\"\n");
    assert_eq!(rules(&repository, &[]).1, ["out-of-order db/migrations/000_late.sql"]);
    repository.write("db/crossfade.toml", "out_of_order = \"allow\"\n");
    repository.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    let output = repository.call("check", &[("GITHUB_BASE_REF", "main")], &["--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["base"]["name"]), (Some(0), &Value::from("origin/main")));
    assert_eq!(document["findings"][0]["severity"], Value::from("warning"));
    assert_eq!(document["new"], serde_json::json!(["000"]));
}

#[test]
fn a_file_that_can_t_be_run_or_has_no_way_back_is_found_without_a_base() {
    let repository = Repository::new();
    repository.write("db/crossfade.toml", "downs = \"require\"\n");
    repository.write("db/migrations/003_bad.sql", "CREATE TABLE a (id integer);\nCREATE TABEL b (id integer);\n");
    repository.write("db/migrations/003_bad_down.sql", "DROP TABLE a;\n");
    let expected = ["missing-down db/migrations/001_users.sql", "syntax db/migrations/003_bad.sql"];
    assert_eq!(rules(&repository, &[]), (Some(3), expected.map(str::to_owned).to_vec()));
    // With one, only what is new must have a way back.
    assert_eq!(rules(&repository, &["--base", "main"]).1, ["syntax db/migrations/003_bad.sql"]);
    let annotated = text(&repository.call("check", &[], &["--base", "main", "--format", "github"]).stdout);
    assert!(annotated.starts_with("::error file=db/migrations/003_bad.sql,line=2,col=8,title=syntax::"), "{annotated}");
    repository.write("db/migrations/3_twice.sql", "SELECT 1;\n");
    let (code, rules) = rules(&repository, &["--base", "main"]);
    assert_eq!((code, rules.len()), (Some(3), 1), "{rules:?}");
    assert!(rules[0].starts_with("folder db/migrations"), "{rules:?}");
}

/// What is planned there is what is new; a private server is made and goes.
#[test]
fn what_is_new_is_planned_on_a_scratch_database() {
    let repository = Repository::new();
    repository.write("db/migrations/003_rename.sql", "ALTER TABLE users RENAME COLUMN email TO email_address;\n");
    repository.write("db/migrations/004_text.sql", "COMMENT ON COLUMN users.email_address IS 'where letters go';\n");
    let output = repository.call("check", &[], &["--base", "main", "--scratch", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    let plans = document["plans"].as_array().unwrap();
    let phased: Vec<(&Value, &Value)> = plans.iter().map(|plan| (&plan["version"], &plan["phased"])).collect();
    assert_eq!(phased, [(&Value::from("003"), &Value::from(true)), (&Value::from("004"), &Value::from(false))]);

    repository.write("db/migrations/005_wrong.sql", "ALTER TABLE users DROP COLUMN nothing;\n");
    let (code, rules) = rules(&repository, &["--base", "main", "--scratch"]);
    assert_eq!((code, rules), (Some(3), vec!["no-such-column db/migrations/005_wrong.sql".to_owned()]));
    // What fails only when it is run.
    repository.write("db/migrations/005_wrong.sql", "DO $$ BEGIN RAISE EXCEPTION 'not like this'; END $$;\n");
    let output = repository.call("check", &[], &["--base", "main", "--scratch"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("not like this"), "{}", text(&output.stdout));
}

#[test]
fn new_files_are_linted_and_what_runs_in_phases_is_no_finding() {
    let repository = Repository::new();
    repository.write("db/migrations/050_hot.sql", "TRUNCATE users;\n");
    repository.write("db/migrations/051_phased.sql", "ALTER TABLE users ADD CONSTRAINT c CHECK (id > 0);\n");
    let (code, found) = rules(&repository, &["--base", "main"]);
    assert_eq!((code, found), (Some(3), vec!["truncate db/migrations/050_hot.sql".to_owned()]));
    // A reason allows it.
    repository.write(
        "db/migrations/050_hot.sql",
        "-- crossfade: allow truncate it holds sessions, which may go\n-- crossfade: direct it holds sessions\nTRUNCATE users;\n",
    );
    assert_eq!(rules(&repository, &["--base", "main"]), (Some(0), Vec::new()));
}
