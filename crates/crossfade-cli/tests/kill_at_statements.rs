//! `kill -9` of the real binary at statements that are named: before the server has one, and after it did it and nobody heard. From each there is a way on and a way
//! back, and both laws hold.

#![expect(clippy::unwrap_used, reason = "a test stops where it can't go on")]

use std::collections::BTreeMap;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;

use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

use proxy::Fault;
use proxy::Point;
use proxy::Proxy;

#[expect(dead_code, reason = "what else it can do is for the proofs of the library")]
#[path = "../../crossfade/tests/proofs/survival/proxy.rs"]
mod proxy;

/// The sync begins, an index is built, a transaction ends, the journal is written, something goes.
const POINTS: &[&str] = &["CREATE TRIGGER", "CONCURRENTLY", "COMMIT\0", ".events (", "DROP "];

/// In an ordinary run each command dies at one of so many of its statements. With `CROSSFADE_EVERY_CASE` it dies at each.
const STRIDE: usize = 6;

const MIGRATE: &[&str] = &["migrate"];
const ROLLBACK: &[&str] = &["rollback"];
/// The test's own session is older than the deploy.
const CONTRACT: &[&str] = &["contract", "--force", "--reason", "a test"];
const PURGE: &[&str] = &["purge"];

const DATABASE: &str = "phased";
const BEFORE: &str = "CREATE TABLE users (id integer PRIMARY KEY, email text NOT NULL UNIQUE, age integer);
    INSERT INTO users SELECT g, 'u' || g, g % 90 FROM generate_series(1, 300) AS g; ANALYZE users";
