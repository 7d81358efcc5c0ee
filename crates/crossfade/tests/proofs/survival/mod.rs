//! Survival: the server goes away in the middle of a backfill, or what is between it and us does.
//!
//! Each story is the same: a statement that must be done to each row once, and behind it a rename that is filled, while a client writes. In the
//! middle of both, something is lost. The command goes on by itself from its cursor, no row is done twice or left out, and each of the
//! client's writes is there.

mod clock;
mod disk;
mod failover;
mod points;
#[expect(dead_code, reason = "what holds a client is for the tests of the program")]
mod proxy;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use crossfade::Target;
use crossfade::observer::Notice;
use crossfade::scratch::ScratchServer;
use crossfade_core::journal::State;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

use crate::project::Command;
use crate::project::Project;
use crate::project::Watch;
use crate::project::said;
use crate::scene::Running;
use crate::scene::Start;
use crate::server::main_server;
use crate::server::run;
use crate::server::start_with;
use proxy::Proxy;

const ROWS: i64 = 11_000;

const FILES: [(&str, &str); 2] = [
    ("001_interest.sql", "UPDATE accounts SET balance = balance + 1;"),
    ("002_rename.sql", "ALTER TABLE accounts RENAME COLUMN v TO w;"),
];

/// Where something is to go wrong: in the statement by key, and in the fill by blocks, six of ten rows are done.
const MIDDLES: [&str; 2] =
    ["SELECT count(*) > 6600 FROM accounts WHERE balance % 1000 = 1", "SELECT count(w) > 6600 FROM accounts"];

/// How long to wait for what must come.
const LIMIT: Duration = Duration::from_secs(60);

/// A server of its own: what is done to it must not happen to others.
fn own_server(settings: &[(&str, &str)]) -> ScratchServer {
    // What the client was told is committed must be there after a crash.
    let all: Vec<(&str, &str)> = [("synchronous_commit", "on")].into_iter().chain(settings.iter().copied()).collect();
    start_with(main_server().scratch.bin_dir().to_owned(), &all)
}

fn project(target: Target) -> Project {
    Project::on(target, &FILES, |config| {
        config.backfill.target = Duration::from_millis(50);
        // Mostly at rest, so that there is time for something to go wrong, and each step forward is told.
        config.backfill.duty = 0.1;
    })
}

async fn make_table(url: &str) {
    let client = crate::server::connect(url).await;
    let table = format!(
        "CREATE TABLE accounts (id integer PRIMARY KEY, balance bigint NOT NULL, v text, pad text);
         INSERT INTO accounts SELECT g, 1000 * g, 'v' || g, repeat('p', 300) FROM generate_series(1, {ROWS}) AS g;
         ANALYZE accounts"
    );
    client.batch_execute(&table).await.expect("the table is made");
}

