//! The account of a Responses stream: items, their parts and deltas, and the whole response at the end. Streams of images
//! and audio are alike but for their last event.

use super::{Account, DONE, Failure, Verdict, choice_index};
use crate::chat::json::{self, Member, Span};
use crate::chat::responses::{Response, spoken};
use crate::chat::{Usage, is_error};

/// No stream ends in more images than this: a request may ask for 10.
const MEDIA_MAX: usize = 16;

impl Account {
    /// Enters an event. Behind an error the end may still come, `response.failed`.
    pub(super) fn enter_response_event(&mut self, payload: &[u8], named_error: bool) -> Verdict {
        if payload.trim_ascii() == b"[DONE]" {
            if self.done {
                self.last.extend_from_slice(DONE);
            }
            return Verdict::Withhold;
        }
        let event = Event::read(payload);
        let kind = event.kind.map_or(&b""[..], |kind| kind.of(payload));
        if self.failure.is_none() && self.choices.len() < MEDIA_MAX && is_end_of_media(kind) {
            return self.conclude_media(payload, &event);
        }
        if self.done {
            return Verdict::Withhold;
        }
        if matches!(
            kind,
            br#""response.completed""# | br#""response.incomplete""# | br#""response.failed""#
        ) {
            self.conclude(payload, event.response, kind == br#""response.failed""#);
            return self.end(payload);
        }
        if !self.open() {
            return Verdict::Withhold;
        }
        if named_error || event.error || kind == br#""error""# {
            return self.fail(payload);
        }
        self.hear_item(payload, kind, &event);
        self.pass()
    }

    /// The last event holds the whole response. What it says counts where no event before has said it.
    fn conclude(&mut self, payload: &[u8], response: Option<Span>, failed: bool) {
        let response = Response::read(payload, response.map_or(payload.len(), |response| response.start));
        if let Some(usage) = response.usage.filter(|usage| !(failed && usage.is_zero())) {
            self.usage.merge(usage);
        }
        self.usage.service_tier = response.service_tier.or(self.usage.service_tier);
        if let Some(reason) = response.finish_reason(payload) {
            self.finish_reason = Some(reason);
        }
        if failed {
            if self.failure.is_none() {
                self.failure = Some(Failure::Told(payload.to_vec()));
            }
        } else if self.kept_bytes + self.unkept_bytes == 0 {
            let at = self.choice_at(0);
            response.said(payload, |raw| self.keep(at, raw));
            self.has_content = self.has_content || self.kept_bytes + self.unkept_bytes > 0;
        }
    }

    /// An image or a transcription is ready: several images end a stream together.
    fn conclude_media(&mut self, payload: &[u8], event: &Event) -> Verdict {
        if let Some(usage) = event.usage {
            self.usage.merge(Usage::read_newer(payload, usage));
        }
        self.has_content = true;
        self.finish_reason = Some("completed".to_owned());
        let said = self.kept_bytes + self.unkept_bytes;
        let at = self.choice_at(self.choices.len());
        if let Some(text) = event.text.filter(|_| said == 0) {
            self.keep(at, text.of(payload));
        }
        self.end(payload)
    }

    fn hear_item(&mut self, payload: &[u8], kind: &[u8], event: &Event) {
        let index = event.output_index.map_or(0, |index| choice_index(index.of(payload)));
        if kind == br#""response.output_item.added""# {
            if let Some(item) = event.item {
                let at = self.choice_at(index);
                self.has_content = self.has_content || is_call(payload, item);
                spoken(payload, item, |raw| self.keep(at, raw));
            }
        } else if let Some(delta) = event.delta.filter(|delta| delta.len() > 0) {
            self.has_content = true;
            // Sound comes as base64.
            if !kind.ends_with(br#"audio.delta""#) {
                let at = self.choice_at(index);
                self.keep(at, delta.of(payload));
            }
        }
    }
}

/// The parts of an event that matter here.
#[derive(Default)]
struct Event {
    kind: Option<Span>,
    output_index: Option<Span>,
    item: Option<Span>,
    delta: Option<Span>,
    response: Option<Span>,
    /// Of an image or a transcription.
    usage: Option<Span>,
    text: Option<Span>,
    error: bool,
}

impl Event {
    fn read(payload: &[u8]) -> Self {
        let mut event = Self::default();
        for Member { key, value } in json::members(payload, 0) {
            match &*key {
                b"type" => event.kind = Some(value),
                b"output_index" => event.output_index = Some(value),
                b"item" => event.item = Some(value),
                b"delta" => event.delta = json::string(payload, value),
                b"response" => event.response = Some(value),
                b"usage" => event.usage = Some(value),
                b"text" => event.text = json::string(payload, value),
                _ => event.error |= is_error(&key, value.of(payload)),
            }
        }
        event
    }
}

/// Whether the event ends one of the streams that `OpenAI`'s images and audio have in the manner of Responses.
fn is_end_of_media(kind: &[u8]) -> bool {
    matches!(
        kind,
        br#""image_generation.completed""#
            | br#""image_edit.completed""#
            | br#""transcript.text.done""#
            | br#""speech.audio.done""#
    )
}

/// Whether an item is a call, which says something by its name alone.
fn is_call(payload: &[u8], item: Span) -> bool {
    json::members(payload, item.start)
        .any(|member| &*member.key == b"type" && member.value.of(payload).ends_with(br#"_call""#))
}
