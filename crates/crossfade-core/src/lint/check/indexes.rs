//! Indexes.

use crate::sql;
use crate::sql::Ident;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;
use crate::sql::written;

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;

use super::super::file::Runner;
use super::loads::built_beside;
use crate::sql::act::NewIndex;
use crate::sql::act::concurrently;

pub(super) fn check(look: &mut Look<'_>) {
    corruption(look);
    match &look.act.deed {
        Deed::CreateIndex(index) => create(look, index),
        Deed::Drop { thing: Thing::Index, names, concurrently, .. } => {
            for name in names {
                drop_index(look, name, *concurrently);
            }
            if *concurrently {
                outside(look, "DROP INDEX CONCURRENTLY");
            }
        }
        Deed::Reindex { thing, name, concurrently } => {
            if *concurrently {
                outside(look, "REINDEX CONCURRENTLY");
            } else if !name.as_ref().is_some_and(|name| look.is_new(name)) {
                let what = name.as_ref().map_or_else(|| "the database".to_owned(), ToString::to_string);
                let safe = name.as_ref().and_then(|name| match thing {
                    Thing::Index => Some(sql!("REINDEX INDEX CONCURRENTLY {};", written(name))),
                    Thing::Table => Some(sql!("REINDEX TABLE CONCURRENTLY {};", written(name))),
                    _ => None,
                });
                look.find("reindex-blocking", format!("{what} is indexed again"), More { table: None, safe });
                if matches!(thing, Thing::Schema | Thing::Database) {
                    outside(look, "REINDEX of all of it");
                }
            }
        }
        Deed::Alter { changes, .. }
            if changes.iter().any(|change| matches!(change, Change::Detach { concurrently: true, .. })) =>
        {
            outside(look, "DETACH PARTITION … CONCURRENTLY");
        }
        Deed::Vacuum { .. } => outside(look, "VACUUM"),
        Deed::Cluster { table: None } => outside(look, "CLUSTER of all tables"),
        Deed::Outside { what } => outside(look, what),
        Deed::Drop { thing: Thing::Database, .. } => outside(look, "DROP DATABASE"),
        _ => {}
    }
}

/// What is built CONCURRENTLY where that may lose rows; Crossfade builds every index so.
fn corruption(look: &mut Look<'_>) {
    if !look.corrupts_indexes() || !look.runs_now() {
        return;
    }
    let built = built_beside(&look.act.deed, look.is_phased_by_us());
    if let Some(table) = built.filter(|table| !look.is_new(table)) {
        let minor = look.minor.unwrap_or_default();
        let message = format!("{table} gets an index CONCURRENTLY, which may lack rows on PostgreSQL 14.{minor}");
        look.find("index-corruption-14", message, More { table: Some(table), safe: None });
    }
}

/// What can't run in a transaction.
fn outside(look: &mut Look<'_>, what: &str) {
    let alone = look.file.statements == 1 && look.runner() == Runner::Other && look.file.begun.is_none();
    if look.file.in_transaction && !alone || look.act.inside.is_some() {
        look.find("not-in-transaction", format!("{what} can't run in a transaction"), More::default());
    }
}

fn create(look: &mut Look<'_>, index: &NewIndex) {
    let table = &index.table;
    let of = |safe| More { table: Some(table), safe };
    let partitioned = look.world.table(table).is_some_and(|table| table.partitioned);
    if index.concurrently {
        if partitioned && !index.only {
            look.find("concurrently-on-partitioned", format!("{table} is partitioned"), of(None));
        }
        if index.if_not_exists
            && !look.file.dropped_indexes.iter().any(|(_, _, name)| Some(name) == index.name.as_ref())
        {
            let shown = index.name.clone().unwrap_or_default();
            let message = format!("{shown} may be there from a build that failed, and invalid");
            look.find("concurrent-index-if-not-exists", message, of(None));
        }
        if index.name.is_none() {
            look.find("concurrent-index-unnamed", format!("an index of {table} without a name"), of(None));
        }
        outside(look, "CREATE INDEX CONCURRENTLY");
    } else if !(look.is_new(table) || index.only && partitioned) {
        look.find(
            "create-index-blocking",
            format!("an index is built on {table} while nobody can write to it"),
            of(look.written().filter(|_| !partitioned).and_then(concurrently).map(|sql| sql!("{};", sql))),
        );
        if partitioned {
            look.find(
                "partitioned-fanout",
                format!("an index is built on all partitions of {table} at once"),
                of(None),
            );
        }
    }
    let key = Key::of(table);
    let columns: Vec<String> = index.columns.iter().map_while(Clone::clone).collect();
    if columns.len() != index.columns.len() || index.partial {
        return;
    }
    let replaced = look.file.dropped_indexes.iter().find(|(on, dropped, name)| {
        *on == key
            && Some(name) != index.name.as_ref()
            && !dropped.is_empty()
            && dropped.iter().all(|column| columns.contains(column))
    });
    if let Some((_, _, name)) = replaced
        && !look.is_new(table)
    {
        let message = format!("{name} is gone before the index in its place is there");
        look.find("replace-index-order", message, of(None));
    }
    let longer = look.world.indexes.iter().find(|(_, other)| {
        other.table == key
            && other.plain
            && !other.columns.is_empty()
            && other.columns.starts_with(&columns)
            && !index.unique
    });
    if let Some((_, other)) = longer
        && index.method == "btree"
    {
        let message =
            format!("an index of {table} over {} serves {}, too", other.columns.join(", "), columns.join(", "));
        look.find("redundant-index", message, of(None));
    }
    if columns.len() > 3 && !index.unique {
        look.find("wide-index", format!("an index of {table} over {} columns", columns.len()), of(None));
    }
}

fn drop_index(look: &mut Look<'_>, name: &ObjectRef, concurrently: bool) {
    let known = look.world.indexes.get(&Key::of(name));
    let table = known.map(|index| index.table.shown());
    let owned = known.is_some_and(|index| index.constraint);
    if table.as_ref().is_some_and(|table| look.is_new(table)) {
        return;
    }
    let partitioned = table.as_ref().and_then(|table| look.world.table(table)).is_some_and(|table| table.partitioned);
    if owned {
        let safe = table
            .as_ref()
            .map(|table| sql!("ALTER TABLE {} DROP CONSTRAINT {};", written(table), Ident::new(name.name.as_str())));
        look.find("drop-constraint-index", format!("{name} belongs to a constraint"), More { table: None, safe });
    } else if concurrently {
        if partitioned {
            look.find("concurrently-on-partitioned", format!("{name} is of a partitioned table"), More::default());
        }
    } else {
        let safe = (!partitioned).then(|| sql!("DROP INDEX CONCURRENTLY {};", written(name)));
        let message = format!("{name} is dropped with a lock on its table that keeps everybody out");
        look.find("drop-index-blocking", message, More { table: table.as_ref(), safe });
    }
}
