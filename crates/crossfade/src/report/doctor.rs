//! What `doctor` found.

use crossfade_core::finding::Severity;
use serde::Serialize;

/// What `doctor` found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// The database, without secrets.
    pub database: String,
    /// Everything that is wrong, worst first.
    pub complaints: Vec<Complaint>,
}

impl DoctorReport {
    /// Whether anything should be mended; a note is only worth knowing.
    pub fn is_ill(&self) -> bool {
        self.complaints.iter().any(|complaint| complaint.severity > Severity::Note)
    }
}

/// Something that is left over or waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Complaint {
    /// What kind it is, in kebab-case.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: kind and name.
    pub object: String,
    /// Why it is wrong.
    pub why: String,
    /// What mends it: statements and commands, each of them a way.
    pub mend: Vec<String>,
}
