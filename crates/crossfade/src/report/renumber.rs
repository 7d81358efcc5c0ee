//! The document of `renumber`.

use std::path::PathBuf;

use serde::Serialize;

/// What `renumber` has done, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct RenumberReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// Whether nothing was renamed.
    pub dry_run: bool,
    /// The migrations that get another version, in order.
    pub migrations: Vec<RenumberedMigration>,
    /// What else there is to know, one line each.
    pub notices: Vec<String>,
}

/// One migration of a [`RenumberReport`].
#[derive(Clone, Debug, Serialize)]
pub struct RenumberedMigration {
    /// The version that it had.
    pub version: String,
    /// Its name.
    pub name: String,
    /// The version that it gets.
    pub new_version: String,
    /// Its files.
    pub files: Vec<RenamedFile>,
}

/// A file that is renamed.
#[derive(Clone, Debug, Serialize)]
pub struct RenamedFile {
    /// What it was called.
    pub from: PathBuf,
    /// What it is called now.
    pub to: PathBuf,
}
