//! A route's calls, retries and hedges of late: how many of the one the other may be.
//!
//! The counts decay by the second, so that a budget is a share of what goes on now and can't be saved up.

use super::board::{Board, Place};
use super::entry::route;
use super::pool::Pool;
use crate::limits::memory::Writes;

/// A count falls to 37 % in this time.
const DECAYS_MS: f64 = 10_000.0;

/// A clock that is behind by more than this was set back.
const BEHIND_MS: u64 = 60_000;

#[derive(Clone, Copy)]
struct Counts {
    decayed_ms: u64,
    calls: f64,
    retries: f64,
    hedges: f64,
}

impl Board<'_> {
    fn counts(&self, place: Place, now_ms: u64) -> Counts {
        let words = self.words();
        let then_ms = words.get(place.base + route::DECAYED_MS);
        let kept = (-(now_ms.saturating_sub(then_ms) as f64) / DECAYS_MS).exp();
        let count = |at| {
            let count = f64::from_bits(words.get(place.base + at)) * kept;
            // A damaged word is no number.
            if count.is_finite() && count > 0.0 { count } else { 0.0 }
        };
        let is_behind = then_ms > now_ms.saturating_add(BEHIND_MS);
        Counts {
            decayed_ms: if is_behind { now_ms } else { then_ms.max(now_ms) },
            calls: count(route::CALLS),
            retries: count(route::RETRIES),
            hedges: count(route::HEDGES),
        }
    }

    fn write_counts(&self, place: Place, counts: Counts, total: Option<u64>) {
        let mut writes = Writes::new();
        writes.push(place.base + route::DECAYED_MS, counts.decayed_ms);
        writes.push(place.base + route::CALLS, counts.calls.to_bits());
        writes.push(place.base + route::RETRIES, counts.retries.to_bits());
        writes.push(place.base + route::HEDGES, counts.hedges.to_bits());
        if let Some(total) = total {
            writes.push(place.base + route::TOTAL, total);
        }
        writes.commit(self.words());
    }

    /// Counts a call of the route.
    pub(super) fn count_call(&mut self, pool: &Pool, now_ms: u64) {
        let Some(place) = self.find_or_make(&pool.route, now_ms) else {
            return;
        };
        let mut counts = self.counts(place, now_ms);
        counts.calls += 1.0;
        let total = self.words().get(place.base + route::TOTAL);
        self.write_counts(place, counts, Some(total.wrapping_add(1)));
    }

    /// Takes one retry, unless those of late are `permille` of the calls of late, and `reserve` besides.
    ///
    /// Without room for the route nothing bounds its retries, and there are none.
    pub fn retry(&mut self, pool: &Pool, permille: u64, reserve: u64, now_ms: u64) -> bool {
        self.spend(pool, permille, reserve, now_ms, |counts| &mut counts.retries)
    }

    /// Takes one hedge, unless those of late are `permille` of the calls of late, and one besides.
    pub fn hedge(&mut self, pool: &Pool, permille: u64, now_ms: u64) -> bool {
        self.spend(pool, permille, 1, now_ms, |counts| &mut counts.hedges)
    }

    fn spend(
        &mut self,
        pool: &Pool,
        permille: u64,
        reserve: u64,
        now_ms: u64,
        spent: fn(&mut Counts) -> &mut f64,
    ) -> bool {
        let Some(place) = self.find_or_make(&pool.route, now_ms) else {
            return false;
        };
        let mut counts = self.counts(place, now_ms);
        let allowed = permille as f64 / 1_000.0 * counts.calls + reserve as f64;
        let spent = spent(&mut counts);
        if *spent + 1.0 > allowed {
            return false;
        }
        *spent += 1.0;
        self.write_counts(place, counts, None);
        true
    }
}
