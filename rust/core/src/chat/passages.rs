//! The texts of a request as a judge reads them, one after the other, and what it rules carried back to their places.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Operation;
use super::inlined;
use super::json::{self, Edit, Span};
use super::pieces::{Kind, Piece, Pieces};
use super::places::{BESIDE_MAX, Form};
use super::redaction::{self, Inspection, Scalar};
use super::sources::Sources;
use crate::detector::{Detector, Finding};
use crate::guardrails::{Action, Hit, Judge, Ruling, Source};

/// JSON within JSON is looked into so far for what a whole text says.
const VIEWS_MAX: usize = 3;

/// Where the texts stand.
#[derive(Clone, Copy)]
pub(super) struct Passages<'a> {
    pub(super) text: &'a [u8],
    pub(super) operation: Operation,
    pub(super) input: Option<Span>,
    pub(super) beside: [Option<Span>; BESIDE_MAX],
}

/// One text.
struct Passage<'t> {
    source: Source,
    said: &'t str,
    /// A value of JSON, whatever it looks like.
    is_json: bool,
    /// Signed: it must not change.
    is_sealed: bool,
}

impl Passages<'_> {
    pub(super) fn told(self) -> Vec<(Source, String)> {
        let mut told = Vec::new();
        self.each(true, &mut |passage| {
            told.push((passage.source, passage.said.to_owned()));
            Vec::new()
        });
        told
    }

    pub(super) fn judged(self, judge: &mut dyn Judge) -> Vec<Edit> {
        let reads = judge.reads_texts();
        let detectors = judge.detectors().to_vec();
        self.each(reads, &mut |passage| {
            if reads {
                read(judge, passage);
            }
            if passage.is_sealed {
                return Inspection::new(&mut Sealed(judge), &detectors).text(passage.said, passage.is_json);
            }
            Inspection::new(judge, &detectors).text(passage.said, passage.is_json)
        })
    }

    pub(super) fn judged_elsewhere(self, judge: &mut dyn Judge, mut hits: BTreeMap<usize, Vec<Hit>>) -> Vec<Edit> {
        let mut index = 0;
        self.each(false, &mut |passage| {
            let found = hits.remove(&index);
            index += 1;
            let Some(found) = found else {
                return Vec::new();
            };
            if passage.is_sealed {
                return Inspection::given(&mut Sealed(judge), found).text(passage.said, passage.is_json);
            }
            Inspection::given(judge, found).text(passage.said, passage.is_json)
        })
    }

    /// Hands every text to `inspect`, always in the same order, and gathers what is to change, at its place in the body.
    /// Without `tells` the sources are not looked for.
    fn each(self, tells: bool, inspect: &mut dyn FnMut(&Passage<'_>) -> Vec<Edit>) -> Vec<Edit> {
        let layout = self.operation.layout();
        let mut edits = Vec::new();
        if let Some(input) = self.input {
            let pieces = match layout.form {
                Form::Messages | Form::Items => Pieces::of_messages(self.text, input, layout.vocabulary),
                _ => Pieces::of_field(self.text, input, layout.vocabulary),
            };
            let mut sources = Sources::of_input(self.text, input, self.operation);
            self.within(pieces, tells.then_some(&mut sources), inspect, &mut edits);
        }
        for (index, value) in self.beside.into_iter().enumerate() {
            let Some(value) = value else {
                continue;
            };
            let pieces = Pieces::of_field(self.text, value, layout.vocabulary);
            let mut sources = Sources::beside(self.text, layout, index);
            self.within(pieces, tells.then_some(&mut sources), inspect, &mut edits);
        }
        edits
    }

    fn within(
        self,
        pieces: Pieces<'_>,
        mut sources: Option<&mut Sources<'_>>,
        inspect: &mut dyn FnMut(&Passage<'_>) -> Vec<Edit>,
        edits: &mut Vec<Edit>,
    ) {
        for Piece { kind, span } in pieces {
            let source = sources.as_mut().map_or(Source::Other, |sources| sources.at(span.start));
            let raw = span.of(self.text);
            let mut changed = match kind {
                Kind::Text | Kind::Name | Kind::Signed => {
                    let said = json::unescape(raw);
                    let found = inspect(&Passage {
                        source,
                        said: &said,
                        is_json: false,
                        is_sealed: kind == Kind::Signed,
                    });
                    redaction::escaped(raw, found, matches!(said, Cow::Owned(_)))
                }
                Kind::Json => inspect(&Passage {
                    source,
                    said: &String::from_utf8_lossy(raw),
                    is_json: true,
                    is_sealed: false,
                }),
                Kind::Image | Kind::Attachment(_) => files(raw, inspect),
                Kind::Definitions => continue,
            };
            json::shift(&mut changed, span.start);
            edits.append(&mut changed);
        }
    }
}

/// What changes in texts that come as files. The whole coded part is written anew.
fn files(value: &[u8], inspect: &mut dyn FnMut(&Passage<'_>) -> Vec<Edit>) -> Vec<Edit> {
    let mut edits = Vec::new();
    for scalar in redaction::scalars(value) {
        let Scalar::String(content) = scalar else {
            continue;
        };
        let Some(inlined) = inlined::read(content.of(value)) else {
            continue;
        };
        let found = inspect(&Passage {
            source: Source::Tool,
            said: &inlined.text,
            is_json: false,
            is_sealed: false,
        });
        if found.is_empty() {
            continue;
        }
        let changed = json::splice(inlined.text.as_bytes(), &found);
        let text = Cow::Owned(inlined.written(&String::from_utf8_lossy(&changed)));
        let mut edit = [Edit {
            span: inlined.span,
            text,
        }];
        json::shift(&mut edit, content.start);
        edits.extend(edit);
    }
    edits
}

/// Has the judge read a whole text. What JSON says in its strings counts, not how they are spelt.
fn read(judge: &mut dyn Judge, passage: &Passage<'_>) {
    let mut view = Cow::Borrowed(passage.said);
    for _ in 0..VIEWS_MAX {
        let is_json = passage.is_json || view.trim_start().starts_with(['{', '[', '"']);
        if !is_json || memchr::memchr(b'\\', view.as_bytes()).is_none() {
            break;
        }
        view = Cow::Owned(json::unescape(view.as_bytes()).into_owned());
    }
    judge.read(passage.source, &view);
}

/// A judge of texts that must not change.
struct Sealed<'j>(&'j mut dyn Judge);

impl Judge for Sealed<'_> {
    fn detectors(&self) -> &[Arc<dyn Detector>] {
        self.0.detectors()
    }

    fn action(&self, detector: usize, finding: &Finding) -> Action {
        self.0.action(detector, finding)
    }

    fn judge(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling {
        self.0.judge_sealed(detector, finding, value)
    }

    fn judge_sealed(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling {
        self.0.judge_sealed(detector, finding, value)
    }

    fn original(&self, placeholder: &str) -> Option<&str> {
        self.0.original(placeholder)
    }
}
