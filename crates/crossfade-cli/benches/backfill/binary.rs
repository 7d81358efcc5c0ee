//! A run of the release binary: how long it took, how much memory it had, and what its journal says of the fill.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use crossfade::Result;
use tokio::process::Command;
use tokio_postgres::Client;

use crate::change::Change;
use crate::could_not;
use crate::server::field;
use crate::server::kilobytes;
use crate::server::succeeded;

/// A file of /proc costs nothing to read; elsewhere a program is started for each look.
const EVERY: Duration = if cfg!(target_os = "linux") { Duration::from_millis(10) } else { Duration::from_millis(200) };

/// When the first step that fills began, when its last chunk was done, when the whole step was, in seconds of the server's clock. The rest of the
/// step is ANALYZE and VACUUM.
const FILL: &str = "SELECT extract(epoch FROM began.at)::float8, extract(epoch FROM filled.at)::float8, extract(epoch FROM ended.at)::float8 \
    FROM (SELECT p.id, (step->>'id')::int AS step FROM crossfade.plans AS p, json_array_elements(p.plan->'steps') AS step \
        WHERE step->'action'->>'kind' = 'backfill') AS fill \
    JOIN crossfade.events AS began ON began.plan_id = fill.id AND began.event @> jsonb_build_object('event', 'step_started', 'step', fill.step) \
    JOIN crossfade.events AS ended ON ended.plan_id = fill.id AND ended.event @> jsonb_build_object('event', 'step_succeeded', 'step', fill.step) \
    JOIN LATERAL (SELECT max(updated_at) AS at FROM crossfade.cursors WHERE plan_id = fill.id AND step = fill.step) AS filled ON true";

/// A run that is through.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// From the start of the process to its end.
    pub took: Duration,
    /// The most memory that it held, in kilobytes.
    pub peak_kb: u64,
}

/// The step that fills, in seconds of the server's clock.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// When it began.
    pub began: f64,
    /// When the last chunk was committed.
    pub filled: f64,
    /// When statistics were taken and dead rows cleared, too.
    pub ended: f64,
}

/// `crossfade migrate` with the change's file and these lines of crossfade.toml.
pub async fn migrate(url: &str, change: &Change, toml: &str, arguments: &[String]) -> Result<Ran> {
    let folder = tempfile::tempdir().map_err(could_not("make a folder"))?;
    write(&folder.path().join("crossfade.toml"), toml)?;
    fs::create_dir(folder.path().join("migrations")).map_err(could_not("make a folder for the migration"))?;
    write(&folder.path().join("migrations/001_fill.sql"), &change.migration())?;

    let begun = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg("migrate").args(arguments).current_dir(folder.path()).env("DATABASE_URL", url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn().map_err(could_not("start crossfade"))?;
    let process = child.id();
    let mut ended = std::pin::pin!(child.wait_with_output());
    let mut peak_kb = 0;
    let output = loop {
        tokio::select! {
            output = &mut ended => break output.map_err(could_not("wait for crossfade"))?,
            () = tokio::time::sleep(EVERY) => {
                peak_kb = peak_kb.max(process.and_then(held_kb).unwrap_or_default());
            }
        }
    };
    let took = begun.elapsed();
    succeeded(&output, "crossfade migrate")?;
    Ok(Ran { took, peak_kb })
}

/// What the journal of a run says of its fill.
pub async fn fill(client: &Client) -> Result<Fill> {
    let row = client.query_one(FILL, &[]).await;
    let read = row.and_then(|row| Ok(Fill { began: row.try_get(0)?, filled: row.try_get(1)?, ended: row.try_get(2)? }));
    read.map_err(could_not("read the journal of the run"))
}

/// The kernel remembers the most that a process has held. Where it does not tell, what it holds now has to do.
fn held_kb(process: u32) -> Option<u64> {
    if cfg!(target_os = "linux") {
        let file = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        return kilobytes(&field(&file, "VmHWM")?);
    }
    let output = std::process::Command::new("ps").args(["-o", "rss=", "-p", &process.to_string()]).output().ok()?;
    kilobytes(&String::from_utf8_lossy(&output.stdout))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(could_not(format!("write {}", path.display())))
}
