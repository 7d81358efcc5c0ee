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
        Cursor { unit, file_node, end_block, window: 0, width: width.max(1), stripe: 0 }
    }

    /// Whether the relation is swept.
    pub fn is_done(&self) -> bool {
        self.window >= self.end_block
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
        if self.end_block == 0 || self.is_done() {
            return 1.0;
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
