//! A text on its way to the client, in pieces: what is judged goes on, what may still become something waits.

use super::Judge;
use super::resolve::{Hit, Place, rule};
use super::spelt::Sink;
use crate::detector::LOOK_BEHIND_BYTES;

/// Nothing of what follows may pass. The judge knows why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt;

/// How much of the past is kept beyond what detectors need before it is dropped, in bytes.
const DROPPED_BYTES: usize = 1024;

/// From so many bytes on that wait, they are looked at again only when they have grown by a quarter: a match that goes on and
/// on costs time by its length, however it is cut.
const PATIENT_BYTES: usize = 512;

/// Nothing waits beyond this: what is longer is no match.
const HELD_BYTES_MAX: usize = 1 << 20;

/// The longest placeholder, in bytes.
const PLACEHOLDER_BYTES_MAX: usize = 96;

/// One text, of which a window is kept: what waits, and as much before it as detectors may look at.
#[derive(Debug, Default)]
pub(super) struct TextStream {
    window: String,
    /// Up to where each detector has decided.
    decided: Vec<usize>,
    /// What they found behind what is settled.
    hits: Vec<Hit>,
    /// Placeholders behind what is settled, and what they stand for.
    originals: Vec<Place>,
    /// Up to where placeholders have been looked for.
    sought: usize,
    /// Up to where the text has gone on.
    settled: usize,
    /// As long as the window is shorter, nobody looks at it.
    patience: usize,
}

impl TextStream {
    /// A text in front of which stands `context`, which detectors look at and which goes nowhere.
    pub(super) fn behind(context: &str) -> Self {
        let mut from = context.len().saturating_sub(LOOK_BEHIND_BYTES);
        while !context.is_char_boundary(from) {
            from += 1;
        }
        let window = context[from..].to_owned();
        let settled = window.len();
        Self {
            window,
            sought: settled,
            settled,
            ..Self::default()
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
        self.window.push_str(piece);
        if !is_last && self.window.len() < self.patience {
            return Ok(());
        }
        let is_last = is_last || self.window.len() - self.settled > HELD_BYTES_MAX;
        let decided = self.scan(judge, is_last);
        let decided = self.seek(judge, decided, is_last);
        self.respect_placeholders();
        let mut places = Vec::new();
        let ruled = rule(judge, &self.window, &mut self.hits, decided, &mut places);
        if ruled.is_blocked {
            return Err(Halt);
        }
        self.pass(places, ruled.settled, sink);
        Ok(())
    }

    /// Has every detector look on; up to where all have decided.
    fn scan(&mut self, judge: &dyn Judge, is_last: bool) -> usize {
        let mut all = self.window.len();
        let detectors = judge.detectors();
        self.decided.resize(detectors.len(), self.settled);
        let mut found = Vec::new();
        for (at, detector) in detectors.iter().enumerate() {
            let decided = detector.scan(&self.window, self.decided[at], is_last, &mut found);
            self.decided[at] = decided;
            all = usize::min(all, decided);
            self.hits
                .extend(found.drain(..).map(|finding| Hit { detector: at, finding }));
        }
        all
    }

    /// Looks for placeholders; up to where all is decided, none of them cut.
    fn seek(&mut self, judge: &dyn Judge, mut decided: usize, is_last: bool) -> usize {
        while let Some(found) = memchr::memchr(b'[', &self.window.as_bytes()[self.sought..]) {
            let start = self.sought + found;
            match placeholder(&self.window[start..]) {
                Shape::Whole(len) => {
                    let end = start + len;
                    if let Some(original) = judge.original(&self.window[start..end]) {
                        let text = original.to_owned().into();
                        self.originals.push(Place { start, end, text });
                        self.sought = end;
                    } else {
                        self.sought = start + 1;
                    }
                }
                Shape::Begun if !is_last => {
                    self.sought = start;
                    decided = usize::min(decided, start);
                    break;
                }
                Shape::Begun | Shape::Other => self.sought = start + 1,
            }
        }
        if memchr::memchr(b'[', &self.window.as_bytes()[self.sought..]).is_none() {
            self.sought = self.window.len();
        }
        let cut = self.originals.iter().find(|it| it.start < decided && decided < it.end);
        cut.map_or(decided, |it| it.start)
    }

    /// What is found within a placeholder is none; what reaches beyond one takes all of it.
    fn respect_placeholders(&mut self) {
        if self.originals.is_empty() {
            return;
        }
        let originals = &self.originals;
        self.hits.retain_mut(|hit| {
            let finding = &mut hit.finding;
            for place in originals {
                if place.start <= finding.start && finding.end <= place.end {
                    return false;
                }
                if place.start < finding.end && finding.start < place.end {
                    finding.start = usize::min(finding.start, place.start);
                    finding.end = usize::max(finding.end, place.end);
                }
            }
            true
        });
    }

    /// Tells what becomes of the text up to `settled`.
    fn pass(&mut self, places: Vec<Place>, settled: usize, sink: &mut dyn Sink) {
        let mut at = self.settled;
        let settled_originals = self.originals.iter().take_while(|it| it.end <= settled).count();
        let mut originals = self.originals.drain(..settled_originals).peekable();
        let mut places = places.into_iter().peekable();
        loop {
            let is_original = match (originals.peek(), places.peek()) {
                (None, None) => break,
                (Some(original), Some(place)) => original.start < place.start,
                (original, _) => original.is_some(),
            };
            let next = if is_original { originals.next() } else { places.next() };
            // An original within something that is rewritten stays hidden.
            if let Some(place) = next.filter(|place| place.start >= at) {
                if place.start > at {
                    sink.keep(place.start - at);
                }
                sink.put(place.end - place.start, &place.text);
                at = place.end;
            }
        }
        drop(originals);
        if settled > at {
            sink.keep(settled - at);
        }
        self.settled = settled;
        self.forget();
        let held = self.window.len() - self.settled;
        self.patience = if held < PATIENT_BYTES {
            0
        } else {
            self.window.len() + held / 4
        };
    }

    /// Drops what nobody may look at any more.
    fn forget(&mut self) {
        let mut past = self.settled.saturating_sub(LOOK_BEHIND_BYTES);
        if past < DROPPED_BYTES {
            return;
        }
        while !self.window.is_char_boundary(past) {
            past -= 1;
        }
        self.window.drain(..past);
        self.settled -= past;
        self.sought -= past;
        for decided in &mut self.decided {
            *decided -= past;
        }
        for hit in &mut self.hits {
            hit.finding.start -= past;
            hit.finding.end -= past;
        }
        for place in &mut self.originals {
            place.start -= past;
            place.end -= past;
        }
    }
}

enum Shape {
    /// Of that length, in bytes.
    Whole(usize),
    /// It may become one.
    Begun,
    Other,
}

/// Whether a placeholder begins here: `[EMAIL_QWRTPSDF]`.
fn placeholder(text: &str) -> Shape {
    let name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let rest = &text.as_bytes()[1..];
    let len = rest
        .iter()
        .take(PLACEHOLDER_BYTES_MAX)
        .take_while(|byte| name(byte))
        .count();
    match rest.get(len) {
        Some(b']') if len > 0 => Shape::Whole(len + 2),
        None if len < PLACEHOLDER_BYTES_MAX => Shape::Begun,
        _ => Shape::Other,
    }
}
