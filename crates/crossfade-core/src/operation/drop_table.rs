//! DROP TABLE: nothing happens before the hold. Contract *retires* the table, which is a rename; purge drops it. The way back is the rename
//! back, so no row is lost.
//!
//! A retired table must not hurt the code that knows nothing of it: a foreign key from it would make a DELETE on the other table fail,
//! so contract drops it and the way back adds it again. One whose ON DELETE takes the rows along or lets them go stays, and does its work.

use std::collections::BTreeSet;

use super::Operation;
use super::claim;
use super::cleared::Cleared;
use super::foreign_key::ForeignKey;
use super::whole::hinders_views;
use super::whole::kind_of;
use super::whole::remove;
use super::whole::retired;
use super::whole::views_above;
use super::whole::whole_claim;
use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Dependent;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::finding::Finding;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Span;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Claim;
use crate::step::Phase;

/// Tables that one statement drops.
#[derive(Clone, Debug)]
pub(super) struct DropTable {
    pub tables: Vec<Table>,
    pub cascade: bool,
    pub cleared: Cleared,
    pub claims: Vec<Claim>,
    pub span: Span,
}

impl DropTable {
    pub(super) fn new(catalog: &Catalog, tables: Vec<Table>, cascade: bool, cleared: Cleared, span: Span) -> DropTable {
        let mut drop = DropTable { tables, cascade, cleared, claims: Vec::new(), span };
        let mut claims: Vec<Claim> =
            drop.trees(catalog).into_iter().chain(drop.views(catalog)).map(whole_claim).collect();
        for key in drop.incoming(catalog) {
            claims.extend(key.constraint.columns.iter().map(|column| claim(key.owner, column)));
        }
        drop.claims = claims;
        drop
    }

    fn trees<'c>(&self, catalog: &'c Catalog) -> Vec<&'c Table> {
        let roots = self.tables.iter().filter_map(|table| catalog.table(&table.name));
        roots.flat_map(|table| catalog.tree(table)).collect()
    }

    fn drops(&self, catalog: &Catalog, name: &TableName) -> bool {
        self.trees(catalog).iter().any(|table| table.name == *name)
    }

    /// Foreign keys of other tables that point to these.
    fn incoming<'c>(&self, catalog: &'c Catalog) -> Vec<ForeignKey<'c>> {
        let all = ForeignKey::all(catalog).filter(|key| self.drops(catalog, key.references));
        all.filter(|key| !self.drops(catalog, &key.owner.name) && !self.has_cleared(key)).collect()
    }

    fn has_cleared(&self, key: &ForeignKey<'_>) -> bool {
        let owner = &key.owner.name;
        let gone = |column: &String| self.cleared.columns.contains(&(owner.clone(), column.clone()));
        self.cleared.relations.contains(owner)
            || self.cleared.constraints.contains(&(owner.clone(), key.constraint.name.clone()))
            || key.constraint.columns.iter().any(gone)
    }

    /// Foreign keys of these to other tables.
    fn outgoing<'c>(&self, catalog: &'c Catalog) -> Vec<ForeignKey<'c>> {
        let all = ForeignKey::all(catalog).filter(|key| self.drops(catalog, &key.owner.name));
        all.filter(|key| !self.drops(catalog, key.references)).collect()
    }

    /// What names these tables and does not go along by itself, foreign keys aside.
    fn dependents<'c>(&self, catalog: &'c Catalog) -> Vec<&'c Dependent> {
        let hinders = |dependent: &&Dependent| {
            !dependent.goes_along && !dependent.description.starts_with("foreign key ") && !self.cleared.has(dependent)
        };
        self.trees(catalog).into_iter().flat_map(|table| &table.dependents).filter(hinders).collect()
    }

    /// The views that go along.
    fn views<'c>(&self, catalog: &'c Catalog) -> Vec<&'c Table> {
        if !self.cascade {
            return Vec::new();
        }
        views_above(catalog, &self.dependents(catalog))
    }

    fn check_table(&self, cx: &PlanContext<'_>, table: &Table) -> Vec<Finding> {
        let mut findings = Vec::new();
        let name = &table.name;
        if !matches!(table.kind, TableKind::Table | TableKind::Partitioned) {
            findings.push(Finding::error("not-a-table", self.span, format!("{name} is no table")).help(
                "the server takes DROP VIEW for a view, DROP MATERIALIZED VIEW and DROP FOREIGN TABLE for the others",
            ));
        }
        // A foreign key that it has from its parent would stay with the retired table, and hold back rows that it points to.
        let free = self.cleared.detached.contains(name)
            && !table.constraints.iter().any(|constraint| constraint.kind == ConstraintKind::ForeignKey);
        if let Some(parent) = table.partition_of.as_ref().filter(|parent| !free && !self.drops(cx.catalog, parent)) {
            findings.push(
                Finding::error("partition", self.span, format!("{name} is a partition of {parent}: its rows would be seen there until the purge"))
                    .help(format!("take it out first: ALTER TABLE {parent} DETACH PARTITION, in the same file where it has no foreign key, else in a migration before; or accept the lock and the loss: `-- crossfade: direct REASON`")),
            );
        }
        let children: Vec<String> = table
            .inheritance_children
            .iter()
            .filter(|child| !self.drops(cx.catalog, child) && !self.cleared.relations.contains(child))
            .map(ToString::to_string)
            .collect();
        if !children.is_empty() {
            findings.push(
                Finding::error("inheritance", self.span, format!("{} inherits from {name}", children.join(", ")))
                    .help("drop it in the same statement, or end the inheritance first (ALTER TABLE … NO INHERIT)"),
            );
        }
        findings
    }
}

