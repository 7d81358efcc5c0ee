//! `make bench-runner`: many small migrations on an empty database beside sqlx-cli and dbmate, and what `status` costs with a long history.
//!
//! Standard output is a table in Markdown, as it stands in docs/benchmarks.md; progress goes to standard error. `FILES`, `APPLIED` and `TURNS` are variables of the
//! environment; `SQLX` and `DBMATE` name the other programs (scripts/bench-tools fetches them), and one that is not there is left out.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its tables, and how far it is")]

use std::fmt::Display;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitCode;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crossfade::Error;
use crossfade::Result;
use crossfade::scratch::ScratchOptions;
use crossfade::scratch::ScratchServer;
use crossfade::scratch::find_binaries;

/// A scratch server waits for no disk. Here it does, as a server does by default.
const DURABLE: [&str; 3] = ["fsync", "synchronous_commit", "full_page_writes"];

/// What is allowed beside the fastest of the others, and over the server's own time.
const RUN_BAR: f64 = 0.7;
const STATUS_BAR_MS: f64 = 100.0;

fn main() -> ExitCode {
    // `cargo test --all-targets` starts it, too; only `cargo bench` says this.
    if !std::env::args().any(|argument| argument == "--bench") {
        eprintln!("this is a benchmark: run it by `make bench-runner`");
        return ExitCode::SUCCESS;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

/// A program that runs a folder of migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Crossfade,
    Sqlx,
    Dbmate,
}

impl Tool {
    const ALL: [Tool; 3] = [Tool::Crossfade, Tool::Sqlx, Tool::Dbmate];

    fn name(self) -> &'static str {
        match self {
            Tool::Crossfade => "crossfade migrate",
            Tool::Sqlx => "sqlx migrate run",
            Tool::Dbmate => "dbmate migrate",
        }
    }

    fn program(self) -> Option<PathBuf> {
        let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file());
        match self {
            Tool::Crossfade => Some(PathBuf::from(env!("CARGO_BIN_EXE_crossfade"))),
            Tool::Sqlx => named("SQLX"),
            Tool::Dbmate => named("DBMATE"),
        }
    }

    /// The text of a file, as this program has it.
    fn text(self, sql: &str) -> String {
        match self {
            Tool::Crossfade | Tool::Sqlx => sql.to_owned(),
            Tool::Dbmate => format!("-- migrate:up\n{sql}\n-- migrate:down\n"),
        }
    }

    fn command(self, program: &Path, folder: &Path, server: &ScratchServer, database: &str) -> Command {
        let (socket, port) = (server.socket_dir().display(), server.port());
        let mut command = Command::new(program);
        match self {
            Tool::Crossfade => {
                command.arg("--database-url").arg(server.url(database)).arg("migrate");
            }
            Tool::Sqlx => {
                let url = format!("postgres://postgres@localhost:{port}/{database}?host={socket}");
                command.args(["migrate", "run", "--source", "migrations", "--database-url", &url]);
            }
            Tool::Dbmate => {
                let url = format!("postgres://postgres@:{port}/{database}?socket={socket}");
                command.args(["--url", &url, "--migrations-dir", "migrations", "--no-dump-schema", "migrate"]);
            }
        }
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }
}

struct Bench {
    server: ScratchServer,
    files: usize,
    applied: usize,
    turns: usize,
}

fn run() -> Result<()> {
    let configured = std::env::var_os("CROSSFADE_PG_BIN").filter(|folder| !folder.is_empty());
    let bin_dir = find_binaries(configured.as_deref().map(Path::new)).map_err(could_not("find PostgreSQL"))?;
    let mut options = ScratchOptions::new(bin_dir);
    options.settings = DURABLE.map(|name| (name.to_owned(), "on".to_owned())).into();
    let server = ScratchServer::start(options).map_err(could_not("start a scratch server"))?;
    let bench = Bench {
        server,
        files: number("FILES", 1000)?,
        applied: number("APPLIED", 5000)?,
        turns: number("TURNS", 3)?.max(1),
    };
    println!("| {} small migrations on an empty database | time | crossfade / this one | bar | met |", bench.files);
    println!("| --- | --- | --- | --- | --- |");
    for (tool, took, ratio) in bench.runs()? {
        let met = if ratio <= RUN_BAR { "yes" } else { "no" };
        match tool {
            Tool::Crossfade => println!("| `{}` | {:.2} s |  |  |  |", tool.name(), took.as_secs_f64()),
            Tool::Sqlx | Tool::Dbmate => {
                println!("| `{}` | {:.2} s | {ratio:.2} | ≤ {RUN_BAR} | {met} |", tool.name(), took.as_secs_f64());
            }
        }
    }
    let (status, psql) = bench.status()?;
    let over = (status.as_secs_f64() - psql.as_secs_f64()) * 1000.0;
    let met = if over <= STATUS_BAR_MS { "yes" } else { "no" };
    println!("\n| `crossfade status` with {} applied migrations | time | bar | met |", bench.applied);
    println!("| --- | --- | --- | --- |");
    println!("| crossfade | {:.0} ms |  |  |", status.as_secs_f64() * 1000.0);
    println!("| psql that reads the same table | {:.0} ms |  |  |", psql.as_secs_f64() * 1000.0);
    println!("| crossfade over psql | {over:.0} ms | ≤ {STATUS_BAR_MS:.0} ms | {met} |");
    bench.server.stop().map_err(could_not("stop the scratch server"))
}

