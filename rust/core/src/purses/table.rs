//! The purses for as long as the ledger's lock is held: finding one, making one, holding of many at once.

use std::ops::Range;
use std::sync::Arc;

use super::entry::{
    self, EXHAUSTED_UNTIL_MS, GRANTED, IDENTITY, PURSE_WORDS, RECENT, RECENT_MS, SHORT, SPENT, TOLD, TOUCHED_MS,
    UNTIL_MS, head,
};
use super::hold::Hold;
use super::set::{MAX_PURSES, PurseSet, identity};
use crate::limits::memory::{Identity, Index, Words, Writes, barrier};
use crate::limits::{Seat, Table};

/// What was held of late falls to 37 % in this time: as much as is asked for ahead.
const DECAYS_MS: f64 = 5_000.0;

/// A purse that has something to remember is forgotten after this long without use, and only for another one's sake.
pub(super) const KEPT_MS: u64 = 3_600_000;

/// What the workers of a host may still spend.
pub struct Purses<'a> {
    table: Table<'a>,
    index: Index<'a>,
    head: usize,
}

/// What came of a reservation.
#[derive(Debug)]
pub enum Outcome {
    /// It is held in every purse.
    Held(Hold),
    /// Nothing is held in any.
    Short(Shortage),
}

/// Why a reservation was not even decided. Nothing is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReserved {
    /// Every place that could serve one of the purses is another's.
    #[error("no purse is free")]
    Full,
    /// The seat is not, or no longer, the caller's.
    #[error("the worker has no seat")]
    NotSeated,
}

/// A purse that has too little: one of which the bank has said that there is no more, if there is such a one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    purses: Arc<PurseSet>,
    purse: usize,
    /// How much is missing, in pico-dollars: all of it where the lease has lapsed.
    pub missing: u64,
    /// The bank had nothing more, a moment ago.
    pub is_exhausted: bool,
}

impl PartialEq for PurseSet {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Eq for PurseSet {}

impl Shortage {
    /// The purse's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.purses.names()[self.purse]
    }
}

/// How a purse stands: pico-dollars, and milliseconds since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the bank has granted in all.
    pub granted: u64,
    /// What calls have cost in all.
    pub spent: u64,
    /// What live workers hold.
    pub held: u64,
    /// What was held of late: the demand of some seconds.
    pub recent: u64,
    /// What calls have missed since the bank last answered.
    pub short: u64,
    /// Until when the lease is good.
    pub until_ms: u64,
    /// Until when the bank has nothing more.
    pub exhausted_until_ms: u64,
    /// When something was last wanted of it.
    pub touched_ms: u64,
    /// What was spent when the bank was last to be told.
    pub told: u64,
}

pub(super) type Places = [usize; MAX_PURSES];

impl<'a> Purses<'a> {
    pub(crate) fn new(table: Table<'a>, index: Index<'a>, head: usize) -> Self {
        Self { table, index, head }
    }

