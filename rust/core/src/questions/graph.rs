//! A graph over many vectors, for search among them that is nearly always right.
//!
//! Source: Malkov and Yashunin (2018), "Efficient and robust approximate nearest neighbor search using Hierarchical
//! Navigable Small World graphs", <https://arxiv.org/abs/1603.09320>; algorithms are named by their numbers there.
//!
//! To put a vector in takes two steps: [`Graph::plan`] finds out what changes, in the time of a search, and looks only;
//! [`Graph::commit`] changes it, in microseconds. So who searches waits for the second step alone.

use std::collections::HashMap;

use super::scratch::{Scored, Scratch};
use super::vector::{DIMENSIONS, dot};

type Vector = [i8; DIMENSIONS];

/// A new node's links on each layer (M of the paper).
const LINKS: usize = 16;
/// A node's links on the lowest layer at most (Mmax0); on others [`LINKS`].
const LINKS_LOWEST: usize = 2 * LINKS;
/// How many are looked at to find a new node's links (efConstruction).
const LOOKED_AT: usize = 200;
/// No node reaches a higher layer: of as many as have numbers hardly one would.
const HIGHEST: usize = 8;

/// A search looks at so many for each that it keeps in view, at most: where most of what is near is gone, it ends with
/// what it has. Usual ones look at a quarter.
const VISITED: usize = 64;
/// Nodes in pieces of so many: to make room for one more never moves what is there.
const PIECE: usize = 1_024;

/// A vector's node: where it lies, and its links on the lowest layer.
struct Node {
    vector: Vector,
    /// 1 / length; 0 of a vector without a direction.
    inverse: f32,
    is_gone: bool,
    count: u8,
    links: [u32; LINKS_LOWEST],
}

impl Node {
    fn links(&self) -> &[u32] {
        &self.links[..usize::from(self.count)]
    }

    fn link(&mut self, nodes: &[u32]) {
        for (place, &node) in self.links.iter_mut().zip(nodes) {
            *place = node;
        }
        // At most LINKS_LOWEST.
        self.count = u8::try_from(nodes.len().min(LINKS_LOWEST)).unwrap_or(0);
    }
}

/// Nodes, and what they link to from then on.
type Relinked = Vec<(u32, Vec<u32>)>;

/// What putting a vector in will change. It holds for the graph as it was: whatever is committed first ends it.
pub struct Plan {
    vector: Vector,
    level: usize,
    count: usize,
    /// By layer, from the lowest: the new node's links, and what those nodes link to then.
    layers: Vec<(Vec<u32>, Relinked)>,
}

/// Vectors, numbered from 0 in the order in which they came.
#[derive(Default)]
pub struct Graph {
    pieces: Vec<Vec<Node>>,
    count: usize,
    /// Links on the layers above the lowest, of the few nodes that are there.
    above: HashMap<u32, Vec<Vec<u32>>>,
    entry: Option<(u32, usize)>,
}

impl Graph {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many were put in, gone or not.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// From now on it is not found, but still leads to others; whether there is one of that number.
    pub fn forget(&mut self, number: usize) -> bool {
        let node = self
            .pieces
            .get_mut(number / PIECE)
            .and_then(|piece| piece.get_mut(number % PIECE));
        node.is_some_and(|node| {
            node.is_gone = true;
            true
        })
    }

    /// The numbers of the nearest that are not gone, with their cosines, best first (algorithm 5). `breadth` (ef) is how
    /// many are kept in view, at least `most`: the more, the surer.
    pub fn nearest(&self, vector: &Vector, most: usize, breadth: usize, scratch: &mut Scratch) -> Vec<(usize, f32)> {
        let Some((entry, top)) = self.entry else {
            return Vec::new();
        };
        let asked = Asked::of(vector);
        let start = self.descend(&asked, entry, top, 0);
        let mut found = self.around(&asked, start, 0, breadth.max(most), false, scratch);
        found.truncate(most);
        found.iter().map(|each| (each.node as usize, each.similarity)).collect()
    }

