//! Which text a piece in an event belongs to, and which texts an event ends.

use std::borrow::Cow;

use super::sites::{Kind, MEMBER, Site, steps};
use crate::chat::json::{self, Member, Span};
use crate::sse::Dialect;

/// What a text is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The choice, block or item.
    pub(super) scope: usize,
    /// Of a chat's chunk the path to the text; else what it is called.
    pub(super) name: Vec<u8>,
}

impl Key {
    /// The dialect of the events that say the text.
    pub(super) fn dialect(&self, dialect: Dialect) -> Dialect {
        if self.name.starts_with(b"\x01choices") {
            Dialect::Chat
        } else {
            dialect
        }
    }

    /// What of a chat's delta holds the text: `content`, `tool_calls`.
    pub(super) fn turn(&self) -> &[u8] {
        steps(&self.name).nth(3).map_or(&[], |(_, step)| step)
    }
}

/// What of an event says where its texts belong.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    dialect: Dialect,
    /// Its type.
    kind: Cow<'a, [u8]>,
    /// The number of its block or item.
    scope: usize,
    /// What the texts of an item are told apart by, beside the type.
    marks: Vec<u8>,
    choices: Option<Span>,
}

impl<'a> Head<'a> {
    pub(super) fn read(dialect: Dialect, payload: &'a [u8]) -> Self {
        let mut head = Self {
            dialect,
            ..Self::default()
        };
        let (mut item, mut content, mut summary) = (&b""[..], &b""[..], &b""[..]);
        let mut is_numbered = false;
        for Member { key, value } in json::members(payload, 0) {
            let told = value.of(payload);
            match &*key {
                b"type" => {
                    head.kind = json::key(json::string(payload, value).map_or(&b""[..], |kind| kind.of(payload)));
                }
                b"choices" => head.choices = Some(value),
                b"index" | b"output_index" => (head.scope, is_numbered) = (number(told), true),
                b"item_id" => item = told,
                b"content_index" => content = told,
                b"summary_index" => summary = told,
                _ => {}
            }
        }
        // Some give an item another id in every event; where it has a number, that tells.
        for mark in [if is_numbered { &b""[..] } else { item }, content, summary] {
            head.marks.push(MEMBER);
            head.marks.extend_from_slice(mark);
        }
        // Some stream a transcript in a chat's chunks.
        if head.kind.is_empty() && head.choices.is_some() {
            head.dialect = Dialect::Chat;
        }
        head
    }

    /// The text of which a piece stands at `path`; nothing where the text there is whole.
    pub(super) fn key(&self, path: &[u8]) -> Option<Key> {
        match self.dialect {
            Dialect::Chat => {
                let mut steps = steps(path);
                let is_choice = steps.next() == Some((MEMBER, b"choices"));
                let scope = number(steps.next().filter(|_| is_choice)?.1);
                let of_delta = matches!(steps.next()?.1, b"delta" | b"text");
                (of_delta && !steps.any(|(_, step)| is_whole(step))).then(|| Key {
                    scope,
                    name: path.to_vec(),
                })
            }
            Dialect::Messages => {
                let mut steps = steps(path);
                let of_block = matches!(steps.next()?.1, b"content_block" | b"delta");
                let name = steps.next()?.1;
                (of_block && steps.next().is_none()).then(|| Key {
                    scope: self.scope,
                    name: name.to_vec(),
                })
            }
            Dialect::Responses => {
                let stem = self.kind.strip_suffix(b".delta")?;
                let mut steps = steps(path);
                (steps.next() == Some((MEMBER, b"delta")) && steps.next().is_none()).then(|| self.named(stem))
            }
        }
    }

    /// What kind of text stands there: of a call's arguments, the events say so and not their members.
    pub(super) fn kind(&self, site: Site) -> Kind {
        if self.dialect == Dialect::Responses && self.kind.ends_with(b"_arguments.delta") {
            Kind::Json
        } else {
            site.kind
        }
    }

    fn named(&self, stem: &[u8]) -> Key {
        Key {
            scope: self.scope,
            name: [stem, &self.marks].concat(),
        }
    }

    /// What the event ends.
    pub(super) fn ended(&self, payload: &[u8]) -> Ended {
        match self.dialect {
            Dialect::Chat => {
                let choices = self.choices.map_or(payload.len(), |choices| choices.start);
                let finished = |(place, choice): (usize, Span)| finished(payload, place, choice);
                Ended::Scopes(
                    json::elements(payload, choices)
                        .enumerate()
                        .filter_map(finished)
                        .collect(),
                )
            }
            Dialect::Messages => match &*self.kind {
                b"content_block_stop" => Ended::Scopes(vec![self.scope]),
                b"message_delta" | b"message_stop" => Ended::All,
                _ => Ended::Scopes(Vec::new()),
            },
            Dialect::Responses => match self.kind.strip_suffix(b".done") {
                Some(b"response.output_item") => Ended::Scopes(vec![self.scope]),
                Some(stem) => Ended::Text(self.named(stem)),
                None if self.repeats() => Ended::All,
                None => Ended::Scopes(Vec::new()),
            },
        }
    }

    /// Whether it says again what was said in pieces.
    pub(super) fn repeats(&self) -> bool {
        self.dialect == Dialect::Responses
            && (self.kind.ends_with(b".done")
                || matches!(
                    &*self.kind,
                    b"response.completed" | b"response.incomplete" | b"response.failed"
                ))
    }
}

/// What an event ends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Scopes(Vec<usize>),
    Text(Key),
    All,
}

impl Ended {
    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Scopes(scopes) if scopes.is_empty())
    }

    pub(super) fn ends(&self, key: &Key) -> bool {
        match self {
            Self::Scopes(scopes) => scopes.contains(&key.scope),
            Self::Text(ended) => ended == key,
            Self::All => true,
        }
    }
}

/// The number of the choice, if it says why it ends.
fn finished(payload: &[u8], place: usize, choice: Span) -> Option<usize> {
    let (mut index, mut is_finished) = (place, false);
    for Member { key, value } in json::members(payload, choice.start) {
        match &*key {
            b"index" => index = number(value.of(payload)),
            b"finish_reason" => {
                // Some say so of every chunk but the last.
                let is_reason = |reason: Span| !matches!(reason.of(payload), b"" | b"null");
                is_finished = json::string(payload, value).is_some_and(is_reason);
            }
            _ => {}
        }
    }
    is_finished.then_some(index)
}

/// Whether what stands under this key comes whole in one event.
fn is_whole(step: &[u8]) -> bool {
    matches!(step, b"annotations" | b"citations" | b"images" | b"search_results")
}

fn number(raw: &[u8]) -> usize {
    std::str::from_utf8(raw)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
