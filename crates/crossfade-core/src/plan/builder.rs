//! Gathers what operations want done and puts it into the one order in which it is safe.
//!
//! Within a phase, one table's changes are one short transaction wherever they can be: no committed state has a trigger that
//! names a missing column (reference, D10).

use super::PlanContext;
use super::sync;
use super::sync::Group;
use super::sync::Mode;
use super::sync::Names;
use super::sync::Shape;
use super::sync::Until;
use crate::catalog::Catalog;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::operation::Operation;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Backfill;
use crate::step::BackfillUnit;
use crate::step::ChunkBounds;
use crate::step::Concurrently;
use crate::step::Ddl;
use crate::step::Hold;
use crate::step::Outcome;
use crate::step::Phase;
use crate::step::Preflight;
use crate::step::Statement;
use crate::step::Step;
use crate::step::StepId;
use crate::step::Tidy;
use crate::step::Validate;
use crate::step::Verify;
use crate::step::VerifyUnit;

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
    locks: Vec<TableLock>,
    /// What only matters on the way back, in the order of the plan: the last is done first.
    way_back: Vec<(String, Action, Vec<TableLock>)>,
}

struct Sync {
    table: TableName,
    groups: Vec<Group>,
    /// Columns to add at expand, complete with their types.
    add: Vec<Sql>,
    /// What contract does to this table, and what takes it back.
    contract: Vec<Sql>,
    contract_undo: Vec<Sql>,
    contract_says: Vec<String>,
    /// What both do in front of and behind all that is done to tables in the same transaction.
    around: Around,
    around_undo: Around,
    purge: Vec<Sql>,
    purge_says: Vec<String>,
    /// What contract locks beside the table, and the tables that are contracted in the same transaction.
    contract_locks: Vec<TableLock>,
    contract_with: Vec<TableName>,
    way_back: Vec<(String, Action, Vec<TableLock>)>,
}

