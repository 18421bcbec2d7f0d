//! International bank account numbers (ISO 13616): the length of the country and the remainder modulo 97.

use super::code::View;
use super::number::is_word;

/// Countries and the lengths of their numbers, from the SWIFT registry (release 99).
#[rustfmt::skip]
const LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24), (b"AE", 23), (b"AL", 28), (b"AT", 20), (b"AZ", 28), (b"BA", 20), (b"BE", 16), (b"BG", 22),
    (b"BH", 22), (b"BI", 27), (b"BR", 29), (b"BY", 28), (b"CH", 21), (b"CR", 22), (b"CY", 28), (b"CZ", 24),
    (b"DE", 22), (b"DJ", 27), (b"DK", 18), (b"DO", 28), (b"EE", 20), (b"EG", 29), (b"ES", 24), (b"FI", 18),
    (b"FK", 18), (b"FO", 18), (b"FR", 27), (b"GB", 22), (b"GE", 22), (b"GI", 23), (b"GL", 18), (b"GR", 27),
    (b"GT", 28), (b"HN", 28), (b"HR", 21), (b"HU", 28), (b"IE", 22), (b"IL", 23), (b"IQ", 23), (b"IS", 26),
    (b"IT", 27), (b"JO", 30), (b"KW", 30), (b"KZ", 20), (b"LB", 28), (b"LC", 32), (b"LI", 21), (b"LT", 20),
    (b"LU", 20), (b"LV", 21), (b"LY", 25), (b"MC", 27), (b"MD", 24), (b"ME", 22), (b"MK", 19), (b"MN", 20),
    (b"MR", 27), (b"MT", 31), (b"MU", 30), (b"NI", 28), (b"NL", 18), (b"NO", 15), (b"OM", 23), (b"PK", 24),
    (b"PL", 28), (b"PS", 29), (b"PT", 25), (b"QA", 29), (b"RO", 24), (b"RS", 22), (b"RU", 33), (b"SA", 24),
    (b"SC", 31), (b"SD", 18), (b"SE", 24), (b"SI", 19), (b"SK", 24), (b"SM", 27), (b"SO", 23), (b"ST", 25),
    (b"SV", 28), (b"TL", 23), (b"TN", 24), (b"TR", 26), (b"UA", 29), (b"VA", 22), (b"VG", 24), (b"XK", 20),
    (b"YE", 30),
];
/// Fewer digits than this among so many characters is prose.
const FEWEST_DIGITS: usize = 8;

/// Where the number whose country stands at `start` ends. Groups may be divided by single spaces or dashes.
pub(super) fn at(view: &View<'_>, start: usize) -> Option<usize> {
    let text = view.bytes;
    let head = text.get(start..start + 4).unwrap_or(&text[start..]);
    if !head.iter().take(2).all(u8::is_ascii_alphabetic) || !head.iter().skip(2).all(u8::is_ascii_digit) {
        return None;
    }
    let country = [
        text.get(start)?.to_ascii_uppercase(),
        text.get(start + 1)?.to_ascii_uppercase(),
    ];
    let place = LENGTHS.binary_search_by_key(&&country, |(code, _)| code).ok()?;
    let (_, length) = LENGTHS.get(place)?;
    let mut number = [0_u8; 34];
    let mut at = start;
    for (count, place) in number[..*length].iter_mut().enumerate() {
        let divided = count >= 4 && matches!(text.get(at), Some(b' ' | b'-'));
        at += usize::from(divided);
        let Some(symbol) = text.get(at) else {
            view.fall_short();
            return None;
        };
        // Two letters and two digits begin it; what is no such head needs no further look.
        let fits = if (2..4).contains(&count) {
            symbol.is_ascii_digit()
        } else {
            symbol.is_ascii_alphanumeric()
        };
        *place = *Some(symbol).filter(|_| fits)?;
        at += 1;
    }
    if at == text.len() {
        view.fall_short();
    }
    let number = &number[..*length];
    let bounded = text.get(at).is_none_or(|byte| !is_word(*byte));
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    let one_case = !(number.iter().any(u8::is_ascii_lowercase) && number.iter().any(u8::is_ascii_uppercase));
    (bounded && one_case && digits >= FEWEST_DIGITS && remainder(number) == 1).then_some(at)
}

/// The number modulo 97, its first four characters moved to the end, letters read as 10 to 35 (ISO 7064).
fn remainder(number: &[u8]) -> u32 {
    let (head, rest) = number.split_at(4);
    rest.iter().chain(head).fold(0, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte.to_ascii_uppercase() - b'A') + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_countries_are_sorted() {
        assert!(LENGTHS.is_sorted());
    }
}
