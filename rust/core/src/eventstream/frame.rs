//! One frame: its lengths, its sums, its headers.

use super::BadFrame;

/// Two lengths and their sum.
pub(super) const PRELUDE_BYTES: usize = 12;

/// The sum at the end.
const SUM_BYTES: usize = 4;

/// More than any service sends; names are compared pairwise.
const HEADERS_MAX: usize = 64;

/// The value of a header, in one of the format's ten types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Types 2 to 5: of 8, 16, 32 and 64 bits.
    Integer(i64),
    /// Type 6.
    Bytes(&'a [u8]),
    /// Type 7.
    Text(&'a str),
    /// Type 8: milliseconds since 1970.
    Timestamp(i64),
    /// Type 9.
    Uuid(&'a [u8; 16]),
}

/// A frame whose sums are right. Its headers, in order, have different names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Names and values.
    pub headers: Vec<(&'a str, Value<'a>)>,
    /// What it carries.
    pub payload: &'a [u8],
}

/// How long the frame is that begins with `bytes`; `None` while its prelude is not whole.
pub(super) fn frame_bytes(bytes: &[u8], max_frame_bytes: usize) -> Result<Option<usize>, BadFrame> {
    let Some((prelude, _)) = bytes.split_first_chunk::<PRELUDE_BYTES>() else {
        return Ok(None);
    };
    if crc32fast::hash(&prelude[..8]) != word(&prelude[8..]) {
        return Err(BadFrame::Checksum);
    }
    let (total, headers) = (length(&prelude[..4]), length(&prelude[4..8]));
    if total > max_frame_bytes {
        return Err(BadFrame::TooLarge { max_frame_bytes });
    }
    if total < PRELUDE_BYTES + SUM_BYTES || headers > total - PRELUDE_BYTES - SUM_BYTES {
        return Err(BadFrame::Lengths);
    }
    Ok(Some(total))
}

impl<'a> Frame<'a> {
    /// Reads a whole frame, whose prelude [`frame_bytes`] has found good.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, BadFrame> {
        let (body, sum) = bytes
            .split_at_checked(bytes.len() - SUM_BYTES)
            .ok_or(BadFrame::Lengths)?;
        if crc32fast::hash(body) != word(sum) {
            return Err(BadFrame::Checksum);
        }
        let (headers, payload) = body[PRELUDE_BYTES..]
            .split_at_checked(length(&body[4..8]))
            .ok_or(BadFrame::Lengths)?;
        Ok(Self {
            headers: read_headers(headers).ok_or(BadFrame::Headers)?,
            payload,
        })
    }
}

fn read_headers(mut bytes: &[u8]) -> Option<Vec<(&str, Value<'_>)>> {
    let mut headers: Vec<(&str, Value<'_>)> = Vec::new();
    while !bytes.is_empty() {
        let &[size] = take(&mut bytes)?;
        let name = text(take_slice(&mut bytes, usize::from(size))?)?;
        let value = read_value(&mut bytes)?;
        let is_known = headers.iter().any(|(known, _)| *known == name);
        if name.is_empty() || is_known || headers.len() == HEADERS_MAX {
            return None;
        }
        headers.push((name, value));
    }
    Some(headers)
}

fn read_value<'a>(bytes: &mut &'a [u8]) -> Option<Value<'a>> {
    let &[kind] = take(bytes)?;
    Some(match kind {
        0 => Value::Bool(true),
        1 => Value::Bool(false),
        2 => Value::Integer(i64::from(i8::from_be_bytes(*take(bytes)?))),
        3 => Value::Integer(i64::from(i16::from_be_bytes(*take(bytes)?))),
        4 => Value::Integer(i64::from(i32::from_be_bytes(*take(bytes)?))),
        5 => Value::Integer(i64::from_be_bytes(*take(bytes)?)),
        6 => Value::Bytes(take_sized(bytes)?),
        7 => Value::Text(text(take_sized(bytes)?)?),
        8 => Value::Timestamp(i64::from_be_bytes(*take(bytes)?)),
        9 => Value::Uuid(take(bytes)?),
        _ => return None,
    })
}

fn take<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(taken)
}

fn take_slice<'a>(bytes: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(size)?;
    *bytes = rest;
    Some(taken)
}

fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let size = u16::from_be_bytes(*take(bytes)?);
    take_slice(bytes, usize::from(size))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// Four bytes, big-endian.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |word, &byte| word << 8 | u32::from(byte))
}

fn length(bytes: &[u8]) -> usize {
    usize::try_from(word(bytes)).unwrap_or(usize::MAX)
}
