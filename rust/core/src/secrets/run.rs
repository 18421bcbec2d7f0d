//! Where a text has long rows of characters without a space: nearly all keys are such rows, and prose has few.

/// Every key, and every random value beside a key word, begins with at least so many bytes of a row.
pub(super) const LONG_BYTES: usize = 14;
/// Reading eight bytes at every seventh place meets every row of 14.
const STRIDE: usize = 7;
const WORD: usize = 8;

/// Whether rows go on over `byte`: `+` to `~`, which are the digits, the letters, and the signs that keys are made of.
pub(super) const fn is_row(byte: u8) -> bool {
    matches!(byte, 0x2b..=0x7f)
}

/// The next row of at least [`LONG_BYTES`] at or behind `from`, as offsets. Of a row around `from`, only the rest counts.
pub(super) fn next(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut floor = from;
    let mut at = from;
    while let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk::<WORD>) {
        if !is_all_row(u64::from_le_bytes(*word)) {
            at += STRIDE;
            continue;
        }
        let before = text[floor..at].iter().rev().take_while(|byte| is_row(**byte)).count();
        let start = at - before;
        let behind = text[at + WORD..].iter().take_while(|byte| is_row(**byte)).count();
        let end = at + WORD + behind;
        if end - start >= LONG_BYTES {
            return Some((start, end));
        }
        floor = end;
        at = end;
    }
    None
}

/// Where the row begins that ends with the text, if its last byte is of one; looks at no more than `most` bytes.
pub(super) fn tail(text: &[u8], most: usize) -> usize {
    let near = &text[text.len().saturating_sub(most)..];
    text.len() - near.iter().rev().take_while(|byte| is_row(**byte)).count()
}

/// Whether all eight bytes are of a row: a byte is if adding 0x55 sets its highest bit and that was not set before.
const fn is_all_row(word: u64) -> bool {
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    const REST: u64 = !HIGHEST;
    const UP_TO_0X2B: u64 = 0x5555_5555_5555_5555;
    ((word & REST) + UP_TO_0X2B) & !word & HIGHEST == HIGHEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slowly(text: &[u8], from: usize) -> Option<(usize, usize)> {
        let mut at = from;
        while at < text.len() {
            let length = text[at..].iter().take_while(|byte| is_row(**byte)).count();
            if length >= LONG_BYTES {
                return Some((at, at + length));
            }
            at += length + 1;
        }
        None
    }

    proptest! {
        #[test]
        fn a_row_is_found_wherever_it_stands(text in "[a ~+*\u{7f}\u{e9}]{0,60}", from in 0_usize..20) {
            let from = from.min(text.len());
            prop_assert_eq!(next(text.as_bytes(), from), slowly(text.as_bytes(), from));
        }

        #[test]
        fn eight_bytes_are_judged_as_each_is(bytes: [u8; 8]) {
            prop_assert_eq!(is_all_row(u64::from_le_bytes(bytes)), bytes.into_iter().all(is_row));
        }
    }
}
