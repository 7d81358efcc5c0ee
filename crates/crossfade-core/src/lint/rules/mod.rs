//! The table of rules: one room a theme, each rule as data with what its page says.
//!
//! A rule's name is never used for another; one that is no longer wanted stays known, and finds nothing.

mod columns;
mod constraints;
mod contract;
mod design;
mod enums;
mod files;
mod indexes;
mod maintenance;
mod partitions;
mod rows;
mod surroundings;
mod transactions;
mod types;

use std::sync::LazyLock;

use super::rule::Cost;
use super::rule::Rule;
use super::rule::Theme;
use crate::finding::Severity;
use crate::lock::LockMode;

/// First and last major version of PostgreSQL on which the rules are proven.
pub const SERVERS: (u32, u32) = (13, 18);

/// What most rules begin with. A room's rules say what differs.
const PLAIN: Rule = Rule {
    name: "",
    theme: Theme::Files,
    level: Some(Severity::Warning),
    title: "",
    effect: "",
    cost: None,
    setup: "",
    bad: "",
    good: "",
    exceptions: "",
    servers: SERVERS,
    source: "",
};

/// Measured on all servers: reference and trace.
const MEASURED: &str = "measured on PostgreSQL 13 to 18; the trace of this page's example repeats it";

/// Effects that many rules share.
const REWRITTEN: &str =
    "the table and all its indexes are written anew; nobody can read it or write to it until that is done";
const SCANNED: &str = "the whole table is read while nobody can read it or write to it";
const BUILT: &str = "the index is built while nobody can read the table or write to it";
const WAITED: &str = "the lock is short, but while it is waited for nobody can read the table or write to it";

static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let rooms: [&'static [Rule]; 13] = [
        columns::RULES,
        constraints::RULES,
        indexes::RULES,
        types::RULES,
        contract::RULES,
        maintenance::RULES,
        surroundings::RULES,
        partitions::RULES,
        enums::RULES,
        transactions::RULES,
        rows::RULES,
        design::RULES,
        files::RULES,
    ];
    rooms.into_iter().flatten().collect()
});

/// Every rule, by theme.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().copied()
}

/// The rule of this name.
pub fn by_name(name: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.name == name)
}

/// A rule that the checks name.
pub(super) fn get(name: &'static str) -> &'static Rule {
    by_name(name).expect("the checks name rules of the table, which a test sees to")
}
