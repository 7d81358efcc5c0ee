//! What a file's statements leave behind: whether a transaction is open, what it holds, which timeouts are set.

use crate::lock::LockMode;
use crate::sql::act::Act;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;

use super::super::file::File;
use super::super::file::Held;
use super::super::world::Key;
use super::super::world::World;
use super::locks;

impl File {
    /// Takes in what a statement has done, before the world does.
    pub(in super::super) fn apply(&mut self, act: &Act, world: &World) {
        for (table, mode) in locks::of(&act.deed, world) {
            let key = Key::of(&table);
            if mode > LockMode::ShareUpdateExclusive && !self.made.contains(&key) {
                self.held.push(Held { table: key, shown: table.to_string(), mode });
            }
        }
        match &act.deed {
            Deed::CreateTable(table) => {
                let there = table.if_not_exists && world.tables.contains_key(&Key::of(&table.name));
                if !there {
                    self.made.insert(Key::of(&table.name));
                    self.made_here.push(Key::of(&table.name));
                }
            }
            Deed::CreateMaterializedView { name, .. } => drop(self.made.insert(Key::of(name))),
            Deed::CreateView { name, .. } => drop(self.views_made.insert(Key::of(name))),
            Deed::CreateType { name, .. } | Deed::CreateDomain { name, .. } => {
                self.types_made.insert(Key::of(name), self.transaction);
            }
            Deed::CreateSchema { name, .. } => drop(self.schemas_made.insert(name.clone())),
            Deed::AddEnumValue { name, value, .. } => {
                self.values_added.push((value.clone(), self.transaction, Key::of(name)));
            }
            Deed::Alter { table, changes, .. } => {
                for change in changes {
                    match change {
                        Change::AddConstraint(constraint) => {
                            if constraint.not_valid {
                                self.not_valid.push((Key::of(table), constraint.name.clone(), self.transaction));
                            }
                            self.add_parent(constraint.references.as_ref().map(Key::of));
                        }
                        Change::AddColumn { column, .. } => {
                            for constraint in &column.constraints {
                                self.add_parent(constraint.references.as_ref().map(Key::of));
                            }
                        }
                        Change::Detach { partition, .. } => drop(self.detached.insert(Key::of(partition))),
                        _ => {}
                    }
                }
            }
            Deed::Rename { thing: Thing::Table, name, to, .. } => {
                let key = Key::of(name);
                if self.made.remove(&key) {
                    self.made.insert(key.beside(to));
                }
            }
            Deed::Drop { thing: Thing::Index, names, .. } => {
                for name in names {
                    if let Some(index) = world.indexes.get(&Key::of(name)) {
                        self.dropped_indexes.push((index.table.clone(), index.columns.clone(), name.name.clone()));
                    } else {
                        self.dropped_indexes.push((Key::of(name), Vec::new(), name.name.clone()));
                    }
                }
            }
            Deed::Set { name, value, local } if name.ends_with("_timeout") => {
                if value.as_deref() == Some("0") {
                    self.timeouts.remove(name);
                } else {
                    self.timeouts.insert(name.clone(), *local);
                }
            }
            Deed::Reset { name: Some(name) } => drop(self.timeouts.remove(name)),
            Deed::Reset { name: None } => self.timeouts.clear(),
            Deed::Begin => {
                self.begun = Some(act.span);
                self.in_transaction = true;
            }
            Deed::Commit | Deed::Rollback => {
                if matches!(act.deed, Deed::Rollback) {
                    for table in std::mem::take(&mut self.made_here) {
                        self.made.remove(&table);
                    }
                }
                if self.begun.take().is_some() && !self.wrapped {
                    self.in_transaction = false;
                }
                self.end_transaction();
            }
            _ => {}
        }
        if !self.in_transaction {
            self.end_transaction();
        }
    }

    fn add_parent(&mut self, parent: Option<Key>) {
        let new = parent.filter(|parent| !self.made.contains(parent) && !self.parents.contains(parent));
        self.parents.extend(new);
    }
}
