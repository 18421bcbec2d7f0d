//! What an admission takes of this host's leases, and what becomes of it later.

use super::entry::{
    ANSWERED, ASKED, BUCKET, CELL_COUNT, CLOSED_MS, DEMAND, FREE, GRANTED, HEAD, NEED, RETRY_MS, WINDOW_MS, header,
};
use super::region::{Leases, Reign, Unit};
use super::ring::{Entry, span, width_ms};
use crate::limits::memory::{Identity, Writes};
use crate::limits::{CONCURRENCY_RETRY_MS, MAX_RULES, Rule};

/// What a call waits for: of each counter that lacks units, the answer to the next question.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    places: [(usize, u64); MAX_RULES],
    length: usize,
}

/// What the leases say to a call that this host itself would admit.
#[allow(
    clippy::large_enum_variant,
    reason = "boxing would put an allocation on the admission path"
)]
pub(crate) enum Claim {
    /// Each rule's bucket; it may be charged.
    Granted([u64; MAX_RULES]),
    /// Redis has refused the rule of that index lately.
    Closed {
        rule: usize,
        remaining: u64,
        retry_after_ms: u64,
    },
    /// Redis has to be asked; it will be.
    Short(Ticket),
    /// There is no room for another counter.
    Full,
}

/// What one counter says.
enum Found {
    Bucket(u64),
    /// What is left, and when as much as is needed comes free.
    Refusal(u64, u64),
    Nothing,
}

