//! A policy tried on a text: what it finds, and what the text becomes.

use std::sync::Arc;

use super::{Action, Checks, Direction, Policy, Session, Source};
use crate::chat::{ChatRequest, Operation};

/// One thing found in a text that is examined.
#[derive(Clone, Debug, PartialEq)]
pub struct Examined {
    /// By which check.
    pub check: Arc<str>,
    /// What it is.
    pub kind: String,
    /// Byte offset of its beginning.
    pub start: usize,
    /// Byte offset behind its end.
    pub end: usize,
    /// How sure the check is, in percent.
    pub confidence: u8,
    /// What is done about it.
    pub action: Action,
}

impl Policy {
    /// What the native checks of a direction find in a text, in order, and what it becomes. A block leaves it as it is.
    #[must_use]
    pub fn examine(&self, text: &str, direction: Direction, tenant: &str) -> (String, Vec<Examined>) {
        let checks = self.checks(direction);
        let mut examined = Vec::new();
        for hit in Checks::scan(checks.detectors(), text) {
            if let Some((rule, action)) = checks.decide(hit.detector, &hit.finding) {
                examined.push(Examined {
                    check: Arc::clone(&rule.check),
                    kind: checks.detectors()[hit.detector].name(hit.finding.label).to_owned(),
                    start: hit.finding.start,
                    end: hit.finding.end,
                    confidence: hit.finding.confidence,
                    action,
                });
            }
        }
        let source = match direction {
            Direction::Input => Source::User,
            Direction::Output => Source::Assistant,
        };
        for reading in checks.readings() {
            reading.reader.read(source, text, &mut |remark| {
                examined.push(Examined {
                    check: Arc::clone(&reading.check),
                    kind: remark.kind.to_owned(),
                    start: remark.span.start,
                    end: remark.span.end,
                    confidence: remark.confidence,
                    action: reading.action,
                });
            });
        }
        examined.sort_by_key(|found| (found.start, found.end));
        (self.rewritten(text, direction, tenant), examined)
    }

    /// The text as a prompt would be rewritten.
    fn rewritten(&self, text: &str, direction: Direction, tenant: &str) -> String {
        let body = serde_json::json!({"model": "m", "prompt": text}).to_string();
        let Ok(request) = ChatRequest::read(body.as_bytes(), Operation::Completions) else {
            return text.to_owned();
        };
        let mut session = Session::new(self.clone(), tenant);
        let changed = request.judged(&mut session.judge(direction));
        let changed = changed.and_then(|body| ChatRequest::read(body, Operation::Completions).ok());
        let changed = changed.and_then(|request| request.texts().next().map(std::borrow::Cow::into_owned));
        changed.unwrap_or_else(|| text.to_owned())
    }
}
