//! Telephone numbers: international ones by their form, national ones by their form or by a word beside them.

use super::context::{self, Topic};
use super::number::{Gap, Match, Run, extension, follows_word, is_word};

/// Digits of the longest number in the world (ITU-T E.164).
const LONGEST: usize = 15;
/// Digits of the shortest number that is accepted where a word announces a telephone.
const SHORTEST: usize = 7;
/// A word about something else speaks against a number that only looks like a telephone if it stands this near.
const NEAR_BYTES: usize = 16;

/// A telephone number that begins with group `first`.
pub(super) fn at(run: &Run<'_>, first: usize) -> Option<Match> {
    let lead = Lead::of(run, first)?;
    let count = if lead.plus {
        international(run, first, 0)
    } else {
        national(run, first, lead.bracket).or_else(|| announced(run, first, lead.start))
    }?;
    let found = run.cover(first, count)?;
    if matches!(run.text.get(found.end..found.end + 2), Some([b'-', next]) if is_word(*next)) {
        return None;
    }
    let end = if first + count == run.groups.len() {
        extension(run.text, found.end).unwrap_or(found.end)
    } else {
        found.end
    };
    Some(Match { start: lead.start, end })
}

/// How sure a telephone number is, in percent: digits without a plus, a separator or a word may be somebody else's.
pub(super) fn confidence(run: &Run<'_>, found: Match) -> u8 {
    let bare = run.text[found.start..found.end].iter().all(u8::is_ascii_digit);
    let said = || matches!(context::before(run.text, found.start), Some((Topic::Phone, _)));
    if bare && !said() { 65 } else { 75 }
}

/// What stands before the first digit.
struct Lead {
    start: usize,
    plus: bool,
    bracket: bool,
}

impl Lead {
    fn of(run: &Run<'_>, first: usize) -> Option<Self> {
        let mut start = run.groups.get(first)?.start;
        let mut skip = |byte: u8| {
            let there = run.byte_before(start, 1) == byte;
            start -= usize::from(there);
            there
        };
        let bracket = skip(b'(');
        let plus = skip(b'+');
        let bracket = bracket || (plus && run.gap(first + 1) == Gap::Close && skip(b'('));
        let begins = matches!(
            run.gap(first),
            Gap::Edge | Gap::Space | Gap::Wide | Gap::Open | Gap::Slash
        );
        (begins && !is_glued(run, start, first)).then_some(Self { start, plus, bracket })
    }
}

/// Whether the number continues something: a word, an identifier, a path, a price.
fn is_glued(run: &Run<'_>, start: usize, first: usize) -> bool {
    let (last, second) = (run.byte_before(start, 1), run.byte_before(start, 2));
    let price =
        last == b'$' || run.text[..start].ends_with("€".as_bytes()) || run.text[..start].ends_with("£".as_bytes());
    follows_word(run.text, start)
        || price
        || (last == b'-' && is_word(second))
        || (last == b'/' && run.gap(first) == Gap::Edge)
}

/// The number of groups of an international number, behind `skip` digits of a prefix such as `00`.
fn international(run: &Run<'_>, first: usize, skip: usize) -> Option<usize> {
    let (shortest, longest) = lengths(run.digits(first).get(skip..)?)?;
    let mut digits = run.len(first) - skip;
    let mut count = 1;
    while matches!(
        run.gap(first + count),
        Gap::Space | Gap::Dash | Gap::Dot | Gap::Slash | Gap::Open | Gap::Close
    ) {
        let group = first + count;
        // `+49 (0) 30`: the zero is for callers inside the country.
        let trunk = run.gap(group) == Gap::Open && run.digits(group) == b"0";
        if !trunk && digits + run.len(group) > longest {
            if matches!(run.gap(group), Gap::Dash | Gap::Dot) {
                return None;
            }
            break;
        }
        digits += if trunk { 0 } else { run.len(group) };
        count += 1;
    }
    (shortest..=longest).contains(&digits).then_some(count)
}

