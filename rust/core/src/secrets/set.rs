//! Sets of ASCII characters, as keys are made of them.

/// A set of classes of characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set(u16);

const DIGIT_BIT: u16 = 1;
const LOWER_A_F: u16 = 1 << 1;
const LOWER_G_Z: u16 = 1 << 2;
const UPPER_A_F: u16 = 1 << 3;
const UPPER_G_Z: u16 = 1 << 4;
const UNDERSCORE: u16 = 1 << 5;
const DASH_BIT: u16 = 1 << 6;
const DOT_BIT: u16 = 1 << 7;
const EQUALS_BIT: u16 = 1 << 8;
const PLUS_SLASH: u16 = 1 << 9;
const TILDE_BIT: u16 = 1 << 10;
const PERCENT_BIT: u16 = 1 << 11;
const COLON_BIT: u16 = 1 << 12;

/// `0-9`
pub(super) const DIGIT: Set = Set(DIGIT_BIT);
/// `0-9a-f`
pub(super) const HEX: Set = Set(DIGIT_BIT | LOWER_A_F);
/// `0-9a-fA-F`
pub(super) const ANY_HEX: Set = Set(DIGIT_BIT | LOWER_A_F | UPPER_A_F);
/// `A-Za-z`
pub(super) const LETTER: Set = Set(LOWER_A_F | LOWER_G_Z | UPPER_A_F | UPPER_G_Z);
/// `0-9a-z`
pub(super) const LOWER: Set = Set(DIGIT_BIT | LOWER_A_F | LOWER_G_Z);
/// `0-9A-Z`
pub(super) const UPPER: Set = Set(DIGIT_BIT | UPPER_A_F | UPPER_G_Z);
/// `0-9A-Za-z`
pub(super) const ALNUM: Set = Set(LETTER.0 | DIGIT_BIT);
/// `0-9A-Za-z_`
pub(super) const WORD: Set = Set(ALNUM.0 | UNDERSCORE);
/// `0-9A-Za-z-`
pub(super) const DASHED: Set = Set(ALNUM.0 | DASH_BIT);
/// `0-9A-Za-z_-`: base64 for addresses
pub(super) const URL64: Set = Set(WORD.0 | DASH_BIT);
/// `0-9A-Za-z+/`: base64
pub(super) const BASE64: Set = Set(ALNUM.0 | PLUS_SLASH);
/// `=`
pub(super) const PADDING: Set = Set(EQUALS_BIT);

impl Set {
    /// This set with one of `_ - = . ~ % :` besides, or with `+` and `/`.
    pub(super) const fn and(self, byte: u8) -> Self {
        Self(self.0 | classes_of(byte))
    }

    pub(super) const fn has(self, byte: u8) -> bool {
        CLASSES[byte as usize] & self.0 != 0
    }

    /// How many of the first bytes, at most `most`, are in the set.
    pub(super) fn run(self, text: &[u8], most: usize) -> usize {
        let text = &text[..text.len().min(most)];
        text.iter().position(|byte| !self.has(*byte)).unwrap_or(text.len())
    }
}

const CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        classes[byte as usize] = classes_of(byte);
        byte += 1;
    }
    classes
};

const fn classes_of(byte: u8) -> u16 {
    match byte {
        b'0'..=b'9' => DIGIT_BIT,
        b'a'..=b'f' => LOWER_A_F,
        b'g'..=b'z' => LOWER_G_Z,
        b'A'..=b'F' => UPPER_A_F,
        b'G'..=b'Z' => UPPER_G_Z,
        b'_' => UNDERSCORE,
        b'-' => DASH_BIT,
        b'.' => DOT_BIT,
        b'=' => EQUALS_BIT,
        b'+' | b'/' => PLUS_SLASH,
        b'~' => TILDE_BIT,
        b'%' => PERCENT_BIT,
        b':' => COLON_BIT,
        _ => 0,
    }
}
