//! How many of the calls of late failed: a ring of eleven buckets, each a tenth of the window wide.

use super::board::Place;
use super::entry::{RATE_CELL_COUNT, RATE_CELLS, RATE_HEAD, RATE_WIDTH_MS};
use super::pool::Policy;
use crate::limits::memory::Words;

/// The ring holds one bucket more: the one that is filling.
const BUCKETS: u64 = 10;
const RING: u64 = RATE_CELL_COUNT as u64;
const _: () = assert!(RING == BUCKETS + 1);

/// The high half of a cell counts failures, the low one calls.
const FAILURE: u64 = 1 << 32;
const HALF: u64 = FAILURE - 1;

/// The ring of one entry, moved on to a moment.
pub(super) struct Rate<'a> {
    words: Words<'a>,
    base: usize,
}

impl<'a> Rate<'a> {
    pub fn new(words: Words<'a>, place: Place) -> Self {
        Self {
            words,
            base: place.base,
        }
    }

    fn cell(&self, bucket: u64) -> usize {
        self.base + RATE_CELLS + (bucket % RING) as usize
    }

    /// Counts calls and failures at `now_ms`. Killed half-way, it has forgotten at most what was counted before.
    pub fn count(&self, calls: u64, failures: u64, window_ms: u64, now_ms: u64) {
        let width_ms = window_ms.div_ceil(BUCKETS).max(1);
        let bucket = now_ms / width_ms;
        let head = self.words.get(self.base + RATE_HEAD);
        // Another width, or a clock set back by more than a window: begun anew.
        if self.words.get(self.base + RATE_WIDTH_MS) != width_ms || head > bucket.saturating_add(BUCKETS) {
            self.clear();
            self.words.set(self.base + RATE_WIDTH_MS, width_ms);
            self.words.set(self.base + RATE_HEAD, bucket);
        } else if bucket > head {
            for skipped in head.saturating_add(1).max(bucket.saturating_sub(BUCKETS))..=bucket {
                self.words.set(self.cell(skipped), 0);
            }
            self.words.set(self.base + RATE_HEAD, bucket);
        }
        let cell = self.cell(bucket.max(head.min(bucket.saturating_add(BUCKETS))));
        let counted = self.words.get(cell);
        let (failed, called) = ((counted >> 32) + failures, (counted & HALF) + calls);
        self.words.set(cell, failed.min(HALF) << 32 | called.min(HALF));
    }

    /// Whether too many of the calls in the ring failed.
    pub fn is_too_high(&self, policy: &Policy) -> bool {
        let cells = self.base + RATE_CELLS..self.base + RATE_CELLS + RATE_CELL_COUNT;
        let (failed, called) = cells.fold((0, 0), |(failed, called), at| {
            let cell = self.words.get(at);
            (failed + (cell >> 32), called + (cell & HALF))
        });
        called >= policy.minimum_calls && failed.saturating_mul(1_000) >= policy.failure_permille.saturating_mul(called)
    }

    /// Forgets all that was counted.
    pub fn clear(&self) {
        for at in 0..RATE_CELL_COUNT {
            self.words.set(self.base + RATE_CELLS + at, 0);
        }
    }
}
