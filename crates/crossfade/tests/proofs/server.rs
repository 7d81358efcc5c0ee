//! Servers of every version at hand, started once for all proofs, and databases on them, one for each proof.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossfade::Target;
use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

/// A server, and the `pg_dump` beside it, where there is one.
#[derive(Debug)]
pub struct Server {
    pub scratch: ScratchServer,
    pub pg_dump: Option<PathBuf>,
}

impl Server {
    pub fn major(&self) -> u32 {
        self.scratch.major_version()
    }
}

static SERVERS: LazyLock<Vec<Server>> = LazyLock::new(start_all);

/// Every server.
pub fn servers() -> &'static [Server] {
    &SERVERS
}

/// The oldest, the main and the newest, each once: what a version has of its own is mostly at the ends.
pub fn outer_servers() -> Vec<&'static Server> {
    let mut outer: Vec<&Server> = SERVERS.first().into_iter().chain([main_server()]).chain(SERVERS.last()).collect();
    outer.dedup_by_key(|server| server.major());
    outer
}

/// The server for proofs that run on one: the newest that has a `pg_dump`, else the newest.
pub fn main_server() -> &'static Server {
    let dumped = SERVERS.iter().rev().find(|server| server.pg_dump.is_some());
    dumped.unwrap_or_else(|| SERVERS.last().expect("there is a server"))
}

/// The folders of all servers' binaries.
pub fn folders() -> Vec<PathBuf> {
    if let Some(folders) = std::env::var_os("CROSSFADE_PG_BINS") {
        return std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()).collect();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect()
}

fn start_all() -> Vec<Server> {
    let folders = folders();
    assert!(!folders.is_empty(), "no server's binaries found: set CROSSFADE_PG_BINS");
    let mut started: Vec<ScratchServer> = std::thread::scope(|scope| {
        let threads: Vec<_> = folders.iter().map(|folder| scope.spawn(move || start(folder.clone()))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a server starts")).collect()
    });
    started.sort_by_key(ScratchServer::major_version);
    started.dedup_by_key(|server| server.major_version());
    let beside = |scratch: &ScratchServer| Some(scratch.bin_dir().join("pg_dump")).filter(|dump| dump.exists());
    started.into_iter().map(|scratch| Server { pg_dump: beside(&scratch), scratch }).collect()
}

/// Nothing happens by itself here, and nothing depends on the machine.
const SETTINGS: [(&str, &str); 8] = [
    ("autovacuum", "off"),
    ("TimeZone", "UTC"),
    ("shared_buffers", "32MB"),
    ("checkpoint_timeout", "1h"),
    ("jit", "off"),
    ("max_wal_senders", "0"),
    ("wal_level", "minimal"),
    ("max_prepared_transactions", "0"),
];

/// A server with these settings on top.
pub fn start_with(bin_dir: PathBuf, settings: &[(&str, &str)]) -> ScratchServer {
    ScratchServer::start(options_with(bin_dir, settings)).expect("a scratch server starts")
}

/// A standby with these settings on top.
pub fn start_standby(primary: &ScratchServer, name: &str, settings: &[(&str, &str)]) -> ScratchServer {
    primary.start_standby(name, options_with(primary.bin_dir().to_owned(), settings)).expect("a standby starts")
}

fn options_with(bin_dir: PathBuf, settings: &[(&str, &str)]) -> ScratchOptions {
    let all = SETTINGS.iter().chain(settings);
    let settings = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ScratchOptions { settings, max_connections: 150, ..ScratchOptions::new(bin_dir) }
}

fn start(bin_dir: PathBuf) -> ScratchServer {
    let server = start_with(bin_dir, &[]);
    let url = server.url("postgres");
    run(async move {
        let client = connect(&url).await;
        client.batch_execute("CREATE ROLE app_reader; CREATE ROLE app_writer").await.expect("roles are made");
    });
    server
}

/// Runs a future to its end on a runtime of its own.
pub fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime is made").block_on(work)
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server accepts connections");
    tokio::spawn(connection);
    client
}

/// An empty database for one proof, and a session that stands for the application: while it is there, tables are in use.
/// Making one takes longer than emptying one, so they are used again.
pub struct Database {
    pub server: &'static Server,
    pub name: String,
    application: Option<Client>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);