/// A connection, once there is one to be had.
async fn reach(url: &str) -> Client {
    let begun = Instant::now();
    loop {
        match tokio_postgres::connect(url, NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return client;
            }
            Err(error) => assert!(begun.elapsed() < LIMIT, "nobody answers: {}", crate::text_of(&error)),
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Waits until a query says `t`, whatever happens to the connection. What it names may not be there yet.
async fn until(url: &str, query: &str) {
    let begun = Instant::now();
    let mut client = reach(url).await;
    loop {
        if client.is_closed() {
            client = reach(url).await;
        }
        if client.query_one(query, &[]).await.is_ok_and(|row| row.get(0)) {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "it never came true: {query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn number(url: &str, query: &str) -> i64 {
    let row = reach(url).await.query_one(query, &[]).await;
    row.unwrap_or_else(|error| panic!("{query}: {}", crate::text_of(&error))).get(0)
}

/// A client that writes, and writes again what it does not know to be committed.
struct Writer {
    stop: Arc<AtomicBool>,
    task: JoinHandle<BTreeMap<i32, String>>,
}

impl Writer {
    fn start(url: &str) -> Writer {
        let (url, stop) = (url.to_owned(), Arc::new(AtomicBool::new(false)));
        let task = tokio::spawn(write(url, stop.clone()));
        Writer { stop, task }
    }

    /// What it wrote last to each row.
    async fn end(self) -> BTreeMap<i32, String> {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.expect("the client does not panic")
    }
}

async fn write(url: String, stop: Arc<AtomicBool>) -> BTreeMap<i32, String> {
    let mut client = reach(&url).await;
    let mut wrote = BTreeMap::new();
    let mut turn = 0_u32;
    while !stop.load(Ordering::SeqCst) {
        turn += 1;
        let id = rand::random_range(1..=i32::try_from(ROWS).expect("it is small"));
        let value = format!("c{turn}");
        let update = format!("UPDATE accounts SET v = '{value}' WHERE id = {id}");
        while let Err(error) = client.batch_execute(&update).await {
            let gone = error.is_closed() || error.code().is_none_or(|code| code.code().starts_with("57P"));
            assert!(gone, "{update}: {}", crate::text_of(&error));
            client = reach(&url).await;
        }
        wrote.insert(id, value);
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    wrote
}

/// The story. `blow` is done in each of the two middles.
async fn survive(url: &str, target: Target, mut blow: impl AsyncFnMut()) {
    make_table(url).await;
    let project = project(target);
    let writer = Writer::start(url);
    let running = Running::start(&project, Start::Migrate);
    for middle in MIDDLES {
        until(url, middle).await;
        blow().await;
    }
    let (result, watch) = running.end().await;
    assert_eq!(result.map_err(|error| said(&error)), Ok(Some(State::Ready)), "it goes on by itself");
    went_on_from_the_cursor(&watch);
    all_is_there(url, writer).await;
}

/// Nothing was lost, and nothing done twice.
async fn all_is_there(url: &str, writer: Writer) {
    let wrote = writer.end().await;
    assert!(wrote.len() > 10, "the client wrote too little");
    assert_eq!(number(url, "SELECT count(*) FROM accounts WHERE balance <> 1000 * id + 1").await, 0, "each row once");
    assert_eq!(number(url, "SELECT count(*) FROM accounts WHERE v IS DISTINCT FROM w").await, 0, "old and new form");
    assert_eq!(number(url, "SELECT count(*) FROM accounts").await, ROWS);
    let rows = reach(url).await.query("SELECT id, v FROM accounts", &[]).await.expect("the rows can be read");
    for row in rows {
        let (id, value): (i32, String) = (row.get(0), row.get(1));
        let wanted = wrote.get(&id).cloned().unwrap_or_else(|| format!("v{id}"));
        assert_eq!(value, wanted, "row {id}");
    }
}

/// After a loss in the midst of a sweep, what is done already is not swept again.
fn went_on_from_the_cursor(watch: &Watch) {
    let (mut lost, mut compared) = (false, 0);
    for notice in &watch.notices {
        match notice {
            Notice::Retrying { reason } if reason.contains("the connection was lost") => lost = true,
            Notice::Progress { fraction, .. } if lost => {
                // In the time until this is first told, a sweep from the beginning does not come as far.
                assert!(*fraction > 0.5, "it went on at {fraction:.2}");
                (lost, compared) = (false, compared + 1);
            }
            _ => {}
        }
    }
    assert!(compared > 0, "nothing was lost in the midst of a sweep: {:?}", watch.notices);
}

#[test]
fn a_server_that_crashes_and_comes_back_is_outlived() {
    run(async {
        let mut server = own_server(&[]);
        let url = server.url("postgres");
        let target = Target::from_url(&url).expect("the URL is one");
        survive(&url, target, async || {
            server.crash().expect("it ends");
            tokio::time::sleep(Duration::from_millis(1200)).await;
            server.start_again().expect("it comes back");
        })
        .await;
    });
}

/// One backend that dies by a signal takes all the others with it: the server recovers by itself.
#[test]
fn a_backend_that_is_killed_with_9_is_outlived() {
    run(async {
        let server = own_server(&[]);
        let url = server.url("postgres");
        let target = Target::from_url(&url).expect("the URL is one");
        survive(&url, target, async || {
            let worker =
                "SELECT max(pid)::bigint FROM pg_stat_activity WHERE application_name LIKE 'crossfade worker%'";
            let pid = i32::try_from(number(&url, worker).await).expect("it is a process number");
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it can be killed");
        })
        .await;
    });
}

#[test]
fn connections_that_are_cut_are_made_anew() {
    run(async {
        let server = own_server(&[]);
        let proxy = Proxy::start(&server).await;
        let target = Target::from_url(&proxy.url()).expect("the URL is one");
        survive(&server.url("postgres"), target, async || proxy.cut()).await;
    });
}

/// The server has committed, and we never hear of it: every few commits, from the first to the last of two migrations.
#[test]
fn a_commit_whose_answer_is_lost_is_not_done_again() {
    const LOSSES: u32 = 5;
    run(async {
        let server = own_server(&[]);
        let url = server.url("postgres");
        let proxy = Proxy::start(&server).await;
        let target = Target::from_url(&proxy.url()).expect("the URL is one");
        make_table(&url).await;
        let project = project(target);
        let writer = Writer::start(&url);
        proxy.lose_every(9, LOSSES);
        let mut runs = 0;
        // Where it is lost before the plan is known to be stored, the command ends, and the next one goes on.
        while let Err(why) = Command::Migrate.on(&project.migrator).await {
            assert!(why.contains("connection") && runs < LOSSES, "{why}");
            runs += 1;
        }
        assert_eq!(project.state().await, State::Ready);
        assert_eq!(proxy.lost(), LOSSES, "so many answers were to be lost");
        all_is_there(&url, writer).await;
    });
}

/// The command gives up after a while, and says that nothing is lost; the next one goes on.
#[test]
#[ignore = "it waits for half a minute"]
fn a_server_that_stays_away_is_named_and_the_next_run_goes_on() {
    run(async {
        let mut server = own_server(&[]);
        let url = server.url("postgres");
        make_table(&url).await;
        let project = project(Target::from_url(&url).expect("the URL is one"));
        let running = Running::start(&project, Start::Migrate);
        until(&url, MIDDLES[0]).await;
        server.crash().expect("it ends");
        let (result, _) = running.end().await;
        let why = said(&result.expect_err("nobody answers"));
        assert!(
            why.contains("the connection was lost (")
                && why.contains("), and the server does not come back")
                && why.contains("run the same command again"),
            "{why}"
        );
        server.start_again().expect("it comes back");
        let writer = Writer::start(&url);
        assert_eq!(Command::Migrate.on(&project.migrator).await, Ok(Some(State::Ready)));
        tokio::time::sleep(Duration::from_millis(100)).await;
        all_is_there(&url, writer).await;
    });
}

/// The folder of binaries that has this program, too.
fn bin_dir_with(program: &str) -> Option<PathBuf> {
    crate::server::folders().into_iter().find(|folder| folder.join(program).exists())
}

#[expect(clippy::print_stderr, reason = "a proof that is skipped says so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
