//! What statements leave behind in the schema.

use std::sync::Arc;

use super::Key;
use super::KnownColumn;
use super::KnownConstraint;
use super::KnownIndex;
use super::KnownTable;
use super::KnownType;
use super::World;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::NewColumn;
use crate::sql::act::NewConstraint;
use crate::sql::act::NewTable;
use crate::sql::act::Thing;

impl World {
    /// Takes in what a statement has done.
    pub fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::CreateTable(table) => self.create(table),
            Deed::CreateMaterializedView { name, .. } => {
                self.tables.insert(Key::of(name), Arc::default());
            }
            Deed::CreateIndex(index) => {
                let table = Key::of(&index.table);
                if let Some(name) = &index.name {
                    let known = KnownIndex {
                        columns: index.columns.iter().map_while(Clone::clone).collect(),
                        constraint: false,
                        plain: !index.partial && index.columns.iter().all(Option::is_some),
                        reads: index.reads.clone(),
                        table: table.clone(),
                    };
                    self.indexes.insert(table.beside(name), Arc::new(known));
                }
            }
            Deed::CreatePolicy { table } => self.table_mut(Key::of(table)).policy = true,
            Deed::CreateDomain { name, constrained } => {
                self.types.insert(Key::of(name), KnownType::Domain { constrained: *constrained });
            }
            Deed::ConstrainDomain { name, .. } => {
                self.types.insert(Key::of(name), KnownType::Domain { constrained: true });
            }
            Deed::CreateType { name, .. } => {
                self.types.insert(Key::of(name), KnownType::Other);
            }
            Deed::Alter { table, changes, .. } => changes.iter().for_each(|change| self.alter(table, change)),
            Deed::Drop { thing, names, .. } => {
                for name in names {
                    match thing {
                        Thing::Index => drop(self.indexes.remove(&Key::of(name))),
                        Thing::Table | Thing::View | Thing::MaterializedView | Thing::ForeignTable => {
                            drop(self.tables.remove(&Key::of(name)));
                            self.indexes.retain(|_, index| index.table != Key::of(name));
                        }
                        Thing::Type | Thing::Domain => drop(self.types.remove(&Key::of(name))),
                        Thing::Sequence
                        | Thing::Function
                        | Thing::Schema
                        | Thing::Database
                        | Thing::Extension
                        | Thing::Trigger
                        | Thing::Policy
                        | Thing::Rule
                        | Thing::Column
                        | Thing::Constraint
                        | Thing::Other => {}
                    }
                }
            }
            Deed::Rename { thing, name, part, to, .. } => self.rename(*thing, name, part.as_deref(), to),
            Deed::SetSchema { name, to, .. } => {
                if let Some(table) = self.tables.remove(&Key::of(name)) {
                    self.tables.insert(Key(to.clone(), name.name.clone()), table);
                }
            }
            _ => {}
        }
    }

    fn create(&mut self, new: &NewTable) {
        let key = Key::of(&new.name);
        if new.if_not_exists && self.tables.contains_key(&key) {
            return;
        }
        let mut table = KnownTable {
            partitioned: new.partitioned,
            partition_key: new.partition_key.clone(),
            complete: !new.open,
            ..KnownTable::default()
        };
        for column in &new.columns {
            table.add_column(column);
        }
        if let Some(parent) = &new.partition_of {
            let parent = Key::of(parent);
            if let Some(parent) = self.tables.get_mut(&parent).map(Arc::make_mut) {
                for (name, column) in &parent.columns {
                    table.columns.entry(name.clone()).or_insert_with(|| column.clone());
                }
                if new.default_partition {
                    parent.default_partition = Some(key.clone());
                }
            }
            table.partition_of = Some(parent);
        }
        self.tables.insert(key.clone(), Arc::new(table));
        for constraint in new.columns.iter().flat_map(|column| &column.constraints).chain(&new.constraints) {
            self.constrain(&key, constraint, true);
        }
    }

    fn alter(&mut self, name: &ObjectRef, change: &Change) {
        let key = Key::of(name);
        let indexes = &self.indexes;
        let index_columns = |index: &str| indexes.get(&key.beside(index)).map(|index| index.columns.clone());
        let using = match change {
            Change::AddConstraint(constraint) => constraint.using_index.as_deref().and_then(index_columns),
            _ => None,
        };
        if let Change::Attach { partition, default_partition } = change {
            if let Some(partition) = self.tables.get_mut(&Key::of(partition)).map(Arc::make_mut) {
                partition.partition_of = Some(key.clone());
            }
            let table = self.table_mut(key);
            table.partitioned = true;
            if *default_partition {
                table.default_partition = Some(Key::of(partition));
            }
            return;
        }
        if let Change::Detach { partition, .. } = change
            && let Some(partition) = self.tables.get_mut(&Key::of(partition)).map(Arc::make_mut)
        {
            partition.partition_of = None;
        }
        match change {
            Change::AddColumn { column, .. } => {
                self.table_mut(key.clone()).add_column(column);
                column.constraints.iter().for_each(|constraint| self.constrain(&key, constraint, true));
                return;
            }
            Change::AddConstraint(constraint) => self.constrain(&key, constraint, !constraint.not_valid),
            Change::DropConstraint { name, .. } => drop(self.indexes.remove(&key.beside(name))),
            Change::DropColumn { column, .. } => {
                self.indexes.retain(|_, index| index.table != key || !index.columns.contains(column));
            }
            _ => {}
        }
        let table = self.table_mut(key);
        match change {
            Change::DropColumn { column, .. } => {
                table.columns.remove(column);
                table.constraints.retain(|constraint| !constraint.columns.contains(column));
            }
            Change::Type { column, base_type, modifiers, array, .. } => {
                let known = table.columns.entry(column.clone()).or_default();
                known.base_type.clone_from(base_type);
                known.modifiers.clone_from(modifiers);
                known.array = *array;
            }
            Change::SetNotNull { column } => {
                table.columns.entry(column.clone()).or_default().not_null = true;
            }
            Change::DropNotNull { column } => {
                table.columns.entry(column.clone()).or_default().not_null = false;
            }
            Change::AddConstraint(constraint) => {
                let columns = using.as_ref().unwrap_or(&constraint.columns);
                if constraint.form == Form::PrimaryKey || constraint.form == Form::NotNull && !constraint.not_valid {
                    for column in columns {
                        table.columns.entry(column.clone()).or_default().not_null = true;
                    }
                }
            }
            Change::DropConstraint { name, .. } => {
                table.constraints.retain(|constraint| constraint.name.as_ref() != Some(name));
            }
            Change::Validate { name } => {
                if !table.complete && !table.constraints.iter().any(|known| known.name.as_ref() == Some(name)) {
                    table.constraints.push(KnownConstraint {
                        name: Some(name.clone()),
                        form: Form::Check,
                        columns: Vec::new(),
                        proves_not_null: Vec::new(),
                        validated: true,
                        unknown: true,
                        references: None,
                    });
                }
                for constraint in &mut table.constraints {
                    if constraint.name.as_ref() == Some(name) {
                        constraint.validated = true;
                        if constraint.form == Form::NotNull {
                            for column in &constraint.columns {
                                table.columns.entry(column.clone()).or_default().not_null = true;
                            }
                        }
                    }
                }
            }
            Change::ReplicaIdentity(kind) => table.replica_identity = kind != "d",
            _ => {}
        }
    }

    fn rename(&mut self, thing: Thing, name: &ObjectRef, part: Option<&str>, to: &str) {
        let key = Key::of(name);
        match (thing, part) {
            (Thing::Column, Some(from)) => {
                if let Some(table) = self.tables.get_mut(&key).map(Arc::make_mut) {
                    if let Some(column) = table.columns.remove(from) {
                        table.columns.insert(to.to_owned(), column);
                    }
                    for constraint in &mut table.constraints {
                        let names = constraint.columns.iter_mut().chain(&mut constraint.proves_not_null);
                        names.filter(|column| *column == from).for_each(|column| *column = to.to_owned());
                    }
                }
            }
            (Thing::Index, _) => {
                if let Some(index) = self.indexes.remove(&key) {
                    self.indexes.insert(key.beside(to), index);
                }
            }
            (Thing::Table | Thing::View | Thing::MaterializedView | Thing::ForeignTable, None) => {
                if let Some(table) = self.tables.remove(&key) {
                    self.tables.insert(key.beside(to), table);
                }
                for index in self.indexes.values_mut().filter(|index| index.table == key) {
                    Arc::make_mut(index).table = key.beside(to);
                }
            }
            _ => {}
        }
    }
}

