//! The real binary with hooks: what they are told, what is shown of them, and what a required one stops.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;

/// Exit code, standard output and standard error of a call, with a secret in the environment.
fn call(url: &str, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(arguments)
        .current_dir("/")
        .args([Path::new("--dir"), folder])
        .env_clear()
        .envs([("HOME", folder.as_os_str()), ("PATH", std::env::var_os("PATH").unwrap_or_default().as_os_str())])
        .envs([("DATABASE_URL", url), ("CROSSFADE_ACTOR", "alice"), ("TEAM_URL", "http://127.0.0.1:9/s3cret")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (run.status.code(), text(run.stdout), text(run.stderr))
}

const HOOKS: &str = r#"
[[hooks]]
on = ["before-expand"]
required = true
run = "test -e may && echo \"$CROSSFADE_ACTOR $CROSSFADE_DATABASE\" >> notes"

[[hooks]]
name = "team"
on = ["applied"]
webhook_env = "TEAM_URL"
format = "slack"
retries = 0
"#;

#[tokio::test(flavor = "multi_thread")]
async fn hooks_by_their_words_and_exit_codes() {
    let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
    let url = server.url("postgres");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir(path.join("migrations")).unwrap();
    std::fs::write(path.join("migrations/001_users.sql"), "CREATE TABLE users (id int);").unwrap();
    std::fs::write(path.join("crossfade.toml"), HOOKS).unwrap();

    let (code, _, err) = call(&url, path, &["migrate"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("hook 1 (command) is required before expand of migration 001 users, and failed"), "{err}");
    assert!(err.contains("hint: nothing of expand was done"), "{err}");

    // Nobody is needed for a trial but the hooks themselves.
    let nowhere = "postgres://me:pw@127.0.0.1:1/shop";
    let (code, out, _) = call(nowhere, path, &["hooks", "test"]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("✗ hook 1 (command) on before-expand") && out.contains("exit code 1"), "{out}");
    assert!(out.contains("✗ team on applied") && out.contains("it does not answer"), "{out}");
    assert!(!out.contains("s3cret"), "{out}");
    let (code, _, err) = call(nowhere, path, &["hooks", "test", "lunch"]);
    assert!(code == Some(2) && err.contains("\"lunch\" is no event"), "{err}");

    std::fs::write(path.join("may"), "").unwrap();
    let (code, out, _) = call(nowhere, path, &["hooks", "test", "before-expand", "--json"]);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, document["hooks"].as_array().unwrap().len()), (Some(0), 1), "{out}");
    assert_eq!(document["hooks"][0]["error"], serde_json::Value::Null);

    let (code, _, err) = call(&url, path, &["migrate"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(
        err.contains("001 users is applied") && err.contains("warning: team on applied: it does not answer"),
        "{err}"
    );
    assert!(!err.contains("s3cret"), "{err}");
    let notes = std::fs::read_to_string(path.join("notes")).unwrap();
    assert!(notes.starts_with("alice 127.0.0.1:1/shop\nalice "), "{notes}");

    // What they were told is kept; the doctor names what fails until it works, also by a trial.
    let (_, out, _) = call(&url, path, &["history"]);
    assert!(out.contains("001 users  hook 1 (command) was told: before-expand"), "{out}");
    assert!(out.contains("001 users  team was not told: applied") && !out.contains("s3cret"), "{out}");
    let (code, out, _) = call(&url, path, &["doctor"]);
    assert_eq!(code, Some(3), "{out}");
    assert!(out.contains("hook team") && out.contains("mend:  crossfade hooks test --record\n"), "{out}");
    let (code, _, err) = call(nowhere, path, &["hooks", "test", "--record"]);
    assert!(code == Some(1) && err.contains("what came of it could not be written down"), "{err}");
    let mended = HOOKS.replace("webhook_env = \"TEAM_URL\"\nformat = \"slack\"\nretries = 0", "run = \"true\"");
    std::fs::write(path.join("crossfade.toml"), mended).unwrap();
    let (code, _, err) = call(&url, path, &["hooks", "test", "--record"]);
    assert_eq!(code, Some(0), "{err}");
    let (code, out, _) = call(&url, path, &["doctor"]);
    assert_eq!(code, Some(0), "{out}");
}