    /// What changes when the vector is put in (algorithm 1, but for the changing).
    #[must_use]
    pub fn plan(&self, vector: &Vector, scratch: &mut Scratch) -> Plan {
        let level = level_of(self.count);
        let asked = Asked::of(vector);
        let mut layers = Vec::with_capacity(level + 1);
        if let Some((entry, top)) = self.entry {
            let mut start = self.descend(&asked, entry, top, level);
            for layer in (0..=level.min(top)).rev() {
                let found = self.around(&asked, start, layer, LOOKED_AT, true, scratch);
                start = found.first().map_or(start, |nearest| nearest.node);
                let links = self.chosen(&found, LINKS);
                let backward = links
                    .iter()
                    .map(|&node| (node, self.linked(node, layer, &asked)))
                    .collect();
                layers.push((links, backward));
            }
            layers.reverse();
        }
        Plan {
            vector: *vector,
            level,
            count: self.count,
            layers,
        }
    }

    /// Puts the vector in; its number. `None`: something else was put in since the plan was made.
    pub fn commit(&mut self, plan: Plan) -> Option<usize> {
        if plan.count != self.count {
            return None;
        }
        let number = self.count;
        let node = u32::try_from(number).ok()?;
        let length = f64::from(dot(&plan.vector, &plan.vector)).sqrt();
        let mut made = Node {
            vector: plan.vector,
            inverse: inverse_of(length),
            is_gone: false,
            count: 0,
            links: [0; LINKS_LOWEST],
        };
        let mut above = Vec::with_capacity(plan.level);
        for (layer, (links, backward)) in plan.layers.into_iter().enumerate() {
            if layer == 0 {
                made.link(&links);
            } else {
                above.push(links);
            }
            for (other, mut links) in backward {
                for link in &mut links {
                    if *link == NEW {
                        *link = node;
                    }
                }
                self.relink(other, layer, links);
            }
        }
        if plan.level > 0 {
            above.resize_with(plan.level, Vec::new);
            self.above.insert(node, above);
        }
        if number % PIECE == 0 {
            self.pieces.push(Vec::with_capacity(PIECE));
        }
        self.pieces.last_mut()?.push(made);
        self.count += 1;
        if self.entry.is_none_or(|(_, top)| plan.level > top) {
            self.entry = Some((node, plan.level));
        }
        Some(number)
    }

    fn node(&self, node: u32) -> &Node {
        &self.pieces[node as usize / PIECE][node as usize % PIECE]
    }

    fn links(&self, node: u32, layer: usize) -> &[u32] {
        if layer == 0 {
            return self.node(node).links();
        }
        self.above
            .get(&node)
            .and_then(|layers| layers.get(layer - 1))
            .map_or(&[], Vec::as_slice)
    }

    fn relink(&mut self, node: u32, layer: usize, links: Vec<u32>) {
        if layer == 0 {
            self.pieces[node as usize / PIECE][node as usize % PIECE].link(&links);
        } else if let Some(place) = self.above.get_mut(&node).and_then(|layers| layers.get_mut(layer - 1)) {
            *place = links;
        }
    }

    fn similarity(&self, asked: &Asked<'_>, node: u32) -> f32 {
        let node = self.node(node);
        cosine(asked.vector, asked.inverse, &node.vector, node.inverse)
    }

    fn between(&self, one: u32, other: u32) -> f32 {
        let (one, other) = (self.node(one), self.node(other));
        cosine(&one.vector, one.inverse, &other.vector, other.inverse)
    }

    /// From the top to the layer above `lowest`: always on to the nearest that is linked.
    fn descend(&self, asked: &Asked<'_>, entry: u32, top: usize, lowest: usize) -> u32 {
        let mut nearest = Scored::new(self.similarity(asked, entry), entry);
        for layer in (lowest + 1..=top).rev() {
            loop {
                let linked = self.links(nearest.node, layer).iter();
                let best = linked
                    .map(|&node| Scored::new(self.similarity(asked, node), node))
                    .max();
                match best {
                    Some(best) if best > nearest => nearest = best,
                    _ => break,
                }
            }
        }
        nearest.node
    }

