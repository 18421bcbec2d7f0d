//! E-mail addresses as people have them: the dot-atom of RFC 5322 and a host name with a top-level domain of letters.

use memchr::memchr_iter;

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;
/// What looks like a top-level domain in names such as `icon@2x.png`.
const FILE_ENDINGS: [&str; 8] = ["css", "gif", "jpeg", "jpg", "js", "png", "svg", "webp"];

/// The addresses of a text, as pairs of offsets. Reads a bounded number of bytes around each `@`.
pub(super) fn find(text: &str, mut found: impl FnMut(usize, usize)) {
    for at in memchr_iter(b'@', text.as_bytes()) {
        let Some(start) = local_start(text, at) else { continue };
        let Some(end) = domain_end(text, at + 1) else { continue };
        // `git@host:path` is a place to clone from.
        if !(&text[start..at] == "git" && text[end..].starts_with(':')) {
            found(start, end);
        }
    }
}

fn local_start(text: &str, at: usize) -> Option<usize> {
    let mut start = at;
    for (index, char) in text[..at].char_indices().rev() {
        if !is_local(char) || at - index > LONGEST_LOCAL {
            break;
        }
        start = index;
    }
    // Quotes and list marks around an address, and the dots of an ellipsis, are not part of it.
    start += text[start..at].find(|char: char| is_letter(char) || char.is_ascii_digit() || char == '_')?;
    // The letter of an escaped line break: taking it would leave a lone backslash behind.
    if text[..start].ends_with('\\') && text[start..at].starts_with(['n', 'r', 't']) {
        start += 1;
    }
    (start < at && !text[start..at].ends_with('.') && !text[start..at].contains("..")).then_some(start)
}

fn domain_end(text: &str, from: usize) -> Option<usize> {
    let mut end = from;
    for char in text[from..].chars() {
        if !(is_letter(char) || char.is_ascii_digit() || char == '-' || char == '.') || end - from >= LONGEST_DOMAIN {
            break;
        }
        end += char.len_utf8();
    }
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

/// The special characters that occur in real addresses; the rest of RFC 5322's mostly stands around addresses.
fn is_local(char: char) -> bool {
    is_letter(char) || char.is_ascii_digit() || "._%+-'&~".contains(char)
}

/// Letters of scripts that are written with spaces between words. Chinese or Japanese text runs straight into an
/// address, so its characters end one.
fn is_letter(char: char) -> bool {
    char.is_ascii_alphabetic() || (('\u{C0}'..'\u{800}').contains(&char) && char.is_alphabetic())
}
