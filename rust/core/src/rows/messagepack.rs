//! As much of `MessagePack` as a usage row is made of; what else there may be is passed over whole.

use super::Wrong;

/// Reads one value after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Whether the next value is a text.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.rest.first(), Some(0xa0..=0xbf | 0xd9..=0xdb))
    }

    /// Whether the next value is nil, which is then read.
    pub(super) fn nil(&mut self) -> bool {
        let is_nil = self.rest.first() == Some(&0xc0);
        if is_nil {
            self.rest = &self.rest[1..];
        }
        is_nil
    }

    pub(super) fn truth(&mut self) -> Result<bool, Wrong> {
        match self.byte()? {
            0xc2 => Ok(false),
            0xc3 => Ok(true),
            _ => Err(Wrong::Unreadable),
        }
    }

    pub(super) fn integer(&mut self) -> Result<i128, Wrong> {
        let marker = self.byte()?;
        Ok(match marker {
            0x00..=0x7f => i128::from(marker),
            0xe0..=0xff => i128::from(i8::from_be_bytes([marker])),
            0xcc..=0xcf => i128::from(self.number(1 << (marker - 0xcc))?),
            0xd0 => i128::from(i8::from_be_bytes(self.fixed()?)),
            0xd1 => i128::from(i16::from_be_bytes(self.fixed()?)),
            0xd2 => i128::from(i32::from_be_bytes(self.fixed()?)),
            0xd3 => i128::from(i64::from_be_bytes(self.fixed()?)),
            _ => return Err(Wrong::Unreadable),
        })
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Wrong> {
        let marker = self.byte()?;
        let length = match marker {
            0xa0..=0xbf => u64::from(marker & 0x1f),
            0xd9..=0xdb => self.number(1 << (marker - 0xd9))?,
            _ => return Err(Wrong::Unreadable),
        };
        std::str::from_utf8(self.bytes(length)?).map_err(|_| Wrong::Unreadable)
    }

    /// The number of values in the array whose values come next.
    pub(super) fn array(&mut self) -> Result<usize, Wrong> {
        let marker = self.byte()?;
        let count = match marker {
            0x90..=0x9f => u64::from(marker & 0x0f),
            0xdc => self.number(2)?,
            0xdd => self.number(4)?,
            _ => return Err(Wrong::Unreadable),
        };
        // Each value takes a byte at least: a count beyond that is a lie, and not to be trusted with memory.
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.rest.len())
            .ok_or(Wrong::Unreadable)
    }

    /// Passes over one value with all that is in it.
    pub(super) fn skip(&mut self) -> Result<(), Wrong> {
        let mut left: u64 = 1;
        while left > 0 {
            left -= 1;
            let marker = self.byte()?;
            let (bytes, values) = match marker {
                0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
                0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
                0x90..=0x9f => (0, u64::from(marker & 0x0f)),
                0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
                0xc4..=0xc6 => (self.number(1 << (marker - 0xc4))?, 0),
                0xc7..=0xc9 => (1 + self.number(1 << (marker - 0xc7))?, 0),
                0xca => (4, 0),
                0xcb => (8, 0),
                0xcc..=0xcf => (1 << (marker - 0xcc), 0),
                0xd0..=0xd3 => (1 << (marker - 0xd0), 0),
                0xd4..=0xd8 => (1 + (1 << (marker - 0xd4)), 0),
                0xd9..=0xdb => (self.number(1 << (marker - 0xd9))?, 0),
                0xdc => (0, self.number(2)?),
                0xdd => (0, self.number(4)?),
                0xde => (0, 2 * self.number(2)?),
                0xdf => (0, 2 * self.number(4)?),
                0xc1 => return Err(Wrong::Unreadable),
            };
            self.bytes(bytes)?;
            left += values;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, Wrong> {
        let (&first, rest) = self.rest.split_first().ok_or(Wrong::Unreadable)?;
        self.rest = rest;
        Ok(first)
    }

    fn bytes(&mut self, count: u64) -> Result<&'a [u8], Wrong> {
        let count = usize::try_from(count).map_err(|_| Wrong::Unreadable)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Wrong::Unreadable)?;
        self.rest = rest;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Wrong::Unreadable)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned number of so many bytes, big-endian.
    fn number(&mut self, count: u64) -> Result<u64, Wrong> {
        Ok(self
            .bytes(count)?
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }
}
