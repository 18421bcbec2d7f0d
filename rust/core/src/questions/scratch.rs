//! What a search in a graph works with, kept from one to the next.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::mem::take;

/// A node and how near it is; nearer is greater, of equal ones the older.
#[derive(Clone, Copy, Debug)]
pub struct Scored {
    /// The cosine to what is asked for.
    pub similarity: f32,
    /// Its number.
    pub node: u32,
}

impl Scored {
    pub(super) const fn new(similarity: f32, node: u32) -> Self {
        Self { similarity, node }
    }
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_similarity = self.similarity.total_cmp(&other.similarity);
        by_similarity.then_with(|| other.node.cmp(&self.node))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scored {}

/// One search's; any may follow, in any graph.
#[derive(Default)]
pub struct Scratch {
    visited: Vec<u32>,
    round: u32,
    ahead: BinaryHeap<Scored>,
    kept: BinaryHeap<Reverse<Scored>>,
}

impl Scratch {
    /// For any graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing of a graph with so many nodes has been visited.
    pub(super) fn begin(&mut self, count: usize) {
        if self.visited.len() < count {
            self.visited.resize(count, 0);
        }
        self.round = self.round.wrapping_add(1);
        if self.round == 0 {
            self.visited.fill(0);
            self.round = 1;
        }
        self.ahead.clear();
        self.kept.clear();
    }

    /// Whether it is the first visit.
    pub(super) fn visit(&mut self, node: u32) -> bool {
        let last = &mut self.visited[node as usize];
        let is_first = *last != self.round;
        *last = self.round;
        is_first
    }

    /// How many the last search looked at.
    #[cfg(test)]
    pub(super) fn visited(&self) -> usize {
        self.visited.iter().filter(|&&last| last == self.round).count()
    }

    /// It is to be gone on from.
    pub(super) fn open(&mut self, scored: Scored) {
        self.ahead.push(scored);
    }

    /// It is one of the best so far, of `most`.
    pub(super) fn keep(&mut self, scored: Scored, most: usize) {
        self.kept.push(Reverse(scored));
        if self.kept.len() > most {
            self.kept.pop();
        }
    }

    /// Whether it could be one of the best, or lead to one.
    pub(super) fn is_worth(&self, scored: Scored, most: usize) -> bool {
        self.kept.len() < most || self.kept.peek().is_some_and(|worst| scored > worst.0)
    }

    /// The nearest to go on from; `None` when nothing better can come.
    pub(super) fn next(&mut self, most: usize) -> Option<Scored> {
        let next = self.ahead.pop()?;
        self.is_worth(next, most).then_some(next)
    }

    /// The best, best first.
    pub(super) fn found(&mut self) -> Vec<Scored> {
        take(&mut self.kept)
            .into_sorted_vec()
            .into_iter()
            .map(|each| each.0)
            .collect()
    }
}
