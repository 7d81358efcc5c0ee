//! The lines that are shown while steps run.

use std::time::Duration;

use super::Paint;
use super::human;

/// A migration begins, or goes on.
pub fn started(version: &str, name: &str, done: usize, steps: usize, backward: bool, paint: Paint) -> String {
    let title = paint.bold(&format!("{version} {name}"));
    let way = match (backward, done) {
        (true, _) => ": undoing".to_owned(),
        (false, 0) => String::new(),
        (false, done) => format!(": goes on after step {done} of {steps}"),
    };
    format!("{title}{way}")
}

/// A step is done.
pub fn finished(number: usize, of: usize, summary: &str, took: Duration, paint: Paint) -> String {
    format!("  {} {number}/{of} {summary} {}", paint.green("✓"), paint.dim(&format!("({})", human::duration(took))))
}

/// How far a chunked step is, on a line of its own.
pub fn moved(number: usize, of: usize, text: &str) -> String {
    format!("    {number}/{of} {text}")
}

/// Somebody is in the way.
pub fn blocked(summary: &str, attempt: u32, blockers: &[String], paint: Paint) -> String {
    let mut out = format!("  {} {summary} waits for a lock (try {attempt})\n", paint.yellow("!"));
    for blocker in blockers {
        out.push_str(&super::indented(blocker, "      "));
    }
    out
}

/// Another runner has the lease.
pub fn lease_held(holder: &str, paint: Paint) -> String {
    format!("{} another runner is at work, and we wait for it: {holder}", paint.yellow("!"))
}

/// The work waits.
pub fn paused(reason: &str, others: &[String], paint: Paint) -> String {
    let mut out = format!("  {} waits: {reason}\n", paint.yellow("‖"));
    for other in others {
        out.push_str(&super::indented(&format!("and: {other}"), "      "));
    }
    out
}

/// The work goes on.
pub fn resumed(after: Duration, reason: &str, paint: Paint) -> String {
    format!("  {} goes on after {} ({reason})", paint.green("▸"), human::duration(after))
}

/// Something passing went wrong.
pub fn retrying(reason: &str, paint: Paint) -> String {
    format!("  {} tries again: {reason}", paint.yellow("!"))
}
