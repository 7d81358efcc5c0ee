//! Scratch PostgreSQL servers: private, short-lived, on a Unix socket, gone without a trace.
//!
//! What a person should see work before they trust it (`crossfade demo`), and what our own tests prove, needs a real
//! server that nobody else uses. [`ScratchServer::start`] makes one in a temporary folder, from binaries that are
//! installed already, in about two seconds.
//!
//! Three things are not obvious here:
//!
//! - PostgreSQL refuses to run as root, and in a container we often are root. The server then runs as `postgres`, or
//!   else as `nobody`, and the folder belongs to that user.
//! - The end of a server is not left to [`Drop`] alone: a `static`, a `kill -9` and an abort never drop. A small shell
//!   process, the keeper, reads a pipe that only we hold open, and clears away when it closes, however that came about.
//!   An orderly stop takes the same way, so the way is always tried.
//! - Nothing here is worth keeping, so the server does not wait for the disk. Never read a duration that was measured
//!   on it as one of a durable server.
//!
//! Databases that are made for one piece of work and go with it are in `database`.
//!
//! Not here: data on the server (it is plain SQL for the caller), downloading of binaries, and any system but Unix.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use nix::unistd::User;

use self::binaries::usable;
use self::keeper::Keeper;

pub use self::binaries::find_binaries;
pub use self::database::Likeness;
pub use self::database::ScratchDatabase;
pub use self::database::ScratchHome;
pub use self::database::ScratchPlace;
pub(crate) use self::database::leftovers;
pub use self::error::ScratchError;

mod binaries;
mod database;
mod error;
mod keeper;

/// The name of the superuser on every scratch server, whoever runs it.
const SUPERUSER: &str = "postgres";

/// The port unless the settings say otherwise. On a private socket it is only a part of the socket's name.
const PORT: u16 = 5432;

/// The longest path that a socket can have everywhere: macOS allows 103 bytes, Linux 107.
const SOCKET_PATH_BYTES: usize = 103;

/// What a socket's path has after the temporary folder: `/crossfade-` and 6 random letters, then `/.s.PGSQL.65535`.
const SOCKET_NAME_BYTES: usize = 17 + 15;

/// How long a fresh, empty server may take to accept connections. It needs 0.2 s; a loaded CI machine is far slower.
const START_LIMIT: Duration = Duration::from_secs(60);

/// How many lines of a server's log an error shows. The cause is among the last few.
const LOG_LINES: usize = 20;

/// How a scratch server is to be made.
#[derive(Debug, Clone)]
pub struct ScratchOptions {
    /// The folder of the server's binaries, as [`find_binaries`] returns it.
    pub bin_dir: PathBuf,
    /// Lines for `postgresql.conf`, name and value. They win over everything that is set here by default. With a
    /// `listen_addresses` but no `port`, a free port is taken.
    pub settings: Vec<(String, String)>,
    /// How many clients may be connected at once.
    pub max_connections: u32,
}

impl ScratchOptions {
    /// The defaults: no settings of its own, and as many connections as PostgreSQL allows by default.
    pub fn new(bin_dir: impl Into<PathBuf>) -> Self {
        Self { bin_dir: bin_dir.into(), settings: Vec::new(), max_connections: 100 }
    }

    /// The last value given for a setting: as in the file, the last one wins.
    fn setting(&self, name: &str) -> Option<&str> {
        let given = self.settings.iter().rev().find(|(given, _)| given.eq_ignore_ascii_case(name));
        given.map(|(_, value)| value.as_str())
    }
}

/// A running scratch server. It ends, and its folder goes, when this value is dropped or this process ends.
#[derive(Debug)]
pub struct ScratchServer {
    bin_dir: PathBuf,
    folder: PathBuf,
    port: u16,
    major_version: u32,
    server: Child,
    keeper: Keeper,
}

impl ScratchServer {
    /// Makes a server and waits until it accepts connections. Blocks for about two seconds.
    pub fn start(options: ScratchOptions) -> Result<ScratchServer, ScratchError> {
        ScratchServer::make(options, initdb)
    }

    /// Makes a standby of this server, which must have `wal_level = replica` and room for a WAL sender. `name` is its `application_name`. The
    /// folder of binaries must hold `pg_basebackup`, too.
    pub fn start_standby(&self, name: &str, options: ScratchOptions) -> Result<ScratchServer, ScratchError> {
        let source =
            format!("host={} port={} user={SUPERUSER} application_name={name}", self.folder.display(), self.port);
        let mut options = options;
        options.settings.push(("primary_conninfo".to_owned(), source));
        ScratchServer::make(options, |bin_dir, folder, account| basebackup(bin_dir, folder, account, self))
    }

