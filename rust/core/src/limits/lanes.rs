//! What is open now, as one 16-bit lane per worker: a dead worker's part comes back by no longer counting its lane.
//!
//! A running total would save sixteen loads and could disagree with the lanes; there is none.

use super::layout::{COLUMNS, Words};

const LANE_BITS: usize = 16;
const LANES: usize = 64 / LANE_BITS;
/// Words that the lanes of all columns take.
pub(crate) const LANE_WORDS: usize = COLUMNS / LANES;
const LANE_MAX: u64 = (1 << LANE_BITS) - 1;
const EVEN_LANES: u64 = 0x0000_FFFF_0000_FFFF;

/// The lanes that begin at one word.
#[derive(Clone, Copy)]
pub(crate) struct Lanes<'a> {
    words: Words<'a>,
    first: usize,
}

impl<'a> Lanes<'a> {
    pub fn new(words: Words<'a>, first: usize) -> Self {
        Self { words, first }
    }

    fn lane(self, column: usize) -> (usize, usize) {
        (self.first + column / LANES, column % LANES * LANE_BITS)
    }

    /// What the workers of the mask `live` have open.
    #[inline]
    pub fn held(self, live: u64) -> u64 {
        // Workers sit in the lowest columns that are free: mostly all lanes of the living lie in the first word.
        (0..LANE_WORDS)
            .take_while(|index| live >> (index * LANES) != 0)
            .map(|index| {
                let lanes = self.words.get(self.first + index) & lane_mask(live >> (index * LANES));
                (lanes & EVEN_LANES) + (lanes >> LANE_BITS & EVEN_LANES)
            })
            .map(|pairs| (pairs & 0xFFFF_FFFF) + (pairs >> 32))
            .sum()
    }

    /// The write that opens one more in `column`; none when one worker already has 65,535 here.
    pub fn taken(self, column: usize) -> Option<(usize, u64)> {
        let (at, shift) = self.lane(column);
        let lanes = self.words.get(at);
        (lanes >> shift & LANE_MAX < LANE_MAX).then(|| (at, lanes + (1 << shift)))
    }

    /// The write that gives one of `column` back; none when it has none.
    pub fn returned(self, column: usize) -> Option<(usize, u64)> {
        let (at, shift) = self.lane(column);
        let lanes = self.words.get(at);
        (lanes >> shift & LANE_MAX > 0).then(|| (at, lanes - (1 << shift)))
    }

    /// Zeroes the lanes of the workers of the mask `dead`.
    pub fn clear(self, dead: u64) {
        for index in 0..LANE_WORDS {
            let at = self.first + index;
            let lanes = self.words.get(at);
            let kept = lanes & !lane_mask(dead >> (index * LANES));
            if kept != lanes {
                self.words.set(at, kept);
            }
        }
    }
}

/// Spreads the four lowest bits of a column mask over the four lanes of a word.
#[inline]
fn lane_mask(columns: u64) -> u64 {
    let spread = (columns & 1) | (columns & 2) << 15 | (columns & 4) << 30 | (columns & 8) << 45;
    spread * LANE_MAX
}