impl Bench {
    /// Each program in turn, as often as there are turns: its median time, and the median of what Crossfade took of it within a turn.
    fn runs(&self) -> Result<Vec<(Tool, Duration, f64)>> {
        let tools: Vec<(Tool, PathBuf)> =
            Tool::ALL.into_iter().filter_map(|tool| Some((tool, tool.program()?))).collect();
        let mut took: Vec<Vec<Duration>> = vec![Vec::new(); tools.len()];
        for turn in 0..self.turns {
            for (position, (tool, program)) in tools.iter().enumerate() {
                let folder = folder(*tool, self.files)?;
                let database = format!("run_{turn}_{position}");
                self.psql("postgres", &format!("CREATE DATABASE {database}"))?;
                let begun = Instant::now();
                let command = &mut tool.command(program, folder.path(), &self.server, &database);
                succeeds(command, tool.name())?;
                let time = begun.elapsed();
                eprintln!("turn {} of {}: {} {:.2} s", turn + 1, self.turns, tool.name(), time.as_secs_f64());
                let made = self.psql(&database, "SELECT count(*) FROM pg_tables WHERE tablename ~ '^t[0-9]+$'")?;
                let expected = self.files.div_ceil(4);
                if made.trim() != expected.to_string() {
                    return Err(Error::failed(format!("{} made {} tables of {expected}", tool.name(), made.trim())));
                }
                took[position].push(time);
            }
        }
        let ours = took.first().cloned().unwrap_or_default();
        Ok(tools
            .iter()
            .zip(&took)
            .map(|((tool, _), times)| {
                let ratios = ours.iter().zip(times).map(|(own, other)| own.as_secs_f64() / other.as_secs_f64());
                (*tool, Duration::from_secs_f64(median(times.iter().map(Duration::as_secs_f64))), median(ratios))
            })
            .collect())
    }

    /// `status` with a long history, beside psql that reads the tracking table.
    fn status(&self) -> Result<(Duration, Duration)> {
        let folder = folder(Tool::Crossfade, self.applied)?;
        self.psql("postgres", "CREATE DATABASE long")?;
        let program = Path::new(env!("CARGO_BIN_EXE_crossfade"));
        eprintln!("applying {} migrations", self.applied);
        succeeds(&mut Tool::Crossfade.command(program, folder.path(), &self.server, "long"), "crossfade migrate")?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..self.turns.max(5) {
            let mut status = Command::new(program);
            status.arg("--database-url").arg(self.server.url("long")).arg("status").current_dir(folder.path());
            status.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
            let begun = Instant::now();
            succeeds(&mut status, "crossfade status")?;
            ours.push(begun.elapsed().as_secs_f64());
            let begun = Instant::now();
            self.psql("long", "SELECT * FROM crossfade.schema_migrations ORDER BY version")?;
            theirs.push(begun.elapsed().as_secs_f64());
        }
        let of = |times: Vec<f64>| Duration::from_secs_f64(median(times));
        Ok((of(ours), of(theirs)))
    }

    fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut psql = Command::new(self.server.bin_dir().join("psql"));
        psql.args(["-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d"]).arg(self.server.url(database)).args(["-c", sql]);
        psql.stdin(Stdio::null()).stderr(Stdio::piped());
        succeeds(&mut psql, "psql")
    }
}

/// A folder with small migrations: each fourth one makes a table, and the three behind it work on that.
fn folder(tool: Tool, count: usize) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().map_err(could_not("make a folder"))?;
    let migrations = folder.path().join("migrations");
    fs::create_dir(&migrations).map_err(could_not("make a folder"))?;
    for at in 0..count {
        let table = format!("t{}", at / 4);
        let sql = match at % 4 {
            0 => format!(
                "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);\n"
            ),
            1 => format!("ALTER TABLE {table} ADD COLUMN email text;\n"),
            2 => format!("CREATE INDEX {table}_email ON {table} (email);\n"),
            _ => format!("INSERT INTO {table} (name) VALUES ('a'), ('b');\n"),
        };
        let path = migrations.join(format!("{:05}_small.sql", at + 1));
        fs::write(&path, tool.text(&sql)).map_err(could_not("write a migration"))?;
    }
    Ok(folder)
}

/// Runs a program to its end and returns what it wrote.
fn succeeds(command: &mut Command, name: &str) -> Result<String> {
    let output = command.output().map_err(could_not(format!("run {name}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::failed(format!("{name} ended with {}: {}", output.status, said.trim())))
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn number(name: &str, default: usize) -> Result<usize> {
    match std::env::var(name) {
        Ok(given) if !given.is_empty() => {
            given.parse().map_err(|_| Error::usage(format!("{name} is {given:?}, which is not such a number")))
        }
        Ok(_) | Err(_) => Ok(default),
    }
}

/// Says what was being done: it reads after "could not".
fn could_not<E: std::error::Error + Send + Sync + 'static>(what: impl Display) -> impl FnOnce(E) -> Error {
    move |error| Error::failed(format!("could not {what}")).caused_by(error)
}
