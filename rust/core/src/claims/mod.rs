//! Who of a host's workers is asking a model what several want to know: the others wait for its answer.
//!
//! Comes in: a key of 32 bytes (SHA-256, of which the first half tells keys apart), a worker's seat, the time, and the
//! memory, handed in by whoever holds its lock (the ledger crate). Goes out: whether the key is the worker's to ask. Never:
//! an answer, a clock, a lock.
//!
//! A claim is advice, no more. So it is never worth a refusal: where there is no room for one, it is yours without. It ends
//! when it is dropped, at its deadline, or with its worker: a dead worker's seat is nobody's any more, so nothing has to be
//! cleaned. Two keys with the same first half would make one wait for nothing; what is asked and answered is told apart by
//! the whole key, elsewhere.

#![allow(
    clippy::cast_possible_truncation,
    reason = "words are addresses and counts of a 64-bit machine"
)]

use crate::limits::memory::{Words, barrier};
use crate::limits::{COLUMNS, Seat, Table};

#[cfg(test)]
mod tests;

/// Claims that there is room for. The core's own tests fill their memory word by word, unoptimised.
const CLAIMS: usize = if cfg!(test) { 64 } else { 4_096 };

/// Places that a key may lie in.
const WAYS: usize = 16;
const _: () = assert!(CLAIMS % WAYS == 0);

/// The longest that a claim holds, in milliseconds. What seems to hold for longer was made before a clock was set back.
pub const MOST_MS: u64 = 600_000;

/// One claim.
mod slot {
    /// First eight bytes of the key, little-endian; 0 where there is no claim.
    pub const TAG: usize = 0;
    /// The next eight.
    pub const REST: usize = 1;
    /// Whose it is: the generation, and the column in the lowest bits.
    pub const SEAT: usize = 2;
    /// When it ends: Unix time in milliseconds.
    pub const UNTIL_MS: usize = 3;
    pub const WORDS: usize = 4;
}

/// Words of the region.
pub(crate) const REGION_WORDS: usize = CLAIMS * slot::WORDS;

/// What tells one claim from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    tag: u64,
    rest: u64,
}

impl Key {
    /// Of a digest.
    #[must_use]
    pub fn of(digest: [u8; 32]) -> Self {
        let word = |from: usize| {
            let bytes = digest[from..from + 8].iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        };
        Self {
            tag: word(0).max(1),
            rest: word(8),
        }
    }
}

/// The region, for as long as the ledger's lock is held.
pub struct Claims<'a> {
    table: Table<'a>,
    words: Words<'a>,
    base: usize,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(table: Table<'a>, words: Words<'a>, base: usize) -> Self {
        Self { table, words, base }
    }

    /// Claims `key` for `for_ms`, [`MOST_MS`] at most; false while it is somebody's, be it `seat`'s own.
    pub fn take(&mut self, seat: Seat, key: Key, now_ms: u64, for_ms: u64) -> bool {
        let mut free = None;
        for at in self.places(key) {
            let holds = self.holds(at, now_ms);
            if holds && self.is_at(at, key) {
                return false;
            }
            if !holds && free.is_none() {
                free = Some(at);
            }
        }
        if let Some(at) = free {
            // Untagged while it is made: killed half-way, it is an empty place.
            self.words.set(at + slot::TAG, 0);
            barrier();
            self.words.set(at + slot::REST, key.rest);
            self.words.set(at + slot::SEAT, encoded(seat));
            self.words
                .set(at + slot::UNTIL_MS, now_ms.saturating_add(for_ms.min(MOST_MS)));
            barrier();
            self.words.set(at + slot::TAG, key.tag);
        }
        true
    }

    /// Ends the claim, if it is `seat`'s.
    pub fn drop(&mut self, seat: Seat, key: Key) {
        for at in self.places(key) {
            if self.is_at(at, key) && self.words.get(at + slot::SEAT) == encoded(seat) {
                self.words.set(at + slot::TAG, 0);
            }
        }
    }

    /// Whether the place is taken, by somebody who lives.
    fn holds(&self, at: usize, now_ms: u64) -> bool {
        let left_ms = self.words.get(at + slot::UNTIL_MS).wrapping_sub(now_ms);
        self.words.get(at + slot::TAG) != 0
            && (1..=MOST_MS).contains(&left_ms)
            && self.table.is_seated(decoded(self.words.get(at + slot::SEAT)))
    }

    fn is_at(&self, at: usize, key: Key) -> bool {
        self.words.get(at + slot::TAG) == key.tag && self.words.get(at + slot::REST) == key.rest
    }

    /// Where a key may lie. Digests are even by themselves.
    fn places(&self, key: Key) -> impl Iterator<Item = usize> + use<> {
        let groups = (CLAIMS / WAYS) as u64;
        let first = (key.rest % groups) as usize * WAYS;
        let base = self.base;
        (first..first + WAYS).map(move |index| base + index * slot::WORDS)
    }
}

const COLUMN_BITS: u32 = COLUMNS.trailing_zeros();

fn encoded(seat: Seat) -> u64 {
    seat.generation << COLUMN_BITS | seat.column as u64
}

fn decoded(word: u64) -> Seat {
    Seat {
        column: (word % COLUMNS as u64) as usize,
        generation: word >> COLUMN_BITS,
    }
}
