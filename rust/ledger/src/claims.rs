//! The claims as their users see them: every call takes the lock, lets the core decide, and lets go.

use tollway_core::claims::Key;

use crate::error::LedgerError;
use crate::ledger::Ledger;

impl Ledger {
    /// Claims a key for this process: see `Claims::take`.
    ///
    /// Who has to wait looks for dead workers, at most once a second on the whole host, and asks again if it found any.
    pub fn take_claim(&self, key: Key, now_ms: u64, for_ms: u64) -> Result<bool, LedgerError> {
        if self.decide_claim(key, now_ms, for_ms)? {
            return Ok(true);
        }
        let due = self.lock()?.table.claim_sweep(now_ms);
        Ok(due && self.bury_dead()? > 0 && self.decide_claim(key, now_ms, for_ms)?)
    }

    fn decide_claim(&self, key: Key, now_ms: u64, for_ms: u64) -> Result<bool, LedgerError> {
        loop {
            let seat = self.seat()?;
            let locked = self.lock()?;
            if locked.table.is_seated(seat) {
                return Ok(locked.table.claims().take(seat, key, now_ms, for_ms));
            }
            drop(locked);
            // Another thread closed the ledger, or the file was damaged: sit down anew, or learn that it is closed.
            self.membership.forget(seat);
        }
    }

    /// Ends this process's claim of a key, if it has one: see `Claims::drop`.
    pub fn drop_claim(&self, key: Key) -> Result<(), LedgerError> {
        if let Some(seat) = self.membership.get() {
            self.lock()?.table.claims().drop(seat, key);
        }
        Ok(())
    }
}
