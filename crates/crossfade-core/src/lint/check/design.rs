//! Design, which is asked for.

use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Form;
use crate::sql::act::Thing;

use super::super::file::Look;
use super::super::file::More;

use crate::sql::act::NewColumn;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::CreateTable(table) if !table.temporary => {
            for column in &table.columns {
                typed(look, &table.name, column, &table.constraints);
            }
            let own = table.columns.iter().flat_map(|column| &column.constraints).chain(&table.constraints);
            let key = own.clone().any(|constraint| constraint.form == Form::PrimaryKey);
            if !key && !table.open && !table.foreign && table.partition_of.is_none() && table.inherits.is_empty() {
                look.find("no-primary-key", format!("{} has no primary key", table.name), More::default());
            }
            if table.unlogged {
                look.find("unlogged-table", format!("{} is not logged", table.name), More::default());
            }
            if table.if_not_exists {
                let message = format!("{} may be there, and be another one", table.name);
                look.find("create-table-if-not-exists", message, More::default());
            }
            qualified(look, &table.name);
        }
        Deed::Alter { thing: Thing::Table, table, changes, .. } => {
            for change in changes {
                if let Change::AddColumn { column, .. } = change {
                    typed(look, table, column, &[]);
                }
            }
            qualified(look, table);
        }
        Deed::CreateIndex(index) => qualified(look, &index.table),
        Deed::Rename { name, .. } => qualified(look, name),
        Deed::CreateView { name, replace: true } => {
            look.find("replaced-code", format!("the view {name} is replaced"), More::default());
        }
        Deed::CreateFunction { name, replace: true, .. } => {
            look.find("replaced-code", format!("the function {name} is replaced"), More::default());
        }
        _ => {}
    }
}

fn qualified(look: &mut Look<'_>, table: &ObjectRef) {
    if table.schema.is_none() {
        look.find("unqualified-name", format!("{table} has no schema"), More::default());
    }
}

fn typed(look: &mut Look<'_>, table: &ObjectRef, column: &NewColumn, constraints: &[crate::sql::act::NewConstraint]) {
    let what = format!("{table}.{}", column.name);
    let key = |constraint: &crate::sql::act::NewConstraint| {
        constraint.form == Form::PrimaryKey && constraint.columns.contains(&column.name)
    };
    let counts = column.is_serial() || column.identity || column.constraints.iter().chain(constraints).any(key);
    let found = match column.base_type.as_str() {
        "int4" | "int2" | "serial" | "serial4" | "smallserial" | "serial2" if counts => {
            Some(("prefer-bigint", "holds two thousand million numbers at the most"))
        }
        "varchar" if !column.modifiers.is_empty() => Some(("prefer-text", "has a limit")),
        "bpchar" => Some(("avoid-char", "is filled up with blanks")),
        "timestamp" => Some(("prefer-timestamptz", "has no time zone")),
        "money" => Some(("avoid-money", "is of type money")),
        _ => None,
    };
    if let Some((rule, why)) = found {
        look.find(rule, format!("{what} {why}"), More::default());
    }
    if column.is_serial() {
        look.find("prefer-identity", format!("{what} is a serial"), More::default());
    }
}
