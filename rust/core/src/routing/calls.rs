//! One call of one target: counted in flight from its beginning to its end, and what it tells of the target.

use std::sync::Arc;

use super::board::{Board, Place};
use super::breaker::{Breaker, Change, Pass, State};
use super::latency::{Kind, Latency};
use super::pool::{Policy, Pool, Target};
use super::rate::Rate;
use crate::limits::Seat;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well; with its latency, where that was not told before.
    Ok(Option<(u64, Kind)>),
    /// By the target's fault.
    Failed,
    /// Without saying anything about the target.
    Neutral,
}

/// One call under way.
#[derive(Debug)]
pub struct Lease {
    pool: Arc<Pool>,
    index: usize,
    seat: Seat,
    pass: Pass,
    /// What it waits for.
    kind: Kind,
    /// It lies on the board, where a full one had room.
    is_counted: bool,
    is_open: bool,
    success: Option<Success>,
}

/// What a success wiped out, in case the call fails after all.
#[derive(Clone, Copy, Debug)]
struct Success {
    failures: u64,
    /// How many successes it made.
    well: u64,
}

impl Lease {
    /// Whose call it is.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether it tries a target whose breaker is half open.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.pass.is_probe
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The name of the target that is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.target().name.text()
    }

    fn target(&self) -> &Target {
        &self.pool.targets[self.index]
    }
}

impl Board<'_> {
    /// Begins a call of the target at `index`, which waits for `kind`, unless it may not be asked any more. `is_first`
    /// counts it among the route's calls; `grants_itself`: see [`super::Ask`].
    #[allow(clippy::too_many_arguments, reason = "one of each kind")]
    pub fn begin(
        &mut self,
        seat: Seat,
        pool: &Arc<Pool>,
        index: usize,
        kind: Kind,
        now_ms: u64,
        is_first: bool,
        grants_itself: bool,
    ) -> Option<Lease> {
        let target = pool.targets.get(index)?;
        let mut lease = Lease {
            pool: Arc::clone(pool),
            index,
            seat,
            pass: Pass {
                era: u64::MAX,
                is_probe: false,
            },
            kind,
            is_counted: false,
            is_open: true,
            success: None,
        };
        if let Some(place) = self.find_or_make(&target.name, now_ms) {
            let before = Breaker::read(self.words(), place);
            let mut after = before;
            lease.pass = after.admit(target.policy.probes, now_ms, grants_itself)?;
            let lane = self.lanes(place).taken(seat.column);
            lease.is_counted = lane.is_some();
            self.store(place, &before, &after, lane);
            Latency::new(self.words(), place, kind).wait(now_ms);
        }
        if is_first {
            self.count_call(pool, now_ms);
        }
        Some(lease)
    }

    /// The answer has begun well, after `latency_us`: that is the success of the call. Only the first time counts.
    pub fn heard(&mut self, lease: &mut Lease, latency_us: u64, kind: Kind, now_ms: u64) -> Option<Change> {
        if !lease.is_open || lease.success.is_some() {
            return None;
        }
        let place = self.find(&lease.target().name)?;
        Latency::new(self.words(), place, kind).tell(latency_us, now_ms);
        Latency::new(self.words(), place, lease.kind).hear();
        let before = Breaker::read(self.words(), place);
        let mut after = before;
        let change = self.succeed(lease, place, &mut after, now_ms);
        self.store(place, &before, &after, None);
        change
    }

    fn succeed(&self, lease: &mut Lease, place: Place, breaker: &mut Breaker, now_ms: u64) -> Option<Change> {
        let policy = &lease.target().policy;
        let success = Success {
            failures: breaker.failures,
            well: breaker.well.wrapping_add(1),
        };
        if breaker.concerns(lease.pass) {
            Rate::new(self.words(), place).count(1, 0, policy.window_ms, now_ms);
        }
        let change = breaker.succeed(lease.pass, policy.slow_start_ms, now_ms);
        if change.is_some() {
            Rate::new(self.words(), place).clear();
        }
        lease.success = Some(success);
        change
    }

    /// Ends the call. A second end does nothing.
    pub fn end(&mut self, lease: &mut Lease, outcome: Outcome, now_ms: u64) -> Option<Change> {
        if !lease.is_open {
            return None;
        }
        lease.is_open = false;
        let place = self.find(&lease.target().name)?;
        if lease.success.is_none() {
            Latency::new(self.words(), place, lease.kind).hear();
        }
        let before = Breaker::read(self.words(), place);
        let mut after = before;
        let change = match outcome {
            Outcome::Failed => self.fail(lease, place, &mut after, now_ms),
            // What there was to tell was told when it was heard.
            Outcome::Ok(_) | Outcome::Neutral if lease.success.is_some() => None,
            Outcome::Ok(latency) => {
                if let Some((latency_us, kind)) = latency {
                    Latency::new(self.words(), place, kind).tell(latency_us, now_ms);
                }
                self.succeed(lease, place, &mut after, now_ms)
            }
            Outcome::Neutral => {
                after.forgive(lease.pass);
                None
            }
        };
        let lane = if lease.is_counted {
            self.lanes(place).returned(lease.seat.column)
        } else {
            None
        };
        self.store(place, &before, &after, lane);
        change
    }

    fn fail(&self, lease: &Lease, place: Place, breaker: &mut Breaker, now_ms: u64) -> Option<Change> {
        let policy = &lease.target().policy;
        if !breaker.concerns(lease.pass) {
            return None;
        }
        // Nobody has succeeded since this call only seemed to: it did not, and failures on both sides of it are in a row.
        if let Some(success) = lease.success.filter(|success| success.well == breaker.well) {
            breaker.well = breaker.well.wrapping_sub(1);
            breaker.failures = breaker.failures.saturating_add(success.failures);
        }
        let is_often = breaker.state == State::Closed
            && self.count_failure(place, policy, u64::from(lease.success.is_none()), now_ms);
        breaker.fail(lease.pass, policy, is_often, now_ms)
    }

    /// Counts a failure of a call that was counted before (`calls` 0) or is now (1); whether there are too many.
    fn count_failure(&self, place: Place, policy: &Policy, calls: u64, now_ms: u64) -> bool {
        let rate = Rate::new(self.words(), place);
        rate.count(calls, 1, policy.window_ms, now_ms);
        rate.is_too_high(policy)
    }

    /// What 95 of 100 of a target's latencies of late were not longer than; none when too few are known.
    #[must_use]
    pub fn p95_us(&self, target: &Target, kind: Kind) -> Option<u64> {
        let place = self.find(&target.name)?;
        Latency::new(self.words(), place, kind).p95_us()
    }
}
