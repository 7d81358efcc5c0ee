//! What is known of the schema, from earlier statements and files or from a catalog.

mod apply;
mod times;

pub(super) use times::Time;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::observed::Load;
use crate::catalog::Label;
use crate::catalog::free_name;
use crate::runbook::Surroundings;
use crate::sql::ObjectRef;
use crate::sql::TableName;
use crate::sql::act::Form;
use crate::sql::act::NewConstraint;

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

    /// As the catalog names it.
    pub fn place(&self) -> TableName {
        TableName::new(self.0.as_str(), self.1.as_str())
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
    /// The columns that it is partitioned by, nothing for an expression; empty where they are not known.
    pub partition_key: Vec<Option<String>>,
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

/// What is known. A copy shares what neither of the two has changed.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub tables: BTreeMap<Key, Arc<KnownTable>>,
    pub indexes: BTreeMap<Key, Arc<KnownIndex>>,
    pub types: BTreeMap<Key, KnownType>,
    /// Sizes of tables, where a database said them.
    pub sizes: Arc<BTreeMap<Key, Size>>,
    /// How much tables are used, where a database said it.
    pub loads: Arc<BTreeMap<Key, Load>>,
    /// What earlier runs took.
    pub around: Arc<Surroundings>,
    /// Functions of the user's that are known not to be volatile.
    pub steady_functions: Vec<String>,
    /// Whether a database was asked, so that what is not here is not there.
    pub complete: bool,
}

impl World {
    pub fn table(&self, name: &ObjectRef) -> Option<&KnownTable> {
        self.tables.get(&Key::of(name)).map(Arc::as_ref)
    }

    /// A table to change; one of which nothing is known is one from here on.
    fn table_mut(&mut self, key: Key) -> &mut KnownTable {
        Arc::make_mut(self.tables.entry(key).or_default())
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

    /// The name of a new constraint: its own, or the server's.
    pub fn name_of(&self, table: &Key, constraint: &NewConstraint) -> String {
        if let Some(name) = &constraint.name {
            return name.clone();
        }
        let label = match constraint.form {
            Form::Check => Label::Check,
            Form::ForeignKey => Label::ForeignKey,
            Form::Unique => Label::Unique,
            Form::PrimaryKey => Label::PrimaryKey,
            Form::Exclude => Label::Exclude,
            Form::NotNull => Label::NotNull,
        };
        let mut columns = constraint.columns.clone();
        if constraint.form == Form::Check {
            columns.sort();
            columns.dedup();
            // One that names several is named by its table alone.
            columns.truncate(if columns.len() == 1 { 1 } else { 0 });
        } else {
            columns.extend(constraint.including.iter().cloned());
        }
        let known = self.tables.get(table);
        let taken = |name: &str| {
            let beside = table.beside(name);
            let own = known.is_some_and(|known| known.constraints.iter().any(|own| own.name.as_deref() == Some(name)));
            own || constraint.form.is_key() && (self.indexes.contains_key(&beside) || self.tables.contains_key(&beside))
        };
        free_name(&table.1, &columns, label, taken)
    }

    /// The constraint of this name.
    pub fn constraint(&self, table: &ObjectRef, name: &str) -> Option<&KnownConstraint> {
        self.table(table)?.constraints.iter().find(|constraint| constraint.name.as_deref() == Some(name))
    }
}
