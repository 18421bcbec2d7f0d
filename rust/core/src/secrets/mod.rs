//! Secrets in text: keys of providers, private keys, passwords and tokens beside their names, found in linear time.
//!
//! Four things give a secret away, and each is looked for where it can be:
//!
//! - **its own form** ([`form`], [`forms`], [`shape`]): a provider's prefix and what follows it. Nearly all of these are rows of 14
//!   characters or more without a space ([`run`]), which prose hardly has, so that prose costs one pass, eight bytes at a time;
//! - **the name beside it** ([`context`], [`assigned`]): `api_key = `, *the password is*. Long values are met as rows, short
//!   ones by the words for passwords and tokens, which one multi-pattern search finds ([`hint`]);
//! - **marks around it** ([`block`], [`address`]): private keys in blocks, user and password in an address;
//! - **how it looks** ([`value`]): a random value is told from a name, a word or a placeholder by its entropy and by the pairs of
//!   letters in it.
//!
//! Checksums within keys are not asked for to find a key: who mistypes one has still shown most of it.

mod address;
mod assigned;
mod block;
mod context;
mod form;
mod forms;
mod hint;
mod kind;
mod run;
mod set;
mod shape;
#[cfg(test)]
mod tests;
mod value;
mod words;

pub use kind::Kind;

use crate::detector::{Detector, Finding};
use form::Reading;
use forms::Forms;
use hint::{Hint, Hints};
use words::Words;

/// A value that goes on for longer is none; it bounds what a stream holds back for one.
const LONGEST_ALIVE: usize = 2048;
/// The shortest key without a prefix.
const SHORTEST_SHAPE: usize = 36;

/// Finds secrets of every kind.
#[derive(Debug)]
pub struct Scanner {
    forms: Forms,
    hints: Hints,
    words: Words,
}

/// What may be a secret; of those that overlap, one stands.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    kind: Kind,
    confidence: u8,
    start: usize,
    end: usize,
    is_own_form: bool,
}

/// One scan: what was found so far, and the first place that is not decided.
struct Sweep<'t> {
    words: &'t Words,
    text: &'t [u8],
    from: usize,
    is_last: bool,
    found: Vec<Candidate>,
    open: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner for every kind; it takes a few microseconds to make, and is meant to be kept.
    #[must_use]
    pub fn new() -> Self {
        Self {
            forms: Forms::new(),
            hints: Hints::new(),
            words: Words::new(),
        }
    }

    /// Looks at every row for keys with a form of their own, and for values.
    fn sweep_rows(&self, sweep: &mut Sweep<'_>) {
        let mut from = sweep.from;
        while let Some((start, end)) = run::next(sweep.text, from) {
            self.sweep_row(sweep, start, end);
            from = end;
        }
    }

    fn sweep_row(&self, sweep: &mut Sweep<'_>, start: usize, end: usize) {
        let text = sweep.text;
        let goes_on = end == text.len() && !sweep.is_last;
        let mut at = start;
        // Within a word nothing begins, but behind an escape.
        while let Some(found) = next_start(text, start, at, end) {
            at = found + 1;
            let before = found.checked_sub(1).map_or(b' ', |before| text[before]);
            match self.forms.read(text, found, sweep.is_last) {
                Ok(Some(read)) if before == b'.' && !read.form.is_address() => {}
                Ok(Some(read)) => sweep.add(read.form.kind, read.form.confidence, found, read.end),
                Ok(None) => {}
                Err(_) => sweep.leave_open(found),
            }
            if matches!(before, b'_' | b'-' | b'.' | b'~') {
                continue;
            }
            // A shape may go on behind the row: `%` ends it.
            if end - found >= SHORTEST_SHAPE || goes_on || text.get(end) == Some(&b'%') {
                let (reading, kind, confidence) = shape::read(text, found, sweep.is_last);
                sweep.take(reading, kind, confidence, found);
            }
            if assigned::may_begin(text, found) {
                if end - found >= run::LONG_BYTES {
                    sweep.take_assigned(found);
                } else if goes_on {
                    sweep.leave_open(found);
                }
            }
        }
    }

    /// Looks at what the words and marks of the hints announce.
    fn sweep_hints(&self, sweep: &mut Sweep<'_>) {
        let text = sweep.text;
        let mut looked_at = sweep.from;
        for (hint, place, end) in self.hints.find(text, sweep.from.saturating_sub(hint::REACH_BYTES)) {
            match hint {
                Hint::Name => {
                    let floor = looked_at.max(end);
                    let near = text.len().min(end + hint::NAME_BYTES);
                    for at in floor..near {
                        if assigned::may_begin(text, at) {
                            sweep.take_assigned(at);
                        }
                    }
                    looked_at = looked_at.max(near);
                }
                Hint::Block => {
                    if let Some(start) = block::start(text, place).filter(|start| *start >= sweep.from) {
                        sweep.take(block::read(text, start, sweep.is_last), Kind::PrivateKey, 99, start);
                    }
                }
                Hint::Putty if place >= sweep.from => {
                    sweep.take(
                        block::read_putty(text, place, sweep.is_last),
                        Kind::PrivateKey,
                        99,
                        place,
                    );
                }
                Hint::Address if end >= sweep.from => {
                    let (reading, kind) = address::read(text, place, sweep.is_last);
                    sweep.take(reading, kind, 90, end);
                }
                Hint::Flag => {
                    if let Some(start) = address::argument(text, end).filter(|start| *start >= sweep.from) {
                        let reading = address::read_argument(text, start, sweep.is_last);
                        sweep.take(reading, Kind::AuthorizationHeader, 85, start);
                    }
                }
                Hint::Putty | Hint::Address => {}
            }
        }
    }
}

