//! Topics: lists of phrases that come with Tollway, each with its weight.
//!
//! A line is a weight and a phrase: `40 casino`. A phrase of 100 means its topic by itself; lighter ones do together, when
//! different ones stand within [`EVIDENCE_BYTES`] of each other and weigh 100: the one that completes them is what is found.
//! `a|b` is either word, `?a|b` either or none, and `_` stands for a space within an alternative: `100 make|build ?a|the bomb`.

use super::phrases::Hit;
use super::phrases::Term;

/// How far behind a word others may speak for its topic, in bytes.
pub(super) const EVIDENCE_BYTES: usize = 160;

/// How far behind such a word an allowed phrase that takes it out may begin, in bytes.
pub(super) const COVER_BYTES: usize = 32;

/// What a topic must weigh.
pub(super) const ENOUGH: u8 = 100;

const LISTS: [(&str, &str); 12] = [
    ("crime", include_str!("topics/crime.txt")),
    ("drugs", include_str!("topics/drugs.txt")),
    ("financial_advice", include_str!("topics/financial_advice.txt")),
    ("gambling", include_str!("topics/gambling.txt")),
    ("hate", include_str!("topics/hate.txt")),
    ("legal_advice", include_str!("topics/legal_advice.txt")),
    ("medical_advice", include_str!("topics/medical_advice.txt")),
    ("politics", include_str!("topics/politics.txt")),
    ("self_harm", include_str!("topics/self_harm.txt")),
    ("sexual", include_str!("topics/sexual.txt")),
    ("violence", include_str!("topics/violence.txt")),
    ("weapons", include_str!("topics/weapons.txt")),
];

/// The topics there are, in order.
#[must_use]
pub fn topics() -> impl ExactSizeIterator<Item = &'static str> {
    LISTS.iter().map(|(name, _)| *name)
}

/// Name and lines of a topic: weight, phrase. Nothing for a topic that there is not.
pub(super) fn listed(topic: &str) -> Option<(&'static str, impl Iterator<Item = (u8, String)> + use<>)> {
    let (name, list) = LISTS.iter().find(|(name, _)| *name == topic)?;
    let lines = list.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let phrases = lines.flat_map(|line| {
        let (weight, phrase) = line.split_once(' ').unwrap_or(("", line));
        let weight = weight.parse().unwrap_or(0);
        variants(phrase).into_iter().map(move |phrase| (weight, phrase))
    });
    Some((*name, phrases))
}

/// Every phrase that a line stands for.
fn variants(line: &str) -> Vec<String> {
    let mut phrases = vec![String::new()];
    for word in line.split_whitespace() {
        let (word, is_optional) = word.strip_prefix('?').map_or((word, false), |word| (word, true));
        let mut longer = Vec::new();
        for phrase in phrases {
            for either in word.split('|') {
                longer.push(format!("{phrase} {}", either.replace('_', " ")));
            }
            if is_optional {
                longer.push(phrase);
            }
        }
        phrases = longer;
    }
    phrases
}

/// A light word of a topic.
#[derive(Debug)]
struct Word {
    start: usize,
    end: usize,
    topic: u16,
    id: u32,
    weight: u8,
    /// The end of the allowed phrase that takes it out.
    covered_to: Option<usize>,
}

/// What the text before a place says of topics.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    words: std::collections::VecDeque<Word>,
    allowed: std::collections::VecDeque<(usize, usize)>,
}

impl Evidence {
    /// What `term`, at `start`, weighs with what went before.
    pub(super) fn weigh(&self, start: usize, topic: u16, id: u32, weight: u8) -> u8 {
        let mut sum = weight;
        let mut counted = vec![id];
        for word in self.words.iter().rev() {
            if sum >= ENOUGH || word.start + EVIDENCE_BYTES < start {
                break;
            }
            let is_covered = word.covered_to.is_some_and(|end| end <= start);
            if word.topic == topic && word.end <= start && !is_covered && !counted.contains(&word.id) {
                sum = sum.saturating_add(word.weight);
                counted.push(word.id);
            }
        }
        sum
    }

    /// Remembers what was read at `start`.
    pub(super) fn note(&mut self, start: usize, hits: &[Hit]) {
        while self.allowed.front().is_some_and(|span| span.0 + COVER_BYTES < start) {
            self.allowed.pop_front();
        }
        while self
            .words
            .front()
            .is_some_and(|word| word.start + EVIDENCE_BYTES < start)
        {
            self.words.pop_front();
        }
        let allowed = hits.iter().filter(|hit| hit.1 == Term::Allowed);
        self.allowed.extend(allowed.map(|hit| (start, hit.0)));
        let covered_to = self.allowed.iter().map(|span| span.1).filter(|end| *end > start).min();
        for (end, term) in hits {
            if let Term::Topical { topic, id, weight } = *term {
                // The same word again says nothing new: the last two are enough, one of which has ended wherever one looks.
                let is_same = |word: &Word| (word.topic, word.id, word.covered_to) == (topic, id, covered_to);
                let words = self.words.iter().enumerate().rev();
                if let Some((place, _)) = words.filter(|(_, word)| is_same(word)).nth(1) {
                    self.words.remove(place);
                }
                self.words.push_back(Word {
                    start,
                    end: *end,
                    topic,
                    id,
                    weight,
                    covered_to,
                });
            }
        }
    }
}
