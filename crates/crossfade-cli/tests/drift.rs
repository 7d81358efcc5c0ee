//! The real binary compares schemas: words, exit codes, which output gets what, and what is left behind.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::process::Command;
use std::process::Output;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

/// A server, and a folder with one migration.
struct Scene {
    server: ScratchServer,
    folder: tempfile::TempDir,
    client: Client,
}

impl Scene {
    async fn new() -> Scene {
        let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
        let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
        tokio::spawn(connection);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        let scene = Scene { server, folder, client };
        scene.write("migrations/001_users.sql", "CREATE TABLE users (id integer PRIMARY KEY, email text DEFAULT '');");
        scene
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn call(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("DATABASE_URL", self.server.url("postgres"))
            .output()
            .unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_printed_as_sql_that_takes_it_back() {
    let scene = Scene::new().await;
    assert!(scene.call(&["migrate"]).status.success());
    let none = scene.call(&["drift"]);
    assert_eq!((none.status.code(), text(&none.stdout).as_str()), (Some(0), ""), "{}", text(&none.stderr));
    assert!(text(&none.stderr).contains("no drift between"), "{}", text(&none.stderr));

    scene.client.batch_execute("ALTER TABLE users ALTER email DROP DEFAULT; CREATE TABLE left_over ()").await.unwrap();
    let found = scene.call(&["drift"]);
    assert_eq!(found.status.code(), Some(3), "{}", text(&found.stderr));
    let script = text(&found.stdout);
    insta::assert_snapshot!(script);
    assert!(text(&found.stderr).contains("2 changes between"), "{}", text(&found.stderr));

    let url = scene.server.url("postgres");
    let there = scene.call(&["drift", "--json", "--scratch-url", &url]);
    assert_eq!(there.status.code(), Some(3));
    let document: Value = serde_json::from_slice(&there.stdout).unwrap();
    assert_eq!((&document["applied"], &document["towards"]), (&Value::from(1), &Value::from("migrations")));
    assert_eq!(document["changes"][0]["loses_data"], Value::from(true));
    assert_eq!(document["changes"][0]["object"], Value::from("table public.left_over"));
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'crossfade_scratch%'";
    assert_eq!(scene.client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);

    scene.client.batch_execute(&script).await.unwrap();
    assert_eq!(scene.call(&["drift"]).status.code(), Some(0));
}

/// What is run on a scratch database is nobody's alarm, and no reason to make a backup.
#[tokio::test(flavor = "multi_thread")]
async fn no_hook_is_called_for_what_is_run_on_a_scratch_database() {
    let scene = Scene::new().await;
    let hook =
        "[[hooks]]\non = [\"before-expand\", \"after-expand\", \"applied\", \"failed\"]\nrun = \"touch called\"\n";
    scene.write("crossfade.toml", hook);
    let called = scene.folder.path().join("called");
    assert!(scene.call(&["migrate"]).status.success());
    assert!(called.exists(), "a real run calls it");
    std::fs::remove_file(&called).unwrap();
    let ran = scene.call(&["drift"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert!(!called.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_does_not_restore_is_shown_with_what_would() {
    let scene = Scene::new().await;
    scene.write("migrations/002_more.sql", "CREATE TABLE posts (id integer); CREATE INDEX by_email ON users (email);");
    scene.write("migrations/002_more_down.sql", "DROP TABLE posts;");
    scene.write("migrations/003_tags.sql", "CREATE TABLE tags (id integer);");
    scene.write("migrations/003_tags_down.sql", "DROP TABLE tags;");
    let url = scene.server.url("postgres");
    let wrong = scene.call(&["test", "--scratch-url", &url]);
    assert_eq!(wrong.status.code(), Some(3), "{}", text(&wrong.stderr));
    let said = text(&wrong.stdout);
    insta::assert_snapshot!(said.rsplit_once('✗').unwrap().0);
    assert!(said.contains("✗ 1 of 3 migrations: a way does not lead where it should"), "{said}");
    let right = scene.call(&["test", "003", "--json", "--scratch-url", &url]);
    assert_eq!(right.status.code(), Some(0), "{}", text(&right.stderr));
    let document: Value = serde_json::from_slice(&right.stdout).unwrap();
    let ways: Vec<&Value> =
        document["migrations"][0]["ways"].as_array().unwrap().iter().map(|way| &way["way"]).collect();
    assert_eq!(ways, ["down", "up_again"]);
    assert_eq!(scene.call(&["test", "--seed", "nowhere.sql"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_server_that_is_not_there_is_named_and_its_password_is_not() {
    let scene = Scene::new().await;
    scene.write("crossfade.toml", "scratch = \"postgres://me:secret@127.0.0.1:1/x\"\n");
    let ran = scene.call(&["drift"]);
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(1), ""));
    let said = text(&ran.stderr);
    assert!(said.contains("could not connect to 127.0.0.1:1/x as me") && !said.contains("secret"), "{said}");
}
