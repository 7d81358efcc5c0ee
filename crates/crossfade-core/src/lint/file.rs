//! One file as its statements go by: which tables are its own, what is held, which timeouts are set; and what is found.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::finding::BlockedFor;
use super::finding::Evidence;
use super::finding::LintFinding;
use super::rule::Rule;
use super::rule::Theme;
use super::rules;
use super::settings::LintSettings;
use super::world::Key;
use super::world::Time;
use super::world::World;
use crate::finding::Severity;
use crate::lock::LockMode;
use crate::sql::ObjectRef;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::act::Act;
use crate::sql::act::Body;
use crate::sql::act::Change;
use crate::sql::act::Deed;

/// Which rooms' rules look at a statement in a transaction that holds what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runner {
    /// Crossfade itself.
    Crossfade,
    /// Another tool, which runs files as they are written.
    Other,
}

/// A lock that the file holds until its transaction ends.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub table: Key,
    pub shown: String,
    pub mode: LockMode,
}

/// What is known of the file up to here.
#[derive(Debug, Default)]
pub(super) struct File {
    /// Tables that it makes.
    pub made: BTreeSet<Key>,
    /// Types that it makes, and whether that was in the present transaction.
    pub types_made: BTreeMap<Key, u32>,
    /// Enum values that it adds, by the transaction.
    pub values_added: Vec<(String, u32, Key)>,
    /// Constraints that it adds NOT VALID, by the transaction.
    pub not_valid: Vec<(Key, Option<String>, u32)>,
    /// Parents of the foreign keys that were added in this transaction.
    pub parents: Vec<Key>,
    /// Which transaction it is in, counted from the first.
    pub transaction: u32,
    /// Tables that the open transaction has made.
    pub made_here: Vec<Key>,
    /// Whether a table that is committed is in use.
    pub new_until_commit: bool,
    /// Whether statements share a transaction here.
    pub in_transaction: bool,
    /// Whether the file itself began it, and where.
    pub begun: Option<Span>,
    /// Locks that keep others out.
    pub held: Vec<Held>,
    /// Timeouts that are set to something: the name, and whether only for the transaction.
    pub timeouts: BTreeMap<String, bool>,
    /// Indexes that were dropped, and their columns.
    pub dropped_indexes: Vec<(Key, Vec<String>, String)>,
    /// Partitions that it detaches.
    pub detached: BTreeSet<Key>,
    /// Schemas that it makes.
    pub schemas_made: BTreeSet<String>,
    /// Whether it takes another file back.
    pub back: bool,
    /// Whether whoever runs the file puts a transaction around it.
    pub wrapped: bool,
    /// How many statements there are.
    pub statements: usize,
    /// Views that the file makes, as names.
    pub views_made: BTreeSet<Key>,
}

impl File {
    /// The file commits here.
    pub fn end_transaction(&mut self) {
        self.transaction += 1;
        self.held.clear();
        self.parents.clear();
        let made_here = std::mem::take(&mut self.made_here);
        if self.new_until_commit {
            self.made.retain(|table| !made_here.contains(table));
        }
        self.timeouts.retain(|_, local| !*local);
    }
}

/// What a check is given.
pub(super) struct Look<'a> {
    pub settings: &'a LintSettings,
    pub world: &'a World,
    /// The file's text.
    pub text: &'a str,
    pub file: &'a File,
    pub act: &'a Act,
    /// The major version of the server.
    pub major: u32,
    /// Its minor version, where it is known.
    pub minor: Option<u32>,
    /// All statements of the file.
    pub acts: &'a [Act],
    pub found: &'a mut Vec<LintFinding>,
}

/// What a check adds to a finding.
#[derive(Default)]
pub(super) struct More<'a> {
    pub table: Option<&'a ObjectRef>,
    pub safe: Option<Sql>,
}

