//! Personal data in text: found in linear time, checked by checksum, replaced by typed placeholders.
//!
//! Text comes in; byte offsets come out, or the text with `[EMAIL]`, `[PHONE]`… in their place. Precision comes from
//! what a pattern cannot express: check digits, issuer and country tables, and the words beside a bare number.
//!
//! What numbers of the countries look like is in tables (`countries`): forms, check digits, the words that claim them, and
//! how sure each makes it. A number that another may have as well is worth little until a word claims it, or it is all there
//! is of a text. Texts may come in pieces ([`Detector`]): see `scan`.
//!
//! Hand-written readers rather than regular expressions: `@`, `:` and digits are found with SIMD, a row of digit groups
//! is read once for all detectors, and every detector looks at a bounded number of bytes around the place it is asked
//! about. So the work is linear in the text whatever the text is, and text without those characters costs one pass.
//! (Six patterns of the `regex` crate, tried first in Python, cost about 140 µs per KB and still needed all the checks.)
//!
//! What it does not do: names and addresses (they need a model), and numbers spelt out in words.

mod birth;
mod bounds;
mod card;
mod claims;
mod code;
mod context;
mod countries;
mod crypto;
mod email;
mod entity;
mod iban;
mod ip;
mod number;
mod phone;
mod scan;
mod ssn;
#[cfg(test)]
mod tests;

use memchr::memchr;

use bounds::next_digit;
pub use entity::{Entities, Entity};
use scan::{Pass, WEAK};

use crate::detector::{self, Detector};

/// One piece of personal data: byte offsets into the scanned text, on character boundaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub entity: Entity,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

/// Finds the chosen entities.
#[derive(Clone, Debug)]
pub struct Scanner {
    entities: Entities,
}

impl Scanner {
    /// A scanner for `entities`.
    #[must_use]
    pub const fn new(entities: Entities) -> Self {
        Self { entities }
    }

    /// Whether `text` holds the characters that any of the entities need. `false` means that a scan would find nothing;
    /// the answer costs a fraction of a scan, and nothing is allocated for it.
    #[must_use]
    pub fn has_any(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let has_mails = self.entities.contains(Entity::Email) || self.entities.contains(Entity::UrlCredentials);
        (has_mails && memchr(b'@', text).is_some()) || (self.entities.has_numbers() && next_digit(text, 0).is_some())
    }

    /// The findings in `text` that are sure enough to act on, in order, never overlapping.
    #[must_use]
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        Pass::new(text, true, self.entities, &mut findings).scan(0);
        findings
            .into_iter()
            .filter(|finding| finding.confidence >= WEAK)
            .filter_map(|finding| {
                Entity::labelled(finding.label).map(|entity| Finding {
                    entity,
                    start: finding.start,
                    end: finding.end,
                })
            })
            .collect()
    }
}

/// A label is the number of an [`Entity`]. Confidences below 50 are those of numbers that nothing but their length speaks for.
impl Detector for Scanner {
    fn scan(&self, text: &str, from: usize, is_last: bool, findings: &mut Vec<detector::Finding>) -> usize {
        Pass::new(text, is_last, self.entities, findings).scan(from)
    }

    fn may_find(&self, text: &str) -> bool {
        self.has_any(text)
    }

    fn name(&self, label: u16) -> &str {
        Entity::labelled(label).map_or("", Entity::name)
    }
}

/// `text` with each finding replaced by its placeholder. `findings` must come from a scan of this `text`.
#[must_use]
pub fn redact(text: &str, findings: &[Finding]) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut from = 0;
    for finding in findings {
        redacted.push_str(&text[from..finding.start]);
        redacted.push_str(finding.entity.placeholder());
        from = finding.end;
    }
    redacted.push_str(&text[from..]);
    redacted
}
