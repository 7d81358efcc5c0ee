//! The schema of a database as the rules know one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::observed::Observed;
use super::world::Key;
use super::world::KnownColumn;
use super::world::KnownConstraint;
use super::world::KnownIndex;
use super::world::KnownTable;
use super::world::KnownType;
use super::world::Size;
use super::world::World;
use crate::catalog::Catalog;
use crate::catalog::Column;
use crate::catalog::ConstraintKind;
use crate::catalog::Table;
use crate::catalog::TableKind;
use crate::catalog::Volatility;
use crate::sql::ObjectRef;
use crate::sql::ServerText;
use crate::sql::TableName;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::read_script;

impl World {
    /// All that a catalog says.
    pub fn of(catalog: &Catalog) -> World {
        let mut world = World { complete: true, ..World::default() };
        let mut sizes = BTreeMap::new();
        for table in &catalog.tables {
            let key = key(&table.name);
            world.tables.insert(key.clone(), Arc::new(known(table)));
            sizes.insert(key.clone(), size(catalog, table));
            for index in &table.indexes {
                let known = KnownIndex {
                    table: key.clone(),
                    columns: index.columns.clone(),
                    constraint: index.constraint.is_some(),
                    plain: !index.expression_or_predicate,
                    reads: if index.expression_or_predicate { index.columns.clone() } else { Vec::new() },
                };
                world.indexes.insert(key.beside(&index.name), Arc::new(known));
            }
        }
        for table in catalog.tables.iter().filter(|table| is_default(table)) {
            let parent = table.partition_of.as_ref().and_then(|parent| world.tables.get_mut(&self::key(parent)));
            if let Some(parent) = parent.map(Arc::make_mut) {
                parent.default_partition = Some(key(&table.name));
            }
        }
        for object in &catalog.objects {
            match object.kind.as_str() {
                "function" if object.volatility.is_some_and(|volatility| volatility < Volatility::Volatile) => {
                    world.steady_functions.push(object.name.name.as_str().to_owned());
                }
                "type" if object.constrained => {
                    world.types.insert(key(&object.name), KnownType::Domain { constrained: true });
                }
                "type" => drop(world.types.insert(key(&object.name), KnownType::Other)),
                _ => {}
            }
        }
        world.sizes = Arc::new(sizes);
        world
    }
}

impl World {
    /// Takes in what was observed beside the schema.
    pub fn observe(&mut self, observed: Observed) {
        self.loads = Arc::new(observed.loads.into_iter().map(|load| (key(&load.table), load)).collect());
        self.around = Arc::new(observed.around);
    }
}

fn is_default(table: &Table) -> bool {
    table.partition_bound.as_ref().is_some_and(|bound| bound.as_str() == "DEFAULT")
}

fn key(name: &TableName) -> Key {
    Key::of(&ObjectRef { schema: Some(name.schema.as_str().to_owned()), name: name.name.as_str().to_owned() })
}

/// Of a partitioned table all its partitions.
fn size(catalog: &Catalog, table: &Table) -> Size {
    let block = u64::from(catalog.block_size.max(1));
    let tree = catalog.tree(table);
    // Where nobody has analyzed the table, it has as many rows as fit.
    let rows = |table: &&&Table| if table.estimated_rows > 0 { table.estimated_rows } else { table.blocks * 50 };
    Size {
        rows: tree.iter().map(|table| rows(&table)).sum(),
        bytes: tree.iter().map(|table| table.blocks * block).sum(),
    }
}

fn known(table: &Table) -> KnownTable {
    let constraints = table.constraints.iter().map(|constraint| KnownConstraint {
        name: Some(constraint.name.clone()),
        form: match constraint.kind {
            ConstraintKind::Check => Form::Check,
            ConstraintKind::Unique => Form::Unique,
            ConstraintKind::PrimaryKey => Form::PrimaryKey,
            ConstraintKind::ForeignKey => Form::ForeignKey,
            ConstraintKind::Exclude => Form::Exclude,
            ConstraintKind::NotNull => Form::NotNull,
        },
        columns: constraint.columns.clone(),
        proves_not_null: match constraint.kind {
            ConstraintKind::Check => proofs(constraint.definition.as_str()),
            ConstraintKind::Unique
            | ConstraintKind::PrimaryKey
            | ConstraintKind::ForeignKey
            | ConstraintKind::Exclude
            | ConstraintKind::NotNull => Vec::new(),
        },
        validated: constraint.validated,
        unknown: false,
        references: constraint.references.as_ref().map(key),
    });
    let hangs = table.dependents.iter().filter(|dependent| !dependent.goes_along && !dependent.foreign_key);
    let own_policy = table.dependents.iter().any(|dependent| dependent.description.starts_with("policy "));
    KnownTable {
        columns: table.columns.iter().map(|column| (column.name.clone(), known_column(column))).collect(),
        constraints: constraints.collect(),
        partitioned: table.kind == TableKind::Partitioned,
        partition_key: table.partition_by.as_ref().map(partition_key).unwrap_or_default(),
        partition_of: table.partition_of.as_ref().map(key),
        default_partition: None,
        complete: true,
        dependents: hangs.map(|dependent| (dependent.column.clone(), dependent.description.clone())).collect(),
        replica_identity: table.indexes.iter().any(|index| index.replica_identity),
        policy: own_policy || table.row_security,
    }
}

fn known_column(column: &Column) -> KnownColumn {
    let written = column.type_name.as_str();
    let inside = written.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
    let modifiers = inside.into_iter().flat_map(|inside| inside.split(',')).filter_map(|part| part.trim().parse().ok());
    KnownColumn {
        base_type: column.base_type.trim_start_matches('_').to_owned(),
        modifiers: modifiers.collect(),
        array: written.ends_with("[]"),
        not_null: column.not_null,
        counts: column.identity.is_some() || column.owned_sequence.is_some(),
        computed_from: Vec::new(),
        is_virtual: false,
    }
}

/// What a table is partitioned by, from `RANGE (…)` as the server writes it.
fn partition_key(by: &ServerText) -> Vec<Option<String>> {
    let script = read_script(&["CREATE TABLE t () PARTITION BY ", by.as_str()].concat());
    let keys = script.acts.into_iter().filter_map(|act| match act.deed {
        Deed::CreateTable(table) => Some(table.partition_key),
        _ => None,
    });
    keys.flatten().collect()
}

/// The columns of which a CHECK, as the server writes it, proves that they are not NULL.
fn proofs(definition: &str) -> Vec<String> {
    let statement = ["ALTER TABLE t ADD CONSTRAINT c ", definition].concat();
    let script = read_script(&statement);
    let deeds = script.acts.into_iter().filter_map(|act| match act.deed {
        Deed::Alter { changes, .. } => Some(changes),
        _ => None,
    });
    let proven = deeds.flatten().filter_map(|change| match change {
        crate::sql::act::Change::AddConstraint(constraint) => Some(constraint.proves_not_null),
        _ => None,
    });
    proven.flatten().collect()
}
