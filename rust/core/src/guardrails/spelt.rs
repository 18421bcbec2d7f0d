//! What becomes of a text, said in stretches of it; and how a stretch is spelt where the text stands in a JSON string.

use crate::chat::json;

/// Hears what becomes of a text, from its beginning to its end: of every stretch once, in order. Lengths are bytes of the
/// text as it came, on character boundaries.
pub(super) trait Sink {
    /// The next `bytes` stay as they are.
    fn keep(&mut self, bytes: usize);
    /// In place of the next `bytes` stands `text`.
    fn put(&mut self, bytes: usize, text: &str);
}

/// The content of a JSON string as it is spelt, of which a part is read and a part of that is settled.
#[derive(Debug, Default)]
pub(super) struct Spelt {
    /// What is not settled yet.
    raw: String,
    /// How much of `raw` is settled already.
    settled: usize,
    /// How much of `raw` is read.
    read: usize,
}

impl Spelt {
    /// Takes in more of the string, and adds to `text` what can be read of it now: an escape that is cut waits for its rest,
    /// unless this is the last.
    pub(super) fn read(&mut self, raw: &str, is_last: bool, text: &mut String) {
        // Where something always waits, what is settled is dropped all the same, and seldom enough to cost nothing.
        if self.settled >= self.raw.len() - self.settled {
            self.raw.drain(..self.settled);
            self.read -= self.settled;
            self.settled = 0;
        }
        self.raw.push_str(raw);
        let end = if is_last {
            self.raw.len()
        } else {
            whole_escapes(self.raw.as_bytes(), self.read)
        };
        unescape(&self.raw[self.read..end], text);
        self.read = end;
    }

    /// Settles the next `bytes` of the text, and returns how many bytes spell them.
    fn settle(&mut self, bytes: usize) -> usize {
        let raw = self.raw.as_bytes();
        let (mut at, mut told) = (self.settled, 0);
        while told < bytes && at < raw.len() {
            let plain = usize::min(bytes - told, raw.len() - at);
            let escape = memchr::memchr(b'\\', &raw[at..at + plain]);
            let plain = escape.unwrap_or(plain);
            at += plain;
            told += plain;
            if escape.is_some() && told < bytes {
                let (character, len) = escape_at(raw, at);
                at = usize::min(at + len, raw.len());
                told += character.len_utf8();
            }
        }
        let spelt = at - self.settled;
        self.settled = at;
        spelt
    }

    /// What stands between the last that was settled and the next `bytes` of the text.
    pub(super) fn take(&mut self, bytes: usize) -> &str {
        let from = self.settled;
        self.settle(bytes);
        self.raw.get(from..self.settled).unwrap_or_default()
    }
}

/// How far `raw` can be read from `at` on: to its end, or to an escape that may go on behind it.
fn whole_escapes(raw: &[u8], mut at: usize) -> usize {
    while let Some(found) = memchr::memchr(b'\\', &raw[at..]) {
        at += found;
        let needed = match (raw.get(at + 1), raw.get(at + 2..at + 6)) {
            (None, _) | (Some(b'u'), None) => return at,
            (Some(b'u'), Some(digits)) if is_high_surrogate(digits) => match (raw.get(at + 6), raw.get(at + 7)) {
                (None, _) | (Some(b'\\'), None) => return at,
                (Some(b'\\'), Some(b'u')) if raw.len() < at + 12 => return at,
                _ => escape_at(raw, at).1,
            },
            _ => escape_at(raw, at).1,
        };
        at += needed;
    }
    raw.len()
}

/// Adds to `text` what `raw` says.
fn unescape(raw: &str, text: &mut String) {
    let mut from = 0;
    while let Some(found) = memchr::memchr(b'\\', &raw.as_bytes()[from..]) {
        let at = from + found;
        let (character, len) = escape_at(raw.as_bytes(), at);
        text.push_str(&raw[from..at]);
        text.push(character);
        from = usize::min(at + len, raw.len());
    }
    text.push_str(&raw[from..]);
}

/// The character that the escape at `at` stands for, and the escape's length. A backslash that begins none is itself.
fn escape_at(raw: &[u8], at: usize) -> (char, usize) {
    match raw.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'u') => json::escape_at(raw, at),
        _ => ('\\', 1),
    }
}

fn is_high_surrogate(digits: &[u8]) -> bool {
    matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a' | b'A' | b'b' | b'B', rest @ ..] if rest.iter().all(u8::is_ascii_hexdigit))
}

/// Says to a JSON string what becomes of the text that it spells.
pub(super) struct Respelt<'a> {
    /// The string.
    pub(super) spelt: &'a mut Spelt,
    /// Who hears of the string.
    pub(super) sink: &'a mut dyn Sink,
}

impl Sink for Respelt<'_> {
    fn keep(&mut self, bytes: usize) {
        let spelt = self.spelt.settle(bytes);
        self.sink.keep(spelt);
    }

    fn put(&mut self, bytes: usize, text: &str) {
        let spelt = self.spelt.settle(bytes);
        self.sink.put(spelt, &json::escape(text));
    }
}

#[cfg(test)]
mod tests {
    use super::Spelt;

    #[test]
    fn what_is_settled_is_dropped_though_something_always_waits() {
        let mut spelt = Spelt::default();
        spelt.read("word", false, &mut String::new());
        for _ in 0..1000 {
            spelt.read(" word", false, &mut String::new());
            assert_eq!(spelt.take(5), "word ");
        }
        assert!(spelt.raw.len() < 32);
    }

    #[test]
    fn an_escape_that_is_cut_waits_for_its_rest() {
        let raw = r#"a\n\u00e9\ud83d\ude00\ud83dx\"b"#;
        for cut in 0..=raw.len() {
            let (mut spelt, mut text) = (Spelt::default(), String::new());
            spelt.read(&raw[..cut], false, &mut text);
            spelt.read(&raw[cut..], true, &mut text);
            assert_eq!(text, "a\n\u{e9}\u{1f600}\u{fffd}x\"b", "cut at {cut}");
            assert_eq!(spelt.take(2), r"a\n");
            assert_eq!(spelt.take(2), r"\u00e9");
            assert_eq!(spelt.take(4), r"\ud83d\ude00");
            assert_eq!(spelt.take(3), r"\ud83d");
            assert_eq!(spelt.take(3), r#"x\"b"#);
        }
    }
}
