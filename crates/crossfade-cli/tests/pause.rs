//! The real binary: a second process pauses, looks, sets and resumes what the first one does; a signal ends a wait at once.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

/// A server with a table, and a folder with a rename that a query holds up as long as the table `busy` has a row.
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
        let table = "CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 2000) g; \
                     CREATE TABLE busy (); INSERT INTO busy DEFAULT VALUES";
        client.batch_execute(table).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        std::fs::write(folder.path().join("crossfade.toml"), "[throttle]\nquery = \"SELECT count(*) FROM busy\"\n")
            .unwrap();
        let file = folder.path().join("migrations/001_rename.sql");
        std::fs::write(file, "ALTER TABLE users RENAME COLUMN email TO email_address;").unwrap();
        Scene { server, folder, client }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        command(&self.server, self.folder.path(), arguments)
    }

    fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.call(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)))
    }

    /// `migrate` in a process of its own, once it waits for the query.
    fn waiting(&self) -> Child {
        let child = self.command(&["migrate"]).spawn().unwrap();
        // Until it has written down that it runs, what is said of the runner before it may be seen.
        self.until_all(|status| {
            status["runner"]["pid"] == child.id() && status["migrations"][0]["pause"]["signal"] == "query"
        });
        child
    }

    fn until(&self, wanted: impl Fn(&Value) -> bool) {
        self.until_all(|status| wanted(&status["migrations"][0]));
    }

    fn until_all(&self, wanted: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let status = self.json(&["status"]);
            if wanted(&status) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{status:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn command(server: &ScratchServer, folder: &Path, arguments: &[&str]) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    run.args(arguments).current_dir(folder).env("DATABASE_URL", server.url("postgres")).env("CROSSFADE_ACTOR", "ann");
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_pauses_and_resumes() {
    let scene = Scene::new().await;
    let migrate = scene.waiting();
    let status = said(&scene.call(&["status"]));
    assert!(status.contains("waits since 20") && status.contains("the query says 1"), "{status}");

    let paused = scene.call(&["pause", "001", "--reason", "sale until noon"]);
    assert!(paused.status.success(), "{}", said(&paused));
    assert!(
        said(&paused).contains("001 rename is migrating: it is paused; `crossfade resume 001` lets it go on"),
        "{}",
        said(&paused)
    );
    scene.client.batch_execute("DELETE FROM busy").await.unwrap();
    // The query holds it up no more; the person does.
    scene.until(|status| {
        let waited = status["waited"].as_array().unwrap();
        status["pause"]["by"] == "ann" && waited.iter().any(|waited| waited["signal"] == "pause")
    });
    let status = scene.json(&["status"]);
    let reason = status["migrations"][0]["pause"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("paused by ann on ") && reason.ends_with("Z: sale until noon"), "{reason}");

    let shown = scene.json(&["throttle", "duty=0.5", "slots=2GB"]);
    let duty = &shown["settings"][0];
    assert_eq!(
        (&duty["key"], &duty["value"], &duty["source"], &duty["set_by"]),
        (&"duty".into(), &"0.5".into(), &"live".into(), &"ann".into())
    );
    let wrong = scene.call(&["throttle", "replica_lag=5"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("replica_lag: \"5\" has no unit"), "{}", said(&wrong));
    let table = said(&scene.call(&["throttle", "slots=default"]));
    assert!(
        table.contains("live: ann on ")
            && table.lines().any(|line| line.starts_with("slots") && line.ends_with("default")),
        "{table}"
    );

    let resumed = scene.call(&["resume"]);
    assert!(said(&resumed).contains("whoever runs it goes on"), "{}", said(&resumed));
    let ended = migrate.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", said(&ended));
    let told = said(&ended);
    assert!(told.contains("waits: the query says 1") && told.contains("waits: paused by ann"), "{told}");
    assert!(told.contains("goes on after ") && told.contains("001 rename is ready"), "{told}");
    assert_eq!(scene.call(&["resume"]).status.code(), Some(3), "nothing is paused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_a_wait_at_once() {
    let scene = Scene::new().await;
    let migrate = scene.waiting();
    let begun = Instant::now();
    kill(Pid::from_raw(migrate.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ended = migrate.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(
        said(&ended).contains("stopped at a chunk boundary") && said(&ended).contains("run `crossfade migrate`"),
        "{}",
        said(&ended)
    );
    assert!(scene.json(&["status"])["migrations"][0]["pause"].is_null(), "nobody waits any more");

    // The same while a person has it paused; then it is not begun again.
    let migrate = scene.waiting();
    assert!(scene.call(&["pause"]).status.success());
    scene.client.batch_execute("DELETE FROM busy").await.unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let begun = Instant::now();
    kill(Pid::from_raw(migrate.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ended = migrate.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{}", said(&ended));
    assert!(begun.elapsed() < Duration::from_secs(30), "it took {:?}", begun.elapsed());
    let refused = scene.call(&["migrate"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(said(&refused).contains("migration 001 is paused by ann on "), "{}", said(&refused));
    assert!(said(&refused).contains("hint: `crossfade resume 001` lets it go on"), "{}", said(&refused));
    let resumed = scene.call(&["resume", "001"]);
    assert!(said(&resumed).contains("`crossfade migrate` goes on"), "{}", said(&resumed));
    assert!(scene.call(&["migrate"]).status.success());
}
