//! What `hooks test` found.

use serde::Serialize;

/// What each hook did with a sample.
#[derive(Clone, Debug, Serialize)]
pub struct HooksReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// The hooks that were called, in the order of the file.
    pub hooks: Vec<HookReport>,
}

/// What one hook did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HookReport {
    /// What it is called.
    pub name: String,
    /// `command`, `webhook`, `slack` or `pagerduty`.
    pub kind: &'static str,
    /// When it is called.
    pub on: Vec<&'static str>,
    /// What the sample was of.
    pub event: &'static str,
    /// Whether a phase waits for its success.
    pub required: bool,
    /// How long it took, with all its tries.
    pub took_ms: u64,
    /// What came back, where it worked.
    pub answer: Option<String>,
    /// Why it did not.
    pub error: Option<String>,
}
