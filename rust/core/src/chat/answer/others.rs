//! An answer that is neither a chat's nor of a newer dialect: moderations, rerank, images, transcriptions.

use std::borrow::Cow;

use super::{Told, is_error, words};
use crate::chat::Usage;
use crate::chat::json::{self, Member, Span};
use crate::chat::usage::milliseconds;

/// What the answer tells. The images, results or verdicts are its choices.
pub(super) fn told(text: &[u8]) -> Told {
    let mut told = Told::default();
    for Member { key, value } in json::members(text, 0) {
        match &*key {
            b"usage" => told.usage.merge(read_usage(text, value)),
            // Cohere's, whose search units are no tokens.
            b"meta" => {
                for units in json::members(text, value.start).filter(|member| &*member.key == b"billed_units") {
                    told.usage.merge(read_usage(text, units.value));
                }
            }
            b"model" => told.model = words(text, value).map(Cow::into_owned),
            // Of a transcription that is told at length; what its usage says goes before.
            b"duration" => told.usage.audio_ms = told.usage.audio_ms.or(milliseconds(value.of(text))),
            b"data" | b"results" => told.choices = json::elements(text, value.start).count(),
            b"text" => told.choices = usize::from(json::string(text, value).is_some()),
            _ => told.error |= is_error(&key, value.of(text)),
        }
    }
    told
}

/// Gives `say` the text of a transcription.
pub(super) fn said(text: &[u8], mut say: impl FnMut(&[u8])) {
    let said = json::members(text, 0).filter(|member| &*member.key == b"text");
    for content in said.filter_map(|member| json::string(text, member.value)) {
        say(content.of(text));
    }
}

/// Both spellings: `input_tokens` (images, transcriptions, Cohere) and `prompt_tokens` (vLLM), or a total alone (Jina),
/// which is then all prompt. Seconds of sound are no tokens.
fn read_usage(text: &[u8], value: Span) -> Usage {
    let mut usage = Usage::read(text, value);
    usage.merge(Usage::read_newer(text, value));
    if usage.prompt.is_none() && usage.completion.is_none() {
        usage.prompt = usage.total;
    }
    usage
}
