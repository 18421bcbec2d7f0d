//! What a call holds of its purses until it is known what it cost.

use std::sync::Arc;

use super::entry::SPENT;
use super::set::PurseSet;
use super::table::Purses;
use crate::limits::Seat;
use crate::limits::memory::Writes;

/// An amount that is held in every purse of a set, or what was spent of it.
#[derive(Debug)]
pub struct Hold {
    pub(super) purses: Arc<PurseSet>,
    pub(super) seat: Seat,
    /// What is held now.
    pub(super) held: u64,
    /// What it was settled at.
    pub(super) settled: Option<u64>,
}

impl Hold {
    /// Who holds it.
    #[must_use]
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether something is held that nobody has settled.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.settled.is_none()
    }

    /// What is held now, in pico-dollars.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held
    }
}

impl Purses<'_> {
    /// Spends `cost` of every purse in place of what was held, be it more. The last call holds: one that is told again what it
    /// has cost in all is corrected.
    pub fn settle(&mut self, hold: &mut Hold, cost: u64) {
        let before = hold.settled.unwrap_or(0);
        let mut writes = Writes::new();
        for identity in hold.purses.identities() {
            let Some(place) = self.find(*identity) else {
                continue;
            };
            if hold.held > 0 {
                let at = self.columns(place).at(hold.seat.column);
                writes.push(at, self.words().get(at).saturating_sub(hold.held));
            }
            if cost != before {
                let at = self.base(place) + SPENT;
                let others = self.words().get(at).saturating_sub(before);
                writes.push(at, others.saturating_add(cost));
            }
        }
        writes.commit(self.words());
        hold.held = 0;
        hold.settled = Some(cost);
    }

    /// Raises what is held to `amount` if every purse has as much, else changes nothing and says no. Less than is held, or
    /// nothing held any more, changes nothing either.
    pub fn grow(&mut self, hold: &mut Hold, amount: u64, now_ms: u64) -> bool {
        let more = amount.saturating_sub(hold.held);
        if more == 0 || !hold.is_open() {
            return true;
        }
        let Some(places) = self.places(&hold.purses) else {
            return false;
        };
        if self.shortage(&hold.purses, &places, more, now_ms).is_some() {
            return false;
        }
        self.hold_more(&places, hold.seat, more, now_ms);
        hold.held = amount;
        true
    }
}
