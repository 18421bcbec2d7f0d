//! The purses as their users see them: every call takes the lock, lets the core decide, and lets go.

use std::sync::Arc;

use tollway_core::purses::{Hold, NotReserved, Outcome, PurseSet, Standing};

use crate::error::LedgerError;
use crate::ledger::Ledger;

/// How many purses are looked up under one lock: some microseconds.
const LOOKED_UP_AT_ONCE: usize = 32;

impl Ledger {
    /// Holds an amount in every purse of a set, or in none: see `Purses::reserve`.
    ///
    /// A shortage looks for dead workers, at most once a second on the whole host, and asks again if it found any: so
    /// what a killed worker held comes back though nobody else cares for it. `now_ms` is time since boot, `unix_ms` the
    /// time that such looks are counted by.
    pub fn hold(&self, purses: &Arc<PurseSet>, amount: u64, now_ms: u64, unix_ms: u64) -> Result<Outcome, LedgerError> {
        let outcome = self.decide_hold(purses, amount, now_ms)?;
        if matches!(outcome, Outcome::Short(_)) {
            let due = self.lock()?.table.claim_sweep(unix_ms);
            if due && self.bury_dead()? > 0 {
                return self.decide_hold(purses, amount, now_ms);
            }
        }
        Ok(outcome)
    }

    fn decide_hold(&self, purses: &Arc<PurseSet>, amount: u64, now_ms: u64) -> Result<Outcome, LedgerError> {
        loop {
            let seat = self.seat()?;
            let decided = self.lock()?.table.purses().reserve(seat, purses, amount, now_ms);
            match decided {
                Ok(outcome) => return Ok(outcome),
                Err(NotReserved::Full) => return Err(self.full()),
                // Another thread closed the ledger, or the file was damaged: sit down anew, or learn that it is closed.
                Err(NotReserved::NotSeated) => self.membership.forget(seat),
            }
        }
    }

    /// Whether the hold is this process's, in a seat that it still has.
    fn is_own_hold(&self, hold: &Hold) -> bool {
        self.membership.get() == Some(hold.seat())
    }

    /// Spends in place of what was held: see `Purses::settle`.
    pub fn settle_hold(&self, hold: &mut Hold, cost: u64) -> Result<(), LedgerError> {
        if self.is_own_hold(hold) {
            self.lock()?.table.purses().settle(hold, cost);
        }
        Ok(())
    }

    /// Raises what is held: see `Purses::grow`. One that is not this process's does not grow.
    pub fn grow_hold(&self, hold: &mut Hold, amount: u64, now_ms: u64) -> Result<bool, LedgerError> {
        Ok(self.is_own_hold(hold) && self.lock()?.table.purses().grow(hold, amount, now_ms))
    }

    /// What the bank knows this host by: see `Purses::host_id`.
    pub fn host_id(&self, fresh: u128) -> Result<u128, LedgerError> {
        Ok(self.lock()?.table.purses().host_id(fresh))
    }

    /// Takes the host's turn to ask the bank: see `Purses::take_turn`.
    pub fn take_turn(&self, now_ms: u64, until_ms: u64) -> Result<Option<u64>, LedgerError> {
        let seat = self.seat()?;
        Ok(self.lock()?.table.purses().take_turn(seat, now_ms, until_ms))
    }

    /// Gives the turn back: see `Purses::end_turn`.
    pub fn end_turn(&self, turn: u64) -> Result<(), LedgerError> {
        self.lock()?.table.purses().end_turn(turn);
        Ok(())
    }

    /// Gives back what is granted beyond need: see `Purses::trim`.
    pub fn trim(&self, turn: u64, name: &str, keep: u64, now_ms: u64) -> Result<Option<Standing>, LedgerError> {
        Ok(self.lock()?.table.purses().trim(turn, name, keep, now_ms))
    }

    /// Notes the bank's answer: see `Purses::grant`.
    pub fn grant_purse(
        &self,
        turn: u64,
        name: &str,
        granted: u64,
        until_ms: u64,
        exhausted_until_ms: u64,
    ) -> Result<bool, LedgerError> {
        let mut locked = self.lock()?;
        Ok(locked
            .table
            .purses()
            .grant(turn, name, granted, until_ms, exhausted_until_ms))
    }

    /// How each purse stands, in order; none where it is not known.
    pub fn standings(&self, names: &[String], now_ms: u64) -> Result<Vec<Option<Standing>>, LedgerError> {
        let mut standings = Vec::with_capacity(names.len());
        for names in names.chunks(LOOKED_UP_AT_ONCE) {
            let mut locked = self.lock()?;
            let purses = locked.table.purses();
            standings.extend(names.iter().map(|name| purses.standing(name, now_ms)));
        }
        Ok(standings)
    }

    /// Forgets a purse of which nothing is held: see `Purses::forget`.
    pub fn forget_purse(&self, name: &str) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.purses().forget(name))
    }
}
