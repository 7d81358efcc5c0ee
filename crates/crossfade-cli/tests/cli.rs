//! The command as a whole: words, exit codes, and which of the two outputs gets what.

use std::path::Path;
use std::process::Command;
use std::process::Output;

use insta::assert_snapshot;

/// What a call came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Calls it in a folder, with nothing of this machine's environment but the search path.
fn call(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(variables.iter().copied())
        .output()
        .expect("the binary can be called");
    Ran { code: status.code(), out: text(stdout), err: text(stderr) }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("what is printed is UTF-8")
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

#[test]
fn help_is_the_reference() {
    let folder = folder();
    let mut pages = String::new();
    let commands = [
        "",
        "init",
        "new",
        "status",
        "history",
        "plan",
        "baseline",
        "migrate",
        "contract",
        "rollback",
        "redo",
        "goto",
        "repair",
        "squash",
        "purge",
        "renumber",
        "pause",
        "resume",
        "throttle",
        "watch",
        "serve",
        "wait",
        "verify",
        "usage",
        "drift",
        "check",
        "test",
        "backfill",
        "adopt",
        "completions",
    ];
    for command in commands {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|argument| !argument.is_empty()).collect();
        let ran = call(folder.path(), &[("DATABASE_URL", "postgres://u:secret@h/d"), ("COLUMNS", "110")], &arguments);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(!ran.out.contains("secret"));
        pages.push_str(&format!("$ crossfade {}\n{}\n\n", arguments.join(" "), ran.out.trim_end()));
    }
    assert_snapshot!(pages);
}

#[test]
fn init_and_new() {
    let folder = folder();
    let at = folder.path();
    let ran = call(at, &[], &["new", "x"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("hint: crossfade init"), "{}", ran.err);

    let ran = call(at, &[], &["init"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "crossfade.toml\nmigrations\n"));
    std::fs::write(at.join("crossfade.toml"), "retain = \"0\"\n").unwrap();
    let ran = call(at, &[], &["init"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""));
    assert!(ran.err.contains("crossfade.toml is there already"));
    assert_eq!(std::fs::read_to_string(at.join("crossfade.toml")).unwrap(), "retain = \"0\"\n");
    let made = json(&call(at, &[], &["init", "--json"]).out);
    assert_eq!(made["kept"], serde_json::json!(["crossfade.toml", "migrations"]));

    let ran = call(at, &[], &["init", "--build-script"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), "build.rs\n"));
    let script = std::fs::read_to_string(at.join("build.rs")).unwrap();
    assert!(script.contains("fn main() {\n    println!(\"cargo::rerun-if-changed=migrations\");\n}\n"), "{script}");
    std::fs::write(at.join("build.rs"), "fn main() {}\n").unwrap();
    let ran = call(at, &[], &["init", "--build-script"]);
    assert!(
        ran.err.contains("unless it stands there: println!(\"cargo::rerun-if-changed=migrations\");"),
        "{}",
        ran.err
    );
    assert_eq!(std::fs::read_to_string(at.join("build.rs")).unwrap(), "fn main() {}\n");

    let ran = call(at, &[], &["new", "Create users", "--down"]);
    let (up, down) = ("migrations/001_create_users.sql", "migrations/001_create_users_down.sql");
    assert_eq!((ran.code, ran.out), (Some(0), format!("{up}\n{down}\n")));
    assert!(at.join(up).exists() && at.join(down).exists());
    let ran = call(at.parent().unwrap(), &[], &["new", "AddAge", "--json", "--dir", at.to_str().unwrap()]);
    assert_eq!(json(&ran.out)["version"], "002");
    assert!(at.join("migrations/002_add_age.sql").exists());

    let ran = call(at, &[], &["new", "create_users"]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.err.contains("there is a migration of this name: 001_create_users.sql"), "{}", ran.err);
    assert_eq!(call(at, &[], &["new", "users_down"]).code, Some(2));
    assert_eq!(call(at, &[], &["new", "--", "--"]).code, Some(2));
}

