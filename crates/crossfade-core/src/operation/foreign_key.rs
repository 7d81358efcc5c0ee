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
    ///
    /// Before PostgreSQL 18 a partitioned table can't have one NOT VALID. There each leaf gets it first, and the one on top then
    /// takes over those that are proven, without reading a row.
    pub fn restore(&self, cx: &PlanContext<'_>, phase: Phase, steps: &mut StepsBuilder<'_>) -> Vec<Sql> {
        let owner = &self.owner.name;
        let comment =
            self.constraint.comment.as_ref().map(|comment| {
                sql!("COMMENT ON CONSTRAINT {} ON {} IS {}", self.name(), owner, Literal(comment.clone()))
            });
        let enforced = !self.constraint.definition.as_str().contains("NOT ENFORCED");
        if !(self.constraint.validated && enforced) {
            return std::iter::once(self.add(owner, false)).chain(comment).collect();
        }
        let leafwise = self.owner.kind == TableKind::Partitioned && cx.catalog.major() < 18;
        if !leafwise {
            self.prove(self.owner, cx, phase, steps);
            return std::iter::once(self.add(owner, true)).chain(comment).collect();
        }
        let lock_first: Vec<TableLock> = self
            .tables(cx.catalog)
            .into_iter()
            .map(|table| TableLock::new(table, LockMode::ShareRowExclusive))
            .collect();
        let statements = std::iter::once(self.add(owner, false)).chain(comment).map(Statement::from).collect();
        let action = Action::Ddl(Ddl { lock_first: lock_first.clone(), statements, as_written: false });
        let says = format!("on the way back: {owner} takes over {} of its partitions", self.constraint.name);
        steps.on_the_way_back(phase, says, action, lock_first);
        let leaves = cx.catalog.leaves(self.owner);
        leaves.iter().for_each(|leaf| self.prove(leaf, cx, phase, steps));
        leaves.into_iter().map(|leaf| self.add(&leaf.name, true)).collect()
    }

    fn add(&self, table: &TableName, later: bool) -> Sql {
        let tail = if later { sql!(" NOT VALID") } else { sql!("") };
        sql!("ALTER TABLE {} ADD CONSTRAINT {} {}{}", table, self.name(), self.constraint.definition, tail)
    }

    fn prove(&self, table: &Table, cx: &PlanContext<'_>, phase: Phase, steps: &mut StepsBuilder<'_>) {
        let name = &table.name;
        let validate = Action::Validate(Validate {
            sql: sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", name, self.name()),
            help: format!(
                "{name} is back, but what some of its rows point to was deleted meanwhile: mend them, then run `crossfade rollback` again"
            ),
        });
        let tree = cx.catalog.tree(table).into_iter();
        let locks = tree.map(|table| TableLock::new(table.name.clone(), LockMode::ShareUpdateExclusive)).collect();
        let says = format!("on the way back: prove {} for the rows of {name}", self.constraint.name);
        steps.on_the_way_back(phase, says, validate, locks);
    }
}
