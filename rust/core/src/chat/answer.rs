//! A whole answer, read out of its bytes.

pub(crate) mod messages;
mod others;
pub(crate) mod responses;

use std::borrow::Cow;

use super::json::{self, Member, Span};
use super::pieces::{Kind, Pieces};
use super::places::Vocabulary;
use super::{Operation, ServiceTier, Usage};
use crate::tokens::Encoding;

/// The body is not a JSON object. Says where, never what.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is not a JSON object: {0}")]
pub struct InvalidAnswer(String);

/// A whole answer of any operation over its own bytes `B`.
#[derive(Clone, Debug)]
pub struct ChatAnswer<B> {
    operation: Operation,
    body: B,
    told: Told,
}

/// What an answer tells of itself.
#[derive(Clone, Debug, Default)]
struct Told {
    usage: Usage,
    model: Option<String>,
    choices: usize,
    finish_reasons: Vec<String>,
    error: bool,
}

impl<B: AsRef<[u8]>> ChatAnswer<B> {
    /// Reads an answer to a chat; one to a continuation, or vectors, is read alike.
    pub fn read(body: B) -> Result<Self, InvalidAnswer> {
        Self::read_as(body, Operation::Chat)
    }

    /// Reads an answer of any provider that speaks the operation's dialect: white space in front (sent as keep-alive) is
    /// fine, content may be a string, `null`, missing or a list of parts. An error envelope is an answer too.
    pub fn read_as(body: B, operation: Operation) -> Result<Self, InvalidAnswer> {
        let text = body.as_ref();
        json::check(text).map_err(InvalidAnswer)?;
        if text.get(json::skip_space(text, 0)) != Some(&b'{') {
            return Err(InvalidAnswer("something else at the top level".to_owned()));
        }
        let told = match operation {
            Operation::Chat | Operation::Completions | Operation::Embeddings => Told::of_chat(text),
            Operation::Messages | Operation::CountTokens => messages::told(text),
            Operation::Responses => responses::told(text),
            _ => others::told(text),
        };
        Ok(Self { operation, body, told })
    }

    /// The usage as told.
    pub const fn usage(&self) -> &Usage {
        &self.told.usage
    }

    /// The model that answered.
    pub fn model(&self) -> Option<&str> {
        self.told.model.as_deref()
    }

    /// The number of choices.
    pub const fn choices(&self) -> usize {
        self.told.choices
    }

    /// The finish reasons given, in the order of the choices.
    pub fn finish_reasons(&self) -> &[String] {
        &self.told.finish_reasons
    }

    /// Whether it is an error envelope.
    pub const fn error(&self) -> bool {
        self.told.error
    }

    /// The tokens of everything the choices say: continuations, contents, reasoning, refusals, names and arguments of tool calls.
    /// For when the upstream told no usage; reasoning that was not shown cannot be counted.
    pub fn count_completion(&self, encoding: Encoding) -> usize {
        let text = self.body.as_ref();
        let mut tokens = 0;
        let say = |raw: &[u8]| tokens += encoding.count(&json::unescape(raw));
        match self.operation {
            Operation::Chat | Operation::Completions | Operation::Embeddings => said_in_chat(text, say),
            Operation::Messages | Operation::CountTokens => messages::said(text, say),
            Operation::Responses => responses::said(text, say),
            _ => others::said(text, say),
        }
        tokens
    }
}

