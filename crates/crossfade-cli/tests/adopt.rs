//! `adopt` by the real binary: words, exit codes, and what stands in crossfade.toml afterwards.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::path::Path;
use std::process::Command;
use std::process::Output;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

/// A server with a history of golang-migrate at version 2, and its files.
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
        let history = "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL); \
                       INSERT INTO schema_migrations VALUES (2, false); CREATE TABLE a (); CREATE TABLE b ()";
        client.batch_execute(history).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        std::fs::write(folder.path().join("crossfade.toml"), "# ours\nretain = \"1h\"\n\n[locks]\nbudget = \"5s\"\n")
            .unwrap();
        for (number, table) in [(1, "a"), (2, "b"), (3, "c")] {
            let file = |way: &str| folder.path().join(format!("migrations/00{number}_{table}.{way}.sql"));
            std::fs::write(file("up"), format!("CREATE TABLE {table} ();\n")).unwrap();
            std::fs::write(file("down"), format!("DROP TABLE {table};\n")).unwrap();
        }
        Scene { server, folder, client }
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(arguments).current_dir(self.folder.path()).env("DATABASE_URL", self.server.url("postgres"));
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.call(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    }

    fn config(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("crossfade.toml")).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn exists(folder: &Path, name: &str) -> bool {
    folder.join(name).exists()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_is_looked_at_taken_over_and_given_back() {
    let scene = Scene::new().await;
    let before = scene.config();
    let look = scene.call(&["adopt", "--dry-run"]);
    assert_eq!(look.status.code(), Some(0), "{}", said(&look));
    let words = said(&look);
    assert!(words.contains("history:  golang-migrate in public.schema_migrations\n"), "{words}");
    assert!(words.contains("002      b     applied, nothing to verify it by\n003      c     pending\n"), "{words}");
    assert!(
        words.contains("note: the history is one number: that every file up to 2 was run is an assumption"),
        "{words}"
    );
    assert!(words.ends_with("2 migrations would be taken over; nothing was changed\n"), "{words}");
    let looked = scene.json(&["adopt", "--dry-run"]);
    assert_eq!((&looked["tool"], &looked["adopted"]), (&"golang-migrate".into(), &false.into()));
    assert_eq!(looked["migrations"][2]["state"], "pending");
    assert_eq!(scene.config(), before);

    scene.client.batch_execute("UPDATE schema_migrations SET dirty = true").await.unwrap();
    let look = scene.call(&["adopt", "--dry-run"]);
    assert_eq!(look.status.code(), Some(3));
    assert!(said(&look).contains("obstacle: version 2 is dirty"), "{}", said(&look));
    let refused = scene.call(&["adopt"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(said(&refused).contains("hint: look which of its statements took effect"), "{}", said(&refused));
    scene.client.batch_execute("UPDATE schema_migrations SET dirty = false").await.unwrap();

    scene.client.batch_execute("CREATE TABLE by_hand ()").await.unwrap();
    let url = scene.server.url("postgres");
    let proven = ["adopt", "--prove", "--scratch-url", &url];
    let differs = scene.call(&proven);
    assert_eq!(differs.status.code(), Some(3), "{}", said(&differs));
    let words = said(&differs);
    assert!(words.contains("\nDROP TABLE \"public\".\"by_hand\";\n"), "{words}");
    assert!(words.contains("the files make another schema than the database has; nothing was taken over\n"), "{words}");
    let differs = scene.json(&proven);
    assert_eq!((&differs["adopted"], &differs["proof"]["changes"][0]["kind"]), (&false.into(), &"table".into()));
    assert_eq!(scene.config(), before);
    scene.client.batch_execute("DROP TABLE by_hand").await.unwrap();
    let look = scene.call(&["adopt", "--dry-run", "--prove", "--scratch-url", &url]);
    assert_eq!(look.status.code(), Some(0), "{}", said(&look));
    assert!(said(&look).contains("no drift between"), "{}", said(&look));

    let adopted = scene.call(&["adopt", "--from", "golang-migrate", "--fence"]);
    assert_eq!(adopted.status.code(), Some(0), "{}", said(&adopted));
    assert!(
        said(&adopted).contains("2 migrations taken over; `crossfade migrate` goes on from here"),
        "{}",
        said(&adopted)
    );
    let expected = "# ours\nretain = \"1h\"\nlayout = \"up-down\"\n\n[locks]\nbudget = \"5s\"\n";
    assert_eq!(scene.config(), expected);
    assert!(scene.client.batch_execute("DELETE FROM schema_migrations").await.is_err(), "the fence stands");
    let status = scene.json(&["status"]);
    let origins: Vec<&Value> = status["migrations"].as_array().unwrap().iter().map(|row| &row["origin"]).collect();
    assert_eq!(origins[..2], ["golang-migrate", "golang-migrate"]);
    // New files go on in the same style.
    let new = scene.call(&["new", "more", "--down"]);
    assert!(exists(scene.folder.path(), "migrations/004_more.up.sql"), "{}", said(&new));

    let back = scene.call(&["adopt", "--undo"]);
    assert_eq!(back.status.code(), Some(0), "{}", said(&back));
    assert!(said(&back).contains("2 migrations forgotten"), "{}", said(&back));
    assert!(said(&back).contains("the fence around public.schema_migrations is gone"), "{}", said(&back));
    assert_eq!(scene.call(&["adopt", "--undo"]).status.code(), Some(3));
    assert!(said(&scene.call(&["adopt", "--unfence"])).contains("there is no fence"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_use_is_said() {
    let scene = Scene::new().await;
    let unknown = scene.call(&["adopt", "--from", "knex"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("hint: one of: alembic, atlas, dbmate"), "{}", said(&unknown));
    assert_eq!(scene.call(&["adopt", "--undo", "--fence"]).status.code(), Some(2));
    let files = scene.call(&["adopt", "--files", "elsewhere"]);
    assert_eq!(files.status.code(), Some(2));
    assert!(said(&files).contains("the files of golang-migrate go on being migrations"), "{}", said(&files));
}
