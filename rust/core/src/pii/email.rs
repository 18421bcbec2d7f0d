//! E-mail addresses as people have them: the dot-atom of RFC 5322 and a host name with a top-level domain of letters.

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 180;
/// A user and a password.
const LONGEST_CREDENTIALS: usize = 120;
/// What looks like a top-level domain in names such as `icon@2x.png`.
const FILE_ENDINGS: [&str; 8] = ["css", "gif", "jpeg", "jpg", "js", "png", "svg", "webp"];

/// Where the domain behind an `@` ends.
pub(super) enum End {
    /// It is one, and ends here.
    At(usize),
    /// It reaches the end of a text that goes on.
    Open,
    /// It is none.
    None,
}

/// Where the local part before the `@` at `at` begins. An address directly before is not part of it.
pub(super) fn local_start(text: &str, at: usize) -> Option<usize> {
    let start = row_start(text, at);
    let before = text[..start].strip_suffix('@').map(str::len);
    let end = before.filter(|at| row_start(text, *at) < *at).and_then(|at| {
        let end = domain_row_end(text, at + 1);
        address_end(text, at + 1, end)
    });
    let mut start = end.map_or(start, |end| end.clamp(start, at));
    // Quotes and list marks around an address, and the dots of an ellipsis, are not part of it.
    start += text[start..at].find(|char: char| is_letter(char) || char.is_ascii_digit() || char == '_')?;
    // The letter of an escaped line break: taking it would leave a lone backslash behind.
    if text[..start].ends_with('\\') && text[start..at].starts_with(['n', 'r', 't']) {
        start += 1;
    }
    (start < at && !text[start..at].ends_with('.') && !text[start..at].contains("..")).then_some(start)
}

/// Where the row of characters of a local part begins that ends at `at`.
fn row_start(text: &str, at: usize) -> usize {
    let row = text[..at].char_indices().rev();
    row.take_while(|(index, char)| is_local(*char) && at - index <= LONGEST_LOCAL)
        .last()
        .map_or(at, |(index, _)| index)
}

/// Where the row of characters of a domain ends that begins at `from`.
fn domain_row_end(text: &str, from: usize) -> usize {
    let mut end = from;
    for char in text[from..].chars() {
        if !(is_letter(char) || char.is_ascii_digit() || char == '-' || char == '.') || end - from >= LONGEST_DOMAIN {
            break;
        }
        end += char.len_utf8();
    }
    end
}

/// Where the domain behind the `@` at `at` ends, of an address that begins at `start`.
pub(super) fn domain_end(text: &str, start: usize, at: usize, is_last: bool) -> End {
    let from = at + 1;
    let end = domain_row_end(text, from);
    if end == text.len() && !is_last && end - from < LONGEST_DOMAIN {
        return End::Open;
    }
    match address_end(text, from, end) {
        // `git@host:path` is a place to clone from.
        Some(end) if !(&text[start..at] == "git" && text[end..].starts_with(':')) => End::At(end),
        _ => End::None,
    }
}

fn address_end(text: &str, from: usize, end: usize) -> Option<usize> {
    let domain = text[from..end].trim_end_matches(['.', '-']);
    let end = from + domain.len();
    let (host, top) = domain.rsplit_once('.')?;
    let labels = host
        .split('.')
        .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    let top_level = top.starts_with("xn--") || (top.chars().count() >= 2 && top.chars().all(is_letter));
    let other = FILE_ENDINGS.contains(&top.to_ascii_lowercase().as_str()) || text[end..].starts_with(['(', '_', '@']);
    (labels && top_level && !other).then_some(end)
}

/// The user and the password in a URL whose authority holds the `@` at `at`: `user:password` (RFC 3986, section 3.2.1).
pub(super) fn credentials(text: &str, at: usize) -> Option<(usize, usize)> {
    let bytes = &text.as_bytes()[..at];
    let length = bytes
        .iter()
        .rev()
        .take(LONGEST_CREDENTIALS + 1)
        .take_while(|byte| byte.is_ascii_graphic() && !b"/@\"'<>{}$\\".contains(byte))
        .count();
    let start = at - length;
    let user = bytes[start..].iter().position(|byte| *byte == b':')?;
    let is_url = matches!(bytes[..start], [.., letter, b':', b'/', b'/'] if letter.is_ascii_alphanumeric());
    (is_url && user + 1 < length && length <= LONGEST_CREDENTIALS).then_some((start, at))
}

/// The special characters that occur in real addresses; the rest of RFC 5322's mostly stands around addresses.
fn is_local(char: char) -> bool {
    is_letter(char) || char.is_ascii_digit() || "._%+-'&~".contains(char)
}

/// Letters of scripts that are written with spaces between words. Chinese or Japanese text runs straight into an
/// address, so its characters end one.
fn is_letter(char: char) -> bool {
    char.is_ascii_alphabetic() || (('\u{C0}'..'\u{800}').contains(&char) && char.is_alphabetic())
}
