//! What a model reads in a request, found without building it.
//!
//! The rule is a deny-list: every string is text except those known to be structure (roles, types, ids) or media
//! (images, sound, files). An allow-list was rejected: a part kind that a provider invents next year would
//! walk past the guardrails until somebody adds it here.

use super::json::{self, Span};
use super::places::{Block, Meaning, Medium, Vocabulary};

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The content of a string, between its quotes.
    Text,
    /// The content of a message's own `name`: text, and one more token of overhead.
    Name,
    /// The content of a string in a signed thought: text, but a changed one would break its signature.
    Signed,
    /// A whole JSON value that is text to the model: tool arguments given as an object instead of a string.
    Json,
    /// Definitions of tools among the items: the whole value, counted and otherwise left alone.
    Definitions,
    /// An image, by URL or inline: the whole value.
    Image,
    /// Sound, video or a file's data: the whole value.
    Attachment(Medium),
}

/// One thing a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// The depth at which the members of a message stand in the array `messages`.
const MESSAGE_DEPTH: usize = 2;

/// Walks a JSON value and yields the pieces in it. Keeps no stack: in valid JSON a string followed by a colon is
/// a key, and the depth is a count of brackets. What encloses a place is known by the position where it ends.
pub(crate) struct Pieces<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
    depth: usize,
    vocabulary: Vocabulary,
    /// Inside `reasoning_details`, where `data` is ciphertext, until this position.
    sealed_until: usize,
    /// Inside a model's own signed thoughts, until this position.
    signed_until: usize,
    /// Inside a block whose type says image, until this position.
    image_until: usize,
    /// Inside a block whose type says file, until this position.
    file_until: usize,
    /// Inside an object whose keys, at `variables_depth`, are the client's, until this position.
    variables_until: usize,
    variables_depth: usize,
}

impl<'a> Pieces<'a> {
    /// The pieces of an array of messages or items.
    pub(super) const fn of_messages(text: &'a [u8], value: Span, vocabulary: Vocabulary) -> Self {
        Self {
            depth: 0,
            ..Self::of_field(text, value, vocabulary)
        }
    }

    /// The pieces of one message, which stands in an array.
    pub(super) const fn of_message(text: &'a [u8], value: Span, vocabulary: Vocabulary) -> Self {
        Self {
            depth: 1,
            ..Self::of_field(text, value, vocabulary)
        }
    }

    /// The pieces of a field's value, be it one of the request or one within a message.
    pub(super) const fn of_field(text: &'a [u8], value: Span, vocabulary: Vocabulary) -> Self {
        Self {
            text,
            at: value.start,
            end: value.end,
            depth: MESSAGE_DEPTH,
            vocabulary,
            sealed_until: 0,
            signed_until: 0,
            image_until: 0,
            file_until: 0,
            variables_until: 0,
            variables_depth: 0,
        }
    }

