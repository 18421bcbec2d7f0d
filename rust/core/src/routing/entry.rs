//! What one entry of the board consists of: a target's or a key's, or a route's, which uses other words of it.

use crate::limits::memory::{Index, LANE_WORDS, Lanes};

/// Words of one entry: twelve cache lines.
pub(crate) const WORDS: usize = 96;

/// The half of the identity that is not the tag.
pub(super) const IDENTITY: usize = 0;
/// About when it was last of use.
pub(super) const TOUCHED_MS: usize = 1;

/// The breaker's words, in the order of `Breaker::words`.
pub(super) const BREAKER: usize = 2;
pub(super) const BREAKER_WORDS: usize = 14;

/// Calls in flight, a lane per worker.
const LANES: usize = 16;

/// Per kind of latency: the peak in microseconds (0: none), the mean, when it was last told, and since when somebody waits
/// (0: nobody).
pub(super) const LATENCIES: usize = 32;
pub(super) const LATENCY_WORDS: usize = 4;
/// When a process of the host last took an active probe upon itself.
pub(super) const CLAIMED_MS: usize = 40;

/// The ring of the failure rate: bucket width, newest bucket, cells.
pub(super) const RATE_WIDTH_MS: usize = 41;
pub(super) const RATE_HEAD: usize = 42;
pub(super) const RATE_CELLS: usize = 43;
pub(super) const RATE_CELL_COUNT: usize = 11;

/// Per kind of latency: how often which was seen, a word per octave.
pub(super) const OCCURRENCES: usize = 54;
pub(super) const OCTAVES: usize = 21;

const _: () = assert!(BREAKER + BREAKER_WORDS <= LANES);
const _: () = assert!(LANES + LANE_WORDS <= LATENCIES);
const _: () = assert!(LATENCIES + 2 * LATENCY_WORDS <= CLAIMED_MS);
const _: () = assert!(RATE_CELLS + RATE_CELL_COUNT <= OCCURRENCES);
const _: () = assert!(OCCURRENCES + 2 * OCTAVES <= WORDS);

/// A route's words, where a target has its latencies.
pub(super) mod route {
    /// When the budgets were last decayed to.
    pub const DECAYED_MS: usize = 32;
    /// Decayed calls, retries and hedges, as the bits of an `f64`.
    pub const CALLS: usize = 33;
    pub const RETRIES: usize = 34;
    pub const HEDGES: usize = 35;
    /// Whose turn it is.
    pub const TURN: usize = 36;
    /// Calls ever counted, and how many there were when a slow target was last explored.
    pub const TOTAL: usize = 37;
    pub const EXPLORED: usize = 38;
}

/// The lanes of the entry at `index`: what its workers have in flight.
#[inline]
pub(crate) fn lanes(board: Index<'_>, index: usize) -> Lanes<'_> {
    Lanes::new(board.words, board.base(index) + LANES)
}
