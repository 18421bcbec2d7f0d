//! Dates of birth: a date in any usual form, where a word says that somebody was born then.

use super::code::View;
use super::entity::Entity;
use super::scan::Candidate;

/// Letters of the longest name of a month.
pub(super) const LONGEST_MONTH: usize = 9;

#[rustfmt::skip]
const MONTHS: [&[u8]; 12] = [
    b"january", b"february", b"march", b"april", b"may", b"june", b"july", b"august", b"september", b"october",
    b"november", b"december",
];
/// Words that say somebody was born.
#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &[
    "birth", "born", "d.o.b", "dob", "geb", "geboren", "geburtsdatum", "nacimiento", "nacido", "naissance", "nascimento",
    "nascita",
];
/// `30th of September, 1990`, and what shows that it ends there.
const LONGEST_DATE: usize = 32;
const CONFIDENCE: u8 = 85;

/// Whether a word names a month of the English year, or is its first three letters.
pub(super) fn is_month(word: &[u8]) -> bool {
    let named = |month: &&[u8]| word.eq_ignore_ascii_case(month) || word.eq_ignore_ascii_case(&month[..3]);
    (3..=LONGEST_MONTH).contains(&word.len()) && (MONTHS.iter().any(named) || word.eq_ignore_ascii_case(b"sept"))
}

/// A date that begins at `at` and is told as one of birth.
pub(super) fn at(view: &View<'_>, at: usize) -> Option<Candidate> {
    if view.is_open(at + LONGEST_DATE) && view.is_birth(at) {
        view.fall_short();
    }
    let end = date_end(view.bytes, at)?;
    view.is_birth(at).then_some(Candidate {
        entity: Entity::DateOfBirth,
        start: at,
        end,
        confidence: CONFIDENCE,
    })
}

/// `1990-03-05`, `5.3.1990`, `03/05/90`, `March 5th, 1990`, `5th of March 1990`.
fn date_end(text: &[u8], at: usize) -> Option<usize> {
    let (first, end) = number(text, at).map_or((None, at), |(value, end)| (Some((value, end - at)), end));
    match first {
        Some((1_850..=2_100, 4)) => {
            let (separator, end) = separator(text, end)?;
            let (month, end) = number(text, end)?;
            let (day, end) = number(text, after(text, end, separator)?)?;
            ((1..=12).contains(&month) && (1..=31).contains(&day)).then_some(end)
        }
        Some((day @ 1..=31, 1 | 2)) => match separator(text, end) {
            Some((separator, end)) if text.get(end).is_some_and(u8::is_ascii_digit) => {
                let (month, end) = number(text, end)?;
                let end = after(text, end, separator)?;
                let (_, last) = number(text, end)?;
                let usual = (day <= 12 || month <= 12) && (1..=31).contains(&month);
                (usual && matches!(last - end, 2 | 4)).then_some(last)
            }
            _ => {
                let end = skip(text, ordinal(text, end));
                let end = if text[end..].starts_with(b"of ") { end + 3 } else { end };
                year(text, month(text, end)?)
            }
        },
        Some(_) => None,
        None => {
            let (day, end) = number(text, skip(text, month(text, at)?))?;
            if !(1..=31).contains(&day) {
                return None;
            }
            year(text, ordinal(text, end))
        }
    }
}

/// A number of up to four digits at `at`, and where it ends.
fn number(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let digits = text[at..]
        .iter()
        .take(5)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let value = text[at..at + digits]
        .iter()
        .fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    (1..=4).contains(&digits).then_some((value, at + digits))
}

fn separator(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let separator = *text.get(at)?;
    b"-/.".contains(&separator).then_some((separator, at + 1))
}

fn after(text: &[u8], at: usize, separator: u8) -> Option<usize> {
    (text.get(at) == Some(&separator)).then_some(at + 1)
}

fn ordinal(text: &[u8], at: usize) -> usize {
    let marked = [&b"st"[..], b"nd", b"rd", b"th"]
        .iter()
        .any(|mark| text[at..].starts_with(mark));
    if marked { at + 2 } else { at }
}

/// Behind a comma, a dot and a space or two.
fn skip(text: &[u8], at: usize) -> usize {
    at + text[at..]
        .iter()
        .take(3)
        .take_while(|byte| b" ,.".contains(byte))
        .count()
}

fn month(text: &[u8], at: usize) -> Option<usize> {
    let letters = text[at..]
        .iter()
        .take(LONGEST_MONTH + 1)
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    is_month(&text[at..at + letters]).then_some(at + letters)
}

fn year(text: &[u8], at: usize) -> Option<usize> {
    let at = skip(text, at);
    let (year, end) = number(text, at)?;
    (end - at == 4 && (1_850..=2_100).contains(&year)).then_some(end)
}
