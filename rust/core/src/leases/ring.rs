//! One entry's words: what was spent in which bucket of Redis' time, and what may still be.

use super::entry::{BUCKET, CELL_COUNT, CELLS, DIRTY, GRANTED, HEAD, IDENTITY, LIMIT, VALID_MS, WINDOW_MS};
use crate::limits::memory::{Identity, Words, barrier};

/// The most buckets that make up a window.
const BUCKETS: u64 = 32;

/// The narrowest bucket: a narrower one would be over before the answer is here.
const NARROWEST_MS: u64 = 100;

/// What is leased may be spent for a bucket's width, and never longer than this: what lies idle here is soon back.
pub const LONGEST_VALID_MS: u64 = 2_000;

/// Slots that were leased may be taken for so long without asking again; Redis gives them to others a second later.
pub const SLOTS_VALID_MS: u64 = 9_000;

/// Width of a bucket of Redis' time.
#[must_use]
pub fn width_ms(window_ms: u64) -> u64 {
    window_ms.div_ceil(BUCKETS).max(NARROWEST_MS)
}

/// How many buckets before the current one count: those of the window, one in which what was granted may still be spent, and
/// one that bears a clock which is slewed.
#[must_use]
pub fn span(window_ms: u64) -> u64 {
    window_ms.div_ceil(width_ms(window_ms)) + 2
}

/// One entry, by its first word.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub words: Words<'a>,
    pub index: usize,
    pub base: usize,
}

impl Entry<'_> {
    #[inline]
    pub fn get(self, at: usize) -> u64 {
        self.words.get(self.base + at)
    }

    #[inline]
    pub fn set(self, at: usize, value: u64) {
        self.words.set(self.base + at, value);
    }

    /// Writes only what is new: other processors need not learn of it.
    #[inline]
    pub fn change(self, at: usize, value: u64) {
        if self.get(at) != value {
            self.set(at, value);
        }
    }

    pub fn identity(self, tag: u64) -> Identity {
        Identity {
            tag,
            rest: self.get(IDENTITY),
        }
    }

    pub fn is_slots(self) -> bool {
        self.get(WINDOW_MS) == 0
    }

    pub fn limit(self) -> u64 {
        self.get(LIMIT)
    }

    /// For how long an answer's units may be spent.
    pub fn valid_for_ms(self) -> u64 {
        if self.is_slots() {
            SLOTS_VALID_MS
        } else {
            width_ms(self.get(WINDOW_MS)).min(LONGEST_VALID_MS)
        }
    }

    /// The word that counts `bucket`, whatever it holds now.
    #[inline]
    pub fn cell(self, bucket: u64) -> usize {
        self.base + CELLS + slot(bucket)
    }

    /// The word that counts `bucket`, while the ring has it.
    #[inline]
    pub fn cell_of(self, bucket: u64) -> Option<usize> {
        self.has(bucket).then(|| self.cell(bucket))
    }

    fn has(self, bucket: u64) -> bool {
        let head = self.get(HEAD);
        bucket <= head && head - bucket < CELL_COUNT as u64
    }

    #[inline]
    pub fn spent(self, bucket: u64) -> u64 {
        self.cell_of(bucket).map_or(0, |cell| self.words.get(cell))
    }

    /// What was granted last and not spent, whether it may still be or not.
    #[inline]
    pub fn left_over(self) -> u64 {
        self.get(GRANTED).saturating_sub(self.spent(self.get(BUCKET)))
    }

    #[inline]
    pub fn is_valid(self, now_ms: u64) -> bool {
        now_ms < self.get(VALID_MS)
    }

    /// The buckets that the ring has, oldest first.
    pub fn buckets(self) -> impl Iterator<Item = u64> {
        let head = self.get(HEAD);
        head.saturating_sub(CELL_COUNT as u64 - 1)..=head
    }

    /// Moves the ring on so that it has `bucket`. A bucket from before all that it has is of another clock: then it starts
    /// anew, and what it had is forgotten. Killed half-way it is done again.
    pub fn move_to(self, bucket: u64) {
        let head = self.get(HEAD);
        if bucket <= head && self.has(bucket) {
            return;
        }
        let length = CELL_COUNT as u64;
        let first = if bucket < head || bucket - head >= length {
            bucket.saturating_sub(length - 1)
        } else {
            head + 1
        };
        for bucket in first..=bucket {
            self.words.set(self.cell(bucket), 0);
            let mask = self.get(DIRTY);
            self.change(DIRTY, mask & !(1 << slot(bucket)));
        }
        barrier();
        self.set(HEAD, bucket);
    }

    /// Notes that Redis was not told of what `bucket` has now.
    pub fn mark(self, bucket: u64) {
        if self.has(bucket) {
            self.change(DIRTY, self.get(DIRTY) | 1 << slot(bucket));
        }
    }
}

pub(super) fn slot(bucket: u64) -> usize {
    (bucket % CELL_COUNT as u64) as usize
}
