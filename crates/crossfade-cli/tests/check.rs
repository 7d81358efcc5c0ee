//! The real binary in a git repository: what a branch does to the files of the base, and how CI is told.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;

/// A repository with two migrations on `main`, and the branch `topic` checked out.
struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    fn new() -> Repository {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("db/migrations")).unwrap();
        let repository = Repository { folder };
        repository.git(&["init", "-q", "-b", "main"]);
        repository.write("db/migrations/001_users.sql", "CREATE TABLE users (id integer PRIMARY KEY, email text);\n");
        repository.write("db/migrations/002_posts.sql", "CREATE TABLE posts (id integer);\n");
        repository.write("db/migrations/002_posts_down.sql", "DROP TABLE posts;\n");
        repository.commit("the first ones");
        repository.git(&["checkout", "-q", "-b", "topic"]);
        repository
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
    }

    fn commit(&self, what: &str) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", what]);
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn remove(&self, file: &str) {
        std::fs::remove_file(self.folder.path().join(file)).unwrap();
    }

    /// Called in the folder of the repository, with a database that is not there.
    fn call(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        let arguments = [&["check", "--dir", "db"], arguments].concat();
        call(self.folder.path(), variables, &arguments)
    }

    /// Rules with their files, as the document has them.
    fn rules(&self, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
        let output = self.call(&[], &[&["--json"], arguments].concat());
        let document: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
        let findings = document["findings"].as_array().unwrap_or_else(|| panic!("{document}"));
        let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let rules = findings.iter().map(|finding| format!("{} {}", word(finding, "rule"), word(finding, "path")));
        (output.status.code(), rules.collect())
    }
}

fn call(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("DATABASE_URL", "postgres://nobody:secret@127.0.0.1:1/nowhere")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn wrong_use_is_told_with_what_to_do() {
    let repository = Repository::new();
    for (base, said, hint) in [
        ("origin/main", "git knows no origin/main", "git fetch origin main"),
        ("--all", "git knows no --all", "fetch it first"),
        ("main^{tree}", "git knows no main^{tree}", "fetch it first"),
    ] {
        let output = repository.call(&[], &[&format!("--base={base}")]);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(said) && text(&output.stderr).contains(hint), "{}", text(&output.stderr));
    }
    // A branch that has nothing in common with this one.
    repository.git(&["checkout", "-q", "--orphan", "other"]);
    repository.commit("other");
    let unrelated = repository.call(&[], &["--base", "main"]);
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
    assert_eq!(repository.rules(&["--base", "main"]), (Some(0), Vec::new()));
    repository.write("db/migrations/001_users.sql", "CREATE TABLE users (id bigint PRIMARY KEY);\n");
    repository.remove("db/migrations/002_posts.sql");
    repository.remove("db/migrations/002_posts_down.sql");
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
    assert_eq!(repository.rules(&["--base", "main"]), (Some(3), expected.map(str::to_owned).to_vec()));
    let shown = repository.call(&[], &["--base", "main"]);
    assert_eq!(shown.status.code(), Some(3));
    insta::assert_snapshot!(text(&shown.stdout));
    let annotated = repository.call(&[], &["--base", "main", "--format", "github"]);
    insta::assert_snapshot!(text(&annotated.stdout));
}

#[test]
fn the_base_comes_from_the_configuration_or_from_the_ci_system() {
    let repository = Repository::new();
    repository.write("db/migrations/000_late.sql", "CREATE TABLE late (id integer);\n");
    assert_eq!(repository.rules(&[]), (Some(0), Vec::new()), "nothing to compare with");
    repository.write("db/crossfade.toml", "base = \"main\"\n");
    assert_eq!(repository.rules(&[]).1, ["out-of-order db/migrations/000_late.sql"]);
    repository.write("db/crossfade.toml", "out_of_order = \"allow\"\n");
    repository.git(&["update-ref", "refs/remotes/origin/main", "main"]);
    let output = repository.call(&[("GITHUB_BASE_REF", "main")], &["--json"]);
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
    assert_eq!(repository.rules(&[]), (Some(3), expected.map(str::to_owned).to_vec()));
    // With one, only what is new must have a way back.
    assert_eq!(repository.rules(&["--base", "main"]).1, ["syntax db/migrations/003_bad.sql"]);
    let annotated = text(&repository.call(&[], &["--base", "main", "--format", "github"]).stdout);
    assert!(annotated.starts_with("::error file=db/migrations/003_bad.sql,line=2,col=8,title=syntax::"), "{annotated}");
    repository.write("db/migrations/3_twice.sql", "SELECT 1;\n");
    let (code, rules) = repository.rules(&["--base", "main"]);
    assert_eq!((code, rules.len()), (Some(3), 1), "{rules:?}");
    assert!(rules[0].starts_with("folder db/migrations"), "{rules:?}");
}

/// What is planned there is what is new; a private server is made and goes.
#[test]
fn what_is_new_is_planned_on_a_scratch_database() {
    let repository = Repository::new();
    repository.write("db/migrations/003_rename.sql", "ALTER TABLE users RENAME COLUMN email TO email_address;\n");
    repository.write("db/migrations/004_text.sql", "COMMENT ON COLUMN users.email_address IS 'where letters go';\n");
    let output = repository.call(&[], &["--base", "main", "--scratch", "--json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    let plans = document["plans"].as_array().unwrap();
    let phased: Vec<(&Value, &Value)> = plans.iter().map(|plan| (&plan["version"], &plan["phased"])).collect();
    assert_eq!(phased, [(&Value::from("003"), &Value::from(true)), (&Value::from("004"), &Value::from(false))]);

    repository.write("db/migrations/005_wrong.sql", "ALTER TABLE users DROP COLUMN nothing;\n");
    let (code, rules) = repository.rules(&["--base", "main", "--scratch"]);
    assert_eq!((code, rules), (Some(3), vec!["no-such-column db/migrations/005_wrong.sql".to_owned()]));
    // What fails only when it is run.
    repository.write("db/migrations/005_wrong.sql", "DO $$ BEGIN RAISE EXCEPTION 'not like this'; END $$;\n");
    let output = repository.call(&[], &["--base", "main", "--scratch"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stdout).contains("not like this"), "{}", text(&output.stdout));
}