/// The fewest and most digits, with the country code, of numbers that begin so (ITU-T E.164, list of codes assigned).
fn lengths(digits: &[u8]) -> Option<(usize, usize)> {
    let code = |length: usize| {
        digits.get(..length).map_or(0, |code| {
            code.iter()
                .fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'))
        })
    };
    Some(match (code(1), code(2), code(3)) {
        (1 | 7, ..) => (11, 11),
        (_, 31..=34 | 41 | 48 | 51 | 56 | 60 | 61 | 66 | 93 | 94, _) => (10, 11),
        (_, 45 | 47 | 65, _) => (10, 10),
        (_, 30 | 44 | 52 | 57 | 58 | 63 | 82 | 84 | 90..=92 | 98, _) => (11, 12),
        (_, 20 | 27 | 36 | 46 | 53 | 54 | 55 | 64 | 81 | 86 | 95, _) => (10, 13),
        (_, 39 | 40 | 43 | 49 | 62, _) => (8, 14),
        (
            ..,
            211..=213
            | 216
            | 218
            | 220..=258
            | 260..=269
            | 290
            | 291
            | 297..=299
            | 350..=359
            | 370..=383
            | 385..=387
            | 389
            | 420
            | 421
            | 423
            | 500..=509
            | 590..=599
            | 670..=692
            | 800
            | 808
            | 850..=856
            | 870
            | 878
            | 880..=883
            | 886
            | 888
            | 960..=979
            | 992..=998,
        ) => (8, 13),
        _ => return None,
    })
}

/// National numbers whose form alone tells them, unless a near word knows better.
fn national(run: &Run<'_>, first: usize, bracket: bool) -> Option<usize> {
    let count = american(run, first, bracket)
        .or_else(|| with_trunk_prefix(run, first, bracket))
        .or_else(|| with_exit_code(run, first))?;
    let start = run.groups.get(first)?.start;
    match context::before(run.text, start) {
        Some((Topic::Phone, _)) | None => Some(count),
        Some((_, distance)) => (distance > NEAR_BYTES).then_some(count),
    }
}

/// `00 49 30 123456`: the digits to leave a country. Written as one block it looks like any other number.
fn with_exit_code(run: &Run<'_>, first: usize) -> Option<usize> {
    let alone = run.gap(first) != Gap::Space && !continues_digits(run, first);
    let written = alone && run.digits(first).starts_with(b"00");
    written
        .then(|| international(run, first, 2))
        .flatten()
        .filter(|count| *count > 2)
}

/// Whether a token that ends in a digit stands a space before: `DE89 0044…` is a row of groups, not two things.
fn continues_digits(run: &Run<'_>, first: usize) -> bool {
    let start = run.groups.get(first).map_or(0, |group| group.start);
    run.byte_before(start, 1) == b' ' && run.byte_before(start, 2).is_ascii_digit()
}

/// `(415) 555-0132`, `415-555-0132`, `415.555.0132`, `415 555 0132`, `1-415-555-0132`, `(415) 5550132`.
fn american(run: &Run<'_>, first: usize, bracket: bool) -> Option<usize> {
    let coded =
        run.digits(first) == b"1" && matches!(run.gap(first + 1), Gap::Space | Gap::Dash | Gap::Dot | Gap::Open);
    let area = first + usize::from(coded);
    let within = matches!(run.gap(area + 1), Gap::Space | Gap::Dash | Gap::Dot) || run.gap(area + 1) == Gap::Close;
    let begins = |group: usize| matches!(run.digits(group).first(), Some(b'1'..=b'9'));
    let count = match [run.len(area), run.len(area + 1), run.len(area + 2)] {
        [3, 3, 4] if matches!(run.gap(area + 2), Gap::Space | Gap::Dash | Gap::Dot) => 3,
        [3, 7, _] if bracket && run.gap(area + 1) == Gap::Close => 2,
        _ => return None,
    };
    let spaced = (1..count).all(|group| run.gap(area + group) == Gap::Space) && !coded;
    let after = run.gap(area + count);
    let goes_on = matches!(after, Gap::Dash | Gap::Dot | Gap::Slash);
    let listed = spaced && (run.gap(first) == Gap::Space || after == Gap::Space);
    (within && begins(area) && begins(area + 1) && !goes_on && !listed).then_some(area - first + count)
}

