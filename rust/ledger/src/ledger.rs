//! The ledger as its users see it: every call takes the lock, lets the core decide, and lets go.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tollway_core::limits::{
    Admission, COLUMNS, Demand, Kind, LimitSet, NotAdmitted, Outcome, Process, RuleStatus, Seat, Table,
};

use crate::error::LedgerError;
use crate::file::Shared;
use crate::leases::steady_ms;
use crate::lock::Held;
use crate::membership::Membership;
use crate::process;

/// How many counters are cleaned under one lock: some ten microseconds.
const CLEANED_AT_ONCE: usize = 512;

/// One host's limits, shared through a file by every process that opens it.
///
/// Any thread may call any method. A process gets its seat by [`Ledger::join`], or by its first admission; a child made by
/// `fork` gets one of its own, and cannot touch what its parent had admitted.
pub struct Ledger {
    shared: Shared,
    pub(crate) membership: Membership,
    path: PathBuf,
    closed: AtomicBool,
}

/// The table for as long as the lock is held. Fields drop in order: the table's borrow ends before the lock is let go.
pub(crate) struct Locked<'a> {
    pub(crate) table: Table<'a>,
    _held: Held<'a>,
}

impl<'a> Locked<'a> {
    /// The table at that time, or at the clock's where leases need one.
    #[inline]
    fn timed(&mut self, steady: Option<u64>) -> &mut Table<'a> {
        self.table.set_steady(|| steady.unwrap_or_else(steady_ms));
        &mut self.table
    }
}

impl Ledger {
    /// Opens the ledger at `path`, readable by its owner only, making it for at least `capacity` counters when there is none.
    ///
    /// A ledger of another capacity or layout, or one whose making was cut short, is made anew if no process has it open.
    pub fn open(path: &Path, capacity: usize) -> Result<Self, LedgerError> {
        let membership = Membership::new().map_err(LedgerError::system("prepare", path))?;
        let shared = Shared::open(path, capacity, process::host())?;
        Ok(Self {
            shared,
            membership,
            path: path.to_owned(),
            closed: AtomicBool::new(false),
        })
    }

