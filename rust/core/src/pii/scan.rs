//! One pass over a text: from digit to digit and from `@` to `@`, unit after unit, and how much of the text is decided.
//!
//! A unit is a row of groups of digits, or a word with digits in it, with the one or two short words that may belong in
//! front (`AB 12 34 56 C`, `March 5th`). What is found in it depends on a bounded number of bytes around it, never on where
//! the pass began: so a text may arrive in pieces, and the work is linear. A unit is judged once enough stands behind it: the
//! rest of its word and one word more.

use memchr::memchr;

use super::bounds::{
    LONGEST_CODE, lead_start, live_start, next_digit, says_something, token_start, unit_start, word_end,
};
use super::entity::{Entities, Entity};
use super::number::{Gap, Match, Run, digits_end, extension, is_word};
use super::{birth, card, code, email, ip, phone, ssn};
use crate::detector::Finding;

/// Behind this many bytes nothing can matter to what begins before them: the longest number with the widest gaps, and the
/// words after it.
const AHEAD_BYTES: usize = 192;
/// Behind this many bytes nothing can matter to what ends before them.
const BEHIND_UNIT_BYTES: usize = 80;
/// Confidence in a number of a usual length that nothing but that speaks for.
const PHONE_ALONE: u8 = 55;
/// What is found with less confidence gives way to whatever begins within it.
pub(super) const WEAK: u8 = 50;

/// What was recognised, and how surely (percent).
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) entity: Entity,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) confidence: u8,
}

/// An address with an `@`, or what may become one.
#[derive(Clone, Copy)]
struct Mail {
    found: Candidate,
    /// Whether it is known where it ends, and that it is one.
    is_decided: bool,
}

pub(super) struct Pass<'t, 'f> {
    text: &'t str,
    bytes: &'t [u8],
    is_last: bool,
    chosen: Entities,
    findings: &'f mut Vec<Finding>,
    /// Findings from here on are this pass's own.
    first: usize,
    mail: Option<Mail>,
    run: Run<'t>,
    /// Where the last finding that stands for sure ends.
    sure: usize,
}

