//! A text that may be JSON: as it begins, so it is read.

use super::Judge;
use super::json_text::JsonText;
use super::spelt::Sink;
use super::text::{Halt, TextStream};

/// JSON inside a string inside JSON: each level doubles the backslashes, so real texts hold two or three.
const NESTING_MAX: usize = 8;

/// One text of any kind. White space in front of it tells nothing.
#[derive(Debug)]
pub(super) struct AnyText {
    form: Form,
    nesting: usize,
}

#[derive(Debug)]
enum Form {
    /// Nothing was said yet; in front of it stands this.
    Fresh(String),
    Plain(Box<TextStream>),
    Json(Box<JsonText>),
}

impl AnyText {
    /// A text by itself, which is JSON if it looks so.
    pub(super) fn new() -> Self {
        Self::within(String::new(), 0)
    }

    /// A text that ought to be JSON.
    pub(super) fn json() -> Self {
        Self {
            form: Form::Json(Box::new(JsonText::new(0))),
            nesting: 0,
        }
    }

    /// A text inside of so many others, behind `context`.
    pub(super) const fn within(context: String, nesting: usize) -> Self {
        Self {
            form: Form::Fresh(context),
            nesting,
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
        let mut piece = piece;
        if let Form::Fresh(context) = &mut self.form {
            let said = piece.trim_start_matches([' ', '\t', '\n', '\r']);
            let blank = piece.len() - said.len();
            if blank > 0 {
                sink.keep(blank);
            }
            piece = said;
            if piece.is_empty() {
                return Ok(());
            }
            let is_json = piece.starts_with(['{', '[']) && self.nesting < NESTING_MAX;
            self.form = if is_json {
                Form::Json(Box::new(JsonText::new(self.nesting)))
            } else {
                Form::Plain(Box::new(TextStream::behind(context)))
            };
        }
        match &mut self.form {
            Form::Fresh(_) => Ok(()),
            Form::Plain(text) => text.feed(judge, piece, is_last, sink),
            Form::Json(text) => text.feed(judge, piece, is_last, sink),
        }
    }
}
