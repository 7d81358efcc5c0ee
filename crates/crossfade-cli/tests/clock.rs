//! The clock of the program's own machine jumps while it works: by libfaketime, where that is there.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;

fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let mut files = folders.iter().map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.exists())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
async fn a_clock_that_jumps_while_rows_are_filled_harms_nothing() {
    let Some(library) = library() else {
        let must = cfg!(target_os = "linux") && std::env::var_os("CI").is_some();
        assert!(!must, "there is no libfaketime (the package faketime), and CI must have it");
        eprintln!("skipped: there is no libfaketime (the package faketime)");
        return;
    };
    let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
    let (client, connection) = tokio_postgres::connect(&server.url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE t (id integer PRIMARY KEY, v text, n integer NOT NULL DEFAULT 0);
             INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 30000) AS g; ANALYZE t",
        )
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("migrations")).unwrap();
    std::fs::write(folder.path().join("migrations/001_rename.sql"), "ALTER TABLE t RENAME COLUMN v TO w;\n").unwrap();
    std::fs::write(folder.path().join("migrations/002_once.sql"), "UPDATE t SET n = n + 1;\n").unwrap();
    std::fs::write(folder.path().join("crossfade.toml"), "[backfill]\ntarget = \"20ms\"\nduty = 0.3\n").unwrap();
    let clock = folder.path().join("clock");
    let set = |time: &str| std::fs::write(&clock, format!("{time}\n")).unwrap();
    set("+0d");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(arguments).current_dir(folder.path()).env("DATABASE_URL", server.url("postgres"));
        command.env("LD_PRELOAD", &library).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
        // The system's own monotonic clock does not jump either.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        command
    };
    // It is that clock at all.
    set("+40000d");
    let mut year = Command::new("date");
    for (name, value) in run(&[]).get_envs() {
        year.env(name, value.unwrap_or_default());
    }
    let year = String::from_utf8(year.arg("+%Y").output().unwrap().stdout).unwrap();
    assert!(year.trim().parse::<u32>().unwrap() > 2100, "{year}");
    set("+0d");

    let child = run(&["migrate"]).spawn().unwrap();
    let waited = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
    for jump in ["+30d", "-400d", "+0d", "-1h", "+3650d"].iter().cycle().take(20) {
        set(jump);
        tokio::time::sleep(Duration::from_millis(100)).await;
        if waited.is_finished() {
            break;
        }
    }
    let output = waited.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    let row = client.query_one("SELECT count(*) FROM t WHERE n <> 1 OR v IS DISTINCT FROM w", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    set("-100d");
    let contract = run(&["contract", "--force", "--reason", "a test"]).output().unwrap();
    assert!(contract.status.success(), "{contract:?}");
    set("+100d");
    let back = run(&["rollback", "001"]).output().unwrap();
    assert!(back.status.success(), "{back:?}");
    let row = client.query_one("SELECT count(*) FROM t WHERE v IS NULL", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}
