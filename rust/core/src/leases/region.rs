//! The part of the ledger's memory that is about shared limits: its header, its entries, and which of them need a look.

use std::ops::Range;

use super::entry::{self, HEAD, IDENTITY, LIMIT, NEED, SENT_MS, WINDOW_MS, header};
use super::ring::{Entry, span, width_ms};
use crate::limits::memory::{Identity, Index, Words, barrier};
use crate::limits::{Rule, Table};

/// Counters that a host can share. The core's own tests fill their memory word by word, unoptimised.
const ENTRIES: usize = if cfg!(test) { 128 } else { 16_384 };
const MARKS: usize = header::WORDS;
const MARK_WORDS: usize = ENTRIES / 64;
const TAGS: usize = MARKS + MARK_WORDS;
const _: () = assert!(ENTRIES % 64 == 0);

/// Words of the region.
pub(crate) const REGION_WORDS: usize = TAGS + ENTRIES * (1 + entry::WORDS);

/// Redis counts as lost when a call waits for so long and nothing at all was answered.
pub const LOST_MS: u64 = 750;

/// A host that has never heard of Redis waits so long before it keeps to a share.
pub const STARTING_MS: u64 = 3_000;

/// By what limits are held now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reign {
    /// By this host for itself: there is no Redis.
    Alone,
    /// By leases.
    Leased,
    /// By shares: Redis is lost, or learns anew.
    Shared,
}

/// How much of a counter one call takes.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    pub amount: u64,
    pub held: u64,
}

/// The region, for as long as the ledger's lock is held.
pub struct Leases<'a> {
    pub(super) table: Table<'a>,
    words: Words<'a>,
    base: usize,
}

impl<'a> Leases<'a> {
    pub(crate) fn new(table: Table<'a>, words: Words<'a>, base: usize) -> Self {
        Self { table, words, base }
    }

    #[inline]
    pub(super) fn head(&self, at: usize) -> u64 {
        self.words.get(self.base + at)
    }

    #[inline]
    pub(super) fn set_head(&self, at: usize, value: u64) {
        self.words.set(self.base + at, value);
    }

