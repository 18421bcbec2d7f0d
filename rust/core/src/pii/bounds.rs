//! Where things begin and end: words, the units around digits, and the part of a text that is still alive.

use super::number::{follows_word, is_word, separator_before};
use super::{birth, code, ip};

/// The longest live word: the local part of an address, or what stands before the `@` in a URL.
const LIVE_BYTES: usize = 128;
/// Most letters of a word that may belong to the number behind it.
const PREFIX_LETTERS: usize = 4;
/// Most words that may belong to the number behind them.
const PREFIXES: usize = 2;
/// A word longer than this is no code of anybody.
pub(super) const LONGEST_CODE: usize = 100;

/// The start of the word that `digit` stands in. The letter of an escaped line break is not part of it.
pub(super) fn token_start(text: &[u8], digit: usize) -> usize {
    let mut start = digit;
    while start > 0 && is_word(text[start - 1]) && digit - start <= LONGEST_CODE {
        start -= 1;
    }
    let escaped = start < digit && !follows_word(text, start + 1);
    start + usize::from(escaped)
}

pub(super) fn word_end(text: &[u8], from: usize) -> usize {
    from + text[from..].iter().take_while(|byte| is_word(**byte)).count()
}

/// Where the unit around a word begins: with the words in front that may belong to it, or with the signs of a telephone number.
pub(super) fn unit_start(text: &str, token: usize, floor: usize) -> usize {
    let bytes = text.as_bytes();
    let lead = lead_start(bytes, token, floor);
    let colons = ip::colons_start(bytes, token).max(floor);
    prefixed(text, token, floor).min(lead).min(colons)
}

/// Where the brackets and the plus in front of a number begin.
pub(super) fn lead_start(text: &[u8], at: usize, floor: usize) -> usize {
    let signs = text[floor..at]
        .iter()
        .rev()
        .take(3)
        .take_while(|byte| b"(+".contains(byte));
    at - signs.count()
}

/// Where the short words begin that may belong to what stands at `at`.
fn prefixed(text: &str, at: usize, floor: usize) -> usize {
    let mut start = at;
    for _ in 0..PREFIXES {
        match prefix_before(text.as_bytes(), start, floor) {
            Some(before) => start = before,
            None => break,
        }
    }
    start
}

/// The start of a word of a few capitals, or the name of a month, that ends a separator before `at`. At the start of a text
/// small letters will do.
fn prefix_before(text: &[u8], at: usize, floor: usize) -> Option<usize> {
    let end = at - separator_before(&text[..at]).unwrap_or(0);
    let letters = text[..end]
        .iter()
        .rev()
        .take(birth::LONGEST_MONTH + 1)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let start = end - letters;
    if letters == 0 || start < floor || (start > 0 && is_word(text[start - 1])) {
        return None;
    }
    let word = &text[start..end];
    let short = letters <= PREFIX_LETTERS && (start <= code::OPENING_BYTES || word.iter().all(u8::is_ascii_uppercase));
    (short || birth::is_month(word)).then_some(start)
}

/// Where the last word of a text that goes on begins: it may turn out to be the start of something.
pub(super) fn live_start(text: &str, from: usize) -> usize {
    let word = text[from..]
        .char_indices()
        .rev()
        .take_while(|(at, char)| from + at + LIVE_BYTES >= text.len() && !char.is_whitespace() && *char < '\u{800}')
        .last();
    let start = word.map_or(text.len(), |(at, _)| from + at);
    prefixed(text, start, from)
}

/// Whether a word is more than a mark or the beginning of an extension.
pub(super) fn says_something(word: &str) -> bool {
    let word = word.trim_matches(|char: char| !char.is_alphanumeric());
    let marks = ["x", "ext", "extension"];
    !word.is_empty() && !marks.iter().any(|mark| word.eq_ignore_ascii_case(mark))
}

/// The first digit at or behind `from`. After a few bytes, whole blocks without digits are passed over with SIMD: the
/// loop over a block has no early exit, so that the compiler can vectorise it.
pub(super) fn next_digit(text: &[u8], from: usize) -> Option<usize> {
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
