//! What a judge rules, carried out in the bytes of a request.
//!
//! A text is judged as its reader sees it (escapes undone) and what stands there instead is carried back to the raw bytes.
//! A text that is itself JSON, as tool arguments are, stays JSON: inside its strings a finding is replaced in place, a
//! number that is a finding becomes a quoted text, and brackets, commas and colons are never touched.

use std::borrow::Cow;
use std::sync::Arc;

use super::json::{self, Edit, Escapes, RawOffsets, Span};
use crate::detector::{Detector, Finding};
use crate::guardrails::{self, Checks, Hit, Judge, Place};

/// JSON inside a string inside JSON: each level doubles the backslashes, so real texts hold two or three.
const NESTING_MAX: usize = 8;

/// Inspects texts on behalf of a judge.
pub(super) struct Inspection<'j> {
    judge: &'j mut dyn Judge,
    detectors: &'j [Arc<dyn Detector>],
    /// What somebody else has found in the next text.
    given: Option<Vec<Hit>>,
}

impl<'j> Inspection<'j> {
    /// By what `detectors` find, which are the judge's own.
    pub(super) fn new(judge: &'j mut dyn Judge, detectors: &'j [Arc<dyn Detector>]) -> Self {
        Self {
            detectors,
            judge,
            given: None,
        }
    }

    /// By what somebody else has found in a text: the hits are of that very text.
    pub(super) fn given(judge: &'j mut dyn Judge, hits: Vec<Hit>) -> Self {
        Self {
            detectors: &[],
            judge,
            given: Some(hits),
        }
    }

    fn scan(&mut self, text: &str) -> Vec<Hit> {
        self.given.take().unwrap_or_else(|| Checks::scan(self.detectors, text))
    }

    /// What changes in a text. With `is_json` it is a value of JSON, whatever it looks like.
    pub(super) fn text(&mut self, text: &str, is_json: bool) -> Vec<Edit> {
        let hits = self.scan(text);
        let may_hide = !hits.is_empty() || memchr::memchr(b'\\', text.as_bytes()).is_some();
        if may_hide && (is_json || looks_like_json(text)) {
            return self.json(text, hits, 0);
        }
        let places = self.rule(text, hits);
        places.into_iter().map(Edit::from).collect()
    }

    fn rule(&mut self, text: &str, mut hits: Vec<Hit>) -> Vec<Place> {
        let mut places = Vec::new();
        guardrails::rule(self.judge, text, &mut hits, text.len(), &mut places);
        places
    }

    /// What changes in a text that is JSON. `hits` is what a scan of the whole text finds: only that has the key which tells what
    /// a bare number is.
    fn json(&mut self, text: &str, mut hits: Vec<Hit>, nesting: usize) -> Vec<Edit> {
        hits.sort_by_key(|hit| hit.finding.start);
        let mut coming = hits.into_iter().peekable();
        let mut touching: Vec<Hit> = Vec::new();
        let mut edits = Vec::new();
        for scalar in scalars(text.as_bytes()) {
            let (Scalar::String(span) | Scalar::Number(span)) = scalar;
            while let Some(hit) = coming.next_if(|hit| hit.finding.start < span.end) {
                touching.push(hit);
            }
            touching.retain(|hit| hit.finding.end > span.start);
            match scalar {
                Scalar::Number(span) if !touching.is_empty() => edits.extend(self.number(text, span, &touching)),
                Scalar::Number(_) => {}
                Scalar::String(span) => {
                    let raw = &text.as_bytes()[span.start..span.end];
                    let may_hide = raw.contains(&b'\\') || matches!(raw.first(), Some(b'{' | b'['));
                    if may_hide || !touching.is_empty() {
                        let mut inner = self.string(raw, within(span, &touching), nesting);
                        json::shift(&mut inner, span.start);
                        edits.append(&mut inner);
                    }
                }
            }
        }
        edits
    }

