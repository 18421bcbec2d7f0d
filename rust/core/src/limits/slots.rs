//! Concurrency as one 16-bit lane per worker: a dead worker's slots come back by no longer counting its lane.
//!
//! A running total would save sixteen loads and could disagree with the lanes; there is none.

use super::layout::{COLUMNS, Words, counter};

const LANE_BITS: usize = 16;
const LANES: usize = 64 / LANE_BITS;
const LANE_WORDS: usize = COLUMNS / LANES;
const LANE_MAX: u64 = (1 << LANE_BITS) - 1;
const EVEN_LANES: u64 = 0x0000_FFFF_0000_FFFF;
const _: () = assert!(LANE_WORDS <= counter::CELL_COUNT);

/// How long a counter without a slot in use is kept: it spares a busy key from making its counter anew for each call.
const KEPT_MS: u64 = 1_000;

/// One concurrency counter.
#[derive(Clone, Copy)]
pub(super) struct Slots<'a> {
    words: Words<'a>,
    base: usize,
}

impl<'a> Slots<'a> {
    pub fn new(words: Words<'a>, base: usize) -> Self {
        Self { words, base }
    }

    fn lane(self, column: usize) -> (usize, usize) {
        (self.base + counter::CELLS + column / LANES, column % LANES * LANE_BITS)
    }

    /// Slots in use by the workers of the mask `live`.
    pub fn held(self, live: u64) -> u64 {
        (0..LANE_WORDS)
            .map(|index| {
                let lanes = self.words.get(self.base + counter::CELLS + index) & lane_mask(live >> (index * LANES));
                (lanes & EVEN_LANES) + (lanes >> LANE_BITS & EVEN_LANES)
            })
            .map(|pairs| (pairs & 0xFFFF_FFFF) + (pairs >> 32))
            .sum()
    }

    /// The write that takes a slot in `column`; none when one worker already holds 65,535 of this counter.
    pub fn taken(self, column: usize) -> Option<(usize, u64)> {
        let (at, shift) = self.lane(column);
        let lanes = self.words.get(at);
        (lanes >> shift & LANE_MAX < LANE_MAX).then(|| (at, lanes + (1 << shift)))
    }

    /// The write that gives a slot of `column` back; none when it holds none.
    pub fn returned(self, column: usize) -> Option<(usize, u64)> {
        let (at, shift) = self.lane(column);
        let lanes = self.words.get(at);
        (lanes >> shift & LANE_MAX > 0).then(|| (at, lanes - (1 << shift)))
    }

    /// Zeroes the lanes of the workers of the mask `dead`.
    pub fn clear(self, dead: u64) {
        for index in 0..LANE_WORDS {
            let at = self.base + counter::CELLS + index;
            let lanes = self.words.get(at);
            let kept = lanes & !lane_mask(dead >> (index * LANES));
            if kept != lanes {
                self.words.set(at, kept);
            }
        }
    }

    /// Notes that the counter is in use at `now_ms`.
    pub fn touch(self, now_ms: u64) {
        self.words.set(self.base + counter::HEAD, now_ms);
    }

    pub fn is_idle(self, live: u64, now_ms: u64) -> bool {
        // The distance either way: a clock set back must not keep dead counters for ever.
        now_ms.abs_diff(self.words.get(self.base + counter::HEAD)) > KEPT_MS && self.held(live) == 0
    }
}

/// Spreads the four lowest bits of a column mask over the four lanes of a word.
#[inline]
fn lane_mask(columns: u64) -> u64 {
    let spread = (columns & 1) | (columns & 2) << 15 | (columns & 4) << 30 | (columns & 8) << 45;
    spread * LANE_MAX
}
