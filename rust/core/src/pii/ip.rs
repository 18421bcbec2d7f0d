//! IP addresses, version 4 and 6, with the length of a prefix behind them if one stands there.

use std::net::Ipv6Addr;

use super::code::View;
use super::context::{self, Topic};
use super::entity::Entity;
use super::number::{Gap, Match, Run, follows_word, is_word};
use super::scan::Candidate;

/// The longest text of an IPv6 address: six groups and a dotted quad.
const LONGEST_V6: usize = 45;

/// Four octets with dots between that are no version number.
pub(super) fn v4_at(run: &Run<'_>, first: usize) -> Option<Match> {
    let quad = (1..4).all(|next| run.gap(first + next) == Gap::Dot);
    let longer = run.gap(first) == Gap::Dot || run.gap(first + 4) == Gap::Dot;
    if !quad || longer || !(first..first + 4).all(|group| is_octet(run.digits(group))) {
        return None;
    }
    let found = run.cover(first, 4)?;
    if is_version(run, found) {
        return None;
    }
    Some(Match {
        end: prefix_end(run.text, found.end, 32),
        ..found
    })
}

/// Where the row of hexadecimal digits, colons and dots around the word at `token` begins; at `token` if it is longer than any
/// address.
pub(super) fn colons_start(text: &[u8], token: usize) -> usize {
    let length = text[..token]
        .iter()
        .rev()
        .take(LONGEST_V6 + 1)
        .take_while(|byte| is_v6(**byte))
        .count();
    if length > LONGEST_V6 { token } else { token - length }
}

/// An address with colons around the word at `token`: IPv6, or of a network card.
pub(super) fn around_colon(view: &View<'_>, token: usize) -> Option<Candidate> {
    let text = view.bytes;
    let start = colons_start(text, token);
    let length = text[start..]
        .iter()
        .take(LONGEST_V6 + 2)
        .take_while(|byte| is_v6(**byte))
        .count();
    let end = start + length;
    if end <= token || !text[start..end].contains(&b':') {
        return None;
    }
    let found = |entity: Entity, confidence: u8| {
        move |(start, end): (usize, usize)| Candidate {
            entity,
            start,
            end,
            confidence,
        }
    };
    mac_within(text, start, end)
        .map(found(Entity::MacAddress, 90))
        .or_else(|| v6_within(text, start, end).map(found(Entity::Ip, 90)))
}

/// Six pairs of hexadecimal digits with colons between.
fn mac_within(text: &[u8], start: usize, end: usize) -> Option<(usize, usize)> {
    let trimmed = &text[start..end];
    let trimmed = trimmed
        .strip_suffix(b".")
        .or_else(|| trimmed.strip_suffix(b":"))
        .unwrap_or(trimmed);
    let mut pairs = trimmed.split(|byte| *byte == b':');
    let paired =
        pairs.clone().count() == 6 && pairs.all(|pair| pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit));
    let end = start + trimmed.len();
    let bounded = !follows_word(text, start) && text.get(end).is_none_or(|byte| !is_word(*byte));
    let plain = trimmed.iter().all(|byte| b"0F:f".contains(byte));
    (paired && bounded && !plain).then_some((start, end))
}

/// Decimal, at most 255, without leading zeros: some readers take those as octal.
fn is_octet(digits: &[u8]) -> bool {
    matches!(
        digits,
        [_] | [b'1'..=b'9', _] | [b'1', _, _] | [b'2', b'0'..=b'4', _] | [b'2', b'5', b'0'..=b'5']
    )
}

/// `Chrome/120.0.0.0`, `requests==1.2.3.4`, `1.2.3.4-rc1`, `version 1.2.3.4`.
fn is_version(run: &Run<'_>, found: Match) -> bool {
    let (last, second) = (run.byte_before(found.start, 1), run.byte_before(found.start, 2));
    let named = (last == b'/' || last == b'-' || last == b'.') && is_word(second);
    let compared = last == b'=' && b"=~<>!^".contains(&second);
    let tagged =
        matches!(run.text.get(found.end..found.end + 2), Some([b'-' | b'+', letter]) if letter.is_ascii_alphabetic());
    let said = matches!(context::before(run.text, found.start), Some((Topic::Version, 0..=16)));
    named || compared || tagged || said
}

/// The address in a longest row of hexadecimal digits, colons and dots, if there is one.
fn v6_within(text: &[u8], mut start: usize, mut end: usize) -> Option<(usize, usize)> {
    // Punctuation of the sentence: `see 2001:db8::1.` and `address:2001:db8::1`.
    while text[start..end].ends_with(b".") || (text[start..end].ends_with(b":") && !text[start..end].ends_with(b"::")) {
        end -= 1;
    }
    if text[start..end].starts_with(b":") && !text[start..end].starts_with(b"::") {
        start += 1;
    } else if follows_word(text, start) {
        return None;
    }
    if end - start > LONGEST_V6 || text.get(end).is_some_and(|byte| is_word(*byte)) {
        return None;
    }
    let address = std::str::from_utf8(&text[start..end]).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    is_meant(text, start, address).then(|| (start, prefix_end(text, end, 128)))
}

/// `a::b` is a path in many languages, `::2` and `x[1::2]` are slices: short forms need more than a parser's consent.
fn is_meant(text: &[u8], start: usize, address: &str) -> bool {
    let groups = address.split(':').filter(|group| !group.is_empty()).count();
    let subscript =
        start >= 2 && text[start - 1] == b'[' && (is_word(text[start - 2]) || b")]".contains(&text[start - 2]));
    let digits = address.bytes().any(|byte| byte.is_ascii_digit());
    digits && !subscript && (groups > 1 || address == "::1" || address.contains('.'))
}

/// Where the address ends, with the `/24` behind it if that is a length of at most `longest`.
fn prefix_end(text: &[u8], end: usize, longest: u16) -> usize {
    let Some(rest) = text[end..].strip_prefix(b"/") else {
        return end;
    };
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    let length = rest[..digits]
        .iter()
        .fold(0_u16, |length, digit| length * 10 + u16::from(digit - b'0'));
    let bounded = rest.get(digits).is_none_or(|byte| !is_word(*byte) && *byte != b'/');
    if (1..=3).contains(&digits) && length <= longest && bounded {
        end + 1 + digits
    } else {
        end
    }
}

const fn is_v6(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || byte == b':' || byte == b'.'
}
