//! What a text says once more: encoded passages, decoded. Each is judged beside the text itself.
//!
//! Decoding never makes a text longer, and all that is decoded of a text is at most twice its length.

use super::features::Trait;

/// Shorter runs are words and names.
const RUN_BYTES_MIN: usize = 16;
/// Fewer escapes, or codes in a row, are ordinary.
const ESCAPES_MIN: usize = 4;
const CODES_MIN: usize = 6;
/// A longer part of a row is no code.
const CODE_BYTES_MAX: usize = 9;

/// A passage decoded, and where it lies in the source.
#[derive(Debug)]
pub(super) struct View {
    pub(super) text: String,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) by: Trait,
}

/// A byte may be part of an encoded run, white space, the beginning of an escape, or of a code in a row.
const RUN: u8 = 1;
const GAP: u8 = 2;
const ESCAPE: u8 = 4;
const CODE: u8 = 8;
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        let is_run = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_');
        let is_code = byte.is_ascii_hexdigit() || matches!(byte, b'.' | b'-' | b'/' | b'|' | b'\\');
        let is_escape = matches!(byte, b'%' | b'\\' | b'&');
        let class = &mut classes[byte as usize];
        *class |= if is_run { RUN } else { 0 };
        *class |= if byte.is_ascii_whitespace() { GAP } else { 0 };
        *class |= if is_escape { ESCAPE } else { 0 };
        *class |= if is_code { CODE } else { 0 };
        byte += 1;
    }
    classes
}

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// What a text may hold that can be decoded: one look at each byte, for most texts hold nothing.
#[derive(Default)]
struct Survey {
    run: usize,
    escapes: usize,
    row: usize,
}

impl Survey {
    fn of(text: &str) -> Self {
        let mut most = Self::default();
        let (mut run, mut row, mut part, mut is_code) = (0, 0, 0, false);
        for byte in text.bytes().chain([b' ']) {
            let class = class(byte);
            run = if class & RUN == 0 { 0 } else { run + 1 };
            most.run = most.run.max(run);
            most.escapes += usize::from(class & ESCAPE != 0);
            if class & GAP == 0 {
                is_code = if part == 0 { class & CODE != 0 } else { is_code };
                part += 1;
            } else if part > 0 {
                row = if is_code && part <= CODE_BYTES_MAX { row + 1 } else { 0 };
                most.row = most.row.max(row);
                part = 0;
            }
        }
        most
    }
}

/// All passages of a text that decode to a text.
pub(super) fn views(text: &str) -> Vec<View> {
    let survey = Survey::of(text);
    let mut views = Vec::new();
    if survey.run >= RUN_BYTES_MIN {
        runs(text, &mut views);
    }
    if survey.row >= CODES_MIN {
        codes(text, &mut views);
    }
    if survey.escapes >= ESCAPES_MIN {
        views.extend(escapes(text));
    }
    views
}

/// The text through rot13.
pub(super) fn rot13(text: &str) -> View {
    let turned = |character: char| match character {
        'a'..='m' | 'A'..='M' => char::from_u32(u32::from(character) + 13).unwrap_or(character),
        'n'..='z' | 'N'..='Z' => char::from_u32(u32::from(character) - 13).unwrap_or(character),
        _ => character,
    };
    whole(text, text.chars().map(turned).collect(), Trait::Rot13)
}

/// The text from right to left.
pub(super) fn reversed(text: &str) -> View {
    whole(text, text.chars().rev().collect(), Trait::Reversed)
}

fn whole(source: &str, text: String, by: Trait) -> View {
    View {
        text,
        start: 0,
        end: source.len(),
        by,
    }
}

/// Runs of hexadecimal digits, base32 and base64.
fn runs(text: &str, views: &mut Vec<View>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| class(**byte) & RUN != 0).count();
        if length >= RUN_BYTES_MIN {
            let run = &bytes[at..at + length];
            if let Some((text, by)) = run_decoded(run) {
                views.push(View {
                    text,
                    start: at,
                    end: at + length,
                    by,
                });
            }
        }
        at += length.max(1);
    }
}

fn run_decoded(run: &[u8]) -> Option<(String, Trait)> {
    let run = run.strip_prefix(b"0x").unwrap_or(run);
    if run.iter().all(u8::is_ascii_hexdigit) {
        return readable(bits(run, 4, hex_digit)).map(|text| (text, Trait::Hex));
    }
    let plain = run.iter().position(|byte| *byte == b'=').map_or(run, |end| &run[..end]);
    if plain.iter().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
        && let Some(text) = readable(bits(plain, 5, base32_digit))
    {
        return Some((text, Trait::Base32));
    }
    readable(bits(plain, 6, base64_digit)).map(|text| (text, Trait::Base64))
}

/// Bytes out of digits of so many bits each; nothing where one is no digit.
fn bits(digits: &[u8], width: u32, value: fn(u8) -> Option<u32>) -> Option<Vec<u8>> {
    let (mut held, mut count) = (0u32, 0);
    let mut bytes = Vec::with_capacity(digits.len());
    for digit in digits {
        held = (held << width | value(*digit)?) & 0xffff;
        count += width;
        if count >= 8 {
            count -= 8;
            bytes.push(low_byte(held >> count));
        }
    }
    Some(bytes)
}

fn low_byte(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

fn hex_digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

fn base32_digit(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'2'..=b'7' => Some(u32::from(byte - b'2') + 26),
        _ => None,
    }
}

