//! Partitions that come to a table and go from it, without a scan under a lock that keeps somebody waiting.

mod attach;
mod condition;
mod detach;
mod make;
mod making;

pub(super) use attach::Attach;
pub(super) use detach::Detach;
pub(super) use make::MakePartition;
pub(super) use making::Making;

use crate::catalog::Catalog;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::lock::LockMode;
use crate::lock::TableLock;
use crate::plan::PlanContext;
use crate::plan::StepsBuilder;
use crate::sql;
use crate::sql::Ident;
use crate::sql::Sql;
use crate::sql::TableName;
use crate::step::Phase;

/// What attaching and detaching a partition locks: parent and partition as given, the DEFAULT partition in any case, and both sides of foreign keys.
///
/// Source: reference lint-rules A8, measured. The parent comes first, as for every query.
fn locks(
    catalog: &Catalog,
    parent: &Table,
    on_parent: LockMode,
    partition: &TableName,
    on_partition: LockMode,
) -> Vec<TableLock> {
    let mut all = vec![TableLock::only(parent.name.clone(), on_parent)];
    let below = |table: &TableName| match catalog.table(table) {
        Some(table) => catalog.tree(table).into_iter().map(|below| below.name.clone()).collect(),
        None => vec![table.clone()],
    };
    let default = catalog.default_partition(parent).map(|default| default.name.clone());
    for name in default.filter(|default| default != partition).iter().flat_map(below) {
        all.push(TableLock::only(name, LockMode::AccessExclusive));
    }
    all.extend(below(partition).into_iter().map(|name| TableLock::only(name, on_partition)));
    let points = |from: &Table, to: &Table| {
        from.constraints.iter().any(|constraint| {
            constraint.kind == ConstraintKind::ForeignKey && constraint.references.as_ref() == Some(&to.name)
        })
    };
    for other in catalog.tables.iter().filter(|other| other.name != parent.name) {
        // Where a foreign key of the partition becomes a part of the parent's, its triggers go from the table that it points to.
        let mode = match (points(parent, other), points(other, parent)) {
            (true, _) => LockMode::AccessExclusive,
            (false, true) => LockMode::ShareRowExclusive,
            (false, false) => continue,
        };
        if !all.iter().any(|lock| lock.table == other.name) {
            all.push(TableLock::only(other.name.clone(), mode));
        }
    }
    all
}

/// A CHECK of ours that proves something of a table's rows: enforced and proven in front of the moment that needs it.
struct Proof<'a> {
    table: &'a TableName,
    name: Ident,
    condition: Sql,
    /// What it proves, as people read it.
    says: String,
    /// What to do where a row breaks it.
    help: String,
}

impl Proof<'_> {
    fn add(&self, cx: &PlanContext<'_>, steps: &mut StepsBuilder<'_>, phase: Phase) {
        let tree: Vec<TableName> = match cx.catalog.table(self.table) {
            Some(table) => cx.catalog.tree(table).into_iter().map(|below| below.name.clone()).collect(),
            None => vec![self.table.clone()],
        };
        let lock =
            |mode: LockMode| tree.iter().map(|name| TableLock::only(name.clone(), mode)).collect::<Vec<TableLock>>();
        let strong = lock(LockMode::AccessExclusive);
        steps.locked(
            phase,
            format!("for new writes: {}", self.says),
            strong.clone(),
            vec![sql!("ALTER TABLE {} ADD CONSTRAINT {} CHECK ({}) NOT VALID", self.table, self.name, self.condition)],
            Some((strong, vec![self.drop()])),
        );
        steps.validate_locked(
            phase,
            format!("prove it: {}", self.says),
            sql!("ALTER TABLE {} VALIDATE CONSTRAINT {}", self.table, self.name),
            self.help.clone(),
            lock(LockMode::ShareUpdateExclusive),
        );
    }

    fn drop(&self) -> Sql {
        sql!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", self.table, self.name)
    }
}