impl<'t, 'f> Pass<'t, 'f> {
    pub(super) fn new(text: &'t str, is_last: bool, chosen: Entities, findings: &'f mut Vec<Finding>) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            is_last,
            chosen,
            first: findings.len(),
            findings,
            mail: None,
            run: Run::new(text.as_bytes()),
            sure: 0,
        }
    }

    /// Scans from `from` on; returns the position before which all is decided.
    pub(super) fn scan(mut self, from: usize) -> usize {
        let live = if self.is_last {
            self.bytes.len()
        } else {
            live_start(self.text, from)
        };
        let has_numbers = self.chosen.has_numbers();
        let mut floor = from;
        self.mail = self.next_mail(from, from);
        loop {
            let trigger = if has_numbers {
                next_digit(self.bytes, floor)
            } else {
                None
            };
            let mail = self.mail.map_or(usize::MAX, |mail| mail.found.start);
            let undecided = match trigger {
                Some(digit) if digit < mail => match self.unit(digit, floor) {
                    Ok(end) => {
                        floor = end.min(mail);
                        continue;
                    }
                    Err(start) => start,
                },
                _ => match self.mail {
                    Some(Mail {
                        found,
                        is_decided: true,
                    }) => {
                        self.push(found);
                        self.sure = found.end;
                        floor = found.end;
                        self.mail = self.next_mail(floor, floor);
                        continue;
                    }
                    Some(Mail { found, .. }) => found.start,
                    None => live,
                },
            };
            return self.withdraw(undecided.min(live).max(self.sure).max(from));
        }
    }

    /// Judges the unit around a digit. Returns where it ends; or, if too little stands behind it, where it begins.
    fn unit(&mut self, digit: usize, floor: usize) -> Result<usize, usize> {
        let token = token_start(self.bytes, digit);
        if token < floor || digit - token > LONGEST_CODE {
            return Ok(word_end(self.bytes, digit));
        }
        let start = unit_start(self.text, token, floor);
        let digits = digits_end(self.bytes, digit);
        let is_number = digit == token
            && (self.bytes.get(digits).is_none_or(|byte| !is_word(*byte)) || extension(self.bytes, digits).is_some());
        if is_number {
            self.row(start, token, floor)
        } else {
            self.word(start, token, floor)
        }
    }

    /// A word with letters and digits in it.
    fn word(&mut self, start: usize, token: usize, floor: usize) -> Result<usize, usize> {
        let end = word_end(self.bytes, token);
        if end - token > LONGEST_CODE {
            return Ok(end);
        }
        let view = code::View::new(self.text, self.is_last);
        let candidate = self.beginning_before(&view, start, token, floor);
        let candidate = better(candidate, view.at(token));
        self.close(&view, start, view.reach(token).max(end), candidate)?;
        Ok(self.accept(candidate).unwrap_or(end))
    }

    /// A row of groups of digits, group by group.
    fn row(&mut self, start: usize, token: usize, floor: usize) -> Result<usize, usize> {
        let mut run = std::mem::replace(&mut self.run, Run::new(self.bytes));
        let end = run.read(token).max(digits_end(self.bytes, token));
        let outcome = self.groups(&run, start, floor).map(|reached| reached.max(end));
        self.run = run;
        outcome
    }

    fn groups(&mut self, run: &Run<'t>, start: usize, floor: usize) -> Result<usize, usize> {
        let view = code::View::new(self.text, self.is_last);
        let row = run
            .groups
            .last()
            .map_or(start, |group| view.reach(group.start).max(group.end));
        let is_settled = self.is_settled(row);
        let (mut group, mut reached) = (0, floor);
        while group < run.groups.len() {
            let at = run.groups[group].start;
            if at < reached {
                group += 1;
                continue;
            }
            let begins = if group == 0 {
                start
            } else {
                lead_start(self.bytes, at, reached.max(floor))
            };
            if self.mail.is_some_and(|mail| at >= mail.found.start) {
                break;
            }
            if !is_settled && at + AHEAD_BYTES > self.bytes.len() {
                return Err(begins);
            }
            let before = if group == 0 { start } else { at };
            let word = self.beginning_before(&view, before, at, reached.max(floor));
            let number = identify(run, group).or_else(|| phone_alone(&view, run, group));
            let number = number.filter(|found| found.start >= begins);
            let candidate = better(better(word, number), view.at(at));
            self.close(&view, begins, if is_settled { row } else { at }, candidate)?;
            if let Some(end) = self.accept(candidate) {
                reached = end;
            }
            group += 1;
        }
        Ok(reached)
    }

    /// What begins with one of the words in front of a unit, or with the colons and hexadecimal digits around it.
    fn beginning_before(&self, view: &code::View<'t>, start: usize, token: usize, floor: usize) -> Option<Candidate> {
        let mut candidate = self.around_colon(view, token, floor);
        let mut at = start;
        while at < token {
            if self.bytes[at].is_ascii_alphanumeric() {
                candidate = better(candidate, better(view.at(at), birth::at(view, at)));
                at = word_end(self.bytes, at);
            } else {
                at += 1;
            }
        }
        better(candidate, birth::at(view, token))
    }

    fn around_colon(&self, view: &code::View<'t>, token: usize, floor: usize) -> Option<Candidate> {
        let colon = self.bytes[token..]
            .iter()
            .take(5)
            .find(|byte| !byte.is_ascii_alphanumeric())
            == Some(&b':');
        if !colon && (token == 0 || self.bytes[token - 1] != b':') {
            return None;
        }
        ip::around_colon(view, token).filter(|found| found.start >= floor)
    }

    /// Whether the unit from `start` on may be judged: what was looked at is there.
    fn close(
        &self,
        view: &code::View<'t>,
        start: usize,
        reach: usize,
        candidate: Option<Candidate>,
    ) -> Result<(), usize> {
        let is_far = start + AHEAD_BYTES <= self.bytes.len();
        let end = candidate.map_or(reach, |found| reach.max(found.end));
        let is_open = view.fell_short() || !(is_far || self.is_settled(end));
        let is_mail_open = |mail: Mail| !mail.is_decided && mail.found.start < end;
        if is_open || self.mail.is_some_and(is_mail_open) {
            return Err(start);
        }
        Ok(())
    }

    /// Whether the rest of the word at `reach` and the next word are there, so that nothing further can matter.
    fn is_settled(&self, reach: usize) -> bool {
        if self.is_last || self.bytes.len() - reach >= BEHIND_UNIT_BYTES {
            return true;
        }
        let rest = &self.text[reach..];
        let mut words = rest.split_inclusive(char::is_whitespace);
        let Some(own) = words.next().filter(|own| own.ends_with(char::is_whitespace)) else {
            return false;
        };
        if own.ends_with('\n') {
            return true;
        }
        // A lone mark (a dash, a bracket) or a sign of an extension is not yet a word.
        words
            .filter(|word| word.ends_with(char::is_whitespace))
            .any(|word| word.ends_with('\n') || says_something(word))
    }

    /// Keeps a candidate. Returns its end if it stands for sure.
    fn accept(&mut self, candidate: Option<Candidate>) -> Option<usize> {
        let found = candidate?;
        let meets_mail = self.mail.is_some_and(|mail| found.end > mail.found.start);
        if meets_mail {
            return None;
        }
        self.push(found);
        if found.confidence < WEAK {
            return None;
        }
        self.sure = found.end;
        Some(found.end)
    }

    /// Appends a finding; one that is sure takes the place of weaker ones that it meets, a weak one gives way.
    fn push(&mut self, found: Candidate) {
        let is_weak = found.confidence < WEAK;
        while let Some(last) = self.findings[self.first..].last() {
            if last.end <= found.start {
                break;
            }
            if is_weak || last.confidence >= WEAK {
                return;
            }
            self.findings.pop();
        }
        if self.chosen.contains(found.entity) {
            self.findings.push(Finding {
                label: found.entity as u16,
                confidence: found.confidence,
                start: found.start,
                end: found.end,
            });
        }
    }

    /// Takes back the weak findings that reach into what is not decided.
    fn withdraw(&mut self, mut undecided: usize) -> usize {
        while let Some(last) = self.findings[self.first..].last() {
            if last.end <= undecided {
                break;
            }
            undecided = last.start;
            self.findings.pop();
        }
        undecided
    }

    /// The first address whose `@` stands at or behind `from`. None of it stands before `floor`.
    fn next_mail(&self, mut from: usize, floor: usize) -> Option<Mail> {
        while let Some(ahead) = memchr(b'@', &self.bytes[from..]) {
            let at = from + ahead;
            if let Some((start, end)) = email::credentials(self.text, at).filter(|(start, _)| *start >= floor) {
                let found = Candidate {
                    entity: Entity::UrlCredentials,
                    start,
                    end,
                    confidence: 90,
                };
                return Some(Mail {
                    found,
                    is_decided: true,
                });
            }
            if let Some(start) = email::local_start(self.text, at).filter(|start| *start >= floor) {
                let entity = Entity::Email;
                match email::domain_end(self.text, start, at, self.is_last) {
                    email::End::At(end) => {
                        let found = Candidate {
                            entity,
                            start,
                            end,
                            confidence: 99,
                        };
                        return Some(Mail {
                            found,
                            is_decided: true,
                        });
                    }
                    email::End::Open => {
                        let found = Candidate {
                            entity,
                            start,
                            end: self.bytes.len(),
                            confidence: 0,
                        };
                        return Some(Mail {
                            found,
                            is_decided: false,
                        });
                    }
                    email::End::None => {}
                }
            }
            from = at + 1;
        }
        None
    }
}

