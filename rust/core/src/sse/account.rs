//! What a stream's events have told so far.
//!
//! Every payload is walked by position, which costs a fraction of a microsecond; nothing is guessed from a search
//! for words, so a text that talks about `"usage"` or `"error"` is only a text.

use crate::chat::json::{self, Member, Span};
use crate::chat::{Usage, is_error, spoken, usage_within, words};
use crate::tokens::Encoding;

/// No dialect asks for more choices than this; an index beyond it counts as the last.
const CHOICES_MAX: usize = 128;

/// Bytes for each token of text that was not kept. An estimate: English has four or more.
const BYTES_PER_TOKEN: usize = 4;

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Withhold,
}

/// One choice of the answer.
#[derive(Debug, Default)]
struct Choice {
    index: usize,
    finish_reason: Option<String>,
    text: String,
}

/// Why nothing passes any more.
#[derive(Debug)]
enum Failure {
    /// The upstream told an error: the payload of that event.
    Told(Vec<u8>),
    /// The upstream cannot be read any further.
    Unreadable,
}

/// The account of one stream.
#[derive(Debug)]
pub(super) struct Account {
    hide_usage: bool,
    keep_bytes: usize,
    choices: Vec<Choice>,
    kept_bytes: usize,
    unkept_bytes: usize,
    usage: Usage,
    failure: Option<Failure>,
    done: bool,
    has_content: bool,
    events: u64,
}

impl Account {
    pub(super) fn new(hide_usage: bool, keep_bytes: usize) -> Self {
        Self {
            hide_usage,
            keep_bytes,
            choices: Vec::new(),
            kept_bytes: 0,
            unkept_bytes: 0,
            usage: Usage::default(),
            failure: None,
            done: false,
            has_content: false,
            events: 0,
        }
    }

    /// Enters an event into the account and decides whether it passes.
    pub(super) fn enter(&mut self, payload: &[u8], named_error: bool) -> Verdict {
        if payload.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Verdict::Withhold;
        }
        let was_open = self.open();
        let chunk = Chunk::read(payload);
        if let Some(usage) = chunk.usage.filter(|usage| was_open || !usage.is_zero()) {
            self.usage.merge(usage);
        }
        if !was_open {
            return Verdict::Withhold;
        }
        if let Some(choices) = chunk.choices {
            for choice in json::elements(payload, choices.start) {
                self.hear(payload, choice);
            }
        }
        if chunk.error || named_error {
            self.failure = Some(Failure::Told(payload.to_vec()));
        } else if self.hide_usage && chunk.is_only_usage(payload) {
            return Verdict::Withhold;
        }
        self.events += 1;
        Verdict::Pass
    }

    /// Takes in what one choice says in one chunk.
    fn hear(&mut self, payload: &[u8], choice: Span) {
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
        let at = self
            .choices
            .iter()
            .position(|choice| choice.index == index)
            .unwrap_or_else(|| {
                self.choices.push(Choice {
                    index,
                    ..Choice::default()
                });
                self.choices.len() - 1
            });
        if let Some(reason) = finish_reason {
            self.choices[at].finish_reason = Some(reason.into_owned());
        }
        if let Some(delta) = delta {
            self.has_content = self.has_content || says_something(payload, delta);
            spoken(payload, delta, |raw| self.keep(at, raw));
        }
        if let Some(continuation) = continuation.filter(|text| text.len() > 0) {
            self.has_content = true;
            self.keep(at, continuation.of(payload));
        }
    }

    /// Keeps what the choice in place `at` said, or at least how long it was.
    fn keep(&mut self, at: usize, raw: &[u8]) {
        let said = json::unescape(raw);
        if self.unkept_bytes == 0 && self.kept_bytes + said.len() <= self.keep_bytes {
            self.kept_bytes += said.len();
            self.choices[at].text.push_str(&said);
        } else {
            self.unkept_bytes += said.len();
        }
    }

    /// The stream is broken beyond reading.
    pub(super) fn break_off(&mut self) {
        self.failure = Some(Failure::Unreadable);
    }

    /// Whether events still pass.
    pub(super) const fn open(&self) -> bool {
        !self.done && !self.failed()
    }

    /// Whether there is nothing more to read.
    pub(super) const fn over(&self) -> bool {
        self.done || matches!(self.failure, Some(Failure::Unreadable))
    }

    pub(super) const fn done(&self) -> bool {
        self.done
    }

    pub(super) const fn failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn complete(&self) -> bool {
        let finished = !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish_reason.is_some());
        !self.failed() && (self.done || finished)
    }

    pub(super) const fn has_content(&self) -> bool {
        self.has_content
    }

    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    pub(super) const fn usage(&self) -> &Usage {
        &self.usage
    }

    pub(super) fn finish_reasons(&self) -> impl Iterator<Item = &str> {
        self.choices.iter().filter_map(|choice| choice.finish_reason.as_deref())
    }

    pub(super) fn error(&self) -> Option<&[u8]> {
        match &self.failure {
            Some(Failure::Told(payload)) => Some(payload),
            Some(Failure::Unreadable) | None => None,
        }
    }

    pub(super) fn count_completion(&self, encoding: Encoding) -> usize {
        let kept: usize = self.choices.iter().map(|choice| encoding.count(&choice.text)).sum();
        kept + self.unkept_bytes.div_ceil(BYTES_PER_TOKEN)
    }
}

/// The parts of a `chat.completion.chunk` that matter here.
#[derive(Default)]
struct Chunk {
    choices: Option<Span>,
    usage: Option<Usage>,
    error: bool,
}

impl Chunk {
    fn read(payload: &[u8]) -> Self {
        let mut chunk = Self::default();
        for Member { key, value } in json::members(payload, 0) {
            match &*key {
                b"choices" => chunk.choices = Some(value),
                b"usage" => chunk.usage = read_usage(payload, value).or(chunk.usage),
                b"x_groq" => {
                    let usage = usage_within(payload, value).and_then(|value| read_usage(payload, value));
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

fn read_usage(payload: &[u8], value: Span) -> Option<Usage> {
    (payload.get(value.start) == Some(&b'{')).then(|| Usage::read(payload, value))
}

fn choice_index(raw: &[u8]) -> usize {
    let index = std::str::from_utf8(raw)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    usize::min(index, CHOICES_MAX - 1)
}

/// Whether a delta holds more than a role and empty fields.
fn says_something(payload: &[u8], delta: Span) -> bool {
    json::members(payload, delta.start).any(|Member { key, value }| {
        &*key != b"role" && !matches!(value.of(payload), b"null" | b"\"\"" | b"[]" | b"{}")
    })
}