    /// The nearest on a layer, best first (algorithm 2). Those that are gone lead on, and count only `with_gone`.
    fn around(
        &self,
        asked: &Asked<'_>,
        start: u32,
        layer: usize,
        most: usize,
        with_gone: bool,
        scratch: &mut Scratch,
    ) -> Vec<Scored> {
        scratch.begin(self.count);
        scratch.visit(start);
        let first = Scored::new(self.similarity(asked, start), start);
        scratch.open(first);
        if with_gone || !self.node(start).is_gone {
            scratch.keep(first, most);
        }
        let mut left = if with_gone { usize::MAX } else { VISITED * most };
        while let Some(next) = scratch.next(most) {
            if left == 0 {
                break;
            }
            for &node in self.links(next.node, layer) {
                if !scratch.visit(node) {
                    continue;
                }
                left = left.saturating_sub(1);
                let scored = Scored::new(self.similarity(asked, node), node);
                if !scratch.is_worth(scored, most) {
                    continue;
                }
                scratch.open(scored);
                if with_gone || !self.node(node).is_gone {
                    scratch.keep(scored, most);
                }
            }
        }
        scratch.found()
    }

    /// Of nodes in order, best first: those that are nearer to the vector than to any that is chosen (algorithm 4).
    fn chosen(&self, found: &[Scored], most: usize) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::with_capacity(most);
        for each in found {
            if chosen.len() == most {
                break;
            }
            if chosen
                .iter()
                .all(|&other| self.between(each.node, other) < each.similarity)
            {
                chosen.push(each.node);
            }
        }
        chosen
    }

    /// What a node links to on a layer when the vector is put in: all that it did and [`NEW`], or the best of them.
    fn linked(&self, node: u32, layer: usize, asked: &Asked<'_>) -> Vec<u32> {
        let links = self.links(node, layer);
        let most = if layer == 0 { LINKS_LOWEST } else { LINKS };
        if links.len() < most {
            return links.iter().copied().chain([NEW]).collect();
        }
        let mut found: Vec<Scored> = links
            .iter()
            .map(|&other| Scored::new(self.between(node, other), other))
            .collect();
        found.push(Scored::new(self.similarity(asked, node), NEW));
        found.sort_unstable_by(|one, other| other.cmp(one));
        let mut chosen: Vec<u32> = Vec::with_capacity(most);
        for each in &found {
            let is_nearer = |&other: &u32| {
                let between = match (each.node, other) {
                    (NEW, other) | (other, NEW) => self.similarity(asked, other),
                    (one, other) => self.between(one, other),
                };
                between < each.similarity
            };
            if chosen.len() < most && chosen.iter().all(is_nearer) {
                chosen.push(each.node);
            }
        }
        chosen
    }
}

/// The node that is being put in, before it has a number.
const NEW: u32 = u32::MAX;

struct Asked<'a> {
    vector: &'a Vector,
    inverse: f32,
}

impl<'a> Asked<'a> {
    fn of(vector: &'a Vector) -> Self {
        let length = f64::from(dot(vector, vector)).sqrt();
        Self {
            vector,
            inverse: inverse_of(length),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a length is 0 or from 1 to 2,032")]
fn inverse_of(length: f64) -> f32 {
    if length > 0.0 { (1.0 / length) as f32 } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "below 2^22")]
fn cosine(one: &Vector, inverse: f32, other: &Vector, other_inverse: f32) -> f32 {
    dot(one, other) as f32 * inverse * other_inverse
}

/// How high the node of that number reaches: the same in every graph, one in [`LINKS`] a layer higher each.
fn level_of(number: usize) -> usize {
    // The mixing of SplitMix64 (Steele, Lea, Flood 2014): numbers in a row become bits without order.
    let mut bits = (number as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    (bits.trailing_zeros() as usize / LINKS.trailing_zeros() as usize).min(HIGHEST)
}
