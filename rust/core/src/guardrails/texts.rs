//! The texts of a stream that are under way, and the numbers of its events.

use std::borrow::Cow;
use std::fmt;

use super::field::Field;
use super::scopes::Key;
use super::sites::Kind;

/// A text that comes in pieces.
pub(super) struct Text {
    pub(super) key: Key,
    pub(super) kind: Kind,
    pub(super) field: Field,
    /// While something waits, the event that brought the last piece of it.
    pub(super) event: Vec<u8>,
}

impl Text {
    /// Keeps the event that brought a piece, if something of it waits.
    pub(super) fn keep(&mut self, event: &[u8]) {
        self.event.clear();
        if self.field.is_held() {
            self.event.extend_from_slice(event);
        } else {
            self.event.shrink_to(EVENT_BYTES);
        }
    }
}

/// So much room for an event stays where nothing waits.
const EVENT_BYTES: usize = 4096;

impl fmt::Debug for Text {
    /// Without what is said.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Text")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// How much is kept of all of them, in bytes.
pub(super) fn bytes_kept(texts: &[Text]) -> usize {
    texts
        .iter()
        .map(|text| text.event.len() + text.field.bytes_kept())
        .sum()
}

/// The numbers of events, where they have some.
#[derive(Debug, Default)]
pub(super) struct Count {
    /// How many events were added.
    added: u64,
    last: u64,
}

impl Count {
    /// The number of an event that was told as `raw`.
    pub(super) fn moved(&mut self, raw: &[u8]) -> Option<Cow<'static, str>> {
        let told: u64 = std::str::from_utf8(raw).ok()?.parse().ok()?;
        self.last = told.saturating_add(self.added);
        (self.added > 0).then(|| self.last.to_string().into())
    }

    /// The number of an event that is added.
    pub(super) fn add(&mut self) -> u64 {
        self.added += 1;
        self.last += 1;
        self.last
    }
}
