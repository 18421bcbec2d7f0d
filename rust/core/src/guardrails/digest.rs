//! Keyed digests of values: what a placeholder or a hash is made of.

use std::fmt;

use sha2::{Digest as _, Sha256};

const BLOCK_BYTES: usize = 64;

/// A key for digests. One tenant's digests tell nothing about another's.
#[derive(Clone, Copy)]
pub(super) struct DigestKey([u8; 32]);

impl DigestKey {
    /// The key of a tenant, of the gateway's own secret.
    pub(super) fn of_tenant(secret: &[u8], tenant: &str) -> Self {
        Self(hmac(secret, &[tenant.as_bytes()]))
    }

    /// The digest of a value that is labelled `label`.
    pub(super) fn digest(&self, label: &str, value: &str) -> [u8; 32] {
        hmac(&self.0, &[label.as_bytes(), &[0], value.as_bytes()])
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("DigestKey")
    }
}

/// HMAC-SHA256 (RFC 2104) of the parts one behind the other.
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = [0; BLOCK_BYTES];
    if key.len() > BLOCK_BYTES {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| Sha256::new_with_prefix(block.map(|byte| byte ^ pad));
    let mut inner = padded(0x36);
    for part in parts {
        inner.update(part);
    }
    padded(0x5C).chain_update(inner.finalize()).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::hmac;

    fn hex(bytes: &[u8]) -> String {
        let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        halves
            .filter_map(|half| char::from_digit(u32::from(half), 16))
            .collect()
    }

    #[test]
    fn digests_are_those_of_rfc_4231() {
        assert_eq!(
            hex(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(
                &[0xAA; 131],
                &[b"Test Using Larger Than Block-Size Key - Hash Key First"]
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
