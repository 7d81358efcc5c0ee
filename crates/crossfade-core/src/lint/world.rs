//! What is known of the schema, from earlier statements and files or from a catalog.

use std::collections::BTreeMap;
use std::time::Duration;

use super::rule::Cost;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::NewColumn;
use crate::sql::act::NewConstraint;
use crate::sql::act::NewTable;
use crate::sql::act::Thing;

/// A name with its schema; without one it is taken for one of `public`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(String, String);

impl Key {
    /// Of a name as it is written.
    pub fn of(name: &ObjectRef) -> Key {
        Key(name.schema.clone().unwrap_or_else(|| "public".to_owned()), name.name.clone())
    }

    /// Of another thing in the same schema.
    pub fn beside(&self, name: &str) -> Key {
        Key(self.0.clone(), name.to_owned())
    }

    /// As a statement names it.
    pub fn shown(&self) -> ObjectRef {
        let schema = (self.0 != "public").then(|| self.0.clone());
        ObjectRef { schema, name: self.1.clone() }
    }
}

/// A column.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownColumn {
    pub base_type: String,
    pub modifiers: Vec<i64>,
    pub array: bool,
    pub not_null: bool,
    /// Whether a sequence gives its values.
    pub counts: bool,
    /// The columns that it is computed from.
    pub computed_from: Vec<String>,
    /// Whether it is computed when it is read.
    pub is_virtual: bool,
}

/// A constraint.
#[derive(Clone, Debug)]
pub(super) struct KnownConstraint {
    pub name: Option<String>,
    pub form: Form,
    pub columns: Vec<String>,
    pub proves_not_null: Vec<String>,
    pub validated: bool,
    /// Whether nothing is known of it but that it was validated.
    pub unknown: bool,
    pub references: Option<Key>,
}

/// A table.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownTable {
    pub columns: BTreeMap<String, KnownColumn>,
    pub constraints: Vec<KnownConstraint>,
    pub partitioned: bool,
    pub partition_of: Option<Key>,
    pub default_partition: Option<Key>,
    /// Whether every column is known.
    pub complete: bool,
    /// What hangs on a column, as a database describes it: the column and what.
    pub dependents: Vec<(Option<String>, String)>,
    /// Whether REPLICA IDENTITY is another than the primary key.
    pub replica_identity: bool,
    /// Whether it has a policy.
    pub policy: bool,
}

/// An index.
#[derive(Clone, Debug)]
pub(super) struct KnownIndex {
    pub table: Key,
    pub columns: Vec<String>,
    pub constraint: bool,
    pub plain: bool,
    /// The columns that its expressions and its condition name.
    pub reads: Vec<String>,
}

/// A type of the user's.
#[derive(Clone, Debug)]
pub(super) enum KnownType {
    Domain { constrained: bool },
    Other,
}

/// How big a table is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub rows: u64,
    pub bytes: u64,
}

/// Bytes of heap that are read in a second, and that are written anew with their indexes. Cautious figures for disks of today; what counts
/// is whether it is a moment, minutes or hours.
const READ_A_SECOND: u64 = 200 << 20;
const WRITTEN_A_SECOND: u64 = 30 << 20;

impl Size {
    /// How long a statement takes that reads or writes all of it.
    pub fn time(self, cost: Cost) -> Option<Duration> {
        let rate = match (cost.rewrite, cost.scan) {
            (true, true) => WRITTEN_A_SECOND,
            (false, true) => READ_A_SECOND,
            (_, false) => return None,
        };
        Some(Duration::from_millis(self.bytes * 1000 / rate))
    }
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub tables: BTreeMap<Key, KnownTable>,
    pub indexes: BTreeMap<Key, KnownIndex>,
    pub types: BTreeMap<Key, KnownType>,
    /// Sizes of tables, where a database said them.
    pub sizes: BTreeMap<Key, Size>,
    /// Functions of the user's that are known not to be volatile.
    pub steady_functions: Vec<String>,
    /// Whether a database was asked, so that what is not here is not there.
    pub complete: bool,
}

impl World {
    pub fn table(&self, name: &ObjectRef) -> Option<&KnownTable> {
        self.tables.get(&Key::of(name))
    }

