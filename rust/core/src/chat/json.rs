//! JSON by position: checked once by `serde_json`, then walked as spans of bytes.
//!
//! [`check`] decides whether the text is JSON. Everything else here trusts that it was: no function recurses,
//! none panics, and on broken text (an upstream's event is not checked) the answer is merely meaningless.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// How deep arrays and objects may nest. `serde_json`'s own bound for typed values, and that of most upstreams.
pub(crate) const DEPTH_MAX: usize = 128;

/// A range of bytes of the text being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) const fn len(self) -> usize {
        self.end - self.start
    }

    pub(crate) fn of(self, text: &[u8]) -> &[u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Whether `text` is exactly one JSON value; else what is wrong and where. Never quotes the text.
///
/// `serde_json` skips values without recursion, so a million brackets cost no stack; the depth is then counted.
pub(crate) fn check(text: &[u8]) -> Result<(), String> {
    let decoded = std::str::from_utf8(text).map_err(|error| located("invalid UTF-8", text, error.valid_up_to()))?;
    serde_json::from_str::<IgnoredAny>(decoded).map_err(|error| error.to_string())?;
    match too_deep(text) {
        Some(at) => Err(located("nested deeper than 128 levels", text, at)),
        None => Ok(()),
    }
}

/// Whether `text` is one JSON value, whatever its depth.
pub(crate) fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// The text if it is JSON; else what it would be, did it not hold the numbers that JSON has not, though some write and read
/// them: `NaN`, `Infinity`. They become `null`.
pub(crate) fn mended(text: &str) -> Option<Cow<'_, str>> {
    if is_json(text.as_bytes()) {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let (mut mended, mut from, mut at) = (String::new(), 0, 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let number = ["NaN", "Infinity", "-Infinity"]
            .iter()
            .find(|name| rest.starts_with(name.as_bytes()));
        if let Some(name) = number {
            mended.push_str(&text[from..at]);
            mended.push_str("null");
            at += name.len();
            from = at;
        } else if rest[0] == b'"' {
            at = string_end(bytes, at + 1) + 1;
        } else {
            at += 1;
        }
    }
    mended.push_str(&text[from..]);
    (from > 0 && is_json(mended.as_bytes())).then_some(Cow::Owned(mended))
}

fn located(fault: &str, text: &[u8], at: usize) -> String {
    let before = &text[..at.min(text.len())];
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    let column = at - memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1) + 1;
    format!("{fault} at line {line} column {column}")
}

fn too_deep(text: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'{' | b'[' => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return Some(at);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The first position at or after `at` that is not white space.
#[inline]
pub(crate) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The position of the quote that closes the string whose first content byte is at `at`.
#[inline]
pub(crate) fn string_end(text: &[u8], mut at: usize) -> usize {
    while let Some(rest) = text.get(at..) {
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(found) if rest[found] == b'"' => return at + found,
            Some(found) => at += found + 2,
            None => break,
        }
    }
    text.len()
}

/// The position behind the value that begins at `at`.
pub(crate) fn value_end(text: &[u8], mut at: usize) -> usize {
    match text.get(at) {
        Some(b'"') => return (string_end(text, at + 1) + 1).min(text.len()),
        Some(b'{' | b'[') => {}
        _ => {
            while !matches!(
                text.get(at),
                None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
            ) {
                at += 1;
            }
            return at;
        }
    }
    let mut depth = 0_usize;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'"' => at = string_end(text, at + 1),
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

/// The content of `value` between its quotes, if it is a string.
pub(crate) fn string(text: &[u8], value: Span) -> Option<Span> {
    (value.len() >= 2 && text.get(value.start) == Some(&b'"')).then_some(Span {
        start: value.start + 1,
        end: value.end - 1,
    })
}

/// A member of an object: the key between its quotes, and the value.
pub(crate) struct Member<'a> {
    pub(crate) key: Cow<'a, [u8]>,
    pub(crate) value: Span,
}