impl Operation for DropTable {
    fn way(&self) -> Option<&'static str> {
        Some("renamed at contract, dropped at purge")
    }

    fn check(&self, cx: &PlanContext<'_>) -> Vec<Finding> {
        let mut findings: Vec<Finding> = self.tables.iter().flat_map(|table| self.check_table(cx, table)).collect();
        let catalog = cx.catalog;
        let mut hinders: Vec<String> = self
            .dependents(catalog)
            .into_iter()
            .filter(|dependent| !self.cascade || dependent.view.is_none())
            .map(|dependent| dependent.description.clone())
            .collect();
        if self.cascade {
            hinders.extend(hinders_views(&self.views(catalog), &self.cleared));
        } else {
            hinders.extend(self.incoming(catalog).iter().map(ForeignKey::described));
        }
        hinders.sort();
        hinders.dedup();
        let names = names(self.tables.iter().map(|table| &table.name));
        if !hinders.is_empty() {
            let message = format!("{names} is used by {}", hinders.join(", "));
            findings.push(Finding::error("dependents", self.span, message).help(if self.cascade {
                "CASCADE would drop them, with no way back: drop or change each in a statement of its own, before this one"
            } else {
                "drop or change them first, each in a statement before this one; or write CASCADE, which takes views and foreign keys along"
            }));
        }
        let kept: Vec<String> =
            self.outgoing(catalog).iter().filter(|key| key.lets_go()).map(ForeignKey::described).collect();
        if cx.policy.retain && !kept.is_empty() {
            findings.push(
                Finding::warning(
                    "retired-foreign-key",
                    self.span,
                    format!("{} stays until the purge", kept.join(", ")),
                )
                .help(
                    "rows are deleted through it as before; TRUNCATE of the table that it points to fails until then",
                ),
            );
        }
        findings
    }

    fn lower(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>) {
        let catalog = cx.catalog;
        let tail = if self.cascade { sql!(" CASCADE") } else { sql!("") };
        let drop = |tables: Vec<TableName>| {
            sql!("DROP TABLE {}{}", Sql::join(tables.iter().map(|table| sql!("{}", table)), ", "), tail)
        };
        let all: Vec<TableName> = self.tables.iter().map(|table| table.name.clone()).collect();
        let (outgoing, incoming) = (self.outgoing(catalog), self.incoming(catalog));
        let tree = self.trees(catalog).into_iter().map(|table| table.name.clone());
        let with = |keys: &[&ForeignKey<'_>]| -> Vec<TableName> {
            tree.clone().chain(keys.iter().flat_map(|key| key.tables(catalog))).collect()
        };
        if !cx.policy.retain {
            let locks = with(&outgoing.iter().chain(&incoming).collect::<Vec<_>>());
            let says = format!("drop {}", names(&all));
            steps.late(Phase::Contract, says, (strongest(locks), vec![drop(all)]), None);
            return;
        }
        let dropped: Vec<&ForeignKey> = incoming.iter().chain(outgoing.iter().filter(|key| !key.lets_go())).collect();
        let locks = with(&dropped);
        let (mut there, mut back) = (Vec::new(), Vec::new());
        for key in dropped {
            there.push(key.drop());
            back.extend(key.restore(cx, Phase::Contract, steps));
        }
        for view in self.views(catalog) {
            let old = retired(cx, &view.name);
            there.push(sql!("ALTER {} {} RENAME TO {}", kind_of(view), view.name, old.name));
            back.insert(0, sql!("ALTER {} {} RENAME TO {}", kind_of(view), old, view.name.name));
        }
        let mut back_locks: Vec<TableName> = locks.iter().filter(|table| !all.contains(table)).cloned().collect();
        for table in &all {
            let old = retired(cx, table);
            there.push(sql!("ALTER TABLE {} RENAME TO {}", table, old.name));
            back.insert(0, sql!("ALTER TABLE {} RENAME TO {}", old, table.name));
            back_locks.push(old);
        }
        let olds: Vec<TableName> = all.iter().map(|table| retired(cx, table)).collect();
        let says = format!("retire {}: from now on it is {}", names(&all), names(&olds));
        steps.late(Phase::Contract, says, (strongest(locks), there), Some((strongest(back_locks), back)));
        // Partitions keep their names; the foreign keys that were dropped have nothing to lock any more.
        let mut purge_locks = with(&outgoing.iter().filter(|key| key.lets_go()).collect::<Vec<_>>());
        purge_locks.retain(|table| !all.contains(table));
        purge_locks.extend(olds.iter().cloned());
        steps.late(Phase::Purge, format!("drop {}", names(&olds)), (strongest(purge_locks), vec![drop(olds)]), None);
    }

    fn project(&self, catalog: &mut Catalog) {
        let mut gone: BTreeSet<TableName> = self.trees(catalog).into_iter().map(|table| table.name.clone()).collect();
        gone.extend(self.views(catalog).into_iter().map(|view| view.name.clone()));
        remove(catalog, &gone);
    }

    fn claims(&self) -> Vec<Claim> {
        self.claims.clone()
    }
}

fn names<'t>(tables: impl IntoIterator<Item = &'t TableName>) -> String {
    tables.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// ACCESS EXCLUSIVE on each of these, in the one order.
fn strongest(mut tables: Vec<TableName>) -> Vec<TableLock> {
    tables.sort();
    tables.dedup();
    tables.into_iter().map(|table| TableLock::new(table, LockMode::AccessExclusive)).collect()
}
