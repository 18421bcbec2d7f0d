//! Admitting a request against a set of rules.

use std::sync::Arc;

use super::journal::Writes;
use super::layout::worker;
use super::rule::{Identity, Kind, LimitSet, MAX_RULES, Rule};
use super::table::{CONCURRENCY_RETRY_MS, Table};
use super::window::Usage;
use super::workers::{Seat, row};
use crate::leases::{Claim, Leases, Reign, Ticket, Unit};

/// What a request asks for. It takes one slot of every concurrency rule besides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Charged to each requests rule; one for an ordinary call.
    pub requests: u64,
    /// Tokens of the prompt, reserved of each rule that counts them: an estimate from above, corrected by [`Table::settle`].
    pub input_tokens: u64,
    /// Tokens of the answer, likewise; [`Table::grow`] reserves more of them on the way.
    pub output_tokens: u64,
}

impl Demand {
    pub(super) fn of(self, kind: Kind) -> u64 {
        match kind {
            Kind::Requests => self.requests,
            Kind::Tokens => self.input_tokens.saturating_add(self.output_tokens),
            Kind::InputTokens => self.input_tokens,
            Kind::OutputTokens => self.output_tokens,
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

impl Level {
    fn is_tighter(self, other: Self) -> bool {
        (self.remaining, other.reset_ms) < (other.remaining, self.reset_ms)
    }
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
    /// No rule was charged: this host has not leased enough of what hosts share, and will ask for it.
    Short(Ticket),
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
    pub(super) limits: Arc<LimitSet>,
    pub(super) seat: Seat,
    pub(super) charged: Demand,
    /// Per rule, the bucket that was charged.
    pub(super) buckets: [u64; MAX_RULES],
    /// Per rule, the bucket of the lease that was charged, if hosts share them.
    pub(super) leased: Option<[u64; MAX_RULES]>,
    pub(super) open: bool,
    /// Per kind that is counted in windows, the rule with the least left.
    levels: [Option<Level>; Kind::WINDOWED],
}

impl Admission {
    /// Who was admitted.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// What it is charged with.
    #[must_use]
    pub fn charged(&self) -> Demand {
        self.charged
    }

    /// How the rule of each kind with the least left stood when all was charged.
    pub fn levels(&self) -> impl Iterator<Item = (Kind, Level)> {
        let levels = Kind::ALL.into_iter().zip(self.levels);
        levels.filter_map(|(kind, level)| Some((kind, level?)))
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

/// How limits that hosts share are held now, and the time that leases go by.
pub(super) struct Terms<'a> {
    pub(super) leases: Leases<'a>,
    pub(super) reign: Reign,
    pub(super) steady_ms: u64,
}

impl<'a> Table<'a> {
    /// The terms of limits that hosts share; none where this host holds them alone.
    #[inline]
    pub(super) fn terms(&self, limits: &LimitSet) -> Option<Terms<'a>> {
        let leases = limits.is_shared().then(|| self.leases()).filter(Leases::is_on)?;
        Some(Terms {
            reign: leases.reign(self.steady_ms),
            leases,
            steady_ms: self.steady_ms,
        })
    }

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
        let terms = self.terms(limits);
        if let Some(refusal) = self.refusal(seat, limits, &places, demand, now_ms) {
            return Ok(Outcome::Refused(refusal));
        }
        let Some(buckets) = self.prepare(limits, &mut places, now_ms) else {
            self.count_full_refusal();
            return Err(NotAdmitted::Full);
        };
        let leased = match terms
            .as_ref()
            .map(|terms| self.claim_units(limits, &places, demand, terms, now_ms))
        {
            None => None,
            Some(Claim::Granted(buckets)) => Some(buckets),
            Some(Claim::Short(ticket)) => return Ok(Outcome::Short(ticket)),
            Some(Claim::Closed {
                rule,
                remaining,
                retry_after_ms,
            }) => {
                return Ok(Outcome::Refused(Refusal {
                    limits: Arc::clone(limits),
                    rule,
                    remaining,
                    retry_after_ms,
                    too_large: false,
                }));
            }
            Some(Claim::Full) => {
                self.count_full_refusal();
                return Err(NotAdmitted::Full);
            }
        };
        self.charge(seat, limits, &places, demand, leased.as_ref(), now_ms);
        let levels = self.tightest(limits, &places, terms.as_ref(), now_ms);
        let limits = Arc::clone(limits);
        Ok(Outcome::Admitted(Admission {
            limits,
            seat,
            charged: demand,
            buckets,
            leased,
            open: true,
            levels,
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

    fn claim_units(&self, limits: &LimitSet, places: &Places, demand: Demand, terms: &Terms<'_>, now_ms: u64) -> Claim {
        let wanted = limits.entries().zip(places).map(|((rule, identity), place)| {
            let held = match (rule.kind, place) {
                (Kind::Concurrency, Some(place)) => self.used(rule, *place, now_ms),
                _ => 0,
            };
            let amount = demand.of(rule.kind);
            (rule, identity, Unit { amount, held })
        });
        terms.leases.claim(wanted, terms.reign, terms.steady_ms)
    }

    fn charge(
        &mut self,
        seat: Seat,
        limits: &LimitSet,
        places: &Places,
        demand: Demand,
        leased: Option<&[u64; MAX_RULES]>,
        now_ms: u64,
    ) {
        let mut writes = Writes::new();
        if let Some(buckets) = leased {
            let region = self.leases();
            for ((rule, identity), bucket) in limits.entries().zip(buckets) {
                region.charge(identity, *bucket, demand.of(rule.kind), &mut writes);
            }
        }
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

    /// By kind, the rule with the least left; of equal ones that which is restored last.
    fn tightest(
        &self,
        limits: &LimitSet,
        places: &Places,
        terms: Option<&Terms<'_>>,
        now_ms: u64,
    ) -> [Option<Level>; Kind::WINDOWED] {
        let mut tightest: [Option<Level>; Kind::WINDOWED] = [None; Kind::WINDOWED];
        for ((rule, identity), place) in limits.entries().zip(places) {
            if let Some(known) = tightest.get_mut(rule.kind as usize) {
                let level = self.level(rule, identity, *place, terms, now_ms);
                if known.is_none_or(|known| level.is_tighter(known)) {
                    *known = Some(level);
                }
            }
        }
        tightest
    }

    fn level(
        &self,
        rule: &Rule,
        identity: Identity,
        place: Option<usize>,
        terms: Option<&Terms<'_>>,
        now_ms: u64,
    ) -> Level {
        let usage = match place {
            None => Usage::default(),
            Some(place) if rule.kind == Kind::Concurrency => Usage {
                used: self.used(rule, place, now_ms),
                reset_ms: 0,
            },
            Some(place) => self.window_at(place, now_ms).usage(),
        };
        let remaining = match terms {
            None => rule.limit.saturating_sub(usage.used),
            Some(terms) => {
                let limit = match terms.reign {
                    Reign::Shared => terms.leases.share_of(rule.limit),
                    _ => rule.limit,
                };
                let own = limit.saturating_sub(usage.used);
                let held = if rule.kind == Kind::Concurrency { usage.used } else { 0 };
                let everywhere = terms.leases.remaining_of(identity, held, terms.steady_ms);
                everywhere
                    .filter(|_| terms.reign != Reign::Shared)
                    .map_or(own, |left| left.min(own))
            }
        };
        Level {
            limit: rule.limit,
            remaining,
            reset_ms: usage.reset_ms,
        }
    }

    /// How each rule stands, in the set's order. Changes nothing.
    #[must_use]
    pub fn status(&self, limits: &LimitSet, now_ms: u64) -> Vec<RuleStatus> {
        let terms = self.terms(limits);
        limits
            .entries()
            .map(|(rule, identity)| RuleStatus {
                kind: rule.kind,
                level: self.level(rule, identity, self.find(identity), terms.as_ref(), now_ms),
            })
            .collect()
    }
}