/// The members of the object that begins at `at`, in order; none if something else begins there.
pub(crate) fn members(text: &[u8], at: usize) -> impl Iterator<Item = Member<'_>> {
    let mut at = opened(text, at, b'{');
    std::iter::from_fn(move || {
        let quote = skip_space(text, at);
        if text.get(quote) != Some(&b'"') {
            return None;
        }
        let close = string_end(text, quote + 1);
        let start = skip_space(text, skip_space(text, close + 1) + 1);
        let value = Span {
            start,
            end: value_end(text, start),
        };
        let comma = skip_space(text, value.end);
        at = if text.get(comma) == Some(&b',') {
            comma + 1
        } else {
            text.len()
        };
        (start < text.len()).then(|| Member {
            key: key(Span {
                start: quote + 1,
                end: close,
            }
            .of(text)),
            value,
        })
    })
}

/// The elements of the array that begins at `at`, in order; none if something else begins there.
pub(crate) fn elements(text: &[u8], at: usize) -> impl Iterator<Item = Span> {
    let mut at = opened(text, at, b'[');
    std::iter::from_fn(move || {
        let start = skip_space(text, at);
        if matches!(text.get(start), None | Some(b']')) {
            return None;
        }
        let value = Span {
            start,
            end: value_end(text, start),
        };
        let comma = skip_space(text, value.end);
        at = if text.get(comma) == Some(&b',') {
            comma + 1
        } else {
            text.len()
        };
        Some(value)
    })
}

fn opened(text: &[u8], at: usize, bracket: u8) -> usize {
    let start = skip_space(text, at);
    if text.get(start) == Some(&bracket) {
        start + 1
    } else {
        text.len()
    }
}

/// A key as its reader sees it: `"mod\u0065l"` is `model`.
pub(crate) fn key(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(unescape(raw).into_owned().into_bytes())
}

/// What the content of a JSON string says. A lone surrogate becomes U+FFFD, as does invalid UTF-8.
pub(crate) fn unescape(raw: &[u8]) -> Cow<'_, str> {
    let whole = String::from_utf8_lossy(raw);
    let Some(first) = memchr::memchr(b'\\', whole.as_bytes()) else {
        return whole;
    };
    let mut text = String::with_capacity(whole.len());
    let (mut from, mut next) = (0, Some(first));
    while let Some(at) = next {
        text.push_str(&whole[from..at]);
        let (character, len) = escape_at(whole.as_bytes(), at);
        text.push(character);
        from = (at + len).min(whole.len());
        while !whole.is_char_boundary(from) {
            from += 1; // no escape of JSON: what stands behind the backslash is longer
        }
        next = memchr::memchr(b'\\', &whole.as_bytes()[from..]).map(|found| from + found);
    }
    text.push_str(&whole[from..]);
    Cow::Owned(text)
}

/// The bytes that `raw` will be once unescaped.
pub(crate) fn unescaped_len(raw: &[u8]) -> usize {
    let (mut len, mut from) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &raw[from..]) {
        let (character, escape_len) = escape_at(raw, from + found);
        len += found + character.len_utf8();
        from = (from + found + escape_len).min(raw.len());
    }
    len + raw.len() - from
}