    fn index(&self) -> Index<'a> {
        Index {
            words: self.words,
            tags: self.base + TAGS,
            count: ENTRIES,
            size: entry::WORDS,
        }
    }

    pub(super) fn words(&self) -> Words<'a> {
        self.words
    }

    pub(super) fn tag(&self, index: usize) -> u64 {
        self.words.get(self.index().tag(index))
    }

    pub(super) fn entry(&self, index: usize) -> Entry<'a> {
        Entry {
            words: self.words,
            index,
            base: self.index().base(index),
        }
    }

    #[inline]
    pub(super) fn find(&self, identity: Identity) -> Option<Entry<'a>> {
        self.index().find(identity).map(|index| self.entry(index))
    }

    /// Whether hosts hold limits together at all.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.head(header::ON) != 0
    }

    /// Begins to hold limits with others, as `host` unless the file already has a name; the name it has.
    pub fn begin(&mut self, host: u128, now_ms: u64) -> u128 {
        if self.head(header::ON) == 0 {
            self.set_head(header::HOST, host as u64);
            self.set_head(header::HOST + 1, (host >> 64) as u64);
            self.set_head(header::SINCE_MS, now_ms);
            barrier();
            self.set_head(header::ON, 1);
        }
        self.host()
    }

    /// What this host is known by.
    #[must_use]
    pub fn host(&self) -> u128 {
        u128::from(self.head(header::HOST)) | u128::from(self.head(header::HOST + 1)) << 64
    }

    /// Forgets everything: for a file that nobody uses, whose steady times may be of another boot. Redis still counts what
    /// was leased, under a name that nobody bears any more.
    pub(crate) fn clear(&mut self) {
        self.set_head(header::ON, 0);
        barrier();
        for at in 0..REGION_WORDS {
            if self.words.get(self.base + at) != 0 {
                self.words.set(self.base + at, 0);
            }
        }
    }

    /// By what limits are held at `now_ms`.
    #[inline]
    #[must_use]
    pub fn reign(&self, now_ms: u64) -> Reign {
        if !self.is_on() {
            return Reign::Alone;
        }
        let never = self.head(header::EPOCH) == 0;
        if never && now_ms < self.head(header::SINCE_MS).saturating_add(STARTING_MS) {
            return Reign::Leased;
        }
        let waiting_ms = match self.head(header::WAITING_MS) {
            0 => 0,
            since_ms => now_ms.saturating_sub(since_ms),
        };
        let is_cut = self.head(header::CONNECTED) & self.table.workers() == 0;
        if is_cut || never || waiting_ms >= LOST_MS || now_ms < self.head(header::SETTLED_MS) {
            Reign::Shared
        } else {
            Reign::Leased
        }
    }

    /// How many hosts there were when Redis last answered; one before that.
    #[must_use]
    pub fn hosts(&self) -> u64 {
        self.head(header::HOSTS).max(1)
    }

    /// Notes whether the worker in `column` can reach Redis.
    pub fn connect(&mut self, column: usize, is_connected: bool) {
        let (mask, bit) = (self.head(header::CONNECTED), 1 << column);
        self.set_head(header::CONNECTED, if is_connected { mask | bit } else { mask & !bit });
    }

    /// The name of what Redis remembers, as this host last heard it.
    #[must_use]
    pub fn memory(&self) -> Vec<u8> {
        let words = (0..header::MEMORY_WORDS).flat_map(|at| self.head(header::MEMORY + at).to_le_bytes());
        words.take_while(|byte| *byte != 0).collect()
    }

    /// Redis remembers by another name than this host knew: all is told anew.
    pub fn remember(&mut self, memory: &[u8]) {
        if memory.is_empty() || memory == self.memory() {
            return;
        }
        let mut bytes = memory.iter().copied();
        for at in 0..header::MEMORY_WORDS {
            let word = std::array::from_fn(|_| bytes.next().unwrap_or(0));
            self.set_head(header::MEMORY + at, u64::from_le_bytes(word));
        }
        self.set_head(header::EPOCH, self.head(header::EPOCH) + 1);
        for index in 0..ENTRIES {
            if self.tag(index) != 0 {
                self.mark(index);
            }
        }
    }

    /// The time by the clock of Redis, as far as this host can tell: rather a little behind than ahead.
    pub(super) fn redis_ms(&self, now_ms: u64) -> u64 {
        now_ms.wrapping_add(self.head(header::AHEAD_MS))
    }

    /// The entry of a rule's counter, made if need be; none when all that it could take the place of are in use.
    pub(super) fn find_or_make(&self, rule: &Rule, identity: Identity, now_ms: u64) -> Option<Entry<'a>> {
        if let Some(entry) = self.find(identity) {
            entry.change(LIMIT, rule.limit);
            return Some(entry);
        }
        let groups = self.index().groups(identity);
        let index = self.index().emptiest(&groups).or_else(|| self.idle(&groups, now_ms))?;
        let (tag, entry) = (self.index().tag(index), self.entry(index));
        // Untagged while it is made: killed half-way, it is an empty way.
        self.words.set(tag, 0);
        barrier();
        for at in 0..entry::WORDS {
            entry.set(at, 0);
        }
        entry.set(IDENTITY, identity.rest);
        entry.set(WINDOW_MS, rule.window_ms);
        entry.set(LIMIT, rule.limit);
        entry.set(entry::EPOCH, self.head(header::EPOCH));
        if rule.window_ms != 0 {
            entry.set(HEAD, self.redis_ms(now_ms) / width_ms(rule.window_ms));
        }
        barrier();
        self.words.set(tag, identity.tag);
        Some(entry)
    }

    /// An entry of which neither Redis nor this host counts anything any more.
    fn idle(&self, groups: &[Range<usize>; 2], now_ms: u64) -> Option<usize> {
        let is_idle = |index: &usize| {
            let entry = self.entry(*index);
            if entry.get(SENT_MS) != 0 || entry.get(NEED) != 0 || self.is_marked(*index) {
                return false;
            }
            let window_ms = entry.get(WINDOW_MS);
            window_ms == 0
                || self.redis_ms(now_ms) / width_ms(window_ms) > entry.get(HEAD).saturating_add(span(window_ms) + 1)
        };
        groups.iter().cloned().flatten().find(is_idle)
    }

    fn is_marked(&self, index: usize) -> bool {
        self.head(MARKS + index / 64) >> (index % 64) & 1 == 1
    }

    /// Notes that the entry needs a look.
    #[inline]
    pub(super) fn mark(&self, index: usize) {
        let (at, bit) = (MARKS + index / 64, 1 << (index % 64));
        let marks = self.head(at);
        if marks & bit == 0 {
            self.set_head(at, marks | bit);
        }
    }

    pub(super) fn unmark(&self, index: usize) {
        let at = MARKS + index / 64;
        self.set_head(at, self.head(at) & !(1 << (index % 64)));
    }

    /// The entries that need a look, beginning behind where the last look ended.
    pub(super) fn marked(&self) -> impl Iterator<Item = usize> {
        let first = self.head(header::CURSOR) as usize % MARK_WORDS;
        let rounds = (first..MARK_WORDS).chain(0..first);
        rounds.flat_map(|word| {
            let marks = self.head(MARKS + word);
            (0..64)
                .filter(move |bit| marks >> bit & 1 == 1)
                .map(move |bit| word * 64 + bit)
        })
    }
}
