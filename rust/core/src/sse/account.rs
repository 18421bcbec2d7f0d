//! What a stream's events have told so far, in any dialect.
//!
//! Every payload is walked by position, which costs a fraction of a microsecond; nothing is guessed from a search
//! for words, so a text that talks about `"usage"` or `"error"` is only a text.

mod calls;
mod chat;
mod messages;
mod responses;

use super::frames::write_event;
use super::{Dialect, Manner};
use crate::chat::json;
use crate::chat::{MessageUsage, Usage};
use crate::tokens::Encoding;

/// No dialect asks for more choices than this; an index beyond it counts as the last.
const CHOICES_MAX: usize = 128;

/// Bytes for each token of text that was not kept. An estimate: English has four or more.
const BYTES_PER_TOKEN: usize = 4;

/// The event behind which nothing comes, where it is one of the dialect.
const DONE: &[u8] = b"data: [DONE]\n\n";

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Withhold,
    /// It passes as [`Account::rewritten`] has it.
    Rewrite,
}

/// One choice of the answer; of an answer that has only one, a block or an item of it.
#[derive(Debug, Default)]
struct Choice {
    index: usize,
    finish_reason: Option<String>,
    text: String,
    calls: calls::Calls,
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
    manner: Manner,
    keep_bytes: usize,
    choices: Vec<Choice>,
    kept_bytes: usize,
    unkept_bytes: usize,
    usage: Usage,
    /// Anthropic's counts, from which `usage` follows.
    message_usage: MessageUsage,
    /// How an answer that is one choice has ended.
    finish_reason: Option<String>,
    /// The stream's last event as the client shall get it, once it has come.
    last: Vec<u8>,
    /// The payload of the event that was entered last, if it was put right.
    rewritten: Vec<u8>,
    failure: Option<Failure>,
    done: bool,
    has_content: bool,
    events: u64,
}

impl Account {
    pub(super) fn new(manner: Manner, keep_bytes: usize) -> Self {
        Self {
            manner,
            keep_bytes,
            choices: Vec::new(),
            kept_bytes: 0,
            unkept_bytes: 0,
            usage: Usage::default(),
            message_usage: MessageUsage::default(),
            finish_reason: None,
            last: Vec::new(),
            rewritten: Vec::new(),
            failure: None,
            done: false,
            has_content: false,
            events: 0,
        }
    }

    /// Enters an event into the account and decides whether it passes.
    pub(super) fn enter(&mut self, payload: &[u8], named_error: bool) -> Verdict {
        match self.manner.dialect {
            Dialect::Chat => self.enter_chunk(payload, named_error),
            Dialect::Messages => self.enter_message_event(payload, named_error),
            Dialect::Responses => self.enter_response_event(payload, named_error),
        }
    }

    /// Counts an event that passes.
    const fn pass(&mut self) -> Verdict {
        self.events += 1;
        Verdict::Pass
    }

    /// Counts an event that passes with another payload than it came with.
    fn rewrite(&mut self, payload: Vec<u8>) -> Verdict {
        self.rewritten = payload;
        self.events += 1;
        Verdict::Rewrite
    }

    /// The payload of the event that was put right.
    pub(super) fn rewritten(&self) -> &[u8] {
        &self.rewritten
    }

    /// The event is an error: the last that passes, unless errors are held.
    fn fail(&mut self, payload: &[u8]) -> Verdict {
        self.failure = Some(Failure::Told(payload.to_vec()));
        if self.manner.hold_error {
            Verdict::Withhold
        } else {
            self.pass()
        }
    }

    /// Holds back the event that ends the stream, for the caller to send.
    fn end(&mut self, payload: &[u8]) -> Verdict {
        self.done = true;
        write_event(event_name(payload), payload, &mut self.last);
        Verdict::Withhold
    }

    /// How much of the stream's end has come, in bytes.
    pub(super) fn ends(&self) -> usize {
        self.last.len()
    }

    /// The place of the choice with that index, which is made if it is new.
    fn choice_at(&mut self, index: usize) -> usize {
        self.choices
            .iter()
            .position(|choice| choice.index == index)
            .unwrap_or_else(|| {
                self.choices.push(Choice {
                    index,
                    ..Choice::default()
                });
                self.choices.len() - 1
            })
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
    pub(super) fn over(&self) -> bool {
        // Some end a response with `[DONE]`, too, which is looked out for.
        let ended = match self.manner.dialect {
            Dialect::Chat | Dialect::Messages => self.done,
            Dialect::Responses => self.last.ends_with(DONE),
        };
        ended || matches!(self.failure, Some(Failure::Unreadable))
    }

    pub(super) const fn done(&self) -> bool {
        self.done
    }

    pub(super) const fn failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn complete(&self) -> bool {
        let finished = match self.manner.dialect {
            Dialect::Chat => {
                !self.choices.is_empty() && self.choices.iter().all(|choice| choice.finish_reason.is_some())
            }
            Dialect::Messages | Dialect::Responses => false,
        };
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
        let of_choices = self.choices.iter().filter_map(|choice| choice.finish_reason.as_deref());
        of_choices.chain(self.finish_reason.as_deref())
    }

    pub(super) fn last(&self) -> &[u8] {
        match self.manner.dialect {
            Dialect::Chat => DONE,
            Dialect::Messages | Dialect::Responses => &self.last,
        }
    }

    pub(super) fn error(&self) -> Option<&[u8]> {
        match &self.failure {
            Some(Failure::Told(payload)) => Some(payload),
            Some(Failure::Unreadable) | None => None,
        }
    }

    pub(super) fn said_bytes(&self) -> usize {
        self.kept_bytes + self.unkept_bytes
    }

    pub(super) fn count_completion(&self, encoding: Encoding) -> usize {
        let kept: usize = self.choices.iter().map(|choice| encoding.count(&choice.text)).sum();
        kept + self.unkept_bytes.div_ceil(BYTES_PER_TOKEN)
    }
}

/// The name of an event in the dialects that name theirs: the payload's own `type`.
pub(super) fn event_name(payload: &[u8]) -> Option<&[u8]> {
    let named = json::members(payload, 0).find(|member| &*member.key == b"type")?;
    let name = json::string(payload, named.value)?.of(payload);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (!name.is_empty() && name.iter().all(plain)).then_some(name)
}

fn choice_index(raw: &[u8]) -> usize {
    let index = std::str::from_utf8(raw)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    usize::min(index, CHOICES_MAX - 1)
}
