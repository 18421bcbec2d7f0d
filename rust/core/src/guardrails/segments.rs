//! A stream that somebody else judges, piece by piece: what has not been judged is held, what was found is hidden from then on.

use std::mem;
use std::sync::{Arc, Mutex};

use super::scopes::{Head, Key};
use super::sites::{Kind, Sites};
use super::{Action, Direction, Halt, Judge, Judges, Outside, Ruling, Screen, Session, located};
use crate::chat::json;
use crate::detector::{Detector, Finding};
use crate::sse::{Dialect, EventTooLarge, Manner, Payloads, Relay};

/// So much text is held, in bytes, unless a sentence ends before.
pub const SEGMENT_BYTES: usize = 2048;

/// So many bytes of events are held, whatever is in them.
const HELD_BYTES_MAX: usize = 256 * 1024;

/// So many values are hidden; a stream in which more are found is no answer.
const VALUES_MAX: usize = 256;

/// A stream's events, framed for the client, on their way through somebody else's judgement.
#[derive(Debug)]
pub struct Segments {
    dialect: Dialect,
    held: Vec<u8>,
    payloads: Payloads,
    sites: Sites,
    texts: Vec<(Option<Key>, String)>,
    has_heard: bool,
    hidden: Arc<Mutex<Hidden>>,
    relay: Relay,
}

impl Segments {
    /// Refuses events of more than `max_event_bytes`.
    #[must_use]
    pub fn new(dialect: Dialect, max_event_bytes: usize) -> Self {
        let hidden = Arc::new(Mutex::new(Hidden::default()));
        let manner = Manner {
            dialect,
            ..Manner::default()
        };
        let screen = Screen::new(dialect, Box::new(Arc::clone(&hidden)));
        Self {
            dialect,
            held: Vec::new(),
            payloads: Payloads::new(max_event_bytes),
            sites: Sites::of_events(),
            texts: Vec::new(),
            has_heard: false,
            hidden,
            relay: Relay::new(manner, 0, max_event_bytes).screened(screen),
        }
    }

    /// Holds whole events. Returns whether they are to be released now: where nothing in them is to be judged, a sentence ends,
    /// or enough is held.
    pub fn take(&mut self, events: &[u8]) -> Result<bool, EventTooLarge> {
        self.held.extend_from_slice(events);
        let Self {
            dialect,
            payloads,
            sites,
            texts,
            has_heard,
            ..
        } = self;
        payloads.feed(events, |payload| {
            hear(*dialect, payload, *has_heard, sites, texts);
            *has_heard |= !texts.is_empty();
        })?;
        let said: usize = texts.iter().map(|(_, text)| text.len()).sum();
        let ends = |text: &str| text.trim_end().ends_with(['.', '!', '?', '\u{3002}']) || text.ends_with('\n');
        let is_ended = texts.last().is_some_and(|(_, text)| ends(text));
        Ok(said == 0 || said >= SEGMENT_BYTES || is_ended || self.held.len() > HELD_BYTES_MAX)
    }

    /// What is to be judged of what is held: of each text what was said since the last release.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|(_, text)| text.as_str())
    }

    /// Has the events go on that are held, but for what was `found` in their texts, now and whenever it is said again. The
    /// last event of the stream is left to [`Segments::last`].
    pub fn release(&mut self, session: &mut Session, found: &[Outside]) -> Result<Vec<u8>, Halt> {
        let texts = mem::take(&mut self.texts);
        let hits = located(texts.iter().map(|(_, text)| text.as_str()), found);
        for (number, hits) in hits {
            for hit in hits {
                let (outside, value) = (
                    &found[hit.detector],
                    &texts[number].1[hit.finding.start..hit.finding.end],
                );
                session.note(Direction::Output, &outside.check, &outside.kind, outside.action);
                if outside.action.rewrites() {
                    let text = session.replacement(&outside.kind, value, outside.action, false);
                    self.hidden.lock().map_err(|_| Halt)?.add(value, &text)?;
                }
            }
        }
        if found.iter().any(|outside| outside.action == Action::Block) {
            return Err(Halt);
        }
        let held = mem::take(&mut self.held);
        let mut released = self.relay.feed(&held).map_err(|_| Halt)?.into_owned();
        released.extend(self.relay.finish());
        if self.relay.screen().is_some_and(Screen::is_halted) {
            return Err(Halt);
        }
        Ok(released)
    }

    /// The event that ends the stream, framed, if it has been released; of a chat always `[DONE]`.
    #[must_use]
    pub fn last(&self) -> &[u8] {
        self.relay.last()
    }
}

/// Adds what an event says to what was said, unless it says again what was said in pieces.
fn hear(dialect: Dialect, payload: &[u8], has_heard: bool, sites: &mut Sites, texts: &mut Vec<(Option<Key>, String)>) {
    if !json::is_json(payload) {
        return;
    }
    sites.find(payload);
    let head = Head::read(dialect, payload);
    if has_heard && head.repeats() {
        return;
    }
    for (site, path) in sites.iter().filter(|(site, _)| site.is_text()) {
        let key = if site.kind == Kind::Inline {
            None
        } else {
            head.key(path)
        };
        let said = json::unescape(site.span.of(payload));
        if said.is_empty() {
            continue;
        }
        let place = texts.iter().position(|(known, _)| known.is_some() && *known == key);
        match place {
            Some(place) => {
                let mut text = texts.remove(place);
                text.1.push_str(&said);
                texts.push(text);
            }
            None => texts.push((key, said.into_owned())),
        }
    }
}