/// By the folder of their server.
static FREE: Mutex<Vec<(PathBuf, String)>> = Mutex::new(Vec::new());

/// Back to nothing, and all sessions of others with it.
const EMPTY: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid();
    DO $$ DECLARE name text; BEGIN
        EXECUTE format('ALTER DATABASE %I RESET ALL', current_database());
        FOR name IN SELECT evtname FROM pg_event_trigger LOOP
            EXECUTE format('DROP EVENT TRIGGER %I', name);
        END LOOP;
        FOR name IN SELECT pubname FROM pg_publication LOOP
            EXECUTE format('DROP PUBLICATION %I', name);
        END LOOP;
        FOR name IN SELECT fdwname FROM pg_foreign_data_wrapper LOOP
            EXECUTE format('DROP FOREIGN DATA WRAPPER %I CASCADE', name);
        END LOOP;
        FOR name IN SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', name);
        END LOOP;
        FOR name IN SELECT amname FROM pg_am WHERE oid >= 16384 LOOP
            EXECUTE format('DROP ACCESS METHOD %I', name);
        END LOOP;
        CREATE SCHEMA public;
        COMMENT ON SCHEMA public IS 'standard public schema';
        GRANT USAGE ON SCHEMA public TO PUBLIC;
        IF current_setting('server_version_num')::integer < 150000 THEN
            GRANT CREATE ON SCHEMA public TO PUBLIC;
        END IF;
        DELETE FROM pg_shdepend WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = 'pg_default_acl'::regclass;
        DELETE FROM pg_default_acl;
    END $$;
    RESET ALL";

/// Dead rows of the catalog would make every look at it slower than the one before.
const VACUUM: &str = "VACUUM pg_attribute, pg_class, pg_depend, pg_type, pg_index, pg_constraint, pg_trigger, pg_proc";

impl Database {
    pub async fn create(server: &'static Server) -> Database {
        let name = match Database::used(server) {
            Some(name) => name,
            None => {
                let name = format!("t{}", NUMBER.fetch_add(1, Ordering::SeqCst));
                let client = connect(&server.scratch.url("postgres")).await;
                let create = format!("CREATE DATABASE {name} TEMPLATE template0");
                client.batch_execute(&create).await.expect("a database is made");
                name
            }
        };
        let application = connect(&server.scratch.url(&name)).await;
        for sql in [EMPTY, VACUUM] {
            application.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {}", crate::text_of(&error)));
        }
        Database { server, name, application: Some(application) }
    }

    fn used(server: &Server) -> Option<String> {
        let mut free = FREE.lock().expect("nobody panics here");
        let at = free.iter().position(|(folder, _)| folder == server.scratch.socket_dir())?;
        Some(free.swap_remove(at).1)
    }

    pub fn url(&self) -> String {
        self.server.scratch.url(&self.name)
    }

    pub fn target(&self) -> Target {
        Target::from_url(&self.url()).expect("the URL is one")
    }

    pub async fn connect(&self) -> Client {
        connect(&self.url()).await
    }

    /// Runs SQL as `psql -1` does, in a session of its own.
    pub async fn run(&self, sql: &str) -> Result<(), String> {
        let client = self.connect().await;
        client.batch_execute(sql).await.map_err(|error| crate::text_of(&error))
    }

    /// Ends the application's session, and waits until nobody is connected.
    pub async fn leave_alone(&mut self) {
        self.leave_alone_but(0).await;
    }

    /// The same, until there are only so many.
    pub async fn leave_alone_but(&mut self, others: i64) {
        self.application = None;
        let admin = connect(&self.server.scratch.url("postgres")).await;
        let query = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1";
        for _ in 0..5_000 {
            let row = admin.query_one(query, &[&self.name]).await.expect("sessions can be counted");
            if row.get::<_, i64>(0) <= others {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// One value as text.
    pub async fn value(&self, query: &str) -> String {
        let client = self.connect().await;
        let messages = client.simple_query(query).await;
        let messages = messages.unwrap_or_else(|error| panic!("{query}: {}", crate::text_of(&error)));
        let first = messages.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("NULL").to_owned()),
            _ => None,
        });
        first.unwrap_or_default()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Ok(mut free) = FREE.lock() {
            free.push((self.server.scratch.socket_dir().to_owned(), self.name.clone()));
        }
    }
}
