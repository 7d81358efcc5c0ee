//! `kill -9` of the real binary at random moments of migrate, contract and rollback, while both versions of the application write: always
//! recoverable, no write lost. SIGTERM ends it in order. Whichever it was, the next run goes on from the cursor.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

const ROWS: i64 = 20_000;
const KILLS_EACH: u64 = 16;

async fn connect(server: &ScratchServer) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url("postgres"), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

fn crossfade(server: &ScratchServer, folder: &Path, command: &str) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    run.args(command.split(' ')).current_dir(folder).env("DATABASE_URL", server.url("postgres"));
    run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run
}

/// Kills the command at moments that walk through its whole run, then lets it finish.
fn stormy(server: &ScratchServer, folder: &Path, command: &str) -> u64 {
    let mut kills = 0;
    // The test's own session is older than the deploy.
    let more: &[&str] = if command == "contract" { &["--force", "--reason", "a test"] } else { &[] };
    for turn in 0..KILLS_EACH {
        let mut child = crossfade(server, folder, command).args(more).spawn().unwrap();
        // A multiplicative walk: every run of the test hits the same spread of moments, and no two turns the same one.
        std::thread::sleep(Duration::from_millis(12 + turn * 31 % 170));
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            kills += 1;
        }
        child.wait().unwrap();
    }
    let output = crossfade(server, folder, command).args(more).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{command}: {:?}\n{said}", output.status);
    kills
}

/// What `status` says of the first migration.
fn status(server: &ScratchServer, folder: &Path) -> serde_json::Value {
    let output = crossfade(server, folder, "status").arg("--json").output().unwrap();
    let mut document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    document["migrations"][0].take()
}

fn state(server: &ScratchServer, folder: &Path) -> String {
    status(server, folder)["state"].as_str().unwrap().to_owned()
}

/// A server with a table `users`, and a folder with a rename of its column `email`. The backfill is mostly at rest, so that it outlasts what
/// is done to it.
async fn scene(duty: f64) -> (Arc<ScratchServer>, Client, Arc<tempfile::TempDir>) {
    let server = Arc::new(ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap());
    let client = connect(&server).await;
    client
        .batch_execute(&format!(
            "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, age int);
             INSERT INTO users SELECT g, 'u' || g, g % 90 FROM generate_series(1, {ROWS}) g; ANALYZE users"
        ))
        .await
        .unwrap();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    std::fs::write(folder.path().join("crossfade.toml"), format!("[backfill]\nduty = {duty}\n")).unwrap();
    let file = folder.path().join("migrations/001_rename.sql");
    std::fs::write(file, "ALTER TABLE users RENAME COLUMN email TO email_address;").unwrap();
    (server, client, folder)
}

/// Ends a migrate in the middle of its fill. Returns what came of it.
async fn end_in_the_middle(server: &ScratchServer, client: &Client, folder: &Path, signal: Signal) -> Output {
    let migrate = crossfade(server, folder, "migrate").spawn().unwrap();
    let filled = "SELECT count(email_address) > 5000 FROM users";
    // The column is not there at once.
    while !client.query_one(filled, &[]).await.is_ok_and(|row| row.get(0)) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    kill(Pid::from_raw(migrate.id().try_into().unwrap()), signal).unwrap();
    migrate.wait_with_output().unwrap()
}

