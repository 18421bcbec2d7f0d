//! Words and phrases as a tree of folded bytes, walked from each place at which one may begin.
//!
//! Walking from every start, rather than one automaton over the whole text (Aho-Corasick), makes what is found at a place a
//! matter of what follows it alone, and tells for nothing what is still alive where a text ends. Prose leaves the tree after
//! two letters; at worst a start costs what the longest phrase is long.

use std::collections::VecDeque;
use std::ops::Range;

use super::fold::{self, FILLER_BYTES, Sign};

/// What a phrase means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// It is taken out before anything is looked for.
    Allowed,
    /// It is denied.
    Denied,
    /// It speaks for a topic, from 1 to 100; `id` tells it from others of the same topic.
    Topical { topic: u16, id: u32, weight: u8 },
}

/// A phrase that was read: what it means, and the offset behind it.
pub(super) type Hit = (usize, Term);

/// The phrases of a tree to be.
#[derive(Debug, Default)]
pub(super) struct Builder {
    phrases: Vec<(Vec<u8>, Term)>,
}

impl Builder {
    /// Adds a folded phrase.
    pub(super) fn add(&mut self, phrase: Vec<u8>, term: Term) {
        self.phrases.push((phrase, term));
    }

    /// The tree as it is walked: the nodes by depth, out of sorted phrases, for a map in each node would take ten times as much.
    pub(super) fn build(mut self) -> Phrases {
        let mut tree = Phrases::default();
        if self.phrases.is_empty() {
            return tree;
        }
        self.phrases.sort_by(|one, other| one.0.cmp(&other.0));
        let mut open = VecDeque::from([(self.phrases.as_slice(), 0)]);
        let mut count = 1;
        while let Some((below, depth)) = open.pop_front() {
            let (first_edge, first_term) = (place(tree.edges.len()), place(tree.terms.len()));
            let ended = below.partition_point(|(phrase, _)| phrase.len() == depth);
            tree.terms.extend(below[..ended].iter().map(|(_, term)| *term));
            for branch in below[ended..].chunk_by(|one, other| one.0[depth] == other.0[depth]) {
                tree.edges.push((branch[0].0[depth], count));
                open.push_back((branch, depth + 1));
                count += 1;
            }
            tree.nodes.push(Node {
                edges: first_edge..place(tree.edges.len()),
                terms: first_term..place(tree.terms.len()),
            });
        }
        for (byte, target) in &tree.edges[tree.nodes[0].edges()] {
            tree.root[*byte as usize] = *target;
        }
        tree.nodes.shrink_to_fit();
        tree.edges.shrink_to_fit();
        tree
    }
}

/// A place in a list of a tree: what a matcher may hold is far below.
fn place(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[derive(Clone, Debug)]
struct Node {
    edges: Range<u32>,
    terms: Range<u32>,
}

impl Node {
    fn edges(&self) -> Range<usize> {
        self.edges.start as usize..self.edges.end as usize
    }

    fn terms(&self) -> Range<usize> {
        self.terms.start as usize..self.terms.end as usize
    }
}

/// The tree.
#[derive(Debug)]
pub(super) struct Phrases {
    /// The root's edges, by byte; 0 leads nowhere.
    root: [u32; 256],
    nodes: Vec<Node>,
    edges: Vec<(u8, u32)>,
    terms: Vec<Term>,
}

impl Default for Phrases {
    fn default() -> Self {
        Self {
            root: [0; 256],
            nodes: Vec::new(),
            edges: Vec::new(),
            terms: Vec::new(),
        }
    }
}

impl Phrases {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Reads every phrase that begins at `start` into `hits`, the shortest first; whether more may follow when the text goes on.
    #[inline]
    pub(super) fn read(&self, text: &str, start: usize, is_last: bool, hits: &mut Vec<Hit>) -> bool {
        hits.clear();
        let first = text.as_bytes()[start];
        if first < 128 && self.root[first.to_ascii_lowercase() as usize] == 0 {
            return false;
        }
        self.walk(text, start, is_last, hits)
    }

    fn walk(&self, text: &str, start: usize, is_last: bool, hits: &mut Vec<Hit>) -> bool {
        let (mut node, mut at, mut filler_bytes, mut is_spaced) = (0, start, 0, false);
        for letter in text[start..].chars() {
            at += letter.len_utf8();
            let sign = fold::sign(letter);
            if matches!(sign, Sign::Hidden | Sign::Space) {
                filler_bytes += letter.len_utf8();
                if filler_bytes > FILLER_BYTES {
                    return false;
                }
                if sign == Sign::Space && !is_spaced {
                    is_spaced = true;
                    let Some(next) = self.step(node, b' ') else {
                        return false;
                    };
                    node = next;
                }
                continue;
            }
            (filler_bytes, is_spaced) = (0, false);
            let is_inside = fold::fold(letter, &mut |byte| {
                self.step(node, byte).inspect(|next| node = *next).is_some()
            });
            if !is_inside {
                return false;
            }
            let here = &self.nodes[node];
            if !here.terms.is_empty() {
                match fold::ends(text, at, sign, is_last) {
                    Some(true) => hits.extend(self.terms[here.terms()].iter().map(|term| (at, *term))),
                    Some(false) => {}
                    None => return true,
                }
            }
            if here.edges.is_empty() {
                return false;
            }
        }
        !is_last
    }

    fn step(&self, node: usize, byte: u8) -> Option<usize> {
        let target = if node == 0 {
            self.root[byte as usize]
        } else {
            let edges = &self.edges[self.nodes[node].edges()];
            edges.iter().find(|edge| edge.0 == byte)?.1
        };
        (target != 0).then_some(target as usize)
    }
}
