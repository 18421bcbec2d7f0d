//! A text that is JSON, as a call's arguments are, on its way to the client in pieces: it stays JSON.
//!
//! What a string says is judged as its reader sees it, keys included; a number that is found out becomes a string. Brackets,
//! commas and colons are never touched. In front of every scalar stands what was said before it, so that a key tells what
//! a bare number is. From where it turns out to be no JSON on, it is a plain text.

use std::mem;

use super::Judge;
use super::any_text::AnyText;
use super::spelt::{Respelt, Sink, Spelt};
use super::text::{Halt, TextStream};
use crate::chat::json;
use crate::detector::LOOK_BEHIND_BYTES;

/// A number of more digits, with the space behind it, is none.
const NUMBER_BYTES_MAX: usize = 4096;

/// How much of what was said is kept before it is dropped, in bytes.
const PAST_BYTES: usize = 4 * LOOK_BEHIND_BYTES;

/// A text of JSON.
#[derive(Debug)]
pub(super) struct JsonText {
    nesting: usize,
    /// The end of what was said so far, without what waits.
    past: String,
    /// What waits: a bracket, a scalar that is no string, and the space behind it.
    waiting: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Between scalars. A scalar may begin, unless another has just ended.
    Between {
        after_scalar: bool,
    },
    /// A bracket waits for what follows.
    Bracket,
    /// A number or a word waits: of so many bytes, the rest is space behind it.
    Scalar {
        len: Option<usize>,
    },
    String(Box<Content>),
    /// It is no JSON from here on.
    Plain(Box<TextStream>),
}

/// The string that is being said.
#[derive(Debug)]
struct Content {
    spelt: Spelt,
    text: AnyText,
    /// A backslash was the last.
    escaped: bool,
}

impl JsonText {
    /// A text inside of so many others.
    pub(super) fn new(nesting: usize) -> Self {
        Self {
            nesting,
            past: String::new(),
            waiting: String::new(),
            state: State::Between { after_scalar: false },
        }
    }

    /// Takes the next piece, and tells `sink` what becomes of what is settled by it. After the last nothing waits.
    pub(super) fn feed(
        &mut self,
        judge: &mut dyn Judge,
        piece: &str,
        is_last: bool,
        sink: &mut dyn Sink,
    ) -> Result<(), Halt> {
        let mut rest = piece;
        while !rest.is_empty() {
            let taken = self.step(judge, rest, sink)?;
            rest = &rest[taken..];
        }
        if is_last { self.end(judge, sink) } else { Ok(()) }
    }

    /// Takes something off the front of `rest`, and returns how much.
    fn step(&mut self, judge: &mut dyn Judge, rest: &str, sink: &mut dyn Sink) -> Result<usize, Halt> {
        match &mut self.state {
            State::Between { after_scalar } => {
                let after_scalar = *after_scalar;
                self.between(judge, rest, after_scalar, sink)
            }
            State::Bracket => self.bracket(judge, rest, sink),
            State::Scalar { len } => {
                let len = *len;
                self.scalar(judge, rest, len, sink)
            }
            State::String(_) => self.string(judge, rest, sink),
            State::Plain(text) => {
                text.feed(judge, rest, false, sink)?;
                Ok(rest.len())
            }
        }
    }

