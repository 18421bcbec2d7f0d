//! A sliding window as a ring of 33 buckets, each a 32nd of the window wide.
//!
//! An event is counted while its bucket is one of the newest 33, that is for at least the whole window and at most one
//! bucket more. So never more than N are admitted in any window; the price is that a caller at exactly N per window may be
//! held back for up to 3 % of it.

use super::layout::{Words, barrier, counter};

/// How many buckets make up a window. The ring holds one more: the one that is filling.
pub(super) const BUCKETS: u64 = 32;
const RING: u64 = counter::CELL_COUNT as u64;
const _: () = assert!(RING == BUCKETS + 1);

/// Width of one bucket.
pub(super) fn width_ms(window_ms: u64) -> u64 {
    window_ms.div_ceil(BUCKETS).max(1)
}

/// What a window holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub used: u64,
    /// Until the newest event is forgotten and nothing is counted any more.
    pub reset_ms: u64,
}

/// One window counter: the words of its counter, seen at `now_ms`.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    words: Words<'a>,
    base: usize,
    width_ms: u64,
    now_ms: u64,
}

impl<'a> Window<'a> {
    pub fn new(words: Words<'a>, base: usize, now_ms: u64) -> Self {
        Self {
            words,
            base,
            width_ms: width_ms(words.get(base + counter::WINDOW_MS)),
            now_ms,
        }
    }

    fn cell(self, bucket: u64) -> usize {
        self.base + counter::CELLS + (bucket % RING) as usize
    }

    fn head(self) -> u64 {
        self.words.get(self.base + counter::HEAD)
    }

    /// The newest bucket, had it been moved on to now.
    ///
    /// A clock that is a little behind (another worker read it earlier, or it was slewed) counts as the newest bucket
    /// seen. One set back by more than a window would freeze the counter until that time returns, so then everything
    /// counted is dated now ([`Window::follow_back`]) and forgotten one window later. Only a clock that is set back and
    /// forth within that time loses what was counted.
    fn newest(self) -> u64 {
        let now = self.now_ms / self.width_ms;
        if self.is_ahead(now) { now } else { now.max(self.head()) }
    }

    fn is_ahead(self, now: u64) -> bool {
        self.head() > now.saturating_add(BUCKETS)
    }

    /// The filled buckets that still count, oldest first, as (bucket, count).
    fn filled(self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        let (head, newest) = (self.head(), self.newest());
        // After a set back all that is stored counts, and as if it had happened now.
        let oldest = head.max(newest).saturating_sub(BUCKETS);
        (oldest..head.saturating_add(1))
            .map(move |bucket| (bucket.min(newest), self.words.get(self.cell(bucket))))
            .filter(|(_, count)| *count > 0)
    }

    /// From now until `bucket` no longer counts.
    fn until_forgotten(self, bucket: u64) -> u64 {
        bucket
            .saturating_add(RING)
            .saturating_mul(self.width_ms)
            .saturating_sub(self.now_ms)
    }

    pub fn used(self) -> u64 {
        if self.newest() <= self.head() {
            // Then every cell counts, whichever bucket is its.
            let cells = self.base + counter::CELLS;
            return (cells..cells + counter::CELL_COUNT).fold(0, |sum, cell| sum.saturating_add(self.words.get(cell)));
        }
        self.filled().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    pub fn usage(self) -> Usage {
        let newest = self.filled().next_back();
        Usage {
            used: self.used(),
            reset_ms: newest.map_or(0, |(bucket, _)| self.until_forgotten(bucket)),
        }
    }

    /// How long until at least `excess` of what is counted now has been forgotten.
    pub fn until_freed(self, excess: u64) -> u64 {
        let mut freed = 0_u64;
        for (bucket, count) in self.filled() {
            freed = freed.saturating_add(count);
            if freed >= excess {
                return self.until_forgotten(bucket);
            }
        }
        0
    }

    /// Whether nothing here can still matter: no charge in the last whole window.
    pub fn is_idle(self) -> bool {
        let now = self.now_ms / self.width_ms;
        now > self.head().saturating_add(BUCKETS)
    }

    /// Moves the ring on to now, emptying the buckets that are reused; the number of the newest bucket, and its cell.
    ///
    /// Killed half-way it is simply done again: the cells it empties have left the window whatever the head says.
    pub fn advance(self) -> (u64, usize) {
        self.follow_back();
        let (head, newest) = (self.head(), self.newest());
        if newest > head {
            for bucket in head.saturating_add(1).max(newest.saturating_sub(BUCKETS))..=newest {
                self.words.set(self.cell(bucket), 0);
            }
            barrier();
            self.words.set(self.base + counter::HEAD, newest);
        }
        (newest, self.cell(newest))
    }

    /// Dates what is counted to now, if it is dated more than a window ahead. Refused requests do this too: else they would
    /// push the end of it before them.
    #[inline]
    pub fn follow_back(self) {
        let now = self.now_ms / self.width_ms;
        if self.is_ahead(now) {
            self.date_back(now);
        }
    }

    /// Dates all that is counted to the bucket `newest`. Killed half-way it may count twice, never too little.
    #[cold]
    fn date_back(self, newest: u64) {
        let (used, kept) = (self.used(), self.cell(newest));
        self.words.set(kept, used);
        barrier();
        for cell in (0..RING).map(|bucket| self.cell(bucket)).filter(|cell| *cell != kept) {
            self.words.set(cell, 0);
        }
        barrier();
        self.words.set(self.base + counter::HEAD, newest);
    }

    /// The cell of `bucket` if it still counts, without moving the ring.
    pub fn cell_of(self, bucket: u64) -> Option<usize> {
        let (head, newest) = (self.head(), self.newest());
        let counts = bucket <= head && newest >= bucket && newest - bucket <= BUCKETS;
        counts.then(|| self.cell(bucket))
    }
}
