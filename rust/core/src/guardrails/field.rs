//! One text of a stream: the pieces that its events bring, and what of it waits.

use super::Judge;
use super::any_text::AnyText;
use super::sites::Kind;
use super::spelt::{Sink, Spelt};
use super::text::{Halt, TextStream};
use crate::chat::json;

/// Longer texts are not read as a whole, in bytes.
const WHOLE_BYTES_MAX: usize = 1 << 20;

/// A text in the strings of JSON.
#[derive(Debug)]
pub(super) struct Field {
    spelt: Spelt,
    text: AnyText,
    /// All that was said, where somebody judges whole texts.
    whole: String,
    /// How many bytes wait, as they were spelt.
    held: usize,
    /// What the string that came last says.
    read: String,
}

impl Field {
    pub(super) fn new(kind: Kind) -> Self {
        let text = match kind {
            Kind::Json | Kind::Inline => AnyText::json(),
            _ => AnyText::new(),
        };
        Self {
            spelt: Spelt::default(),
            text,
            whole: String::new(),
            held: 0,
            read: String::new(),
        }
    }

    /// Takes the content of the next string, and adds to `out` the content of the string that goes on in its place.
    pub(super) fn feed(
        &mut self,
        judge: &mut dyn Judge,
        raw: &str,
        is_last: bool,
        out: &mut String,
    ) -> Result<(), Halt> {
        self.read.clear();
        self.spelt.read(raw, is_last, &mut self.read);
        if judge.reads_texts() && self.whole.len() + self.read.len() <= WHOLE_BYTES_MAX {
            self.whole.push_str(&self.read);
        }
        let mut said = Said {
            spelt: &mut self.spelt,
            out,
            settled: 0,
        };
        self.text.feed(judge, &self.read, is_last, &mut said)?;
        self.held = self.held + raw.len() - said.settled;
        if is_last && !self.whole.is_empty() {
            return read_whole(judge, &self.whole);
        }
        Ok(())
    }

    /// How much of it is kept, in bytes.
    pub(super) fn bytes_kept(&self) -> usize {
        self.held + self.whole.len()
    }

    /// Whether something waits.
    pub(super) const fn is_held(&self) -> bool {
        self.held > 0
    }
}

/// Has `judge` judge a whole text of an answer.
pub(super) fn read_whole(judge: &mut dyn Judge, text: &str) -> Result<(), Halt> {
    match judge.read(super::Source::Assistant, text) {
        super::Ruling::Block => Err(Halt),
        _ => Ok(()),
    }
}

/// Writes the content of a JSON string.
struct Said<'a> {
    spelt: &'a mut Spelt,
    out: &'a mut String,
    settled: usize,
}

impl Sink for Said<'_> {
    fn keep(&mut self, bytes: usize) {
        let spelt = self.spelt.take(bytes);
        self.settled += spelt.len();
        self.out.push_str(spelt);
    }

    fn put(&mut self, bytes: usize, text: &str) {
        self.settled += self.spelt.take(bytes).len();
        self.out.push_str(&json::escape(text));
    }
}

/// What becomes of a whole string, or of a whole value of JSON: of its content, as it is spelt.
pub(super) fn whole(judge: &mut dyn Judge, kind: Kind, raw: &str, out: &mut String) -> Result<(), Halt> {
    if kind != Kind::Inline {
        return Field::new(kind).feed(judge, raw, true, out);
    }
    if judge.reads_texts() {
        read_whole(judge, raw)?;
    }
    let mut inline = Inline { raw, out, at: 0 };
    AnyText::json().feed(judge, raw, true, &mut inline)
}

/// Writes a value.
struct Inline<'a> {
    raw: &'a str,
    out: &'a mut String,
    at: usize,
}

impl Sink for Inline<'_> {
    fn keep(&mut self, bytes: usize) {
        self.out.push_str(&self.raw[self.at..self.at + bytes]);
        self.at += bytes;
    }

    fn put(&mut self, bytes: usize, text: &str) {
        self.out.push_str(text);
        self.at += bytes;
    }
}

/// What becomes of a text that is no JSON and has no escapes.
pub(super) fn plain(judge: &mut dyn Judge, text: &str, out: &mut String) -> Result<(), Halt> {
    let mut whole = Inline { raw: text, out, at: 0 };
    TextStream::default().feed(judge, text, true, &mut whole)
}