fn base64_digit(byte: u8) -> Option<u32> {
    match byte {
        b'A'..=b'Z' => Some(u32::from(byte - b'A')),
        b'a'..=b'z' => Some(u32::from(byte - b'a') + 26),
        b'0'..=b'9' => Some(u32::from(byte - b'0') + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// Bytes as a text, if nearly all of it are letters and spaces as in prose.
fn readable(bytes: Option<Vec<u8>>) -> Option<String> {
    let text = String::from_utf8(bytes?).ok()?;
    let (mut prose, mut all) = (0, 0);
    for character in text.chars() {
        prose += usize::from(character.is_alphabetic() || matches!(character, ' ' | '\n' | '.' | ',' | '\''));
        all += 1;
    }
    (all >= 4 && prose * 20 >= all * 17).then_some(text)
}

/// Rows of codes with white space between: binary, hexadecimal or decimal numbers, Morse signs.
fn codes(text: &str, views: &mut Vec<View>) {
    const KINDS: [(Code, Trait); 4] = [
        (Code::Binary, Trait::Codes),
        (Code::Hex, Trait::Codes),
        (Code::Decimal, Trait::Codes),
        (Code::Morse, Trait::Morse),
    ];
    let mut rows: [Row; 4] = Default::default();
    let mut start = 0;
    for end in 0..=text.len() {
        if text.as_bytes().get(end).is_some_and(|byte| !byte.is_ascii_whitespace()) {
            continue;
        }
        if end > start {
            let part = text
                .get(start..end)
                .filter(|part| part.len() <= CODE_BYTES_MAX)
                .unwrap_or("");
            for ((kind, by), row) in KINDS.iter().zip(&mut rows) {
                match kind.read(part.trim_end_matches(',')) {
                    Some(character) => row.push(character, start, end),
                    None if row.count > 0 => row.close(*by, views),
                    None => {}
                }
            }
        }
        start = end + 1;
    }
    for ((_, by), row) in KINDS.iter().zip(&mut rows) {
        row.close(*by, views);
    }
}

#[derive(Clone, Copy)]
enum Code {
    Binary,
    Hex,
    Decimal,
    Morse,
}

#[derive(Default)]
struct Row {
    text: String,
    count: usize,
    start: usize,
    end: usize,
}

impl Row {
    fn push(&mut self, character: char, start: usize, end: usize) {
        if self.count == 0 {
            self.start = start;
        }
        self.count += 1;
        self.end = end;
        self.text.push(character);
    }

    fn close(&mut self, by: Trait, views: &mut Vec<View>) {
        let row = std::mem::take(self);
        if row.count >= CODES_MIN
            && let Some(text) = readable(Some(row.text.into_bytes()))
        {
            views.push(View {
                text,
                start: row.start,
                end: row.end,
                by,
            });
        }
    }
}

impl Code {
    fn read(self, part: &str) -> Option<char> {
        let printable = |code: u8| (32..127).contains(&code).then(|| char::from(code));
        match self {
            Self::Binary if part.len() == 8 => printable(u8::from_str_radix(part, 2).ok()?),
            Self::Hex => {
                let digits = part
                    .strip_prefix("0x")
                    .or_else(|| part.strip_prefix("\\x"))
                    .unwrap_or(part);
                (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok().and_then(printable))?
            }
            Self::Decimal if part.len() == 2 || part.len() == 3 => printable(part.parse().ok()?),
            Self::Morse => morse(part),
            _ => None,
        }
    }
}

fn morse(part: &str) -> Option<char> {
    const SIGNS: [&str; 26] = [
        ".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..", ".---", "-.-", ".-..", "--", "-.", "---",
        ".--.", "--.-", ".-.", "...", "-", "..-", "...-", ".--", "-..-", "-.--", "--..",
    ];
    match part {
        "/" | "|" => Some(' '),
        ".-.-.-" => Some('.'),
        _ if !part.bytes().all(|byte| matches!(byte, b'.' | b'-')) => None,
        _ => {
            let place = SIGNS.iter().position(|sign| *sign == part)?;
            char::from_u32(u32::try_from(place).ok()? + 97)
        }
    }
}

/// The text with its escapes resolved: `%69`, `\x69`, `\u0069`, `&#105;`, `&#x69;`.
fn escapes(text: &str) -> Option<View> {
    let mut plain = String::with_capacity(text.len());
    let mut count = 0;
    let (mut start, mut end) = (text.len(), 0);
    let mut rest = text;
    while let Some(at) = rest.find(['%', '\\', '&']) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let place = text.len() - rest.len();
        let (character, length) = match escape(rest) {
            Some(found) => {
                count += usize::from(found.0.is_alphabetic());
                start = start.min(place);
                end = place + found.1;
                found
            }
            None => (rest.chars().next()?, 1),
        };
        plain.push(character);
        rest = &rest[length..];
    }
    plain.push_str(rest);
    (count >= ESCAPES_MIN).then_some(View {
        text: plain,
        start,
        end,
        by: Trait::Escapes,
    })
}

/// The character of the escape that a text begins with, and the escape's length.
fn escape(text: &str) -> Option<(char, usize)> {
    let hex = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        Some((char::from_u32(code).filter(|character| !character.is_control())?, to))
    };
    if text.starts_with('%') {
        return hex(1, 3);
    }
    if text.starts_with("\\x") {
        return hex(2, 4);
    }
    if text.starts_with("\\u") {
        return hex(2, 6);
    }
    let digits = text.strip_prefix("&#")?;
    let length = digits.bytes().take(8).position(|byte| byte == b';')?;
    let code = match digits[..length].strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => digits[..length].parse(),
    };
    let character = char::from_u32(code.ok()?).filter(|character| !character.is_control())?;
    Some((character, length + 3))
}
