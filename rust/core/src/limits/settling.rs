//! What may follow an admission: settle, grow, release, cancel.

use super::admission::{Admission, Demand};
use super::journal::Writes;
use super::layout::worker;
use super::rule::{Kind, Rule};
use super::table::Table;
use super::workers::row;

impl Table<'_> {
    /// Corrects what was reserved to the tokens truly used, in the bucket where they were reserved: up, even above the
    /// limit, or down. A bucket that has left its window is left alone. The last call holds.
    pub fn settle(&mut self, admission: &mut Admission, input_tokens: u64, output_tokens: u64, now_ms: u64) {
        let settled = Demand {
            input_tokens,
            output_tokens,
            ..admission.charged
        };
        let mut writes = Writes::new();
        self.recharge(admission, settled, now_ms, &mut writes);
        writes.commit(self.words);
        admission.charged = settled;
    }

    /// Raises what is reserved for the answer to `output_tokens`, in the bucket where it was reserved, if every rule lets
    /// it; else changes nothing and says so. A rule whose window that bucket has left has nothing to say, and what is over
    /// or reserves as much already has nothing to ask.
    pub fn grow(&mut self, admission: &mut Admission, output_tokens: u64, now_ms: u64) -> bool {
        if !admission.open || output_tokens <= admission.charged.output_tokens {
            return true;
        }
        let grown = Demand {
            output_tokens,
            ..admission.charged
        };
        let is_held_back = |(rule, identity, bucket): (&Rule, _, u64)| {
            let more = grown.of(rule.kind) - admission.charged.of(rule.kind);
            let place = self.find(identity).filter(|_| more > 0);
            place.is_some_and(|place| {
                let window = self.window_at(place, now_ms);
                window.cell_of(bucket).is_some() && window.used().saturating_add(more) > rule.limit
            })
        };
        let rules = admission.limits.entries().zip(admission.buckets);
        if rules
            .map(|((rule, identity), bucket)| (rule, identity, bucket))
            .any(is_held_back)
        {
            return false;
        }
        if let Some(terms) = self.terms(&admission.limits).filter(|_| admission.leased.is_some()) {
            let mut rules = admission.limits.entries();
            if !rules.all(|(rule, identity)| {
                let more = grown.of(rule.kind) - admission.charged.of(rule.kind);
                more == 0 || terms.leases.may_grow(identity, more, terms.reign, terms.steady_ms)
            }) {
                return false;
            }
        }
        let mut writes = Writes::new();
        self.recharge(admission, grown, now_ms, &mut writes);
        writes.commit(self.words);
        admission.charged = grown;
        true
    }

    /// Gives the concurrency slots back. A second call does nothing.
    pub fn release(&mut self, admission: &mut Admission) {
        let mut writes = Writes::new();
        self.give_back_slots(admission, &mut writes);
        writes.commit(self.words);
        admission.open = false;
    }

    /// Takes all charges back, requests too: for a call that never reached a provider. A second call does nothing.
    pub fn cancel(&mut self, admission: &mut Admission, now_ms: u64) {
        let nothing = Demand::default();
        let mut writes = Writes::new();
        self.recharge(admission, nothing, now_ms, &mut writes);
        self.give_back_slots(admission, &mut writes);
        writes.commit(self.words);
        admission.charged = nothing;
        admission.open = false;
    }

    fn recharge(&self, admission: &Admission, wanted: Demand, now_ms: u64, writes: &mut Writes) {
        for ((rule, identity), bucket) in admission.limits.entries().zip(admission.buckets) {
            let (charged, wanted) = (admission.charged.of(rule.kind), wanted.of(rule.kind));
            if charged == wanted {
                continue;
            }
            let cell = self
                .find(identity)
                .and_then(|place| self.window_at(place, now_ms).cell_of(bucket));
            if let Some(cell) = cell {
                let others = self.words.get(cell).saturating_sub(charged);
                writes.push(cell, others.saturating_add(wanted));
            }
        }
        let Some(buckets) = &admission.leased else { return };
        let leases = self.leases();
        for ((rule, identity), bucket) in admission.limits.entries().zip(buckets) {
            let (charged, wanted) = (admission.charged.of(rule.kind), wanted.of(rule.kind));
            if charged != wanted {
                leases.recharge(identity, *bucket, charged, wanted, writes);
            }
        }
    }

    fn give_back_slots(&self, admission: &Admission, writes: &mut Writes) {
        let seat = admission.seat;
        if !admission.open || !self.is_seated(seat) {
            return;
        }
        for (rule, identity) in admission
            .limits
            .entries()
            .filter(|(rule, _)| rule.kind == Kind::Concurrency)
        {
            debug_assert_eq!(rule.window_ms, 0);
            let slots = self.find(identity).and_then(|place| self.slots_at(place));
            if let Some((at, value)) = slots.and_then(|slots| slots.lanes().returned(seat.column)) {
                writes.push(at, value);
            }
        }
        let gauge = row(seat.column) + worker::OPEN;
        writes.push(gauge, self.words.get(gauge).saturating_sub(1));
    }
}
