//! United States social security numbers.

use super::context::{self, Topic};
use super::number::{Gap, Match, Run, is_word};

/// A number of the form `ddd-dd-dddd`, `ddd dd dddd`, or nine digits that a word claims.
pub(super) fn at(run: &Run<'_>, first: usize) -> Option<Match> {
    let start = run.groups.get(first)?.start;
    let glued = run.byte_before(start, 1) == b'-' && is_word(run.byte_before(start, 2));
    if glued || matches!(run.gap(first), Gap::Dash | Gap::Dot | Gap::Slash) {
        return None;
    }
    let claimed = || context::before(run.text, start).is_some_and(|(topic, _)| topic == Topic::Ssn);
    let count = match [run.len(first), run.len(first + 1), run.len(first + 2)] {
        [3, 2, 4] if run.gap(first + 1) == run.gap(first + 2) => match run.gap(first + 1) {
            Gap::Dash if !matches!(run.gap(first + 3), Gap::Dash | Gap::Dot) => 3,
            Gap::Space if is_alone(run, first, 3) || claimed() => 3,
            _ => return None,
        },
        [9, ..] if !matches!(run.gap(first + 1), Gap::Dash | Gap::Dot) && claimed() => 1,
        _ => return None,
    };
    let mut digits = [0_u8; 9];
    for (place, digit) in digits
        .iter_mut()
        .zip((first..first + count).flat_map(|group| run.digits(group)))
    {
        *place = *digit;
    }
    is_issued(digits).then(|| run.cover(first, count))?
}

/// Whether no further number stands a space away: three such groups in a longer row are a list of numbers.
fn is_alone(run: &Run<'_>, first: usize, count: usize) -> bool {
    run.gap(first) != Gap::Space && run.gap(first + count) != Gap::Space
}

/// Never issued: area 000, 666 and 900 to 999, group 00, serial 0000 (Social Security Administration, POMS RM 10201.035).
/// Numbers that became famous in advertisements are not left out: here they stand for the real one in a test.
fn is_issued(digits: [u8; 9]) -> bool {
    let (area, rest) = digits.split_at(3);
    let (group, serial) = rest.split_at(2);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}
