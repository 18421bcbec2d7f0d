//! The account of an Anthropic stream: a message of blocks, each begun, continued and ended.

use super::{Account, Verdict, choice_index};
use crate::chat::json::{self, Member, Span};
use crate::chat::messages::spoken;
use crate::chat::{MessageUsage, is_error, words};

impl Account {
    /// Enters an event.
    pub(super) fn enter_message_event(&mut self, payload: &[u8], named_error: bool) -> Verdict {
        // vLLM sends `[DONE]` in this dialect, too, which has no such event.
        if !self.open() || payload.trim_ascii() == b"[DONE]" {
            return Verdict::Withhold;
        }
        let event = Event::read(payload);
        let kind = event.kind.map_or(&b""[..], |kind| kind.of(payload));
        if named_error || event.error || kind == br#""error""# {
            return self.fail(payload);
        }
        match kind {
            br#""message_stop""# => return self.end(payload),
            br#""message_start""# => self.begin(payload, event.message),
            br#""content_block_start""# => self.hear_block(payload, event.index, event.content_block),
            br#""content_block_delta""# => self.hear_block(payload, event.index, event.delta),
            br#""message_delta""# => self.correct(payload, &event),
            _ => {}
        }
        self.pass()
    }

    /// The message so far holds nothing but a first guess of its usage.
    fn begin(&mut self, payload: &[u8], message: Option<Span>) {
        let message = message.map_or(payload.len(), |message| message.start);
        for Member { key, value } in json::members(payload, message) {
            if &*key == b"usage" {
                self.take_usage(payload, value);
            }
        }
    }

    fn hear_block(&mut self, payload: &[u8], index: Option<Span>, said: Option<Span>) {
        let Some(said) = said else {
            return;
        };
        let index = index.map_or(0, |index| choice_index(index.of(payload)));
        let at = self.choice_at(index);
        self.has_content = self.has_content || says_something(payload, said);
        spoken(payload, said, |raw| self.keep(at, raw));
    }

    /// How the message has ended, and its usage, of which this is the last word.
    fn correct(&mut self, payload: &[u8], event: &Event) {
        let delta = event.delta.map_or(payload.len(), |delta| delta.start);
        for Member { key, value } in json::members(payload, delta) {
            if &*key == b"stop_reason" {
                if let Some(reason) = words(payload, value) {
                    self.finish_reason = Some(reason.into_owned());
                }
            }
        }
        if let Some(usage) = event.usage {
            self.take_usage(payload, usage);
        }
    }

    fn take_usage(&mut self, payload: &[u8], usage: Span) {
        self.message_usage.merge(MessageUsage::read(payload, usage));
        self.usage = self.message_usage.told();
    }
}

/// The parts of an event that matter here.
#[derive(Default)]
struct Event {
    kind: Option<Span>,
    index: Option<Span>,
    message: Option<Span>,
    content_block: Option<Span>,
    delta: Option<Span>,
    usage: Option<Span>,
    error: bool,
}

impl Event {
    fn read(payload: &[u8]) -> Self {
        let mut event = Self::default();
        for Member { key, value } in json::members(payload, 0) {
            match &*key {
                b"type" => event.kind = Some(value),
                b"index" => event.index = Some(value),
                b"message" => event.message = Some(value),
                b"content_block" => event.content_block = Some(value),
                b"delta" => event.delta = Some(value),
                b"usage" => event.usage = Some(value),
                _ => event.error |= is_error(&key, value.of(payload)),
            }
        }
        event
    }
}

/// Whether a block or a delta holds more than its type and empty fields.
fn says_something(payload: &[u8], said: Span) -> bool {
    json::members(payload, said.start).any(|Member { key, value }| {
        &*key != b"type" && !matches!(value.of(payload), b"null" | b"\"\"" | b"[]" | b"{}")
    })
}