impl Sweep<'_> {
    fn add(&mut self, kind: Kind, confidence: u8, start: usize, end: usize) {
        self.found.push(Candidate {
            kind,
            confidence,
            start,
            end,
            is_own_form: true,
        });
    }

    fn take(&mut self, reading: Reading, kind: Kind, confidence: u8, start: usize) {
        match reading {
            Reading::No => {}
            Reading::Open => self.leave_open(start),
            Reading::Ends(end) => self.add(kind, confidence, start, end),
        }
    }

    fn take_assigned(&mut self, at: usize) {
        match assigned::read(self.words, self.text, at, self.is_last) {
            Ok(Some(candidate)) => self.found.push(candidate),
            Ok(None) => {}
            Err(_) => self.leave_open(at),
        }
    }

    fn leave_open(&mut self, at: usize) {
        self.open = self.open.min(at);
    }

    /// Pushes what stands, from left to right; returns what is decided.
    fn settle(mut self, findings: &mut Vec<Finding>) -> usize {
        self.found
            .sort_by_key(|found| (found.start, !found.is_own_form, std::cmp::Reverse(found.end)));
        let mut end = self.from;
        for found in &self.found {
            if found.start >= self.open {
                break;
            }
            if found.start < end {
                continue;
            }
            if found.end > self.open {
                return found.start;
            }
            findings.push(Finding {
                label: found.kind.label(),
                confidence: found.confidence,
                start: found.start,
                end: found.end,
            });
            end = found.end;
        }
        self.open
    }
}

impl Detector for Scanner {
    fn scan(&self, text: &str, from: usize, is_last: bool, findings: &mut Vec<Finding>) -> usize {
        let bytes = text.as_bytes();
        let mut sweep = Sweep {
            words: &self.words,
            text: bytes,
            from,
            is_last,
            found: Vec::new(),
            open: bytes.len(),
        };
        self.sweep_rows(&mut sweep);
        self.sweep_hints(&mut sweep);
        if !is_last {
            sweep.leave_open(undecided_tail(bytes, from));
        }
        let decided = sweep.settle(findings);
        // Everything that is found begins and ends with ASCII; only a tail may have to give way.
        (from..=decided)
            .rev()
            .find(|at| text.is_char_boundary(*at))
            .unwrap_or(from)
    }

    fn name(&self, label: u16) -> &str {
        Kind::of(label).map_or("", Kind::name)
    }
}

/// Where the last row begins if it is too short to have been looked at, or a mark that the text cuts off.
fn undecided_tail(text: &[u8], from: usize) -> usize {
    let row = run::tail(text, run::LONG_BYTES).max(from);
    let is_short = text.len() - row < run::LONG_BYTES;
    let word = if is_short { row } else { text.len() };
    word.min(block::partial(text).max(from))
}

/// The next place from `at` to `end` where a word begins: not behind a letter or a digit, unless those end an escape.
fn next_start(text: &[u8], row: usize, at: usize, end: usize) -> Option<usize> {
    const LONGEST_ESCAPE: usize = 6;
    let mut previous = at.checked_sub(1).map_or(b' ', |before| text[before]);
    let mut escape = text[at.saturating_sub(LONGEST_ESCAPE)..at].contains(&b'\\');
    (at..end).find(|&place| {
        let before = std::mem::replace(&mut previous, text[place]);
        escape |= before == b'\\';
        if before == b'\\' && matches!(text[place], b'n' | b'r' | b't') {
            return false;
        }
        !before.is_ascii_alphanumeric() || ((escape || place < row + 3) && is_escaped(&text[..place]))
    })
}

/// Whether what ends here is an escape in JSON or in an address, so that the letter before is none of a word.
fn is_escaped(before: &[u8]) -> bool {
    match before {
        [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [.., b'\\', b'u', one, two, three, four] => {
            [one, two, three, four].iter().all(|digit| digit.is_ascii_hexdigit())
        }
        _ => false,
    }
}
