//! An answer in Anthropic's dialect.

use std::borrow::Cow;

use super::{Told, is_error, words};
use crate::chat::json::{self, Member, Span};
use crate::chat::usage::MessageUsage;

/// What a message tells. Its `stop_reason` stays in Anthropic's words.
pub(super) fn told(text: &[u8]) -> Told {
    let mut told = Told::default();
    for Member { key, value } in json::members(text, 0) {
        match &*key {
            b"usage" => told.usage = MessageUsage::read(text, value).told(),
            b"model" => told.model = words(text, value).map(Cow::into_owned),
            b"stop_reason" => told.finish_reasons.extend(words(text, value).map(Cow::into_owned)),
            b"type" => match value.of(text) {
                br#""message""# => told.choices = 1,
                br#""error""# => told.error = true,
                _ => {}
            },
            _ => told.error |= is_error(&key, value.of(text)),
        }
    }
    told
}

/// Gives `say` what the blocks say.
pub(super) fn said(text: &[u8], mut say: impl FnMut(&[u8])) {
    for content in json::members(text, 0).filter(|member| &*member.key == b"content") {
        for block in json::elements(text, content.value.start) {
            spoken(text, block, &mut say);
        }
    }
}

/// Gives `say` what a block says, or a delta of one: text, thoughts, the names and arguments of calls. What came from elsewhere
/// (results of the provider's own tools, cited texts) the model has read, not written.
pub(crate) fn spoken(text: &[u8], block: Span, mut say: impl FnMut(&[u8])) {
    for Member { key, value } in json::members(text, block.start) {
        match &*key {
            b"text" | b"thinking" | b"name" | b"partial_json" => {
                if let Some(content) = json::string(text, value).filter(|content| content.len() > 0) {
                    say(content.of(text));
                }
            }
            // A stream's block begins with empty arguments, whatever they will be.
            b"input" if value.of(text) != b"{}" => say(value.of(text)),
            _ => {}
        }
    }
}
