//! The ledger's memory as a table of counters: making it, finding a counter, claiming one, reclaiming idle ones.

use std::sync::atomic::AtomicU64;

use super::index::Index;
use super::journal::roll_back;
use super::layout::{
    BEHIND_COUNTERS, ENTRIES, Fault, Host, LAYOUT_VERSION, MAGIC, TAGS, Words, barrier, board_at, claims_at, counter,
    header, leases_at, purses_at, rounded,
};
use super::rule::{Identity, Rule};
use super::slots::Slots;
use super::window::{Window, width_ms};
use crate::claims::Claims;
use crate::leases::Leases;
use crate::purses::{PURSE_HEAD_WORDS, PURSE_WORDS, PURSES, Purses};
use crate::routing::{Board, entry};

/// What a refusal for concurrency says: nobody knows when a slot comes free.
pub const CONCURRENCY_RETRY_MS: u64 = 1_000;

/// How often at most a refusal for concurrency sends someone to look for dead workers.
pub const SWEEP_EVERY_MS: u64 = 1_000;

/// A ledger's memory, for as long as its lock is held.
pub struct Table<'a> {
    pub(super) words: Words<'a>,
    pub(super) capacity: usize,
    /// A time that only rises, of whoever holds the lock; see [`Table::set_steady`].
    pub(super) steady_ms: u64,
}

impl<'a> Table<'a> {
    /// Makes an empty ledger, whatever the memory held. `words` is [`super::words_for`] some capacity long.
    pub fn format(words: &'a [AtomicU64], host: Host) -> Self {
        let table = Self::over(words);
        table.words.set(header::MAGIC, 0);
        barrier();
        for at in 1..table.words.len() {
            table.words.set(at, 0);
        }
        table.words.set(header::VERSION, LAYOUT_VERSION);
        table.words.set(header::CAPACITY, table.capacity as u64);
        table.set_host(host);
        barrier();
        table.words.set(header::MAGIC, MAGIC);
        table
    }

    /// Whether memory that starts with these words is a ledger of the capacity asked for; `is_whole` says that its length
    /// is that of one.
    pub fn check(start: &[AtomicU64], capacity: usize, is_whole: bool) -> Result<(), Fault> {
        let words = Words::new(start);
        match if words.len() == 0 { 0 } else { words.get(header::MAGIC) } {
            0 => return Err(Fault::Unfinished),
            MAGIC if words.len() < header::WORDS => return Err(Fault::Unfinished),
            MAGIC => {}
            _ => return Err(Fault::Foreign),
        }
        let (version, found) = (words.get(header::VERSION), words.get(header::CAPACITY));
        if version != LAYOUT_VERSION {
            Err(Fault::Version(version))
        } else if found != rounded(capacity) as u64 {
            Err(Fault::Capacity(found))
        } else if !is_whole {
            Err(Fault::Unfinished)
        } else {
            Ok(())
        }
    }

    /// The table of memory that was checked when it was opened, with what a killed holder of the lock left undone.
    #[inline]
    #[must_use]
    pub fn resume(words: &'a [AtomicU64]) -> Self {
        let table = Self::over(words);
        roll_back(table.words);
        table
    }

    fn over(words: &'a [AtomicU64]) -> Self {
        let capacity = (words.len() - TAGS - BEHIND_COUNTERS) / (1 + counter::WORDS);
        Self {
            words: Words::new(words),
            capacity,
            steady_ms: 0,
        }
    }

    /// How many counters there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whose process numbers the worker table holds.
    #[must_use]
    pub fn host(&self) -> Host {
        let word = |at| self.words.get(header::HOST + at);
        Host {
            boot_id: u128::from(word(0)) | u128::from(word(1)) << 64,
            pid_namespace: word(2),
        }
    }

    fn set_host(&self, host: Host) {
        self.words.set(header::HOST, host.boot_id as u64);
        self.words.set(header::HOST + 1, (host.boot_id >> 64) as u64);
        self.words.set(header::HOST + 2, host.pid_namespace);
    }

    /// Starts over on `host` with nobody seated: what the windows counted stays, every slot is free, nothing is held of
    /// any purse. For the first process to open a ledger that nobody uses.
    pub fn vacate(&mut self, host: Host) {
        if self.host().boot_id != host.boot_id {
            self.purses().lapse_all();
        }
        let seats: Vec<_> = self.seats().map(|(seat, _)| seat).collect();
        for seat in seats {
            self.bury(seat);
        }
        let waiting = self.to_clean();
        self.clean(waiting, 0, self.cleanable());
        self.free(waiting);
        self.leases().clear();
        self.set_host(host);
    }

    /// Whether a refusal at `now_ms` should look for dead workers; if so, nobody else does for [`SWEEP_EVERY_MS`].
    pub fn claim_sweep(&mut self, now_ms: u64) -> bool {
        let due = now_ms.abs_diff(self.words.get(header::SWEPT_MS)) >= SWEEP_EVERY_MS;
        if due {
            self.words.set(header::SWEPT_MS, now_ms);
        }
        due
    }

