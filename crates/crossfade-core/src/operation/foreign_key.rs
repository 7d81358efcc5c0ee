//! A foreign key of the catalog: taken away with its table, and put back without a long lock.

use crate::catalog::Catalog;
use crate::catalog::Constraint;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::DollarQuoted;
use crate::sql::Ident;
use crate::sql::Literal;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Action;
use crate::step::Ddl;
use crate::step::Phase;
use crate::step::Statement;
use crate::step::Validate;

/// A foreign key and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct ForeignKey<'c> {
    pub owner: &'c Table,
    pub constraint: &'c Constraint,
    pub references: &'c TableName,
}

impl<'c> ForeignKey<'c> {
    /// Every foreign key that is nobody's copy.
    pub fn all(catalog: &'c Catalog) -> impl Iterator<Item = ForeignKey<'c>> {
        catalog.tables.iter().flat_map(|owner| {
            owner.constraints.iter().filter_map(move |constraint| {
                let own = constraint.kind == ConstraintKind::ForeignKey && !constraint.inherited;
                let references = constraint.references.as_ref().filter(|_| own)?;
                Some(ForeignKey { owner, constraint, references })
            })
        })
    }

    /// As people read it.
    pub fn described(&self) -> String {
        format!("foreign key {} of {}", self.constraint.name, self.owner.name)
    }

    /// Whether a DELETE of what it points to is never refused because of it.
    pub fn lets_go(&self) -> bool {
        let definition = self.constraint.definition.as_str();
        definition.contains(" ON DELETE CASCADE") || definition.contains(" ON DELETE SET NULL")
    }

    /// What dropping it locks with ACCESS EXCLUSIVE: both sides with all below them (measured: reference lint-rules A13).
    pub fn tables(&self, catalog: &Catalog) -> Vec<TableName> {
        let sides = std::iter::once(self.owner).chain(catalog.table(self.references));
        sides.flat_map(|table| catalog.tree(table)).map(|table| table.name.clone()).collect()
    }

    /// Takes it away.
    pub fn drop(&self) -> Sql {
        sql!("ALTER TABLE {} DROP CONSTRAINT {}", self.owner.name, self.name())
    }

    fn name(&self) -> Ident {
        Ident::new(self.constraint.name.as_str())
    }

    /// Puts it back: returns what the transaction of the way back does, and adds the steps behind it. They are pushed before that
    /// transaction's own step, because going back runs from the end.
    pub fn restore(&self, cx: &PlanContext<'_>, phase: Phase, steps: &mut StepsBuilder<'_>) -> Vec<Sql> {
        let help = |table: &TableName| {
            format!(
                "{table} is back, but what some of its rows point to was deleted meanwhile: mend them, then run `crossfade rollback` again"
            )
        };
        let Anew { statements, behind, .. } = self.anew(cx.catalog, Way::Back, &help);
        for Behind { says, action, locks } in behind.into_iter().rev() {
            steps.on_the_way_back(phase, format!("on the way back: {says}"), action, locks);
        }
        statements
    }

    /// Makes it without a long lock: NOT VALID first, and proven behind that.
    ///
    /// Before PostgreSQL 18 a partitioned table can't have one NOT VALID. There each leaf gets it first, and the one on top then
    /// takes over those that are proven, without reading a row.
    pub fn anew(&self, catalog: &Catalog, way: Way, help: &dyn Fn(&TableName) -> String) -> Anew {
        let owner = &self.owner.name;
        let comment =
            self.constraint.comment.as_ref().map(|comment| {
                sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", self.name(), owner, Literal(comment.clone()))
            });
        let enforced = !self.constraint.definition.as_str().contains("NOT ENFORCED");
        if !(self.constraint.validated && enforced) {
            let statements = std::iter::once(self.add(owner, false)).chain(comment).collect();
            return Anew { owners: vec![owner.clone()], statements, behind: Vec::new() };
        }
        let leafwise = self.owner.kind == TableKind::Partitioned && catalog.major() < 18;
        if !leafwise {
            let statements = std::iter::once(self.add(owner, true)).chain(comment).collect();
            let behind = vec![self.prove(self.owner, catalog, help)];
            return Anew { owners: vec![owner.clone()], statements, behind };
        }
        let leaves = catalog.leaves(self.owner);
        let mut behind: Vec<Behind> = leaves.iter().map(|leaf| self.prove(leaf, catalog, help)).collect();
        let lock_first = take_over_locks(catalog, self.owner, catalog.table(self.references));
        let locks = lock_first.iter().map(|lock| TableLock::new(lock.table.clone(), lock.mode)).collect();
        let take_over = match way {
            Way::There => self.add(owner, false),
            Way::Back => self.unless_there(self.add(owner, false)),
        };
        let statements = std::iter::once(take_over).chain(comment).map(Statement::from).collect();
        behind.push(Behind {
            says: format!("{owner} takes over {} of its partitions", self.constraint.name),
            action: Action::Ddl(Ddl { lock_first, statements, as_written: false }),
            locks,
        });
        let statements = leaves.iter().map(|leaf| self.add(&leaf.name, true)).collect();
        Anew { owners: leaves.into_iter().map(|leaf| leaf.name.clone()).collect(), statements, behind }
    }

    fn add(&self, table: &TableName, later: bool) -> Sql {
        let tail = if later { sql!(" NOT VALID") } else { sql!("") };
        sql!("ALTER TABLE {} ADD CONSTRAINT {} {}{}", table, self.name(), self.constraint.definition, tail)
    }

    fn unless_there(&self, add: Sql) -> Sql {
        let (owner, name) = (sql!("{}", self.owner.name).to_string(), self.constraint.name.clone());
        let body = sql!(
            "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass({}) AND conname = {}) THEN {}; END IF; END",
            Literal(owner),
            Literal(name),
            add
        );
        sql!("DO {}", DollarQuoted(body))
    }

    fn prove(&self, table: &Table, catalog: &Catalog, help: &dyn Fn(&TableName) -> String) -> Behind {
        let name = &table.name;
        let sql = sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", name, self.name());
        let tree = catalog.tree(table).into_iter();
        Behind {
            says: format!("prove {} for the rows of {name}", self.constraint.name),
            action: Action::Validate(Validate { sql, help: help(name) }),
            locks: tree.map(|table| TableLock::new(table.name.clone(), LockMode::ShareUpdateExclusive)).collect(),
        }
    }
}

/// On which way it is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Forward, where it was dropped for sure.
    There,
    /// Back. What is done behind the transaction that puts it back stands in front of it in the plan, and is undone also where the transaction
    /// that drops it was never run: there it still is.
    Back,
}

