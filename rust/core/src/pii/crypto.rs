//! Addresses of Bitcoin and Ethereum: the check sums of `Base58Check`, Bech32 and Bech32m, and for Ethereum the form.

use sha2::{Digest, Sha256};

use super::code::View;
use super::number::is_word;

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// Characters of the longest address.
const LONGEST: usize = 90;
/// A version, a hash of 20 bytes, a check sum of 4.
const BASE58_BYTES: usize = 25;

/// Where the address that begins at `start` ends.
pub(super) fn at(view: &View<'_>, start: usize) -> Option<usize> {
    let rest = &view.bytes[start..];
    let starts = |mark: &[u8]| rest.len() >= mark.len() && rest[..mark.len()].eq_ignore_ascii_case(mark);
    if !(starts(b"1") || starts(b"3") || starts(b"bc1") || starts(b"0x")) {
        return None;
    }
    let length = rest.iter().take(LONGEST + 1).take_while(|byte| is_word(**byte)).count();
    let address = &rest[..length];
    let valid = match address {
        [b'0', b'x' | b'X', hex @ ..] => hex.len() == 40 && is_ethereum(hex),
        [b'1' | b'3', ..] => (26..=35).contains(&length) && is_base58check(address),
        _ => (14..=LONGEST).contains(&length) && is_bech32(address),
    };
    valid.then_some(start + length)
}

/// Twenty bytes that are not all alike: letters tell a hash from a row of zeros.
fn is_ethereum(hex: &[u8]) -> bool {
    let digits = hex.iter().filter(|byte| byte.is_ascii_digit()).count();
    hex.iter().all(u8::is_ascii_hexdigit) && (8..=36).contains(&digits)
}

/// Twenty-five bytes in base 58; the last four are the hash of the rest, of version 0 (key) or 5 (script).
fn is_base58check(address: &[u8]) -> bool {
    let mut bytes = [0_u8; BASE58_BYTES];
    for symbol in address {
        let Some((value, _)) = (0_u16..).zip(BASE58).find(|(_, known)| *known == symbol) else {
            return false;
        };
        let mut carry = value;
        for byte in bytes.iter_mut().rev() {
            carry += u16::from(*byte) * 58;
            let [high, low] = carry.to_be_bytes();
            (carry, *byte) = (u16::from(high), low);
        }
        if carry > 0 {
            return false;
        }
    }
    let (payload, sum) = bytes.split_at(BASE58_BYTES - 4);
    matches!(payload[0], 0 | 5) && Sha256::digest(Sha256::digest(payload))[..4] == *sum
}

/// BIP 173 and BIP 350: a polynomial over the data and the prefix `bc`, 1 or a constant.
fn is_bech32(address: &[u8]) -> bool {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    const SUMS: [u32; 2] = [1, 0x2bc8_30a3];
    let mixed = address.iter().any(u8::is_ascii_lowercase) && address.iter().any(u8::is_ascii_uppercase);
    let mut sum = 1_u32;
    let mut take = |value: u32| {
        let top = sum >> 25;
        sum = (sum & 0x1ff_ffff) << 5 ^ value;
        for (place, part) in GENERATOR.iter().enumerate() {
            if top >> place & 1 == 1 {
                sum ^= part;
            }
        }
    };
    for value in [3, 3, 0, 2, 3] {
        take(value);
    }
    for symbol in &address[3..] {
        let Some(value) = (0_u32..)
            .zip(BECH32)
            .find(|(_, known)| **known == symbol.to_ascii_lowercase())
        else {
            return false;
        };
        take(value.0);
    }
    !mixed && SUMS.contains(&sum)
}