    /// A column's type, where it is known.
    pub fn column(&self, table: &ObjectRef, column: &str) -> Option<&KnownColumn> {
        self.table(table)?.columns.get(column)
    }

    /// Whether a validated CHECK proves that a column is not NULL.
    pub fn is_proven(&self, table: &ObjectRef, column: &str) -> bool {
        self.table(table).is_some_and(|table| {
            table.constraints.iter().any(|constraint| {
                let said = constraint.name.as_deref().is_some_and(|name| constraint.unknown && name.contains(column));
                constraint.validated && (said || constraint.proves_not_null.iter().any(|proven| proven == column))
            })
        })
    }

    /// The constraint of this name.
    pub fn constraint(&self, table: &ObjectRef, name: &str) -> Option<&KnownConstraint> {
        self.table(table)?.constraints.iter().find(|constraint| constraint.name.as_deref() == Some(name))
    }

    /// Takes in what a statement has done.
    pub fn apply(&mut self, deed: &Deed) {
        match deed {
            Deed::CreateTable(table) => self.create(table),
            Deed::CreateMaterializedView { name, .. } => {
                self.tables.insert(Key::of(name), KnownTable::default());
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
                    self.indexes.insert(table.beside(name), known);
                }
            }
            Deed::CreatePolicy { table } => self.tables.entry(Key::of(table)).or_default().policy = true,
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
        let mut table = KnownTable { partitioned: new.partitioned, complete: !new.open, ..KnownTable::default() };
        for column in &new.columns {
            table.add_column(column);
        }
        if let Some(parent) = &new.partition_of {
            let parent = Key::of(parent);
            if let Some(parent) = self.tables.get_mut(&parent) {
                for (name, column) in &parent.columns {
                    table.columns.entry(name.clone()).or_insert_with(|| column.clone());
                }
                if new.default_partition {
                    parent.default_partition = Some(key.clone());
                }
            }
            table.partition_of = Some(parent);
        }
        self.tables.insert(key.clone(), table);
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
            if let Some(partition) = self.tables.get_mut(&Key::of(partition)) {
                partition.partition_of = Some(key.clone());
            }
            let table = self.tables.entry(key).or_default();
            table.partitioned = true;
            if *default_partition {
                table.default_partition = Some(Key::of(partition));
            }
            return;
        }
        if let Change::Detach { partition, .. } = change
            && let Some(partition) = self.tables.get_mut(&Key::of(partition))
        {
            partition.partition_of = None;
        }
        match change {
            Change::AddColumn { column, .. } => {
                self.tables.entry(key.clone()).or_default().add_column(column);
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
        let table = self.tables.entry(key).or_default();
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
                if let Some(table) = self.tables.get_mut(&key) {
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
                    index.table = key.beside(to);
                }
            }
            _ => {}
        }
    }
}

impl World {
    /// Takes in a constraint, under the name that the server gives it where it has none, with its index.
    fn constrain(&mut self, key: &Key, constraint: &NewConstraint, validated: bool) {
        let ending = match constraint.form {
            Form::Check => "check",
            Form::ForeignKey => "fkey",
            Form::Unique => "key",
            Form::PrimaryKey => "pkey",
            Form::Exclude => "excl",
            Form::NotNull => "not_null",
        };
        let name = constraint.name.clone().unwrap_or_else(|| {
            let columns = constraint.columns.iter().filter(|_| constraint.form != Form::PrimaryKey);
            let parts: Vec<&str> =
                [key.1.as_str()].into_iter().chain(columns.map(String::as_str)).chain([ending]).collect();
            parts.join("_")
        });
        if matches!(constraint.form, Form::Unique | Form::PrimaryKey) {
            let taken = constraint.using_index.as_ref().and_then(|index| self.indexes.remove(&key.beside(index)));
            let columns = taken.map_or_else(|| constraint.columns.clone(), |index| index.columns);
            let index = KnownIndex { table: key.clone(), columns, constraint: true, plain: true, reads: Vec::new() };
            self.indexes.insert(key.beside(&name), index);
        }
        self.tables.entry(key.clone()).or_default().add_constraint(constraint, name, validated);
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
