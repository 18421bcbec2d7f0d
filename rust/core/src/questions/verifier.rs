//! The learned verifier: small trees over the signs, whose sum a line of points turns into a confidence.
//!
//! `verifier.bin` is made by `benches/cache/train_verifier.py`: two heads, without a second similarity and with one.
//! A head is counts of trees and points, the trees' roots, nodes of twelve bytes, and the points.

use super::signs::SIGNS;

static FILE: &[u8] = include_bytes!("verifier.bin");
const HEAD: usize = 12;
/// A node that decides nothing and tells a value.
const LEAF: u16 = u16::MAX;
const NODE: usize = 12;

/// What is weighed: the signs, and last a second similarity.
pub(super) type Weighed = [f32; SIGNS + 1];

/// From 0 to 1.
pub(super) fn confidence(signs: &[f32; SIGNS], second: Option<f32>) -> f32 {
    let mut weighed: Weighed = [0.0; SIGNS + 1];
    weighed[..SIGNS].copy_from_slice(signs);
    weighed[SIGNS] = second.unwrap_or_default();
    let head = if second.is_some() { HEAD + size(0) } else { 0 };
    mapped(head, score(head, &weighed))
}

fn u16_at(at: usize) -> u16 {
    FILE.get(at..at + 2)
        .map_or(0, |bytes| u16::from_le_bytes([bytes[0], bytes[1]]))
}

fn f32_at(at: usize) -> f32 {
    FILE.get(at..at + 4).map_or(0.0, |bytes| {
        f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    })
}

fn counts(head: usize) -> [usize; 3] {
    [head, head + 2, head + 4].map(|at| usize::from(u16_at(at)))
}

/// The bytes of a head behind its counts.
fn size(head: usize) -> usize {
    let [trees, nodes, points] = counts(head);
    2 * trees + NODE * nodes + 8 * points
}

/// The sum of the trees' leaves, from the head's own beginning on.
fn score(head: usize, weighed: &Weighed) -> f32 {
    let [trees, nodes, _] = counts(head);
    let roots = head + HEAD;
    let first = roots + 2 * trees;
    let mut sum = f32_at(head + 8);
    for tree in 0..trees {
        let mut node = usize::from(u16_at(roots + 2 * tree));
        // A node's children come after it, so this ends.
        while node < nodes {
            let at = first + NODE * node;
            let sign = u16_at(at);
            let value = f32_at(at + 8);
            if sign == LEAF {
                sum += value;
                break;
            }
            let below = weighed.get(usize::from(sign)).is_none_or(|weighed| *weighed <= value);
            let child = usize::from(u16_at(if below { at + 2 } else { at + 4 }));
            if child <= node {
                break;
            }
            node = child;
        }
    }
    sum
}

/// Between two points, straight.
fn mapped(head: usize, sum: f32) -> f32 {
    let [trees, nodes, points] = counts(head);
    let first = head + HEAD + 2 * trees + NODE * nodes;
    let point = |number: usize| (f32_at(first + 8 * number), f32_at(first + 8 * number + 4));
    let mut before = point(0);
    if sum < before.0 {
        return 0.0;
    }
    for after in (1..points).map(point) {
        if sum < after.0 {
            let share = (sum - before.0) / (after.0 - before.0);
            return (before.1 + share * (after.1 - before.1)).clamp(0.0, 1.0);
        }
        before = after;
    }
    1.0
}
