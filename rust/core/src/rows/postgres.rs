//! Values as `PostgreSQL` receives them in binary: each its length in four bytes, big-endian, then itself.

use super::Wrong;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
const NULL: i32 = -1;
const TEXT_OID: u32 = 25;

/// From 1970, where a row's time begins, to 2000, where `PostgreSQL`'s does.
const EPOCH_US: i128 = 946_684_800_000_000;
/// The years 1 to 9999, which every reader of the table can tell: in microseconds since 1970.
const TIMES_US: std::ops::RangeInclusive<i128> = -62_135_596_800_000_000..=253_402_300_799_999_999;

const PICO_DIGITS: u16 = 12;
const PICO: u128 = 1_000_000_000_000;
const BASE: u128 = 10_000;
const PICO_GROUPS: usize = 3;

/// All that is sent for a `COPY` of these tuples: signature, no flags, no extension; at the end a tuple of −1 columns.
pub(super) fn copy(tuples: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(SIGNATURE.len() + 10 + tuples.len());
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(tuples);
    out.extend_from_slice(&(-1_i16).to_be_bytes());
    out
}

/// One row's columns, written one after the other.
pub(super) struct Tuple<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Tuple<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>, columns: usize) -> Self {
        out.extend_from_slice(&u16::try_from(columns).unwrap_or(u16::MAX).to_be_bytes());
        Self { out }
    }

    pub(super) fn null(&mut self) {
        self.out.extend_from_slice(&NULL.to_be_bytes());
    }

    /// Without NUL, which `text` can't hold: one odd name must not hold up a batch for ever.
    pub(super) fn text(&mut self, text: &str) {
        self.sized(|out| push_text(text, out));
    }

    pub(super) fn truth(&mut self, truth: bool) {
        self.sized(|out| out.push(u8::from(truth)));
    }

    /// Cut to what a `bigint` holds.
    pub(super) fn whole(&mut self, number: i128) {
        let cut = i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX });
        self.sized(|out| out.extend_from_slice(&cut.to_be_bytes()));
    }

    pub(super) fn small(&mut self, number: i128) -> Result<(), Wrong> {
        let number = i32::try_from(number).map_err(|_| Wrong::OutOfRange)?;
        self.sized(|out| out.extend_from_slice(&number.to_be_bytes()));
        Ok(())
    }

    pub(super) fn time(&mut self, at_us: i128) -> Result<(), Wrong> {
        if !TIMES_US.contains(&at_us) {
            return Err(Wrong::OutOfRange);
        }
        let since_2000 = i64::try_from(at_us - EPOCH_US).map_err(|_| Wrong::OutOfRange)?;
        self.sized(|out| out.extend_from_slice(&since_2000.to_be_bytes()));
        Ok(())
    }

    /// Pico-dollars as dollars, exactly: groups of four decimal digits, of which three stand behind the point.
    pub(super) fn money(&mut self, picousd: i128) {
        let (whole, part) = (picousd.unsigned_abs() / PICO, picousd.unsigned_abs() % PICO);
        let mut groups: Vec<u16> = Vec::with_capacity(10);
        let mut left = whole;
        while left > 0 {
            groups.push(group(left % BASE));
            left /= BASE;
        }
        groups.reverse();
        let mut weight = groups.len();
        groups.extend([part / (BASE * BASE), part / BASE % BASE, part % BASE].map(group));
        let leading = groups.iter().take_while(|&&digits| digits == 0).count();
        groups.drain(..leading);
        while groups.last() == Some(&0) {
            groups.pop();
        }
        // The weight is the power of 10,000 of the first group: one less than how many stand before the point.
        weight += PICO_GROUPS;
        let weight = if groups.is_empty() {
            0
        } else {
            weight_of(weight - leading)
        };
        let sign: u16 = if picousd < 0 { 0x4000 } else { 0 };
        self.sized(|out| {
            out.extend_from_slice(&u16::try_from(groups.len()).unwrap_or(u16::MAX).to_be_bytes());
            out.extend_from_slice(&weight.to_be_bytes());
            out.extend_from_slice(&sign.to_be_bytes());
            out.extend_from_slice(&PICO_DIGITS.to_be_bytes());
            for digits in groups {
                out.extend_from_slice(&digits.to_be_bytes());
            }
        });
    }

    /// An array of one dimension, counted from 1; null for none.
    pub(super) fn texts(&mut self, texts: &[&str]) {
        if texts.is_empty() {
            return self.null();
        }
        self.sized(|out| {
            for number in [1, 0, TEXT_OID, length(texts.len()).unsigned_abs(), 1] {
                out.extend_from_slice(&number.to_be_bytes());
            }
            for text in texts {
                Tuple { out }.text(text);
            }
        });
    }

    /// `jsonb`: its version, then the text.
    pub(super) fn json(&mut self, text: &[u8]) {
        self.sized(|out| {
            out.push(1);
            out.extend_from_slice(text);
        });
    }

    fn sized(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let at = self.out.len();
        self.null();
        write(self.out);
        let size = length(self.out.len() - at - 4);
        self.out[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
}

/// A text as JSON, with what `PostgreSQL` can't hold replaced as in [`Tuple::text`].
pub(super) fn json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\0' => push_text("\u{fffd}", out),
            '\u{1}'..='\u{1f}' => out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes()),
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    for (index, piece) in text.split('\0').enumerate() {
        if index > 0 {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
        out.extend_from_slice(piece.as_bytes());
    }
}

/// A length of what came out of a record of a few megabytes at most.
fn length(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

fn group(digits: u128) -> u16 {
    u16::try_from(digits).unwrap_or(u16::MAX)
}

/// From how many groups, counted from the third behind the point, to the power of the first.
fn weight_of(groups: usize) -> i16 {
    i16::try_from(groups).unwrap_or(i16::MAX) - 1 - i16::try_from(PICO_GROUPS).unwrap_or(0)
}
