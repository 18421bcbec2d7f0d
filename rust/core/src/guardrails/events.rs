//! The events of a stream, screened one by one: what goes on of each, and what is said in events between them.
//!
//! A text that comes in pieces is one text for each choice, block or item. Where a piece must wait, the rest of its event leaves
//! at once. What waits to the end leaves in an event of its own, in front of the one that ends its choice, block or item.

use std::borrow::Cow;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use super::added;
use super::answer::no_tokens;
use super::field::{self, Field};
use super::scopes::{Ended, Head, Key};
use super::sites::{Kind, Site, Sites};
use super::text::Halt;
use super::texts::{Count, Text, bytes_kept};
use super::{Direction, Judge, Session};
use crate::chat::json::{self, Edit, Span};
use crate::sse::Dialect;

/// No stream has more texts than this under way.
const TEXTS_MAX: usize = 4096;

/// No stream has more kept of it than this, in bytes: what waits, and the events that brought it.
const KEPT_BYTES_MAX: usize = 32 << 20;

/// Whoever has a judge for one event after another.
pub trait Judges: fmt::Debug + Send + Sync {
    /// Has `work` done with it.
    fn sit(&self, work: &mut dyn FnMut(&mut dyn Judge));
}

impl Judges for Arc<Mutex<Session>> {
    fn sit(&self, work: &mut dyn FnMut(&mut dyn Judge)) {
        // After a panic nobody sits any more, and nothing passes.
        if let Ok(mut session) = self.lock() {
            work(&mut session.judge(Direction::Output));
        }
    }
}

/// Screens one stream.
#[derive(Debug)]
pub struct Screen {
    judges: Box<dyn Judges>,
    stream: Stream,
    is_halted: bool,
}

/// What is known of the stream.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts
struct Stream {
    dialect: Dialect,
    takes_turns: bool,
    texts: Vec<Text>,
    sites: Sites,
    shape: Option<Shape>,
    /// The content of the string that goes on.
    out: String,
    count: Count,
    has_heard: bool,
    has_said: bool,
    drops_tokens: bool,
}

/// The event before, where it brought one piece of one text and nothing else. Most events differ from the one before in nothing
/// but that piece: those need not be read again.
#[derive(Debug)]
struct Shape {
    event: Vec<u8>,
    piece: Span,
    place: usize,
}

impl Shape {
    /// The piece that an event like this one brings: plain characters, without escapes.
    fn piece<'e>(&self, event: &'e [u8]) -> Option<&'e str> {
        let behind = &self.event[self.piece.end..];
        let piece = event
            .strip_prefix(&self.event[..self.piece.start])?
            .strip_suffix(behind)?;
        let is_plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        piece.iter().all(is_plain).then(|| std::str::from_utf8(piece).ok())?
    }
}

impl Screen {
    /// A screen before anything has come.
    #[must_use]
    pub fn new(dialect: Dialect, judges: Box<dyn Judges>) -> Self {
        let stream = Stream {
            dialect,
            takes_turns: false,
            texts: Vec::new(),
            sites: Sites::of_events(),
            shape: None,
            out: String::new(),
            count: Count::default(),
            has_heard: false,
            has_said: false,
            drops_tokens: false,
        };
        Self {
            judges,
            stream,
            is_halted: false,
        }
    }

    /// A chat's events go on in another dialect, which has its texts one behind the other: a text ends where another kind
    /// of text, or a call, begins.
    pub const fn take_turns(&mut self) {
        self.stream.takes_turns = true;
    }

    /// Whether something was found that nothing may follow.
    #[must_use]
    pub const fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// Whether something of a text that comes in pieces has gone on.
    #[must_use]
    pub const fn has_said(&self) -> bool {
        self.stream.has_said
    }

    /// Whether tokens one by one were dropped, which repeat the text.
    #[must_use]
    pub const fn drops_tokens(&self) -> bool {
        self.stream.drops_tokens
    }

