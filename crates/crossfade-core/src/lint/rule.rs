//! What a rule is: its page, as data.

use crate::finding::Severity;
use crate::lock::LockMode;

/// What rules are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Theme {
    /// New columns.
    Columns,
    /// Constraints.
    Constraints,
    /// Indexes.
    Indexes,
    /// Types, defaults and storage of columns.
    Types,
    /// Renames and drops: what running code relies on.
    Contract,
    /// Rewrites, maintenance, materialized views, explicit locks.
    Maintenance,
    /// Triggers, rules, row security, rights, replication.
    Surroundings,
    /// Partitions.
    Partitions,
    /// Enums and domains.
    Enums,
    /// Transactions, timeouts, how long locks are held.
    Transactions,
    /// Rows that a migration changes.
    Rows,
    /// Design, which is asked for.
    Design,
    /// The file itself: what can't be read, and comments that speak to the rules.
    Files,
}

impl Theme {
    /// All, in the order of the index.
    pub const ALL: [Theme; 13] = [
        Theme::Columns,
        Theme::Constraints,
        Theme::Indexes,
        Theme::Types,
        Theme::Contract,
        Theme::Maintenance,
        Theme::Surroundings,
        Theme::Partitions,
        Theme::Enums,
        Theme::Transactions,
        Theme::Rows,
        Theme::Design,
        Theme::Files,
    ];

    /// As the index heads it.
    pub fn title(self) -> &'static str {
        match self {
            Theme::Columns => "New columns",
            Theme::Constraints => "Constraints",
            Theme::Indexes => "Indexes",
            Theme::Types => "Types, defaults and storage",
            Theme::Contract => "Renames and drops",
            Theme::Maintenance => "Rewrites, maintenance, explicit locks",
            Theme::Surroundings => "Triggers, row security, replication",
            Theme::Partitions => "Partitions",
            Theme::Enums => "Enums and domains",
            Theme::Transactions => "Transactions and timeouts",
            Theme::Rows => "Rows",
            Theme::Design => "Design (off until it is asked for)",
            Theme::Files => "The file itself",
        }
    }
}

/// What a statement costs on a table that is in use. Proven on every server by the trace of the rule's bad case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The table of the bad case that is locked.
    pub table: &'static str,
    /// The strongest lock on it.
    pub lock: LockMode,
    /// Whether the table is written anew.
    pub rewrite: bool,
    /// Whether the table is read as a whole.
    pub scan: bool,
    /// Whether an index is built.
    pub build: bool,
}

impl Cost {
    /// A lock that is short by itself.
    pub const fn lock(table: &'static str, lock: LockMode) -> Cost {
        Cost { table, lock, rewrite: false, scan: false, build: false }
    }

    /// A lock as long as the table is read.
    pub const fn scan(table: &'static str, lock: LockMode) -> Cost {
        Cost { table, lock, rewrite: false, scan: true, build: false }
    }

    /// A lock as long as an index is built.
    pub const fn build(table: &'static str, lock: LockMode) -> Cost {
        Cost { table, lock, rewrite: false, scan: true, build: true }
    }

    /// A lock as long as the table's files are copied as they are.
    pub const fn copy(table: &'static str, lock: LockMode) -> Cost {
        Cost { table, lock, rewrite: true, scan: false, build: false }
    }

    /// A lock as long as the table is written anew.
    pub const fn rewrite(table: &'static str, lock: LockMode) -> Cost {
        Cost { table, lock, rewrite: true, scan: true, build: false }
    }
}

/// A rule, with what its page says.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its stable name, in kebab-case.
    pub name: &'static str,
    /// What it is about.
    pub theme: Theme,
    /// How bad it is, unless crossfade.toml says otherwise. None: off until it is asked for.
    pub level: Option<Severity>,
    /// What it finds, in one line.
    pub title: &'static str,
    /// Who is blocked or what breaks.
    pub effect: &'static str,
    /// What it costs, where that is why.
    pub cost: Option<Cost>,
    /// The schema before the examples.
    pub setup: &'static str,
    /// What it finds.
    pub bad: &'static str,
    /// What to write instead.
    pub good: &'static str,
    /// When it is no harm, and what differs between server versions.
    pub exceptions: &'static str,
    /// Major versions on which the bad case can be run: the first, and the last.
    pub servers: (u32, u32),
    /// Where that is known from.
    pub source: &'static str,
}

impl Rule {
    /// Whether it is about how a statement is run, and so nothing to say of one that is run in another way.
    pub(super) fn is_about_running(&self) -> bool {
        let also = [
            "add-column-not-null-no-default",
            "alter-type-blocked",
            "concurrent-index-if-not-exists",
            "concurrent-index-unnamed",
            "concurrently-on-partitioned",
            "drop-constraint-index",
            "enum-value-used-at-once",
            "foreign-key-not-valid-partitioned",
            "not-in-transaction",
        ];
        self.cost.is_some() || self.theme == Theme::Contract || also.contains(&self.name)
    }

    /// What it costs of locks, or nothing.
    pub fn lock(&self) -> Option<LockMode> {
        self.cost.map(|cost| cost.lock)
    }
}
