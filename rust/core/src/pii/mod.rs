//! Personal data in text: found in linear time, checked by checksum, replaced by typed placeholders.
//!
//! Text comes in; byte offsets come out, or the text with `[EMAIL]`, `[PHONE]`… in their place. Precision comes from
//! what a pattern cannot express: check digits, issuer and country tables, and the words beside a bare number.
//!
//! Hand-written readers rather than regular expressions: `@`, `:` and digits are found with SIMD, a row of digit groups
//! is read once for all detectors, and every detector looks at a bounded number of bytes around the place it is asked
//! about. So the work is linear in the text whatever the text is, and text without those characters costs one pass.
//! (Six patterns of the `regex` crate, tried first in Python, cost about 140 µs per KB and still needed all the checks.)
//!
//! What it does not do: names and addresses (they need a model), and numbers spelt out in words.

mod card;
mod context;
mod email;
mod iban;
mod ip;
mod number;
mod phone;
mod ssn;
#[cfg(test)]
mod tests;

use memchr::memchr;

use number::{Match, Run, follows_word, is_word};

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Entity {
    /// An e-mail address.
    Email,
    /// A payment card number.
    CreditCard,
    /// A United States social security number.
    UsSsn,
    /// A telephone number.
    Phone,
    /// An international bank account number.
    Iban,
    /// An IP address, version 4 or 6.
    Ip,
}

impl Entity {
    /// Every entity.
    pub const ALL: [Self; 6] = [
        Self::Email,
        Self::CreditCard,
        Self::UsSsn,
        Self::Phone,
        Self::Iban,
        Self::Ip,
    ];

    /// The name in configuration and reports: `email`, `credit_card`, `us_ssn`, `phone`, `iban`, `ip`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::CreditCard => "credit_card",
            Self::UsSsn => "us_ssn",
            Self::Phone => "phone",
            Self::Iban => "iban",
            Self::Ip => "ip",
        }
    }

    /// What stands in the text instead of the value: `[EMAIL]`, `[CREDIT_CARD]`…
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Email => "[EMAIL]",
            Self::CreditCard => "[CREDIT_CARD]",
            Self::UsSsn => "[US_SSN]",
            Self::Phone => "[PHONE]",
            Self::Iban => "[IBAN]",
            Self::Ip => "[IP]",
        }
    }

    /// The entity of that name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entity| entity.name() == name)
    }
}

/// A set of entities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entities(u8);

impl Entities {
    /// Every entity.
    pub const ALL: Self = Self(0b11_1111);
    /// Those that contain digits in all cases.
    const NUMBERS: Self = Self(Self::ALL.0 & !(1 << Entity::Email as u8));

    /// Whether `entity` is in the set.
    #[must_use]
    pub const fn contains(self, entity: Entity) -> bool {
        self.0 & (1 << entity as u8) != 0
    }

