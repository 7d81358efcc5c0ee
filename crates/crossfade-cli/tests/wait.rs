//! The real binary: programs that wait for the database and its schema, by words and exit codes.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use serde_json::Value;
use tokio_postgres::NoTls;

struct Scene {
    server: ScratchServer,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        let scene = Scene { server, folder };
        scene.write("001_users.sql", "CREATE TABLE users (id int PRIMARY KEY);\n");
        scene
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join("migrations").join(name), text).unwrap();
    }

    fn begin(&self, url: &str, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("DATABASE_URL", url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn call(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        end(self.begin(&self.server.url("postgres"), arguments))
    }
}

fn end(child: Child) -> (Option<i32>, String, String) {
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn wait_says_what_is_missing_and_what_is_there() {
    let scene = Scene::new();
    let (code, out, err) = scene.call(&["wait", "--for-version", "001", "--timeout", "0"]);
    assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
    assert!(err.contains("the schema is not at version 001") && err.contains("missing: 001"), "{err}");
    let (code, _, err) = scene.call(&["wait", "--timeout", "soon"]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("--timeout: \"soon\" is no duration"), "{err}");

    let waits = scene.begin(&scene.server.url("postgres"), &["wait", "--for-version", "1", "--json"]);
    assert_eq!(scene.call(&["migrate", "--wait-for-database", "30s"]).0, Some(0));
    let (code, out, err) = end(waits);
    assert_eq!(code, Some(0), "{err}");
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&document["version"], &document["ahead_at"]), (&Value::from("1"), &Value::Null));
    let (code, out, _) = scene.call(&["wait"]);
    assert!(code == Some(0) && out.ends_with("/postgres answers\n"), "{out}");

    let (code, _, err) =
        end(scene.begin("postgres:///d?user=u&host=/nowhere", &["migrate", "--wait-for-database", "100ms"]));
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("the database did not answer within 100ms"), "{err}");
}

/// Pods that have nothing to do never wait for each other.
#[tokio::test]
async fn twenty_processes_that_start_at_once_with_nothing_to_do_take_no_lease() {
    let scene = Scene::new();
    assert_eq!(scene.call(&["migrate"]).0, Some(0));
    let url = scene.server.url("postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let epoch = async || client.query_one("SELECT epoch FROM crossfade.lease", &[]).await.unwrap().get::<_, i64>(0);
    let before = epoch().await;
    let processes: Vec<Child> = (0..20).map(|_| scene.begin(&url, &["migrate"])).collect();
    for process in processes {
        let (code, _, err) = end(process);
        assert_eq!(code, Some(0), "{err}");
        assert!(err.contains("nothing to do"), "{err}");
    }
    assert_eq!(epoch().await, before);
}
