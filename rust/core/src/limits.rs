//! Exact request, token and concurrency limits over a flat piece of memory that many processes share.
//!
//! Comes in: a [`LimitSet`] (the rules one principal is under), a [`Demand`], the time, and the memory, handed in by
//! whoever holds its lock (the ledger crate). Goes out: an [`Admission`] to be settled and released, or a [`Refusal`].
//! Never: a clock, a lock, a system call, an allocation on the admission path.
//!
//! The promises, and where each is kept:
//! - *never more than N in any window* ([`window`]): time is cut into buckets of a 32nd of the window and the count runs
//!   over the newest 33 of them, so an event is forgotten at most one bucket late and never early;
//! - *all or nothing* ([`admission`]): every rule is checked before any is charged, and a refusal writes nothing;
//! - *a slot dies with its worker* ([`lanes`], [`workers`]): each worker counts in a column of its own, and a dead
//!   worker's column no longer counts from the moment it is buried;
//! - *kill -9 between two stores leaves no trace* ([`journal`]): charges are written behind an undo log, which the next
//!   holder of the lock rolls back.
//!
//! Roads not taken: a token bucket (GCRA) admits up to twice N in one window; a log of timestamps per counter is exact to
//! the millisecond but its size grows with the limit; one counter per worker and window needs no lock, and cannot be exact.
#![allow(
    clippy::cast_possible_truncation,
    reason = "words are addresses and counts of a 64-bit machine"
)]

const _: () = assert!(usize::BITS == 64);

mod admission;
mod index;
mod journal;
mod lanes;
mod layout;
mod rule;
mod settling;
mod slots;
mod table;
mod window;
mod workers;

#[cfg(test)]
pub(crate) mod crash;
#[cfg(test)]
mod tests;

pub use admission::{Admission, Demand, Level, NotAdmitted, Outcome, Refusal, RuleStatus};
pub use layout::{COLUMNS, Fault, Host, words_for};
pub use rule::{Kind, LimitSet, MAX_RULES, Rule, RuleError};
pub use table::{CONCURRENCY_RETRY_MS, SWEEP_EVERY_MS, Table};
pub use workers::{Process, Seat};

/// The pieces of the shared memory that the board of [`crate::routing`] is made of too.
pub(crate) mod memory {
    pub(crate) use super::index::Index;
    pub(crate) use super::journal::Writes;
    pub(crate) use super::lanes::{LANE_WORDS, Lanes};
    pub(crate) use super::layout::{Words, barrier};
    pub(crate) use super::rule::Identity;
}
