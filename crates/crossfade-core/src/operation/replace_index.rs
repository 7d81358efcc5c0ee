//! DROP INDEX and CREATE INDEX of the same name in one file: the new one is built beside the old one and takes its name then, so that no query misses both.
//! The same for an index that has the name of a key which the file drops; that holds until contract.

use super::Operation;
use super::Role;
use super::claim;
use super::create_index;
use super::create_index::BuildIndex;
use super::drop_index::DropIndex;
use crate::catalog::Catalog;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;

/// An index that another one takes the place of.
#[derive(Clone, Debug)]
pub(super) struct ReplaceIndex {
    pub old: DropIndex,
    pub new: BuildIndex,
}

impl ReplaceIndex {
    fn named(&self, name: Ident) -> TableName {
        TableName { schema: self.old.table.name.schema.clone(), name }
    }
}

impl Operation for ReplaceIndex {
    fn way(&self) -> Option<&'static str> {
        Some("built CONCURRENTLY beside the old one, whose name it takes then")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings = self.new.check(cx);
        let both_unique = self.old.index.unique && self.new.index.unique;
        findings.extend(self.old.check(cx).into_iter().filter(|finding| finding.is_error() || !both_unique));
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let (table, known) = (&self.old.table.name, self.old.index.name.as_str());
        let (beside, away) = (cx.own_name("ri", known), cx.own_name("oi", known));
        create_index::build(cx, steps, Phase::Migrate, &self.new.table, self.new.index.definition.clone(), &beside);
        let rename = |from: &Ident, to: &Ident| sql!("ALTER INDEX {} RENAME TO {}", self.named(from.clone()), to);
        let known = Ident::new(known);
        // It may have gone with the column that it was on.
        let back = sql!("ALTER INDEX IF EXISTS {} RENAME TO {}", self.named(known.clone()), beside);
        let locks = vec![TableLock::only(table.clone(), LockMode::ShareUpdateExclusive)];
        steps.locked(
            Phase::Migrate,
            format!("give {known} of {table} its name"),
            locks.clone(),
            vec![rename(&known, &away), rename(&beside, &known)],
            Some((locks, vec![back, rename(&away, &known)])),
        );
        self.old.drop_as(steps, &self.named(away));
    }

    fn project(&self, catalog: &mut Catalog) {
        self.old.project(catalog);
        self.new.project(catalog);
    }

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        let old = self.old.index.columns.iter().map(|column| claim(&self.old.table, column));
        self.new.claims().into_iter().chain(old).collect()
    }
}

/// An index that gets the name of a UNIQUE or a PRIMARY KEY that the file drops.
#[derive(Clone, Debug)]
pub(super) struct IndexForKey {
    pub name: String,
    pub new: BuildIndex,
}

impl Operation for IndexForKey {
    fn way(&self) -> Option<&'static str> {
        Some("built CONCURRENTLY beside the key, whose name it takes at contract")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        self.new.check(cx)
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let table = &self.new.table.name;
        let (known, beside) = (Ident::new(self.name.as_str()), cx.own_name("ri", &self.name));
        create_index::build(cx, steps, Phase::Migrate, &self.new.table, self.new.index.definition.clone(), &beside);
        let rename = |from: &Ident, to: &Ident| {
            let from = TableName { schema: table.schema.clone(), name: from.clone() };
            sql!("ALTER INDEX {} RENAME TO {}", from, to)
        };
        // Behind the end of the key.
        let locks = vec![TableLock::only(table.clone(), LockMode::ShareUpdateExclusive)];
        let back = cx.policy.retain.then(|| (locks.clone(), vec![rename(&known, &beside)]));
        let says = format!("give the index {known} of {table} its name");
        steps.late(Phase::Contract, says, (locks, vec![rename(&beside, &known)]), back);
    }

    fn project(&self, catalog: &mut Catalog) {
        self.new.project(catalog);
    }

    fn role(&self) -> Role {
        Role::Index
    }

    fn claims(&self) -> Vec<Claim> {
        self.new.claims()
    }
}