impl<'a> Look<'a> {
    /// The type of a column, as this statement makes it or as it is known.
    pub fn own_type(&self, table: &ObjectRef, column: &str) -> Option<String> {
        let own = |columns: &[crate::sql::act::NewColumn]| {
            columns.iter().find(|own| own.name == column).map(|own| own.base_type.clone())
        };
        let added = match &self.act.deed {
            Deed::CreateTable(table) => own(&table.columns),
            Deed::Alter { changes, .. } => changes.iter().find_map(|change| match change {
                Change::AddColumn { column, .. } => own(std::slice::from_ref(&**column)),
                _ => None,
            }),
            _ => None,
        };
        let known = || self.world.column(table, column).map(|column| column.base_type.clone());
        added.or_else(known).filter(|name| !name.is_empty())
    }

    /// Whether nobody can use a table yet: this file makes it.
    pub fn is_new(&self, table: &ObjectRef) -> bool {
        self.file.made.contains(&Key::of(table))
    }

    /// The statement's own text; none in a body, where it may be cut out of a text.
    pub fn written(&self) -> Option<&'a str> {
        self.act.inside.is_none().then(|| self.act.span.of(self.text))
    }

    /// Who runs the file.
    pub fn runner(&self) -> Runner {
        if self.settings.as_written { Runner::Other } else { Runner::Crossfade }
    }

    /// Whether Crossfade does the statement's work in its own way where that harms nobody: not in a body, nor in a way back.
    pub fn is_phased_by_us(&self) -> bool {
        self.runner() == Runner::Crossfade && self.act.inside.is_none() && !self.file.back
    }

    /// Whether the server is at least of this major version.
    pub fn server(&self, version: u32) -> bool {
        self.major >= version
    }

    /// Whether so many use a table that a lock on it is felt at once.
    pub fn is_hot(&self, table: &ObjectRef) -> bool {
        let load = self.world.loads.get(&Key::of(table));
        self.settings.is_hot(table) || load.is_some_and(|load| load.uses() >= f64::from(self.settings.hot_rate))
    }

    /// Whether an index that is built CONCURRENTLY may lack rows here: PostgreSQL 14.0 to 14.3.
    pub fn corrupts_indexes(&self) -> bool {
        self.major == 14 && self.minor.is_some_and(|minor| minor < 4)
    }

    /// Whether the statement runs when the file is run: one in the body of a function does not.
    pub fn runs_now(&self) -> bool {
        self.act.inside != Some(Body::Function)
    }

    /// Reports a finding.
    pub fn find(&mut self, rule: &'static str, message: String, more: More<'_>) {
        let rule = rules::get(rule);
        self.report(rule, self.act.span, message, more);
    }

    /// Reports a finding at another place.
    pub fn report(&mut self, rule: &'static Rule, span: Span, message: String, more: More<'_>) {
        let Some(level) = self.settings.level(rule) else { return };
        let size = more.table.and_then(|table| self.world.sizes.get(&Key::of(table)));
        let said_big = more.table.is_some_and(|table| self.settings.is_big(table));
        let hot = more.table.is_some_and(|table| self.is_hot(table));
        let few = size.is_some_and(|size| size.rows <= self.settings.small_rows) && !said_big && !hot;
        let small = rule.cost.is_some() && (few || more.table.is_some_and(|table| self.settings.is_small(table)));
        let level = if small && rule.theme != Theme::Contract { Severity::Note } else { level };
        // What empties a table, or takes it away, does not read it.
        let lasting = rule.cost.filter(|_| rule.theme != Theme::Contract);
        let blocked_for = more.table.zip(size).zip(lasting).and_then(|((table, size), cost)| {
            let Time { time, measured } = self.world.time(table, *size, cost)?;
            Some(BlockedFor { table: table.to_string(), rows: size.rows, bytes: size.bytes, time, measured })
        });
        let effect = if self.runs_now() {
            rule.effect.to_owned()
        } else {
            ["when the function is called, ", rule.effect].concat()
        };
        self.found.push(LintFinding {
            rule: rule.name.to_owned(),
            level,
            evidence: if self.world.complete { Evidence::Catalog } else { Evidence::Text },
            span,
            message,
            effect,
            lock: rule.lock(),
            blocked_for,
            safe_sql: more.safe.map(|sql| sql.as_str().to_owned()),
            phased: None,
            allowed: None,
        });
    }
}
