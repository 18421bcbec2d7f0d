//! Keys with a form of their own: a prefix that its provider chose, and what follows it.

use super::kind::Kind;
use super::set::{ALNUM, PADDING, Set};
use super::value::{self, Texture};

/// What a reader says of a place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Nothing begins here.
    No,
    /// It may still become something: the text ends too early to tell.
    Open,
    /// It ends here.
    Ends(usize),
}

/// A part of a key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// So many characters of a set, at least and at most.
    Run(Set, usize, usize),
    /// These characters.
    Text(&'static str),
    /// One of these, the first that fits.
    Either(&'static [&'static str]),
    /// `8-4-4-4-12` hexadecimal digits.
    Uuid,
}

/// The form of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) kind: Kind,
    pub(super) prefix: &'static str,
    parts: &'static [Part],
    /// The least entropy of what follows the prefix, in tenths of a bit.
    floor: u8,
    /// Whether placeholders are told from keys: not where the provider's own form looks like one.
    is_judged: bool,
    /// Whether what follows the prefix must be mixed and hold no words: for short prefixes, which other things have too.
    is_strict: bool,
    pub(super) confidence: u8,
}

/// The usual form: a prefix and a run of characters.
pub(super) const fn form(kind: Kind, prefix: &'static str, parts: &'static [Part]) -> Form {
    Form {
        kind,
        prefix,
        parts,
        floor: 20,
        is_judged: true,
        is_strict: false,
        confidence: 95,
    }
}

impl Form {
    /// A form whose random part has at least this entropy, in tenths of a bit.
    pub(super) const fn floor(self, floor: u8) -> Self {
        Self { floor, ..self }
    }

    /// A form that holds whatever follows its prefix.
    pub(super) const fn unjudged(self) -> Self {
        Self {
            is_judged: false,
            floor: 0,
            ..self
        }
    }

    /// A form that other things share: what follows the prefix must look drawn at random.
    pub(super) const fn strict(self) -> Self {
        Self {
            is_strict: true,
            confidence: 85,
            ..self
        }
    }

    /// Whether it is an address of a web hook, the only kind that begins behind a dot.
    pub(super) fn is_address(&self) -> bool {
        self.prefix.contains(".com/")
    }

    /// Reads the key that begins at `start` with the prefix of this form.
    pub(super) fn read(&self, text: &[u8], start: usize, is_last: bool) -> Reading {
        let body = start + self.prefix.len();
        let reading = parts(self.parts, text, body, is_last);
        if let Reading::Ends(end) = reading {
            let secret = &text[body.min(end)..end];
            let texture = Texture::of(secret);
            let is_poor = value::is_placeholder(secret) || value::entropy(secret) * 10.0 < f32::from(self.floor);
            let is_mixed = texture.digits > 0 || texture.upper > 1 && texture.lower > 1;
            let is_named = !is_mixed || texture.is_wordy(50);
            if value::is_published(&text[start..end]) || self.is_judged && is_poor || self.is_strict && is_named {
                return Reading::No;
            }
        }
        reading
    }
}

/// Reads `parts` from `at`; what follows must not go on with a letter or a digit.
pub(super) fn parts(parts: &[Part], text: &[u8], mut at: usize, is_last: bool) -> Reading {
    let mut padded = false;
    for part in parts {
        let rest = &text[at..];
        let length = match *part {
            Part::Run(set, least, most) => {
                padded = set == PADDING;
                let length = set.run(rest, most);
                if length == rest.len() && !is_last {
                    return Reading::Open;
                }
                (length >= least).then_some(length)
            }
            Part::Text(expected) => match literal(rest, expected) {
                Reading::Open if !is_last => return Reading::Open,
                Reading::Ends(length) => Some(length),
                _ => None,
            },
            Part::Either(choices) => {
                let mut readings = choices.iter().map(|choice| literal(rest, choice));
                match readings.find(|reading| *reading != Reading::No && !(is_last && *reading == Reading::Open)) {
                    Some(Reading::Ends(length)) => Some(length),
                    Some(Reading::Open) => return Reading::Open,
                    _ => None,
                }
            }
            Part::Uuid => match uuid(rest) {
                Reading::Open if !is_last => return Reading::Open,
                Reading::Ends(length) => Some(length),
                _ => None,
            },
        };
        match length {
            Some(length) => at += length,
            None => return Reading::No,
        }
    }
    match text.get(at) {
        None if !is_last => Reading::Open,
        Some(next) if (ALNUM.has(*next) && !padded) || *next == b'_' => Reading::No,
        _ => Reading::Ends(at),
    }
}

/// Whether `text` begins with `expected`; open where it ends within it.
pub(super) fn literal(text: &[u8], expected: &str) -> Reading {
    let expected = expected.as_bytes();
    if text.starts_with(expected) {
        Reading::Ends(expected.len())
    } else if text.len() < expected.len() && expected.starts_with(text) {
        Reading::Open
    } else {
        Reading::No
    }
}

/// `8-4-4-4-12` hexadecimal digits; some services' samples use all of the alphabet.
pub(super) fn uuid(text: &[u8]) -> Reading {
    const LENGTH: usize = 36;
    let fits = text.iter().take(LENGTH).enumerate().all(|(index, byte)| match index {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => ALNUM.has(*byte),
    });
    match fits {
        false => Reading::No,
        true if text.len() < LENGTH => Reading::Open,
        true => Reading::Ends(LENGTH),
    }
}
