//! Server-sent events of a stream, relayed as they arrive.
//!
//! In come the upstream's bytes in any chunking, out go whole events in one framing, `data: <payload>\n\n`, with each
//! payload's bytes as they were; in the dialects that name their events, `event: <type>\n` in front. On the way the relay
//! learns what settlement needs: usage, finish reasons, errors, the text said. It never invents an event, and it never
//! lets half of one out.
//!
//! One thing is put right: the index of a chat's tool calls, by which clients put them together (`account/calls.rs`).
//!
//! With a screen (`screened.rs`) the texts of what passes are screened, behind the account.
//!
//! Three things do not pass: the end (`[DONE]`, `message_stop`, `response.completed` and its kin), which the caller sends
//! once it has settled; a chat's chunk that holds nothing but usage, if the client did not ask for it; everything behind an
//! error.

mod account;
mod frames;
mod payloads;
mod screened;

use std::borrow::Cow;

use account::{Account, Verdict, event_name};
pub use frames::EventTooLarge;
use frames::{Frame, Frames, write_comment, write_event};
pub use payloads::Payloads;
use screened::Screened;

use crate::chat::Usage;
use crate::tokens::Encoding;

/// The dialect of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// `OpenAI`'s chat and completions: unnamed chunks, and `[DONE]`.
    #[default]
    Chat,
    /// Anthropic's Messages: named events, the last of them `message_stop`.
    Messages,
    /// `OpenAI`'s Responses: named events, the last of them `response.completed`, `response.incomplete` or
    /// `response.failed`, behind which some send `[DONE]`. Also the streams of images and audio, which end with
    /// `image_generation.completed`, `image_edit.completed`, `transcript.text.done` or `speech.audio.done`.
    Responses,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    /// Its name: that of the operation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Messages => "messages",
            Self::Responses => "responses",
        }
    }

    /// The dialect of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// How a stream is to be relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// What the upstream speaks.
    pub dialect: Dialect,
    /// A chat's chunk that holds nothing but usage does not pass.
    pub hide_usage: bool,
    /// An error event does not pass: the caller will say it, in another dialect.
    pub hold_error: bool,
}

/// Relays one upstream's stream to one client.
#[derive(Debug)]
pub struct Relay {
    dialect: Dialect,
    frames: Frames,
    account: Account,
    screened: Option<Box<Screened>>,
}

impl Relay {
    /// A relay that keeps at most `keep_text_bytes` of what was said for [`Relay::count_completion`], and refuses events
    /// of more than `max_event_bytes`.
    #[must_use]
    pub fn new(manner: Manner, keep_text_bytes: usize, max_event_bytes: usize) -> Self {
        Self {
            dialect: manner.dialect,
            frames: Frames::new(max_event_bytes),
            account: Account::new(manner, keep_text_bytes),
            screened: None,
        }
    }

