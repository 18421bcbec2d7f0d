//! A counter of concurrency: its slots in use are the sum of its lanes.

use super::lanes::{LANE_WORDS, Lanes};
use super::layout::{Words, counter};

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

    pub fn lanes(self) -> Lanes<'a> {
        Lanes::new(self.words, self.base + counter::CELLS)
    }

    /// Notes that the counter is in use at `now_ms`.
    pub fn touch(self, now_ms: u64) {
        self.words.set(self.base + counter::HEAD, now_ms);
    }

    pub fn is_idle(self, live: u64, now_ms: u64) -> bool {
        // The distance either way: a clock set back must not keep dead counters for ever.
        now_ms.abs_diff(self.words.get(self.base + counter::HEAD)) > KEPT_MS && self.lanes().held(live) == 0
    }
}
