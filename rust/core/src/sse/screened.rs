//! Streams of which every text is screened. What is counted and billed stays what the upstream said: an event is entered
//! into the account first.

use super::account::{Account, Verdict, event_name};
use super::frames::{EventTooLarge, Frame, write_comment, write_event};
use super::{Dialect, Relay};
use crate::guardrails::{Halt, Screen};

/// The event behind which some end a response.
const DONE: &[u8] = b"[DONE]";

/// A screen, and what it has made of the events that the caller sends.
#[derive(Debug)]
pub(super) struct Screened {
    screen: Screen,
    /// The stream's last event, framed.
    pub(super) last: Vec<u8>,
    /// The payload of the event that told an error.
    pub(super) error: Option<Vec<u8>>,
}

/// What passes.
enum Passed<'a> {
    Comment(&'a [u8]),
    Event { payload: &'a [u8], error: bool },
}

impl Screened {
    pub(super) const fn new(screen: Screen) -> Self {
        Self {
            screen,
            last: Vec::new(),
            error: None,
        }
    }

    pub(super) const fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Enters an event, and gives `each` what passes of it.
    fn enter(
        &mut self,
        account: &mut Account,
        payload: &[u8],
        error: bool,
        each: &mut dyn FnMut(Passed<'_>),
    ) -> Result<(), Halt> {
        let (was_failed, ends) = (account.failed(), account.ends());
        let verdict = account.enter(payload, error);
        let mut pass = |payload: &[u8]| each(Passed::Event { payload, error });
        if account.failed() != was_failed || (account.done() && verdict == Verdict::Withhold) {
            self.screen.finish(&mut pass)?;
        }
        match verdict {
            Verdict::Pass if account.failed() => {
                let told = self.told(payload)?;
                pass(&told);
                self.error = Some(told);
            }
            Verdict::Pass => self.screen.event(payload, &mut pass)?,
            Verdict::Rewrite => self.screen.event(account.rewritten(), &mut pass)?,
            Verdict::Withhold => self.withhold(account, payload, was_failed, ends)?,
        }
        Ok(())
    }

    /// Gives `each` what passes of a comment.
    fn comment(&mut self, account: &Account, text: &[u8], each: &mut dyn FnMut(Passed<'_>)) -> Result<(), Halt> {
        if account.open() {
            each(Passed::Comment(&self.screen.comment(text)?));
        }
        Ok(())
    }

    /// Keeps what the caller will send of an event that does not pass.
    fn withhold(&mut self, account: &Account, payload: &[u8], was_failed: bool, ends: usize) -> Result<(), Halt> {
        if payload.trim_ascii() == DONE {
            if account.ends() > ends {
                write_event(None, DONE, &mut self.last);
            }
            return Ok(());
        }
        let has_ended = account.ends() > ends;
        let has_failed = account.failed() != was_failed;
        if has_ended || has_failed {
            let told = self.told(payload)?;
            if has_ended {
                write_event(event_name(&told), &told, &mut self.last);
            }
            if has_failed {
                self.error = Some(told);
            }
        }
        Ok(())
    }

    fn told(&mut self, payload: &[u8]) -> Result<Vec<u8>, Halt> {
        let mut told = Vec::new();
        self.screen.event(payload, &mut |payload| told = payload.to_vec())?;
        Ok(told)
    }
}

impl Relay {
    /// Has every text screened: see [`Screen`]. Of the first event on.
    #[must_use]
    pub fn screened(mut self, screen: Screen) -> Self {
        self.screened = Some(Box::new(Screened::new(screen)));
        self
    }

    /// The screen, if there is one.
    #[must_use]
    pub fn screen(&self) -> Option<&Screen> {
        self.screened.as_deref().map(Screened::screen)
    }

    /// Like [`Relay::feed`].
    pub(super) fn feed_screened(&mut self, chunk: &[u8]) -> Result<Vec<u8>, EventTooLarge> {
        let (dialect, mut out) = (self.dialect, Vec::with_capacity(chunk.len() + 64));
        self.take_screened(chunk, &mut |passed| write(dialect, &passed, &mut out))?;
        Ok(out)
    }

    /// Like [`Relay::feed_payloads`].
    pub(super) fn feed_screened_payloads(
        &mut self,
        chunk: &[u8],
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), EventTooLarge> {
        if let Some(screened) = &mut self.screened {
            screened.screen.take_turns();
        }
        self.take_screened(chunk, &mut |passed| {
            if let Passed::Event { payload, .. } = passed {
                each(payload);
            }
        })
    }

    /// Like [`Relay::finish`].
    pub(super) fn finish_screened(&mut self) -> Vec<u8> {
        let (dialect, mut out) = (self.dialect, Vec::new());
        self.end_screened(&mut |passed| write(dialect, &passed, &mut out));
        out
    }

    /// Like [`Relay::finish_payloads`].
    pub(super) fn finish_screened_payloads(&mut self, each: &mut dyn FnMut(&[u8])) {
        self.end_screened(&mut |passed| {
            if let Passed::Event { payload, .. } = passed {
                each(payload);
            }
        });
    }

    fn take_screened(&mut self, chunk: &[u8], each: &mut dyn FnMut(Passed<'_>)) -> Result<(), EventTooLarge> {
        let mut rest = chunk;
        if self.screen().is_some_and(Screen::is_halted) {
            return Ok(());
        }
        while !self.account.over() {
            let is_idle = self.frames.idle_before(rest);
            let canonical = if is_idle { self.canonical(rest) } else { None };
            let Self {
                frames,
                account,
                screened: Some(screened),
                ..
            } = self
            else {
                break;
            };
            let done = if let Some((line, len)) = canonical {
                let comment = &rest[1..len - 2];
                rest = &rest[len..];
                match line {
                    Some(payload) => screened.enter(account, payload, false, each),
                    None => screened.comment(account, comment, each),
                }
            } else {
                match frames.take(&mut rest) {
                    Ok(Some(Frame::Event { data, error })) => screened.enter(account, data, error, each),
                    Ok(Some(Frame::Comment(text))) => screened.comment(account, text, each),
                    Ok(None) => break,
                    Err(error) => {
                        account.break_off();
                        return Err(error);
                    }
                }
            };
            if done.is_err() {
                break;
            }
        }
        Ok(())
    }

    fn end_screened(&mut self, each: &mut dyn FnMut(Passed<'_>)) {
        let Self {
            frames,
            account,
            screened: Some(screened),
            ..
        } = self
        else {
            return;
        };
        if account.over() || screened.screen.is_halted() {
            return;
        }
        let done = match frames.end() {
            Some(Frame::Event { data, error }) => screened.enter(account, data, error, each),
            _ => Ok(()),
        };
        if done.is_ok() {
            // Should it halt here, nothing has passed, and the screen knows.
            let _ = screened
                .screen
                .finish(&mut |payload| each(Passed::Event { payload, error: false }));
        }
    }
}

fn write(dialect: Dialect, passed: &Passed<'_>, out: &mut Vec<u8>) {
    match passed {
        Passed::Comment(text) => write_comment(text, out),
        Passed::Event { payload, error } => {
            let name = match dialect {
                Dialect::Chat => None,
                Dialect::Messages | Dialect::Responses => event_name(payload),
            };
            write_event(name.or(error.then_some(b"error")), payload, out);
        }
    }
}
