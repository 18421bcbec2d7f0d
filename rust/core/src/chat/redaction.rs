//! Personal data in a request: found in the text a model reads, replaced in the bytes that text came from.
//!
//! A text is scanned as its reader sees it (escapes undone) and findings are carried back to the raw bytes. A
//! text that is itself JSON, as tool arguments are, stays JSON: inside its strings a finding is replaced in place, a
//! number that is a finding becomes a quoted placeholder, and brackets, commas and colons are never touched.

use std::borrow::Cow;

use super::inlined;
use super::json::{self, Edit, RawOffsets, Span};
use super::pieces::{Kind, Piece};
use crate::pii::{Entity, Finding, Scanner};

/// JSON inside a string inside JSON: each level doubles the backslashes, so real texts hold two or three.
const NESTING_MAX: usize = 8;

/// How many findings there were of each entity, in order of first sight. Empty when the text is clean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Vec<(Entity, usize)>);

impl Tally {
    /// Each entity found, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Entity, usize)> {
        self.0.iter().copied()
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, hits: &[Hit]) {
        for hit in hits {
            match self.0.iter_mut().find(|(entity, _)| *entity == hit.entity) {
                Some((_, count)) => *count += 1,
                None => self.0.push((hit.entity, 1)),
            }
        }
    }
}

/// A finding at its place, and what shall stand there.
pub(super) struct Hit {
    entity: Entity,
    span: Span,
    text: Cow<'static, str>,
}

impl Hit {
    const fn placeholder(entity: Entity, span: Span) -> Self {
        Self {
            entity,
            span,
            text: Cow::Borrowed(entity.placeholder()),
        }
    }
}

impl From<Hit> for Edit {
    fn from(hit: Hit) -> Self {
        Self {
            span: hit.span,
            text: hit.text,
        }
    }
}

/// The findings in one piece of `body`, at their places in `body`.
pub(super) fn inspect_piece(body: &[u8], piece: Piece, scanner: &Scanner) -> Vec<Hit> {
    let mut hits = match piece.kind {
        Kind::Text | Kind::Name | Kind::Signed => inspect_string(piece.span.of(body), scanner, 0),
        Kind::Json => {
            let text = String::from_utf8_lossy(piece.span.of(body));
            inspect_json(&text, &scanner.scan(&text), scanner, 0)
        }
        Kind::Image | Kind::Attachment(_) => inspect_media(piece.span.of(body), scanner),
        Kind::Definitions => Vec::new(),
    };
    shift(&mut hits, piece.span.start);
    hits
}

/// The findings in texts that come as files. The whole coded part is written anew; it counts with the first of them.
fn inspect_media(value: &[u8], scanner: &Scanner) -> Vec<Hit> {
    let mut hits = Vec::new();
    for scalar in scalars(value) {
        let Scalar::String(content) = scalar else {
            continue;
        };
        let Some(inlined) = inlined::read(content.of(value)) else {
            continue;
        };
        let found = inspect_text(&inlined.text, scanner, 0);
        let entities: Vec<Entity> = found.iter().map(|hit| hit.entity).collect();
        let edits: Vec<Edit> = found.into_iter().map(Edit::from).collect();
        let clean = json::splice(inlined.text.as_bytes(), &edits);
        let mut text = Cow::Owned(inlined.written(&String::from_utf8_lossy(&clean)));
        let mut span = inlined.span;
        for entity in entities {
            let mut hit = Hit { entity, span, text };
            shift(std::slice::from_mut(&mut hit), content.start);
            hits.push(hit);
            span.start = span.end;
            text = Cow::Borrowed("");
        }
    }
    hits
}

/// The findings in the content of a JSON string, at their places in that raw content.
fn inspect_string(raw: &[u8], scanner: &Scanner, nesting: usize) -> Vec<Hit> {
    if !may_hold_findings(raw, scanner) {
        return Vec::new();
    }
    let text = json::unescape(raw);
    let mut hits = inspect_text(&text, scanner, nesting);
    let escaped = text.len() != raw.len();
    let mut offsets = RawOffsets::new(raw);
    for hit in &mut hits {
        if escaped {
            hit.span = Span {
                start: offsets.of(hit.span.start),
                end: offsets.of(hit.span.end),
            };
        }
        if let Cow::Owned(escaped) = json::escape(&hit.text) {
            hit.text = Cow::Owned(escaped);
        }
    }
    hits
}

/// The cheap question before anything is unescaped: most texts hold no character that a finding needs, and no `\u` escape
/// that could spell one.
fn may_hold_findings(raw: &[u8], scanner: &Scanner) -> bool {
    let spelt = || memchr::memmem::find(raw, br"\u").is_some();
    std::str::from_utf8(raw).map_or(true, |raw| scanner.has_any(raw)) || spelt()
}

fn inspect_text(text: &str, scanner: &Scanner, nesting: usize) -> Vec<Hit> {
    let found = scanner.scan(text);
    let may_hide = !found.is_empty() || memchr::memchr(b'\\', text.as_bytes()).is_some();
    let bracketed = text.trim_start().starts_with(['{', '[']);
    if may_hide && bracketed && nesting < NESTING_MAX && json::is_json(text.as_bytes()) {
        return inspect_json(text, &found, scanner, nesting);
    }
    let place = |finding: &Finding| {
        Hit::placeholder(
            finding.entity,
            Span {
                start: finding.start,
                end: finding.end,
            },
        )
    };
    found.iter().map(place).collect()
}

/// The findings in a text that is JSON. `found` is what a scan of the whole text finds.
fn inspect_json(text: &str, found: &[Finding], scanner: &Scanner, nesting: usize) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut found = found;
    for scalar in scalars(text.as_bytes()) {
        let (Scalar::String(span) | Scalar::Number(span)) = scalar;
        let passed = found.partition_point(|finding| finding.end <= span.start);
        found = &found[passed..];
        let touching = found.iter().take_while(|finding| finding.start < span.end);
        match scalar {
            Scalar::Number(span) => hits.extend(touching.take(1).map(|finding| Hit {
                entity: finding.entity,
                span,
                text: Cow::Owned(format!("\"{}\"", finding.entity.placeholder())),
            })),
            Scalar::String(span) => {
                let raw = span.of(text.as_bytes());
                let mut inner = if raw.contains(&b'\\') || matches!(raw.first(), Some(b'{' | b'[')) {
                    inspect_string(raw, scanner, nesting + 1)
                } else {
                    Vec::new()
                };
                shift(&mut inner, span.start);
                // What the string says comes first: in its raw form `\nbob@example.org` looks like `nbob@…`. But only the
                // whole text has the key that tells what a bare number is.
                for finding in touching {
                    let place = Span {
                        start: finding.start.max(span.start),
                        end: finding.end.min(span.end),
                    };
                    let place = json::whole_escapes(text.as_bytes(), span, place);
                    if !inner
                        .iter()
                        .any(|hit| hit.span.start < place.end && place.start < hit.span.end)
                    {
                        inner.push(Hit::placeholder(finding.entity, place));
                    }
                }
                inner.sort_by_key(|hit| hit.span.start);
                hits.append(&mut inner);
            }
        }
    }
    hits
}

fn shift(hits: &mut [Hit], by: usize) {
    for hit in hits {
        hit.span = Span {
            start: hit.span.start + by,
            end: hit.span.end + by,
        };
    }
}

#[derive(Clone, Copy)]
enum Scalar {
    /// The content of a string, key or value, between its quotes.
    String(Span),
    Number(Span),
}

/// The strings and numbers of valid JSON, in order.
fn scalars(text: &[u8]) -> impl Iterator<Item = Scalar> {
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
