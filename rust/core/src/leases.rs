//! Limits that many hosts hold together: what this host holds of them, and what it tells the Redis that they share.
//!
//! Comes in: the words of the ledger's memory (its lock is held), a steady time that all processes of the host share, and the
//! answers of Redis. Goes out: whether units are there for an admission, and [`Message`]s that ask for more. Never: a clock,
//! a lock, a connection.
//!
//! Redis counts, per counter, what it has granted to each host in each bucket of time. A host may spend a unit until one
//! bucket's width after it *sent* the question, by its own steady clock; Redis counts it for the window and two buckets more.
//! So whatever becomes of messages, hosts and wall clocks, never more than the limit is spent within any window.
//!
//! - A message tells absolute numbers, and all that may differ from what Redis believes: a repeated one changes nothing, and
//!   what a lost answer had granted comes back with the next question. Numbers of messages only rise, and Redis heeds none
//!   that is older than the last.
//! - What is in the ledger is written behind its undo log ([`crate::limits`]): a killed worker leaves a host that may have
//!   given up units, never one that has more than Redis knows of.
//! - Near the limit ("tight") a host asks for what its calls need and no more, and gives back at once what is left over.
//! - Where Redis is lost each host keeps to its share, [`crate::limits::Table::share_of`]: no host spends more than the larger
//!   of what it had leased and its share, so that all together stay below twice the limit.
//!
//! Roads not taken: Redis counting each call is a round trip for each; hosts telling each other what they used can't be exact;
//! dividing the limit by the hosts for good refuses who meets only one of them.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "words are counts of a 64-bit machine, and estimates need no more than 53 bits"
)]

mod answer;
pub(crate) mod entry;
mod question;
mod region;
mod ring;
mod spending;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Told};
pub use question::{HEARTBEAT_MS, LOST_QUESTION_MS, MOST_AT_ONCE, Message, Question, TURN_MS};
pub use region::{LOST_MS, Leases, Reign, STARTING_MS};
pub(crate) use region::{REGION_WORDS, Unit};
pub use ring::{LONGEST_VALID_MS, SLOTS_VALID_MS, span, width_ms};
pub(crate) use spending::Claim;
pub use spending::Ticket;