    /// Screens the payload of an event, and gives `each` what goes on. After [`Halt`] nothing does; a detector that panics
    /// halts the stream, too.
    pub fn event(&mut self, payload: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Halt> {
        self.judged(|stream, judge| {
            if judge.alters() {
                return stream.screen(judge, payload, each);
            }
            stream.screen(judge, payload, &mut |_| {})?;
            each(payload);
            Ok(())
        })
    }

    /// Screens a comment between events: what goes on of it.
    pub fn comment(&mut self, text: &[u8]) -> Result<Vec<u8>, Halt> {
        let mut out = String::new();
        self.judged(|_, judge| field::plain(judge, &String::from_utf8_lossy(text), &mut out))?;
        Ok(out.into_bytes())
    }

    /// The stream has ended, or is about to: gives `each` the events with what has waited.
    pub fn finish(&mut self, each: &mut dyn FnMut(&[u8])) -> Result<(), Halt> {
        self.judged(|stream, judge| {
            let alters = judge.alters();
            let mut each = |payload: &[u8]| {
                if alters {
                    each(payload);
                }
            };
            stream.shape = None;
            stream.end(judge, &Ended::All, &[], &mut each)
        })
    }

    fn judged(&mut self, mut work: impl FnMut(&mut Stream, &mut dyn Judge) -> Result<(), Halt>) -> Result<(), Halt> {
        if self.is_halted {
            return Err(Halt);
        }
        let Self { judges, stream, .. } = self;
        let done = catch_unwind(AssertUnwindSafe(|| {
            let mut done = Err(Halt);
            judges.sit(&mut |judge| done = work(stream, judge));
            done
        }));
        let done = done.unwrap_or(Err(Halt));
        self.is_halted = done.is_err();
        done
    }
}

impl Stream {
    fn screen(&mut self, judge: &mut dyn Judge, payload: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<(), Halt> {
        if let Some(shape) = self.shape.take() {
            if let Some(piece) = shape.piece(payload) {
                return self.follow(judge, shape, payload, piece, each);
            }
        }
        let told = String::from_utf8_lossy(payload);
        let Some(text) = json::mended(&told) else {
            let mut out = String::new();
            field::plain(judge, &told, &mut out)?;
            each(out.as_bytes());
            return Ok(());
        };
        let mut sites = mem::take(&mut self.sites);
        sites.find(text.as_bytes());
        let done = self.screen_json(judge, text.as_bytes(), &sites, each);
        self.sites = sites;
        done
    }

    /// Screens an event of the same shape as the one before.
    fn follow(
        &mut self,
        judge: &mut dyn Judge,
        mut shape: Shape,
        payload: &[u8],
        piece: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Halt> {
        let (text, mut out) = (&mut self.texts[shape.place], mem::take(&mut self.out));
        out.clear();
        text.field.feed(judge, piece, false, &mut out)?;
        self.keep(shape.place, payload)?;
        self.has_said |= !out.is_empty();
        if out == piece {
            each(payload);
        } else {
            let (start, end) = (shape.piece.start, shape.piece.start + piece.len());
            let mut event = Vec::with_capacity(payload.len() + out.len());
            event.extend_from_slice(&payload[..start]);
            event.extend_from_slice(out.as_bytes());
            event.extend_from_slice(&payload[end..]);
            each(&event);
        }
        self.out = out;
        shape.event.clear();
        shape.event.extend_from_slice(payload);
        shape.piece.end = shape.piece.start + piece.len();
        self.shape = Some(shape);
        Ok(())
    }

    fn screen_json(
        &mut self,
        judge: &mut dyn Judge,
        payload: &[u8],
        sites: &Sites,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Halt> {
        let head = Head::read(self.dialect, payload);
        let pieces = self.pieces(&head, sites)?;
        let ended = head.ended(payload);
        if self.takes_turns {
            self.turn(judge, sites, &pieces, each)?;
        }
        self.end(judge, &ended, &pieces, each)?;
        judge.repeats(head.repeats() && self.has_heard);
        let mut edits = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let (site, _) = sites.get(at);
            if let Some(text) = self.revise(judge, payload, site, *piece, &ended)? {
                edits.push(Edit { span: site.span, text });
            }
        }
        judge.repeats(false);
        for &place in pieces.iter().flatten() {
            self.keep(place, payload)?;
        }
        if ended.is_nothing() {
            if let [Some(place)] = pieces[..] {
                self.shape = Some(Shape {
                    event: payload.to_vec(),
                    piece: sites.get(0).0.span,
                    place,
                });
            }
        } else {
            self.texts.retain(|text| !ended.ends(&text.key));
        }
        if edits.is_empty() {
            each(payload);
        } else {
            each(&json::splice(payload, &edits));
        }
        Ok(())
    }

    /// For each site the place of the text of which it is a piece; nothing where it is a text by itself.
    fn pieces(&mut self, head: &Head<'_>, sites: &Sites) -> Result<Vec<Option<usize>>, Halt> {
        let mut pieces = Vec::with_capacity(sites.len());
        for (site, path) in sites.iter() {
            let is_text = matches!(site.kind, Kind::Text | Kind::Json);
            let key = is_text.then(|| head.key(path)).flatten();
            pieces.push(match key {
                Some(key) => Some(self.place(key, head.kind(site))?),
                None => None,
            });
        }
        Ok(pieces)
    }

    /// The place of the text with that key, which is made if it is new.
    fn place(&mut self, key: Key, kind: Kind) -> Result<usize, Halt> {
        self.has_heard = true;
        if let Some(place) = self.texts.iter().position(|text| text.key == key) {
            return Ok(place);
        }
        if self.texts.len() == TEXTS_MAX {
            return Err(Halt);
        }
        self.texts.push(Text {
            key,
            kind,
            field: Field::new(kind),
            event: Vec::new(),
        });
        Ok(self.texts.len() - 1)
    }

    /// Keeps the event that brought a piece, if something of the text waits.
    fn keep(&mut self, place: usize, event: &[u8]) -> Result<(), Halt> {
        self.texts[place].keep(event);
        if bytes_kept(&self.texts) > KEPT_BYTES_MAX {
            return Err(Halt);
        }
        Ok(())
    }

    /// What stands at the site now, if that is something else.
    fn revise(
        &mut self,
        judge: &mut dyn Judge,
        payload: &[u8],
        site: Site,
        piece: Option<usize>,
        ended: &Ended,
    ) -> Result<Option<Cow<'static, str>>, Halt> {
        let raw = site.span.of(payload);
        match site.kind {
            Kind::Sequence => return Ok(self.count.moved(raw)),
            Kind::Tokens => {
                self.drops_tokens = true;
                return Ok(Some(Cow::Borrowed(no_tokens(raw))));
            }
            Kind::SoFar => return Ok(Some(Cow::Borrowed("null"))),
            Kind::Text | Kind::Json | Kind::Inline => {}
        }
        let raw = std::str::from_utf8(raw).unwrap_or_default();
        let mut out = String::with_capacity(raw.len());
        match piece {
            Some(place) => {
                let text = &mut self.texts[place];
                text.field.feed(judge, raw, ended.ends(&text.key), &mut out)?;
                self.has_said |= !out.is_empty();
            }
            None => field::whole(judge, site.kind, raw, &mut out)?,
        }
        Ok((out != raw).then_some(Cow::Owned(out)))
    }

    /// Ends the texts that are `ended` and of which this event brings no piece: what has waited leaves in events of its own.
    fn end(
        &mut self,
        judge: &mut dyn Judge,
        ended: &Ended,
        pieces: &[Option<usize>],
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Halt> {
        if ended.is_nothing() {
            return Ok(());
        }
        for place in 0..self.texts.len() {
            if ended.ends(&self.texts[place].key) && !pieces.contains(&Some(place)) {
                self.flush(judge, place, each)?;
            }
        }
        if pieces.is_empty() {
            self.texts.retain(|text| !ended.ends(&text.key));
        }
        Ok(())
    }

    /// Ends the texts of a choice that says something of another kind now.
    fn turn(
        &mut self,
        judge: &mut dyn Judge,
        sites: &Sites,
        pieces: &[Option<usize>],
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Halt> {
        let said = |at: &usize| sites.get(*at).0.span.len() > 0 || sites.get(*at).0.kind == Kind::Json;
        let saying: Vec<Key> = (0..pieces.len())
            .filter(said)
            .filter_map(|at| pieces[at].map(|place| self.texts[place].key.clone()))
            .collect();
        for place in 0..self.texts.len() {
            let key = &self.texts[place].key;
            let mut others = saying.iter().filter(|other| other.scope == key.scope).peekable();
            if others.peek().is_some() && others.all(|other| other.turn() != key.turn()) {
                self.flush(judge, place, each)?;
                self.texts[place].field = Field::new(self.texts[place].kind);
            }
        }
        Ok(())
    }

    /// Has all leave that has waited of a text.
    fn flush(&mut self, judge: &mut dyn Judge, place: usize, each: &mut dyn FnMut(&[u8])) -> Result<(), Halt> {
        let text = &mut self.texts[place];
        let mut out = String::new();
        text.field.feed(judge, "", true, &mut out)?;
        if !out.is_empty() {
            let event = added::event(text.key.dialect(self.dialect), text, &out, &mut self.count);
            each(&event);
        }
        Ok(())
    }
}
