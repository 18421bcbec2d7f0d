//! The undo log: several words change together or, when the process is killed half-way, not at all.

use super::layout::{JOURNAL, JOURNAL_ENTRIES, Words, barrier};

/// Words to be written together.
pub(crate) struct Writes {
    entries: [(usize, u64); JOURNAL_ENTRIES],
    length: usize,
}

impl Writes {
    pub fn new() -> Self {
        Self {
            entries: [(0, 0); JOURNAL_ENTRIES],
            length: 0,
        }
    }

    /// Plans one write; each address at most once.
    #[inline]
    pub fn push(&mut self, at: usize, value: u64) {
        self.entries[self.length] = (at, value);
        self.length += 1;
    }

    /// Writes down the old values, then the new ones, then forgets the old.
    pub fn commit(&self, words: Words<'_>) {
        let entries = &self.entries[..self.length];
        for (index, (at, _)) in entries.iter().enumerate() {
            words.set(JOURNAL + 1 + 2 * index, *at as u64);
            words.set(JOURNAL + 2 + 2 * index, words.get(*at));
        }
        barrier();
        words.set(JOURNAL, self.length as u64);
        barrier();
        for (at, value) in entries {
            words.set(*at, *value);
        }
        barrier();
        words.set(JOURNAL, 0);
    }
}

/// Undoes what a killed holder of the lock left half-written. May itself be killed and run again.
pub(super) fn roll_back(words: Words<'_>) {
    let length = words.get(JOURNAL);
    if length == 0 {
        return;
    }
    for index in 0..(length as usize).min(JOURNAL_ENTRIES) {
        let at = words.get(JOURNAL + 1 + 2 * index) as usize;
        // Only a damaged file holds an address outside; it must not take the reader down with it.
        if at < words.len() {
            words.set(at, words.get(JOURNAL + 2 + 2 * index));
        }
    }
    barrier();
    words.set(JOURNAL, 0);
}
