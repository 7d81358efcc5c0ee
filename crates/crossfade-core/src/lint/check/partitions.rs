//! Partitions.

use crate::sql;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::NewConstraint;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::CreateTable(table) => {
            for constraint in table.columns.iter().flat_map(|column| &column.constraints).chain(&table.constraints) {
                has_the_key(look, &table.name, &table.partition_key, constraint);
            }
            if let Some(parent) = &table.partition_of
                && !look.is_new(parent)
            {
                let message = format!("{} becomes a partition of {parent}", table.name);
                look.find("create-partition-of", message, More { table: Some(parent), safe: None });
            }
        }
        Deed::CreateIndex(index) if index.unique => {
            let key = known_key(look, &index.table);
            covers(look, &index.table, &key, &index.columns, "a unique index");
        }
        Deed::Alter { thing: Thing::Table, table, changes, .. } => {
            for change in changes {
                let key = known_key(look, table);
                match change {
                    Change::AddConstraint(constraint) => has_the_key(look, table, &key, constraint),
                    Change::AddColumn { column, .. } => {
                        column.constraints.iter().for_each(|constraint| has_the_key(look, table, &key, constraint));
                    }
                    Change::Attach { partition, .. } => attach(look, table, partition),
                    Change::Detach { partition, concurrently: false } if !look.is_new(table) => {
                        detach(look, table, partition)
                    }
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

fn known_key(look: &Look<'_>, table: &ObjectRef) -> Vec<Option<String>> {
    look.world.table(table).map(|known| known.partition_key.clone()).unwrap_or_default()
}

fn has_the_key(look: &mut Look<'_>, table: &ObjectRef, key: &[Option<String>], constraint: &NewConstraint) {
    let what = match constraint.form {
        Form::Unique => "a UNIQUE",
        Form::PrimaryKey => "a PRIMARY KEY",
        Form::Check | Form::ForeignKey | Form::Exclude | Form::NotNull => return,
    };
    let columns: Vec<Option<String>> = constraint.columns.iter().cloned().map(Some).collect();
    if constraint.using_index.is_none() {
        covers(look, table, key, &columns, what);
    }
}

/// Whether what is unique on a partitioned table has all that it is partitioned by: the server looks for a value in one partition only.
fn covers(look: &mut Look<'_>, table: &ObjectRef, key: &[Option<String>], columns: &[Option<String>], what: &str) {
    let Some(missing) = key.iter().find(|part| part.is_none() || !columns.contains(part)) else { return };
    let message = match missing {
        Some(column) => format!("{what} of {table}, which is partitioned by {column}, does not have that column"),
        None => format!("{table} is partitioned by an expression, so {what} of it can't be"),
    };
    look.find("partition-key-not-in-unique", message, More { table: Some(table), safe: None });
}

fn attach(look: &mut Look<'_>, parent: &ObjectRef, partition: &ObjectRef) {
    let default = look.world.table(parent).and_then(|table| table.default_partition.clone());
    // Whether the CHECK implies the bound, the server says; that there is a validated one that proves something is the sign of it.
    let checked = look.world.table(partition).is_some_and(|table| {
        table.constraints.iter().any(|constraint| constraint.form == Form::Check && constraint.validated)
    });
    if !look.is_new(partition) && !checked {
        let message = format!("{partition} is read as a whole, to see whether it fits");
        look.find("attach-partition-scan", message, More { table: Some(partition), safe: None });
    } else if let Some(default) = default
        && !look.is_new(parent)
    {
        let default = default.shown();
        let checked = look.world.table(&default).is_some_and(|table| {
            table.constraints.iter().any(|constraint| constraint.form == Form::Check && constraint.validated)
        });
        if !checked {
            let message = format!(
                "{default}, the default partition, is read as a whole, to see whether it has rows of {partition}"
            );
            look.find("attach-partition-scan", message, More { table: Some(&default), safe: None });
        }
    }
}

fn detach(look: &mut Look<'_>, parent: &ObjectRef, partition: &ObjectRef) {
    let default = look.world.table(parent).is_some_and(|table| table.default_partition.is_some());
    let safe = (look.server(14) && !default)
        .then(|| sql!("ALTER TABLE {} DETACH PARTITION {} CONCURRENTLY;", written(parent), written(partition)));
    look.find("detach-partition", format!("{partition} leaves {parent}"), More { table: Some(parent), safe });
}