impl Told {
    fn of_chat(text: &[u8]) -> Self {
        let (mut told, mut groq, mut tier) = (Self::default(), None, None);
        for Member { key, value } in json::members(text, 0) {
            match &*key {
                b"usage" => told.usage = Usage::read(text, value),
                b"x_groq" => groq = usage_within(text, value),
                b"service_tier" => tier = ServiceTier::read(text, value),
                b"model" => told.model = words(text, value).map(Cow::into_owned),
                b"choices" => {
                    for choice in json::elements(text, value.start) {
                        told.choices += 1;
                        told.finish_reasons.extend(finish_reason(text, choice));
                    }
                }
                _ => told.error |= is_error(&key, value.of(text)),
            }
        }
        // Groq's own object is heard first: what the answer's `usage` tells has the last word.
        if let Some(value) = groq {
            let mut usage = Usage::read(text, value);
            usage.merge(told.usage);
            told.usage = usage;
        }
        told.usage.service_tier = tier.or(told.usage.service_tier);
        told
    }
}

/// Gives `say` the content of every JSON string that the choices say.
fn said_in_chat(text: &[u8], mut say: impl FnMut(&[u8])) {
    for choices in json::members(text, 0).filter(|member| &*member.key == b"choices") {
        for choice in json::elements(text, choices.value.start) {
            for Member { key, value } in json::members(text, choice.start) {
                match &*key {
                    b"message" => {
                        spoken(text, value, &mut say);
                    }
                    b"text" => {
                        if let Some(content) = json::string(text, value) {
                            say(content.of(text));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Whether a top-level member says that this is an error: `error` that is an object or a message (xAI), or the flat
/// `{"object": "error", …}` (Mistral, older vLLM).
pub(crate) fn is_error(key: &[u8], value: &[u8]) -> bool {
    match key {
        b"error" => matches!(value.first(), Some(b'{' | b'"')) && value != b"\"\"",
        b"object" => value == b"\"error\"",
        _ => false,
    }
}

/// Gives `say` the content of every JSON string that `message` (or a stream's `delta`) says to the client. Reasoning
/// is taken once, under whichever name it goes; `reasoning_details` and citations repeat what was said. Returns where
/// its `tool_calls` stand, if it has any.
pub(crate) fn spoken(text: &[u8], message: Span, mut say: impl FnMut(&[u8])) -> Option<Span> {
    let (mut reasoning, mut reasoned, mut calls) = (None, false, None);
    for Member { key, value } in json::members(text, message.start) {
        match &*key {
            b"content" | b"refusal" | b"function_call" => each_text(text, value, &mut say),
            b"tool_calls" => {
                each_text(text, value, &mut say);
                calls = Some(value);
            }
            b"reasoning_content" => each_text(text, value, |raw| {
                reasoned |= !raw.is_empty();
                say(raw);
            }),
            b"reasoning" => reasoning = Some(value),
            b"audio" => {
                let transcript = json::members(text, value.start).find(|member| &*member.key == b"transcript");
                if let Some(content) = transcript.and_then(|member| json::string(text, member.value)) {
                    say(content.of(text));
                }
            }
            _ => {}
        }
    }
    if let Some(value) = reasoning.filter(|_| !reasoned) {
        each_text(text, value, &mut say);
    }
    calls
}

fn each_text(text: &[u8], value: Span, mut say: impl FnMut(&[u8])) {
    for piece in Pieces::of_field(text, value, Vocabulary::Chat) {
        if !matches!(piece.kind, Kind::Definitions | Kind::Image | Kind::Attachment(_)) {
            say(piece.span.of(text));
        }
    }
}

fn finish_reason(text: &[u8], choice: Span) -> Option<String> {
    let reason = json::members(text, choice.start).find(|member| &*member.key == b"finish_reason")?;
    words(text, reason.value).map(Cow::into_owned)
}

/// What the string at `value` says, unless it is empty or no string.
pub(crate) fn words(text: &[u8], value: Span) -> Option<Cow<'_, str>> {
    let content = json::string(text, value).filter(|content| content.len() > 0)?;
    Some(json::unescape(content.of(text)))
}

/// Groq's `x_groq` holds a usage object of its own.
pub(crate) fn usage_within(text: &[u8], value: Span) -> Option<Span> {
    json::members(text, value.start)
        .find(|member| &*member.key == b"usage")
        .map(|member| member.value)
}
