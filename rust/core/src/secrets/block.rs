//! Private keys in blocks: PEM (RFC 7468), `OpenPGP`'s armour (RFC 9580), `ssh.com`'s and `PuTTY`'s files.

use memchr::memmem;

use super::form::Reading;

/// The mark by which blocks are found.
pub(super) const BEGIN: &str = "BEGIN ";
/// The mark by which `PuTTY`'s files are found.
pub(super) const PUTTY: &str = "PuTTY-User-Key-File-";
/// The longest beginning of a block before its kind is known.
const LONGEST_TITLE: usize = 80;
/// A key of a block that goes on for longer is cut here.
pub(super) const LONGEST_BLOCK: usize = 16 * 1024;
/// The least that a key has between its marks.
const SHORTEST_BODY: usize = 64;
const DASHES: usize = 5;

/// The start of the block whose `BEGIN` is at `mark`.
pub(super) fn start(text: &[u8], mark: usize) -> Option<usize> {
    let before = &text[..mark];
    (before.ends_with(b"-----") || before.ends_with(b"---- ")).then(|| mark - DASHES)
}

/// Reads the block that begins at `start`.
pub(super) fn read(text: &[u8], start: usize, is_last: bool) -> Reading {
    let title = start + DASHES + BEGIN.len();
    let near = &text[title..text.len().min(title + LONGEST_TITLE)];
    let is_title = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let length = near.iter().take_while(|byte| is_title(byte)).count();
    if length == near.len() {
        let is_open = !is_last && near.len() < LONGEST_TITLE;
        return if is_open { Reading::Open } else { Reading::No };
    }
    if memmem::find(&near[..length], b"PRIVATE KEY").is_none() {
        return Reading::No;
    }
    let body = title + length;
    let window = &text[body..text.len().min(start + LONGEST_BLOCK)];
    // The next block ends this one, so that blocks without an end are not read again and again.
    let next = memmem::find(window, BEGIN.as_bytes());
    let inside = &window[..next.unwrap_or(window.len())];
    let Some(end) = memmem::find(inside, b"END ") else {
        let is_open = !is_last && next.is_none() && text.len() < start + LONGEST_BLOCK;
        return if is_open { Reading::Open } else { cut(inside, body) };
    };
    let title = &text[body + end..text.len().min(body + end + LONGEST_TITLE)];
    let Some(dashes) = memmem::find(title, b"----") else {
        let is_open = !is_last && title.len() < LONGEST_TITLE;
        return if is_open { Reading::Open } else { cut(inside, body) };
    };
    let rest = &title[dashes..];
    let count = rest.iter().take(DASHES).take_while(|byte| **byte == b'-').count();
    if count < DASHES && count == rest.len() && title.len() < LONGEST_TITLE && !is_last {
        return Reading::Open;
    }
    if end >= SHORTEST_BODY {
        Reading::Ends(body + end + dashes + count)
    } else {
        Reading::No
    }
}

/// A block without an end: what there is of it, if that is enough.
fn cut(window: &[u8], body: usize) -> Reading {
    let is_body = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-\n\r\t \\,:\"".contains(byte);
    let length = window.iter().take_while(|byte| is_body(byte)).count();
    let spaces = memchr::memchr_iter(b' ', &window[..length]).count();
    let end = body + window[..length].trim_ascii_end().len();
    if length >= SHORTEST_BODY && spaces * 16 < length {
        Reading::Ends(end)
    } else {
        Reading::No
    }
}

/// Reads `PuTTY`'s file that begins at `start`: up to the sum behind `Private-MAC`.
pub(super) fn read_putty(text: &[u8], start: usize, is_last: bool) -> Reading {
    let window = &text[start..text.len().min(start + LONGEST_BLOCK)];
    let Some(mac) = memmem::find(window, b"Private-MAC:") else {
        let is_open = !is_last && window.len() < LONGEST_BLOCK;
        return if is_open { Reading::Open } else { Reading::No };
    };
    let rest = &window[mac + b"Private-MAC:".len()..];
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let digits = rest[spaces..]
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let end = start + window.len() - rest.len() + spaces + digits;
    if end == text.len() && !is_last {
        Reading::Open
    } else {
        Reading::Ends(end)
    }
}

/// Where a beginning of a block may begin that the text cuts off.
pub(super) fn partial(text: &[u8]) -> usize {
    let begin = b"-----BEGIN ";
    let longest = (1..begin.len()).rev().find(|length| text.ends_with(&begin[..*length]));
    let putty = (1..PUTTY.len())
        .rev()
        .find(|length| text.ends_with(&PUTTY.as_bytes()[..*length]));
    text.len() - longest.unwrap_or(0).max(putty.unwrap_or(0))
}