/// How a foreign key is made: in one transaction, and what is done behind that, in its order.
pub(super) struct Anew {
    /// The tables that get it there: its own, or the partitions of that.
    pub owners: Vec<TableName>,
    pub statements: Vec<Sql>,
    pub behind: Vec<Behind>,
}

/// A step behind the transaction that makes a foreign key.
pub(super) struct Behind {
    pub says: String,
    pub action: Action,
    pub locks: Vec<TableLock>,
}

/// What it locks when a partitioned table takes over the foreign keys of its partitions: their triggers go from the table that they point to, and
/// where that is partitioned, from the partitions themselves, too (measured on 13 to 17).
pub(super) fn take_over_locks(catalog: &Catalog, owner: &Table, references: Option<&Table>) -> Vec<TableLock> {
    let to_partitioned = references.is_some_and(|table| table.kind == TableKind::Partitioned);
    let on_tree = if to_partitioned { LockMode::AccessExclusive } else { LockMode::ShareRowExclusive };
    let lock = |table: &Table, mode: LockMode| TableLock::only(table.name.clone(), mode);
    let tree = catalog.tree(owner);
    let targets = references.into_iter().flat_map(|table| catalog.tree(table));
    let beside = targets.filter(|target| !tree.iter().any(|table| table.name == target.name));
    let beside: Vec<TableLock> = beside.map(|table| lock(table, LockMode::AccessExclusive)).collect();
    tree.iter().map(|table| lock(table, on_tree)).chain(beside).collect()
}