    fn make(
        options: ScratchOptions,
        fill: impl FnOnce(&Path, &Path, Option<&User>) -> Result<(), ScratchError>,
    ) -> Result<ScratchServer, ScratchError> {
        let bin_dir = usable(&options.bin_dir)?;
        let account = unprivileged_account()?;
        let folder = create_folder(account.as_ref())?;
        let path = folder.path().to_owned();
        let mut keeper = Keeper::start(&path).map_err(|source| ScratchError::Keeper { source })?;
        // From here on the keeper removes the folder, also when one of the next lines fails.
        let _: PathBuf = folder.keep();

        fill(&bin_dir, &path, account.as_ref())?;
        let port = port(&options)?;
        configure(&path, port, &options)?;
        let major_version = major_version(&path)?;
        let server = spawn_server(&bin_dir, &path, account.as_ref())?;
        keeper.watch(&server);

        let mut scratch = ScratchServer { bin_dir, folder: path, port, major_version, server, keeper };
        scratch.wait_until_ready()?;
        Ok(scratch)
    }

    /// A connection URL, for tokio-postgres and for everything built on libpq: the superuser, over the socket.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// The same for another role.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let host = percent_encode(&self.folder.to_string_lossy());
        let (user, database) = (percent_encode(user), percent_encode(database));
        format!("postgres://{user}@{host}:{}/{database}", self.port)
    }

    /// The folder of the socket: what libpq calls the host.
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// The port, which is a part of the socket's name.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the server's binaries.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// The server's major version: 17 for 17.2.
    pub fn major_version(&self) -> u32 {
        self.major_version
    }

    /// Ends the server at once, as if its power were cut, and keeps its folder. Its clients see their connections break. What was committed a
    /// moment ago is lost, unless the settings turn `synchronous_commit` on.
    pub fn crash(&mut self) -> Result<(), ScratchError> {
        let ended = shut_down_at_once(&self.server).and_then(|()| self.server.wait());
        ended.map(|_| ()).map_err(|source| ScratchError::Lost { source })
    }

    /// Starts it again after a [`ScratchServer::crash`], on the data that it had, and waits until it accepts connections.
    pub fn start_again(&mut self) -> Result<(), ScratchError> {
        self.server = spawn_server(&self.bin_dir, &self.folder, unprivileged_account()?.as_ref())?;
        self.keeper.watch(&self.server);
        self.wait_until_ready()
    }

    /// Stops the server and removes its folder, as dropping does, and says if that went wrong.
    pub fn stop(mut self) -> Result<(), ScratchError> {
        self.end().map_err(|source| ScratchError::Stop { folder: self.folder.clone(), source })
    }

    fn wait_until_ready(&mut self) -> Result<(), ScratchError> {
        let started = Instant::now();
        while !accepts_connections(&self.folder) {
            let exited = self.server.try_wait().map_err(|source| ScratchError::Lost { source })?;
            if exited.is_some() {
                return Err(ScratchError::Exited { log: self.log_tail() });
            }
            if started.elapsed() > START_LIMIT {
                return Err(ScratchError::NotReady { log: self.log_tail() });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read(log_file(&self.folder)).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&log))
    }

    /// Ends everything, and may be called twice. What the keeper could not do, if somebody killed it, is done here.
    fn end(&mut self) -> io::Result<()> {
        self.keeper.end();
        if self.server.try_wait()?.is_none() {
            shut_down_at_once(&self.server)?;
            self.server.wait()?;
        }
        match fs::remove_dir_all(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl Drop for ScratchServer {
    fn drop(&mut self) {
        // There is nobody to tell; `stop` is for those who want to know.
        let _: io::Result<()> = self.end();
    }
}

/// Who is to run the server: nobody else than us, unless we are root.
fn unprivileged_account() -> Result<Option<User>, ScratchError> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        let found = User::from_name(name).map_err(|source| ScratchError::Account { name, source })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Err(ScratchError::NoAccount)
}

/// A new folder, with mode 0700, that belongs to the account and in which a socket's path is short enough.
fn create_folder(account: Option<&User>) -> Result<tempfile::TempDir, ScratchError> {
    let parents = [std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    let fits = |parent: &&PathBuf| {
        parent.as_os_str().len() + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES
            && (account.is_none() || anyone_may_enter(parent))
    };
    let parent = parents.iter().find(fits).ok_or_else(|| ScratchError::NoFolder {
        tried: parents.each_ref().map(|parent| parent.display().to_string()).join(", "),
    })?;
    let failed = |source| ScratchError::Folder { what: "create a folder in", path: parent.clone(), source };
    // Absolute, since the server has another working folder than we have.
    let parent = std::path::absolute(parent).map_err(failed)?;
    let folder = tempfile::Builder::new().prefix("crossfade-").tempdir_in(&parent).map_err(failed)?;
    if let Some(account) = account {
        let given = nix::unistd::chown(folder.path(), Some(account.uid), Some(account.gid));
        given.map_err(|errno| failed(errno.into()))?;
    }
    Ok(folder)
}

fn anyone_may_enter(folder: &Path) -> bool {
    let enterable = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
    fs::canonicalize(folder).is_ok_and(|folder| folder.ancestors().all(enterable))
}

fn initdb(bin_dir: &Path, folder: &Path, account: Option<&User>) -> Result<(), ScratchError> {
    let program = bin_dir.join("initdb");
    let mut command = command(&program, folder, account);
    command.arg("-D").arg(data_dir(folder)).args(["-U", SUPERUSER, "-A", "trust", "--no-sync"]);
    // The locale C is everywhere; C.UTF-8 is not.
    command.args(["-E", "UTF8", "--locale=C"]);
    run(command, program, account)
}

/// Copies a running server, so that the copy follows it.
fn basebackup(
    bin_dir: &Path,
    folder: &Path,
    account: Option<&User>,
    primary: &ScratchServer,
) -> Result<(), ScratchError> {
    let program = bin_dir.join("pg_basebackup");
    let mut command = command(&program, folder, account);
    command.arg("-D").arg(data_dir(folder)).arg("-h").arg(&primary.folder).arg("-p").arg(primary.port.to_string());
    // `-R` marks it as a standby. What it writes of the connection to `postgresql.auto.conf` would win over our settings.
    command.args(["-U", SUPERUSER, "-X", "stream", "-c", "fast", "--no-sync", "-R"]);
    run(command, program, account)?;
    let path = data_dir(folder).join("postgresql.auto.conf");
    let emptied = File::options().write(true).truncate(true).open(&path).map(drop);
    emptied.map_err(|source| ScratchError::Folder { what: "write", path, source })
}

fn run(mut command: Command, program: PathBuf, account: Option<&User>) -> Result<(), ScratchError> {
    let output = command.output().map_err(|source| spawn_error(&program, account, source))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(ScratchError::Initdb { program, said: last_lines(&String::from_utf8_lossy(&said)) })
}

fn port(options: &ScratchOptions) -> Result<u16, ScratchError> {
    if let Some(given) = options.setting("port") {
        let port = given.parse().ok().filter(|port| *port != 0);
        return port.ok_or_else(|| ScratchError::BadPort { given: given.to_owned() });
    }
    if options.setting("listen_addresses").is_none_or(str::is_empty) {
        return Ok(PORT);
    }
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    free.map(|address| address.port()).map_err(|source| ScratchError::NoPort { source })
}

/// Appends to `postgresql.conf`, where the last line for a setting wins. Not arguments of the server: over those not
/// even ALTER SYSTEM has a say.
fn configure(folder: &Path, port: u16, options: &ScratchOptions) -> Result<(), ScratchError> {
    let folder_text = folder.to_string_lossy();
    let (port, max_connections) = (port.to_string(), options.max_connections.to_string());
    let defaults = [
        ("listen_addresses", ""),
        ("unix_socket_directories", &*folder_text),
        ("port", &*port),
        ("max_connections", &*max_connections),
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
    ];
    let given = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let lines: String = defaults.into_iter().chain(given).map(|(name, value)| setting_line(name, value)).collect();
    let path = data_dir(folder).join("postgresql.conf");
    let written = File::options().append(true).open(&path).and_then(|mut file| file.write_all(lines.as_bytes()));
    written.map_err(|source| ScratchError::Folder { what: "write", path, source })
}

fn setting_line(name: &str, value: &str) -> String {
    let value = value.replace('\\', r"\\").replace('\'', "''").replace('\n', r"\n");
    format!("{name} = '{value}'\n")
}

fn major_version(folder: &Path) -> Result<u32, ScratchError> {
    let path = data_dir(folder).join("PG_VERSION");
    let read = fs::read_to_string(&path).and_then(|text| text.trim().parse().map_err(io::Error::other));
    read.map_err(|source| ScratchError::Folder { what: "read", path, source })
}

fn spawn_server(bin_dir: &Path, folder: &Path, account: Option<&User>) -> Result<Child, ScratchError> {
    let path = log_file(folder);
    let log = File::options().create(true).append(true).open(&path);
    let logs = log.and_then(|log| Ok((log.try_clone()?, log)));
    let (stdout, stderr) = logs.map_err(|source| ScratchError::Folder { what: "create", path, source })?;
    let program = bin_dir.join("postgres");
    let mut command = command(&program, folder, account);
    command.arg("-D").arg(data_dir(folder)).stdout(stdout).stderr(stderr);
    command.spawn().map_err(|source| spawn_error(&program, account, source))
}

/// A server program that no Ctrl-C reaches before us, run by the account, from a folder that the account can enter.
fn command(program: &Path, folder: &Path, account: Option<&User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).process_group(0);
    // On macOS the server refuses a locale that makes it multi-threaded.
    command.env("LC_ALL", "C");
    for variable in ["PGDATA", "PGPORT", "PGCLIENTENCODING", "PGDATESTYLE"] {
        command.env_remove(variable);
    }
    if let Some(account) = account {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command
}

fn spawn_error(program: &Path, account: Option<&User>, source: io::Error) -> ScratchError {
    ScratchError::Spawn {
        program: program.to_owned(),
        account: account.map_or("the current user".to_owned(), |account| format!("user {}", account.name)),
        source,
    }
}

/// SIGQUIT is the immediate shutdown: the server ends its own children, with force after 5 s, and then itself.
fn shut_down_at_once(server: &Child) -> io::Result<()> {
    let pid = server.id().try_into().expect("process numbers fit 31 bits on every Unix");
    // The number can't be a stranger's: we have not waited for our child yet.
    Ok(kill(Pid::from_raw(pid), Signal::SIGQUIT)?)
}

/// The eighth line of `postmaster.pid` is the server's own word on its state. Connecting would need a client. A standby that takes readers
/// says so.
fn accepts_connections(folder: &Path) -> bool {
    let state = fs::read_to_string(data_dir(folder).join("postmaster.pid")).unwrap_or_default();
    state.lines().nth(7).is_some_and(|state| matches!(state.trim(), "ready" | "standby"))
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::error::Error;

    use tokio_postgres::NoTls;

    #[tokio::test]
    async fn every_installed_major_starts_and_takes_connections() {
        for bin_dir in bin_dirs() {
            let server = start(ScratchOptions::new(bin_dir));
            let version = query(&server, "postgres", "SELECT current_setting('server_version_num')").await;
            assert_eq!(version[..2], server.major_version().to_string());
            assert_eq!(query(&server, "postgres", "SELECT current_user::text").await, "postgres");
            assert_eq!(query(&server, "postgres", "SHOW server_encoding").await, "UTF8");
            assert_eq!(query(&server, "postgres", "SHOW listen_addresses").await, "");
        }
    }

    #[tokio::test]
    async fn settings_win_and_reach_the_server_unharmed() {
        let mut options = ScratchOptions::new(any_bin_dir());
        options.max_connections = 17;
        options.settings = vec![
            ("fsync".to_owned(), "on".to_owned()),
            ("crossfade.motto".to_owned(), r"it's a 'back\slash'".to_owned()),
            ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
        ];
        let server = start(options);
        assert_eq!(query(&server, "postgres", "SHOW max_connections").await, "17");
        assert_eq!(query(&server, "postgres", "SHOW fsync").await, "on");
        assert_eq!(query(&server, "postgres", "SHOW crossfade.motto").await, r"it's a 'back\slash'");
        assert_eq!(query(&server, "postgres", "SHOW port").await, server.port().to_string());
        let over_tcp = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
        assert_eq!(query_at(&over_tcp, "SELECT current_user::text").await, "postgres");
    }

    #[tokio::test]
    async fn url_names_any_database() {
        let server = start(ScratchOptions::new(any_bin_dir()));
        query_at(&server.url("postgres"), r#"CREATE DATABASE "Käse /?#% 1""#).await;
        assert_eq!(query(&server, "Käse /?#% 1", "SELECT current_database()::text").await, "Käse /?#% 1");
    }

    #[test]
    fn root_runs_it_as_somebody_else() {
        use std::os::unix::fs::MetadataExt;
        let server = start(ScratchOptions::new(any_bin_dir()));
        let owner = fs::metadata(server.folder.join("data/postmaster.pid")).unwrap().uid();
        let us = nix::unistd::geteuid();
        assert_ne!(owner, 0);
        assert!(us.is_root() || owner == us.as_raw());
    }

    #[test]
    fn drop_leaves_no_folder_and_no_process() {
        let server = start(ScratchOptions::new(any_bin_dir()));
        let (folder, pid, keeper) = (server.folder.clone(), server.server.id(), server.keeper.process.id());
        assert!(folder.exists() && runs(pid) && runs(keeper));
        drop(server);
        assert!(!folder.exists() && !runs(pid) && !runs(keeper));
    }

    #[test]
    fn stop_clears_away_even_without_the_keeper() {
        let mut server = start(ScratchOptions::new(any_bin_dir()));
        let (folder, pid) = (server.folder.clone(), server.server.id());
        server.keeper.process.kill().unwrap();
        server.stop().unwrap();
        assert!(!folder.exists() && !runs(pid));
    }

    #[test]
    fn a_closed_pipe_is_enough_for_the_keeper() {
        let mut server = start(ScratchOptions::new(any_bin_dir()));
        // What a `kill -9` of this process does.
        drop(server.keeper.process.stdin.take());
        server.keeper.process.wait().unwrap();
        assert!(!server.folder.exists());
        assert!(server.server.wait().unwrap().code().is_some(), "it ended by itself, in order");
    }

    #[tokio::test]
    async fn after_a_crash_it_starts_again_with_its_data_and_is_cleared_away() {
        let mut options = ScratchOptions::new(any_bin_dir());
        options.settings.push(("synchronous_commit".to_owned(), "on".to_owned()));
        let mut server = start(options);
        query(&server, "postgres", "CREATE TABLE kept AS SELECT 'kept'::text AS word").await;
        let first = server.server.id();
        server.crash().unwrap();
        assert!(!runs(first) && server.folder.exists());
        server.start_again().unwrap();
        assert_eq!(query(&server, "postgres", "SELECT word FROM kept").await, "kept");
        let (folder, second) = (server.folder.clone(), server.server.id());
        // The keeper knows the new process.
        drop(server.keeper.process.stdin.take());
        server.keeper.process.wait().unwrap();
        assert!(!folder.exists());
        server.server.wait().unwrap();
        assert!(!runs(second));
    }

    #[test]
    fn a_failed_start_shows_the_log_and_leaves_nothing() {
        let mut options = ScratchOptions::new(any_bin_dir());
        options.settings.push(("shared_buffers".to_owned(), "plenty".to_owned()));
        let error = ScratchServer::start(options).unwrap_err();
        assert!(error.to_string().contains(r#"invalid value for parameter "shared_buffers": "plenty""#), "{error}");
        assert!(error.source().is_none());
    }

    fn start(options: ScratchOptions) -> ScratchServer {
        ScratchServer::start(options).unwrap()
    }

    async fn query(server: &ScratchServer, database: &str, sql: &str) -> String {
        query_at(&server.url(database), sql).await
    }

    /// The first column of the first row as text; nothing for a statement without rows.
    async fn query_at(url: &str, sql: &str) -> String {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        let row = client.query_opt(sql, &[]).await.unwrap();
        let value = row.map(|row| row.get(0)).unwrap_or_default();
        drop(client);
        driver.await.unwrap().unwrap();
        value
    }

    fn runs(pid: u32) -> bool {
        kill(Pid::from_raw(pid.try_into().unwrap()), None::<Signal>).is_ok()
    }

    fn any_bin_dir() -> PathBuf {
        bin_dirs().swap_remove(0)
    }

    /// `CROSSFADE_PG_BINS`, as the full test run sets it; else the one that is installed.
    fn bin_dirs() -> Vec<PathBuf> {
        match std::env::var_os("CROSSFADE_PG_BINS") {
            Some(folders) => std::env::split_paths(&folders).collect(),
            None => vec![find_binaries(None).unwrap()],
        }
    }
}