    /// Admissions refused so far because no counter was free.
    #[must_use]
    pub fn full_refusals(&self) -> u64 {
        self.words.get(header::FULL_REFUSALS)
    }

    pub(super) fn count_full_refusal(&mut self) {
        self.words
            .set(header::FULL_REFUSALS, self.full_refusals().saturating_add(1));
    }

    /// Where to cut a walk of [`Table::clean`] that covers everything: all counters, then the board's entries, then the purses.
    #[must_use]
    pub fn cleanable(&self) -> usize {
        self.capacity + ENTRIES + PURSES
    }

    /// The part of the memory where routing keeps what it knows.
    #[inline]
    pub fn board(&mut self) -> Board<'_> {
        Board::new(self.board_index(), self.live())
    }

    /// The part of the memory where it stands what may still be spent.
    #[inline]
    pub fn purses(&mut self) -> Purses<'a> {
        Purses::new(Table { ..*self }, self.purse_index(), purses_at(self.capacity))
    }

    /// The part of the memory where it stands who asks what several want to know.
    #[inline]
    #[must_use]
    pub fn claims(&self) -> Claims<'a> {
        Claims::new(Table { ..*self }, self.words, claims_at(self.capacity))
    }

    pub(super) fn purse_index(&self) -> Index<'a> {
        Index {
            words: self.words,
            tags: purses_at(self.capacity) + PURSE_HEAD_WORDS,
            count: PURSES,
            size: PURSE_WORDS,
        }
    }

    /// The part of the memory where the leases of shared limits lie.
    #[inline]
    #[must_use]
    pub fn leases(&self) -> Leases<'a> {
        let again = Table { ..*self };
        Leases::new(again, self.words, leases_at(self.capacity))
    }

    /// Sets the time by which leases hold: milliseconds of a clock that only rises and that all processes of the host share.
    /// Where there are no leases nobody asks for it.
    #[inline]
    pub fn set_steady(&mut self, steady_ms: impl FnOnce() -> u64) {
        if self.leases().is_on() {
            self.steady_ms = steady_ms();
        }
    }

    /// The columns of those who sit here.
    #[inline]
    pub(crate) fn workers(&self) -> u64 {
        self.live()
    }

    /// The slots of a concurrency counter that live workers hold.
    pub(crate) fn held_slots(&self, identity: Identity) -> u64 {
        let slots = self.find(identity).and_then(|place| self.slots_at(place));
        slots.map_or(0, |slots| slots.lanes().held(self.live()))
    }

    pub(super) fn board_index(&self) -> Index<'a> {
        Index {
            words: self.words,
            tags: board_at(self.capacity),
            count: ENTRIES,
            size: entry::WORDS,
        }
    }

    fn index(&self) -> Index<'a> {
        Index {
            words: self.words,
            tags: TAGS,
            count: self.capacity,
            size: counter::WORDS,
        }
    }

    fn base(&self, index: usize) -> usize {
        self.index().base(index)
    }

    pub(super) fn window_at(&self, index: usize, now_ms: u64) -> Window<'a> {
        Window::new(self.words, self.base(index), now_ms)
    }

    /// The counter at `index`, if it is one of concurrency.
    pub(super) fn slots_at(&self, index: usize) -> Option<Slots<'a>> {
        let base = self.base(index);
        let is_concurrency = !self.index().is_empty(index) && self.words.get(base + counter::WINDOW_MS) == 0;
        is_concurrency.then(|| Slots::new(self.words, base))
    }

    /// The index of the counter of that identity.
    #[inline]
    pub(super) fn find(&self, identity: Identity) -> Option<usize> {
        self.index().find(identity)
    }

    /// Makes a counter for a rule that has none; none when both its groups are full of busy counters.
    ///
    /// The caller has moved its other counters on to now, so none of them is idle and taken from under it.
    pub(super) fn claim(&mut self, rule: &Rule, identity: Identity, now_ms: u64) -> Option<usize> {
        let groups = self.index().groups(identity);
        let index = self.index().emptiest(&groups).or_else(|| self.idle(&groups, now_ms))?;
        let (tag, base) = (self.index().tag(index), self.base(index));
        // Untagged while it is made: killed half-way, it is an empty way.
        self.words.set(tag, 0);
        barrier();
        for at in 0..counter::WORDS {
            self.words.set(base + at, 0);
        }
        let head = if rule.window_ms == 0 {
            now_ms
        } else {
            now_ms / width_ms(rule.window_ms)
        };
        self.words.set(base + counter::IDENTITY, identity.rest);
        self.words.set(base + counter::WINDOW_MS, rule.window_ms);
        self.words.set(base + counter::HEAD, head);
        barrier();
        self.words.set(tag, identity.tag);
        Some(index)
    }

    fn idle(&self, groups: &[std::ops::Range<usize>; 2], now_ms: u64) -> Option<usize> {
        let live = self.live();
        groups
            .iter()
            .cloned()
            .flatten()
            .find(|index| match self.slots_at(*index) {
                Some(slots) => slots.is_idle(live, now_ms),
                None => self.window_at(*index, now_ms).is_idle(),
            })
    }
}