/// The sweep goes on from where it was: it is never seen to be less far.
async fn goes_on_from_there(server: &ScratchServer, client: &Client, folder: &Path) {
    let stopped = status(server, folder);
    assert_eq!(stopped["state"], "migrating");
    let mut far = stopped["progress"]["fraction"].as_f64().unwrap();
    assert!(far > 0.0);
    let left: i64 = client.query_one("SELECT count(*) - count(email_address) FROM users", &[]).await.unwrap().get(0);
    assert!(left > 0, "it was not in the middle");
    let mut next = crossfade(server, folder, "migrate").spawn().unwrap();
    let mut seen = 0;
    while next.try_wait().unwrap().is_none() {
        if let Some(now) = status(server, folder)["progress"]["fraction"].as_f64() {
            assert!(now >= far, "it was at {far:.2}, and then at {now:.2}");
            seen += u32::from(now > far);
            far = now;
        }
    }
    assert_eq!(next.wait().unwrap().code(), Some(0));
    assert!(seen > 1, "it was over before anybody looked");
    assert_eq!(state(server, folder), "ready");
    let differing = "SELECT count(*) FROM users WHERE email IS DISTINCT FROM email_address";
    assert_eq!(client.query_one(differing, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_stops_it_at_a_chunk_boundary_and_the_next_run_goes_on_from_there() {
    let (server, client, folder) = scene(0.1).await;
    let ended = end_in_the_middle(&server, &client, folder.path(), Signal::SIGTERM).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("stopped at a chunk boundary"), "{said}");
    assert!(said.contains("run `crossfade migrate` to go on from there"), "{said}");
    goes_on_from_there(&server, &client, folder.path()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_kill_the_next_run_goes_on_from_the_cursor() {
    let (server, client, folder) = scene(0.1).await;
    let ended = end_in_the_middle(&server, &client, folder.path(), Signal::SIGKILL).await;
    assert_eq!(ended.status.code(), None);
    goes_on_from_there(&server, &client, folder.path()).await;
}

/// An application of one version, which owns the rows of its id modulo 2 and remembers what it wrote last.
async fn application(client: Client, column: &'static str, owns: i64, stop: Arc<AtomicBool>) -> Vec<(i64, String)> {
    let update = format!("UPDATE users SET {column} = $1 WHERE id = $2");
    let mut wrote = std::collections::BTreeMap::new();
    let mut turn = 0_i64;
    while !stop.load(Ordering::SeqCst) {
        let id = (turn * 7919 % (ROWS / 2)) * 2 + owns + 1;
        let value = format!("{column}-{turn}");
        let changed = client.execute(update.as_str(), &[&value, &id]).await.unwrap();
        assert_eq!(changed, 1);
        wrote.insert(id, value);
        turn += 1;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    wrote.into_iter().collect()
}

async fn lost(client: &Client, column: &str, wrote: &[(i64, String)]) -> usize {
    let query = format!("SELECT {column} FROM users WHERE id = $1");
    let mut lost = 0;
    for (id, value) in wrote {
        let now: String = client.query_one(query.as_str(), &[id]).await.unwrap().get(0);
        lost += usize::from(now != *value);
    }
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_dozens_of_times_and_no_write_is_lost() {
    let (server, client, folder) = scene(0.03).await;
    let storm = |command: &'static str| {
        let (server, folder) = (Arc::clone(&server), Arc::clone(&folder));
        tokio::task::spawn_blocking(move || stormy(&server, folder.path(), command))
    };
    let mut kills = 0;

    // Old code writes while migrate is killed.
    let stop = Arc::new(AtomicBool::new(false));
    let old = tokio::spawn(application(connect(&server).await, "email", 0, Arc::clone(&stop)));
    kills += storm("migrate").await.unwrap();
    assert_eq!(state(&server, folder.path()), "ready");
    // Both versions write at ready.
    let new_stop = Arc::new(AtomicBool::new(false));
    let new = tokio::spawn(application(connect(&server).await, "email_address", 1, Arc::clone(&new_stop)));
    tokio::time::sleep(Duration::from_millis(500)).await;
    new_stop.store(true, Ordering::SeqCst);
    let by_new = new.await.unwrap();
    // Old code goes on while rollback is killed: what new code wrote is there, in the old form.
    kills += storm("rollback").await.unwrap();
    assert_eq!(state(&server, folder.path()), "rolled_back");
    assert_eq!(lost(&client, "email", &by_new).await, 0, "new code's writes after the rollback");
    kills += storm("migrate").await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let by_old = old.await.unwrap();
    assert_eq!(lost(&client, "email_address", &by_old).await, 0, "old code's writes at ready");
    // New code writes while contract is killed.
    let stop = Arc::new(AtomicBool::new(false));
    let new = tokio::spawn(application(connect(&server).await, "email_address", 1, Arc::clone(&stop)));
    kills += storm("contract").await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let by_new = new.await.unwrap();
    assert_eq!(state(&server, folder.path()), "contracted");
    assert_eq!(lost(&client, "email_address", &by_new).await, 0, "new code's writes after contract");
    assert_eq!(lost(&client, "email_address", &by_old).await, 0, "old code's writes after contract");
    let columns: Vec<String> = client
        .query("SELECT attname::text FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0 AND NOT attisdropped", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    assert_eq!(columns, ["id", "email_address", "age"]);
    assert!(kills >= 24, "only {kills} of the runs were killed before they ended");
}

/// The sync was made by hand and fires for writes to `email` only: rows that are written otherwise move out of the sweep's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backfill_killed_again_and_again_leaves_no_row() {
    const COMMAND: &str = "backfill users email copy";
    let server = Arc::new(ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap());
    let client = connect(&server).await;
    client
        .batch_execute(&format!(
            "CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, copy text, age int);
             INSERT INTO users SELECT g, 'u' || g, NULL, g % 90 FROM generate_series(1, {ROWS}) g; ANALYZE users;
             CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.copy := NEW.email; RETURN NEW; END $$;
             CREATE TRIGGER follow BEFORE INSERT OR UPDATE OF email ON users FOR EACH ROW EXECUTE FUNCTION follow()"
        ))
        .await
        .unwrap();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("crossfade.toml"), "[backfill]\nduty = 0.03\n").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(application(connect(&server).await, "email", 0, Arc::clone(&stop)));
    let other = connect(&server).await;
    let stopped = Arc::clone(&stop);
    let unrelated = tokio::spawn(async move {
        while !stopped.load(Ordering::SeqCst) {
            other.execute("UPDATE users SET age = age + 1 WHERE id % 997 = $1", &[&7_i64]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let kills = {
        let (server, folder) = (Arc::clone(&server), Arc::clone(&folder));
        tokio::task::spawn_blocking(move || stormy(&server, folder.path(), COMMAND)).await.unwrap()
    };
    stop.store(true, Ordering::SeqCst);
    let wrote = writer.await.unwrap();
    unrelated.await.unwrap();
    assert!(kills >= 5, "only {kills} of the runs were killed before they ended");
    assert_eq!(lost(&client, "email", &wrote).await, 0);
    let left = client.query_one("SELECT count(*) FROM users WHERE copy IS DISTINCT FROM email", &[]).await.unwrap();
    assert_eq!(left.get::<_, i64>(0), 0);
    // Called again it is a new sweep, which finds all as it should be.
    let output = crossfade(&server, folder.path(), COMMAND).arg("--json").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &document["rows"], &document["sweeps"]), (Some(0), &0.into(), &1.into()));
    let status = crossfade(&server, folder.path(), "status --json").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(document["backfills"][0]["command"], "crossfade backfill public.users email copy");
    assert_eq!(
        (&document["backfills"][0]["state"], &document["migrations"]),
        (&"applied".into(), &serde_json::json!([]))
    );
    for (arguments, code, said) in [
        ("backfill users", 2, "required"),
        ("backfill users email copy+1", 2, "TARGET: copy+1 is not the name of a column"),
        ("backfill users email copy --expr lower(email", 2, "--expr: syntax error at end of input"),
        ("backfill users email age", 3, "error[expression]: the server refuses to fill public.users"),
    ] {
        let output = crossfade(&server, folder.path(), arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments}: {text}");
        assert!(text.contains(said) && output.stdout.is_empty(), "{arguments}: {text}");
    }
}
