//! Admitting a request against a set of rules, and what may follow: settle, release, cancel.

use std::sync::Arc;

use super::journal::Writes;
use super::layout::worker;
use super::rule::{Kind, LimitSet, MAX_RULES, Rule};
use super::table::{CONCURRENCY_RETRY_MS, Table};
use super::window::Usage;
use super::workers::{Seat, row};

/// What a request asks for. It takes one slot of every concurrency rule besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Charged to each requests rule; one for an ordinary call.
    pub requests: u64,
    /// Reserved of each tokens rule: an estimate from above, corrected by [`Table::settle`].
    pub tokens: u64,
}

impl Demand {
    fn of(self, kind: Kind) -> u64 {
        match kind {
            Kind::Requests => self.requests,
            Kind::Tokens => self.tokens,
            Kind::Concurrency => 1,
        }
    }
}

/// How one counter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// The rule's limit.
    pub limit: u64,
    /// What may still be asked for.
    pub remaining: u64,
    /// Until all that is counted now is forgotten; zero for concurrency.
    pub reset_ms: u64,
}

/// How one rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleStatus {
    /// What the rule counts.
    pub kind: Kind,
    /// How it stands.
    pub level: Level,
}

/// What came of a demand.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "boxing would put an allocation on the admission path"
)]
pub enum Outcome {
    /// Every rule was charged.
    Admitted(Admission),
    /// No rule was charged.
    Refused(Refusal),
}

/// Why a demand was not even decided. Nothing was charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Every counter that could serve one of the rules is busy with another scope.
    #[error("no counter is free")]
    Full,
    /// The seat is not, or no longer, the caller's.
    #[error("the worker has no seat")]
    NotSeated,
}

/// A request that may pass, and what was charged for it.
#[derive(Debug)]
pub struct Admission {
    limits: Arc<LimitSet>,
    seat: Seat,
    charged: Demand,
    /// Per rule, the bucket that was charged.
    buckets: [u64; MAX_RULES],
    open: bool,
    /// The requests rule with the least left.
    pub requests: Option<Level>,
    /// The tokens rule with the least left.
    pub tokens: Option<Level>,
}

impl Admission {
    /// Who was admitted.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether it still holds its concurrency slots.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open
    }
}

/// A request that may not pass, and the rule that holds it back longest.
#[derive(Clone, Debug)]
pub struct Refusal {
    limits: Arc<LimitSet>,
    rule: usize,
    /// What a smaller request could still ask of that rule.
    pub remaining: u64,
    /// After this long the rule would admit the same demand, if nobody else asks; a guess for concurrency; zero when it
    /// never would.
    pub retry_after_ms: u64,
    /// The demand alone is larger than the limit: no waiting helps.
    pub too_large: bool,
}

impl Refusal {
    /// The rule that refuses.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.limits.rules()[self.rule]
    }
}

type Places = [Option<usize>; MAX_RULES];

