//! An answer in the dialect of `OpenAI`'s Responses.

use std::borrow::Cow;

use super::{Told, words};
use crate::chat::Usage;
use crate::chat::json::{self, Member, Span};
use crate::chat::usage::ServiceTier;

/// What a response tells: one choice, which ends with its status or, if incomplete, with the reason for that.
pub(super) fn told(text: &[u8]) -> Told {
    let mut told = Told::default();
    let response = Response::read(text, json::skip_space(text, 0));
    told.usage = response.usage.unwrap_or_default();
    told.usage.service_tier = response.service_tier;
    told.model = response.model.and_then(|value| words(text, value)).map(Cow::into_owned);
    told.choices = usize::from(response.output.is_some());
    told.finish_reasons.extend(response.finish_reason(text));
    told.error = response.failed(text);
    told
}

/// Gives `say` what the items say.
pub(super) fn said(text: &[u8], say: impl FnMut(&[u8])) {
    Response::read(text, json::skip_space(text, 0)).said(text, say);
}

/// The parts of a response object that matter here.
#[derive(Default)]
pub(crate) struct Response {
    pub(crate) usage: Option<Usage>,
    pub(crate) service_tier: Option<ServiceTier>,
    model: Option<Span>,
    status: Option<Span>,
    incomplete: Option<Span>,
    output: Option<Span>,
    error: Option<Span>,
}

impl Response {
    /// Reads the object at `at`.
    pub(crate) fn read(text: &[u8], at: usize) -> Self {
        let mut response = Self::default();
        for Member { key, value } in json::members(text, at) {
            match &*key {
                b"usage" if text.get(value.start) == Some(&b'{') => {
                    response.usage = Some(Usage::read_newer(text, value));
                }
                b"service_tier" => response.service_tier = ServiceTier::read(text, value),
                b"model" => response.model = Some(value),
                b"status" => response.status = Some(value),
                b"incomplete_details" => response.incomplete = Some(value),
                b"output" => response.output = Some(value),
                b"error" => response.error = Some(value),
                _ => {}
            }
        }
        response
    }

    /// How it ended; nothing while it is under way.
    pub(crate) fn finish_reason(&self, text: &[u8]) -> Option<String> {
        let status = words(text, self.status?)?;
        if status == "incomplete" {
            let details = self.incomplete.map_or(text.len(), |details| details.start);
            let reason = json::members(text, details).find(|member| &*member.key == b"reason");
            let reason = reason.and_then(|member| words(text, member.value));
            return Some(reason.unwrap_or(status).into_owned());
        }
        matches!(&*status, "completed" | "failed" | "cancelled").then(|| status.into_owned())
    }

    fn failed(&self, text: &[u8]) -> bool {
        let error = self
            .error
            .is_some_and(|error| super::is_error(b"error", error.of(text)));
        error || self.status.is_some_and(|status| status.of(text) == br#""failed""#)
    }

    /// Gives `say` what the items say.
    pub(crate) fn said(&self, text: &[u8], mut say: impl FnMut(&[u8])) {
        if let Some(output) = self.output {
            for item in json::elements(text, output.start) {
                spoken(text, item, &mut say);
            }
        }
    }
}

/// Gives `say` what an item says: texts, refusals, thoughts, the names and arguments of calls (some are objects). What a tool of the
/// provider's answered the model has read, not written.
pub(crate) fn spoken(text: &[u8], item: Span, mut say: impl FnMut(&[u8])) {
    let (mut thought, mut summary) = (false, None);
    for Member { key, value } in json::members(text, item.start) {
        match &*key {
            b"arguments" | b"action" | b"operation" if text.get(value.start) == Some(&b'{') => say(value.of(text)),
            b"name" | b"arguments" | b"input" | b"code" => {
                if let Some(content) = json::string(text, value).filter(|content| content.len() > 0) {
                    say(content.of(text));
                }
            }
            b"content" => thought |= parts(text, value, &mut say),
            b"summary" => summary = Some(value),
            _ => {}
        }
    }
    // A summary stands for thoughts that are not shown.
    if let Some(summary) = summary.filter(|_| !thought) {
        parts(text, summary, &mut say);
    }
}

/// Gives `say` the texts of an array of parts; whether there were any.
fn parts(text: &[u8], value: Span, say: &mut impl FnMut(&[u8])) -> bool {
    let mut any = false;
    for part in json::elements(text, value.start) {
        for Member { key, value } in json::members(text, part.start) {
            if !matches!(&*key, b"text" | b"refusal" | b"transcript") {
                continue;
            }
            if let Some(content) = json::string(text, value).filter(|content| content.len() > 0) {
                any = true;
                say(content.of(text));
            }
        }
    }
    any
}