    /// Looks at the value behind `key`: either it is a piece by itself, or it is skipped, or the walk goes into it.
    fn enter(&mut self, key: &[u8]) -> Option<Piece> {
        let meaning = self.vocabulary.meaning(key);
        if meaning == Meaning::Said {
            return None;
        }
        let start = self.at;
        let first = self.text.get(start).copied().unwrap_or_default();
        let named = start < self.variables_until && self.depth == self.variables_depth;
        let within = self.depth <= self.vocabulary.depth_max() && !named;
        let kind = match meaning {
            Meaning::Structure if within => return self.skip(),
            Meaning::Data if start < self.sealed_until => return self.skip(),
            Meaning::FileId if within => match self.block_at(start) {
                Some(Block::Image) => Kind::Image,
                Some(_) => Kind::Attachment(Medium::File),
                None => return self.skip(),
            },
            Meaning::Sealed => {
                self.sealed_until = json::value_end(self.text, start);
                return None;
            }
            Meaning::Thoughts => {
                // Redacted thoughts are ciphertext under `data`, too.
                self.sealed_until = json::value_end(self.text, start);
                self.signed_until = self.sealed_until;
                return None;
            }
            Meaning::Variables if self.depth == MESSAGE_DEPTH + 1 => {
                self.variables_until = json::value_end(self.text, start);
                self.variables_depth = self.depth + 1;
                return None;
            }
            Meaning::Image if within => Kind::Image,
            Meaning::Picture if within && self.block_at(start) == Some(Block::Image) => Kind::Image,
            Meaning::Attachment(medium) if within => Kind::Attachment(medium),
            Meaning::Source if within && is_media(self.text, start) => match self.block_at(start) {
                Some(Block::Image) => Kind::Image,
                _ => Kind::Attachment(Medium::File),
            },
            Meaning::Arguments if first != b'"' => Kind::Json,
            Meaning::Definitions if self.depth == MESSAGE_DEPTH => Kind::Definitions,
            Meaning::Name if first == b'"' && self.depth == MESSAGE_DEPTH => {
                self.at = json::value_end(self.text, start);
                return Some(Piece {
                    kind: Kind::Name,
                    span: Span {
                        start: start + 1,
                        end: self.at - 1,
                    },
                });
            }
            _ => return None,
        };
        self.at = json::value_end(self.text, start);
        let span = Span { start, end: self.at };
        (span.of(self.text) != b"null").then_some(Piece { kind, span })
    }

    fn skip(&mut self) -> Option<Piece> {
        self.at = json::value_end(self.text, self.at);
        None
    }

    /// The block of media around the place `at`.
    const fn block_at(&self, at: usize) -> Option<Block> {
        if at < self.image_until {
            Some(Block::Image)
        } else if at < self.file_until {
            Some(Block::File)
        } else {
            None
        }
    }

    /// Notes what the type of the object that begins here says of the keys in it.
    fn open(&mut self) {
        if self.depth > self.vocabulary.depth_max() {
            return;
        }
        let Some(block) = block(self.text, self.at, self.vocabulary) else {
            return;
        };
        let end = json::value_end(self.text, self.at);
        match block {
            Block::Image => self.image_until = end,
            Block::File => self.file_until = end,
            Block::Thought => self.signed_until = end,
            Block::SealedThought => self.sealed_until = end,
        }
    }
}

/// The block of the object at `at`, if its type is one that matters. An object with two types is none: which of them its
/// reader goes by is not known, and what it holds is better taken for text.
fn block(text: &[u8], at: usize, vocabulary: Vocabulary) -> Option<Block> {
    let mut types = json::members(text, at).filter(|member| &*member.key == b"type");
    let block = vocabulary.block(types.next()?.value.of(text))?;
    types.next().is_none().then_some(block)
}

/// Whether the object at `at` is the bytes or the address of something, and not a text.
fn is_media(text: &[u8], at: usize) -> bool {
    let mut types = json::members(text, at).filter(|member| &*member.key == b"type");
    let media = types
        .next()
        .is_some_and(|member| matches!(member.value.of(text), br#""base64""# | br#""url""# | br#""file""#));
    media && types.next().is_none()
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.at < self.end {
            match self.text[self.at] {
                b'"' => {
                    let content = Span {
                        start: self.at + 1,
                        end: json::string_end(self.text, self.at + 1),
                    };
                    let behind = json::skip_space(self.text, content.end + 1);
                    if self.text.get(behind) != Some(&b':') {
                        self.at = content.end + 1;
                        let signed = content.start < self.signed_until;
                        return Some(Piece {
                            kind: if signed { Kind::Signed } else { Kind::Text },
                            span: content,
                        });
                    }
                    self.at = json::skip_space(self.text, behind + 1);
                    let piece = self.enter(&json::key(content.of(self.text)));
                    if piece.is_some() {
                        return piece;
                    }
                }
                byte @ (b'{' | b'[') => {
                    self.depth += 1;
                    if byte == b'{' && self.vocabulary.is_typed() {
                        self.open();
                    }
                    self.at += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        None
    }
}
