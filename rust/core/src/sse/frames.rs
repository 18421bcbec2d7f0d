//! Events out of bytes, after the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream".

use crate::chat::json;

/// An event or a line exceeds the relay's buffer. The upstream is broken, or hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream sent an event of more than {max_event_bytes} bytes")]
pub struct EventTooLarge {
    /// The bound.
    pub max_event_bytes: usize,
}

/// What a stream consists of.
pub(super) enum Frame<'a> {
    /// A comment between events; the text behind the colon.
    Comment(&'a [u8]),
    /// An event with data; `error` if that is its name. Other names, ids and retry times end here: chat has none, and
    /// the dialects that name their events repeat the name in the data.
    Event { data: &'a [u8], error: bool },
}

/// Writes a comment in the one framing that clients get.
pub(super) fn write_comment(text: &[u8], out: &mut Vec<u8>) {
    out.push(b':');
    out.extend_from_slice(text);
    out.extend_from_slice(b"\n\n");
}

/// Writes an event in the one framing that clients get.
pub(super) fn write_event(name: Option<&[u8]>, data: &[u8], out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name);
        out.push(b'\n');
    }
    for line in data.split(|&byte| byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
}

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a completed line leads to.
enum Step {
    Read,
    Comment,
    Dispatch,
}

#[derive(Debug)]
enum Spent {
    Nothing,
    Line,
    Event,
}

/// Assembles frames. Every byte is looked at once, however the stream is cut into chunks.
#[derive(Debug)]
pub(super) struct Frames {
    max_event_bytes: usize,
    /// How much of a byte order mark has been seen; `None` once the stream has begun.
    mark: Option<usize>,
    /// The line so far.
    line: Vec<u8>,
    /// The data lines of the event so far, joined by newlines.
    data: Vec<u8>,
    has_data: bool,
    named_error: bool,
    /// The last line ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    /// What was handed out last, and is to be cleared.
    spent: Spent,
}

impl Frames {
    pub(super) const fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            mark: Some(0),
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            named_error: false,
            after_cr: false,
            spent: Spent::Nothing,
        }
    }

    pub(super) const fn max_event_bytes(&self) -> usize {
        self.max_event_bytes
    }

    /// How much is held of an event that is not whole yet.
    pub(super) fn held_bytes(&self) -> usize {
        match self.spent {
            Spent::Nothing => self.line.len() + self.data.len(),
            Spent::Line => self.data.len(),
            Spent::Event => 0,
        }
    }

    /// Whether `chunk` begins at the border between two events, so that it can be read without this assembler.
    pub(super) fn idle_before(&mut self, chunk: &[u8]) -> bool {
        self.clear_spent();
        if self.mark == Some(0) && chunk.first() != Some(&BYTE_ORDER_MARK[0]) {
            self.mark = None;
        }
        self.mark.is_none() && self.line.is_empty() && !self.has_data && !self.named_error && !self.after_cr
    }

    /// Takes bytes from the front of `chunk` up to the end of the next frame; `None` when the chunk is used up.
    pub(super) fn take<'a>(&'a mut self, chunk: &mut &[u8]) -> Result<Option<Frame<'a>>, EventTooLarge> {
        self.clear_spent();
        self.pass_mark(chunk);
        let step = loop {
            if self.after_cr && !chunk.is_empty() {
                self.after_cr = false;
                *chunk = chunk.strip_prefix(b"\n").unwrap_or(chunk);
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', chunk) else {
                self.grow(chunk)?;
                *chunk = &[];
                return Ok(None);
            };
            self.grow(&chunk[..end])?;
            self.after_cr = chunk[end] == b'\r';
            *chunk = &chunk[end + 1..];
            match self.end_line() {
                Step::Read => {}
                step => break step,
            }
        };
        Ok(self.hand_out(&step))
    }

    /// The stream has ended: the last event, if it only lacked its blank line.
    ///
    /// The standard drops such an event. Upstreams do forget the last blank line, so a payload that is whole (`[DONE]` or
    /// valid JSON) passes.
    pub(super) fn end(&mut self) -> Option<Frame<'_>> {
        self.clear_spent();
        if !self.line.is_empty() {
            self.end_line();
        }
        let whole = self.data.trim_ascii() == b"[DONE]" || json::is_json(&self.data);
        if whole { self.hand_out(&Step::Dispatch) } else { None }
    }

    fn hand_out(&mut self, step: &Step) -> Option<Frame<'_>> {
        match step {
            Step::Read => None,
            Step::Comment => {
                self.spent = Spent::Line;
                Some(Frame::Comment(&self.line[1..]))
            }
            Step::Dispatch => {
                self.spent = Spent::Event;
                Some(Frame::Event {
                    data: &self.data,
                    error: self.named_error,
                })
            }
        }
    }

    fn clear_spent(&mut self) {
        match std::mem::replace(&mut self.spent, Spent::Nothing) {
            Spent::Nothing => {}
            Spent::Line => self.line.clear(),
            Spent::Event => self.clear_event(),
        }
    }

    fn clear_event(&mut self) {
        self.data.clear();
        self.has_data = false;
        self.named_error = false;
    }

    /// Skips a byte order mark at the very start, which may come in pieces.
    fn pass_mark(&mut self, chunk: &mut &[u8]) {
        while let (Some(seen), Some((&first, rest))) = (self.mark, chunk.split_first()) {
            if BYTE_ORDER_MARK[seen] == first {
                *chunk = rest;
                self.mark = Some(seen + 1).filter(|&seen| seen < BYTE_ORDER_MARK.len());
            } else {
                self.line.extend_from_slice(&BYTE_ORDER_MARK[..seen]);
                self.mark = None;
            }
        }
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        if self.line.len() + self.data.len() + bytes.len() > self.max_event_bytes {
            return Err(EventTooLarge {
                max_event_bytes: self.max_event_bytes,
            });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Step {
        if self.line.is_empty() {
            if self.data.is_empty() {
                // An event whose data are empty is none.
                self.clear_event();
                return Step::Read;
            }
            return Step::Dispatch;
        }
        if self.line[0] == b':' {
            if !self.has_data && !self.named_error {
                return Step::Comment;
            }
            self.line.clear();
            return Step::Read;
        }
        let colon = memchr::memchr(b':', &self.line);
        let (name, value) = self.line.split_at(colon.unwrap_or(self.line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.named_error = value == b"error",
            _ => {}
        }
        self.line.clear();
        Step::Read
    }
}
