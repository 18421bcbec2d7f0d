//! What the region of purses, and one purse, consist of.

use crate::limits::COLUMNS;
use crate::limits::memory::{Index, Words};

/// Purses that there is room for. The core's own tests fill their memory word by word, unoptimised.
pub(crate) const PURSES: usize = if cfg!(test) { 32 } else { 8_192 };

/// Words of the region: its head, then tags, then purses.
pub(crate) const REGION_WORDS: usize = head::WORDS + PURSES * (1 + PURSE_WORDS);

/// Words of one purse: ten cache lines.
pub(crate) const PURSE_WORDS: usize = 80;

/// The region's head.
pub(super) mod head {
    /// What the bank knows this host by, low and high half; zero until somebody has given it a name.
    pub const HOST_ID: usize = 0;
    /// Raised by one for each turn.
    pub const TURN: usize = 2;
    /// Until when the turn is somebody's, in milliseconds since boot; zero when it is nobody's.
    pub const TURN_UNTIL_MS: usize = 3;
    /// Whose it is.
    pub const TURN_COLUMN: usize = 4;
    pub const TURN_GENERATION: usize = 5;
    pub const WORDS: usize = 16;
}

/// The half of the identity that is not the tag.
pub(super) const IDENTITY: usize = 0;
/// When something was last wanted of it.
pub(super) const TOUCHED_MS: usize = 1;
/// What the bank has granted in all, and what of it was spent: pico-dollars, and both only grow, but for what is given back.
pub(super) const GRANTED: usize = 2;
pub(super) const SPENT: usize = 3;
/// Until when the lease is good.
pub(super) const UNTIL_MS: usize = 4;
/// What calls have missed since the bank last answered.
pub(super) const SHORT: usize = 5;
/// Until when the bank need not be asked for more, because it had nothing.
pub(super) const EXHAUSTED_UNTIL_MS: usize = 6;
/// What was spent when the bank was last to be told.
pub(super) const TOLD: usize = 9;
/// What was held of late, decayed, as the bits of an `f64`, and when it was last decayed to.
pub(super) const RECENT: usize = 7;
pub(super) const RECENT_MS: usize = 8;
/// What is held, a word per worker.
const HELD: usize = 16;

const _: () = assert!(RECENT_MS < HELD && TOLD < HELD);
const _: () = assert!(HELD + COLUMNS <= PURSE_WORDS);

/// The words in which the workers of a purse hold.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    words: Words<'a>,
    first: usize,
}

/// The columns of the purse at `index`.
#[inline]
pub(crate) fn columns(purses: Index<'_>, index: usize) -> Columns<'_> {
    Columns {
        words: purses.words,
        first: purses.base(index) + HELD,
    }
}

impl Columns<'_> {
    /// Where `column` holds.
    pub fn at(self, column: usize) -> usize {
        self.first + column
    }

    /// What the workers of the mask `live` hold.
    #[inline]
    pub fn held(self, live: u64) -> u64 {
        let mut left = live;
        let mut held = 0_u64;
        while left != 0 {
            held = held.saturating_add(self.words.get(self.at(left.trailing_zeros() as usize)));
            left &= left - 1;
        }
        held
    }

    /// Zeroes what the workers of the mask `dead` held.
    pub fn clear(self, dead: u64) {
        let mut left = dead;
        while left != 0 {
            let at = self.at(left.trailing_zeros() as usize);
            if self.words.get(at) != 0 {
                self.words.set(at, 0);
            }
            left &= left - 1;
        }
    }
}
