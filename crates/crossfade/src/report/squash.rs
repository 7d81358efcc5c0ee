//! What `squash` has done.

use serde::Serialize;

use super::RenamedFile;

/// One file in the place of many.
#[derive(Clone, Debug, Serialize)]
pub struct SquashReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// The new file.
    pub file: String,
    /// The versions of the files that it replaces, in order.
    pub replaces: Vec<String>,
    /// Where those are now.
    pub moved: Vec<RenamedFile>,
    /// Where both were run, to compare what they make.
    pub scratch: String,
    /// How many objects were compared.
    pub objects: usize,
    /// What else a reader should know.
    pub notes: Vec<String>,
}
