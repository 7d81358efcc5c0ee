//! Rows that a migration changes.

use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;

use super::super::file::Look;
use super::super::file::More;

use crate::sql::act::Reach;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::Update { table, reach } => reached(look, table, *reach, "unbatched-update", "changed"),
        Deed::Delete { table, reach } => reached(look, table, *reach, "unbatched-delete", "deleted"),
        Deed::Merge { table } if !look.is_new(table) => {
            let message = format!("rows of {table} are changed in one transaction");
            look.find("unbatched-update", message, More { table: Some(table), safe: None });
        }
        Deed::Insert { table, columns, .. } => numbers(look, table, columns),
        Deed::Opaque { what, why } => {
            look.find("opaque-sql", format!("{what}: {why}"), More::default());
        }
        _ => {}
    }
}

fn reached(look: &mut Look<'_>, table: &ObjectRef, reach: Reach, rule: &'static str, done: &str) {
    if look.is_new(table) || !look.runs_now() {
        return;
    }
    let of = || More { table: Some(table), safe: None };
    let message = match reach {
        Reach::All => format!("every row of {table} is {done} in one transaction"),
        Reach::AlwaysTrue => {
            let message = format!("the WHERE is always true: every row of {table} is {done}");
            look.find("tautological-where", message, of());
            format!("every row of {table} is {done} in one transaction")
        }
        Reach::Some => format!("any number of rows of {table} are {done} in one transaction"),
        Reach::Few | Reach::None => return,
    };
    look.find(rule, message, of());
}

fn numbers(look: &mut Look<'_>, table: &ObjectRef, columns: &[String]) {
    let counted = columns.iter().find(|column| look.world.column(table, column).is_some_and(|column| column.counts));
    let end = look.act.span.end;
    let reset = look.acts.iter().filter(|act| act.span.start >= end).any(|act| match &act.deed {
        Deed::Select { functions } => functions.iter().any(|call| call.name == "setval"),
        Deed::Alter { thing: Thing::Sequence, .. } => true,
        Deed::Alter { changes, .. } => changes.iter().any(|change| matches!(change, Change::AlterIdentity)),
        Deed::Other { what } => what == "AlterSeq",
        _ => false,
    });
    if let Some(column) = counted
        && !reset
    {
        let message = format!("{table}.{column} is given by hand, and its sequence does not know");
        look.find("sequence-not-reset", message, More { table: Some(table), safe: None });
    }
}