impl Table<'_> {
    /// Charges `demand` to every rule, or to none.
    pub fn admit(
        &mut self,
        seat: Seat,
        limits: &Arc<LimitSet>,
        demand: Demand,
        now_ms: u64,
    ) -> Result<Outcome, NotAdmitted> {
        if !self.is_seated(seat) {
            return Err(NotAdmitted::NotSeated);
        }
        let mut places: Places = [None; MAX_RULES];
        for (place, (rule, identity)) in places.iter_mut().zip(limits.entries()) {
            *place = self.find(identity);
            if let Some(place) = place.filter(|_| rule.kind != Kind::Concurrency) {
                self.window_at(place, now_ms).follow_back();
            }
        }
        if let Some(refusal) = self.refusal(seat, limits, &places, demand, now_ms) {
            return Ok(Outcome::Refused(refusal));
        }
        let Some(buckets) = self.prepare(limits, &mut places, now_ms) else {
            self.count_full_refusal();
            return Err(NotAdmitted::Full);
        };
        self.charge(seat, limits, &places, demand, now_ms);
        let [requests, tokens] =
            [Kind::Requests, Kind::Tokens].map(|kind| self.tightest(kind, limits, &places, now_ms));
        let limits = Arc::clone(limits);
        Ok(Outcome::Admitted(Admission {
            limits,
            seat,
            charged: demand,
            buckets,
            open: true,
            requests,
            tokens,
        }))
    }

    /// The refusal of the rule that holds longest, if any rule does. Writes nothing.
    fn refusal(
        &self,
        seat: Seat,
        limits: &Arc<LimitSet>,
        places: &Places,
        demand: Demand,
        now_ms: u64,
    ) -> Option<Refusal> {
        let mut longest: Option<Refusal> = None;
        for (index, (rule, place)) in limits.rules().iter().zip(places).enumerate() {
            let asked = demand.of(rule.kind);
            let used = place.map_or(0, |place| self.used(rule, place, now_ms));
            let wanted = used.saturating_add(asked);
            if wanted <= rule.limit && self.has_lane(rule, *place, seat) {
                continue;
            }
            let too_large = asked > rule.limit;
            let retry_after_ms = match (too_large, rule.kind, place) {
                (true, ..) | (_, _, None) => 0,
                (_, Kind::Concurrency, _) => CONCURRENCY_RETRY_MS,
                (_, _, Some(place)) => self.window_at(*place, now_ms).until_freed(wanted - rule.limit),
            };
            if longest
                .as_ref()
                .is_none_or(|other| (too_large, retry_after_ms) > (other.too_large, other.retry_after_ms))
            {
                let remaining = rule.limit.saturating_sub(used);
                longest = Some(Refusal {
                    limits: Arc::clone(limits),
                    rule: index,
                    remaining,
                    retry_after_ms,
                    too_large,
                });
            }
        }
        longest
    }

    fn used(&self, rule: &Rule, place: usize, now_ms: u64) -> u64 {
        match self.slots_at(place) {
            Some(slots) if rule.kind == Kind::Concurrency => slots.lanes().held(self.live()),
            _ => self.window_at(place, now_ms).used(),
        }
    }

    /// Whether the worker's lane of a concurrency counter can take one more.
    fn has_lane(&self, rule: &Rule, place: Option<usize>, seat: Seat) -> bool {
        rule.kind != Kind::Concurrency
            || place
                .and_then(|place| self.slots_at(place))
                .is_none_or(|slots| slots.lanes().taken(seat.column).is_some())
    }

    /// Moves the counters on to now and makes the missing ones; the bucket of each, or none when the table is full.
    fn prepare(&mut self, limits: &LimitSet, places: &mut Places, now_ms: u64) -> Option<[u64; MAX_RULES]> {
        let mut buckets = [0; MAX_RULES];
        for ((rule, place), bucket) in limits.rules().iter().zip(places.iter()).zip(&mut buckets) {
            if let Some(place) = *place {
                *bucket = self.move_on(rule, place, now_ms);
            }
        }
        for (index, (rule, identity)) in limits.entries().enumerate() {
            if places[index].is_none() {
                let place = self.claim(rule, identity, now_ms)?;
                places[index] = Some(place);
                buckets[index] = self.move_on(rule, place, now_ms);
            }
        }
        Some(buckets)
    }

    fn move_on(&mut self, rule: &Rule, place: usize, now_ms: u64) -> u64 {
        if rule.kind != Kind::Concurrency {
            return self.window_at(place, now_ms).advance().0;
        }
        if let Some(slots) = self.slots_at(place) {
            slots.touch(now_ms);
        }
        0
    }

    fn charge(&mut self, seat: Seat, limits: &LimitSet, places: &Places, demand: Demand, now_ms: u64) {
        let mut writes = Writes::new();
        for (rule, place) in limits.rules().iter().zip(places.iter().flatten()) {
            let write = match rule.kind {
                Kind::Concurrency => self.slots_at(*place).and_then(|slots| slots.lanes().taken(seat.column)),
                kind => {
                    let (_, cell) = self.window_at(*place, now_ms).advance();
                    Some((cell, self.words.get(cell).saturating_add(demand.of(kind))))
                }
            };
            if let Some((at, value)) = write {
                writes.push(at, value);
            }
        }
        let gauge = row(seat.column) + worker::OPEN;
        writes.push(gauge, self.words.get(gauge).saturating_add(1));
        writes.commit(self.words);
    }

    fn tightest(&self, kind: Kind, limits: &LimitSet, places: &Places, now_ms: u64) -> Option<Level> {
        let rules = limits.rules().iter().zip(places).filter(|(rule, _)| rule.kind == kind);
        rules
            .map(|(rule, place)| self.level(rule, *place, now_ms))
            .min_by_key(|level| level.remaining)
    }

    fn level(&self, rule: &Rule, place: Option<usize>, now_ms: u64) -> Level {
        let usage = match place {
            None => Usage::default(),
            Some(place) if rule.kind == Kind::Concurrency => Usage {
                used: self.used(rule, place, now_ms),
                reset_ms: 0,
            },
            Some(place) => self.window_at(place, now_ms).usage(),
        };
        Level {
            limit: rule.limit,
            remaining: rule.limit.saturating_sub(usage.used),
            reset_ms: usage.reset_ms,
        }
    }

    /// How each rule stands, in the set's order. Changes nothing.
    #[must_use]
    pub fn status(&self, limits: &LimitSet, now_ms: u64) -> Vec<RuleStatus> {
        limits
            .entries()
            .map(|(rule, identity)| RuleStatus {
                kind: rule.kind,
                level: self.level(rule, self.find(identity), now_ms),
            })
            .collect()
    }

    /// Corrects what was reserved to the tokens truly used, in the bucket where they were reserved: up, even above the
    /// limit, or down. A bucket that has left its window is left alone. The last call holds.
    pub fn settle(&mut self, admission: &mut Admission, tokens: u64, now_ms: u64) {
        let settled = Demand {
            tokens,
            ..admission.charged
        };
        let mut writes = Writes::new();
        self.recharge(admission, settled, now_ms, &mut writes);
        writes.commit(self.words);
        admission.charged = settled;
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
        let nothing = Demand { requests: 0, tokens: 0 };
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
