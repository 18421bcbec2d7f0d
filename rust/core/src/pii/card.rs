//! Payment card numbers: 12 to 19 digits of a known issuer with a right check digit (ISO/IEC 7812).

use super::context::{self, Topic};
use super::number::{Gap, Match, Run};

const LONGEST: usize = 19;
const SHORTEST: usize = 12;

/// A card number that begins with group `first`, the longest reading first.
pub(super) fn at(run: &Run<'_>, first: usize) -> Option<Match> {
    if run.gap(first) == Gap::Dot {
        return None;
    }
    let count = written_widths(run, first)
        .into_iter()
        .rev()
        .flatten()
        .find(|count| is_card(run, first, *count))?;
    run.cover(first, count)
}

/// The numbers of groups, from `first`, that are laid out like a card: one block; or a block of four (six for some),
/// blocks of three to six, and a last of any size up to seven, with the same separator throughout.
fn written_widths(run: &Run<'_>, first: usize) -> [Option<usize>; 5] {
    let mut widths = [None; 5];
    let separator = run.gap(first + 1);
    let mut digits = run.len(first);
    if digits >= SHORTEST && run.gap(first + 1) != Gap::Dot {
        widths[0] = Some(1);
    }
    if !matches!(digits, 4 | 6) || !matches!(separator, Gap::Space | Gap::Dash) {
        return widths;
    }
    for count in 2..=widths.len() {
        let next = first + count - 1;
        digits += run.len(next);
        if run.gap(next) != separator || run.len(next) > 7 || digits > LONGEST {
            break;
        }
        let goes_on = separator == Gap::Dash && run.gap(next + 1) == Gap::Dash;
        if digits >= SHORTEST && !goes_on {
            widths[count - 1] = Some(count);
        }
        if !(3..=6).contains(&run.len(next)) {
            break;
        }
    }
    widths
}

fn is_card(run: &Run<'_>, first: usize, count: usize) -> bool {
    let mut buffer = [0_u8; LONGEST];
    let mut length = 0;
    for digit in (first..first + count).flat_map(|group| run.digits(group)) {
        let Some(place) = buffer.get_mut(length) else {
            return false;
        };
        *place = digit - b'0';
        length += 1;
    }
    let digits = &buffer[..length];
    luhn(digits) && !belongs_to_something_else(run, first, count, digits)
}

/// One number in ten passes the checksum by chance: a word beside it, or another checksum, may know better.
fn belongs_to_something_else(run: &Run<'_>, first: usize, count: usize, digits: &[u8]) -> bool {
    let start = run.groups.get(first).map_or(0, |group| group.start);
    match context::before(run.text, start) {
        Some((Topic::Card, _)) => false,
        Some((Topic::Article, _)) if count == 1 => true,
        _ => !is_certain(digits) || (digits.len() == 13 && ean(digits)),
    }
}

/// Whether the number lies in a narrow range of an issuer and has its length, by the ranges that the schemes publish.
/// Others need the word *card* beside them: Maestro's ranges are wide and its lengths anything from 12 to 19, and shops
/// number their own cards as they like.
fn is_certain(digits: &[u8]) -> bool {
    let head = digits
        .iter()
        .take(4)
        .fold(0_u32, |head, digit| head * 10 + u32::from(*digit));
    let length = digits.len();
    match head {
        4000..=4999 => matches!(length, 13 | 16 | 19),                   // Visa
        5100..=5599 | 2221..=2720 => length == 16,                       // Mastercard
        5000..=5099 | 5600..=5899 | 6000..=6999 if length == 16 => true, // Maestro and other debit schemes
        3400..=3499 | 3700..=3799 | 1800 | 2131 => length == 15,         // American Express; JCB, old
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => length >= 14,  // Diners Club
        // Discover, UnionPay, JCB, Mir
        6011 | 6440..=6599 | 6200..=6299 | 8100..=8199 | 3528..=3589 | 2200..=2204 => length >= 16,
        _ => false,
    }
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(
            |(place, digit)| match u32::from(*digit) * (1 + u32::try_from(place % 2).unwrap_or(0)) {
                doubled @ 10.. => doubled - 9,
                digit => digit,
            },
        )
        .sum();
    sum % 10 == 0
}

/// The check digit of article numbers (GS1: EAN-13, also ISBN-13).
fn ean(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| u32::from(*digit) * [1, 3][place % 2])
        .sum();
    sum % 10 == 0
}