    /// A number with a finding in it is one as a whole.
    fn number(&mut self, text: &str, span: Span, touching: &[Hit]) -> Option<Edit> {
        let number = &text[span.start..span.end];
        let whole = |hit: &Hit| Hit {
            finding: Finding {
                start: 0,
                end: number.len(),
                ..hit.finding
            },
            ..*hit
        };
        let places = self.rule(number, touching.iter().map(whole).collect());
        let place = places.into_iter().next()?;
        Some(Edit {
            span,
            text: Cow::Owned(format!("\"{}\"", json::escape(&place.text))),
        })
    }

    /// What changes in the content of a string of a JSON text. `outer` is what the scan of that text has found in it.
    fn string(&mut self, raw: &[u8], outer: Vec<Hit>, nesting: usize) -> Vec<Edit> {
        let said = json::unescape(raw);
        let is_escaped = matches!(said, Cow::Owned(_));
        let is_nested = nesting < NESTING_MAX && looks_like_json(&said);
        // What the string says comes first: in its raw form `\nbob@example.org` looks like `nbob@…`.
        let mut hits = if is_escaped {
            Checks::scan(self.detectors, &said)
        } else {
            Vec::new()
        };
        let inner = hits.len();
        let escapes = Escapes::of(if outer.is_empty() { &[] } else { raw });
        for mut hit in outer {
            hit.finding.start = escapes.said_before(hit.finding.start);
            hit.finding.end = escapes.said_behind(hit.finding.end);
            let overlaps = |held: &Hit| {
                held.detector == hit.detector
                    && held.finding.start < hit.finding.end
                    && hit.finding.start < held.finding.end
            };
            if !hits[..inner].iter().any(overlaps) {
                hits.push(hit);
            }
        }
        let edits = if is_nested {
            self.json(&said, hits, nesting + 1)
        } else {
            self.rule(&said, hits).into_iter().map(Edit::from).collect()
        };
        escaped(raw, edits, is_escaped)
    }
}

/// The hits as they lie in `span`, cut to it.
fn within(span: Span, hits: &[Hit]) -> Vec<Hit> {
    let cut = |hit: &Hit| Hit {
        finding: Finding {
            start: hit.finding.start.max(span.start) - span.start,
            end: hit.finding.end.min(span.end) - span.start,
            ..hit.finding
        },
        ..*hit
    };
    hits.iter().map(cut).collect()
}

/// Edits of what a string says as edits of its raw content.
pub(super) fn escaped(raw: &[u8], mut edits: Vec<Edit>, is_escaped: bool) -> Vec<Edit> {
    let mut offsets = RawOffsets::new(raw);
    for edit in &mut edits {
        if is_escaped {
            edit.span = Span {
                start: offsets.of(edit.span.start),
                end: offsets.of(edit.span.end),
            };
        }
        if let Cow::Owned(escaped) = json::escape(&edit.text) {
            edit.text = Cow::Owned(escaped);
        }
    }
    edits
}

fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[']) && json::is_json(text.as_bytes())
}

impl From<Place> for Edit {
    fn from(place: Place) -> Self {
        Self {
            span: Span {
                start: place.start,
                end: place.end,
            },
            text: place.text,
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Scalar {
    /// The content of a string, key or value, between its quotes.
    String(Span),
    Number(Span),
}

/// The strings and numbers of valid JSON, in order.
pub(super) fn scalars(text: &[u8]) -> impl Iterator<Item = Scalar> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(&byte) = text.get(at) {
            let start = at;
            match byte {
                b'"' => {
                    let end = json::string_end(text, start + 1);
                    at = end + 1;
                    return Some(Scalar::String(Span { start: start + 1, end }));
                }
                b'-' | b'0'..=b'9' => {
                    at = json::value_end(text, start);
                    return Some(Scalar::Number(Span { start, end: at }));
                }
                _ => at += 1,
            }
        }
        None
    })
}
