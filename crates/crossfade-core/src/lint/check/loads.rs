//! What goes with how much a table is used, and with how long an index takes.

use std::time::Duration;

use crate::finding::Severity;
use crate::lock::LockMode;
use crate::sql::ObjectRef;
use crate::sql::act::Change;
use crate::sql::act::Deed;
use crate::sql::act::Thing;

use super::super::file::Look;
use super::super::file::More;
use super::super::file::Runner;
use super::super::rule::Cost;
use super::super::world::Key;
use super::locks;

/// A build that takes less is over before somebody minds.
const LONG: Duration = Duration::from_secs(600);

pub(super) fn check(look: &mut Look<'_>) {
    if look.runs_now() {
        hot(look);
        slow_build(look);
    }
}

fn hot(look: &mut Look<'_>) {
    if look.world.loads.is_empty() && look.settings.hot_tables.is_empty() {
        return;
    }
    let locks = locks::of(&look.act.deed, look.world);
    let keeps_out = |(table, mode): &&(ObjectRef, LockMode)| {
        mode.conflicts_with(LockMode::RowExclusive) && !look.is_new(table) && look.is_hot(table)
    };
    let Some((table, mode)) = locks.iter().filter(keeps_out).max_by_key(|(_, mode)| *mode) else { return };
    let used = match look.world.loads.get(&Key::of(table)) {
        Some(load) => format!("is scanned {:.0} times and gets {:.0} writes a second", load.scans, load.writes),
        None => "is used all the time".to_owned(),
    };
    let before = look.found.len();
    let message = format!("{table} {used}, and is locked in {mode} mode");
    look.find("hot-table", message, More { table: Some(table), safe: None });
    // It gives way to those who wait, and tries again.
    if look.runner() == Runner::Crossfade {
        look.found.iter_mut().skip(before).for_each(|finding| finding.level = Severity::Note);
    }
}

fn slow_build(look: &mut Look<'_>) {
    let Some(table) = built_beside(&look.act.deed, look.is_phased_by_us()).filter(|table| !look.is_new(table)) else {
        return;
    };
    let size = look.world.sizes.get(&Key::of(table)).copied();
    let cost = Cost::build("", LockMode::ShareUpdateExclusive);
    let time = size.and_then(|size| look.world.time(table, size, cost));
    let message = match time {
        Some(time) if time.time >= LONG => {
            let minutes = time.time.as_secs().div_ceil(60);
            let rows = size.map_or(0, |size| size.rows);
            let measured = time.measured.map(|basis| format!(" ({basis})")).unwrap_or_default();
            format!("an index over {rows} rows of {table} takes about {minutes} minutes{measured}")
        }
        _ if look.settings.is_big(table) => format!("an index is built over {table}, which is big"),
        Some(_) | None => return,
    };
    look.find("slow-index-build", message, More { table: Some(table), safe: None });
}

/// The table on which a statement builds an index while others go on; Crossfade builds every index so.
pub(super) fn built_beside(deed: &Deed, by_us: bool) -> Option<&ObjectRef> {
    let key = |change: &Change| {
        let constraints = match change {
            Change::AddConstraint(constraint) => std::slice::from_ref(&**constraint),
            Change::AddColumn { column, .. } => column.constraints.as_slice(),
            _ => &[],
        };
        constraints.iter().any(|constraint| constraint.using_index.is_none() && constraint.form.is_key())
    };
    match deed {
        Deed::CreateIndex(index) if index.concurrently || by_us => Some(&index.table),
        Deed::Reindex { name, concurrently: true, .. } => name.as_ref(),
        Deed::Alter { thing: Thing::Table, table, changes } if by_us && changes.iter().any(key) => Some(table),
        _ => None,
    }
}
