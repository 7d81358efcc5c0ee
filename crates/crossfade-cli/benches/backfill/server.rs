//! The scratch server, with PostgreSQL's default settings, its databases, and what machine it runs on.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;

use crossfade::Error;
use crossfade::Result;
use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;
use tokio_postgres::Client;
use tokio_postgres::NoTls;

use crate::change;
use crate::could_not;
use crate::settings::Settings;

/// The database that every run gets anew.
pub const DATABASE: &str = "bench";

/// A scratch server waits for no disk. Here it does, as a server does by default.
const DURABLE: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

const SHOWN: &str = "SELECT string_agg(name || ' = ' || current_setting(name), ', ' ORDER BY position) \
    FROM unnest(ARRAY['fsync', 'synchronous_commit', 'full_page_writes', 'wal_level', 'wal_compression', 'shared_buffers', 'max_wal_size', \
        'checkpoint_timeout', 'autovacuum', 'max_connections']) WITH ORDINALITY AS shown (name, position)";

/// The server and its templates: one with all the rows, one with a tenth of them.
#[derive(Debug)]
pub struct Server {
    scratch: ScratchServer,
}

impl Server {
    /// Starts it and writes both tables.
    pub async fn start(settings: &Settings) -> Result<Server> {
        let configured = std::env::var_os("CROSSFADE_PG_BIN").filter(|folder| !folder.is_empty());
        let bin_dir = find_binaries(configured.as_deref().map(Path::new)).map_err(could_not("find PostgreSQL"))?;
        let mut options = ScratchOptions::new(bin_dir);
        options.settings = DURABLE.map(|name| (name.to_owned(), "on".to_owned())).into();
        let start = tokio::task::spawn_blocking(move || ScratchServer::start(options)).await;
        let scratch = start
            .map_err(could_not("start a scratch server"))?
            .map_err(could_not("start a scratch server with its programs"))?;
        let server = Server { scratch };
        for rows in [settings.rows, settings.rows / 10] {
            eprintln!("writing a table with {rows} rows");
            let maintenance = server.client("postgres").await?;
            run(&maintenance, &format!("CREATE DATABASE {}", template(rows))).await?;
            let client = server.client(&template(rows)).await?;
            run(&client, &change::users(rows)).await?;
            run(&client, "VACUUM (FREEZE, ANALYZE) users").await?;
        }
        Ok(server)
    }

    /// The database with the table as it was in the beginning. Each run has the same bytes, and no checkpoint is due.
    pub async fn fresh(&self, rows: u64) -> Result<Client> {
        let maintenance = self.client("postgres").await?;
        run(&maintenance, &format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")).await?;
        run(&maintenance, &format!("CREATE DATABASE {DATABASE} TEMPLATE {}", template(rows))).await?;
        let client = self.client(DATABASE).await?;
        run(&client, "VACUUM (FREEZE, ANALYZE) users").await?;
        run(&client, "CHECKPOINT").await?;
        Ok(client)
    }

    /// A connection.
    pub async fn client(&self, database: &str) -> Result<Client> {
        let (client, connection) = tokio_postgres::connect(&self.scratch.url(database), NoTls)
            .await
            .map_err(could_not("connect to the scratch server"))?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Where a run finds its database.
    pub fn url(&self) -> String {
        self.scratch.url(DATABASE)
    }

    /// One of PostgreSQL's programs, on the database of the run.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.scratch.bin_dir().join(name));
        command.arg("-h").arg(self.scratch.socket_dir()).arg("-p").arg(self.scratch.port().to_string());
        command.args(["-U", "postgres"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PG") {
                command.env_remove(variable);
            }
        }
        command
    }

    /// Lets psql run SQL in a session of its own, each statement a transaction. With a limit it is ended after so many milliseconds, and `None`
    /// comes back.
    pub async fn psql(&self, sql: String, limit_ms: Option<u128>) -> Result<Option<()>> {
        let mut psql = self.program("psql");
        psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", DATABASE, "-c", &sql]);
        psql.env("PGOPTIONS", format!("-c statement_timeout={}", limit_ms.unwrap_or(0)));
        let output = tokio::process::Command::from(psql).output().await.map_err(could_not("run psql"))?;
        if limit_ms.is_some() && said(&output).contains("canceling statement due to statement timeout") {
            return Ok(None);
        }
        succeeded(&output, "psql").map(Some)
    }

    /// Stops it and removes its folder.
    pub fn stop(self) -> Result<()> {
        self.scratch.stop().map_err(could_not("stop the scratch server"))
    }

    /// The machine, the server and the sizes, as a list in Markdown.
    pub async fn environment(&self, settings: &Settings) -> Result<String> {
        let client = self.client("postgres").await?;
        let version: String = one(&client, "SHOW server_version").await?;
        let shown: String = one(&client, SHOWN).await?;
        let sizes = self.client(&template(settings.rows)).await?;
        let megabytes: i64 = one(&sizes, "SELECT pg_total_relation_size('users') / 1048576").await?;
        let Settings { rows, turns } = settings;
        Ok(format!(
            "- machine: {}, {} cores, {} of RAM, {}; load before it began: {}\n\
             - server: PostgreSQL {version} on a Unix socket, on the same machine; default settings: {shown}\n\
             - crossfade {}, {} build\n\
             - table: {rows} rows, {megabytes} MB with its three indexes; turns: {turns}\n",
            processor(),
            std::thread::available_parallelism().map_or(0, usize::from),
            memory(),
            output_of("uname", &["-sr"]),
            load(),
            env!("CARGO_PKG_VERSION"),
            if cfg!(debug_assertions) { "debug" } else { "release" },
        ))
    }
}

/// Runs statements without an answer.
pub async fn run(client: &Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).await.map_err(could_not(format!("run {sql}")))
}

/// The one value that a query returns.
pub async fn one<V>(client: &Client, query: &str) -> Result<V>
where
    V: for<'row> tokio_postgres::types::FromSql<'row>,
{
    let row = client.query_one(query, &[]).await;
    row.and_then(|row| row.try_get(0)).map_err(could_not(format!("ask {query}")))
}

/// Fails with what a program said, unless it succeeded.
pub fn succeeded(output: &Output, program: &str) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(Error::failed(format!("{program} ended with {}: {}", output.status, said(output).trim())))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn template(rows: u64) -> String {
    format!("users_{rows}")
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| "unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Linux says it in a file, macOS by a program.
fn processor() -> String {
    let Ok(file) = fs::read_to_string("/proc/cpuinfo") else {
        return output_of("sysctl", &["-n", "machdep.cpu.brand_string"]);
    };
    field(&file, "model name").unwrap_or_else(|| output_of("uname", &["-m"]))
}

fn memory() -> String {
    let bytes = match fs::read_to_string("/proc/meminfo") {
        Ok(file) => field(&file, "MemTotal").and_then(|text| kilobytes(&text)).map(|kilobytes| kilobytes * 1024),
        Err(_) => output_of("sysctl", &["-n", "hw.memsize"]).parse::<u64>().ok(),
    };
    bytes.map_or_else(|| "unknown".to_owned(), |bytes| format!("{:.0} GB", bytes as f64 / f64::from(1 << 30)))
}

fn load() -> String {
    let file = fs::read_to_string("/proc/loadavg").ok();
    let first = file.as_deref().and_then(|file| file.split(' ').next());
    first.map_or_else(|| output_of("sysctl", &["-n", "vm.loadavg"]), str::to_owned)
}

/// The value of `NAME: VALUE` in a file of /proc.
pub fn field(file: &str, name: &str) -> Option<String> {
    let line = file.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The number in `123 kB`.
pub fn kilobytes(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}