/// Values that are not to be said, and what is said instead.
#[derive(Debug, Default)]
struct Hidden {
    detectors: Vec<Arc<dyn Detector>>,
    instead: Vec<String>,
}

impl Hidden {
    fn add(&mut self, value: &str, instead: &str) -> Result<(), Halt> {
        if self.instead.len() == VALUES_MAX {
            return Err(Halt);
        }
        self.detectors.push(Arc::new(Value(value.to_owned())));
        self.instead.push(instead.to_owned());
        Ok(())
    }
}

impl Judges for Arc<Mutex<Hidden>> {
    fn sit(&self, work: &mut dyn FnMut(&mut dyn Judge)) {
        if let Ok(mut hidden) = self.lock() {
            work(&mut *hidden);
        }
    }
}

impl Judge for Hidden {
    fn detectors(&self) -> &[Arc<dyn Detector>] {
        &self.detectors
    }

    fn action(&self, _detector: usize, _finding: &Finding) -> Action {
        Action::Redact
    }

    fn judge(&mut self, detector: usize, _finding: &Finding, _value: &str) -> Ruling {
        Ruling::Replace(self.instead.get(detector).cloned().unwrap_or_default().into())
    }

    fn judge_sealed(&mut self, detector: usize, finding: &Finding, value: &str) -> Ruling {
        self.judge(detector, finding, value)
    }

    fn original(&self, _placeholder: &str) -> Option<&str> {
        None
    }
}

/// Finds one value.
struct Value(String);

impl std::fmt::Debug for Value {
    /// Without it.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Value")
    }
}

impl Detector for Value {
    fn scan(&self, text: &str, from: usize, is_last: bool, findings: &mut Vec<Finding>) -> usize {
        let (value, mut at) = (self.0.as_bytes(), from);
        while let Some(found) = memchr::memmem::find(&text.as_bytes()[at..], value) {
            let start = at + found;
            at = start + value.len();
            findings.push(Finding {
                label: 0,
                confidence: 100,
                start,
                end: at,
            });
        }
        if is_last {
            return text.len();
        }
        let begun = usize::max(at, (text.len() + 1).saturating_sub(value.len()));
        let is_begun = |at: &usize| text.is_char_boundary(*at) && self.0.starts_with(&text[*at..]);
        (begun..text.len()).find(is_begun).unwrap_or(text.len())
    }

    fn name(&self, _label: u16) -> &'static str {
        "value"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Action, Outside, Policy, Session};
    use super::{Segments, Value};
    use crate::detector::proof;
    use crate::sse::Dialect;

    fn chunk(text: &str) -> String {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    }

    fn session() -> Session {
        Session::new(Policy::compile(br#"{"input":[],"output":[]}"#, b"").unwrap(), "acme")
    }

    fn found(action: Action) -> Outside {
        Outside {
            text: 0,
            start: 3,
            end: 6,
            check: "names".into(),
            kind: "person".to_owned(),
            action,
            restores: false,
        }
    }

    #[test]
    fn a_value_keeps_the_promise_of_detectors() {
        let value = Value("aba".to_owned());
        for text in ["", "ababab", "xabéabaab", "aaabaaab"] {
            proof::same_in_pieces(&value, text, &[1, 3, 4]);
        }
    }

    #[test]
    fn a_segment_is_held_to_the_end_of_a_sentence_and_hides_what_was_found() {
        let (mut segments, mut session) = (Segments::new(Dialect::Chat, 1 << 20), session());
        assert!(segments.take(chunk("").as_bytes()).unwrap(), "nothing is to be judged");
        assert!(!segments.take(chunk("Hi A").as_bytes()).unwrap());
        assert!(segments.take(chunk("nn.").as_bytes()).unwrap());
        assert_eq!(segments.texts().collect::<Vec<_>>(), ["Hi Ann."]);
        let released = segments.release(&mut session, &[found(Action::Redact)]).unwrap();
        let expected = [chunk(""), chunk("Hi "), chunk("[PERSON].")].concat();
        assert_eq!(String::from_utf8(released).unwrap(), expected);
        assert!(!segments.take(chunk("So An").as_bytes()).unwrap());
        assert!(segments.take(chunk("n?").as_bytes()).unwrap());
        let released = segments.release(&mut session, &[]).unwrap();
        assert_eq!(
            String::from_utf8(released).unwrap(),
            [chunk("So "), chunk("[PERSON]?")].concat()
        );
    }

    #[test]
    fn a_block_lets_nothing_of_the_segment_pass() {
        let (mut segments, mut session) = (Segments::new(Dialect::Chat, 1 << 20), session());
        segments.take(chunk("Hi Ann.").as_bytes()).unwrap();
        assert!(segments.release(&mut session, &[found(Action::Block)]).is_err());
        assert_eq!(&*session.blocked().unwrap().check, "names");
    }
}