/// `(08152) 079961`, `0216 123 45 67`, `01.84.17.61.18`, `09171234567`: a zero to leave the town, and a form or a length
/// in which telephones are written.
fn with_trunk_prefix(run: &Run<'_>, first: usize, bracket: bool) -> Option<usize> {
    if run.digits(first).first() != Some(&b'0') || run.digits(first).starts_with(b"00") {
        return None;
    }
    let separator = run.gap(first + if bracket { 2 } else { 1 });
    let mut count = 1;
    let mut digits = run.len(first);
    while first + count < run.groups.len() && digits <= LONGEST {
        let closes = bracket && count == 1 && run.gap(first + 1) == Gap::Close;
        if run.gap(first + count) != separator && !closes {
            break;
        }
        digits += run.len(first + count);
        count += 1;
    }
    let goes_on = matches!(run.gap(first + count), Gap::Dash | Gap::Dot | Gap::Slash);
    let alone = run.gap(first) != Gap::Space && !continues_digits(run, first);
    let grouped = is_grouped(run, first, count) && (9..=11).contains(&digits);
    let pairs = (0..count).all(|group| run.len(first + group) == 2);
    let formed = match separator {
        _ if bracket => run.gap(first + 1) == Gap::Close && (8..=12).contains(&digits) && run.len(first) <= 6,
        Gap::Space => grouped && alone,
        Gap::Dash => grouped,
        Gap::Dot => count == 5 && pairs,
        Gap::Edge => (10..=11).contains(&digits) && alone && !is_isbn10(run.digits(first)),
        _ => false,
    };
    (formed && !goes_on).then_some(count)
}

/// Three or more groups of two to four digits, and not a social security number's or a bank's way to divide them.
fn is_grouped(run: &Run<'_>, first: usize, count: usize) -> bool {
    let (last, other) = (run.len(first + count - 1), run.len((first + count).saturating_sub(2)));
    let sized = (1..count).all(|group| (2..=4).contains(&run.len(first + group)));
    count >= 3 && sized && !(count == 3 && other == 2) && !(other == 4 && last < 3)
}

/// The check digit of ISBN-10: books were numbered like telephones of ten digits.
fn is_isbn10(digits: &[u8]) -> bool {
    let sum: usize = digits
        .iter()
        .enumerate()
        .map(|(place, digit)| usize::from(digit - b'0') * (10 - place.min(9)))
        .sum();
    digits.len() == 10 && sum % 11 == 0
}

/// Any number of a plausible length that a word declares to be a telephone.
fn announced(run: &Run<'_>, first: usize, start: usize) -> Option<usize> {
    let trunk = run.digits(first).first() == Some(&b'0');
    let mut count = 0;
    let mut digits = 0;
    while first + count < run.groups.len() && digits + run.len(first + count) <= LONGEST {
        let belongs = match run.gap(first + count) {
            Gap::Space | Gap::Dash | Gap::Dot | Gap::Open | Gap::Close => true,
            Gap::Slash => trunk,
            Gap::Edge | Gap::Wide => false,
        };
        if count > 0 && !belongs {
            break;
        }
        digits += run.len(first + count);
        count += 1;
    }
    let found = run.cover(first, count)?;
    let goes_on = matches!(run.gap(first + count), Gap::Dash | Gap::Dot) || run.text.get(found.end) == Some(&b'%');
    let other = goes_on || is_date(run, first, count) || is_decimal(run, first, count) || is_list(run, first, count);
    if digits < SHORTEST || other {
        return None;
    }
    let said = match context::before(run.text, start) {
        Some((Topic::Phone, distance)) => distance <= 2 || run.byte_before(start, 1) != b'#',
        Some((_, distance)) if distance <= NEAR_BYTES => false,
        _ => context::phone_follows(run.text, found.end),
    };
    said.then_some(count)
}

/// `2024-01-31`, `31.01.2024`, and the same followed by digits of a time.
fn is_date(run: &Run<'_>, first: usize, count: usize) -> bool {
    let value = |group: usize| {
        run.digits(group)
            .iter()
            .fold(0_u64, |value, digit| value.saturating_mul(10) + u64::from(digit - b'0'))
    };
    let same = run.gap(first + 1) == run.gap(first + 2);
    let near = |year: usize, one: usize, other: usize| {
        (1_800..2_200).contains(&value(year))
            && run.len(year) == 4
            && (1..=31).contains(&value(one))
            && (1..=31).contains(&value(other))
    };
    count >= 3 && same && (near(first, first + 1, first + 2) || near(first + 2, first, first + 1))
}

fn is_decimal(run: &Run<'_>, first: usize, count: usize) -> bool {
    count == 2 && run.gap(first + 1) == Gap::Dot
}

/// Groups of one digit are a count or a sequence.
fn is_list(run: &Run<'_>, first: usize, count: usize) -> bool {
    (first..first + count).all(|group| run.len(group) == 1)
}
