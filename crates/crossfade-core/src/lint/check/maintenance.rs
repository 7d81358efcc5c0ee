//! Rewrites, maintenance, materialized views, explicit locks.

use crate::sql;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;

use crate::lock::LockMode;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::Vacuum { full: true, tables } => {
            let what = tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let what = if what.is_empty() { "every table".to_owned() } else { what };
            look.find("vacuum-full", format!("{what} is written anew"), More { table: tables.first(), safe: None });
        }
        Deed::Cluster { table } => {
            let what = table.as_ref().map_or_else(|| "every table".to_owned(), ToString::to_string);
            if !table.as_ref().is_some_and(|table| look.is_new(table)) {
                look.find(
                    "cluster",
                    format!("{what} is written anew in another order"),
                    More { table: table.as_ref(), safe: None },
                );
            }
        }
        Deed::Refresh { view, concurrently: false, filled: true } if !look.is_new(view) => {
            let safe = sql!("REFRESH MATERIALIZED VIEW CONCURRENTLY {};", written(view));
            look.find(
                "refresh-materialized-view",
                format!("{view} is computed anew"),
                More { table: Some(view), safe: Some(safe) },
            );
        }
        Deed::CreateMaterializedView { name, filled: true } => {
            look.find("filled-in-migration", format!("{name} is filled where it is made"), More::default());
        }
        Deed::CreateTable(table) if table.filled == Some(true) && !table.temporary => {
            look.find("filled-in-migration", format!("{} is filled where it is made", table.name), More::default());
        }
        Deed::Lock { tables, mode } if *mode > LockMode::RowExclusive => {
            for table in tables.iter().filter(|table| !look.is_new(table)).collect::<Vec<_>>() {
                look.find(
                    "explicit-lock",
                    format!("{table} is locked in {mode} mode"),
                    More { table: Some(table), safe: None },
                );
            }
        }
        Deed::Alter { thing: Thing::Table | Thing::MaterializedView | Thing::Index, table, changes, .. }
            if !look.is_new(table) =>
        {
            for change in changes {
                altered(look, table, change);
            }
        }
        _ => {}
    }
}

fn altered(look: &mut Look<'_>, table: &ObjectRef, change: &Change) {
    let of = || More { table: Some(table), safe: None };
    match change {
        Change::Logged(logged) => {
            let what = if *logged { "logged" } else { "unlogged" };
            look.find("set-logged", format!("{table} becomes {what}"), of());
        }
        Change::Tablespace(to) => {
            look.find("set-tablespace", format!("{table} goes to the tablespace {to}"), of());
        }
        Change::AccessMethod(to) => look.find("set-access-method", format!("{table} is kept by {to}"), of()),
        Change::Options(options) => {
            let off = |(name, value): &(String, String)| {
                name == "autovacuum_enabled"
                    && matches!(value.to_ascii_lowercase().as_str(), "false" | "off" | "0" | "no")
            };
            if options.iter().any(off) {
                look.find("disable-autovacuum", format!("{table} is no longer vacuumed by itself"), of());
            }
        }
        _ => {}
    }
}
