//! What operations add step by step.

use super::Around;
use super::Draft;
use super::Locked;
use super::Rank;
use super::StepsBuilder;
use super::add_lock;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Concurrently;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Statement;
use crate::step::Validate;

impl StepsBuilder<'_> {
    /// A statement of the user's, as it is written, with what of ours goes with it. Neighbours of one phase share one transaction.
    pub fn as_written(
        &mut self,
        phase: Phase,
        summary: String,
        statements: Vec<Statement>,
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
        if let (None, Some(at)) = (&undo, statements.iter().find_map(|statement| statement.at)) {
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
            ddl.statements.extend(statements);
            for lock in locks {
                add_lock(&mut ddl.lock_first, lock.clone());
                add_lock(last_locks, lock);
            }
            for hazard in hazards {
                if !last_hazards.contains(&hazard) {
                    last_hazards.push(hazard);
                }
            }
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
        let ddl = Ddl { lock_first: locks.clone(), statements, as_written: true };
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

    /// What the transaction of a table's contract, and what takes it back, do to views of the table: in front of the locks on it, and behind all else.
    pub fn contract_views(&mut self, table: &TableName, there: Around, back: Around) {
        let sync = self.sync_of(table);
        sync.views.join(there);
        sync.views_undo.join(back);
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

    /// Contract of `table` gives it this name, which a view of it has until then.
    pub fn contract_renames(&mut self, table: &TableName, to: &TableName) {
        self.sync_of(table).contract_renames = Some(to.clone());
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
}

/// In contract, what the user wrote comes behind what is done to the tables.
fn as_written_rank(phase: Phase) -> Rank {
    if phase == Phase::Contract { Rank::Settle } else { Rank::Body }
}
