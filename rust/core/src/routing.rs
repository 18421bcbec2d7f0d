//! Which target is asked, and what the host's workers know of each: the board, in the ledger's memory.
//!
//! Comes in: a [`Pool`] (a route's targets), the time, random bits, and the memory, handed in by whoever holds its lock
//! (the ledger crate). Goes out: a [`Ranking`], and a [`Lease`] for each call. Never: a clock, a random number generator, a
//! lock, a system call, an error on the path of a request: of what finds no room, nothing is known.
//!
//! The promises, and where each is kept:
//! - *never more calls than probes in one half-open* ([`breaker`]): a place is taken and counted in one step, by one holder
//!   of the lock;
//! - *in flight returns to zero* ([`calls`]): each worker counts in a lane of its own, and a dead worker's lane no longer
//!   counts;
//! - *a share of the calls, and no more, are retries* ([`budget`]);
//! - *kill -9 between two stores* leaves the breaker and the lanes as they were (the ledger's undo log), and statistics off
//!   by one sample at most.
//!
//! What is measured lies on the board; the order is made of a copy of it, after the lock was let go ([`ranking`]).
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "words are counts of a 64-bit machine, and scores need no more than 53 bits"
)]

mod board;
mod breaker;
mod budget;
mod calls;
pub(crate) mod entry;
mod health;
mod latency;
mod order;
mod pool;
mod ranking;
mod rate;

#[cfg(test)]
mod tests;

pub use board::Board;
pub use breaker::{Change, FOR_GOOD_MS, PROBE_VALID_MS};
pub use calls::{Lease, Outcome};
pub use health::Status;
pub use latency::Kind;
pub use pool::{MAX_TARGETS, Name, Policy, Pool, PoolError, Strategy, Target};
pub use ranking::{Ask, Ranking, Sight, Standing, State};
