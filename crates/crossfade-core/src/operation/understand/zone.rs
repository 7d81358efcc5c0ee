//! The time zone that the file's own session has at each of its statements: casts between `timestamp` and `timestamptz` go by it.

use super::super::Role;
use super::Reader;
use crate::migration::Migration;
use crate::sql::Span;
use crate::sql::StatementKind;
use crate::sql::TimeZoneChange;
use crate::sql::time_zone_change;

/// Where the file sets its time zone, by position.
pub(super) fn changes(migration: &Migration) -> Vec<(usize, TimeZoneChange)> {
    let sets = migration.statements.iter().enumerate().filter(|(_, statement)| match &statement.parsed.kind {
        StatementKind::Other { what, .. } => what == "SET",
        _ => false,
    });
    sets.filter_map(|(at, statement)| Some((at, time_zone_change(&statement.parsed.text)?))).collect()
}

impl Reader<'_> {
    /// The time zone at this place; none where it can't be told.
    pub(super) fn time_zone_at(&self, place: Span) -> Option<&str> {
        match self.last_zone(place) {
            Some((_, TimeZoneChange::To(zone))) => Some(zone),
            Some((_, TimeZoneChange::Unclear)) => None,
            Some((_, TimeZoneChange::Back)) | None => Some(&self.catalog().time_zone),
        }
    }

    /// The time zone that a statement will really run in as it is written: it has a session together with the SET in front of it only where all
    /// between them runs as written, too.
    pub(super) fn time_zone_to_run_in(&self, place: Span) -> Option<&str> {
        let zone = self.time_zone_at(place)?;
        let together = self.last_zone(place).is_none_or(|(set, _)| {
            let behind = |position: &usize| *position > *set;
            let others = self.operations.iter().filter(|(position, _)| behind(position));
            others.clone().all(|(_, operation)| operation.role() == Role::AsWritten)
                && !self.retypes.iter().any(|(position, _)| behind(position))
                && !self.keys.iter().any(|(position, _)| behind(position))
                && !self.rows.iter().any(|(position, _)| behind(position))
                && !self.touched.iter().any(|(position, _, _)| behind(position))
                && !self.pending.values().flatten().any(|pending| behind(&pending.statement))
        });
        (together || zone == self.catalog().time_zone).then_some(zone)
    }

    fn last_zone(&self, place: Span) -> Option<&(usize, TimeZoneChange)> {
        let starts_before = |at: usize| {
            self.cx.migration.statements.get(at).is_some_and(|statement| statement.parsed.span.start < place.start)
        };
        self.time_zones.iter().rev().find(|(at, _)| starts_before(*at))
    }
}
