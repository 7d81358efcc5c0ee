//! Which tables a migration has to do with, and how each version of the application knows them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crossfade_core::catalog::Catalog;
use crossfade_core::catalog::ConstraintKind;
use crossfade_core::catalog::Table;
use crossfade_core::catalog::TableKind;
use crossfade_core::runbook::tables as tables_of;
use crossfade_core::sql::Ident;
use crossfade_core::sql::Sql;
use crossfade_core::sql::TableName;
use crossfade_core::step::Plan;

use super::image::Tracked;
use super::rows;
use super::rows::Place;

/// So many tables of a migration are read and written by the applications.
const TABLES_PLAYED: usize = 8;

/// The tables that a migration has to do with: those that its plan locks, and those that are not the same afterwards.
pub fn touched(plan: &Plan, before: &Catalog, then: &Catalog) -> BTreeSet<TableName> {
    let mut found = tables_of(plan);
    for (one, other) in [(before, then), (then, before)] {
        let differs = |table: &&Table| {
            let twin = other.table(&table.name);
            twin.is_none_or(|twin| {
                shape_of(twin) != shape_of(table)
                    || twin.constraints != table.constraints
                    || twin.indexes.len() != table.indexes.len()
            })
        };
        found.extend(one.tables.iter().filter(differs).map(|table| table.name.clone()));
    }
    found
}

/// Columns by what an application knows of them.
fn shape_of(table: &Table) -> BTreeSet<(&str, &str, bool)> {
    table.columns.iter().map(|column| (column.name.as_str(), column.type_name.as_str(), column.not_null)).collect()
}

/// The tables that are played and watched, as each version knows them, at the same position in both.
pub fn pair(
    before: &Catalog,
    then: &Catalog,
    touched: &BTreeSet<TableName>,
) -> (Vec<Option<Tracked>>, Vec<Option<Tracked>>) {
    let is_played = |table: &&Table| {
        matches!(table.kind, TableKind::Table | TableKind::Partitioned) && table.partition_of.is_none()
    };
    let of = |catalog: &Catalog| -> Vec<Tracked> {
        let mine = catalog.tables.iter().filter(is_played).filter(|table| touched.contains(&table.name));
        mine.take(TABLES_PLAYED).map(tracked).collect()
    };
    let (old, mut new) = (of(before), of(then));
    let (mut olds, mut news) = (Vec::new(), Vec::new());
    for table in old {
        let renamed = |other: &Tracked| {
            before.table(&other.name).is_none()
                && then.table(&table.name).is_none()
                && other.key.len() == table.key.len()
                && other.columns.len() == table.columns.len()
        };
        let twin = new.iter().position(|other| other.name == table.name).or_else(|| new.iter().position(renamed));
        news.push(twin.map(|at| new.remove(at)));
        olds.push(Some(table));
    }
    olds.extend(new.iter().map(|_| None));
    news.extend(new.into_iter().map(Some));
    (olds, news)
}

fn tracked(table: &Table) -> Tracked {
    let key = table.sweep_key(&[]).unwrap_or_default();
    let key = if key.is_empty() { table.key() } else { key.into_iter().map(|column| column.name.as_str()).collect() };
    Tracked {
        name: table.name.clone(),
        key: key.into_iter().map(Ident::new).collect(),
        columns: table.columns.iter().map(|column| Ident::new(column.name.as_str())).collect(),
    }
}

/// Columns that are the same in both forms: what one version writes the other one reads.
pub fn same_columns(
    old: &[Option<Tracked>],
    new: &[Option<Tracked>],
    before: &Catalog,
    then: &Catalog,
) -> BTreeSet<(usize, String)> {
    let mut found = BTreeSet::new();
    for (at, pair) in old.iter().zip(new).enumerate() {
        let (Some(old), Some(new)) = pair else { continue };
        let (Some(old), Some(new)) = (before.table(&old.name), then.table(&new.name)) else { continue };
        let same = old
            .columns
            .iter()
            .filter(|column| new.column(&column.name).is_some_and(|other| other.type_name == column.type_name));
        found.extend(same.map(|column| (at, column.name.clone())));
    }
    found
}

/// What values must be castable to: columns that have another type afterwards.
pub fn casts(before: &Catalog, then: &Catalog) -> BTreeMap<Place, Sql> {
    let mut found = BTreeMap::new();
    for table in &before.tables {
        let Some(twin) = then.table(&table.name) else { continue };
        for column in &table.columns {
            if let Some(other) = twin.column(&column.name).filter(|other| other.type_name != column.type_name) {
                let can_be = rows::can_be(&Ident::new(column.name.as_str()), &other.type_name);
                found.insert((table.name.clone(), column.name.clone()), can_be);
            }
        }
    }
    found
}

/// These tables and all that they point to.
pub fn with_parents(catalog: &Catalog, tables: &BTreeSet<TableName>) -> BTreeSet<TableName> {
    let mut found = BTreeSet::new();
    let mut left: Vec<TableName> = tables.iter().cloned().collect();
    while let Some(name) = left.pop() {
        if !found.insert(name.clone()) {
            continue;
        }
        let Some(table) = catalog.table(&name) else { continue };
        let keys = table.constraints.iter().filter(|constraint| constraint.kind == ConstraintKind::ForeignKey);
        left.extend(keys.filter_map(|key| key.references.clone()));
        left.extend(table.partition_of.clone());
    }
    found
}