impl Leases<'_> {
    /// What each host keeps to where nobody counts for all.
    #[must_use]
    pub fn share_of(&self, limit: u64) -> u64 {
        (limit / self.hosts()).max(limit.min(1))
    }

    /// Whether every rule has the units that it needs. Charges nothing.
    pub(crate) fn claim<'r>(
        &self,
        rules: impl Iterator<Item = (&'r Rule, Identity, Unit)>,
        reign: Reign,
        now_ms: u64,
    ) -> Claim {
        let mut entries: [Option<(Entry<'_>, Unit)>; MAX_RULES] = [None; MAX_RULES];
        for (slot, (rule, identity, unit)) in entries.iter_mut().zip(rules) {
            match self.find_or_make(rule, identity, now_ms) {
                Some(entry) => *slot = Some((entry, unit)),
                None => return Claim::Full,
            }
        }
        let mut buckets = [0; MAX_RULES];
        let mut short = [false; MAX_RULES];
        let mut closed: Option<(usize, u64, u64)> = None;
        for (rule, (entry, unit)) in entries.iter().enumerate().filter_map(numbered) {
            let refusal = match self.lookup(entry, unit, reign, now_ms) {
                Found::Bucket(bucket) => {
                    buckets[rule] = bucket;
                    continue;
                }
                Found::Nothing => {
                    short[rule] = true;
                    continue;
                }
                Found::Refusal(remaining, retry_after_ms) => (rule, remaining, retry_after_ms.max(1)),
            };
            if closed.is_none_or(|(_, _, longest_ms)| refusal.2 > longest_ms) {
                closed = Some(refusal);
            }
        }
        if let Some((rule, remaining, retry_after_ms)) = closed {
            return Claim::Closed {
                rule,
                remaining,
                retry_after_ms,
            };
        }
        if short.contains(&true) {
            return Claim::Short(self.register(&entries, &short, now_ms));
        }
        Claim::Granted(buckets)
    }

    fn lookup(&self, entry: Entry<'_>, unit: Unit, reign: Reign, now_ms: u64) -> Found {
        if reign == Reign::Shared {
            return self.by_share(entry, unit, now_ms);
        }
        let (granted, wanted) = (entry.get(GRANTED), unit.amount);
        let has = if entry.is_slots() {
            unit.held.saturating_add(wanted) <= granted
        } else {
            wanted <= entry.left_over()
        };
        if wanted == 0 || (has && entry.is_valid(now_ms)) {
            Found::Bucket(entry.get(BUCKET))
        } else if now_ms < entry.get(CLOSED_MS) {
            let retry_after_ms = entry.get(RETRY_MS).saturating_sub(now_ms);
            Found::Refusal(Self::remaining(entry, unit.held, now_ms), retry_after_ms)
        } else {
            Found::Nothing
        }
    }

    /// By what this host has spent itself, whoever leased it: then wall clocks have no say here either.
    fn by_share(&self, entry: Entry<'_>, unit: Unit, now_ms: u64) -> Found {
        let share = self.share_of(entry.limit());
        if entry.is_slots() {
            return match share.checked_sub(unit.held) {
                Some(left) if unit.amount <= left => Found::Bucket(0),
                left => Found::Refusal(left.unwrap_or(0), CONCURRENCY_RETRY_MS),
            };
        }
        let window_ms = entry.get(WINDOW_MS);
        let (width_ms, span) = (width_ms(window_ms), span(window_ms));
        let bucket = self.redis_ms(now_ms) / width_ms;
        let head = entry.get(HEAD);
        if bucket > head || head - bucket >= CELL_COUNT as u64 {
            entry.move_to(bucket);
        }
        let head = entry.get(HEAD);
        let counted = || entry.buckets().filter(|at| at.saturating_add(span) >= head);
        let spent = counted().fold(0_u64, |sum, at| sum.saturating_add(entry.spent(at)));
        let wanted = spent.saturating_add(unit.amount);
        if unit.amount == 0 || wanted <= share {
            return Found::Bucket(head);
        }
        let (mut freed, excess) = (0_u64, wanted - share);
        let freeing = counted().find(|at| {
            freed = freed.saturating_add(entry.spent(*at));
            freed >= excess
        });
        let retry_ms = freeing.map_or(window_ms, |at| {
            at.saturating_add(span + 1)
                .saturating_mul(width_ms)
                .saturating_sub(self.redis_ms(now_ms))
        });
        Found::Refusal(share.saturating_sub(spent), retry_ms)
    }

    fn register(
        &self,
        entries: &[Option<(Entry<'_>, Unit)>; MAX_RULES],
        short: &[bool; MAX_RULES],
        now_ms: u64,
    ) -> Ticket {
        let mut ticket = Ticket {
            places: [(0, 0); MAX_RULES],
            length: 0,
        };
        for (rule, (entry, unit)) in entries.iter().enumerate().filter_map(numbered) {
            if short[rule] {
                entry.set(NEED, entry.get(NEED).saturating_add(unit.amount));
                self.mark(entry.index);
                ticket.places[ticket.length] = (entry.index, entry.get(ASKED));
                ticket.length += 1;
            }
        }
        if self.head(header::WAITING_MS) == 0 {
            self.set_head(header::WAITING_MS, now_ms.max(1));
        }
        ticket
    }

    /// Whether the questions that the call waited for are answered, one way or the other.
    #[must_use]
    pub fn is_answered(&self, ticket: &Ticket) -> bool {
        let places = &ticket.places[..ticket.length];
        places
            .iter()
            .all(|(index, asked)| self.entry(*index).get(ANSWERED) > *asked)
    }

    /// Plans the write that charges `amount` to a rule's bucket, and counts it as demand.
    pub(crate) fn charge(&self, identity: Identity, bucket: u64, amount: u64, writes: &mut Writes) {
        let Some(entry) = self.find(identity) else { return };
        if amount == 0 {
            return;
        }
        entry.set(DEMAND, entry.get(DEMAND).saturating_add(amount));
        self.mark(entry.index);
        self.correct(entry, bucket, 0, amount, writes);
    }

    /// Plans the write that makes `charged` of a rule's bucket `wanted`. A bucket that has left the ring is left alone.
    pub(crate) fn recharge(&self, identity: Identity, bucket: u64, charged: u64, wanted: u64, writes: &mut Writes) {
        if let Some(entry) = self.find(identity) {
            self.mark(entry.index);
            self.correct(entry, bucket, charged, wanted, writes);
        }
    }

    fn correct(&self, entry: Entry<'_>, bucket: u64, charged: u64, wanted: u64, writes: &mut Writes) {
        if entry.is_slots() {
            return;
        }
        let Some(cell) = entry.cell_of(bucket) else { return };
        let others = self.words().get(cell).saturating_sub(charged);
        let value = others.saturating_add(wanted);
        // Redis was told of all that was granted last, spent or not.
        if bucket != entry.get(BUCKET) || value > entry.get(GRANTED) {
            entry.mark(bucket);
        }
        writes.push(cell, value);
    }

    /// Whether `amount` more may be charged to a rule beside what a call has already: from the lease, else on credit, which
    /// Redis hears of at once, unless it has said that there is none.
    pub(crate) fn may_grow(&self, identity: Identity, amount: u64, reign: Reign, now_ms: u64) -> bool {
        let Some(entry) = self.find(identity) else { return true };
        let closed = reign == Reign::Leased && now_ms < entry.get(CLOSED_MS);
        !closed || (amount <= entry.left_over() && entry.is_valid(now_ms))
    }

    /// What may still be asked for, of all that Redis has free and this host holds.
    pub(crate) fn remaining_of(&self, identity: Identity, held: u64, now_ms: u64) -> Option<u64> {
        self.find(identity).map(|entry| Self::remaining(entry, held, now_ms))
    }

    fn remaining(entry: Entry<'_>, held: u64, now_ms: u64) -> u64 {
        if entry.get(ANSWERED) == 0 {
            return entry.limit();
        }
        // Units that were never spent are free again by the time they are told.
        let has = match (entry.is_slots(), entry.is_valid(now_ms)) {
            (true, true) => entry.get(GRANTED).saturating_sub(held),
            (true, false) => 0,
            (false, _) => entry.left_over(),
        };
        entry.get(FREE).saturating_add(has)
    }
}

fn numbered<'a>((index, slot): (usize, &Option<(Entry<'a>, Unit)>)) -> Option<(usize, (Entry<'a>, Unit))> {
    slot.map(|found| (index, found))
}
