//! Where everything lies in the ledger's words, and the one way to read and write them.
//!
//! ```text
//! header     16 words   magic, layout version, capacity, host, masks and gauges
//! workers   256 words   64 columns × (pid, start time, generation, open admissions)
//! journal   136 words   length, then (address, old value) pairs
//! tags       capacity   one word per counter: half of its identity, 0 when the way is empty
//! counters   capacity × 40 words: rest of the identity, window, newest bucket, 33 cells
//! board      8,192 tags as above, then as many entries of 96 words (crate::routing)
//! leases     a header, marks and tags, then 16,384 entries of 64 words (crate::leases)
//! claims     4,096 × 4 words (crate::claims)
//! purses     16 words, 8,192 tags as above, then as many purses of 80 words (crate::purses)
//! ```

use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use super::rule::MAX_RULES;
use crate::claims;
use crate::leases;
use crate::purses::{self, MAX_PURSES, PURSES};
use crate::routing::entry;

/// How many workers may sit at one ledger at a time: one bit each of a mask word.
pub const COLUMNS: usize = 64;

/// `"tollway\0"`, read little-endian.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"tollway\0");
/// Raised whenever the meaning of a word changes; a ledger of another version is made anew once nobody uses it.
pub(super) const LAYOUT_VERSION: u64 = 5;

/// Header words.
pub(super) mod header {
    /// Written last when a ledger is made, so that a half-made one is not taken for whole.
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 1;
    pub const CAPACITY: usize = 2;
    /// Boot id, low and high half, then the PID namespace: whose process numbers these are.
    pub const HOST: usize = 3;
    /// Columns whose worker counts.
    pub const LIVE: usize = 6;
    /// Columns whose worker is gone but whose cells are not yet zero: they count no more, and cannot be taken yet.
    pub const DIRTY: usize = 7;
    /// Raised by one for each worker that joins.
    pub const GENERATION: usize = 8;
    /// Raised by one for each worker that is buried.
    pub const BURIALS: usize = 9;
    /// When a refusal last caused a look for dead workers.
    pub const SWEPT_MS: usize = 10;
    /// Admissions refused because no counter was free.
    pub const FULL_REFUSALS: usize = 11;
    pub const WORDS: usize = 16;
}

/// One worker's row.
pub(super) mod worker {
    pub const PID: usize = 0;
    pub const START: usize = 1;
    pub const GENERATION: usize = 2;
    /// Admissions neither released nor cancelled.
    pub const OPEN: usize = 3;
    pub const WORDS: usize = 4;
}

/// One counter.
pub(super) mod counter {
    /// The half of the identity that is not the tag.
    pub const IDENTITY: usize = 0;
    /// The window's length; zero for concurrency.
    pub const WINDOW_MS: usize = 1;
    /// Number of the newest bucket, that is: time of the last charge over the bucket's width.
    pub const HEAD: usize = 2;
    pub const CELLS: usize = 4;
    pub const CELL_COUNT: usize = 33;
    /// Five cache lines.
    pub const WORDS: usize = 40;
}

pub(super) const WORKERS: usize = header::WORDS;
pub(super) const JOURNAL: usize = WORKERS + COLUMNS * worker::WORDS;
/// Two charges per rule, its counter's and its lease's, and the worker's gauge; or two words of each purse.
pub(super) const JOURNAL_ENTRIES: usize = larger(2 * MAX_RULES + 1, 2 * MAX_PURSES);
const JOURNAL_WORDS: usize = 136;
const _: () = assert!(2 * JOURNAL_ENTRIES < JOURNAL_WORDS);
pub(super) const TAGS: usize = JOURNAL + JOURNAL_WORDS;

/// Ways of one group of counters: two cache lines of tags.
pub(super) const WAYS: usize = 16;

/// Targets, keys and routes that the board has room for. The core's own tests fill their memory word by word, unoptimised.
pub(crate) const ENTRIES: usize = if cfg!(test) { 64 } else { 8_192 };
const _: () = assert!(ENTRIES % WAYS == 0 && PURSES % WAYS == 0);
pub(super) const BOARD_WORDS: usize = ENTRIES * (1 + entry::WORDS);

/// The board, the leases, the claims and the purses.
pub(super) const BEHIND_COUNTERS: usize =
    BOARD_WORDS + leases::REGION_WORDS + claims::REGION_WORDS + purses::REGION_WORDS;

/// The capacity that is made when this one is asked for: whole groups, at least one.
pub(super) fn rounded(capacity: usize) -> usize {
    capacity.max(1).next_multiple_of(WAYS)
}

/// How many words a ledger of at least `capacity` counters needs.
#[must_use]
pub fn words_for(capacity: usize) -> usize {
    board_at(rounded(capacity)) + BEHIND_COUNTERS
}

/// Where the board begins behind `capacity` counters.
pub(super) fn board_at(capacity: usize) -> usize {
    TAGS + capacity * (1 + counter::WORDS)
}

/// Where the leases begin behind the board.
pub(super) fn leases_at(capacity: usize) -> usize {
    board_at(capacity) + BOARD_WORDS
}

/// Where the claims begin behind the leases.
pub(super) fn claims_at(capacity: usize) -> usize {
    leases_at(capacity) + leases::REGION_WORDS
}

/// Where the purses begin behind the claims.
pub(super) fn purses_at(capacity: usize) -> usize {
    claims_at(capacity) + claims::REGION_WORDS
}

const fn larger(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// Whose process numbers the worker table holds: they mean nothing after a reboot or in another PID namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: u128,
    /// Inode of `/proc/self/ns/pid`.
    pub pid_namespace: u64,
}

/// Why memory is not a ledger that can be used as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing was ever written, its making was cut short, or it was cut.
    #[error("it is unfinished")]
    Unfinished,
    /// The first word is not a ledger's.
    #[error("it is not a Tollway ledger")]
    Foreign,
    /// Another build's layout.
    #[error("it has layout version {0}, this build uses {LAYOUT_VERSION}")]
    Version(u64),
    /// Another number of counters than asked for.
    #[error("it holds {0} counters")]
    Capacity(u64),
}

/// The ledger's memory. Words are atomics because other processes write them too; the lock, held by the caller, is what
/// orders them, so every access is relaxed.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a>(&'a [AtomicU64]);

impl<'a> Words<'a> {
    pub fn new(words: &'a [AtomicU64]) -> Self {
        Self(words)
    }

    pub fn len(self) -> usize {
        self.0.len()
    }

    #[inline]
    pub fn get(self, at: usize) -> u64 {
        self.0[at].load(Ordering::Relaxed)
    }

    #[inline]
    pub fn set(self, at: usize, value: u64) {
        #[cfg(test)]
        super::crash::before_store();
        self.0[at].store(value, Ordering::Relaxed);
    }
}

/// Keeps the stores before it before those after it, as a killed process leaves them. The compiler alone could turn them
/// around: a process dies between two instructions, and by the time another one holds the lock the kernel has made all that
/// came before visible.
#[inline]
pub(crate) fn barrier() {
    compiler_fence(Ordering::SeqCst);
}
