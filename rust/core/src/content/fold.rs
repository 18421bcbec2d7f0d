//! Letters in all their guises: case, width, ligatures, accents apart or not, and signs that nobody sees.
//!
//! Phrases and texts are folded alike, a character at a time, so that a match never depends on where a text was cut.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

/// Between two signs that are seen, at most so many bytes of spaces and invisible signs belong to a phrase.
pub(super) const FILLER_BYTES: usize = 48;

/// What a character is to a phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Letters, digits, marks and `_`, which make words.
    Word,
    /// Letters of scripts that are written without spaces: words begin and end anywhere.
    Unspaced,
    /// Punctuation and symbols.
    Other,
    /// A space or a line break of any kind.
    Space,
    /// Zero-width and formatting characters.
    Hidden,
}

/// What `letter` is.
#[inline]
pub(super) fn sign(letter: char) -> Sign {
    match letter {
        '0'..='9' | 'A'..='Z' | 'a'..='z' | '_' => Sign::Word,
        ' ' | '\t'..='\r' => Sign::Space,
        '\0'..='\x7f' => Sign::Other,
        _ => rare(letter),
    }
}

fn rare(letter: char) -> Sign {
    match letter {
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e0fff}' => Sign::Hidden,
        // Thai, Lao, Burmese, Khmer; kana; Han
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{3ffff}' => Sign::Unspaced,
        _ if letter.is_whitespace() => Sign::Space,
        _ if letter.is_alphanumeric() || is_combining_mark(letter) => Sign::Word,
        _ => Sign::Other,
    }
}

/// Whether a regular expression's `\b` takes `letter` for a part of a word.
pub(super) fn is_word(letter: char) -> bool {
    matches!(sign(letter), Sign::Word | Sign::Unspaced)
}

/// Hands the bytes of `letter` without case, width and ligature to `take`, until it says `false`; whether it never did.
#[inline]
pub(super) fn fold(letter: char, take: &mut impl FnMut(u8) -> bool) -> bool {
    if letter.is_ascii() {
        return take(letter.to_ascii_lowercase() as u8);
    }
    let mut goes_on = true;
    decompose_compatible(letter, |part| {
        for lower in part.to_uppercase().flat_map(char::to_lowercase) {
            let mut room = [0; 4];
            goes_on = goes_on && lower.encode_utf8(&mut room).bytes().all(&mut *take);
        }
    });
    goes_on
}

/// A phrase as it is looked for: folded, without hidden signs, one space for any number.
pub(super) fn folded(phrase: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(phrase.len());
    for letter in phrase.trim().chars() {
        match sign(letter) {
            Sign::Hidden => {}
            Sign::Space if bytes.last() == Some(&b' ') => {}
            Sign::Space => bytes.push(b' '),
            _ => {
                fold(letter, &mut |byte| {
                    bytes.push(byte);
                    true
                });
            }
        }
    }
    bytes
}

/// The places of a text at which a phrase may begin: where a word begins, at each sign, at each letter of an unspaced script.
pub(super) struct Starts<'t> {
    text: &'t str,
    at: usize,
    in_word: bool,
    hidden_bytes: usize,
}

impl<'t> Starts<'t> {
    /// From `at` on; what stands before decides whether a word goes on there.
    pub(super) fn new(text: &'t str, at: usize) -> Self {
        let (mut in_word, mut hidden_bytes) = (false, 0);
        for letter in text[..at].chars().rev() {
            let sign = sign(letter);
            if sign != Sign::Hidden {
                in_word = sign == Sign::Word;
                break;
            }
            hidden_bytes += letter.len_utf8();
            if hidden_bytes > FILLER_BYTES {
                break;
            }
        }
        Self {
            text,
            at,
            in_word,
            hidden_bytes,
        }
    }
}

impl Iterator for Starts<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while let Some(letter) = self.text[self.at..].chars().next() {
            let start = self.at;
            self.at += letter.len_utf8();
            let sign = sign(letter);
            if sign == Sign::Hidden {
                self.hidden_bytes += letter.len_utf8();
                continue;
            }
            let goes_on = self.in_word && self.hidden_bytes <= FILLER_BYTES;
            self.hidden_bytes = 0;
            self.in_word = sign == Sign::Word;
            if !(sign == Sign::Space || goes_on && self.in_word) {
                return Some(start);
            }
        }
        None
    }
}

/// Whether a phrase whose last letter is `last` ends at `at`; `None` where the text must go on before that is known.
pub(super) fn ends(text: &str, at: usize, last: Sign, is_last: bool) -> Option<bool> {
    if last != Sign::Word {
        return Some(true);
    }
    let mut hidden_bytes = 0;
    for letter in text[at..].chars() {
        match sign(letter) {
            Sign::Hidden => hidden_bytes += letter.len_utf8(),
            Sign::Word => return Some(false),
            _ => return Some(true),
        }
        if hidden_bytes > FILLER_BYTES {
            return Some(true);
        }
    }
    is_last.then_some(true)
}