    /// Takes the next bytes of the upstream and returns what may go to the client now; often nothing, and when all
    /// of `chunk` may go as it is, `chunk` itself, borrowed.
    ///
    /// After [`EventTooLarge`] the stream has failed: whatever is fed further yields nothing.
    pub fn feed<'a>(&mut self, chunk: &'a [u8]) -> Result<Cow<'a, [u8]>, EventTooLarge> {
        if self.account.over() || chunk.is_empty() {
            return Ok(Cow::Borrowed(&[]));
        }
        if self.screened.is_some() {
            return self.feed_screened(chunk).map(Cow::Owned);
        }
        let (passed, taken, verdict) = self.pass_canonical(chunk, |_| {});
        if passed == chunk.len() {
            return Ok(Cow::Borrowed(chunk));
        }
        let mut out = chunk[..passed].to_vec();
        if verdict == Verdict::Rewrite {
            write_event(None, self.account.rewritten(), &mut out);
        }
        let dialect = self.dialect;
        self.take(&chunk[taken..], |frame, account| {
            write(dialect, frame, account, &mut out);
        })?;
        Ok(Cow::Owned(out))
    }

    /// Like [`Relay::feed`], for a caller who translates: calls `each` with the payload of every event that may pass.
    pub fn feed_payloads(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), EventTooLarge> {
        if self.account.over() || chunk.is_empty() {
            return Ok(());
        }
        if self.screened.is_some() {
            return self.feed_screened_payloads(chunk, &mut each);
        }
        let (_, taken, verdict) = self.pass_canonical(chunk, &mut each);
        if verdict == Verdict::Rewrite {
            each(self.account.rewritten());
        }
        self.take(&chunk[taken..], |frame, account| {
            hand_out(frame, account, &mut each);
        })
    }

    /// The upstream has ended. Returns its last event if only the blank line behind it was missing; an event
    /// broken off in the middle of its payload is dropped.
    pub fn finish(&mut self) -> Vec<u8> {
        if self.screened.is_some() {
            return self.finish_screened();
        }
        let mut out = Vec::new();
        if !self.account.over() {
            let Self {
                dialect,
                frames,
                account,
                ..
            } = self;
            if let Some(frame) = frames.end() {
                write(*dialect, &frame, account, &mut out);
            }
        }
        out
    }

    /// Like [`Relay::finish`], for a caller who translates.
    pub fn finish_payloads(&mut self, mut each: impl FnMut(&[u8])) {
        if self.screened.is_some() {
            return self.finish_screened_payloads(&mut each);
        }
        if !self.account.over() {
            let Self { frames, account, .. } = self;
            if let Some(frame) = frames.end() {
                hand_out(&frame, account, &mut each);
            }
        }
    }

    /// Reads on, frame by frame, to the end of `rest` or of the stream.
    fn take(&mut self, mut rest: &[u8], mut each: impl FnMut(&Frame<'_>, &mut Account)) -> Result<(), EventTooLarge> {
        while !self.account.over() {
            let Self { frames, account, .. } = self;
            match frames.take(&mut rest) {
                Ok(Some(frame)) => each(&frame, account),
                Ok(None) => break,
                Err(error) => {
                    account.break_off();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The fast path: whole events in the framing we would give them ourselves stay where they are.
    /// Returns how many bytes may pass as they are, and how many are taken: one more event, if that one is withheld or
    /// rewritten; and what became of the last one.
    fn pass_canonical(&mut self, chunk: &[u8], mut each: impl FnMut(&[u8])) -> (usize, usize, Verdict) {
        let mut at = 0;
        while self.frames.idle_before(chunk) && self.account.open() {
            let rest = &chunk[at..];
            let Some((line, len)) = self.canonical(rest) else {
                break;
            };
            if let Some(payload) = line {
                match self.account.enter(payload, false) {
                    Verdict::Pass => each(payload),
                    verdict => return (at, at + len, verdict),
                }
            }
            at += len;
        }
        (at, at, Verdict::Pass)
    }

    /// The payload of the event, or nothing of a comment, at the front of `rest`, and its length in all; `None` if it is not
    /// whole, or framed otherwise than we would.
    fn canonical<'a>(&self, rest: &'a [u8]) -> Option<(Option<&'a [u8]>, usize)> {
        let mut line = memchr::memchr2(b'\n', b'\r', rest)?;
        let (mut name, mut start) = (None, 0);
        if self.dialect != Dialect::Chat {
            if let Some(given) = rest[..line].strip_prefix(b"event: ") {
                name = Some(given);
                start = line + 1;
                line = start + memchr::memchr2(b'\n', b'\r', rest.get(start..)?)?;
                if rest.get(start - 1) != Some(&b'\n') {
                    return None;
                }
            }
        }
        if rest.get(line..line + 2) != Some(b"\n\n") || line > self.frames.max_event_bytes() {
            return None;
        }
        match &rest[start..line] {
            [b':', ..] if name.is_none() => Some((None, line + 2)),
            [b'd', b'a', b't', b'a', b':', b' ', payload @ ..] if !payload.is_empty() => {
                let ours = self.dialect == Dialect::Chat || event_name(payload) == name;
                ours.then_some((Some(payload), line + 2))
            }
            _ => None,
        }
    }

    /// How much is held of an event that is not whole yet.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.frames.held_bytes()
    }

    /// Whether the upstream's last event has come: `[DONE]`, or that of the dialect.
    #[must_use]
    pub const fn done(&self) -> bool {
        self.account.done()
    }

    /// Whether an error came in the stream, or an event too large for the relay.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.account.failed()
    }

    /// Whether nothing is missing: no error, and either the last event came or, in a chat (not everyone sends it there), every
    /// choice seen has its finish reason. A stream at its end that is not complete was cut.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.account.complete()
    }

    /// Whether a choice has said something beyond its role: the moment of the first token.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        self.account.has_content()
    }

    /// How many events have passed to the client.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.account.events()
    }

    /// The usage told so far; of each number the last word. Zeros behind an error tell nothing.
    #[must_use]
    pub const fn usage(&self) -> &Usage {
        self.account.usage()
    }

    /// The finish reasons seen, in the order of the choices' first appearance, in the dialect's words: of a message its
    /// `stop_reason`, of a response its status or the reason why it is incomplete.
    pub fn finish_reasons(&self) -> impl Iterator<Item = &str> {
        self.account.finish_reasons()
    }

    /// The event that ends the stream, framed, for the caller to send once it has settled: of a chat always `[DONE]`, whether or
    /// not the upstream has sent it; in the other dialects the upstream's own, and empty until it has come. A response that has
    /// failed ends with one, too.
    #[must_use]
    pub fn last(&self) -> &[u8] {
        match &self.screened {
            Some(screened) if self.dialect != Dialect::Chat => &screened.last,
            _ => self.account.last(),
        }
    }

    /// The payload of the error event, as it came.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        let error = self.account.error()?;
        Some(match &self.screened {
            Some(screened) => screened.error.as_deref().unwrap_or_default(),
            None => error,
        })
    }

    /// Bytes of all text that was said, escapes undone.
    #[must_use]
    pub fn said_bytes(&self) -> usize {
        self.account.said_bytes()
    }

    /// The tokens of what was said: exact for the text kept, a token for 4 bytes of what went beyond.
    #[must_use]
    pub fn count_completion(&self, encoding: Encoding) -> usize {
        self.account.count_completion(encoding)
    }
}

/// Writes a frame, if it passes.
fn write(dialect: Dialect, frame: &Frame<'_>, account: &mut Account, out: &mut Vec<u8>) {
    match frame {
        Frame::Comment(text) => {
            if account.open() {
                write_comment(text, out);
            }
        }
        Frame::Event { data, error } => {
            let data = match account.enter(data, *error) {
                Verdict::Withhold => return,
                Verdict::Pass => data,
                Verdict::Rewrite => account.rewritten(),
            };
            let name = match dialect {
                Dialect::Chat => None,
                Dialect::Messages | Dialect::Responses => event_name(data),
            };
            write_event(name.or(error.then_some(b"error")), data, out);
        }
    }
}

/// Hands out the payload of an event that passes.
fn hand_out(frame: &Frame<'_>, account: &mut Account, each: &mut impl FnMut(&[u8])) {
    if let Frame::Event { data, error } = frame {
        match account.enter(data, *error) {
            Verdict::Withhold => {}
            Verdict::Pass => each(data),
            Verdict::Rewrite => each(account.rewritten()),
        }
    }
}

#[cfg(test)]
mod tests;
