//! The locks that a statement takes on tables that are there already. Source: measured, reference lint-rules A1 to A9; the same on 13 to 18.

use crate::lock::LockMode;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;

use super::super::world::Key;
use super::super::world::World;

/// The strongest lock that one part of an ALTER TABLE takes on its table.
pub(super) fn of_change(change: &Change) -> LockMode {
    match change {
        Change::Validate { .. } | Change::Weak | Change::Options(_) | Change::Attach { .. } => {
            LockMode::ShareUpdateExclusive
        }
        Change::Detach { concurrently: true, .. } => LockMode::ShareUpdateExclusive,
        Change::AddConstraint(constraint) if constraint.form == Form::ForeignKey => LockMode::ShareRowExclusive,
        Change::SwitchTrigger { .. } => LockMode::ShareRowExclusive,
        Change::AddColumn { .. }
        | Change::DropColumn { .. }
        | Change::Type { .. }
        | Change::SetNotNull { .. }
        | Change::DropNotNull { .. }
        | Change::Default { .. }
        | Change::SetExpression { .. }
        | Change::DropExpression
        | Change::AddIdentity
        | Change::AlterIdentity
        | Change::AddConstraint(_)
        | Change::DropConstraint { .. }
        | Change::Detach { .. }
        | Change::Logged(_)
        | Change::Tablespace(_)
        | Change::AccessMethod(_)
        | Change::Storage
        | Change::RowSecurity { .. }
        | Change::ReplicaIdentity(_)
        | Change::Owner
        | Change::SwitchRule
        | Change::Inherit
        | Change::Other => LockMode::AccessExclusive,
    }
}

/// Tables and how they are locked, as far as that keeps others from writing.
pub(super) fn of(deed: &Deed, world: &World) -> Vec<(ObjectRef, LockMode)> {
    let strong = LockMode::AccessExclusive;
    match deed {
        Deed::Alter { thing, table, changes, .. } => {
            if *thing == Thing::Index || *thing == Thing::Type {
                return Vec::new();
            }
            let mut all: Vec<(ObjectRef, LockMode)> = Vec::new();
            for change in changes {
                all.push((table.clone(), of_change(change)));
                match change {
                    Change::AddConstraint(constraint) => {
                        all.extend(constraint.references.iter().map(|to| (to.clone(), LockMode::ShareRowExclusive)));
                    }
                    Change::AddColumn { column, .. } => {
                        let parents = column.constraints.iter().filter_map(|constraint| constraint.references.clone());
                        all.extend(parents.map(|parent| (parent, LockMode::ShareRowExclusive)));
                    }
                    Change::Attach { partition, .. } => all.push((partition.clone(), strong)),
                    Change::Detach { partition, concurrently: false } => all.push((partition.clone(), strong)),
                    _ => {}
                }
            }
            all
        }
        Deed::CreateTable(table) => {
            let own = table.columns.iter().flat_map(|column| &column.constraints).chain(&table.constraints);
            let parents = own.filter_map(|constraint| constraint.references.clone());
            let parents = parents.map(|parent| (parent, LockMode::ShareRowExclusive));
            parents.chain(table.partition_of.iter().map(|parent| (parent.clone(), strong))).collect()
        }
        Deed::CreateIndex(index) if !index.concurrently => vec![(index.table.clone(), LockMode::Share)],
        Deed::Drop {
            thing: Thing::Table | Thing::View | Thing::MaterializedView | Thing::ForeignTable, names, ..
        } => names.iter().map(|name| (name.clone(), strong)).collect(),
        Deed::Drop { thing: Thing::Trigger | Thing::Policy | Thing::Rule, on: Some(table), .. } => {
            vec![(table.clone(), strong)]
        }
        Deed::Drop { thing: Thing::Index, names, concurrently: false, .. } => {
            let tables = names.iter().filter_map(|name| world.indexes.get(&Key::of(name)));
            tables.map(|index| (index.table.shown(), strong)).collect()
        }
        Deed::Rename { thing, name, .. } => match thing {
            Thing::Table
            | Thing::View
            | Thing::MaterializedView
            | Thing::ForeignTable
            | Thing::Column
            | Thing::Constraint
            | Thing::Trigger
            | Thing::Policy
            | Thing::Rule => vec![(name.clone(), strong)],
            Thing::Index
            | Thing::Sequence
            | Thing::Type
            | Thing::Domain
            | Thing::Function
            | Thing::Schema
            | Thing::Database
            | Thing::Extension
            | Thing::Other => Vec::new(),
        },
        Deed::SetSchema { thing: Thing::Table | Thing::View | Thing::MaterializedView, name, .. } => {
            vec![(name.clone(), strong)]
        }
        Deed::Truncate { tables, .. } => tables.iter().map(|table| (table.clone(), strong)).collect(),
        Deed::Cluster { table: Some(table) } => vec![(table.clone(), strong)],
        Deed::Refresh { view, concurrently, .. } => {
            vec![(view.clone(), if *concurrently { LockMode::Exclusive } else { strong })]
        }
        Deed::CreateTrigger { table, .. } => vec![(table.clone(), LockMode::ShareRowExclusive)],
        Deed::CreateRule { table } | Deed::CreatePolicy { table } => vec![(table.clone(), strong)],
        Deed::Lock { tables, mode } => tables.iter().map(|table| (table.clone(), *mode)).collect(),
        _ => Vec::new(),
    }
}

/// Whether a statement may take long on tables that are there already.
pub(super) fn is_long(deed: &Deed, is_new: impl Fn(&ObjectRef) -> bool) -> bool {
    use crate::sql::act::Reach;
    match deed {
        Deed::Update { table, reach } | Deed::Delete { table, reach } => {
            !is_new(table) && matches!(reach, Reach::All | Reach::AlwaysTrue | Reach::Some)
        }
        Deed::Insert { selects, .. } => *selects,
        Deed::Merge { table } => !is_new(table),
        Deed::CreateIndex(index) => !is_new(&index.table) && !index.only,
        Deed::CreateMaterializedView { filled, .. } => *filled,
        Deed::Refresh { filled, .. } => *filled,
        Deed::CreateTable(table) => table.filled == Some(true),
        Deed::Alter { table, changes, .. } => {
            !is_new(table) && changes.iter().any(|change| matches!(change, Change::Validate { .. }))
        }
        _ => false,
    }
}
