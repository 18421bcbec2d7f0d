//! The account of a chat stream: chunks with choices and deltas.

use super::{Account, Verdict, choice_index};
use crate::chat::json::{self, Edit, Member, Span};
use crate::chat::{ServiceTier, Usage, is_error, spoken, usage_within, words};

impl Account {
    /// Enters a chunk.
    pub(super) fn enter_chunk(&mut self, payload: &[u8], named_error: bool) -> Verdict {
        if payload.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Verdict::Withhold;
        }
        let was_open = self.open();
        let chunk = Chunk::read(payload);
        if let Some(value) = chunk.usage {
            let usage = Usage::read(payload, value);
            if was_open || !usage.is_zero() {
                self.usage.merge(usage);
            }
        }
        self.usage.service_tier = chunk.service_tier.or(self.usage.service_tier);
        if !was_open {
            return Verdict::Withhold;
        }
        let mut edits = Vec::new();
        if let Some(choices) = chunk.choices {
            for choice in json::elements(payload, choices.start) {
                self.hear(payload, choice, &mut edits);
            }
        }
        if chunk.error || named_error {
            return self.fail(payload);
        }
        if self.manner.hide_usage && chunk.is_only_usage(payload) {
            return Verdict::Withhold;
        }
        if edits.is_empty() || !are_apart(payload, &edits) {
            return self.pass();
        }
        self.rewrite(json::splice(payload, &edits))
    }

    /// Takes in what one choice says in one chunk; what has to be put right is added to `edits`.
    fn hear(&mut self, payload: &[u8], choice: Span, edits: &mut Vec<Edit>) {
        let (mut index, mut finish_reason, mut delta, mut continuation) = (0, None, None, None);
        for Member { key, value } in json::members(payload, choice.start) {
            match &*key {
                b"index" => index = choice_index(value.of(payload)),
                b"finish_reason" => finish_reason = words(payload, value),
                b"delta" => delta = Some(value),
                b"text" => continuation = json::string(payload, value),
                _ => {}
            }
        }
        let at = self.choice_at(index);
        if let Some(reason) = finish_reason {
            self.choices[at].finish_reason = Some(reason.into_owned());
        }
        if let Some(delta) = delta {
            self.has_content = self.has_content || says_something(payload, delta);
            if let Some(calls) = spoken(payload, delta, |raw| self.keep(at, raw)) {
                self.choices[at].calls.hear(payload, calls, edits);
            }
        }
        if let Some(continuation) = continuation.filter(|text| text.len() > 0) {
            self.has_content = true;
            self.keep(at, continuation.of(payload));
        }
    }
}

/// The parts of a `chat.completion.chunk` that matter here.
#[derive(Default)]
struct Chunk {
    choices: Option<Span>,
    usage: Option<Span>,
    service_tier: Option<ServiceTier>,
    error: bool,
}

impl Chunk {
    fn read(payload: &[u8]) -> Self {
        let mut chunk = Self::default();
        for Member { key, value } in json::members(payload, 0) {
            match &*key {
                b"choices" => chunk.choices = Some(value),
                b"service_tier" => chunk.service_tier = ServiceTier::read(payload, value),
                b"usage" => chunk.usage = usage_object(payload, value).or(chunk.usage),
                b"x_groq" => {
                    let usage = usage_within(payload, value).and_then(|value| usage_object(payload, value));
                    chunk.usage = chunk.usage.or(usage);
                }
                _ => chunk.error |= is_error(&key, value.of(payload)),
            }
        }
        chunk
    }

    fn is_only_usage(&self, payload: &[u8]) -> bool {
        let empty = |choices: Span| {
            payload.get(choices.start) == Some(&b'[') && json::elements(payload, choices.start).next().is_none()
        };
        self.usage.is_some() && self.choices.is_some_and(empty)
    }
}

/// The value, if it is an object: most chunks say `null`.
fn usage_object(payload: &[u8], value: Span) -> Option<Span> {
    (payload.get(value.start) == Some(&b'{')).then_some(value)
}

/// Whether the edits follow each other within the payload: on broken text, which was not checked, they may not.
fn are_apart(payload: &[u8], edits: &[Edit]) -> bool {
    let mut from = 0;
    edits.iter().all(|edit| {
        let fits = from <= edit.span.start && edit.span.start <= edit.span.end && edit.span.end <= payload.len();
        from = edit.span.end;
        fits
    })
}

/// Whether a delta holds more than a role and empty fields.
fn says_something(payload: &[u8], delta: Span) -> bool {
    json::members(payload, delta.start).any(|Member { key, value }| {
        &*key != b"role" && !matches!(value.of(payload), b"null" | b"\"\"" | b"[]" | b"{}")
    })
}
