//! Indexes.

use super::super::file::Look;
use super::super::file::More;
use super::super::world::Key;
use crate::sql;
use crate::sql::act::Deed;
use crate::sql::act::Thing;
use crate::sql::written;

pub(super) fn check(look: &mut Look<'_>) {
    match &look.act.deed {
        Deed::CreateIndex(index) if !index.concurrently && !look.is_new(&index.table) && !index.only => {
            let message = format!("an index on {} is built while nobody can write to it", index.table);
            look.find("create-index-blocking", message, More { table: Some(&index.table), safe: None });
        }
        Deed::Drop { thing: Thing::Index, names, concurrently: false, .. } => {
            for name in names {
                let known = look.world.indexes.get(&Key::of(name));
                if known.is_some_and(|index| look.file.made.contains(&index.table)) {
                    continue;
                }
                let safe = sql!("DROP INDEX CONCURRENTLY {};", written(name));
                let message = format!("{name} is dropped with a lock on its table that keeps everybody out");
                look.find("drop-index-blocking", message, More { table: None, safe: Some(safe) });
            }
        }
        _ => {}
    }
}
