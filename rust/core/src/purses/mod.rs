//! Money that the calls of one host may still spend: purses that its workers share, filled by leases of a bank far away.
//!
//! Comes in: a [`PurseSet`] (what one call is paid from), an amount in pico-dollars, the time since boot, and the memory,
//! handed in by whoever holds its lock (the ledger crate). Goes out: a [`Hold`] to be settled, or a [`Shortage`]. Never:
//! a clock, a lock, a question to the bank.
//!
//! The promises, and where each is kept:
//! - *spent and held are never above what was granted* ([`table`]), but for what a call costs above what was held for it;
//! - *all or nothing* ([`table`]): every purse of a set is looked at before anything is taken of any;
//! - *what a worker held dies with it* ([`entry`]): each worker holds in a column of its own, and a dead worker's column
//!   no longer counts from the moment it is buried;
//! - *kill -9 between two stores leaves no trace*: as for limits, all that belongs together is written behind their undo
//!   log;
//! - *an old answer changes nothing* ([`turn`]): only who has the host's turn may grant, and every turn has a number.
//!
//! The road not taken: one shared figure for all that is held would need no columns, and a killed worker's part of it would
//! be gone until the ledger is made anew.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "words are addresses and counts of a 64-bit machine, and demand is a guess"
)]

mod entry;
mod hold;
mod set;
mod table;
mod turn;

#[cfg(test)]
mod tests;

pub use hold::Hold;
pub use set::{MAX_PURSES, PurseError, PurseSet};
pub use table::{NotReserved, Outcome, Purses, Shortage, Standing};

pub(crate) use entry::{PURSE_WORDS, PURSES, REGION_WORDS, columns};
pub(crate) const PURSE_HEAD_WORDS: usize = entry::head::WORDS;