    #[inline]
    pub(crate) fn lock(&self) -> Result<Locked<'_>, LedgerError> {
        let held = self.shared.hold().map_err(|error| match error.raw_os_error() {
            Some(libc::ETIMEDOUT) => LedgerError::Stalled(self.path.clone()),
            _ => LedgerError::system("lock", &self.path)(error),
        })?;
        Ok(Locked {
            table: Table::resume(self.shared.words()),
            _held: held,
        })
    }

    /// Takes a seat for this process, unless it has one, after giving back what dead workers held; the seat's column.
    pub fn join(&self) -> Result<usize, LedgerError> {
        self.seat().map(|seat| seat.column)
    }

    #[inline]
    pub(crate) fn seat(&self) -> Result<Seat, LedgerError> {
        match self.membership.get() {
            Some(seat) => Ok(seat),
            None => self.take_seat(),
        }
    }

    #[cold]
    fn take_seat(&self) -> Result<Seat, LedgerError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(LedgerError::Closed(self.path.clone()));
        }
        self.sweep()?;
        let process = process::current().map_err(LedgerError::system("join", &self.path))?;
        let seat = self
            .lock()?
            .table
            .join(process)
            .ok_or_else(|| LedgerError::TooManyWorkers(self.path.clone()))?;
        if let Err(winner) = self.membership.set(seat) {
            self.lock()?.table.bury(seat);
            return Ok(winner);
        }
        Ok(seat)
    }

    /// Charges `demand` to every rule of `limits`, or to none. `now_ms` is Unix time, from a clock that all workers share.
    ///
    /// `steady_ms` is the time that leases go by; none: the host's own clock.
    ///
    /// A refusal for concurrency looks for dead workers, at most once a second on the whole host, and asks again if it found
    /// any: so a killed worker's slots come back though nobody else cares for them.
    pub fn admit(
        &self,
        limits: &Arc<LimitSet>,
        demand: Demand,
        now_ms: u64,
        steady_ms: Option<u64>,
    ) -> Result<Outcome, LedgerError> {
        let outcome = self.decide(limits, demand, now_ms, steady_ms)?;
        let Outcome::Refused(refusal) = &outcome else {
            return Ok(outcome);
        };
        if refusal.rule().kind == Kind::Concurrency && !refusal.too_large {
            let due = self.lock()?.table.claim_sweep(now_ms);
            if due && self.bury_dead()? > 0 {
                return self.decide(limits, demand, now_ms, steady_ms);
            }
        }
        Ok(outcome)
    }

    #[inline]
    fn decide(
        &self,
        limits: &Arc<LimitSet>,
        demand: Demand,
        now_ms: u64,
        steady_ms: Option<u64>,
    ) -> Result<Outcome, LedgerError> {
        loop {
            let seat = self.seat()?;
            let decided = self.lock()?.timed(steady_ms).admit(seat, limits, demand, now_ms);
            match decided {
                Ok(outcome) => return Ok(outcome),
                Err(NotAdmitted::Full) => return Err(self.full()),
                // Another thread closed the ledger, or the file was damaged: sit down anew, or learn that it is closed.
                Err(NotAdmitted::NotSeated) => self.membership.forget(seat),
            }
        }
    }

    pub(crate) fn full(&self) -> LedgerError {
        LedgerError::Full(self.path.clone())
    }

    /// Whether the admission was given to this process, by a seat it still has.
    fn is_own(&self, admission: &Admission) -> bool {
        self.membership.get() == Some(admission.seat())
    }

    /// Corrects an admission's reservation to the tokens used: see [`Table::settle`].
    pub fn settle(
        &self,
        admission: &mut Admission,
        input_tokens: u64,
        output_tokens: u64,
        now_ms: u64,
    ) -> Result<(), LedgerError> {
        if self.is_own(admission) {
            self.lock()?
                .table
                .settle(admission, input_tokens, output_tokens, now_ms);
        }
        Ok(())
    }

    /// Reserves more for an admission's answer, if every rule lets it: see [`Table::grow`]. What is not this process's, or no
    /// longer, is held back by nothing.
    pub fn grow(&self, admission: &mut Admission, output_tokens: u64, now_ms: u64) -> Result<bool, LedgerError> {
        Ok(!self.is_own(admission) || self.lock()?.timed(None).grow(admission, output_tokens, now_ms))
    }

    /// Gives an admission's slots back: see [`Table::release`].
    pub fn release(&self, admission: &mut Admission) -> Result<(), LedgerError> {
        if admission.is_open() && self.is_own(admission) {
            self.lock()?.table.release(admission);
        }
        Ok(())
    }

    /// Takes all of an admission's charges back: see [`Table::cancel`].
    pub fn cancel(&self, admission: &mut Admission, now_ms: u64) -> Result<(), LedgerError> {
        if self.is_own(admission) {
            self.lock()?.table.cancel(admission, now_ms);
        }
        Ok(())
    }

    /// How each rule stands, in the set's order. Changes nothing.
    pub fn status(&self, limits: &LimitSet, now_ms: u64) -> Result<Vec<RuleStatus>, LedgerError> {
        Ok(self.lock()?.timed(None).status(limits, now_ms))
    }

    /// Open admissions of all live workers of the host.
    pub fn in_flight(&self) -> Result<u64, LedgerError> {
        Ok(self.lock()?.table.in_flight())
    }

    /// Admissions that found no free counter, since the ledger was made.
    pub fn full_refusals(&self) -> Result<u64, LedgerError> {
        Ok(self.lock()?.table.full_refusals())
    }

    /// Gives back what dead workers held and makes their columns ready for others; how many had died. Takes some
    /// milliseconds when one had, never more than some microseconds of them under the lock.
    pub fn sweep(&self) -> Result<usize, LedgerError> {
        let buried = self.bury_dead()?;
        self.clean()?;
        Ok(buried)
    }

    /// Asks `/proc` about every worker, outside the lock, and buries the dead.
    pub(crate) fn bury_dead(&self) -> Result<usize, LedgerError> {
        let mut seats: [Option<(Seat, Process)>; COLUMNS] = [None; COLUMNS];
        {
            let locked = self.lock()?;
            seats
                .iter_mut()
                .zip(locked.table.seats())
                .for_each(|(slot, seat)| *slot = Some(seat));
        }
        let mut buried = 0;
        for (seat, process) in seats.into_iter().flatten() {
            if !process::is_alive(process) && self.lock()?.table.bury(seat) {
                buried += 1;
            }
        }
        Ok(buried)
    }

    /// Zeroes the columns of the buried, a batch at a time, and frees them. Several processes may do so at once.
    fn clean(&self) -> Result<(), LedgerError> {
        loop {
            let (columns, burials, cleanable) = {
                let locked = self.lock()?;
                (
                    locked.table.to_clean(),
                    locked.table.burials(),
                    locked.table.cleanable(),
                )
            };
            if columns == 0 {
                return Ok(());
            }
            for from in (0..cleanable).step_by(CLEANED_AT_ONCE) {
                self.lock()?.table.clean(columns, from, from + CLEANED_AT_ONCE);
            }
            let mut locked = self.lock()?;
            // A burial meanwhile may be of a column that another cleaner had freed and a new worker had filled behind this
            // walk: then it was not good for that column, and another walk is.
            if locked.table.burials() == burials {
                locked.table.free(columns);
            }
        }
    }

    /// Leaves the ledger: this process's slots are given back, and its admissions have no further effect.
    pub fn close(&self) -> Result<(), LedgerError> {
        self.closed.store(true, Ordering::Release);
        if let Some(seat) = self.membership.take() {
            self.lock()?.table.bury(seat);
        }
        Ok(())
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        // A lock that cannot be had leaves the seat taken; once the process has ended, the next sweep frees it.
        let _ = self.close();
    }
}
