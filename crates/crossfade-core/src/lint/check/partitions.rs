//! Partitions.

use crate::sql;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::CreateTable(table) => {
            if let Some(parent) = &table.partition_of
                && !look.is_new(parent)
            {
                let message = format!("{} becomes a partition of {parent}", table.name);
                look.find("create-partition-of", message, More { table: Some(parent), safe: None });
            }
        }
        Deed::Alter { thing: Thing::Table, table, changes, .. } => {
            for change in changes {
                match change {
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
