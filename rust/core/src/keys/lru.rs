//! A bounded map from digests that gives up its least recently used entry: every operation is O(1).
//!
//! Entries live in a slab and are chained by slot numbers, so that moving one to the front writes three slots and
//! allocates nothing. The index is reserved in full at the start: no request pays for its growth. The standard
//! library's keyed hash stays: digests look random, but whoever sends made-up secrets can pick digests that share
//! bits, and an unkeyed index would let them pile up in one bucket.

use std::collections::HashMap;

use super::Digest;

const NONE: u32 = u32::MAX;

struct Slot<T> {
    digest: Digest,
    value: T,
    newer: u32,
    older: u32,
}

pub(super) struct Lru<T> {
    capacity: usize,
    index: HashMap<Digest, u32>,
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
}

impl<T> Lru<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.min(NONE as usize);
        Self {
            capacity,
            index: HashMap::with_capacity(capacity),
            slots: Vec::with_capacity(capacity),
            free: Vec::new(),
            newest: NONE,
            oldest: NONE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    /// The digest as stored and the value; makes it the most recently used.
    pub(super) fn touch(&mut self, digest: &Digest) -> Option<(&Digest, &T)> {
        let place = *self.index.get(digest)?;
        if place != self.newest {
            self.unlink(place);
            self.link(place);
        }
        let slot = self.slots.get(place as usize)?.as_ref()?;
        Some((&slot.digest, &slot.value))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(|slot| &slot.value)
    }

    /// Stores the value as the most recently used. Returns what had to leave for it: the former value of this digest,
    /// or the least recently used entry, or, without any room at all, the value itself.
    pub(super) fn insert(&mut self, digest: Digest, value: T) -> Option<(Digest, T)> {
        if self.capacity == 0 {
            return Some((digest, value));
        }
        let displaced = self
            .remove(&digest)
            .map(|former| (digest, former))
            .or_else(|| self.make_room());
        let slot = Slot {
            digest,
            value,
            newer: NONE,
            older: NONE,
        };
        let place = if let Some(place) = self.free.pop() {
            self.slots[place as usize] = Some(slot);
            place
        } else {
            self.slots.push(Some(slot));
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        self.index.insert(digest, place);
        self.link(place);
        displaced
    }

    pub(super) fn remove(&mut self, digest: &Digest) -> Option<T> {
        let place = self.index.remove(digest)?;
        self.unlink(place);
        self.free.push(place);
        self.slots[place as usize].take().map(|slot| slot.value)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.index.clear();
        self.free.clear();
        self.newest = NONE;
        self.oldest = NONE;
        self.slots.drain(..).flatten().map(|slot| slot.value)
    }

    fn make_room(&mut self) -> Option<(Digest, T)> {
        if self.len() < self.capacity {
            return None;
        }
        let oldest = self.slots.get(self.oldest as usize)?.as_ref()?.digest;
        self.remove(&oldest).map(|value| (oldest, value))
    }

    fn link(&mut self, place: u32) {
        let former = std::mem::replace(&mut self.newest, place);
        if let Some(slot) = self.slot(place) {
            slot.newer = NONE;
            slot.older = former;
        }
        match self.slot(former) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some((newer, older)) = self.slot(place).map(|slot| (slot.newer, slot.older)) else {
            return;
        };
        match self.slot(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slot(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn slot(&mut self, place: u32) -> Option<&mut Slot<T>> {
        self.slots.get_mut(place as usize)?.as_mut()
    }
}