/// The surer of two; of two as sure, the longer.
pub(super) fn better(one: Option<Candidate>, other: Option<Candidate>) -> Option<Candidate> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let rank = |of: &Candidate| (of.confidence, of.end - of.start);
            Some(if rank(&other) > rank(&one) { other } else { one })
        }
        (one, other) => one.or(other),
    }
}

/// What begins with this group, the surest reading first.
fn identify(run: &Run<'_>, group: usize) -> Option<Candidate> {
    let of = |entity: Entity, confidence: u8| {
        move |found: Match| Candidate {
            entity,
            start: found.start,
            end: found.end,
            confidence,
        }
    };
    card::at(run, group)
        .map(of(Entity::CreditCard, 95))
        .or_else(|| ip::v4_at(run, group).map(of(Entity::Ip, 90)))
        .or_else(|| ssn::at(run, group).map(of(Entity::UsSsn, 85)))
        .or_else(|| phone::at(run, group).map(|found| of(Entity::Phone, phone::confidence(run, found))(found)))
}

/// A number of ten or eleven digits that is all there is of a text: as likely a telephone as anything.
fn phone_alone(view: &code::View<'_>, run: &Run<'_>, group: usize) -> Option<Candidate> {
    let count = run.groups.len();
    if group > 0
        || count > 5
        || !(1..count).all(|group| matches!(run.gap(group), Gap::Space | Gap::Dash | Gap::Open | Gap::Close))
    {
        return None;
    }
    let digits: usize = (0..count).map(|group| run.len(group)).sum();
    if !(10..=11).contains(&digits) {
        return None;
    }
    let found = run.cover(group, count)?;
    if b"$#@%=*/-".contains(&run.byte_before(found.start, 1)) {
        return None;
    }
    view.is_alone(found.start, found.end).then_some(Candidate {
        entity: Entity::Phone,
        start: found.start,
        end: found.end,
        confidence: PHONE_ALONE,
    })
}