    #[inline]
    pub(super) fn words(&self) -> Words<'a> {
        self.index.words
    }

    pub(super) fn head_at(&self, word: usize) -> usize {
        debug_assert!(word < head::WORDS);
        self.head + word
    }

    pub(super) fn head(&self, word: usize) -> u64 {
        self.words().get(self.head_at(word))
    }

    pub(super) fn base(&self, place: usize) -> usize {
        self.index.base(place)
    }

    pub(super) fn columns(&self, place: usize) -> entry::Columns<'a> {
        entry::columns(self.index, place)
    }

    pub(super) fn held(&self, place: usize) -> u64 {
        self.columns(place).held(self.table.live())
    }

    pub(super) fn is_seated(&self, column: usize, generation: u64) -> bool {
        self.table.is_seated(Seat { column, generation })
    }

    #[inline]
    pub(super) fn find(&self, identity: Identity) -> Option<usize> {
        self.index.find(identity)
    }

    /// Holds `amount` in every purse of the set, or in none.
    pub fn reserve(
        &mut self,
        seat: Seat,
        purses: &Arc<PurseSet>,
        amount: u64,
        now_ms: u64,
    ) -> Result<Outcome, NotReserved> {
        if !self.table.is_seated(seat) {
            return Err(NotReserved::NotSeated);
        }
        let places = self.make_all(purses, now_ms)?;
        if let Some(shortage) = self.shortage(purses, &places[..purses.names().len()], amount, now_ms) {
            return Ok(Outcome::Short(shortage));
        }
        self.hold_more(&places[..purses.names().len()], seat, amount, now_ms);
        Ok(Outcome::Held(Hold {
            purses: Arc::clone(purses),
            seat,
            held: amount,
            settled: None,
        }))
    }

    /// Where the set's purses lie; none when one of them is gone.
    pub(super) fn places(&self, purses: &PurseSet) -> Option<Vec<usize>> {
        purses
            .identities()
            .iter()
            .map(|identity| self.find(*identity))
            .collect()
    }

    fn make_all(&mut self, purses: &PurseSet, now_ms: u64) -> Result<Places, NotReserved> {
        let mut places = [usize::MAX; MAX_PURSES];
        for (place, identity) in places.iter_mut().zip(purses.identities()) {
            if let Some(found) = self.find(*identity) {
                // Touched first, so that none is taken for another one's sake.
                self.words().set(self.base(found) + TOUCHED_MS, now_ms);
                *place = found;
            }
        }
        for (place, identity) in places.iter_mut().zip(purses.identities()) {
            if *place == usize::MAX {
                *place = self.make(*identity, now_ms).ok_or(NotReserved::Full)?;
            }
        }
        Ok(places)
    }

    fn make(&mut self, identity: Identity, now_ms: u64) -> Option<usize> {
        let groups = self.index.groups(identity);
        let place = self
            .index
            .emptiest(&groups)
            .or_else(|| self.longest_unused(&groups, now_ms))?;
        let (words, tag, base) = (self.words(), self.index.tag(place), self.base(place));
        // Untagged while it is made: killed half-way, it is an empty way.
        words.set(tag, 0);
        barrier();
        for at in 0..PURSE_WORDS {
            words.set(base + at, 0);
        }
        words.set(base + IDENTITY, identity.rest);
        words.set(base + TOUCHED_MS, now_ms);
        barrier();
        words.set(tag, identity.tag);
        Some(place)
    }

    /// Of the purses that nobody will miss, the one that was of no use for longest.
    fn longest_unused(&self, groups: &[Range<usize>; 2], now_ms: u64) -> Option<usize> {
        groups
            .iter()
            .cloned()
            .flatten()
            .filter(|place| {
                let standing = self.standing_at(*place, now_ms);
                let is_new = standing.granted == 0 && standing.spent == 0;
                let is_old = now_ms.abs_diff(standing.touched_ms) > KEPT_MS;
                standing.held == 0 && standing.touched_ms != now_ms && (is_old || is_new)
            })
            // The distance either way: time since boot begins anew with every boot.
            .max_by_key(|place| now_ms.abs_diff(self.words().get(self.base(*place) + TOUCHED_MS)))
    }

    /// The purse that lacks some of `amount`, if any does. What is missing is noted in each, for the next question.
    pub(super) fn shortage(
        &mut self,
        purses: &Arc<PurseSet>,
        places: &[usize],
        amount: u64,
        now_ms: u64,
    ) -> Option<Shortage> {
        let mut worst: Option<Shortage> = None;
        for (purse, place) in places.iter().enumerate() {
            let available = self.available(*place, now_ms);
            if amount <= available {
                continue;
            }
            let (at, missing) = (self.base(*place) + SHORT, amount - available);
            self.words().set(at, self.words().get(at).saturating_add(missing));
            let is_exhausted = now_ms < self.words().get(self.base(*place) + EXHAUSTED_UNTIL_MS);
            if worst.as_ref().is_none_or(|worst| is_exhausted && !worst.is_exhausted) {
                worst = Some(Shortage {
                    purses: Arc::clone(purses),
                    purse,
                    missing,
                    is_exhausted,
                });
            }
        }
        worst
    }

    fn available(&self, place: usize, now_ms: u64) -> u64 {
        let (words, base) = (self.words(), self.base(place));
        if now_ms >= words.get(base + UNTIL_MS) {
            return 0;
        }
        let gone = words.get(base + SPENT).saturating_add(self.held(place));
        words.get(base + GRANTED).saturating_sub(gone)
    }

    /// Holds `more` in every purse: the caller has seen that they have it.
    pub(super) fn hold_more(&mut self, places: &[usize], seat: Seat, more: u64, now_ms: u64) {
        let mut writes = Writes::new();
        for place in places {
            let at = self.columns(*place).at(seat.column);
            writes.push(at, self.words().get(at).saturating_add(more));
        }
        writes.commit(self.words());
        for place in places {
            let recent = self.recent(*place, now_ms) + more as f64;
            // Only a guess: killed in between, it is a little off.
            self.words().set(self.base(*place) + RECENT, recent.to_bits());
            self.words().set(self.base(*place) + RECENT_MS, now_ms);
        }
    }

    fn recent(&self, place: usize, now_ms: u64) -> f64 {
        let (words, base) = (self.words(), self.base(place));
        let recent = f64::from_bits(words.get(base + RECENT));
        let passed_ms = now_ms.saturating_sub(words.get(base + RECENT_MS)) as f64;
        // A damaged word is no number.
        if recent.is_finite() && recent > 0.0 {
            recent * (-passed_ms / DECAYS_MS).exp()
        } else {
            0.0
        }
    }

    /// How the purse of that name stands.
    #[must_use]
    pub fn standing(&self, name: &str, now_ms: u64) -> Option<Standing> {
        self.find(identity(name)).map(|place| self.standing_at(place, now_ms))
    }

    #[allow(clippy::cast_sign_loss, reason = "decayed sums of what is not negative")]
    pub(super) fn standing_at(&self, place: usize, now_ms: u64) -> Standing {
        let word = |at| self.words().get(self.base(place) + at);
        Standing {
            granted: word(GRANTED),
            spent: word(SPENT),
            held: self.held(place),
            recent: self.recent(place, now_ms) as u64,
            short: word(SHORT),
            until_ms: word(UNTIL_MS),
            exhausted_until_ms: word(EXHAUSTED_UNTIL_MS),
            touched_ms: word(TOUCHED_MS),
            told: word(TOLD),
        }
    }

    /// Forgets a purse of which nothing is held; whether it did.
    pub fn forget(&mut self, name: &str) -> bool {
        let place = self.find(identity(name)).filter(|place| self.held(*place) == 0);
        if let Some(place) = place {
            self.words().set(self.index.tag(place), 0);
        }
        place.is_some()
    }

    /// Ends all leases: their times are of another boot.
    pub(crate) fn lapse_all(&mut self) {
        for place in 0..self.index.count {
            if !self.index.is_empty(place) {
                self.words().set(self.base(place) + UNTIL_MS, 0);
                self.words().set(self.base(place) + EXHAUSTED_UNTIL_MS, 0);
            }
        }
        self.words().set(self.head_at(head::TURN_UNTIL_MS), 0);
    }
}