const MIGRATION: &str = "ALTER TABLE users RENAME COLUMN email TO email_address;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_before_the_server_has_the_statement() {
    walk(Fault::HoldBefore, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_after_the_server_did_the_statement_and_before_it_was_heard() {
    walk(Fault::HoldAfter, 3).await;
}

/// Each command of the way dies at its statements that are named, from this one on.
async fn walk(fault: Fault, first: u32) {
    let server = ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap();
    create(&server, "direct").await.batch_execute(MIGRATION).await.unwrap();
    let want = schema(&server, "direct");
    let mut scene = Scene::new(&server, Point { texts: POINTS, fault }, first).await;
    scene.up_and_back().await;
    scene.back().await;
    scene.contract_and_back().await;
    scene.purge().await;
    assert_eq!(schema(&server, DATABASE), want, "the schema at the end");
    scene.holds("email_address").await;
    assert!(scene.deaths >= 8, "only {} runs died", scene.deaths);
}

/// A database on which [`BEFORE`] was run.
async fn create(server: &ScratchServer, database: &str) -> Client {
    connect(server, "postgres").await.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    let client = connect(server, database).await;
    client.batch_execute(BEFORE).await.unwrap();
    client
}

async fn connect(server: &ScratchServer, database: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&server.url(database), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// What `pg_dump` says of a schema, whatever the order of columns.
fn schema(server: &ScratchServer, database: &str) -> Vec<String> {
    let mut dump = Command::new(server.bin_dir().join("pg_dump"));
    dump.args(["-s", "-N", "crossfade", "-d", &server.url(database)]);
    let output = dump.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let is_noise = |line: &str| line.is_empty() || line.starts_with("--") || line.starts_with('\\');
    let lines = text.lines().map(|line| line.trim().trim_end_matches(','));
    let mut lines: Vec<String> = lines.filter(|line| !is_noise(line)).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A database behind a proxy, and a folder with a migration.
struct Scene<'a> {
    server: &'a ScratchServer,
    client: Client,
    proxy: Proxy,
    point: Point,
    /// The first statement of each command at which it dies.
    first: u32,
    folder: tempfile::TempDir,
    /// The schema before the migration.
    was: Vec<String>,
    /// What each row must hold.
    emails: BTreeMap<i32, String>,
    turn: u32,
    deaths: u32,
    /// The last one.
    death: String,
}

impl Scene<'_> {
    async fn new(server: &ScratchServer, point: Point, first: u32) -> Scene<'_> {
        let client = create(server, DATABASE).await;
        let proxy = Proxy::to(server, DATABASE).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        std::fs::write(folder.path().join("migrations/001_rename.sql"), MIGRATION).unwrap();
        let was = schema(server, DATABASE);
        let emails = (1..=300).map(|id| (id, format!("u{id}"))).collect();
        let death = "none".to_owned();
        Scene { server, client, proxy, point, first, folder, was, emails, turn: 0, deaths: 0, death }
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut run = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        run.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        run.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("DATABASE_URL", self.proxy.url());
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// How many of the statements pass before it dies. The first that is never reached ends a command's turn.
    fn positions(&self) -> impl Iterator<Item = u32> + use<> {
        let every = std::env::var_os("CROSSFADE_EVERY_CASE").is_some();
        let (first, stride) = if every { (0, 1) } else { (self.first, STRIDE) };
        (first..).step_by(stride)
    }

    /// A run that comes to its end.
    fn done(&self, arguments: &[&str]) {
        let output = self.start(arguments).wait_with_output().unwrap();
        self.is_well(arguments, &output);
    }

    fn is_well(&self, arguments: &[&str], output: &Output) {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?} after {}: {said}", self.death);
    }

    /// Goes back, where the run before it came as far as to store its plan.
    fn undo_if_begun(&self) {
        let output = self.start(ROLLBACK).wait_with_output().unwrap();
        let not_begun = String::from_utf8_lossy(&output.stderr).contains("no migration has been run on this database");
        if output.status.code() != Some(3) || !not_begun {
            self.is_well(ROLLBACK, &output);
        }
    }

    /// A run that is killed at the point, after so many of its kind. Returns whether it came to that; where not, it is done.
    async fn dies(&mut self, arguments: &[&str], passing: u32) -> bool {
        let held = self.proxy.held();
        self.proxy.strike_after(passing, self.point);
        let mut child = self.start(arguments);
        loop {
            if held.has_changed().unwrap() {
                child.kill().unwrap();
                child.wait().unwrap();
                self.deaths += 1;
                self.death = format!("{:?} at statement {passing} of {arguments:?}", self.point.fault);
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                self.proxy.spare();
                let output = child.wait_with_output().unwrap();
                self.is_well(arguments, &output);
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A version of the application writes.
    async fn write(&mut self, column: &str) {
        self.turn += 1;
        let (id, email) = (i32::try_from(self.turn % 300).unwrap() + 1, format!("{column}-{}", self.turn));
        let update = format!("UPDATE users SET {column} = $1 WHERE id = $2");
        assert_eq!(self.client.execute(&update, &[&email, &id]).await.unwrap(), 1);
        self.emails.insert(id, email);
    }

    /// Each row holds what was written last.
    async fn holds(&self, column: &str) {
        let query = format!("SELECT id, {column} FROM users");
        let rows = self.client.query(&query, &[]).await.unwrap();
        let emails: BTreeMap<i32, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(emails, self.emails, "{column} after {}", self.death);
    }

    /// Old and new code are at work.
    async fn at_ready(&mut self) {
        self.holds("email_address").await;
        self.write("email").await;
        self.write("email_address").await;
        self.holds("email").await;
        self.holds("email_address").await;
    }

    /// All is as it was, but for what was written.
    async fn is_back(&mut self) {
        assert_eq!(schema(self.server, DATABASE), self.was, "the way back after {}", self.death);
        self.holds("email").await;
        self.write("email").await;
    }

    /// `migrate` dies; it goes back from there, or goes on and then back. At the end it is ready.
    async fn up_and_back(&mut self) {
        for passing in self.positions() {
            if !self.dies(MIGRATE, passing).await {
                return self.at_ready().await;
            }
            self.write("email").await;
            if self.deaths.is_multiple_of(2) {
                self.done(MIGRATE);
                self.at_ready().await;
            }
            self.undo_if_begun();
            self.is_back().await;
        }
    }

    /// `rollback` dies and goes on. At the end it is ready.
    async fn back(&mut self) {
        for passing in self.positions() {
            let died = self.dies(ROLLBACK, passing).await;
            if died {
                self.write("email").await;
                self.done(ROLLBACK);
            }
            self.is_back().await;
            self.done(MIGRATE);
            self.at_ready().await;
            if !died {
                return;
            }
        }
    }

    /// `contract` dies; it goes back from there, or goes on and then back. At the end it is contracted.
    async fn contract_and_back(&mut self) {
        for passing in self.positions() {
            if !self.dies(CONTRACT, passing).await {
                return self.holds("email_address").await;
            }
            self.write("email_address").await;
            if self.deaths.is_multiple_of(2) {
                self.done(CONTRACT);
                self.holds("email_address").await;
            }
            self.done(ROLLBACK);
            self.is_back().await;
            self.done(MIGRATE);
        }
    }

    /// `purge` dies, each time a little later.
    async fn purge(&mut self) {
        for passing in self.positions() {
            self.write("email_address").await;
            if !self.dies(PURGE, passing).await {
                return;
            }
        }
    }
}
