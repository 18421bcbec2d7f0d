//! API keys: their form, their digests, and the bounded table of known keys (L1).
//!
//! A key reads `tw_<environment>_<43 characters><6 characters>`: 256 random bits in base 62, then the CRC-32 of
//! everything before in base 62 (the scheme of GitHub's tokens). The checksum lets a typing error, a cut key or a
//! secret of somebody else's be refused without asking anybody, and lets secret scanners recognise ours for certain.
//!
//! This module never stores a secret, only its digest, and never draws randomness: the caller hands it in.

mod lru;
mod table;
#[cfg(test)]
mod tests;

pub use table::{Forgotten, Found, KeyTable};

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a secret: what tables and the database know of it.
pub type Digest = [u8; 32];

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SCHEME: &str = "tw_";
/// 62^43 is just above 2^256.
const RANDOM_CHARS: usize = 43;
/// 62^6 is above 2^32.
const CHECKSUM_CHARS: usize = 6;
const LONGEST_ENVIRONMENT: usize = 12;
/// Of the random part, this much may be shown: 35 of 256 bits.
const SHOWN_CHARS: usize = 6;

/// Why no key could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The environment is not 1 to 12 letters `a` to `z`.
    #[error("the environment of a key is 1 to 12 letters from a to z")]
    Environment,
}

/// A new key for `environment` (`live`, `test`, `admin`…) out of 256 random bits.
///
/// `random` must come from the operating system's generator; the same bits make the same key.
pub fn generate(environment: &str, random: &[u8; 32]) -> Result<String, KeyError> {
    if !is_environment(environment.as_bytes()) {
        return Err(KeyError::Environment);
    }
    let mut key = format!("{SCHEME}{environment}_");
    push_base62(&mut key, *random, RANDOM_CHARS);
    let checksum = crc32(key.as_bytes());
    push_base62(&mut key, checksum.to_be_bytes(), CHECKSUM_CHARS);
    Ok(key)
}

/// Whether `secret` has the form of a key and its checksum is right. Any bytes of any length may be asked about;
/// the work is bounded by the length of a key, so a megabyte in a header costs nothing.
#[must_use]
pub fn well_formed(secret: &[u8]) -> bool {
    let Some(body) = body_start(secret) else { return false };
    let (signed, checksum) = secret.split_at(body + RANDOM_CHARS);
    if !secret[body..].iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let mut expected = String::with_capacity(CHECKSUM_CHARS);
    push_base62(&mut expected, crc32(signed).to_be_bytes(), CHECKSUM_CHARS);
    expected.as_bytes() == checksum
}

/// What may be shown of `secret` in lists and logs: `tw_live_` and six characters. Of a secret in another form
/// (one chosen by hand in the configuration file) at most four characters and never more than an eighth.
#[must_use]
pub fn prefix(secret: &str) -> &str {
    let shown = if well_formed(secret.as_bytes()) {
        body_start(secret.as_bytes()).map_or(0, |body| body + SHOWN_CHARS)
    } else {
        let chars = (secret.chars().count() / 8).min(4);
        secret.char_indices().nth(chars).map_or(0, |(at, _)| at)
    };
    &secret[..shown]
}

/// The digest under which a secret is stored and looked up: SHA-256, once, without salt.
///
/// A slow, salted hash protects what people choose. These secrets carry 256 random bits: nobody can guess their way
/// back from the digest however fast the hash is, two never share a value, and every request pays for it.
#[must_use]
pub fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}

fn is_environment(name: &[u8]) -> bool {
    (1..=LONGEST_ENVIRONMENT).contains(&name.len()) && name.iter().all(u8::is_ascii_lowercase)
}

/// Where the random part starts, if scheme, environment and length are right.
fn body_start(secret: &[u8]) -> Option<usize> {
    let body = secret.len().checked_sub(RANDOM_CHARS + CHECKSUM_CHARS)?;
    if body > SCHEME.len() + LONGEST_ENVIRONMENT + 1 {
        return None;
    }
    let environment = secret[..body].strip_prefix(SCHEME.as_bytes())?.strip_suffix(b"_")?;
    is_environment(environment).then_some(body)
}

/// Appends the big-endian `number` as exactly `chars` characters: long division by 62, byte by byte.
fn push_base62<const BYTES: usize>(text: &mut String, mut number: [u8; BYTES], chars: usize) {
    let mut reversed = [0_u8; RANDOM_CHARS];
    for place in &mut reversed[..chars] {
        let mut remainder = 0_u16;
        for byte in &mut number {
            let dividend = remainder << 8 | u16::from(*byte);
            *byte = u8::try_from(dividend / 62).unwrap_or(u8::MAX);
            remainder = dividend % 62;
        }
        *place = ALPHABET[usize::from(remainder)];
    }
    text.extend(reversed[..chars].iter().rev().map(|byte| char::from(*byte)));
}

/// CRC-32 as in zlib and IEEE 802.3, a bit at a time: sixty bytes once a call do not earn a table or a dependency.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