#[test]
fn new_goes_on_in_the_layout_of_the_folder() {
    let folder = folder();
    let at = folder.path();
    std::fs::create_dir(at.join("migrations")).unwrap();
    std::fs::write(at.join("migrations/000007_a.up.sql"), "SELECT 1;").unwrap();
    let ran = call(at, &[], &["new", "scale down", "--down"]);
    let (up, down) = ("migrations/000008_scale_down.up.sql", "migrations/000008_scale_down.down.sql");
    assert_eq!((ran.code, ran.out), (Some(0), format!("{up}\n{down}\n")), "{}", ran.err);
    let ran = call(at, &[], &["new", "views", "--repeatable", "--json"]);
    assert_eq!(json(&ran.out)["created"], serde_json::json!(["migrations/R__views.sql"]), "{}", ran.err);
    assert_eq!(json(&ran.out)["layout"], "up-down");
    assert_eq!(call(at, &[], &["new", "views", "--repeatable", "--down"]).code, Some(2));

    std::fs::write(at.join("migrations/000009_b.sql"), "-- +goose Up\nSELECT 1;\n").unwrap();
    let ran = call(at, &[], &["new", "c"]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.err.contains("holds migrations of two layouts") && ran.err.contains("000009_b.sql (goose)"),
        "{}",
        ran.err
    );
    std::fs::write(at.join("crossfade.toml"), "layout = \"gose\"\n").unwrap();
    let ran = call(at, &[], &["new", "c"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("crossfade.toml:1:10: \"gose\" is no layout"), "{}", ran.err);
}

#[test]
fn renumber_without_a_database() {
    let folder = folder();
    let at = folder.path();
    std::fs::create_dir(at.join("migrations")).unwrap();
    for name in ["001_a.sql", "001_b.sql", "001_b_down.sql", "002_c.sql"] {
        std::fs::write(at.join("migrations").join(name), "SELECT 1;").unwrap();
    }
    let ran = call(at, &[], &["renumber", "--offline", "--dry-run", "--json"]);
    let report = json(&ran.out);
    assert_eq!((ran.code, report["dry_run"].as_bool()), (Some(0), Some(true)), "{}", ran.err);
    assert_eq!(report["migrations"][0]["files"][1]["to"], "./migrations/003_b_down.sql");
    assert!(at.join("migrations/001_b.sql").exists());
    let ran = call(at, &[], &["renumber", "--offline"]);
    assert_eq!(
        ran.out,
        "001 b becomes 003\n  migrations/001_b.sql -> migrations/003_b.sql\n  migrations/001_b_down.sql -> migrations/003_b_down.sql\n"
    );
    assert!(ran.err.contains("the database was not asked"), "{}", ran.err);
    assert!(at.join("migrations/003_b.sql").exists() && !at.join("migrations/001_b.sql").exists());
    assert_eq!(call(at, &[], &["renumber", "--offline"]).out, "nothing to renumber\n");
    let ran = call(at, &[], &["renumber", "--offline", "002"]);
    assert_eq!(ran.out, "002 c becomes 004\n  migrations/002_c.sql -> migrations/004_c.sql\n");
    assert_eq!(call(at, &[], &["renumber", "--offline", "no_such.sql"]).code, Some(2));
    assert_eq!(call(at, &[], &["renumber", "--database-url", "postgres://me@127.0.0.1:1/x"]).code, Some(1));
}

#[test]
fn a_bad_configuration_is_named_with_its_place() {
    let folder = folder();
    std::fs::write(folder.path().join("crossfade.toml"), "\nretain = \"1 year\"\n").unwrap();
    let ran = call(folder.path(), &[], &["status"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("crossfade.toml:2:10: \"year\" is no unit of time"), "{}", ran.err);
    let ran = call(folder.path(), &[], &["status", "--json"]);
    assert_eq!((ran.code, json(&ran.out)["error"]["kind"].as_str()), (Some(2), Some("usage")));
}

#[test]
fn wrong_use() {
    let folder = folder();
    let ran = call(folder.path(), &[], &["migarte"]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""));
    assert!(ran.err.contains("migrate"), "{}", ran.err);
    let ran = call(folder.path(), &[], &["migrate", "--json", "--nonsense"]);
    assert_eq!((ran.code, json(&ran.out)["error"]["kind"].as_str()), (Some(2), Some("usage")));
    let ran = call(folder.path(), &[("CROSSFADE_LOG", "a=b=c")], &["init"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    let ran = call(folder.path(), &[], &["status", "--database-url", "mysql://u:secret@h/d"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(!ran.err.contains("secret"), "{}", ran.err);
}

#[test]
fn a_database_that_is_not_there() {
    let folder = folder();
    let at = folder.path();
    std::fs::create_dir(at.join("migrations")).unwrap();
    let url = "postgres://me:secret@127.0.0.1:1/shop";
    let check = |variables: &[(&str, &str)], arguments: &[&str]| {
        let ran = call(at, variables, arguments);
        assert_eq!(ran.code, Some(1), "{arguments:?} {}", ran.err);
        assert!(!format!("{}{}", ran.out, ran.err).contains("secret"), "{}", ran.err);
        ran
    };
    let ran = check(&[], &["status", "--database-url", url]);
    assert!(ran.err.starts_with("error: could not connect to 127.0.0.1:1/shop as me\n  caused by: "), "{}", ran.err);
    assert!(ran.err.contains("  hint: is the server running there?"), "{}", ran.err);
    assert_eq!(ran.out, "");

    let ran = check(&[("DATABASE_URL", url)], &["plan", "--format", "json"]);
    let error = &json(&ran.out)["error"];
    assert_eq!((error["kind"].as_str(), error["findings"].as_array().map(Vec::len)), (Some("failed"), Some(0)));
    assert!(error["hint"].is_string() && error["causes"].is_array());

    // The flag goes before the environment, which goes before .env, which goes before the libpq variables.
    let other = "postgres://me:secret@127.0.0.1:2/other";
    let variables =
        [("PGHOST", "127.0.0.1"), ("PGPORT", "3"), ("PGDATABASE", "third"), ("PGUSER", "me"), ("PGPASSWORD", "secret")];
    assert!(check(&variables, &["status"]).err.contains("127.0.0.1:3/third"));
    std::fs::write(at.join(".env"), format!("DATABASE_URL=\"{other}\"\nOTHER='secret\n")).unwrap();
    assert!(check(&variables, &["status"]).err.contains("127.0.0.1:2/other"));
    assert!(check(&[("DATABASE_URL", url)], &["status"]).err.contains("127.0.0.1:1/shop"));
    assert!(check(&[("DATABASE_URL", other)], &["status", "--database-url", url]).err.contains("127.0.0.1:1/shop"));
}

#[test]
fn completions() {
    let folder = folder();
    for (shell, word) in [("bash", "_crossfade()"), ("zsh", "#compdef crossfade"), ("fish", "complete -c crossfade")] {
        let ran = call(folder.path(), &[], &["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
        assert!(ran.out.contains(word), "{shell}: {}", ran.out);
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let binary = env!("CARGO_BIN_EXE_crossfade");
    let script = format!("set -o pipefail; '{binary}' completions bash | true");
    let status = Command::new("bash").args(["-c", &script]).status().unwrap();
    assert!(status.success());
}
