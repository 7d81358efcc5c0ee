//! Twenty clients of pgbench that read and write rows by their id, at a pace that the machine carries easily: how long they wait for an answer
//! before `crossfade migrate` with its default settings, and while it fills.
//!
//! The pace is given, so a request counts from when it was due: one that had to wait for its client's last one is not left out.

use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crossfade::Error;
use crossfade::Result;
use nix::sys::signal::Signal;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::binary;
use crate::change::Change;
use crate::could_not;
use crate::measure::Own;
use crate::measure::all_right;
use crate::server::DATABASE;
use crate::server::Server;
use crate::server::succeeded;
use crate::watch::Watch;

/// How many clients.
pub const CLIENTS: u32 = 20;

/// Transactions a second, of all of them together.
pub const RATE: u32 = 400;

/// The first seconds fill caches and plans, and are not counted.
const WARM_UP: Duration = Duration::from_secs(5);

/// How long the clients are alone.
const ALONE: Duration = Duration::from_secs(20);

/// Longer than any run: pgbench is told when it is over.
const LONGEST: &str = "86400";

const SCRIPT: &str = "\\set id random(1, :rows)\n\
    SELECT name FROM users WHERE id = :id;\n\
    UPDATE users SET name = 'Name ' || :id WHERE id = :id;\n";

/// What the clients met.
#[derive(Clone, Debug)]
pub struct Latency {
    /// 99 % of the transactions were faster, in milliseconds, while the clients were alone.
    pub before_ms: f64,
    /// The same while rows were filled.
    pub during_ms: f64,
    /// How many transactions that is made of.
    pub count: (usize, usize),
    /// Seconds of the fill.
    pub fill: f64,
    /// What the run of Crossfade showed.
    pub own: Own,
}

struct Transaction {
    /// When it was over, in seconds.
    ended: f64,
    /// How long it took from when it was due, in seconds.
    took: f64,
}

/// Measures it once, on a fresh table.
pub async fn measure(server: &Server, rows: u64, change: &Change) -> Result<Latency> {
    let client = server.fresh(rows).await?;
    let folder = tempfile::tempdir().map_err(could_not("make a folder"))?;
    let script = folder.path().join("clients.sql");
    fs::write(&script, SCRIPT).map_err(could_not("write the clients' script"))?;
    let mut pgbench = server.program("pgbench");
    pgbench.args(["-n", "-M", "prepared", "-j", "2", "-l", "-T", LONGEST, "-D", &format!("rows={rows}")]);
    pgbench.args(["-c", &CLIENTS.to_string(), "-R", &RATE.to_string()]).arg("-f").arg(&script);
    pgbench.arg(format!("--log-prefix={}", folder.path().join("log").display())).arg(DATABASE);
    let running = tokio::process::Command::from(pgbench).kill_on_drop(true).spawn();
    let running = running.map_err(could_not("start pgbench"))?;
    let process = running.id();

    tokio::time::sleep(WARM_UP).await;
    let alone_from = now();
    tokio::time::sleep(ALONE).await;
    let alone_to = now();
    let watch = Watch::start(server.client(DATABASE).await?);
    let ran = binary::migrate(&server.url(), change, "", &[]).await?;
    let seen = watch.stop().await?;
    let fill = binary::fill(&client).await?;
    end(process)?;
    let output = running.wait_with_output().await.map_err(could_not("wait for pgbench"))?;
    succeeded(&output, "pgbench")?;
    all_right(&client, change, "crossfade under load").await?;

    let transactions = read(folder.path())?;
    let (before_ms, before) = p99_ms(&transactions, alone_from, alone_to)?;
    let (during_ms, during) = p99_ms(&transactions, fill.began, fill.filled)?;
    let longest_chunk_ms = seen.longest_between(fill.began, fill.filled);
    let own = Own { step: fill.ended - fill.began, seen, longest_chunk_ms, peak_kb: ran.peak_kb };
    Ok(Latency { before_ms, during_ms, count: (before, during), fill: fill.filled - fill.began, own })
}

/// With SIGALRM pgbench believes that its time is over: it finishes, and writes its logs to the end.
fn end(process: Option<u32>) -> Result<()> {
    let process = process.and_then(|process| i32::try_from(process).ok());
    let process = process.ok_or_else(|| Error::failed("pgbench has ended before it was told to"))?;
    kill(Pid::from_raw(process), Signal::SIGALRM).map_err(could_not("end pgbench"))
}

/// Server and clients are on one machine, and have one clock.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The logs of all of pgbench's threads.
fn read(folder: &Path) -> Result<Vec<Transaction>> {
    let mut transactions = Vec::new();
    for entry in fs::read_dir(folder).map_err(could_not("read the folder of pgbench's logs"))? {
        let path = entry.map_err(could_not("read the folder of pgbench's logs"))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log")) {
            let text = fs::read_to_string(&path).map_err(could_not("read a log of pgbench"))?;
            for line in text.lines() {
                let read = transaction(line);
                let unread = || Error::failed(format!("can't read this line of pgbench's log: {line}"));
                transactions.push(read.ok_or_else(unread)?);
            }
        }
    }
    Ok(transactions)
}

/// A line is: client, number, microseconds that it took, script, when it ended in seconds, and the microseconds of that.
fn transaction(line: &str) -> Option<Transaction> {
    let fields: Vec<&str> = line.split(' ').collect();
    let number = |position: usize| fields.get(position).and_then(|field| field.parse::<f64>().ok());
    Some(Transaction { took: number(2)? / 1e6, ended: number(4)? + number(5)? / 1e6 })
}

/// Of those that were under way between two moments.
fn p99_ms(transactions: &[Transaction], from: f64, to: f64) -> Result<(f64, usize)> {
    let under_way = |one: &&Transaction| one.ended >= from && one.ended - one.took <= to;
    let mut took: Vec<f64> = transactions.iter().filter(under_way).map(|one| one.took * 1000.0).collect();
    took.sort_by(f64::total_cmp);
    let last = took.len().checked_sub(1).ok_or_else(|| Error::failed("no client of pgbench got an answer"))?;
    Ok((took[last * 99 / 100], took.len()))
}
