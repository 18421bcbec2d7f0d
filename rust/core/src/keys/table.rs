//! The table of known keys: what authentication asks before it asks the database.

use std::collections::{HashMap, HashSet};

use subtle::ConstantTimeEq as _;

use super::Digest;
use super::lru::Lru;

/// What the table knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<V> {
    /// Nothing: ask the database.
    Unknown,
    /// The database did not know it a moment ago: refuse without asking again.
    Refused,
    /// Known, and recently confirmed.
    Fresh(V),
    /// Known, but due for confirmation: ask again; while nobody answers it may be served.
    Stale(V),
    /// The key's own end has come: refuse, whatever its freshness.
    Expired,
}

/// What [`KeyTable::forget`] removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten<V> {
    /// The table held nothing of that digest, or a pinned entry, which only [`KeyTable::clear_pinned`] removes.
    Nothing,
    /// A refusal.
    Refusal,
    /// A known key.
    Known(V),
}

struct Known<V> {
    value: V,
    group: u64,
    fresh_until_ms: u64,
    expires_ms: Option<u64>,
}

struct Pinned<V> {
    digest: Digest,
    value: V,
    expires_ms: Option<u64>,
}

/// A bounded table of keys by digest. All times are milliseconds on the caller's clock.
///
/// Three kinds of entry, asked in this order: *pinned* ones (from the configuration file) are never evicted and not
/// counted; *known* ones were learnt from the database; *refused* ones are secrets the database did not know. No digest
/// is both known and refused. The last two are bounded apart from each other, so that a flood of made-up keys cannot push out real ones.
///
/// Timing: an index by the secret itself could tell, by how long a comparison takes, how many leading bytes of a guess
/// are right. Here everything happens on SHA-256 digests. Nobody can choose a secret whose digest begins with wanted
/// bytes except by trying, and knowing a digest does not help in finding its secret, so the index leaks nothing of use.
/// The entry that the index names is then compared over its whole length in constant time.
///
/// Operations that take an entry out hand its value back rather than drop it: dropping may run foreign code.
pub struct KeyTable<V> {
    pinned: HashMap<Digest, Pinned<V>>,
    known: Lru<Known<V>>,
    refused: Lru<u64>,
    /// The known digests of each group: forgetting a tenant costs its own keys, not a walk over a million.
    groups: HashMap<u64, HashSet<Digest>>,
}

impl<V> KeyTable<V> {
    /// A table for `capacity` known keys and `negative_capacity` refused ones. Zero switches a kind off.
    #[must_use]
    pub fn new(capacity: usize, negative_capacity: usize) -> Self {
        Self {
            pinned: HashMap::new(),
            known: Lru::new(capacity),
            refused: Lru::new(negative_capacity),
            groups: HashMap::new(),
        }
    }

    /// What is known of `digest` at `now_ms`. An instant equal to a limit lies behind it.
    pub fn find(&mut self, digest: &Digest, now_ms: u64) -> Found<&V> {
        if let Some(entry) = self.pinned.get(digest).filter(|entry| same(&entry.digest, digest)) {
            return if ended(entry.expires_ms, now_ms) {
                Found::Expired
            } else {
                Found::Fresh(&entry.value)
            };
        }
        if let Some((_, entry)) = self.known.touch(digest).filter(|(stored, _)| same(stored, digest)) {
            return if ended(entry.expires_ms, now_ms) {
                Found::Expired
            } else if now_ms < entry.fresh_until_ms {
                Found::Fresh(&entry.value)
            } else {
                Found::Stale(&entry.value)
            };
        }
        match self.refused.touch(digest) {
            Some((stored, until_ms)) if same(stored, digest) && now_ms < *until_ms => Found::Refused,
            Some(_) => {
                self.refused.remove(digest);
                Found::Unknown
            }
            None => Found::Unknown,
        }
    }

    /// Learns a key that the database knows. `group` is any number that keys with a common fate share (the hash of
    /// their tenant). Ends a refusal. Returns the value that had to leave, if one did.
    pub fn insert(
        &mut self,
        digest: Digest,
        value: V,
        group: u64,
        fresh_until_ms: u64,
        expires_ms: Option<u64>,
    ) -> Option<V> {
        self.refused.remove(&digest);
        let displaced = self.known.insert(
            digest,
            Known {
                value,
                group,
                fresh_until_ms,
                expires_ms,
            },
        );
        let displaced = displaced.map(|(digest, entry)| {
            self.leave_group(entry.group, &digest);
            entry.value
        });
        if self.known.touch(&digest).is_some() {
            self.groups.entry(group).or_default().insert(digest);
        }
        displaced
    }

    /// Adds a key that the configuration file declares. Returns the value it replaces.
    pub fn pin(&mut self, digest: Digest, value: V, expires_ms: Option<u64>) -> Option<V> {
        self.pinned
            .insert(
                digest,
                Pinned {
                    digest,
                    value,
                    expires_ms,
                },
            )
            .map(|entry| entry.value)
    }

    /// Remembers until `until_ms` that the database does not know (or has revoked) this key. Returns the value known
    /// before. A pinned key stays valid: what the file declares, only the file takes back.
    pub fn refuse(&mut self, digest: Digest, until_ms: u64) -> Option<V> {
        self.refused.insert(digest, until_ms);
        self.remove_known(&digest)
    }

    /// Drops what was learnt about one key, known or refused.
    pub fn forget(&mut self, digest: &Digest) -> Forgotten<V> {
        let refusal = self.refused.remove(digest).is_some();
        match self.remove_known(digest) {
            Some(value) => Forgotten::Known(value),
            None if refusal => Forgotten::Refusal,
            None => Forgotten::Nothing,
        }
    }

    /// Drops the known keys of one group and returns their values.
    pub fn forget_group(&mut self, group: u64) -> Vec<V> {
        let digests = self.groups.remove(&group).unwrap_or_default();
        digests
            .iter()
            .filter_map(|digest| self.known.remove(digest))
            .map(|entry| entry.value)
            .collect()
    }

    /// Drops all known and refused keys and returns the values.
    pub fn clear_unpinned(&mut self) -> Vec<V> {
        self.groups.clear();
        self.refused.drain().for_each(drop);
        self.known.drain().map(|entry| entry.value).collect()
    }

    /// Drops all pinned keys, before the keys of a newly read file are pinned, and returns the values.
    pub fn clear_pinned(&mut self) -> Vec<V> {
        self.pinned.drain().map(|(_, entry)| entry.value).collect()
    }

    /// The number of usable entries: known and pinned.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len() + self.pinned.len()
    }

    /// Whether no key is known or pinned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every value held, in no order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        let pinned = self.pinned.values().map(|entry| &entry.value);
        pinned.chain(self.known.values().map(|entry| &entry.value))
    }

    fn remove_known(&mut self, digest: &Digest) -> Option<V> {
        let entry = self.known.remove(digest)?;
        self.leave_group(entry.group, digest);
        Some(entry.value)
    }

    fn leave_group(&mut self, group: u64, digest: &Digest) {
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(digest);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
    }
}

fn same(stored: &Digest, asked: &Digest) -> bool {
    stored.ct_eq(asked).into()
}

fn ended(expires_ms: Option<u64>, now_ms: u64) -> bool {
    expires_ms.is_some_and(|end_ms| now_ms >= end_ms)
}
