//! What a team has decided about rules.

use std::collections::BTreeMap;

use super::rule::Rule;
use crate::finding::Severity;
use crate::schema::matches;
use crate::sql::ObjectRef;

/// What a team has decided, and what is known of the server without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LintSettings {
    /// Levels by the rule's name; none is off.
    pub levels: BTreeMap<String, Option<Severity>>,
    /// The major version of the server.
    pub server_version: u32,
    /// Its minor version, where it is said.
    pub server_minor: Option<u32>,
    /// Tables that are big, whatever the statistics say: patterns of names.
    pub big_tables: Vec<String>,
    /// Tables that are small: a lock on one is a note.
    pub small_tables: Vec<String>,
    /// Tables that are used all the time, whatever the statistics say.
    pub hot_tables: Vec<String>,
    /// A table that is scanned and written to so many times a second is hot, where that is known.
    pub hot_rate: u32,
    /// A table of at most this many rows is small, where its size is known.
    pub small_rows: u64,
    /// Files that are passed over: patterns of their paths or names.
    pub ignore: Vec<String>,
    /// Whether a table that the file has made is in use as soon as that is committed; else not before the next file.
    pub new_until_commit: bool,
    /// Whether another tool than Crossfade runs the files, as they are written.
    pub as_written: bool,
    /// Whether that tool puts a transaction around each file.
    pub in_transaction: bool,
}

impl Default for LintSettings {
    fn default() -> LintSettings {
        LintSettings {
            levels: BTreeMap::new(),
            server_version: 13,
            server_minor: None,
            big_tables: Vec::new(),
            small_tables: Vec::new(),
            hot_tables: Vec::new(),
            hot_rate: 100,
            small_rows: 10_000,
            ignore: Vec::new(),
            new_until_commit: false,
            as_written: false,
            in_transaction: true,
        }
    }
}

impl LintSettings {
    /// How bad a rule is here; none is off.
    pub fn level(&self, rule: &Rule) -> Option<Severity> {
        self.levels.get(rule.name).copied().unwrap_or(rule.level)
    }

    /// Whether a file is passed over.
    pub fn ignores(&self, path: &str) -> bool {
        let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
        self.ignore.iter().any(|pattern| matches(pattern, path) || matches(pattern, name))
    }

    /// Whether a table is said to be big.
    pub fn is_big(&self, table: &ObjectRef) -> bool {
        matches_any(&self.big_tables, table)
    }

    /// Whether a table is said to be used all the time.
    pub fn is_hot(&self, table: &ObjectRef) -> bool {
        matches_any(&self.hot_tables, table)
    }

    /// Whether a table is said to be small.
    pub fn is_small(&self, table: &ObjectRef) -> bool {
        !self.is_big(table) && matches_any(&self.small_tables, table)
    }
}

fn matches_any(patterns: &[String], table: &ObjectRef) -> bool {
    let full = table.to_string();
    patterns.iter().any(|pattern| matches(pattern, &full) || matches(pattern, &table.name))
}
