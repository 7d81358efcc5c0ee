//! What `verify` found.

use serde::Serialize;

/// What `verify` found.
#[derive(Clone, Debug, Serialize)]
pub struct VerifyReport {
    /// [`REPORT_FORMAT`](super::REPORT_FORMAT).
    pub format: u32,
    /// One for each table that was compared.
    pub tables: Vec<VerifyTable>,
}

/// One table of a [`VerifyReport`].
#[derive(Clone, Debug, Serialize)]
pub struct VerifyTable {
    /// The migration's version.
    pub version: String,
    /// The table.
    pub table: String,
    /// Rows compared.
    pub rows: u64,
    /// Rows in which old and new form differ.
    pub differing: u64,
    /// The keys of the first few of them.
    pub keys: Vec<String>,
}
