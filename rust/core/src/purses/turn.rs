//! Whose turn it is to ask the bank for this host, and what its answer changes.

use super::entry::{EXHAUSTED_UNTIL_MS, GRANTED, SHORT, SPENT, TOLD, UNTIL_MS, head};
use super::set::identity;
use super::table::{Purses, Standing};
use crate::limits::Seat;
use crate::limits::memory::Writes;

impl Purses<'_> {
    /// What the bank knows this host by: made with the memory, so that a new one owes nothing. `fresh` is taken where
    /// there is none yet, and is not zero.
    pub fn host_id(&mut self, fresh: u128) -> u128 {
        let (low, high) = (self.head(head::HOST_ID), self.head(head::HOST_ID + 1));
        let known = u128::from(low) | u128::from(high) << 64;
        if known != 0 {
            return known;
        }
        let mut writes = Writes::new();
        writes.push(self.head_at(head::HOST_ID), fresh as u64);
        writes.push(self.head_at(head::HOST_ID + 1), (fresh >> 64) as u64);
        writes.commit(self.words());
        fresh
    }

    /// Takes the turn until `until_ms`, unless it is a live worker's; its number, by which [`Purses::grant`] knows it.
    pub fn take_turn(&mut self, seat: Seat, now_ms: u64, until_ms: u64) -> Option<u64> {
        if self.is_taken(now_ms) {
            return None;
        }
        let number = self.head(head::TURN).wrapping_add(1);
        let mut writes = Writes::new();
        writes.push(self.head_at(head::TURN), number);
        writes.push(self.head_at(head::TURN_UNTIL_MS), until_ms);
        writes.push(self.head_at(head::TURN_COLUMN), seat.column as u64);
        writes.push(self.head_at(head::TURN_GENERATION), seat.generation);
        writes.commit(self.words());
        Some(number)
    }

    /// Gives the turn back, if it is still this one.
    pub fn end_turn(&mut self, number: u64) {
        if self.head(head::TURN) == number {
            self.words().set(self.head_at(head::TURN_UNTIL_MS), 0);
        }
    }

    fn is_taken(&self, now_ms: u64) -> bool {
        // Whoever has died asks no more; the number keeps its answer from counting.
        let column = self.head(head::TURN_COLUMN);
        now_ms < self.head(head::TURN_UNTIL_MS)
            && column < u64::from(u64::BITS)
            && self.is_seated(column as usize, self.head(head::TURN_GENERATION))
    }

    /// Gives back what is granted beyond what is spent, held and `keep`, before the bank is told of it; how it stands
    /// then. None where nobody knows the purse, or another turn has begun.
    pub fn trim(&mut self, turn: u64, name: &str, keep: u64, now_ms: u64) -> Option<Standing> {
        let place = self.find(identity(name)).filter(|_| self.head(head::TURN) == turn)?;
        let (words, base) = (self.words(), self.base(place));
        let needed = words.get(base + SPENT).saturating_add(self.held(place));
        let kept = needed.saturating_add(keep);
        if kept < words.get(base + GRANTED) {
            words.set(base + GRANTED, kept);
        }
        words.set(base + TOLD, words.get(base + SPENT));
        Some(self.standing_at(place, now_ms))
    }

    /// Notes what the bank has answered: what is granted in all, until when that is good, and until when it has nothing
    /// more (0: it may). Whether it was this turn's to note.
    pub fn grant(&mut self, turn: u64, name: &str, granted: u64, until_ms: u64, exhausted_until_ms: u64) -> bool {
        let Some(place) = self.find(identity(name)).filter(|_| self.head(head::TURN) == turn) else {
            return false;
        };
        let base = self.base(place);
        let mut writes = Writes::new();
        writes.push(base + GRANTED, granted);
        writes.push(base + UNTIL_MS, until_ms);
        writes.push(base + SHORT, 0);
        writes.push(base + EXHAUSTED_UNTIL_MS, exhausted_until_ms);
        writes.commit(self.words());
        true
    }
}