    const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl FromIterator<Entity> for Entities {
    fn from_iter<I: IntoIterator<Item = Entity>>(entities: I) -> Self {
        Self(entities.into_iter().fold(0, |bits, entity| bits | 1 << entity as u8))
    }
}

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
        (self.entities.contains(Entity::Email) && memchr(b'@', text).is_some())
            || (self.entities.overlaps(Entities::NUMBERS) && next_digit(text, 0).is_some())
    }

    /// The findings in `text`, in order, never overlapping. Where two readings of the same characters compete, the
    /// longer one stands.
    #[must_use]
    pub fn scan(&self, text: &str) -> Vec<Finding> {
        if !self.has_any(text) {
            return Vec::new();
        }
        let mut findings = Vec::new();
        if self.entities.contains(Entity::Email) {
            email::find(text, |start, end| keep(&mut findings, Entity::Email, start, end));
        }
        if self.entities.contains(Entity::Ip) {
            ip::v6(text.as_bytes(), |start, end| {
                keep(&mut findings, Entity::Ip, start, end);
            });
        }
        if self.entities.overlaps(Entities::NUMBERS) {
            self.scan_numbers(text.as_bytes(), &mut findings);
        }
        without_overlaps(findings)
    }

    /// Detectors that were not chosen run too: a card number is no telephone, also for who only looks for telephones.
    fn scan_numbers(&self, text: &[u8], findings: &mut Vec<Finding>) {
        let mut run = Run::new(text);
        let mut from = 0;
        while let Some(digit) = next_digit(text, from) {
            if follows_word(text, digit) {
                from = match iban_around(text, digit) {
                    Some((start, end)) => {
                        self.offer(findings, Entity::Iban, start, end);
                        end
                    }
                    None => word_end(text, digit),
                };
                continue;
            }
            let end = run.read(digit);
            let mut group = 0;
            while group < run.groups.len() {
                group += match identify(&run, group) {
                    Some((entity, found)) => {
                        self.offer(findings, entity, found.start, found.end);
                        found.groups
                    }
                    None => 1,
                };
            }
            from = word_end(text, end);
        }
    }

    fn offer(&self, findings: &mut Vec<Finding>, entity: Entity, start: usize, end: usize) {
        if self.entities.contains(entity) {
            keep(findings, entity, start, end);
        }
    }
}

fn keep(findings: &mut Vec<Finding>, entity: Entity, start: usize, end: usize) {
    findings.push(Finding { entity, start, end });
}

/// What begins with this group, the surest reading first.
fn identify(run: &Run<'_>, group: usize) -> Option<(Entity, Match)> {
    let of = |entity: Entity| move |found: Match| (entity, found);
    card::at(run, group)
        .map(of(Entity::CreditCard))
        .or_else(|| ip::v4_at(run, group).map(of(Entity::Ip)))
        .or_else(|| ssn::at(run, group).map(of(Entity::UsSsn)))
        .or_else(|| phone::at(run, group).map(of(Entity::Phone)))
}

/// An IBAN whose first check digit is at `digit`: two letters before it, and nothing before those.
fn iban_around(text: &[u8], digit: usize) -> Option<(usize, usize)> {
    let start = digit.checked_sub(2)?;
    let country = text[start..digit].iter().all(u8::is_ascii_alphabetic);
    let end = if country && !follows_word(text, start) {
        iban::at(text, start)
    } else {
        None
    };
    end.map(|end| (start, end))
}

fn word_end(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|byte| is_word(**byte)).count()
}

/// The first digit at or behind `from`. After a few bytes, whole blocks without digits are passed over with SIMD: the
/// loop over a block has no early exit, so that the compiler can vectorise it.
fn next_digit(text: &[u8], from: usize) -> Option<usize> {
    const NEAR: usize = 8;
    const BLOCK: usize = 64;
    let rest = &text[from..];
    let (near, far) = rest.split_at(rest.len().min(NEAR));
    let position = near.iter().position(u8::is_ascii_digit).or_else(|| {
        let without = far
            .chunks(BLOCK)
            .take_while(|block| !block.iter().fold(false, |any, byte| any | byte.is_ascii_digit()));
        let passed = near.len() + without.map(<[u8]>::len).sum::<usize>();
        rest[passed..]
            .iter()
            .position(u8::is_ascii_digit)
            .map(|digit| passed + digit)
    })?;
    Some(from + position)
}

/// Orders the findings and drops the shorter one of two that overlap.
fn without_overlaps(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_unstable_by_key(|finding| (finding.start, std::cmp::Reverse(finding.end), finding.entity));
    let mut kept: Vec<Finding> = Vec::with_capacity(findings.len());
    for finding in findings {
        match kept.last_mut() {
            Some(last) if finding.start < last.end => {
                if finding.end - finding.start > last.end - last.start {
                    *last = finding;
                }
            }
            _ => kept.push(finding),
        }
    }
    kept
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
