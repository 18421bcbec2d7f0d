//! The leases of shared limits as their users see them: every call takes the lock, lets the core decide, and lets go.
//!
//! Their time is `CLOCK_MONOTONIC`, which is one for all processes of a host (`clock_gettime(2)`) and the one that Python's
//! `time.monotonic` tells; tests hand in their own.

use tollway_core::leases::{Answer, Question, Reign, Ticket};

use crate::error::LedgerError;
use crate::ledger::Ledger;

/// Milliseconds since some moment that is the same for all processes of this boot.
pub(crate) fn steady_ms() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable. The clock exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

impl Ledger {
    /// Begins to hold limits with other hosts: see `Leases::begin`.
    pub fn begin_sharing(&self, host: u128, steady: Option<u64>) -> Result<u128, LedgerError> {
        let column = self.join()?;
        let now_ms = steady.unwrap_or_else(steady_ms);
        let locked = self.lock()?;
        let mut leases = locked.table.leases();
        leases.connect(column, false);
        Ok(leases.begin(host, now_ms))
    }

    /// Notes whether this process can reach Redis: see `Leases::connect`.
    pub fn connect(&self, is_connected: bool) -> Result<(), LedgerError> {
        let column = self.join()?;
        self.lock()?.table.leases().connect(column, is_connected);
        Ok(())
    }

    /// What Redis is to be asked now: see `Leases::question`.
    pub fn question(&self, steady: Option<u64>) -> Result<Option<Question>, LedgerError> {
        let locked = self.lock()?;
        Ok(locked.table.leases().question(steady.unwrap_or_else(steady_ms)))
    }

    /// Takes in what Redis has answered: see `Leases::answered`.
    pub fn answered(&self, question: &Question, answer: &Answer, steady: Option<u64>) -> Result<(), LedgerError> {
        let locked = self.lock()?;
        let now_ms = steady.unwrap_or_else(steady_ms);
        locked.table.leases().answered(question, answer, now_ms);
        Ok(())
    }

    /// Redis has not answered: see `Leases::unanswered`.
    pub fn unanswered(&self, question: &Question) -> Result<(), LedgerError> {
        self.lock()?.table.leases().unanswered(question);
        Ok(())
    }

    /// Redis remembers by another name: see `Leases::remember`.
    pub fn remember(&self, memory: &[u8]) -> Result<(), LedgerError> {
        self.lock()?.table.leases().remember(memory);
        Ok(())
    }

    /// Whether what a call waits for was answered: see `Leases::is_answered`.
    pub fn is_answered(&self, ticket: &Ticket) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.leases().is_answered(ticket))
    }

    /// By what shared limits are held now: see `Leases::reign`; and how many hosts share them.
    pub fn reign(&self, steady: Option<u64>) -> Result<(Reign, u64), LedgerError> {
        let locked = self.lock()?;
        let leases = locked.table.leases();
        Ok((leases.reign(steady.unwrap_or_else(steady_ms)), leases.hosts()))
    }
}
