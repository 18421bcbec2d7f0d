//! The board as its users see it: every call takes the lock, lets the core decide, and lets go.

use std::sync::Arc;

use tollway_core::routing::{Ask, Change, Kind, Lease, Name, Outcome, Policy, Pool, Ranking, Sight, Status, Target};

use crate::error::LedgerError;
use crate::ledger::Ledger;

/// How many names are looked up under one lock: some microseconds.
const LOOKED_UP_AT_ONCE: usize = 32;

impl Ledger {
    /// Puts those of a pool that may be asked in order: what is needed is copied under the lock, and sorted after it.
    pub fn rank(&self, pool: &Pool, ask: &Ask) -> Result<Ranking, LedgerError> {
        let mut sight = Sight::of(pool);
        self.lock()?.table.board().look(pool, ask, &mut sight);
        Ok(sight.ranked(pool, ask))
    }

    /// Begins a call of a target, in this process's lane: see `Board::begin`.
    pub fn begin(
        &self,
        pool: &Arc<Pool>,
        index: usize,
        kind: Kind,
        now_ms: u64,
        is_first: bool,
        grants_itself: bool,
    ) -> Result<Option<Lease>, LedgerError> {
        loop {
            let seat = self.seat()?;
            let mut locked = self.lock()?;
            if locked.table.is_seated(seat) {
                let mut board = locked.table.board();
                return Ok(board.begin(seat, pool, index, kind, now_ms, is_first, grants_itself));
            }
            drop(locked);
            // Another thread closed the ledger, or the file was damaged: sit down anew, or learn that it is closed.
            self.membership.forget(seat);
        }
    }

    /// Whether the call was begun by this process, in a seat that it still has.
    fn is_own_call(&self, lease: &Lease) -> bool {
        lease.is_open() && self.membership.get() == Some(lease.seat())
    }

    /// The answer has begun well: see `Board::heard`.
    pub fn heard(
        &self,
        lease: &mut Lease,
        latency_us: u64,
        kind: Kind,
        now_ms: u64,
    ) -> Result<Option<Change>, LedgerError> {
        if !self.is_own_call(lease) {
            return Ok(None);
        }
        Ok(self.lock()?.table.board().heard(lease, latency_us, kind, now_ms))
    }

    /// Ends a call: see `Board::end`.
    pub fn end(&self, lease: &mut Lease, outcome: Outcome, now_ms: u64) -> Result<Option<Change>, LedgerError> {
        if !self.is_own_call(lease) {
            return Ok(None);
        }
        Ok(self.lock()?.table.board().end(lease, outcome, now_ms))
    }

    /// Takes a retry of the route's budget: see `Board::retry`.
    pub fn retry(&self, pool: &Pool, permille: u64, reserve: u64, now_ms: u64) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.board().retry(pool, permille, reserve, now_ms))
    }

    /// Takes a hedge of the route's budget: see `Board::hedge`.
    pub fn hedge(&self, pool: &Pool, permille: u64, now_ms: u64) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.board().hedge(pool, permille, now_ms))
    }

    /// The 95th percentile of a target's latencies: see `Board::p95_us`.
    pub fn p95_us(&self, target: &Target, kind: Kind) -> Result<Option<u64>, LedgerError> {
        Ok(self.lock()?.table.board().p95_us(target, kind))
    }

    /// Leaves a target or a key alone until then: see `Board::cool`.
    pub fn cool(&self, name: &Name, until_ms: u64, now_ms: u64, is_limited: bool) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.board().cool(name, until_ms, now_ms, is_limited))
    }

    /// Opens a breaker: see `Board::open`.
    pub fn open_breaker(&self, name: &Name, until_ms: u64, now_ms: u64) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.board().open(name, until_ms, now_ms))
    }

    /// Closes a breaker: see `Board::close`.
    pub fn close_breaker(&self, name: &Name, now_ms: u64, slow_start_ms: u64) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.board().close(name, now_ms, slow_start_ms))
    }

    /// Those whose cooldown is over and which nobody tries.
    pub fn due<'a>(&self, names: &'a [Name], now_ms: u64) -> Result<Vec<&'a Name>, LedgerError> {
        let mut due = Vec::new();
        for names in names.chunks(LOOKED_UP_AT_ONCE) {
            let mut locked = self.lock()?;
            let board = locked.table.board();
            due.extend(names.iter().filter(|name| board.is_due(name, now_ms)));
        }
        Ok(due)
    }

    /// Lets some calls try a target: see `Board::grant`.
    pub fn grant(&self, name: &Name, probes: u64, until_ms: u64, now_ms: u64) -> Result<(), LedgerError> {
        self.lock()?.table.board().grant(name, probes, until_ms, now_ms);
        Ok(())
    }

    /// Counts an active probe: see `Board::probed`.
    pub fn probed(
        &self,
        name: &Name,
        policy: &Policy,
        is_ok: bool,
        now_ms: u64,
    ) -> Result<Option<Change>, LedgerError> {
        Ok(self.lock()?.table.board().probed(name, policy, is_ok, now_ms))
    }

    /// Takes something upon this process that one of the host does in each interval: see `Board::claim`.
    pub fn claim(&self, name: &Name, every_ms: u64, now_ms: u64) -> Result<bool, LedgerError> {
        Ok(self.lock()?.table.board().claim(name, every_ms, now_ms))
    }

    /// How each stands, in order.
    pub fn board_status(&self, names: &[Name], now_ms: u64, grants_itself: bool) -> Result<Vec<Status>, LedgerError> {
        let mut statuses = Vec::with_capacity(names.len());
        for names in names.chunks(LOOKED_UP_AT_ONCE) {
            let mut locked = self.lock()?;
            let board = locked.table.board();
            statuses.extend(names.iter().map(|name| board.status(name, now_ms, grants_itself)));
        }
        Ok(statuses)
    }
}
