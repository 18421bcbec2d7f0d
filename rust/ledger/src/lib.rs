//! The memory that the workers of one host share: a mapped file and a lock that survives its holder.
//!
//! Comes in: calls of any worker and thread. Goes out: what `tollway_core::limits` decides, under the lock. Never: a
//! decision of its own. This is the one crate with `unsafe`, and the reason it exists apart from the core:
//!
//! - `file`: the file is made whole before it is mapped, so that a full disk is an error and not a SIGBUS; who has it
//!   open is known from a lock that the kernel drops when the process dies;
//! - `lock`: a robust process-shared mutex inside the mapping;
//! - `membership`: which seat this process has, in a page that a fork leaves behind;
//! - `process`: whether the holder of a seat still lives, from `/proc`.
//!
//! Linux only. The file belongs on a local disk or, better, on a tmpfs such as `/dev/shm`: there no write-back ever makes
//! a store wait. It must not be removed while in use: those who have it open would go on sharing the removed one.

mod board;
mod claims;
mod error;
mod file;
mod leases;
mod ledger;
mod lock;
mod membership;
mod process;
mod purses;

pub use error::LedgerError;
pub use ledger::Ledger;
