//! What a text may not say: words and phrases, patterns, topics; and what is allowed although it says so.
//!
//! Phrases are found in every guise that a reader takes for the same (see [`fold`]): either case, repeated spaces and line
//! breaks, invisible signs inside; where words have boundaries, only whole words. Patterns are regular expressions as
//! written (`(?i)` for either case), on the text as it is; `\b` at their ends is Unicode's, within them ASCII's. Topics
//! weigh words. What the allow list says is taken out first: nothing that touches it is found.
//!
//! Of what begins at one place the longest is found; then it goes on behind it. Besides: [`language`], and [`Schema`].

mod fold;
mod language;
mod patterns;
mod phrases;
mod schema;
#[cfg(test)]
mod tests;
mod topics;

use crate::detector::{Detector, Finding, LOOK_BEHIND_BYTES};
use fold::Starts;
pub use language::{Language, language, languages, speaks};
pub use patterns::MATCH_BYTES_MAX;
use patterns::{Ahead, Next, Patterns};
use phrases::{Builder, Hit, Phrases, Term};
pub use schema::{Schema, SchemaError, Unheld};
pub use topics::topics;
use topics::{ENOUGH, Evidence};

/// A phrase may be so long, folded, in bytes.
pub const PHRASE_BYTES_MAX: usize = 256;

/// All phrases of a matcher together, in bytes.
pub const PHRASES_BYTES_MAX: usize = 4 << 20;

const PHRASE: u16 = 0;
const PATTERN: u16 = 1;
const TOPICS: u16 = 2;

/// What is wrong with what a matcher was to look for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatcherError {
    /// A phrase without a letter.
    #[error("{list}[{index}] is empty")]
    Empty {
        /// `deny` or `allow`.
        list: &'static str,
        /// Its place in the list.
        index: usize,
    },
    /// A phrase that is too long.
    #[error("{list}[{index}] is longer than {PHRASE_BYTES_MAX} bytes")]
    Long {
        /// `deny` or `allow`.
        list: &'static str,
        /// Its place in the list.
        index: usize,
    },
    /// Too many phrases.
    #[error("the phrases are longer than {PHRASES_BYTES_MAX} bytes together")]
    Many,
    /// Not a pattern.
    #[error("patterns[{index}] {pattern:?}: {reason}")]
    Pattern {
        /// Its place in the list.
        index: usize,
        /// As it was written.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// Patterns that are too large together.
    #[error("the patterns together: {0}")]
    Patterns(String),
    /// Not a topic.
    #[error("unknown topic {topic:?}: use {}", topics().collect::<Vec<_>>().join(", "))]
    Topic {
        /// As it was written.
        topic: String,
    },
}

/// Finds what a text may not say.
#[derive(Debug)]
pub struct Matcher {
    phrases: Phrases,
    patterns: Option<Patterns>,
    names: Vec<&'static str>,
    has_allowed: bool,
}

impl Matcher {
    /// A matcher of denied phrases, patterns and topics, but for what is allowed.
    pub fn new(
        deny: &[String],
        patterns: &[String],
        topics: &[String],
        allow: &[String],
    ) -> Result<Self, MatcherError> {
        let mut builder = Builder::default();
        let mut bytes = 0;
        for (list, phrases, term) in [("deny", deny, Term::Denied), ("allow", allow, Term::Allowed)] {
            for (index, phrase) in phrases.iter().enumerate() {
                let phrase = fold::folded(phrase);
                bytes += phrase.len();
                match phrase.len() {
                    0 => return Err(MatcherError::Empty { list, index }),
                    1..=PHRASE_BYTES_MAX => builder.add(phrase, term),
                    _ => return Err(MatcherError::Long { list, index }),
                }
            }
        }
        if bytes > PHRASES_BYTES_MAX {
            return Err(MatcherError::Many);
        }
        let mut names = vec!["phrase", "pattern"];
        for topic in topics {
            let Some((name, phrases)) = topics::listed(topic) else {
                return Err(MatcherError::Topic { topic: topic.clone() });
            };
            if names.contains(&name) {
                continue;
            }
            let topic = u16::try_from(names.len()).unwrap_or(u16::MAX);
            names.push(name);
            for (id, (weight, phrase)) in (0..).zip(phrases) {
                builder.add(fold::folded(&phrase), Term::Topical { topic, id, weight });
            }
        }
        let compiled = match patterns {
            [] => None,
            _ => Some(Patterns::new(patterns).map_err(|(index, reason)| match index {
                Some(index) => MatcherError::Pattern {
                    index,
                    pattern: patterns[index].clone(),
                    reason,
                },
                None => MatcherError::Patterns(reason),
            })?),
        };
        Ok(Self {
            phrases: builder.build(),
            patterns: compiled,
            names,
            has_allowed: !allow.is_empty(),
        })
    }

    /// Everything in a whole text.
    #[must_use]
    pub fn find(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.scan(text, 0, true, &mut findings);
        findings
    }
}

