//! Texts that come as a file: base64, bare or in a `data:` URL (RFC 2397). A model reads what they decode to.
//!
//! What is told of the type is not believed. Bytes are a text if nothing in them is a control character, which rules out every
//! format of images, sound and documents after a few bytes of its head.

use std::borrow::Cow;

use super::json::{self, RawOffsets, Span};

/// Fewer bytes than this can hold no finding.
const LEAST_BYTES: usize = 6;

/// So many characters are decoded to see whether it is worth going on.
const PROBE_CHARACTERS: usize = 256;

/// How a text is written where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Base64,
    Percent,
}

/// A text, and where in the raw string it is written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inlined {
    pub(super) text: String,
    pub(super) span: Span,
    coding: Coding,
}

impl Inlined {
    /// `text` in the coding of this one.
    pub(super) fn written(&self, text: &str) -> String {
        match self.coding {
            Coding::Base64 => encode(text.as_bytes()),
            Coding::Percent => text.bytes().fold(String::new(), |mut written, byte| {
                if byte.is_ascii_alphanumeric() {
                    written.push(char::from(byte));
                } else {
                    written.push('%');
                    written.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
                }
                written
            }),
        }
    }
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The text in the content of a JSON string, if it holds one that is coded.
pub(super) fn read(raw: &[u8]) -> Option<Inlined> {
    let said = json::unescape(raw);
    let (start, coding) = begin(&said)?;
    let payload = said.as_bytes().get(start..)?;
    let bytes = match coding {
        Coding::Base64 => {
            let probe = &payload[..payload.len().min(PROBE_CHARACTERS)];
            if !is_text(&decode(probe)) {
                return None;
            }
            decode(payload)
        }
        Coding::Percent => unquote(payload),
    };
    if bytes.len() < LEAST_BYTES || !is_text(&bytes) {
        return None;
    }
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(other) => other.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    };
    let escaped = matches!(said, Cow::Owned(_));
    let start = if escaped { RawOffsets::new(raw).of(start) } else { start };
    let span = Span { start, end: raw.len() };
    Some(Inlined { text, span, coding })
}

/// Where the coded part begins, and how it is coded. An address is none.
fn begin(said: &str) -> Option<(usize, Coding)> {
    let is_url = said.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if !is_url {
        return (!said.contains("://")).then_some((0, Coding::Base64));
    }
    let comma = memchr::memchr(b',', said.as_bytes())?;
    let is_base64 = said[..comma].to_ascii_lowercase().contains(";base64");
    Some((comma + 1, if is_base64 { Coding::Base64 } else { Coding::Percent }))
}

fn is_text(bytes: &[u8]) -> bool {
    let is_control = |byte: u8| (byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0c')) || byte == 0x7F;
    !bytes.iter().any(|&byte| is_control(byte))
}

/// As lenient as the most lenient reader: either alphabet of RFC 4648, and what is in neither is passed over.
fn decode(coded: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(coded.len() / 4 * 3 + 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for &character in coded {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from((held >> bits) & 0xFF));
            held &= (1 << bits) - 1;
        }
    }
    bytes
}

fn encode(bytes: &[u8]) -> String {
    let mut coded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |place: usize| u32::from(chunk.get(place).copied().unwrap_or_default());
        let held = (at(0) << 16) | (at(1) << 8) | at(2);
        for place in 0..4_usize {
            let value = (held >> (18 - 6 * place)) & 63;
            let is_padding = place > chunk.len();
            coded.push(if is_padding {
                '='
            } else {
                char::from(ALPHABET[value as usize])
            });
        }
    }
    coded
}

fn unquote(quoted: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(quoted.len());
    let mut at = 0;
    while let Some(&byte) = quoted.get(at) {
        let digits = (byte == b'%')
            .then(|| quoted.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(digits.unwrap_or(byte));
        at += if digits.is_some() { 3 } else { 1 };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{decode, encode, read};

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        for text in ["", "a", "ab", "abc", "jane.doe@example.com\n", "café €"] {
            assert_eq!(decode(encode(text.as_bytes()).as_bytes()), text.as_bytes());
        }
        assert_eq!(encode(b"abcde"), "YWJjZGU=");
    }

    #[test]
    fn a_text_is_found_bare_and_in_an_address_of_its_own() {
        for raw in [
            "amFuZUBleGFtcGxlLmNvbQ==",
            "amFuZUBl\\neGFtcGxlLmNvbQ",
            "data:text/plain;base64,amFuZUBleGFtcGxlLmNvbQ==",
            "DATA:image/png;charset=x;BASE64,amFuZUBleGFtcGxlLmNvbQ==",
            "data:text\\/plain,jane%40example.com",
            "data:,jane@example.com",
        ] {
            let inlined = read(raw.as_bytes());
            assert_eq!(
                inlined.map(|found| found.text).as_deref(),
                Some("jane@example.com"),
                "{raw}"
            );
        }
    }

    #[test]
    fn addresses_images_and_short_words_are_no_texts() {
        for raw in [
            "https://example.com/amFuZUBleGFtcGxlLmNvbQ==",
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB",
            "base64",
            "",
            "data:",
            "data:text/plain",
        ] {
            assert_eq!(read(raw.as_bytes()), None, "{raw}");
        }
    }

    #[test]
    fn what_stands_there_instead_is_written_the_same_way() {
        let written =
            |raw: &[u8], text| read(raw).map(|inlined| (inlined.span.of(raw).to_vec(), inlined.written(text)));
        assert_eq!(
            written(br"data:text\/plain,jane%40example.com", "[A é]"),
            Some((b"jane%40example.com".to_vec(), "%5BA%20%C3%A9%5D".to_owned()))
        );
        assert_eq!(
            written(b"amFuZUBleGFtcGxlLmNvbQ==", "[EMAIL]"),
            Some((b"amFuZUBleGFtcGxlLmNvbQ==".to_vec(), "W0VNQUlMXQ==".to_owned()))
        );
    }
}
