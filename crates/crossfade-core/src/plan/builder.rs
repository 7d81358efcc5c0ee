//! Gathers what operations want done and puts it into the one order in which it is safe.
//!
//! Within a phase, one table's changes are one short transaction wherever they can be: no committed state has a trigger that
//! names a missing column (reference, D10).

mod chunks;
mod contract;
mod finish;
mod steps;
mod tables;

pub(crate) use self::chunks::can_be_swept;
pub(super) use self::chunks::count_units;
pub(super) use self::chunks::in_blocks;
pub(super) use self::chunks::line_pointers;
pub(super) use self::chunks::locate;
pub(super) use self::chunks::stripes;
pub(super) use self::chunks::sweep_units;
pub(super) use self::chunks::vacuum;

use super::PlanContext;
use super::sync::Group;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::operation::Operation;
use crate::sql::IndexDefinition;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::sql::UniqueKey;
use crate::step::Action;
use crate::step::Phase;
use crate::step::Preflight;

/// The place of a step within its phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Early,
    Fill,
    Body,
    Verify,
    Settle,
    Late,
}

struct Draft {
    phase: Phase,
    rank: Rank,
    summary: String,
    action: Action,
    undo: Option<Action>,
    locks: Vec<TableLock>,
    hazards: Vec<String>,
}

/// What stands around what is done to the single tables in one transaction of contract.
#[derive(Clone, Default)]
pub struct Around {
    /// In front of all else.
    pub first: Vec<Sql>,
    /// Behind all else.
    pub last: Vec<Sql>,
}

impl Around {
    fn join(&mut self, other: Around) {
        self.first.extend(other.first);
        self.last.extend(other.last);
    }

    fn is_empty(&self) -> bool {
        self.first.is_empty() && self.last.is_empty()
    }

    fn wrap(self, statements: Vec<Sql>) -> Vec<Sql> {
        self.first.into_iter().chain(statements).chain(self.last).collect()
    }
}

/// One transaction of contract.
struct Contract {
    tables: Vec<TableName>,
    says: Vec<String>,
    statements: Vec<Sql>,
    undo: Vec<Sql>,
    around: Around,
    around_undo: Around,
    views: Around,
    views_undo: Around,
    locks: Vec<TableLock>,
    /// Tables that it renames, with their new names: until then those of views of them.
    renames: Vec<(TableName, TableName)>,
    /// What only matters on the way back, in the order of the plan: the last is done first.
    way_back: Vec<(String, Action, Vec<TableLock>)>,
}

struct Sync {
    table: TableName,
    groups: Vec<Group>,
    /// Keys that two unique indexes guard while both forms live.
    twice_unique: Vec<UniqueKey>,
    /// Columns to add at expand, complete with their types.
    add: Vec<Sql>,
    /// What contract does to this table, and what takes it back.
    contract: Vec<Sql>,
    contract_undo: Vec<Sql>,
    contract_says: Vec<String>,
    /// What both do in front of and behind all that is done to tables in the same transaction.
    around: Around,
    around_undo: Around,
    /// What both do to views of the tables: in front of the locks, and behind all else.
    views: Around,
    views_undo: Around,
    purge: Vec<Sql>,
    purge_says: Vec<String>,
    /// What contract locks beside the table, and the tables that are contracted in the same transaction.
    contract_locks: Vec<TableLock>,
    contract_with: Vec<TableName>,
    /// The name that contract gives to the table; until then it is that of a view of it.
    contract_renames: Option<TableName>,
    way_back: Vec<(String, Action, Vec<TableLock>)>,
}

impl Sync {
    fn new(table: TableName) -> Sync {
        Sync {
            table,
            groups: Vec::new(),
            twice_unique: Vec::new(),
            add: Vec::new(),
            contract: Vec::new(),
            contract_undo: Vec::new(),
            contract_says: Vec::new(),
            around: Around::default(),
            around_undo: Around::default(),
            views: Around::default(),
            views_undo: Around::default(),
            purge: Vec::new(),
            purge_says: Vec::new(),
            contract_locks: Vec::new(),
            contract_with: Vec::new(),
            contract_renames: None,
            way_back: Vec::new(),
        }
    }
}

/// Statements, and the locks that are taken before them.
pub type Locked = (Vec<TableLock>, Vec<Sql>);

/// Collects steps.
pub struct StepsBuilder<'a> {
    pub(super) cx: PlanContext<'a>,
    /// The schema as the operations before the one in hand will leave it.
    now: Catalog,
    drafts: Vec<Draft>,
    syncs: Vec<Sync>,
    contracts: Vec<Contract>,
    preflight: Vec<Preflight>,
    findings: Vec<Finding>,
    /// Statements as written whose way back is not known, and their phase.
    pub(super) without_undo: Vec<(Phase, crate::sql::Span)>,
    /// Where the last statement that goes through a table in chunks stands: what is written behind it comes behind it.
    pub(super) behind_rows: Option<Phase>,
    /// Whether the next statement as written begins a transaction of its own.
    committed: bool,
    keeps_made_rows: bool,
    /// Tables that keep which rows were made, dropped when there is no way back any more.
    made_rows: Vec<Sql>,
}

