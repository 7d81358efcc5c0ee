//! How much of a backfill is done.

use std::collections::BTreeMap;

use super::Cursor;
use super::Lane;
use crate::step::Backfill;

/// How much of a backfill is done, 0 to 1, by the cursors of the lanes that have begun. Of one relation it is exact, since the blocks are
/// counted; several weigh by their estimated rows.
pub fn fraction<'a>(backfill: &Backfill, cursors: impl IntoIterator<Item = &'a Cursor>) -> f64 {
    let cursors: Vec<&Cursor> = cursors.into_iter().collect();
    let mut done = 0.0;
    let mut all = 0.0;
    for (position, unit) in (0u32..).zip(&backfill.units) {
        let weight = unit.estimated_rows.max(1) as f64;
        all += weight;
        let mut swept = 0.0;
        let mut size: f64 = 0.0;
        for cursor in &cursors {
            if cursor.unit == position {
                swept += cursor.done(unit.stripes);
                size = cursor.end_block as f64;
            } else if cursor.lane() == Lane::Keys && unit.keys.is_some() && cursor.unit > position {
                (swept, size) = (1.0, 1.0);
            }
        }
        if size > 0.0 {
            done += weight * (swept / size).min(1.0);
        }
    }
    if all > 0.0 { done / all } else { 0.0 }
}

/// Blocks that are swept, and blocks in all, of the relations that were begun. None where nothing is swept by blocks.
pub fn blocks<'a>(backfill: &Backfill, cursors: impl IntoIterator<Item = &'a Cursor>) -> Option<(u64, u64)> {
    let mut done = 0.0;
    let mut sizes = BTreeMap::new();
    for cursor in cursors {
        let Lane::Blocks(position, _) = cursor.lane() else { continue };
        let Some(unit) = backfill.units.get(position as usize) else { continue };
        done += cursor.done(unit.stripes);
        sizes.insert(position, cursor.end_block);
    }
    let all: u64 = sizes.values().sum();
    (!sizes.is_empty()).then_some(((done as u64).min(all), all))
}

#[cfg(test)]
mod tests {
    use super::super::Segment;
    use super::*;
    use crate::sql;
    use crate::sql::TableName;
    use crate::step::BackfillUnit;
    use crate::step::ChunkBounds;
    use crate::step::Outcome;

    fn of_units(rows: &[u64]) -> Backfill {
        let name = |at: usize| TableName::new("public", format!("t{at}"));
        let unit = |(at, rows): (usize, &u64)| BackfillUnit {
            relation: name(at),
            statement: sql!("SELECT 1"),
            bounds: ChunkBounds::TidRange,
            locate: sql!("SELECT 1"),
            stripes: 4,
            estimated_rows: *rows,
            keys: None,
        };
        Backfill {
            table: name(0),
            units: rows.iter().enumerate().map(unit).collect(),
            quiet: false,
            in_order: false,
            tidy: None,
            outcome: Outcome::Verified,
            park: false,
        }
    }

    #[test]
    fn segments_of_one_relation_add_up() {
        let backfill = of_units(&[1000]);
        let segments = Segment::all(2048);
        assert_eq!(segments.len(), 2);
        let begin = |segment| Cursor::start_of_segment(0, 1, 2048, 64, segment);
        let (first, second) = (begin(segments[0]), begin(segments[1]));
        assert_eq!(fraction(&backfill, []), 0.0);
        assert_eq!(fraction(&backfill, [&first]), 0.0);
        let half = first.next(4, 64);
        assert_eq!(fraction(&backfill, [&half, &second]), 16.0 / 2048.0);
        assert_eq!(blocks(&backfill, [&half, &second]), Some((16, 2048)));
        assert_eq!(blocks(&backfill, []), None);
        assert_eq!(blocks(&backfill, [&Cursor::start_of_keys(0, vec![None], 1000, 64)]), None);
        let mut end = second.clone();
        while !end.is_done() {
            end = end.next(4, 64);
        }
        assert_eq!(fraction(&backfill, [&end]), 0.5);
    }

    #[test]
    fn relations_weigh_by_their_rows() {
        let backfill = of_units(&[3000, 1000]);
        let done = Cursor::start(1, 1, 8, 8).next(1, 8);
        assert!(done.is_done());
        assert_eq!(fraction(&backfill, [&done]), 0.25);
        // An empty relation is done without a cursor.
        assert_eq!(fraction(&backfill, [&Cursor::start(0, 1, 0, 8)]), 0.0);
    }
}
