//! What `wait` has waited for.

use serde::Serialize;

/// What is there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets. It answers.
    pub database: String,
    /// The version that was asked for, and is there.
    pub version: Option<String>,
    /// The newest version that is there, where it is beyond the one asked for.
    pub ahead_at: Option<String>,
    /// How long it took, in milliseconds.
    pub waited_ms: u64,
}
