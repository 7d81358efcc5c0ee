//! From plain data to text. Nothing here reads, writes or asks for the time.

pub mod adopt;
pub mod baseline;
pub mod check;
pub mod doctor;
pub mod drift;
pub mod error;
pub mod findings;
pub mod goto;
pub mod history;
pub mod hooks;
pub mod human;
pub mod lint;
mod markdown;
mod paint;
pub mod plan;
pub mod progress;
pub mod rehearsal;
pub mod renumber;
pub mod repair;
pub mod review;
pub mod run;
pub mod runbook;
pub mod script;
pub mod squash;
pub mod status;
pub mod targets;
pub mod tested;
#[cfg(test)]
pub mod tests;
pub mod throttle;
pub mod usage;
pub mod verify;
pub mod wait;

use std::path::Path;
use std::path::PathBuf;

pub use self::paint::Paint;

/// A file that findings point into.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A path as people would write it.
fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// Every line of a text behind a label.
pub fn labelled(text: &str, label: &str) -> String {
    text.lines().map(|line| format!("{label}{line}\n")).collect()
}

/// Every line of a text behind this indent.
fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{indent}{line}\n") }).collect()
}
