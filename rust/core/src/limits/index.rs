//! Where a thing lies among many of the same size, found by its identity.
//!
//! It may lie in one of two groups of sixteen, both named by its identity. So a look-up reads at most four cache lines of
//! tags, nothing is ever moved or left as a tombstone, and a table takes things until it is about 95 % full of busy ones.
//! Open addressing with chains was the alternative: it needs rebuilding once enough tenants have come and gone, under the
//! lock.

use std::ops::Range;

use super::layout::{WAYS, Words};
use super::rule::Identity;

/// `count` tags, followed by as many things of `size` words, whose first word is the rest of their identity.
#[derive(Clone, Copy)]
pub(crate) struct Index<'a> {
    pub words: Words<'a>,
    pub tags: usize,
    pub count: usize,
    pub size: usize,
}

impl Index<'_> {
    pub fn tag(self, index: usize) -> usize {
        self.tags + index
    }

    /// The first word of the thing at `index`.
    pub fn base(self, index: usize) -> usize {
        self.tags + self.count + index * self.size
    }

    pub fn is_empty(self, index: usize) -> bool {
        self.words.get(self.tag(index)) == 0
    }

    #[inline]
    pub fn is_at(self, identity: Identity, index: usize) -> bool {
        self.words.get(self.tag(index)) == identity.tag && self.words.get(self.base(index)) == identity.rest
    }

    /// The indices at which a thing of that identity may lie.
    pub fn groups(self, identity: Identity) -> [Range<usize>; 2] {
        let count = (self.count / WAYS) as u64;
        [identity.rest & 0xFFFF_FFFF, identity.rest >> 32].map(|half| {
            // A 32-bit fraction of the groups; u128 only so that no count can overflow it.
            let first = ((u128::from(half) * u128::from(count)) >> 32) as usize * WAYS;
            first..first + WAYS
        })
    }

    /// The index of the thing of that identity.
    #[inline]
    pub fn find(self, identity: Identity) -> Option<usize> {
        self.groups(identity)
            .into_iter()
            .flatten()
            .find(|index| self.is_at(identity, *index))
    }

    /// A free way of the emptier group: choosing between two fills the table evenly.
    pub fn emptiest(self, groups: &[Range<usize>; 2]) -> Option<usize> {
        let is_empty = |index: &usize| self.is_empty(*index);
        let emptier = groups
            .iter()
            .max_by_key(|group| (*group).clone().filter(is_empty).count())?;
        emptier.clone().find(is_empty)
    }
}