impl<'a> StepsBuilder<'a> {
    /// An empty plan.
    pub fn new(cx: PlanContext<'a>) -> StepsBuilder<'a> {
        StepsBuilder {
            now: cx.catalog.clone(),
            cx,
            drafts: Vec::new(),
            syncs: Vec::new(),
            contracts: Vec::new(),
            preflight: Vec::new(),
            findings: Vec::new(),
            without_undo: Vec::new(),
            behind_rows: None,
            committed: false,
            keeps_made_rows: false,
            made_rows: Vec::new(),
        }
    }

    /// The same, for a file that can be rolled back: which rows its INSERTs make is kept for that.
    pub fn keeping_made_rows(self) -> StepsBuilder<'a> {
        StepsBuilder { keeps_made_rows: true, ..self }
    }

    /// Whether it is kept which rows an INSERT as written makes.
    pub fn keeps_made_rows(&self) -> bool {
        self.keeps_made_rows
    }

    /// What drops a table that keeps them.
    pub fn forget_made_rows(&mut self, forget: Sql) {
        self.made_rows.push(forget);
    }

    /// Lowers the next operation of the file.
    pub fn lower(&mut self, operation: &dyn Operation) {
        let cx = self.cx;
        operation.lower(&cx, self);
        operation.project(&mut self.now);
    }

    /// The schema as the operations before the one in hand will leave it: where the server would choose its names.
    pub fn now(&self) -> &Catalog {
        &self.now
    }

    /// A query that the server must accept before the plan is recorded.
    pub fn preflight(&mut self, preflight: Preflight) {
        self.preflight.push(preflight);
    }

    /// A warning.
    pub fn finding(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Keeps these columns of a table equal.
    pub fn sync(&mut self, table: &TableName, group: Group) {
        self.sync_of(table).groups.push(group);
    }

    /// The key of an index of a table that has a second one beside it while both forms live.
    pub fn twice_unique(&mut self, table: &TableName, index: &IndexDefinition) {
        let sync = self.sync_of(table);
        sync.twice_unique.extend(index.unique_key().filter(|key| !sync.twice_unique.contains(key)));
    }

    /// A column to add in the transaction that installs the sync.
    pub fn add_column(&mut self, table: &TableName, add: Sql) {
        self.sync_of(table).add.push(add);
    }

    /// What contract does to a table, and what takes it back, in the one transaction of the table's contract.
    pub fn contract(&mut self, table: &TableName, says: String, statements: Vec<Sql>, undo: Vec<Sql>) {
        let sync = self.sync_of(table);
        sync.contract.extend(statements);
        let mut undo = undo;
        undo.append(&mut sync.contract_undo);
        sync.contract_undo = undo;
        sync.contract_says.push(says);
    }

    /// What purge does to a table.
    pub fn purge(&mut self, table: &TableName, says: String, statements: Vec<Sql>) {
        let sync = self.sync_of(table);
        sync.purge.extend(statements);
        sync.purge_says.push(says);
    }

    fn sync_of(&mut self, table: &TableName) -> &mut Sync {
        let at = self.syncs.iter().position(|sync| sync.table == *table).unwrap_or_else(|| {
            self.syncs.push(Sync::new(table.clone()));
            self.syncs.len() - 1
        });
        &mut self.syncs[at]
    }

    #[expect(clippy::too_many_arguments, reason = "they are the fields of a step, each once")]
    pub(super) fn push(
        &mut self,
        phase: Phase,
        rank: Rank,
        summary: String,
        action: Action,
        undo: Option<Action>,
        locks: Vec<TableLock>,
        hazards: Vec<String>,
    ) {
        self.drafts.push(Draft { phase, rank, summary, action, undo, locks, hazards });
    }

    pub(super) fn tree_locks(&self, table: &Table, mode: LockMode) -> Vec<TableLock> {
        self.cx.catalog.tree(table).into_iter().map(|relation| TableLock::new(relation.name.clone(), mode)).collect()
    }

    fn all_tree_locks(&self, tables: &[TableName], mode: LockMode) -> Vec<TableLock> {
        let found = tables.iter().filter_map(|name| self.cx.catalog.table(name));
        let mut locks: Vec<TableLock> = found.flat_map(|table| self.tree_locks(table, mode)).collect();
        locks.sort();
        locks.dedup();
        locks
    }
}

pub(super) fn add_lock(locks: &mut Vec<TableLock>, lock: TableLock) {
    match locks.iter_mut().find(|known| known.table == lock.table) {
        Some(known) if known.mode.covers(lock.mode) => {}
        Some(known) if lock.mode.covers(known.mode) => known.mode = lock.mode,
        Some(known) => known.mode = LockMode::ShareRowExclusive,
        None => {
            locks.push(lock);
            locks.sort();
        }
    }
}
