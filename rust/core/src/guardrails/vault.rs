//! The originals of a call's placeholders.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use super::digest::DigestKey;
use super::pattern;

/// So many values are remembered, and so many bytes of them: what comes later has its placeholder, and keeps it in answers.
const VALUES_MAX: usize = 4096;
const BYTES_MAX: usize = 1024 * 1024;

/// Letters of a placeholder's name; as many again where two values of a call would share them.
const LETTERS: usize = 8;
const LETTERS_MAX: usize = 32;

/// Values by the placeholder that stands for each. Memory only: never written, never shown.
#[derive(Clone, Default)]
pub(super) struct Vault {
    values: HashMap<String, String>,
    bytes: usize,
}

impl Vault {
    /// The placeholder of a value, which is remembered.
    pub(super) fn keep(&mut self, kind: &str, value: &str, key: &DigestKey) -> String {
        let mut letters = LETTERS;
        loop {
            let placeholder = pattern::named_placeholder(kind, value, key, letters);
            let has_room = self.values.len() < VALUES_MAX && self.bytes + value.len() <= BYTES_MAX;
            match self.values.entry(placeholder.clone()) {
                Entry::Occupied(held) if held.get() != value && letters < LETTERS_MAX => letters += LETTERS,
                Entry::Occupied(_) => return placeholder,
                Entry::Vacant(free) => {
                    if has_room {
                        self.bytes += value.len();
                        free.insert(value.to_owned());
                    }
                    return placeholder;
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value that a placeholder stands for.
    pub(super) fn original(&self, placeholder: &str) -> Option<&str> {
        self.values.get(placeholder).map(String::as_str)
    }
}

impl fmt::Debug for Vault {
    /// Without the values.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Vault({} values)", self.values.len())
    }
}