/// The character that the escape at `at` stands for, and the escape's length in bytes.
pub(crate) fn escape_at(raw: &[u8], at: usize) -> (char, usize) {
    match raw.get(at + 1) {
        Some(b'u') => unicode_escape_at(raw, at),
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(&byte) => (char::from(byte), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn unicode_escape_at(raw: &[u8], at: usize) -> (char, usize) {
    let Some(high) = hex_at(raw, at + 2) else {
        return (char::REPLACEMENT_CHARACTER, 2);
    };
    if let Some(character) = char::from_u32(high) {
        return (character, 6);
    }
    let low = (raw.get(at + 6..at + 8) == Some(br"\u"))
        .then(|| hex_at(raw, at + 8))
        .flatten();
    match (high, low) {
        (0xD800..=0xDBFF, Some(low @ 0xDC00..=0xDFFF)) => {
            let code = 0x1_0000 + ((high - 0xD800) << 10) + (low - 0xDC00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
        }
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

fn hex_at(raw: &[u8], at: usize) -> Option<u32> {
    let digits = raw.get(at..at + 4)?;
    digits
        .iter()
        .try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}

/// Translates offsets into the unescaped text back to the raw string, in ascending order.
pub(crate) struct RawOffsets<'a> {
    raw: &'a [u8],
    raw_at: usize,
    text_at: usize,
}

impl<'a> RawOffsets<'a> {
    pub(crate) const fn new(raw: &'a [u8]) -> Self {
        Self {
            raw,
            raw_at: 0,
            text_at: 0,
        }
    }

    /// The raw offset of the character that begins at `text_offset`, which must not be before the last one asked.
    pub(crate) fn of(&mut self, text_offset: usize) -> usize {
        while self.text_at < text_offset && self.raw_at < self.raw.len() {
            if self.raw[self.raw_at] == b'\\' {
                let (character, len) = escape_at(self.raw, self.raw_at);
                self.raw_at += len;
                self.text_at += character.len_utf8();
            } else {
                self.raw_at += 1;
                self.text_at += 1;
            }
        }
        self.raw_at.min(self.raw.len())
    }
}

/// Translates offsets into a raw string to what it says.
pub(crate) struct Escapes(Vec<Escape>);

/// Offsets of an escape, and of the character that it stands for.
struct Escape {
    raw: Span,
    said: Span,
}

impl Escapes {
    pub(crate) fn of(raw: &[u8]) -> Self {
        let mut escapes = Vec::new();
        let (mut from, mut shrunk) = (0, 0);
        while let Some(found) = memchr::memchr(b'\\', &raw[from..]) {
            let start = from + found;
            let (character, len) = escape_at(raw, start);
            from = (start + len).min(raw.len());
            let said = start - shrunk;
            escapes.push(Escape {
                raw: Span { start, end: from },
                said: Span {
                    start: said,
                    end: said + character.len_utf8(),
                },
            });
            shrunk += (from - start).saturating_sub(character.len_utf8());
        }
        Self(escapes)
    }

    /// The offset of `raw`; of a place within an escape, where its character begins.
    pub(crate) fn said_before(&self, raw: usize) -> usize {
        self.said(raw, |escape| escape.said.start)
    }

    /// The offset of `raw`; of a place within an escape, where its character ends.
    pub(crate) fn said_behind(&self, raw: usize) -> usize {
        self.said(raw, |escape| escape.said.end)
    }

    fn said(&self, raw: usize, within: impl Fn(&Escape) -> usize) -> usize {
        let begun = self.0.partition_point(|escape| escape.raw.start < raw);
        match begun.checked_sub(1).and_then(|last| self.0.get(last)) {
            Some(escape) if raw < escape.raw.end => within(escape),
            Some(escape) => escape.said.end + raw - escape.raw.end,
            None => raw,
        }
    }
}

/// Moves edits on by so many bytes.
pub(crate) fn shift(edits: &mut [Edit], by: usize) {
    for edit in edits {
        edit.span = Span {
            start: edit.span.start + by,
            end: edit.span.end + by,
        };
    }
}

/// `text` as the content of a JSON string.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    let needs = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if !text.bytes().any(needs) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\0'..='\u{1f}' => {
                let code = character as u32;
                escaped.push_str("\\u00");
                escaped.extend(
                    [code >> 4, code & 0xF]
                        .iter()
                        .filter_map(|&digit| char::from_digit(digit, 16)),
                );
            }
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// A span of the text and what shall stand there instead.
pub(crate) struct Edit {
    pub(crate) span: Span,
    pub(crate) text: Cow<'static, str>,
}

/// `text` with `edits` made: ascending, not overlapping. Every other byte stays as it was.
pub(crate) fn splice(text: &[u8], edits: &[Edit]) -> Vec<u8> {
    let added: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut spliced = Vec::with_capacity(text.len() + added);
    let mut from = 0;
    for edit in edits {
        spliced.extend_from_slice(&text[from..edit.span.start]);
        spliced.extend_from_slice(edit.text.as_bytes());
        from = edit.span.end;
    }
    spliced.extend_from_slice(&text[from..]);
    spliced
}
