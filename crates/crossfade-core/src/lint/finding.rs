//! What a rule found, with its place, its reason and what to do instead.

use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;

use crate::finding::Severity;
use crate::lock::LockMode;
use crate::sql::Span;

/// How it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// From the text of the files alone.
    #[default]
    Text,
    /// From the catalog of a database: sizes, types, constraints, what hangs on what.
    Catalog,
    /// A scratch server has done it, and said which locks, rewrites and scans it took.
    Trace,
}

impl Evidence {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Text => "text",
            Evidence::Catalog => "catalog",
            Evidence::Trace => "trace",
        }
    }
}

/// How long others would be blocked, by the size of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedFor {
    /// The table.
    pub table: String,
    /// Its rows, as the statistics have it.
    pub rows: u64,
    /// Bytes of its heap.
    pub bytes: u64,
    /// The estimate.
    #[serde(rename = "milliseconds", with = "milliseconds")]
    pub time: Duration,
    /// The earlier runs that it is taken from; none: a cautious guess by the size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<String>,
}

mod milliseconds {
    use std::time::Duration;

    use serde::Deserialize as _;

    pub fn serialize<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// What a rule found at a place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintFinding {
    /// The rule's stable name, in kebab-case.
    pub rule: String,
    /// How bad it is.
    pub level: Severity,
    /// How it is known.
    pub evidence: Evidence,
    /// Where it stands, as bytes of the file's text.
    pub span: Span,
    /// What the statement does.
    pub message: String,
    /// Why that is bad: who is blocked, or what breaks.
    pub effect: String,
    /// The strongest lock that it takes on a table that is in use, where that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockMode>,
    /// For how long others are blocked; only where the size of the table is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_for: Option<BlockedFor>,
    /// SQL that does the same without the harm, to paste.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_sql: Option<String>,
    /// `runs phased: …`: Crossfade does not run the statement as it is written, but in this way. Then it is no error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phased: Option<String>,
    /// The reason that a comment gives for allowing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
}

/// What was found in a file, in the order of its places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintFindings {
    /// What is wrong.
    pub found: Vec<LintFinding>,
    /// What would be, but for a comment that allows it.
    pub allowed: Vec<LintFinding>,
}
