//! Server-sent events of a chat stream, relayed as they arrive.
//!
//! In come the upstream's bytes in any chunking, out go whole events in one framing, `data: <payload>\n\n`, with each
//! payload's bytes as they were. On the way the relay learns what settlement needs: usage, finish reasons, errors, the
//! text said. It never invents an event, and it never lets half of one out.
//!
//! Three things do not pass: `[DONE]`, which the caller sends once it has settled; the chunk that holds nothing but
//! usage, if the client did not ask for it; everything behind an error.

mod account;
mod frames;
mod payloads;

use std::borrow::Cow;

use account::{Account, Verdict};
pub use frames::EventTooLarge;
use frames::{Frame, Frames};
pub use payloads::Payloads;

use crate::chat::Usage;
use crate::tokens::Encoding;

/// Relays one upstream's stream to one client.
#[derive(Debug)]
pub struct Relay {
    frames: Frames,
    account: Account,
}

impl Relay {
    /// A relay that hides the usage-only chunk if `hide_usage`, keeps at most `keep_text_bytes` of what was said for
    /// [`Relay::count_completion`], and refuses events of more than `max_event_bytes`.
    #[must_use]
    pub fn new(hide_usage: bool, keep_text_bytes: usize, max_event_bytes: usize) -> Self {
        Self {
            frames: Frames::new(max_event_bytes),
            account: Account::new(hide_usage, keep_text_bytes),
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
        let (passed, taken) = self.pass_canonical(chunk);
        if passed == chunk.len() {
            return Ok(Cow::Borrowed(chunk));
        }
        let mut out = chunk[..passed].to_vec();
        let mut rest = &chunk[taken..];
        while !self.account.over() {
            let Self { frames, account } = self;
            match frames.take(&mut rest) {
                Ok(Some(frame)) => relay(account, &frame, &mut out),
                Ok(None) => break,
                Err(error) => {
                    account.break_off();
                    return Err(error);
                }
            }
        }
        Ok(Cow::Owned(out))
    }

    /// The upstream has ended. Returns its last event if only the blank line behind it was missing; an event
    /// broken off in the middle of its payload is dropped.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.account.over() {
            let Self { frames, account } = self;
            if let Some(frame) = frames.end() {
                relay(account, &frame, &mut out);
            }
        }
        out
    }

    /// The fast path: whole events in the framing we would give them ourselves stay where they are.
    /// Returns how many bytes may pass as they are, and how many are taken: one more event, if that one is withheld.
    fn pass_canonical(&mut self, chunk: &[u8]) -> (usize, usize) {
        let mut at = 0;
        while self.frames.idle_before(chunk) && self.account.open() {
            let rest = &chunk[at..];
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                break;
            };
            if rest.get(end..end + 2) != Some(b"\n\n") || end > self.frames.max_event_bytes() {
                break;
            }
            let verdict = match &rest[..end] {
                [b':', ..] => Verdict::Pass,
                [b'd', b'a', b't', b'a', b':', b' ', payload @ ..] if !payload.is_empty() => {
                    self.account.enter(payload, false)
                }
                _ => break,
            };
            if verdict == Verdict::Withhold {
                return (at, at + end + 2);
            }
            at += end + 2;
        }
        (at, at)
    }

    /// Whether the upstream's `[DONE]` has come.
    #[must_use]
    pub const fn done(&self) -> bool {
        self.account.done()
    }

    /// Whether an error came in the stream, or an event too large for the relay.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.account.failed()
    }

    /// Whether nothing is missing: no error, and either `[DONE]` came or (not everyone sends it) every choice seen
    /// has its finish reason. A stream at its end that is not complete was cut.
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

    /// The finish reasons seen, in the order of the choices' first appearance.
    pub fn finish_reasons(&self) -> impl Iterator<Item = &str> {
        self.account.finish_reasons()
    }

    /// The payload of the error event, as it came.
    #[must_use]
    pub fn error(&self) -> Option<&[u8]> {
        self.account.error()
    }

    /// The tokens of what was said: exact for the text kept, a token for 4 bytes of what went beyond.
    #[must_use]
    pub fn count_completion(&self, encoding: Encoding) -> usize {
        self.account.count_completion(encoding)
    }
}

fn relay(account: &mut Account, frame: &Frame<'_>, out: &mut Vec<u8>) {
    match frame {
        Frame::Comment(_) => {
            if account.open() {
                frame.write(out);
            }
        }
        Frame::Event { data, error } => {
            if account.enter(data, *error) == Verdict::Pass {
                frame.write(out);
            }
        }
    }
}

#[cfg(test)]
mod tests;
