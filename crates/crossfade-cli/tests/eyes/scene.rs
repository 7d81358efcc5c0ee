//! A database with a table, a folder with a rename, a migration that can be held up at its begin and in its middle, and `serve` beside it.

use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
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

/// Long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// One server for all tests of this program; each has a database of its own.
fn server() -> &'static ScratchServer {
    static SERVER: OnceLock<ScratchServer> = OnceLock::new();
    SERVER.get_or_init(|| ScratchServer::start(ScratchOptions::new(find_binaries(None).unwrap())).unwrap())
}

pub async fn connect(database: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(&server().url(database), NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// A rename over 20,000 rows. A query holds the fill up as long as the table `busy` has a row.
pub struct Scene {
    pub database: String,
    pub client: Client,
    folder: tempfile::TempDir,
}

impl Scene {
    pub async fn new() -> Scene {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let database = format!("eyes_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        let make = format!("CREATE DATABASE {database}");
        connect("postgres").await.batch_execute(&make).await.unwrap();
        let client = connect(&database).await;
        let table = "CREATE TABLE users (id int PRIMARY KEY, email text); INSERT INTO users SELECT g, 'u' || g FROM generate_series(1, 20000) g; \
                     ANALYZE users; CREATE TABLE busy (); INSERT INTO busy DEFAULT VALUES";
        client.batch_execute(table).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        let settings = "[throttle]\nquery = \"SELECT count(*) FROM busy\"\n";
        std::fs::write(folder.path().join("crossfade.toml"), settings).unwrap();
        let file = folder.path().join("migrations/001_rename.sql");
        std::fs::write(file, "ALTER TABLE users RENAME COLUMN email TO email_address;").unwrap();
        Scene { database, client, folder }
    }

    /// With nothing of this machine's environment but the search path.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut run = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        run.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        run.env("DATABASE_URL", server().url(&self.database))
            .env("CROSSFADE_ACTOR", "ann")
            .env("TERM", "xterm-256color");
        run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        run
    }

    pub fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn migration(&self) -> Value {
        let output = self.call(&["status", "--json"]);
        let status: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        status["migrations"][0].clone()
    }

    /// `migrate` in a process of its own, once it waits for the query.
    pub fn migrating(&self) -> Child {
        let child = self.command(&["migrate"]).spawn().unwrap();
        until("it waits for the query", || self.migration(), |migration| migration["pause"]["signal"] == "query");
        child
    }

    /// Locks a row in the middle of the table: the fill goes on to it, and no further until the returned session ends.
    pub async fn locked_in_the_middle(&self) -> Client {
        let client = connect(&self.database).await;
        client.batch_execute("BEGIN; SELECT FROM users WHERE id = 15000 FOR UPDATE").await.unwrap();
        client
    }

    pub async fn let_it_go(&self) {
        self.client.batch_execute("DELETE FROM busy").await.unwrap();
    }

    /// Lets nobody in any more, and throws out who is.
    pub async fn take_away(&self) {
        let other = connect("postgres").await;
        let close = format!(
            "ALTER DATABASE {0} ALLOW_CONNECTIONS false; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{0}'",
            self.database
        );
        other.batch_execute(&close).await.unwrap();
    }

    pub async fn give_back(&self) {
        let open = format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.database);
        connect("postgres").await.batch_execute(&open).await.unwrap();
    }

    pub fn serve(&self, token: bool) -> Served {
        self.serve_at("127.0.0.1:0", token)
    }

    pub fn serve_at(&self, address: &str, token: bool) -> Served {
        let mut command = self.serve_command(address, &[]);
        if token {
            command.env("CROSSFADE_SERVE_TOKEN", TOKEN);
        }
        Served::begin(command)
    }

    /// With further arguments.
    pub fn serve_with(&self, address: &str, arguments: &[&str]) -> Served {
        Served::begin(self.serve_command(address, arguments))
    }

    fn serve_command(&self, address: &str, arguments: &[&str]) -> Command {
        let mut command = self.command(&["serve", "--listen", address, "--interval", "100ms", "--json"]);
        command.args(arguments);
        command
    }

    /// Writes more into crossfade.toml.
    pub fn configure(&self, more: &str) {
        let path = self.folder.path().join("crossfade.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("{text}{more}")).unwrap();
    }

    /// What a file of the folder says; nothing where there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asks again and again until it is so.
pub fn until<T: std::fmt::Debug>(what: &str, ask: impl Fn() -> T, wanted: impl Fn(&T) -> bool) -> T {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if wanted(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "not so after {PATIENCE:?}: {what}\n{answer:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// `serve`, at work.
pub struct Served {
    child: Child,
    pub report: Value,
    pub address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Served {
    fn begin(mut command: Command) -> Served {
        let mut child = command.spawn().unwrap();
        let mut text = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while serde_json::from_str::<Value>(&text).is_err() {
            assert!(lines.read_line(&mut text).unwrap() > 0, "it ended: {text}");
        }
        let report: Value = serde_json::from_str(&text).unwrap();
        let url = report["url"].as_str().unwrap();
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Served { child, address, report }
    }

    /// One request, to the letter.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let code = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { code, headers: head.to_lowercase(), body: body.to_owned() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn status(&self) -> Value {
        self.get("/api/v1/status").json()
    }

    pub fn post(&self, path: &str, token: Option<&str>, body: &str) -> Answer {
        let token = token.map(|token| format!("Bearer {token}"));
        let headers: Vec<(&str, &str)> = token.iter().map(|token| ("Authorization", token.as_str())).collect();
        self.send("POST", path, &headers, body)
    }

    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, || self.status(), wanted)
    }

    /// Asks it to end, and returns its exit code.
    pub fn ended_by(&mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        self.child.wait().unwrap().code()
    }
}
