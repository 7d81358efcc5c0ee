//! Where a chunked step stands, and which chunk comes next.
//!
//! Source: striping, reference B3.4: a window of blocks is swept in `stripes` interleaved transactions, each touching the line
//! pointers that are congruent to it, so that every transaction leaves room on the page for the next one's HOT updates.

use serde::Deserialize;
use serde::Serialize;

/// Position of a chunked step. It grows strictly; it is stored in the transaction of the chunk before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which unit (relation) of the step.
    pub unit: u32,
    /// The relation's file node when its sweep began: a rewrite changes it, and the sweep starts again.
    pub file_node: u32,
    /// Blocks of the relation when its sweep began, after the trigger was committed: later blocks are written under it.
    pub end_block: u64,
    /// First block of the window.
    pub window: u64,
    /// Blocks in the window.
    pub width: u64,
    /// The stripe within the window.
    pub stripe: u32,
    /// Where a sweep by keys stands. `window`, `width` and `end_block` then count rows, as far as they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeyPlace>,
}

/// Where a sweep by keys stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyPlace {
    /// The last key that is done with; none at the beginning of a relation.
    pub after: Option<Vec<String>>,
    /// The highest key of each relation when the sweep began, none where it was empty: later rows are left alone.
    pub ends: Vec<Option<Vec<String>>>,
}

/// The physical range of one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// First block.
    pub from: u64,
    /// The block behind the last.
    pub to: u64,
    /// The stripe, of `stripes`.
    pub stripe: u32,
    /// How many stripes the window has.
    pub stripes: u32,
}

impl Cursor {
    /// The beginning of a relation of `end_block` blocks.
    pub fn start(unit: u32, file_node: u32, end_block: u64, width: u64) -> Cursor {
        Cursor { unit, file_node, end_block, window: 0, width: width.max(1), stripe: 0, keys: None }
    }

    /// The beginning of a relation that is swept by its key, of about so many rows.
    pub fn start_of_keys(unit: u32, ends: Vec<Option<Vec<String>>>, rows: u64, width: u64) -> Cursor {
        let keys = Some(KeyPlace { after: None, ends });
        Cursor { keys, ..Cursor::start(unit, 0, rows, width) }
    }

    /// Whether the relation is swept.
    pub fn is_done(&self) -> bool {
        match &self.keys {
            Some(keys) => self.end_key().is_none_or(|end| keys.after.as_ref() == Some(end)),
            None => self.window >= self.end_block,
        }
    }

    /// The beginning of the way back over what a sweep by keys has done.
    #[must_use]
    pub fn turned(&self) -> Cursor {
        let place = self.keys.clone().unwrap_or(KeyPlace { after: None, ends: Vec::new() });
        let done = |(unit, end): (usize, Option<Vec<String>>)| match unit.cmp(&(self.unit as usize)) {
            std::cmp::Ordering::Less => end,
            std::cmp::Ordering::Equal => place.after.clone(),
            std::cmp::Ordering::Greater => None,
        };
        let ends = place.ends.iter().cloned().enumerate().map(done).collect();
        Cursor::start_of_keys(0, ends, self.end_block, self.width)
    }

    /// The last key of the relation that is swept by keys.
    pub fn end_key(&self) -> Option<&Vec<String>> {
        self.keys.as_ref()?.ends.get(self.unit as usize)?.as_ref()
    }

    /// The cursor behind this key.
    #[must_use]
    pub fn behind(&self, key: &[String], width: u64) -> Cursor {
        let mut next = self.clone();
        if let Some(keys) = &mut next.keys {
            keys.after = Some(key.to_vec());
        }
        next.window = next.window.saturating_add(next.width);
        next.width = width.max(1);
        next
    }

    /// The chunk that this cursor stands before.
    pub fn chunk(&self, stripes: u32) -> Chunk {
        let to = self.window.saturating_add(self.width).min(self.end_block);
        Chunk { from: self.window, to, stripe: self.stripe, stripes: stripes.max(1) }
    }

    /// The cursor behind that chunk. The width may change only where a new window begins.
    #[must_use]
    pub fn next(&self, stripes: u32, width: u64) -> Cursor {
        let mut next = self.clone();
        if self.stripe + 1 < stripes.max(1) {
            next.stripe += 1;
        } else {
            next.stripe = 0;
            next.window = self.chunk(stripes).to;
            next.width = width.max(1);
        }
        next
    }

    /// How much of the relation is swept, 0 to 1.
    pub fn fraction(&self, stripes: u32) -> f64 {
        if self.is_done() {
            return 1.0;
        }
        if self.keys.is_some() {
            // How many rows there are is an estimate, and the end is known by its key only.
            return (self.window as f64 / self.end_block.max(1) as f64).min(0.99);
        }
        let chunk = self.chunk(stripes);
        let within = f64::from(self.stripe) / f64::from(stripes.max(1)) * (chunk.to - chunk.from) as f64;
        (self.window as f64 + within) / self.end_block as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sweep_by_keys_ends_at_the_key_that_it_began_with() {
        let key = |text: &str| vec![text.to_owned(), "b".to_owned()];
        let mut cursor = Cursor::start_of_keys(1, vec![None, Some(key("9"))], 100, 10);
        assert!(!cursor.is_done());
        cursor = cursor.behind(&key("5"), 20);
        assert!(!cursor.is_done() && cursor.fraction(1) > 0.0);
        let text = serde_json::to_string(&cursor).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Cursor>(&text).ok().as_ref(), Some(&cursor));
        cursor = cursor.behind(&key("9"), 20);
        assert!(cursor.is_done());
        assert_eq!(cursor.turned().keys.map(|keys| keys.ends), Some(vec![None, Some(key("9"))]));
        let half = Cursor::start_of_keys(0, vec![Some(key("4")), Some(key("9"))], 9, 3).behind(&key("2"), 3);
        assert_eq!(half.turned().keys.map(|keys| keys.ends), Some(vec![Some(key("2")), None]));
        assert!(Cursor::start_of_keys(0, vec![None], 0, 10).is_done());
        let before = r#"{"unit":0,"file_node":1,"end_block":8,"window":0,"width":4,"stripe":0}"#;
        assert_eq!(serde_json::from_str::<Cursor>(before).ok(), Some(Cursor::start(0, 1, 8, 4)));
    }

    proptest! {
        #[test]
        fn chunks_cover_every_block_and_stripe_once(end in 0u64..400, widths in prop::collection::vec(1u64..60, 1..40), stripes in 1u32..17) {
            let mut seen = std::collections::BTreeSet::new();
            let mut cursor = Cursor::start(0, 1, end, widths[0]);
            let mut fraction = -1.0;
            let mut turn = 0;
            while !cursor.is_done() {
                let chunk = cursor.chunk(stripes);
                for block in chunk.from..chunk.to {
                    prop_assert!(seen.insert((block, chunk.stripe)), "block {block} stripe {} twice", chunk.stripe);
                }
                prop_assert!(cursor.fraction(stripes) > fraction);
                fraction = cursor.fraction(stripes);
                turn += 1;
                cursor = cursor.next(stripes, widths[turn % widths.len()]);
            }
            prop_assert_eq!(seen.len() as u64, end * u64::from(stripes));
            prop_assert_eq!(cursor.fraction(stripes), 1.0);
        }
    }
}
