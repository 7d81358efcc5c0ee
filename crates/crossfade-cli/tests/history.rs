//! The real binary: a history is begun, gone on with, looked at, mended and gone back on, by its words and exit codes.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::process::Command;
use std::process::Stdio;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use serde_json::Value;
use tokio_postgres::NoTls;

/// A server with a table that was there first, and a folder with its file.
struct Scene {
    server: ScratchServer,
    folder: tempfile::TempDir,
}

/// What a call came to.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Scene {
    async fn new() -> Scene {
        let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
        let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("CREATE TABLE users (id int PRIMARY KEY)").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        let scene = Scene { server, folder };
        scene.write("001_users.sql", "CREATE TABLE users (id int PRIMARY KEY);\n");
        scene
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("migrations").join(name), text).unwrap();
    }

    /// Calls it as a job of GitHub does, with nothing else of this machine's environment but the search path.
    fn call(&self, arguments: &[&str]) -> Ran {
        let run = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DATABASE_URL", self.server.url("postgres"))
            .envs([("GITHUB_ACTOR", "alice"), ("GITHUB_SHA", "3f2a1bc9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3")])
            .envs([
                ("GITHUB_SERVER_URL", "https://github.com"),
                ("GITHUB_REPOSITORY", "acme/shop"),
                ("GITHUB_RUN_ID", "9"),
            ])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran { code: run.status.code(), out: text(run.stdout), err: text(run.stderr) }
    }

    fn done(&self, arguments: &[&str]) -> Ran {
        let ran = self.call(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {}{}", ran.out, ran.err);
        ran
    }

    fn refused(&self, arguments: &[&str], code: i32, words: &str) {
        let ran = self.call(arguments);
        assert_eq!(ran.code, Some(code), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(words), "{arguments:?}: {}", ran.err);
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.done(&[arguments, &["--json"]].concat()).out).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_from_its_baseline_on() {
    let scene = Scene::new().await;
    assert_eq!(scene.done(&["history"]).out, "nothing has happened yet\n");
    let shown = scene.done(&["baseline", "1", "--dry-run"]).out;
    assert_eq!(shown, "001 users would count as applied\nnothing was written and nothing was run\n");
    assert_eq!(scene.done(&["baseline", "1"]).out, "001 users counts as applied\nnothing was run\n");
    assert_eq!(scene.json(&["baseline", "1"])["migrations"][0]["known"], true);

    scene.write("002_age.sql", "ALTER TABLE users ADD COLUMN age int;\n");
    scene.write("002_age_down.sql", "ALTER TABLE users DROP COLUMN age;\n");
    scene.write("003_notes.sql", "CREATE TABLE notes (id int);\n");
    scene.write("003_notes_down.sql", "DROP TABLE notes;\n");
    scene.done(&["migrate", "--actor", "bob"]);
    let history = scene.done(&["history", "--sql"]).out;
    assert!(history.contains("alice on "), "{history}");
    assert!(history.contains(", as role postgres, crossfade "), "{history}");
    assert!(history.contains("commit 3f2a1bc9d8e7\nhttps://github.com/acme/shop/actions/runs/9\n"), "{history}");
    assert!(history.contains("001 users  counted as applied (baseline); nothing was run\n"), "{history}");
    assert!(history.contains("\nbob on ") && history.contains("      CREATE TABLE notes (id int);\n"), "{history}");
    let events = scene.json(&["history", "003", "--since", "1h"]);
    assert_eq!(
        (events["events"][0]["actor"].as_str(), events["events"][0]["version"].as_str()),
        (Some("bob"), Some("003"))
    );
    scene.refused(&["history", "--since", "noon-ish"], 2, "\"noon-ish\" is no point in time");

    let way = scene.done(&["goto", "1", "--dry-run"]).out;
    assert_eq!(way, "undo 003 notes by its down file\nundo 002 age by its down file\n");
    let done = scene.done(&["rollback", "--to", "2"]);
    assert!(
        done.err.contains("the way: back from 003\n") && done.err.contains("003 notes is rolled_back"),
        "{}",
        done.err
    );
    assert_eq!(scene.json(&["goto", "3"])["way"][0]["direction"], "up");
    assert!(scene.done(&["redo"]).err.contains("003 notes is applied"));
    scene.refused(&["goto", "7"], 2, "the versions are 001, 002, 003; 0 is before the first");
    scene.refused(&["rollback", "2", "--to", "1"], 2, "cannot be used with");
    scene.refused(&["rollback", "--dry-run"], 2, "--to");
    scene.refused(&["goto", "0"], 3, "migration 001 users is applied and has no down file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_mended_by_its_words() {
    let scene = Scene::new().await;
    scene.done(&["baseline", "1"]);
    assert_eq!(scene.done(&["repair"]).out, "nothing to repair: every file is as it was run\n");
    scene.write("001_users.sql", "CREATE TABLE users (id bigint PRIMARY KEY);\n");
    scene.refused(
        &["migrate"],
        3,
        "hint: restore its text, and write the change as a new migration; `crossfade repair 001`",
    );
    let shown = scene.done(&["repair"]).out;
    assert!(shown.contains("-CREATE TABLE users (id int PRIMARY KEY);\n"), "{shown}");
    assert!(shown.contains("hint: crossfade repair 001 --accept takes the file"), "{shown}");
    let accepted = scene.done(&["repair", "--accept"]).out;
    assert_eq!(accepted, "001 users: the file is accepted for what was run; nothing was run\n");
    scene.done(&["migrate"]);
    scene.write("001_users.sql", "-- who may come in\nCREATE TABLE users (id bigint PRIMARY KEY);\n");
    assert!(scene.done(&["status"]).out.contains("migrations/001_users.sql was changed after it was run, in comments"));
    assert_eq!(scene.json(&["repair"])["migrations"][0]["change"], "comments");

    std::fs::remove_file(scene.folder.path().join("migrations/001_users.sql")).unwrap();
    scene.write("002_age.sql", "ALTER TABLE users ADD COLUMN age int;\n");
    scene.refused(&["migrate"], 3, "crossfade repair --forget-missing 001");
    scene.refused(&["repair", "--forget-missing", "002"], 3, "migration 002 has not been run");
    assert_eq!(scene.done(&["repair", "--forget-missing", "1"]).out, "001 users: its file is no longer missed\n");
    scene.done(&["migrate"]);
    assert!(scene.done(&["status"]).out.contains("no file (forgotten)"));
    let last = scene.json(&["history", "1"])["events"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((last["event"].as_str(), last["actor"].as_str()), (Some("file_forgotten"), Some("alice")));
}