impl Detector for Matcher {
    fn scan(&self, text: &str, from: usize, is_last: bool, findings: &mut Vec<Finding>) -> usize {
        Scan {
            matcher: self,
            text,
            is_last,
            evidence: Evidence::default(),
            at: from,
            findings,
        }
        .run(from)
    }

    fn may_find(&self, text: &str) -> bool {
        !text.is_empty() && (self.patterns.is_some() || !self.phrases.is_empty())
    }

    fn name(&self, label: u16) -> &str {
        self.names.get(usize::from(label)).copied().unwrap_or_default()
    }
}

/// What may be found at a place: its end, label and confidence.
type Candidate = (usize, u16, u8);

/// One scan on its way through a text.
struct Scan<'s> {
    matcher: &'s Matcher,
    text: &'s str,
    is_last: bool,
    evidence: Evidence,
    /// What lies before it is decided.
    at: usize,
    findings: &'s mut Vec<Finding>,
}

impl Scan<'_> {
    /// Decides place after place; where it had to stop.
    ///
    /// Reads every place at which a phrase may begin, also within what was found and a little before `from`: topics weigh
    /// what stands there.
    fn run(mut self, from: usize) -> usize {
        let has_topics = self.matcher.names.len() > usize::from(TOPICS);
        let mut begin = if has_topics {
            from.saturating_sub(LOOK_BEHIND_BYTES)
        } else {
            from
        };
        while !self.text.is_char_boundary(begin) {
            begin += 1;
        }
        let mut patterns = Ahead::new(self.matcher.patterns.as_ref(), self.text, from, self.is_last);
        let mut hits = Vec::new();
        let starts = (!self.matcher.phrases.is_empty()).then(|| Starts::new(self.text, begin));
        for start in starts.into_iter().flatten() {
            if let Err(open) = self.patterns_before(&mut patterns, start) {
                return open;
            }
            let is_open = self.matcher.phrases.read(self.text, start, self.is_last, &mut hits);
            if start >= self.at {
                if is_open {
                    return start;
                }
                if let Err(open) = self.at_start(&mut patterns, start, &hits) {
                    return open;
                }
            }
            if has_topics && !hits.is_empty() {
                self.evidence.note(start, &hits);
            }
        }
        match self.patterns_before(&mut patterns, self.text.len()) {
            Ok(()) => self.text.len(),
            Err(open) => open,
        }
    }

    /// Decides the patterns that begin before `limit`; the error is where it has to stop.
    fn patterns_before(&mut self, patterns: &mut Ahead<'_>, limit: usize) -> Result<(), usize> {
        let mut from = self.at;
        while let Some((start, _)) = patterns.from(from).filter(|(start, _)| *start < limit) {
            self.at_start(patterns, start, &[])?;
            from = self.at.max(start + 1);
            while !self.text.is_char_boundary(from) {
                from += 1;
            }
        }
        Ok(())
    }

    /// Decides what begins at `start`.
    fn at_start(&mut self, patterns: &mut Ahead<'_>, start: usize, hits: &[Hit]) -> Result<(), usize> {
        if let Some((end, _)) = hits.iter().rev().find(|hit| hit.1 == Term::Allowed) {
            self.at = *end;
            return Ok(());
        }
        let mut options: Vec<Candidate> = Vec::new();
        match patterns.from(start) {
            Some((at, Next::Open { .. })) if at == start => return Err(start),
            Some((at, Next::At { end, .. })) if at == start => options.push((end, PATTERN, 100)),
            _ => {}
        }
        for (end, term) in hits {
            match *term {
                Term::Allowed => {}
                Term::Denied => options.push((*end, PHRASE, 100)),
                Term::Topical { topic, id, weight } => {
                    let weight = self.evidence.weigh(start, topic, id, weight);
                    if weight >= ENOUGH {
                        options.push((*end, topic, weight.min(100)));
                    }
                }
            }
        }
        options.sort_by_key(|(end, label, _)| (std::cmp::Reverse(*end), *label));
        let Some((longest, ..)) = options.first() else {
            return Ok(());
        };
        let free = self.free(start, *longest)?;
        if let Some(&(end, label, confidence)) = options.iter().find(|option| option.0 <= free) {
            self.findings.push(Finding {
                label,
                confidence,
                start,
                end,
            });
            self.at = end;
        }
        Ok(())
    }

    /// Where behind `start` and before `end` the next allowed phrase begins, or `end`; the error is where it has to stop.
    fn free(&self, start: usize, end: usize) -> Result<usize, usize> {
        if !self.matcher.has_allowed {
            return Ok(end);
        }
        let mut hits = Vec::new();
        for place in Starts::new(self.text, start) {
            if place >= end {
                break;
            }
            if place > start {
                let is_open = self.matcher.phrases.read(self.text, place, self.is_last, &mut hits);
                if hits.iter().any(|hit| hit.1 == Term::Allowed) {
                    return Ok(place);
                }
                if is_open {
                    return Err(start);
                }
            }
        }
        Ok(end)
    }
}
