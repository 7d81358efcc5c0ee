//! Where a chunked step stands, and which chunk comes next.
//!
//! A relation that is swept by blocks is cut into segments, each with a cursor of its own, so that several workers can sweep it at the
//! same time, and any number of them can go on after a crash.
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
    /// Which segment of the relation, and of how many.
    #[serde(default, skip_serializing_if = "Segment::is_whole")]
    pub segment: Segment,
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

/// A part of a relation that is swept by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Segment {
    /// Its position, from 0.
    pub position: u32,
    /// Segments in all.
    pub of: u32,
}

impl Default for Segment {
    fn default() -> Segment {
        Segment { position: 0, of: 1 }
    }
}

impl Segment {
    /// Blocks that are worth a segment of their own.
    const BLOCKS: u64 = 1024;
    /// Most segments of a relation: enough for the workers to end at about the same time.
    const MOST: u64 = 16;

    fn is_whole(&self) -> bool {
        *self == Segment::default()
    }

    /// The segments of a relation of so many blocks.
    pub fn all(blocks: u64) -> Vec<Segment> {
        let of = (blocks / Segment::BLOCKS).clamp(1, Segment::MOST) as u32;
        (0..of).map(|position| Segment { position, of }).collect()
    }

    /// Its first block, and the one behind its last, in a relation of so many blocks.
    fn range(self, blocks: u64) -> (u64, u64) {
        let of = u64::from(self.of.max(1));
        let at = |position: u64| {
            // Without overflow: a relation has fewer than 2^32 blocks.
            blocks * position.min(of) / of
        };
        (at(u64::from(self.position)), at(u64::from(self.position) + 1))
    }
}

/// What a cursor goes through: one segment of one relation, or all relations that are swept by keys, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// By keys.
    Keys,
    /// By blocks: the relation and the segment.
    Blocks(u32, u32),
}

impl Lane {
    /// A number for it, for the journal's tables.
    pub fn number(self) -> i64 {
        match self {
            Lane::Keys => -1,
            Lane::Blocks(unit, segment) => (i64::from(unit) << 16) + i64::from(segment),
        }
    }
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

impl Chunk {
    /// More than a block has line pointers, as a power of two.
    const MOST_LINE_POINTERS: u32 = 512;

    /// Both halves of it: of its blocks, and of one block's line pointers, those that are congruent to the stripe, with twice the modulus. None where
    /// it is one line pointer.
    pub fn halves(self) -> Option<(Chunk, Chunk)> {
        if self.to - self.from > 1 {
            let middle = self.from + (self.to - self.from) / 2;
            return Some((Chunk { to: middle, ..self }, Chunk { from: middle, ..self }));
        }
        if self.stripes >= Chunk::MOST_LINE_POINTERS {
            return None;
        }
        let stripes = self.stripes * 2;
        Some((Chunk { stripes, ..self }, Chunk { stripes, stripe: self.stripe + self.stripes, ..self }))
    }

    /// The TID of the row, where it is one line pointer.
    pub fn place(self) -> String {
        format!("({},{})", self.from, self.stripe)
    }
}

impl Cursor {
    /// The beginning of a relation of `end_block` blocks.
    pub fn start(unit: u32, file_node: u32, end_block: u64, width: u64) -> Cursor {
        Cursor::start_of_segment(unit, file_node, end_block, width, Segment::default())
    }

    /// The beginning of a segment of a relation of `end_block` blocks.
    pub fn start_of_segment(unit: u32, file_node: u32, end_block: u64, width: u64, segment: Segment) -> Cursor {
        let (window, _) = segment.range(end_block);
        Cursor { unit, file_node, end_block, segment, window, width: width.max(1), stripe: 0, keys: None }
    }

    /// What it goes through.
    pub fn lane(&self) -> Lane {
        match self.keys {
            Some(_) => Lane::Keys,
            None => Lane::Blocks(self.unit, self.segment.position),
        }
    }

    /// The block behind the last of its segment.
    fn behind_last(&self) -> u64 {
        self.segment.range(self.end_block).1
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
            None => self.window >= self.behind_last(),
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
        let to = self.window.saturating_add(self.width).min(self.behind_last());
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

    /// The same window anew, with so many blocks.
    #[must_use]
    pub fn narrowed(&self, width: u64) -> Cursor {
        Cursor { stripe: 0, width: width.max(1), ..self.clone() }
    }

    /// How much is swept: of blocks in its segment, or of rows in the relation that it goes through by keys.
    pub fn done(&self, stripes: u32) -> f64 {
        let (first, behind) = self.segment.range(self.end_block);
        if self.keys.is_some() {
            // How many rows there are is an estimate, and the end is known by its key only.
            return if self.is_done() {
                self.end_block as f64
            } else {
                (self.window as f64).min(self.end_block as f64 * 0.99)
            };
        }
        if self.is_done() {
            return (behind - first) as f64;
        }
        let chunk = self.chunk(stripes);
        let within = f64::from(self.stripe) / f64::from(stripes.max(1)) * (chunk.to - chunk.from) as f64;
        (self.window - first) as f64 + within
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
        assert!(!cursor.is_done() && cursor.done(1) > 0.0);
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
        fn halves_of_halves_are_each_line_pointer_once(from in 0u64..9, blocks in 1u64..9, stripes in 1u32..20, stripe in 0u32..20) {
            let chunk = Chunk { from, to: from + blocks, stripe: stripe % stripes, stripes };
            let mut seen = std::collections::BTreeSet::new();
            let mut pieces = vec![chunk];
            while let Some(piece) = pieces.pop() {
                match piece.halves() {
                    Some((first, second)) => pieces.extend([first, second]),
                    None => prop_assert!(seen.insert(piece.place())),
                }
            }
            for block in from..from + blocks {
                for pointer in (1..292u32).filter(|pointer| pointer % stripes == chunk.stripe) {
                    let tid = format!("({block},{pointer})");
                    prop_assert!(seen.contains(&tid), "{} is in no piece", tid);
                }
            }
        }

        #[test]
        fn chunks_cover_every_block_and_stripe_once(end in 0u64..4000, widths in prop::collection::vec(1u64..60, 1..40), stripes in 1u32..17) {
            let mut seen = std::collections::BTreeSet::new();
            let mut lanes = std::collections::BTreeSet::new();
            let mut total = 0.0;
            for segment in Segment::all(end) {
                let mut cursor = Cursor::start_of_segment(3, 1, end, widths[0], segment);
                prop_assert!(lanes.insert(cursor.lane().number()));
                let mut done = -1.0;
                let mut turn = 0;
                while !cursor.is_done() {
                    let chunk = cursor.chunk(stripes);
                    for block in chunk.from..chunk.to {
                        prop_assert!(seen.insert((block, chunk.stripe)), "block {block} stripe {} twice", chunk.stripe);
                    }
                    prop_assert!(cursor.done(stripes) > done);
                    done = cursor.done(stripes);
                    turn += 1;
                    cursor = cursor.next(stripes, widths[turn % widths.len()]);
                }
                total += cursor.done(stripes);
            }
            prop_assert_eq!(seen.len() as u64, end * u64::from(stripes));
            prop_assert_eq!(total, end as f64);
        }
    }
}
