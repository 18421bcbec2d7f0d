//! What stands where several detectors see something in the same place.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::{Judge, Ruling};
use crate::detector::Finding;

/// Findings that overlap are rewritten together, up to so many bytes: what goes on behind them begins anew.
pub const TOGETHER_BYTES_MAX: usize = 1024;

/// A finding of the detector at that index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Index into [`Judge::detectors`].
    pub detector: usize,
    /// What it found.
    pub finding: Finding,
}

/// A stretch of the text, in bytes, and what stands there instead: plain text, not escaped for JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
    /// What stands there instead.
    pub text: Cow<'static, str>,
}

/// What [`rule`] leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruled {
    /// Everything that begins before this position is judged; it lies in no finding that is to be rewritten.
    pub settled: usize,
    /// Nothing of the text may pass.
    pub is_blocked: bool,
}

/// Has `judge` judge those of `hits` that begin before `decided`, up to which all its detectors have decided, and takes them out.
///
/// Findings that are rewritten and overlap become one place, named by the longest of them (then by confidence, then by the order
/// of detectors): none of what any of them found is left over. The others are judged whatever they overlap. A place that reaches
/// beyond `decided` waits, with all behind it, for it may still grow. The places come in order and never overlap.
pub fn rule(judge: &mut dyn Judge, text: &str, hits: &mut Vec<Hit>, decided: usize, places: &mut Vec<Place>) -> Ruled {
    if hits.is_empty() {
        return Ruled {
            settled: decided,
            is_blocked: false,
        };
    }
    hits.sort_by_key(|hit| (hit.finding.start, Reverse(hit.finding.end), hit.detector));
    let mut begins = Vec::with_capacity(hits.len());
    let together = together(judge, hits, &mut begins);
    let crossing = together.iter().find(|it| it.end > decided && it.start < decided);
    let settled = crossing.map_or(decided, |it| it.start);
    let mut is_blocked = false;
    let mut begins = begins.into_iter();
    hits.retain_mut(|hit| {
        let Finding { start, end, .. } = hit.finding;
        let begin = begins.next().unwrap_or(start);
        if begin < settled {
            if !judge.action(hit.detector, &hit.finding).rewrites() {
                is_blocked |= judge.judge(hit.detector, &hit.finding, &text[start..end]) == Ruling::Block;
            }
            return false;
        }
        if start < settled {
            hit.finding.start = begin;
            return begin < end;
        }
        true
    });
    for Together { first, start, end } in together.into_iter().take_while(|it| it.start < settled) {
        let finding = Finding {
            start,
            end,
            ..first.finding
        };
        match judge.judge(first.detector, &finding, &text[start..end]) {
            Ruling::Replace(text) => places.push(Place { start, end, text }),
            Ruling::Block => is_blocked = true,
            Ruling::Pass => {}
        }
    }
    Ruled { settled, is_blocked }
}

/// Findings that overlap, and the one that names them.
#[derive(Clone, Copy, Debug)]
struct Together {
    first: Hit,
    start: usize,
    end: usize,
}

/// Of hits in order of their starts, those that are rewritten; and of all, where what is theirs alone begins.
fn together(judge: &dyn Judge, hits: &[Hit], begins: &mut Vec<usize>) -> Vec<Together> {
    let mut all: Vec<Together> = Vec::new();
    for &hit in hits {
        let Finding { mut start, end, .. } = hit.finding;
        if !judge.action(hit.detector, &hit.finding).rewrites() {
            begins.push(start);
            continue;
        }
        match all.last_mut() {
            Some(last) if start < last.end => {
                if last.end - last.start < TOGETHER_BYTES_MAX {
                    last.end = last.end.max(end);
                    if rank(&hit) < rank(&last.first) {
                        last.first = hit;
                    }
                    begins.push(last.start);
                    continue;
                }
                start = last.end;
            }
            _ => {}
        }
        if start < end {
            all.push(Together { first: hit, start, end });
        }
        begins.push(start);
    }
    all
}

/// The least stands.
fn rank(hit: &Hit) -> (Reverse<usize>, Reverse<u8>, usize) {
    let Finding {
        start, end, confidence, ..
    } = hit.finding;
    (Reverse(end - start), Reverse(confidence), hit.detector)
}
