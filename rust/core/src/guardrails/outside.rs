//! What somebody else has found: a check that is not native, which has seen the texts that it was shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::session::Session;
use super::{Action, Direction, Hit, Judge, Ruling};
use crate::detector::{Detector, Finding};

/// One finding, in characters of a text that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Which of the texts.
    pub text: usize,
    /// Offset of its first character.
    pub start: usize,
    /// Offset behind its last one.
    pub end: usize,
    /// The check that found it.
    pub check: Arc<str>,
    /// What it is.
    pub kind: String,
    /// What is to be done.
    pub action: Action,
    /// Whether a placeholder's original is put back into answers.
    pub restores: bool,
}

/// Where the findings lie in the texts, in bytes, by text. Their detectors are their indices in `found`. What lies in no text
/// is cut to it.
#[must_use]
pub fn located<'t>(texts: impl Iterator<Item = &'t str>, found: &[Outside]) -> BTreeMap<usize, Vec<Hit>> {
    let mut by_text: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, outside) in found.iter().enumerate() {
        by_text.entry(outside.text).or_default().push(index);
    }
    let mut hits = BTreeMap::new();
    for (number, text) in texts.enumerate() {
        if let Some(indices) = by_text.remove(&number) {
            hits.insert(number, in_text(text, &indices, found));
        }
    }
    hits
}

fn in_text(text: &str, indices: &[usize], found: &[Outside]) -> Vec<Hit> {
    let mut points: Vec<usize> = indices
        .iter()
        .flat_map(|index| [found[*index].start, found[*index].end])
        .collect();
    points.sort_unstable();
    points.dedup();
    let mut offsets = Vec::with_capacity(points.len());
    let (mut letters, mut counted) = (text.char_indices(), 0);
    for point in &points {
        let offset = letters.nth(point - counted).map_or(text.len(), |(offset, _)| offset);
        offsets.push(offset);
        // The next one asked for is behind this one.
        counted = point + 1;
    }
    let byte = |point: usize| points.binary_search(&point).map_or(text.len(), |at| offsets[at]);
    let hit = |index: &usize| {
        let outside = &found[*index];
        let finding = Finding {
            label: 0,
            confidence: 100,
            start: byte(outside.start),
            end: byte(outside.end),
        };
        let detector = *index;
        (finding.start < finding.end).then_some(Hit { detector, finding })
    };
    indices.iter().filter_map(hit).collect()
}

/// A session as it judges what somebody else has found.
#[derive(Debug)]
pub struct OutsideJudge<'a> {
    pub(super) session: &'a mut Session,
    pub(super) direction: Direction,
    pub(super) found: &'a [Outside],
}

impl OutsideJudge<'_> {
    fn apply(&mut self, outside: &Outside, action: Action, value: &str) -> Ruling {
        self.session.note(self.direction, &outside.check, &outside.kind, action);
        match action {
            Action::Allow | Action::Flag => Ruling::Pass,
            Action::Block => Ruling::Block,
            Action::Redact | Action::Mask | Action::Hash => {
                let restores = outside.restores && self.direction == Direction::Input;
                Ruling::Replace(self.session.replacement(&outside.kind, value, action, restores))
            }
        }
    }
}

impl Judge for OutsideJudge<'_> {
    fn detectors(&self) -> &[Arc<dyn Detector>] {
        &[]
    }

    fn action(&self, detector: usize, _finding: &Finding) -> Action {
        self.found.get(detector).map_or(Action::Allow, |outside| outside.action)
    }

    fn judge(&mut self, detector: usize, _finding: &Finding, value: &str) -> Ruling {
        let Some(outside) = self.found.get(detector) else {
            return Ruling::Pass;
        };
        self.apply(outside, outside.action, value)
    }

    fn judge_sealed(&mut self, detector: usize, _finding: &Finding, value: &str) -> Ruling {
        let Some(outside) = self.found.get(detector) else {
            return Ruling::Pass;
        };
        let action = match outside.action {
            Action::Redact if outside.restores => Action::Redact,
            Action::Redact | Action::Mask | Action::Hash => Action::Flag,
            action => action,
        };
        self.apply(outside, action, value)
    }

    fn original(&self, placeholder: &str) -> Option<&str> {
        self.session.original(placeholder)
    }
}
