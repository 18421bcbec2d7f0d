//! What stands in the place of a finding.

use super::digest::DigestKey;

/// Letters that make no word and no code of anything: no vowels, no digits.
const CONSONANTS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Digits of a digest that stand in a text.
const HASH_DIGITS: usize = 12;
/// Letters and digits that a mask leaves.
const LEFT: usize = 4;
/// Values with fewer letters and digits are masked wholly.
const LEAST_MASKED: usize = 8;

/// The kind as placeholders name it: `AWS_ACCESS_KEY_ID`.
fn shouted(kind: &str) -> String {
    kind.chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

/// `[EMAIL]`.
pub(super) fn placeholder(kind: &str) -> String {
    format!("[{}]", shouted(kind))
}

/// `[EMAIL_QWRTPSDF]`: the same for the same value for ever. The more letters, the fewer values share them.
pub(super) fn named_placeholder(kind: &str, value: &str, key: &DigestKey, letters: usize) -> String {
    let digest = key.digest(kind, value);
    let letter = |byte: &u8| char::from(CONSONANTS[usize::from(*byte) % CONSONANTS.len()]);
    let name: String = digest.iter().take(letters).map(letter).collect();
    format!("[{}_{name}]", shouted(kind))
}

/// `[EMAIL:1f0c2a9b7e3d]`.
pub(super) fn hash(kind: &str, value: &str, key: &DigestKey) -> String {
    let digest = key.digest(kind, value);
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits: String = halves
        .take(HASH_DIGITS)
        .filter_map(|half| char::from_digit(u32::from(half), 16))
        .collect();
    format!("[{}:{digits}]", shouted(kind))
}

/// `***-**-6789`: every letter and digit but the last four is hidden, of short values every one.
pub(super) fn mask(value: &str) -> String {
    let count = value.chars().filter(|letter| letter.is_alphanumeric()).count();
    let mut hidden = if count < LEAST_MASKED { count } else { count - LEFT };
    let masked = value.chars().map(|letter| {
        if !letter.is_alphanumeric() {
            return letter;
        }
        let is_hidden = hidden > 0;
        hidden = hidden.saturating_sub(1);
        if is_hidden { '*' } else { letter }
    });
    masked.collect()
}

#[cfg(test)]
mod tests {
    use super::{hash, mask, named_placeholder, placeholder};
    use crate::guardrails::digest::DigestKey;

    #[test]
    fn a_mask_leaves_the_last_four_and_what_separates() {
        assert_eq!(mask("4111 1111 1111 1234"), "**** **** **** 1234");
        assert_eq!(mask("078-05-1120"), "***-**-1120");
        assert_eq!(mask("jane@example.org"), "****@******e.org");
        assert_eq!(mask("hunter2"), "*******");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn placeholders_name_their_kind() {
        let key = DigestKey::of_tenant(b"secret", "acme");
        assert_eq!(placeholder("aws_access_key_id"), "[AWS_ACCESS_KEY_ID]");
        let named = named_placeholder("email", "jane@example.org", &key, 8);
        assert_eq!(named, named_placeholder("email", "jane@example.org", &key, 8));
        assert_eq!(named.len(), "[EMAIL_]".len() + 8);
        assert!(
            named[7..15]
                .chars()
                .all(|letter| letter.is_ascii_uppercase() && !"AEIOUY".contains(letter))
        );
        assert_ne!(named, named_placeholder("email", "joan@example.org", &key, 8));
        assert_ne!(
            hash("email", "a@example.org", &key),
            hash("phone", "a@example.org", &key)
        );
        assert_ne!(
            hash("email", "a@example.org", &key),
            hash("email", "a@example.org", &DigestKey::of_tenant(b"secret", "other"))
        );
    }
}
