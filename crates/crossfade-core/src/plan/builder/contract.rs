//! One table's contract, and tables that go through it together.

use super::Contract;
use super::Rank;
use super::StepsBuilder;
use super::Sync;
use super::add_lock;
use super::tables::drop_added;
use super::tables::remember;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::sync::Group;
use crate::plan::sync::Mode;
use crate::plan::sync::Names;
use crate::plan::sync::Shape;
use crate::sql;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Statement;

impl StepsBuilder<'_> {
    #[expect(clippy::too_many_arguments, reason = "the parts of one transaction")]
    pub(super) fn lower_contract(
        &mut self,
        table: &Table,
        sync: &Sync,
        names: &Names,
        lasting: &[&Group],
        reverse: &[&Group],
        is_seen: bool,
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
        if is_seen {
            statements.extend(names.drop_witnesses());
        }
        statements.extend(sync.contract.iter().cloned());
        undo.extend(sync.contract_undo.iter().cloned());
        let mends: Vec<&Group> =
            reverse.iter().copied().filter(|group| matches!(group.shape, Shape::Mend { .. })).collect();
        undo.extend(remember(&mends, function, triggers));
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
            views: sync.views.clone(),
            views_undo: sync.views_undo.clone(),
            locks: sync.contract_locks.clone(),
            renames: sync.contract_renames.iter().map(|to| (sync.table.clone(), to.clone())).collect(),
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
            new.views.join(known.views);
            new.views_undo.join(known.views_undo);
            known.locks.into_iter().for_each(|lock| add_lock(&mut new.locks, lock));
            new.renames.extend(known.renames);
            new.way_back.splice(0..0, known.way_back);
        }
        apart.push(new);
        self.contracts = apart;
    }

    pub(super) fn push_contract(&mut self, contract: Contract) {
        let mut tables = contract.tables;
        tables.extend(contract.locks.into_iter().map(|lock| lock.table));
        tables.sort();
        tables.dedup();
        let says = contract.says.join("; ");
        let (statements, undo) = (contract.around.wrap(contract.statements), contract.around_undo.wrap(contract.undo));
        if !contract.views.is_empty() {
            self.ddl_behind_views(
                &tables,
                says,
                contract.views.wrap(behind_locks(&tables, statements)),
                contract.views_undo.wrap(behind_locks(&tables, undo)),
            );
        } else if contract.renames.is_empty() {
            self.ddl_on(Phase::Contract, &tables, LockMode::AccessExclusive, says, statements, undo);
        } else {
            self.ddl_renaming(&tables, &contract.renames, says, statements, undo);
        }
        // Directly behind it: its record is written together with theirs.
        for (summary, undo, locks) in contract.way_back {
            let nothing = Action::Ddl(Ddl::default());
            self.push(Phase::Contract, Rank::Body, summary, nothing, Some(undo), locks, Vec::new());
        }
    }

    /// Whoever uses a view locks it first and its tables then, so the views go in front of the strong locks. LOCK TABLE of a view would lock all that is
    /// below it, by its owner's rights; the weak lock that comes first keeps no reader and no writer out.
    fn ddl_behind_views(&mut self, tables: &[TableName], says: String, statements: Vec<Sql>, undo: Vec<Sql>) {
        let weak = |table: &TableName| TableLock::new(table.clone(), LockMode::ShareUpdateExclusive);
        let make = |statements: Vec<Sql>| {
            let statements = statements.into_iter().map(Statement::from).collect();
            Action::Ddl(Ddl { lock_first: tables.iter().map(weak).collect(), statements, as_written: false })
        };
        let declared = self.all_tree_locks(tables, LockMode::AccessExclusive);
        self.push(Phase::Contract, Rank::Body, says, make(statements), Some(make(undo)), declared, Vec::new());
    }

    /// Whoever uses the view of a table locks it first and the table then; so does this. On the way back the table itself has the view's name.
    fn ddl_renaming(
        &mut self,
        tables: &[TableName],
        renames: &[(TableName, TableName)],
        says: String,
        statements: Vec<Sql>,
        undo: Vec<Sql>,
    ) {
        let strong = |table: &TableName| TableLock::new(table.clone(), LockMode::AccessExclusive);
        let there: Vec<TableLock> = renames.iter().map(|(_, to)| to).chain(tables).map(strong).collect();
        let called = |table: &TableName| renames.iter().find(|(from, _)| from == table).map(|(_, to)| to.clone());
        let back: Vec<TableLock> = tables.iter().map(|table| strong(&called(table).unwrap_or(table.clone()))).collect();
        let mut declared = self.all_tree_locks(tables, LockMode::AccessExclusive);
        there.iter().chain(&back).for_each(|lock| add_lock(&mut declared, lock.clone()));
        let make = |lock_first: Vec<TableLock>, statements: Vec<Sql>| {
            let statements = statements.into_iter().map(Statement::from).collect();
            Action::Ddl(Ddl { lock_first, statements, as_written: false })
        };
        let undo = (!undo.is_empty()).then(|| make(back, undo));
        self.push(Phase::Contract, Rank::Body, says, make(there, statements), undo, declared, Vec::new());
    }
}

fn behind_locks(tables: &[TableName], statements: Vec<Sql>) -> Vec<Sql> {
    let locks = tables.iter().map(|table| sql!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", table));
    locks.chain(statements).collect()
}

fn contract_help() -> String {
    "somebody wrote both forms with different values, or wrote while no trigger fired: mend these rows (set one of the two columns), then run \
     `crossfade contract` again"
        .to_owned()
}
