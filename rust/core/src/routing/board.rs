//! The board for as long as its lock is held: finding an entry, making one, giving up the one that nobody asked for longest.

use std::ops::Range;

use super::breaker::{Breaker, State};
use super::entry::{self, TOUCHED_MS};
use super::pool::Name;
use crate::limits::memory::{Index, Lanes, Words, Writes, barrier};

/// An entry is noted as used once in this time, so that reading it seldom means writing to it.
const TOUCHED_EVERY_MS: u64 = 1_000;

/// What the workers of a host know of targets, keys and routes.
pub struct Board<'a> {
    index: Index<'a>,
    live: u64,
}

/// One entry, by its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub index: usize,
    pub base: usize,
}

impl<'a> Board<'a> {
    pub(crate) fn new(index: Index<'a>, live: u64) -> Self {
        Self { index, live }
    }

    #[inline]
    pub(super) fn words(&self) -> Words<'a> {
        self.index.words
    }

    pub(super) fn lanes(&self, place: Place) -> Lanes<'a> {
        entry::lanes(self.index, place.index)
    }

    /// Calls of it that live workers have in flight.
    #[inline]
    pub(super) fn in_flight(&self, place: Place) -> u64 {
        self.lanes(place).held(self.live)
    }

    fn place(&self, index: usize) -> Place {
        Place {
            index,
            base: self.index.base(index),
        }
    }

    /// The entry of that name, if there is one.
    #[inline]
    pub(super) fn find(&self, name: &Name) -> Option<Place> {
        let hint = name.hint();
        if hint < self.index.count && self.index.is_at(name.identity(), hint) {
            return Some(self.place(hint));
        }
        let index = self.index.find(name.identity())?;
        name.remember(index);
        Some(self.place(index))
    }

    /// The entry of that name, made if need be; none when all that it could take the place of are in use.
    pub(super) fn find_or_make(&mut self, name: &Name, now_ms: u64) -> Option<Place> {
        if let Some(place) = self.find(name) {
            self.touch(place, now_ms);
            return Some(place);
        }
        let groups = self.index.groups(name.identity());
        let index = self
            .index
            .emptiest(&groups)
            .or_else(|| self.longest_unused(&groups, now_ms))?;
        let (tag, base) = (self.index.tag(index), self.index.base(index));
        // Untagged while it is made: killed half-way, it is an empty way.
        self.words().set(tag, 0);
        barrier();
        for at in 0..entry::WORDS {
            self.words().set(base + at, 0);
        }
        self.words().set(base + entry::IDENTITY, name.identity().rest);
        self.words().set(base + TOUCHED_MS, now_ms);
        barrier();
        self.words().set(tag, name.identity().tag);
        name.remember(index);
        Some(self.place(index))
    }

    /// Of the entries that hold nothing which still matters, the one that was of no use for longest.
    fn longest_unused(&self, groups: &[Range<usize>; 2], now_ms: u64) -> Option<usize> {
        groups
            .iter()
            .cloned()
            .flatten()
            .filter(|index| {
                let place = self.place(*index);
                let breaker = Breaker::read(self.words(), place);
                breaker.state == State::Closed && !breaker.is_cooling(now_ms) && self.in_flight(place) == 0
            })
            // The distance either way: a clock set back must not keep entries for ever.
            .max_by_key(|index| now_ms.abs_diff(self.words().get(self.index.base(*index) + TOUCHED_MS)))
    }

    /// Notes that the entry is of use at `now_ms`.
    #[inline]
    pub(super) fn touch(&self, place: Place, now_ms: u64) {
        let at = place.base + TOUCHED_MS;
        if now_ms.abs_diff(self.words().get(at)) >= TOUCHED_EVERY_MS {
            self.words().set(at, now_ms);
        }
    }

    /// Writes the breaker as it has become, together with one lane.
    pub(super) fn store(&self, place: Place, before: &Breaker, after: &Breaker, lane: Option<(usize, u64)>) {
        let mut writes = Writes::new();
        before.push_changes(after, place, &mut writes);
        if let Some((at, value)) = lane {
            writes.push(at, value);
        }
        writes.commit(self.words());
    }
}