    fn between(
        &mut self,
        judge: &mut dyn Judge,
        rest: &str,
        after_scalar: bool,
        sink: &mut dyn Sink,
    ) -> Result<usize, Halt> {
        let structure = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b'}' | b']' | b'{');
        let passing = rest.bytes().take_while(structure).count();
        if passing > 0 {
            let told = rest[..passing].bytes().rfind(|byte| !byte.is_ascii_whitespace());
            let after_scalar = told.map_or(after_scalar, |byte| matches!(byte, b'}' | b']'));
            self.state = State::Between { after_scalar };
            self.say(&rest[..passing]);
            sink.keep(passing);
            return Ok(passing);
        }
        match rest.as_bytes()[0] {
            b'[' => {
                self.waiting.push('[');
                self.state = State::Bracket;
                Ok(1)
            }
            b'"' if !after_scalar => {
                self.say("\"");
                sink.keep(1);
                self.state = State::String(Box::new(Content {
                    spelt: Spelt::default(),
                    text: AnyText::within(self.context(), self.nesting + 1),
                    escaped: false,
                }));
                Ok(1)
            }
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' if !after_scalar => {
                self.state = State::Scalar { len: None };
                Ok(0)
            }
            _ => self.give_up(judge, sink),
        }
    }

    /// A capital letter behind a bracket begins a placeholder, or a text that is no JSON, the bracket included.
    fn bracket(&mut self, judge: &mut dyn Judge, rest: &str, sink: &mut dyn Sink) -> Result<usize, Halt> {
        if rest.as_bytes()[0].is_ascii_uppercase() {
            return self.give_up(judge, sink);
        }
        self.release(sink);
        self.state = State::Between { after_scalar: false };
        Ok(0)
    }

    /// A number or a word waits until what follows shows that it was one.
    fn scalar(
        &mut self,
        judge: &mut dyn Judge,
        rest: &str,
        len: Option<usize>,
        sink: &mut dyn Sink,
    ) -> Result<usize, Halt> {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        let space = |byte: &u8| byte.is_ascii_whitespace();
        let more = if len.is_none() {
            rest.bytes().take_while(word).count()
        } else {
            0
        };
        let blank = rest[more..].bytes().take_while(space).count();
        self.waiting.push_str(&rest[..more + blank]);
        let spaced = self.waiting.len() - blank;
        let len = len.or((blank > 0).then_some(spaced));
        self.state = State::Scalar { len };
        if self.waiting.len() > NUMBER_BYTES_MAX {
            self.give_up(judge, sink)?;
            return Ok(more + blank);
        }
        match rest.as_bytes().get(more + blank) {
            None => {}
            Some(b',' | b'}' | b']' | b':') => self.end_scalar(judge, sink)?,
            Some(_) => {
                self.give_up(judge, sink)?;
            }
        }
        Ok(more + blank)
    }

    /// Judges the scalar that waits: one that is found out becomes a string.
    fn end_scalar(&mut self, judge: &mut dyn Judge, sink: &mut dyn Sink) -> Result<(), Halt> {
        let len = self.waiting.trim_ascii_end().len();
        if !json::is_json(&self.waiting.as_bytes()[..len]) {
            return self.give_up(judge, sink).map(|_| ());
        }
        if self.waiting.as_bytes()[0].is_ascii_alphabetic() {
            self.release(sink);
        } else {
            let mut number = Number::default();
            TextStream::behind(&self.context()).feed(judge, &self.waiting[..len], true, &mut number)?;
            match number.text {
                Some(text) => sink.put(len, &format!("\"{}\"", json::escape(&text))),
                None => sink.keep(len),
            }
            let number: String = self.waiting.drain(..len).collect();
            self.say(&number);
            self.release(sink);
        }
        self.state = State::Between { after_scalar: true };
        Ok(())
    }

    fn string(&mut self, judge: &mut dyn Judge, rest: &str, sink: &mut dyn Sink) -> Result<usize, Halt> {
        let State::String(content) = &mut self.state else {
            return Ok(0);
        };
        let close = closing_quote(rest, &mut content.escaped);
        let raw = &rest[..close.unwrap_or(rest.len())];
        content.feed(judge, raw, close.is_some(), sink)?;
        self.say(raw);
        if close.is_none() {
            return Ok(raw.len());
        }
        self.say("\"");
        sink.keep(1);
        self.state = State::Between { after_scalar: true };
        Ok(raw.len() + 1)
    }

    /// Nothing follows.
    fn end(&mut self, judge: &mut dyn Judge, sink: &mut dyn Sink) -> Result<(), Halt> {
        match &mut self.state {
            State::Between { .. } => return Ok(()),
            State::Bracket => {
                self.release(sink);
                return Ok(());
            }
            State::String(content) => return content.feed(judge, "", true, sink),
            State::Scalar { .. } => self.end_scalar(judge, sink)?,
            State::Plain(_) => {}
        }
        match &mut self.state {
            State::Plain(text) => text.feed(judge, "", true, sink),
            _ => Ok(()),
        }
    }

    /// It is no JSON: what waits and all that follows is plain text. Takes nothing.
    fn give_up(&mut self, judge: &mut dyn Judge, sink: &mut dyn Sink) -> Result<usize, Halt> {
        let mut text = Box::new(TextStream::behind(&self.past));
        text.feed(judge, &mem::take(&mut self.waiting), false, sink)?;
        self.state = State::Plain(text);
        Ok(0)
    }

    /// What waits passes.
    fn release(&mut self, sink: &mut dyn Sink) {
        sink.keep(self.waiting.len());
        let waiting = mem::take(&mut self.waiting);
        self.say(&waiting);
    }

    fn say(&mut self, said: &str) {
        self.past.push_str(said);
        if self.past.len() > PAST_BYTES {
            self.past = self.context();
        }
    }

    /// As much of the past as anybody may look at.
    fn context(&self) -> String {
        let mut from = self.past.len().saturating_sub(LOOK_BEHIND_BYTES);
        while !self.past.is_char_boundary(from) {
            from += 1;
        }
        self.past[from..].to_owned()
    }
}

impl Content {
    fn feed(&mut self, judge: &mut dyn Judge, raw: &str, is_last: bool, sink: &mut dyn Sink) -> Result<(), Halt> {
        let mut read = String::new();
        self.spelt.read(raw, is_last, &mut read);
        let mut respelt = Respelt {
            spelt: &mut self.spelt,
            sink,
        };
        self.text.feed(judge, &read, is_last, &mut respelt)
    }
}

/// The first quote that no backslash stands before.
fn closing_quote(text: &str, escaped: &mut bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    if mem::take(escaped) {
        at = 1;
    }
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..)?) {
        at += found;
        if bytes[at] == b'"' {
            return Some(at);
        }
        *escaped = at + 1 == bytes.len();
        at += 2;
    }
    None
}

/// What becomes of a number: the first that is put in its place stands for all of it.
#[derive(Default)]
struct Number {
    text: Option<String>,
}

impl Sink for Number {
    fn keep(&mut self, _bytes: usize) {}

    fn put(&mut self, _bytes: usize, text: &str) {
        self.text.get_or_insert_with(|| text.to_owned());
    }
}
