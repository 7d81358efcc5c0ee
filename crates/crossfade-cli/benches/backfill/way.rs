//! The ways to fill a column: Crossfade's, and those that people take by hand.

use crate::change::Change;

/// Rows of a batch that is made by hand.
pub const BATCH: u64 = 1000;

/// One way to fill a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// One UPDATE of the whole table, by psql.
    Single,
    /// `crossfade migrate --workers N` that never rests.
    Crossfade {
        /// How many connections.
        workers: u32,
    },
    /// Batches by ranges of the key, by psql, in one procedure that commits each.
    KeyBatches,
    /// Batches of what is NULL yet, the same way. Each searches for its rows behind all that are done.
    NullBatches,
}

impl Way {
    /// As it stands in the tables.
    pub fn title(self) -> String {
        match self {
            Way::Single => "one UPDATE".to_owned(),
            Way::Crossfade { workers: 1 } => "crossfade, 1 worker".to_owned(),
            Way::Crossfade { workers } => format!("crossfade, {workers} workers"),
            Way::KeyBatches => format!("key batches of {BATCH}"),
            Way::NullBatches => format!("`WHERE target IS NULL LIMIT {BATCH}`"),
        }
    }
}

/// By ranges of the key: no batch reads what another has done.
pub fn key_batches(change: &Change) -> String {
    let update = change.fill(&format!("WHERE id > done AND id <= done + {BATCH}"));
    format!(
        "DO $$
         DECLARE done bigint := 0; last bigint := (SELECT max(id) FROM users);
         BEGIN
             WHILE done < last LOOP
                 {update};
                 COMMIT;
                 done := done + {BATCH};
             END LOOP;
         END $$"
    )
}

/// By what is NULL yet.
pub fn null_batches(change: &Change) -> String {
    let unfilled = format!("SELECT id FROM users WHERE {} IS NULL LIMIT {BATCH}", change.column);
    let update = change.fill(&format!("WHERE id IN ({unfilled})"));
    format!(
        "DO $$
         BEGIN
             LOOP
                 {update};
                 EXIT WHEN NOT FOUND;
                 COMMIT;
             END LOOP;
         END $$"
    )
}
