//! What partitions have of their own on a column that changes, and the shadow would not have.

use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::plan::PlanContext;

/// Why the column can't be changed with that of all partitions.
pub(super) fn refusals(cx: &PlanContext<'_>, table: &Table, column: &Column) -> Vec<String> {
    let mut why = Vec::new();
    let name = column.name.as_str();
    let below = cx.catalog.tree(table).into_iter().filter(|relation| relation.name != table.name);
    for partition in below {
        let at = &partition.name;
        if !matches!(partition.kind, TableKind::Table | TableKind::Partitioned) {
            why.push(format!("the partition {at} is no ordinary table"));
        }
        let Some(own) = partition.column(name) else { continue };
        if own.not_null != column.not_null {
            why.push(format!("the partition {at} has a NOT NULL of its own on it"));
        }
        let default = |column: &Column| column.default.as_ref().map(|default| default.expression.clone());
        if default(own) != default(column) {
            why.push(format!("the partition {at} has a default of its own for it"));
        }
        for index in partition.indexes_on(name).filter(|index| !index.valid) {
            why.push(format!("the index {} of the partition {at} is not valid", index.name));
        }
        for constraint in partition.constraints_on(name).filter(|constraint| !constraint.inherited) {
            match constraint.kind {
                ConstraintKind::Exclude | ConstraintKind::ForeignKey => {
                    why.push(format!("the partition {at} has the constraint {} of its own on it", constraint.name));
                }
                ConstraintKind::Check
                | ConstraintKind::Unique
                | ConstraintKind::PrimaryKey
                | ConstraintKind::NotNull => {}
            }
        }
        let uses = partition.dependents.iter().filter(|dependent| dependent.column.as_deref() == Some(name));
        for dependent in uses.filter(|dependent| !dependent.foreign_key) {
            why.push(format!("{} uses that of the partition {at}", dependent.description));
        }
        for trigger in partition.triggers.iter().filter(|trigger| trigger.columns.iter().any(|column| column == name)) {
            why.push(format!("trigger {} of the partition {at} names it", trigger.name));
        }
        for statistics in partition.statistics.iter().filter(|known| known.columns.iter().any(|column| column == name))
        {
            why.push(format!("the statistics {} are on that of the partition {at}", statistics.name));
        }
        let points = cx.catalog.tables.iter().flat_map(|other| &other.constraints).filter(|constraint| {
            constraint.kind == ConstraintKind::ForeignKey
                && constraint.references.as_ref() == Some(at)
                && constraint.referenced_columns.iter().any(|column| column == name)
        });
        // Behind a foreign key to the partitioned table stands one to each partition.
        for key in points.filter(|key| !key.inherited) {
            why.push(format!("the foreign key {} points to that of the partition {at}", key.name));
        }
    }
    if table.kind == TableKind::Partitioned {
        for index in table.indexes_on(name).filter(|index| !index.valid) {
            why.push(format!("its index {} is not complete: a partition has none", index.name));
        }
    }
    why
}