impl World {
    /// Takes in a constraint, under the name that the server gives it where it has none, with its index.
    fn constrain(&mut self, key: &Key, constraint: &NewConstraint, validated: bool) {
        let name = self.name_of(key, constraint);
        if matches!(constraint.form, Form::Unique | Form::PrimaryKey) {
            let taken = constraint.using_index.as_ref().and_then(|index| self.indexes.remove(&key.beside(index)));
            let columns = taken.map_or_else(|| constraint.columns.clone(), |index| index.columns.clone());
            let index = KnownIndex { table: key.clone(), columns, constraint: true, plain: true, reads: Vec::new() };
            self.indexes.insert(key.beside(&name), Arc::new(index));
        }
        self.table_mut(key.clone()).add_constraint(constraint, name, validated);
    }
}

impl KnownTable {
    fn add_column(&mut self, column: &NewColumn) {
        let known = KnownColumn {
            base_type: column.base_type.clone(),
            modifiers: column.modifiers.clone(),
            array: column.array,
            not_null: column.not_null || column.is_serial(),
            counts: column.is_serial() || column.identity,
            computed_from: column.computed_from.clone(),
            is_virtual: column.generated == Some(false),
        };
        self.columns.insert(column.name.clone(), known);
    }

    fn add_constraint(&mut self, constraint: &NewConstraint, name: String, validated: bool) {
        if constraint.form == Form::PrimaryKey {
            for column in &constraint.columns {
                self.columns.entry(column.clone()).or_default().not_null = true;
            }
        }
        self.constraints.push(KnownConstraint {
            name: Some(name),
            form: constraint.form,
            columns: constraint.columns.clone(),
            proves_not_null: constraint.proves_not_null.clone(),
            validated: validated && constraint.enforced,
            unknown: false,
            references: constraint.references.as_ref().map(Key::of),
        });
    }
}