impl Sync {
    fn new(table: TableName) -> Sync {
        Sync {
            table,
            groups: Vec::new(),
            add: Vec::new(),
            contract: Vec::new(),
            contract_undo: Vec::new(),
            contract_says: Vec::new(),
            around: Around::default(),
            around_undo: Around::default(),
            purge: Vec::new(),
            purge_says: Vec::new(),
            contract_locks: Vec::new(),
            contract_with: Vec::new(),
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
        }
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

    /// A statement of the user's, as it is written. Neighbours of one phase share one transaction.
    pub fn as_written(
        &mut self,
        phase: Phase,
        summary: String,
        statement: Statement,
        undo: Option<(Sql, Vec<TableLock>)>,
        locks: Vec<TableLock>,
        hazards: Vec<String>,
    ) {
        // What the way back locks is declared with the step, and looked for before it is asked for.
        let declare = |declared: &mut Vec<TableLock>, undo: &Option<(Sql, Vec<TableLock>)>| {
            for lock in undo.iter().flat_map(|(_, locks)| locks) {
                add_lock(declared, lock.clone());
            }
        };
        let phase = self.behind_rows.map_or(phase, |behind| behind.max(phase));
        if let (None, Some(at)) = (&undo, statement.at) {
            self.without_undo.push((phase, at));
        }
        let rank = as_written_rank(phase);
        let joins = !std::mem::take(&mut self.committed) && !self.cx.migration.no_transaction;
        if let Some(Draft {
            phase: last_phase,
            rank: Rank::Body | Rank::Settle,
            action: Action::Ddl(ddl),
            undo: last_undo,
            locks: last_locks,
            hazards: last_hazards,
            summary: last_summary,
            ..
        }) = self.drafts.last_mut()
            && ddl.as_written
            && *last_phase == phase
            && joins
        {
            ddl.statements.push(statement);
            for lock in locks {
                add_lock(&mut ddl.lock_first, lock.clone());
                add_lock(last_locks, lock);
            }
            last_hazards.extend(hazards);
            if !last_summary.ends_with(" …") {
                last_summary.push_str(" …");
            }
            declare(last_locks, &undo);
            match (last_undo, undo) {
                (Some(Action::Ddl(all)), Some((undo, locks))) => {
                    all.statements.insert(0, undo.into());
                    locks.into_iter().for_each(|lock| add_lock(&mut all.lock_first, lock));
                }
                (slot, _) => *slot = None,
            }
            return;
        }
        let ddl = Ddl { lock_first: locks.clone(), statements: vec![statement], as_written: true };
        let mut declared = locks;
        declare(&mut declared, &undo);
        let undo = undo
            .map(|(undo, lock_first)| Action::Ddl(Ddl { lock_first, statements: vec![undo.into()], as_written: true }));
        self.push(phase, rank, summary, Action::Ddl(ddl), undo, declared, hazards);
    }

    /// What was written up to here is committed before what follows runs.
    pub fn commit(&mut self) {
        self.committed = true;
    }

    /// A statement of the user's that can't run in a transaction.
    pub fn outside(&mut self, phase: Phase, summary: String, run: Concurrently, locks: Vec<TableLock>) {
        let action = Action::Concurrently(run);
        self.push(phase, as_written_rank(phase), summary, action, None, locks, Vec::new());
    }

    /// Statements of ours on one table, in a transaction of their own.
    pub fn ddl(
        &mut self,
        phase: Phase,
        table: &Table,
        mode: LockMode,
        summary: String,
        statements: Vec<Sql>,
        undo: Vec<Sql>,
    ) {
        self.ddl_on(phase, std::slice::from_ref(&table.name), mode, summary, statements, undo);
    }

    /// Statements of ours on several tables, in a transaction of their own.
    pub fn ddl_on(
        &mut self,
        phase: Phase,
        tables: &[TableName],
        mode: LockMode,
        summary: String,
        statements: Vec<Sql>,
        undo: Vec<Sql>,
    ) {
        let make = |mode: LockMode, statements: Vec<Sql>| {
            let statements = statements.into_iter().map(Statement::from).collect();
            let lock_first = tables.iter().map(|table| TableLock::new(table.clone(), mode)).collect();
            Action::Ddl(Ddl { lock_first, statements, as_written: false })
        };
        // Taking back needs the strongest lock, whatever going there needs: DROP TRIGGER takes it, CREATE TRIGGER does not.
        let (strongest, undo) = if undo.is_empty() {
            (mode, None)
        } else {
            (LockMode::AccessExclusive, Some(make(LockMode::AccessExclusive, undo)))
        };
        let all = self.all_tree_locks(tables, strongest);
        self.push(phase, Rank::Body, summary, make(mode, statements), undo, all, Vec::new());
    }

    /// Statements of ours in a transaction of their own, with the locks that they take and no others; and what takes them back, with its locks.
    pub fn locked(
        &mut self,
        phase: Phase,
        summary: String,
        locks: Vec<TableLock>,
        statements: Vec<Sql>,
        undo: Option<(Vec<TableLock>, Vec<Sql>)>,
    ) {
        let make = |lock_first: Vec<TableLock>, statements: Vec<Sql>| {
            let statements = statements.into_iter().map(Statement::from).collect();
            Action::Ddl(Ddl { lock_first, statements, as_written: false })
        };
        let mut declared = Vec::new();
        for lock in locks.iter().chain(undo.iter().flat_map(|(locks, _)| locks)) {
            add_lock(&mut declared, TableLock::new(lock.table.clone(), lock.mode));
        }
        let undo = undo.map(|(locks, statements)| make(locks, statements));
        self.push(phase, Rank::Body, summary, make(locks, statements), undo, declared, Vec::new());
    }

    /// A step that does nothing forward, and this on the way back, in front of what the steps before it undo.
    pub fn undo_only(&mut self, phase: Phase, summary: String, undo: Action, locks: Vec<TableLock>) {
        let locks = locks.into_iter().map(|lock| TableLock::new(lock.table, lock.mode)).collect();
        self.push(phase, Rank::Body, summary, Action::Ddl(Ddl::default()), Some(undo), locks, Vec::new());
    }

    /// A step at this place of its phase, in all its parts.
    pub fn step(&mut self, phase: Phase, summary: String, action: Action, undo: Option<Action>, locks: Vec<TableLock>) {
        let locks = locks.into_iter().map(|lock| TableLock::new(lock.table, lock.mode)).collect();
        self.push(phase, Rank::Body, summary, action, undo, locks, Vec::new());
    }

    /// A long check under a weak lock, with the locks that it takes.
    pub fn validate_locked(&mut self, phase: Phase, summary: String, sql: Sql, help: String, locks: Vec<TableLock>) {
        self.step(phase, summary, Action::Validate(Validate { sql, help }), None, locks);
    }

    /// An assertion at this place.
    pub fn assert(&mut self, phase: Phase, assert: crate::step::Assert) {
        let summary = format!("check that {}", assert.message);
        self.push(phase, Rank::Body, summary, Action::Assert(assert), None, Vec::new(), Vec::new());
    }

    /// A statement that can't run in a transaction.
    pub fn concurrently(
        &mut self,
        phase: Phase,
        table: &TableName,
        summary: String,
        run: Concurrently,
        undo: Option<Concurrently>,
    ) {
        let locks = vec![TableLock::new(table.clone(), LockMode::ShareUpdateExclusive)];
        self.push(
            phase,
            Rank::Body,
            summary,
            Action::Concurrently(run),
            undo.map(Action::Concurrently),
            locks,
            Vec::new(),
        );
    }

    /// A long check under a weak lock.
    pub fn validate(&mut self, phase: Phase, table: &Table, summary: String, validate: Validate) {
        let locks = self.tree_locks(table, LockMode::ShareUpdateExclusive);
        self.validate_on(phase, locks, summary, validate);
    }

    /// A long check under these weak locks.
    pub fn validate_on(&mut self, phase: Phase, locks: Vec<TableLock>, summary: String, validate: Validate) {
        self.push(phase, Rank::Body, summary, Action::Validate(validate), None, locks, Vec::new());
    }

    /// An assertion before anything of this phase happens.
    pub fn early_assert(&mut self, phase: Phase, assert: crate::step::Assert) {
        let summary = format!("check that {}", assert.message);
        self.push(phase, Rank::Early, summary, Action::Assert(assert), None, Vec::new(), Vec::new());
    }

    /// An assertion before anything of this migration happens.
    pub fn assert_first(&mut self, assert: crate::step::Assert) {
        let summary = assert.message.clone();
        self.push(Phase::Expand, Rank::Early, summary, Action::Assert(assert), None, Vec::new(), Vec::new());
    }

    /// Statements of ours that lock no table: in front of all else in expand, else at the end of their phase.
    pub fn apart(&mut self, phase: Phase, summary: String, statements: Vec<Sql>, undo: Vec<Sql>) {
        let make = |statements: Vec<Sql>| {
            let statements = statements.into_iter().map(Statement::from).collect();
            Action::Ddl(Ddl { lock_first: Vec::new(), statements, as_written: false })
        };
        let undo = (!undo.is_empty()).then(|| make(undo));
        let rank = if phase == Phase::Expand { Rank::Body } else { Rank::Late };
        self.push(phase, rank, summary, make(statements), undo, Vec::new(), Vec::new());
    }

    /// A step that does nothing forward; going back, it does this at this place of the order: in expand among the other statements, later
    /// at the end of the phase.
    pub fn on_the_way_back(&mut self, phase: Phase, summary: String, undo: Action, locks: Vec<TableLock>) {
        let rank = if phase == Phase::Expand { Rank::Body } else { Rank::Late };
        self.push(phase, rank, summary, Action::Ddl(Ddl::default()), Some(undo), locks, Vec::new());
    }

    /// What must be done on the way back before a table's contract is undone. What is added last is done first.
    pub fn before_way_back(&mut self, table: &TableName, summary: String, undo: Action, locks: Vec<TableLock>) {
        self.sync_of(table).way_back.push((summary, undo, locks));
    }

    /// What the transaction of a table's contract does in front of and behind what it does to this table and those that go with it, and what
    /// taking it back does so.
    pub fn contract_around(&mut self, table: &TableName, there: Around, back: Around) {
        let sync = self.sync_of(table);
        sync.around.join(there);
        sync.around_undo.join(back);
    }

    /// A step behind the contracts of the tables, in all its parts.
    pub fn behind_contract(&mut self, summary: String, action: Action, undo: Option<Action>, locks: Vec<TableLock>) {
        self.push(Phase::Contract, Rank::Settle, summary, action, undo, locks, Vec::new());
    }

    /// Contract of `table` takes the strongest lock on this one, too.
    pub fn contract_locks(&mut self, table: &TableName, other: &TableName) {
        let lock = TableLock::new(other.clone(), LockMode::AccessExclusive);
        add_lock(&mut self.sync_of(table).contract_locks, lock);
    }

    /// Two tables go through contract in one transaction.
    pub fn contract_together(&mut self, table: &TableName, other: &TableName) {
        self.sync_of(table).contract_with.push(other.clone());
        self.sync_of(other).contract_with.push(table.clone());
    }

    /// What comes last in its phase: statements of ours under these locks, and what takes them back. Whole objects go when nothing of
    /// the migration works on them any more.
    pub fn late(&mut self, phase: Phase, summary: String, there: Locked, back: Option<Locked>) {
        self.whole(phase, Rank::Late, summary, there, back);
    }

    /// An assertion directly before what comes late.
    pub fn late_assert(&mut self, phase: Phase, assert: crate::step::Assert) {
        let summary = format!("check that {}", assert.message);
        self.push(phase, Rank::Late, summary, Action::Assert(assert), None, Vec::new(), Vec::new());
    }

    /// What comes first in its phase: what hangs on something else goes before that.
    pub fn early(&mut self, phase: Phase, summary: String, there: Locked, back: Option<Locked>) {
        self.whole(phase, Rank::Early, summary, there, back);
    }

    fn whole(&mut self, phase: Phase, rank: Rank, summary: String, there: Locked, back: Option<Locked>) {
        let mut declared = there.0.clone();
        for lock in back.iter().flat_map(|(locks, _)| locks) {
            add_lock(&mut declared, lock.clone());
        }
        let make = |(lock_first, statements): Locked| {
            let statements = statements.into_iter().map(Statement::from).collect();
            Action::Ddl(Ddl { lock_first, statements, as_written: false })
        };
        self.push(phase, rank, summary, make(there), back.map(make), declared, Vec::new());
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

    /// The steps in their order, with the holds between them.
    pub fn finish(mut self) -> (Vec<Step>, Vec<Preflight>, Vec<Finding>) {
        for sync in std::mem::take(&mut self.syncs) {
            self.lower_sync(sync);
        }
        for contract in std::mem::take(&mut self.contracts) {
            self.push_contract(contract);
        }
        self.drafts.sort_by_key(|draft| (draft.phase, draft.rank));
        let contract = self.drafts.iter().position(|draft| draft.phase == Phase::Contract);
        if let Some(at) = contract {
            self.drafts.insert(at, hold(Phase::Contract, Hold::Deploy));
            if self.cx.policy.retain {
                let purge =
                    self.drafts.iter().position(|draft| draft.phase == Phase::Purge).unwrap_or(self.drafts.len());
                self.drafts.insert(purge, hold(Phase::Purge, Hold::Retention));
            }
        }
        self.say_what_has_no_undo(contract.is_some());
        let steps = self
            .drafts
            .into_iter()
            .enumerate()
            .map(|(position, draft)| Step {
                id: StepId(position as u16),
                phase: draft.phase,
                summary: draft.summary,
                action: draft.action,
                undo: draft.undo,
                locks: draft.locks,
                hazards: draft.hazards,
            })
            .collect();
        (steps, self.preflight, self.findings)
    }

    /// A plan that waits can be rolled back, and each of its statements needs a way back for that. One that goes through in one run needs it
    /// only where it is stopped half way; then it can still go on.
    fn say_what_has_no_undo(&mut self, waits: bool) {
        let help = "write it in front of the statement: `-- crossfade: undo SQL`";
        for (phase, at) in std::mem::take(&mut self.without_undo) {
            if waits && phase < Phase::Contract {
                self.findings.push(
                    Finding::error(
                        "undo-needed",
                        at,
                        "this file runs in phases and can be rolled back, but what undoes this statement is not known",
                    )
                    .help(format!("{help}; or put the statement into a migration of its own")),
                );
            } else if waits {
                self.findings.push(
                    Finding::warning(
                        "no-way-back",
                        at,
                        "what undoes this statement is not known: from contract on there is no way back",
                    )
                    .help(help),
                );
            } else if self.drafts.len() > 1 {
                self.findings.push(
                    Finding::warning(
                        "no-way-back",
                        at,
                        "what undoes this statement is not known: once it is done, the file can only go on",
                    )
                    .help(help),
                );
            }
        }
    }

    fn lower_sync(&mut self, sync: Sync) {
        let catalog = self.cx.catalog;
        let Some(table) = catalog.table(&sync.table) else { return };
        let names = Names::new(&self.cx.policy.schema, &self.cx.migration.version, &table.name);
        let tree: Vec<TableName> = catalog.tree(table).into_iter().map(|relation| relation.name.clone()).collect();
        let syncing: Vec<&Group> = sync.groups.iter().filter(|group| group.syncs()).collect();
        let filling: Vec<&Group> = sync.groups.iter().filter(|group| group.fills()).collect();
        let lasting: Vec<&Group> = syncing.iter().copied().filter(|group| group.until == Until::Contract).collect();
        let reverse: Vec<&Group> = if self.cx.policy.retain {
            sync.groups.iter().filter(|group| group.reverses()).collect()
        } else {
            Vec::new()
        };
        let loud = filling.iter().any(|group| group.loud);
        let before_triggers = std::iter::once(table).chain(catalog.leaves(table)).any(|relation| {
            relation
                .triggers
                .iter()
                .any(|trigger| trigger.before && trigger.row && trigger.on_update && trigger.enabled)
        });
        let restore = before_triggers && !loud && !filling.is_empty();
        let function = |groups: &[&Group], mode| sync::function(&names, groups, mode, &catalog.search_path, restore);
        let triggers = |groups: &[&Group], mode| sync::triggers(&names, groups, mode, &tree, restore);

        // Where such a row is set aside, it need not be found beforehand.
        if !self.cx.policy.park {
            self.lower_values_check(table, &filling);
        }
        self.lower_expand(table, &sync, &names, &syncing, &function, &triggers);
        if !filling.is_empty() {
            self.lower_fill(table, &filling, !loud);
            let verified: Vec<&Group> = filling.iter().copied().filter(|group| !group.takes()).collect();
            if !verified.is_empty() {
                self.lower_verify(table, &verified, Phase::Migrate, loud_help());
            }
        }
        self.lower_settle(table, &names, &syncing, &lasting, &function, &triggers);
        self.lower_contract(table, &sync, &names, &lasting, &reverse, &function, &triggers);
    }

    /// An expression may fail on some row (a text that is no number). Better before anything is changed than in the middle, and better here
    /// than in the application's next write to that row.
    fn lower_values_check(&mut self, table: &Table, filling: &[&Group]) {
        let values: Vec<Sql> = filling.iter().flat_map(|group| group.computed_values()).collect();
        if values.is_empty() {
            return;
        }
        let bounds = self.bounds();
        let made = crate::operation::made(&self.cx);
        let uses_what_is_made = made.iter().any(|made| values.iter().any(|value| made.is_used_in(value.as_str())));
        // Compared with itself: never different, but it has to be computed.
        let each = sql!(
            "pg_catalog.record_image_ne(ROW({}), ROW({}))",
            Sql::join(values.clone(), ", "),
            Sql::join(values, ", ")
        );
        let units = self
            .cx
            .catalog
            .leaves(table)
            .into_iter()
            .map(|leaf| VerifyUnit {
                relation: leaf.name.clone(),
                query: sql!(
                    "SELECT count(*), count(*) FILTER (WHERE {}), NULL::text[] FROM ONLY {} WHERE {}",
                    each,
                    leaf.name,
                    self.in_chunk(bounds)
                ),
                locate: locate(table, leaf),
                bounds,
                estimated_rows: leaf.estimated_rows,
            })
            .collect();
        let help =
            "the new value is another one each time it is computed: use an expression that always gives the same"
                .to_owned();
        let verify = Action::Verify(Verify { table: table.name.clone(), units, help });
        let summary = format!("check that the new value can be computed for every row of {}", table.name);
        let locks = self.tree_locks(table, LockMode::AccessShare);
        // What the file itself makes first has to be there.
        let rank = if uses_what_is_made { Rank::Body } else { Rank::Fill };
        self.push(Phase::Expand, rank, summary, verify, None, locks, Vec::new());
    }

    fn filling_mode(&self) -> Mode {
        if self.cx.policy.park { Mode::Parking } else { Mode::Filling }
    }

    fn lower_expand(
        &mut self,
        table: &Table,
        sync: &Sync,
        names: &Names,
        syncing: &[&Group],
        function: &dyn Fn(&[&Group], Mode) -> Sql,
        triggers: &dyn Fn(&[&Group], Mode) -> Vec<Sql>,
    ) {
        let mut statements = Vec::new();
        let mut undo = Vec::new();
        if !syncing.is_empty() {
            undo.extend(names.drop_triggers());
            undo.push(names.drop_function());
        }
        if !sync.add.is_empty() {
            statements.push(sql!(
                "ALTER TABLE {} {}",
                table.name,
                Sql::join(sync.add.iter().map(|add| sql!("ADD COLUMN {}", add)), ", ")
            ));
        }
        undo.extend(drop_added(table, &sync.groups));
        if !syncing.is_empty() {
            statements.push(function(syncing, self.filling_mode()));
            statements.extend(triggers(syncing, self.filling_mode()));
        }
        if statements.is_empty() {
            return;
        }
        let markers: Vec<Sql> = sync.groups.iter().flat_map(markers_of).collect();
        let mode = if sync.add.is_empty() && markers.is_empty() {
            LockMode::ShareRowExclusive
        } else {
            LockMode::AccessExclusive
        };
        let summary = expand_summary(table, &sync.groups, !syncing.is_empty());
        if markers.is_empty() {
            self.ddl(Phase::Expand, table, mode, summary, statements, undo);
            return;
        }
        // What was mended is taken back after the trigger is gone and before the marker goes.
        let adds = markers.into_iter().map(|marker| sql!("ADD COLUMN {}", marker));
        let drops = sync.groups.iter().flat_map(marker_names).map(|marker| sql!("DROP COLUMN IF EXISTS {}", marker));
        self.ddl(
            Phase::Expand,
            table,
            LockMode::AccessExclusive,
            format!("remember in {} which values are mended", table.name),
            vec![sql!("ALTER TABLE {} {}", table.name, Sql::join(adds, ", "))],
            vec![sql!("ALTER TABLE {} {}", table.name, Sql::join(drops, ", "))],
        );
        let groups: Vec<&Group> =
            sync.groups.iter().filter(|group| matches!(group.shape, Shape::Mend { .. })).collect();
        let unmend = self.unmend(table, &groups);
        let locks = self.tree_locks(table, LockMode::RowExclusive);
        self.push(
            Phase::Expand,
            Rank::Body,
            format!("on the way back: make {} again what it was before it was mended", table.name),
            Action::Ddl(Ddl::default()),
            Some(unmend),
            locks,
            Vec::new(),
        );
        self.ddl(Phase::Expand, table, mode, summary, statements, undo);
    }

    fn unmend(&self, table: &Table, groups: &[&Group]) -> Action {
        let mut set = Vec::new();
        let mut marked = Vec::new();
        for group in groups {
            if let Shape::Mend { marker, kept, .. } = &group.shape {
                for (at, column) in group.old.iter().enumerate() {
                    let was = kept.get(at).map_or_else(|| sql!("NULL"), |kept| sql!("{}", kept));
                    set.push(sql!("{} = CASE WHEN {} THEN {} ELSE {} END", column.name, marker, was, column.name));
                }
                set.extend(marker_names(group).iter().map(|name| sql!("{} = NULL", name)));
                marked.push(sql!("{}", marker));
            }
        }
        Action::Backfill(self.sweep(table, Sql::join(set, ", "), Sql::join(marked, " OR "), true))
    }

    fn lower_fill(&mut self, table: &Table, filling: &[&Group], quiet: bool) {
        let several = filling.len() > 1;
        let set = Sql::join(filling.iter().flat_map(|group| group.assignments(several)), ", ");
        let unfilled = Sql::join(filling.iter().map(|group| group.unfilled()), " OR ");
        let mut backfill = self.sweep(table, set, unfilled, quiet);
        backfill.park = self.cx.policy.park;
        if filling.iter().all(|group| group.takes()) {
            backfill.outcome = Outcome::Taken;
        }
        if filling.iter().any(|group| group.counts) {
            // The direct way counts in the order of the rows.
            backfill.units.iter_mut().for_each(|unit| unit.stripes = 1);
            backfill.in_order = true;
        }
        let filled: Vec<String> = filling.iter().flat_map(|group| filled_columns(group)).collect();
        let columns = filled.join(", ");
        let mut locks = self.tree_locks(table, LockMode::RowExclusive);
        let names = filled.iter().map(|name| sql!("{}", Ident::new(name.as_str())));
        let analyze = sql!("ANALYZE {} ({})", table.name, Sql::join(names, ", "));
        if table.estimated_rows > self.cx.policy.small_rows {
            backfill.tidy = Some(self.tidy(table, analyze, true, &mut locks));
        }
        let mut hazards = Vec::new();
        for trigger in table.triggers.iter().filter(|trigger| trigger.on_update && trigger.enabled) {
            if !quiet {
                hazards.push(format!(
                    "trigger {} fires for each row that is filled, as it would for an UPDATE",
                    trigger.name
                ));
            } else if !trigger.before {
                hazards.push(format!(
                    "trigger {} fires for each row that is filled, unless the role may set session_replication_role",
                    trigger.name
                ));
            }
        }
        let summary = format!("fill {columns} of {} for existing rows", table.name);
        self.push(Phase::Migrate, Rank::Fill, summary, Action::Backfill(backfill), None, locks, hazards);
    }

    /// New statistics, and the dead rows gone.
    pub(super) fn tidy(&self, table: &Table, analyze: Sql, vacuum: bool, locks: &mut Vec<TableLock>) -> Tidy {
        for lock in self.tree_locks(table, LockMode::ShareUpdateExclusive) {
            add_lock(locks, lock);
        }
        Tidy { analyze, vacuum: vacuum.then(|| self::vacuum(&table.name)) }
    }

    fn sweep(&self, table: &Table, set: Sql, condition: Sql, quiet: bool) -> Backfill {
        let leaves = self.cx.catalog.leaves(table);
        let units = sweep_units(self.cx.catalog, table, &leaves, &set, &condition);
        Backfill {
            table: table.name.clone(),
            units,
            quiet,
            in_order: false,
            tidy: None,
            outcome: Outcome::Verified,
            park: false,
        }
    }

    fn lower_verify(&mut self, table: &Table, filling: &[&Group], phase: Phase, help: String) {
        let agree = |group: &&Group| if phase == Phase::Contract { group.agrees() } else { group.filled() };
        let differs = Sql::join(filling.iter().map(|group| sql!("NOT {}", agree(group))), " OR ");
        let units = count_units(self.cx.catalog, table, &self.cx.catalog.leaves(table), &differs);
        let summary = format!("verify that old and new form agree in every row of {}", table.name);
        let locks = self.tree_locks(table, LockMode::AccessShare);
        let verify = Action::Verify(Verify { table: table.name.clone(), units, help });
        // In contract it stands before the swap: the names that it compares go there.
        let rank = if phase == Phase::Contract { Rank::Early } else { Rank::Verify };
        self.push(phase, rank, summary, verify, None, locks, Vec::new());
    }

    fn lower_settle(
        &mut self,
        table: &Table,
        names: &Names,
        syncing: &[&Group],
        lasting: &[&Group],
        function: &dyn Fn(&[&Group], Mode) -> Sql,
        triggers: &dyn Fn(&[&Group], Mode) -> Vec<Sql>,
    ) {
        if syncing.is_empty() {
            return;
        }
        let all_last = lasting.len() == syncing.len();
        if all_last && !syncing.iter().any(|group| group.fills()) {
            return;
        }
        let (summary, statements, locks) = if lasting.is_empty() {
            let mut statements = names.drop_triggers();
            statements.push(names.drop_function());
            let locks = self.tree_locks(table, LockMode::AccessExclusive);
            (format!("every row of {} is filled: take the sync off", table.name), statements, locks)
        } else if all_last && !(self.cx.policy.park && syncing.iter().any(|group| group.may_fail())) {
            let summary = format!("every row of {} is filled: the sync only follows changes from now on", table.name);
            (summary, vec![function(lasting, Mode::Settled)], Vec::new())
        } else {
            let mut statements = names.drop_triggers();
            statements.push(function(lasting, Mode::Settled));
            statements.extend(triggers(lasting, Mode::Settled));
            let locks = self.tree_locks(table, LockMode::AccessExclusive);
            (
                format!("every row of {} is filled: the sync only follows changes from now on", table.name),
                statements,
                locks,
            )
        };
        let lock_first = locks.first().cloned().into_iter().collect();
        let statements = statements.into_iter().map(Statement::from).collect();
        let action = Action::Ddl(Ddl { lock_first, statements, as_written: false });
        self.push(Phase::Migrate, Rank::Settle, summary, action, None, locks, Vec::new());
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one transaction")]
    fn lower_contract(
        &mut self,
        table: &Table,
        sync: &Sync,
        names: &Names,
        lasting: &[&Group],
        reverse: &[&Group],
        function: &dyn Fn(&[&Group], Mode) -> Sql,
        triggers: &dyn Fn(&[&Group], Mode) -> Vec<Sql>,
    ) {
        if lasting.is_empty() && sync.contract.is_empty() {
            return;
        }
        let two_way: Vec<&Group> =
            lasting.iter().copied().filter(|group| group.fills() && !group.old.is_empty()).collect();
        if !two_way.is_empty() {
            self.lower_verify(table, &two_way, Phase::Contract, contract_help());
        }
        let mut statements = Vec::new();
        let mut undo = Vec::new();
        if !lasting.is_empty() {
            statements.extend(names.drop_triggers());
            undo.extend(names.drop_triggers());
            undo.push(names.drop_function());
        }
        statements.extend(sync.contract.iter().cloned());
        undo.extend(sync.contract_undo.iter().cloned());
        // What is filled for good has its own undo in front of expand's: that of a sequence, for example, still needs the column.
        undo.extend(drop_added(table, lasting.iter().copied()));
        if !reverse.is_empty() {
            statements.push(function(reverse, Mode::Reverse));
            statements.extend(triggers(reverse, Mode::Reverse));
        } else if !lasting.is_empty() {
            statements.push(names.drop_function());
        }
        let says = if sync.contract_says.is_empty() {
            format!("take the sync off {}", table.name)
        } else {
            sync.contract_says.join("; ")
        };
        self.gather_contract(sync, says, statements, undo);
        let mut purge = Vec::new();
        if !reverse.is_empty() {
            purge.extend(names.drop_triggers());
            purge.push(names.drop_function());
        }
        purge.extend(sync.purge.iter().cloned());
        if !purge.is_empty() {
            let says = sync.purge_says.join("; ");
            self.ddl(Phase::Purge, table, LockMode::AccessExclusive, says, purge, Vec::new());
        }
    }

    /// Contracts that belong together become one transaction; what takes it back runs in the opposite order.
    fn gather_contract(&mut self, sync: &Sync, says: String, statements: Vec<Sql>, undo: Vec<Sql>) {
        let mut new = Contract {
            tables: vec![sync.table.clone()],
            says: vec![says],
            statements,
            undo,
            around: sync.around.clone(),
            around_undo: sync.around_undo.clone(),
            locks: sync.contract_locks.clone(),
            way_back: sync.way_back.clone(),
        };
        let (together, mut apart): (Vec<Contract>, Vec<Contract>) = std::mem::take(&mut self.contracts)
            .into_iter()
            .partition(|known| known.tables.iter().any(|table| sync.contract_with.contains(table)));
        for known in together.into_iter().rev() {
            new.tables.splice(0..0, known.tables);
            new.says.splice(0..0, known.says);
            new.statements.splice(0..0, known.statements);
            new.undo.extend(known.undo);
            new.around.join(known.around);
            new.around_undo.join(known.around_undo);
            known.locks.into_iter().for_each(|lock| add_lock(&mut new.locks, lock));
            new.way_back.splice(0..0, known.way_back);
        }
        apart.push(new);
        self.contracts = apart;
    }

    fn push_contract(&mut self, contract: Contract) {
        let mut tables = contract.tables;
        tables.extend(contract.locks.into_iter().map(|lock| lock.table));
        tables.sort();
        tables.dedup();
        let says = contract.says.join("; ");
        let (statements, undo) = (contract.around.wrap(contract.statements), contract.around_undo.wrap(contract.undo));
        self.ddl_on(Phase::Contract, &tables, LockMode::AccessExclusive, says, statements, undo);
        // Directly behind it: its record is written together with theirs.
        for (summary, undo, locks) in contract.way_back {
            let nothing = Action::Ddl(Ddl::default());
            self.push(Phase::Contract, Rank::Body, summary, nothing, Some(undo), locks, Vec::new());
        }
    }

    pub(crate) fn bounds(&self) -> ChunkBounds {
        block_bounds(self.cx.catalog)
    }

    fn in_chunk(&self, bounds: ChunkBounds) -> Sql {
        in_blocks(bounds, self.cx.catalog.block_size, &sql!("ctid"))
    }
}

/// How a chunk of blocks is bound on this server.
fn block_bounds(catalog: &Catalog) -> ChunkBounds {
    if catalog.major() >= 14 { ChunkBounds::TidRange } else { ChunkBounds::TidList }
}

/// Sets this in the rows of each relation where the condition holds.
pub(super) fn sweep_units(
    catalog: &Catalog,
    table: &Table,
    relations: &[&Table],
    set: &Sql,
    condition: &Sql,
) -> Vec<BackfillUnit> {
    let (bounds, due) = (block_bounds(catalog), due(catalog, condition));
    let unit = |relation: &&Table| BackfillUnit {
        relation: relation.name.clone(),
        statement: sql!("UPDATE ONLY {} SET {} WHERE {}", relation.name, set, due),
        locate: locate(table, relation),
        bounds,
        stripes: stripes(relation),
        estimated_rows: relation.estimated_rows,
        keys: None,
    };
    relations.iter().map(unit).collect()
}

/// Counts the rows of each relation that differ, and names the first.
pub(super) fn count_units(catalog: &Catalog, table: &Table, relations: &[&Table], differs: &Sql) -> Vec<VerifyUnit> {
    let bounds = block_bounds(catalog);
    let in_chunk = in_blocks(bounds, catalog.block_size, &sql!("ctid"));
    let key = row_key(table);
    let unit = |relation: &&Table| VerifyUnit {
        relation: relation.name.clone(),
        query: sql!(
            "SELECT count(*), count(*) FILTER (WHERE {}), (array_agg({}) FILTER (WHERE {}))[1:5] FROM ONLY {} WHERE {}",
            differs,
            key,
            differs,
            relation.name,
            in_chunk
        ),
        locate: locate(table, relation),
        bounds,
        estimated_rows: relation.estimated_rows,
    };
    relations.iter().map(unit).collect()
}

/// Whether a row, by its `ctid`, stands in the chunk.
pub(super) fn in_blocks(bounds: ChunkBounds, block_size: u32, ctid: &Sql) -> Sql {
    let in_range = in_range(bounds, block_size, ctid);
    match in_stripe(bounds, ctid) {
        Some(in_stripe) => sql!("{} AND ({})", in_range, in_stripe),
        None => in_range,
    }
}

/// Whether a row stands in the blocks of the chunk, and, where TIDs are listed, in its stripe.
fn in_range(bounds: ChunkBounds, block_size: u32, ctid: &Sql) -> Sql {
    match bounds {
        ChunkBounds::TidRange => sql!("{} >= ($1::text)::tid AND {} < ($2::text)::tid", ctid, ctid),
        // Before 14 there is no TID range scan; the TIDs that a block can hold are written out.
        ChunkBounds::TidList | ChunkBounds::Keys => sql!(
            "{} = ANY (ARRAY(SELECT format('(%s,%s)', b, o)::tid FROM generate_series($1::int8, $2::int8 - 1) AS b, generate_series(1, {}) AS o WHERE $3::int4 = 1 OR o % $3::int4 = $4::int4))",
            ctid,
            crate::sql::Number(line_pointers(block_size) as i64)
        ),
    }
}

/// More than a block has line pointers: a row takes a header and a pointer at least.
pub(super) fn line_pointers(block_size: u32) -> u64 {
    u64::from(block_size.max(8192) / 28)
}

/// Whether a row of the chunk's blocks is in its stripe, where [`in_range`] does not say that already.
fn in_stripe(bounds: ChunkBounds, ctid: &Sql) -> Option<Sql> {
    match bounds {
        ChunkBounds::TidRange => Some(sql!("$3::int4 = 1 OR {} % $3::int4 = $4::int4", line_pointer(ctid))),
        ChunkBounds::TidList | ChunkBounds::Keys => None,
    }
}

/// Whether a row of the chunk has to be changed.
///
/// A row of another stripe is not looked at: the server is free to try the condition first, and where that fails on the row, no chunk around it
/// would ever succeed. And no index is of use for the condition: each chunk would read all that the index finds, to keep a few rows of it.
fn due(catalog: &Catalog, condition: &Sql) -> Sql {
    let (bounds, ctid) = (block_bounds(catalog), sql!("ctid"));
    let in_range = in_range(bounds, catalog.block_size, &ctid);
    match in_stripe(bounds, &ctid) {
        Some(in_stripe) => sql!("{} AND CASE WHEN {} THEN ({}) IS TRUE ELSE false END", in_range, in_stripe, condition),
        None => sql!("{} AND ({}) IS TRUE", in_range, condition),
    }
}

/// The line pointer of a row on its page. A server has no function for it before PostgreSQL 19; the last two bytes of what a TID is sent as
/// say the same, and cost a tenth of reading its text.
fn line_pointer(ctid: &Sql) -> Sql {
    sql!(
        "(pg_catalog.get_byte(pg_catalog.tidsend({}), 5) + CASE WHEN $3::int4 <= 256 THEN 0 ELSE 256 * pg_catalog.get_byte(pg_catalog.tidsend({}), 4) END)",
        ctid,
        ctid
    )
}

/// What names a row to people: its primary key, else its place.
fn row_key(table: &Table) -> Sql {
    let key = table.key();
    if key.is_empty() {
        return sql!("ctid::text");
    }
    let parts = key
        .into_iter()
        .map(|name| sql!("{} || coalesce({}::text, 'NULL')", Literal(format!("{name}=")), Ident::new(name)));
    Sql::join(parts, " || ', ' || ")
}

pub(super) fn locate(table: &Table, leaf: &Table) -> Sql {
    sql!("SELECT {} FROM ONLY {} WHERE ctid = ($1::text)::tid", row_key(table), leaf.name)
}

/// Stripes for a relation: half the rows of a page, from 4 to 16; one where pages have room or hold few rows.
///
/// Source: reference B3.4, measured: with k stripes about 1/k of the rows leave their page.
pub(super) fn stripes(table: &Table) -> u32 {
    if table.blocks < 64 || table.fill_factor.is_some_and(|percent| percent <= 60) {
        return 1;
    }
    // Powers of two, which the halves of a stripe are parts of.
    match table.estimated_rows / table.blocks.max(1) {
        0..8 => 1,
        8..16 => 4,
        16..32 => 8,
        _ => 16,
    }
}

/// Dead row versions gone. Cutting off the empty end of a table would take ACCESS EXCLUSIVE.
pub(super) fn vacuum(table: &TableName) -> Sql {
    sql!("VACUUM (TRUNCATE false) {}", table)
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

/// In contract, what the user wrote comes behind what is done to the tables.
fn as_written_rank(phase: Phase) -> Rank {
    if phase == Phase::Contract { Rank::Settle } else { Rank::Body }
}

fn hold(phase: Phase, hold: Hold) -> Draft {
    let summary = match hold {
        Hold::Deploy => "wait until the new code is deployed everywhere (`crossfade contract`)",
        Hold::Retention => "keep the old form for the way back (`crossfade purge`)",
    };
    Draft {
        phase,
        rank: Rank::Early,
        summary: summary.to_owned(),
        action: Action::Hold { until: hold },
        undo: None,
        locks: Vec::new(),
        hazards: Vec::new(),
    }
}

/// The columns that remember what was mended.
fn marker_names(group: &Group) -> Vec<Ident> {
    match &group.shape {
        Shape::Mend { marker, kept, .. } => std::iter::once(marker).chain(kept).cloned().collect(),
        Shape::Replace | Shape::Rename | Shape::Retype { .. } => Vec::new(),
    }
}

/// The same with their types.
fn markers_of(group: &Group) -> Vec<Sql> {
    let types = std::iter::once(sql!("boolean")).chain(group.old.iter().map(|column| sql!("{}", column.type_name)));
    marker_names(group).iter().zip(types).map(|(name, type_name)| sql!("{} {}", name, type_name)).collect()
}

fn filled_columns(group: &Group) -> Vec<String> {
    match &group.shape {
        Shape::Retype { name } => vec![name.to_string()],
        Shape::Mend { .. } => group.old.iter().map(|column| column.name.to_string()).collect(),
        Shape::Replace | Shape::Rename => group.new.iter().map(|column| column.name.to_string()).collect(),
    }
}

fn drop_added<'g>(table: &Table, groups: impl IntoIterator<Item = &'g Group>) -> Vec<Sql> {
    let names: Vec<Ident> = groups.into_iter().flat_map(Group::new_names).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let drops = names.iter().map(|name| sql!("DROP COLUMN IF EXISTS {}", name));
    vec![sql!("ALTER TABLE {} {}", table.name, Sql::join(drops, ", "))]
}

fn expand_summary(table: &Table, groups: &[Group], synced: bool) -> String {
    let columns: Vec<String> = groups.iter().flat_map(Group::new_names).map(|name| name.to_string()).collect();
    match (columns.is_empty(), synced) {
        (false, true) => format!("add {} to {} and keep old and new form in sync", columns.join(", "), table.name),
        (false, false) => format!("add {} to {}", columns.join(", "), table.name),
        (true, _) => format!("keep old and new form of {} in sync", table.name),
    }
}

fn loud_help() -> String {
    "these rows were changed while no trigger fired: look for a session with session_replication_role = replica, a disabled trigger, or an \
     expression that does not always give the same value; then run `crossfade migrate` again"
        .to_owned()
}

fn contract_help() -> String {
    "somebody wrote both forms with different values, or wrote while no trigger fired: mend these rows (set one of the two columns), then run \
     `crossfade contract` again"
        .to_owned()
}

/// Kinds of relation that hold rows in blocks.
pub(crate) fn can_be_swept(table: &Table) -> bool {
    match table.kind {
        TableKind::Table => table.access_method.as_deref().is_none_or(|method| method == "heap"),
        TableKind::Partitioned => true,
        TableKind::View | TableKind::MaterializedView | TableKind::Foreign => false,
    }
}
