//! What every detector of texts promises, so that a text that is still arriving is judged exactly like one that is whole.

use std::fmt::Debug;

/// How much of the text before a position a detector may look at to judge what begins there, in bytes.
pub const LOOK_BEHIND_BYTES: usize = 256;

/// How much of a text that may go on a detector may leave undecided, in bytes, unless a longer match is alive.
pub const HELD_BYTES_MAX: usize = 256;

/// One thing found: byte offsets into the scanned text, on character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is: a number that only its detector can name.
    pub label: u16,
    /// How sure the detector is, in percent.
    pub confidence: u8,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// Finds one family of things in linear time. Holds no state of a text.
///
/// A scan moves from left to right and decides position after position. What it finds must not depend on where an earlier
/// scan stopped: resumed at the position that the scan before returned, with at least [`LOOK_BEHIND_BYTES`] of what went
/// before still in front (or all of it, where there is less), it finds what one scan of the whole text finds.
pub trait Detector: Debug + Send + Sync {
    /// Finds what begins at or behind `from`, and pushes it in order, never overlapping.
    ///
    /// Returns the position, on a character boundary and at least `from`, before which everything is decided: every finding
    /// that begins before it has been pushed, and none of them ends behind it. With `is_last` nothing follows `text`, and that is
    /// its length. Else at most [`HELD_BYTES_MAX`] bytes stay undecided, or the match that is still alive.
    fn scan(&self, text: &str, from: usize, is_last: bool, findings: &mut Vec<Finding>) -> usize;

    /// Whether a scan of `text` may find anything: a cheap question, for nothing is allocated. `true` where that is not known.
    fn may_find(&self, text: &str) -> bool {
        let _ = text;
        true
    }

    /// The name of a label in configuration and reports: `email`, `aws_access_key`.
    fn name(&self, label: u16) -> &str;
}

/// Byte offsets into a text as offsets in code points, as Python counts. One pass: they are asked for in order.
#[derive(Debug)]
pub struct Points<'t> {
    text: &'t str,
    /// Up to where it is read, and how many points that are.
    bytes: usize,
    count: usize,
}

impl<'t> Points<'t> {
    /// Counts from the beginning of `text`.
    #[must_use]
    pub const fn of(text: &'t str) -> Self {
        Self {
            text,
            bytes: 0,
            count: 0,
        }
    }

    /// The code points before `offset`, a character boundary that is not before the one asked for last.
    pub fn before(&mut self, offset: usize) -> usize {
        self.count += self.text[self.bytes..offset].chars().count();
        self.bytes = offset;
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::Points;

    #[test]
    fn points_are_counted_as_python_counts() {
        let text = "a\u{e9}\u{4f60}\u{1f600}b";
        let mut points = Points::of(text);
        assert_eq!(
            [0, 1, 3, 3, 6, 10, 11].map(|offset| points.before(offset)),
            [0, 1, 2, 2, 3, 4, 5]
        );
    }
}

#[cfg(test)]
#[allow(dead_code)] // each detector's tests use a part
pub(crate) mod proof {
    //! The promise above, as a test for any detector.

    use super::{Detector, Finding, LOOK_BEHIND_BYTES};

    /// All findings in a whole text.
    pub(crate) fn whole(detector: &dyn Detector, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        assert_eq!(detector.scan(text, 0, true, &mut findings), text.len());
        findings
    }

    /// The findings in a text that arrives in pieces: as much of the past is kept as is promised, and no more.
    pub(crate) fn in_pieces<'t>(detector: &dyn Detector, pieces: impl Iterator<Item = &'t str>) -> Vec<Finding> {
        let (mut window, mut dropped, mut from) = (String::new(), 0, 0);
        let mut findings = Vec::new();
        let mut step = |window: &mut String, is_last: bool| {
            let mut found = Vec::new();
            let decided = detector.scan(window, from - dropped, is_last, &mut found) + dropped;
            assert!(decided >= from && decided - dropped <= window.len());
            assert!(window.is_char_boundary(decided - dropped));
            for finding in found {
                let (start, end) = (finding.start + dropped, finding.end + dropped);
                assert!(
                    from <= start && start < end && end <= decided,
                    "{finding:?} is decided early or late"
                );
                findings.push(Finding { start, end, ..finding });
            }
            from = decided;
            let mut past = (from - dropped).saturating_sub(LOOK_BEHIND_BYTES);
            while !window.is_char_boundary(past) {
                past -= 1;
            }
            window.drain(..past);
            dropped += past;
        };
        for piece in pieces {
            window.push_str(piece);
            step(&mut window, false);
        }
        step(&mut window, true);
        findings
    }

    /// `text` cut at the given places, each taken modulo its length and moved to a character boundary.
    pub(crate) fn cut<'t>(text: &'t str, cuts: &[usize]) -> Vec<&'t str> {
        let mut places: Vec<usize> = cuts
            .iter()
            .map(|cut| {
                (0..=cut % (text.len() + 1))
                    .rev()
                    .find(|at| text.is_char_boundary(*at))
                    .unwrap_or(0)
            })
            .collect();
        places.extend([0, text.len()]);
        places.sort_unstable();
        places.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
    }

    /// Holds a detector to its promise for one text: cut at `cuts`, and byte by byte.
    pub(crate) fn same_in_pieces(detector: &dyn Detector, text: &str, cuts: &[usize]) {
        let expected = whole(detector, text);
        assert_eq!(
            in_pieces(detector, cut(text, cuts).into_iter()),
            expected,
            "{text:?} cut at {cuts:?}"
        );
        let letters = text
            .char_indices()
            .map(|(at, letter)| &text[at..at + letter.len_utf8()]);
        assert_eq!(in_pieces(detector, letters), expected, "{text:?} letter by letter");
    }
}
