//! What a model reads in a message, found without building the message.
//!
//! The rule is a deny-list: every string is text except those known to be structure (roles, types, ids) or media
//! (images, sound, files). An allow-list was rejected: a part kind that a provider invents next year would
//! walk past the guardrails until somebody adds it here.

use super::json::{self, Span};

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
    /// An image, by URL or inline: the whole value.
    Image,
    /// Sound, video or a file's data: the whole value.
    Attachment,
}

/// One thing a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// Deeper than any known dialect nests its own fields, a key called `id` or `type` is somebody's data, and text.
const STRUCTURE_DEPTH_MAX: usize = 6;

/// The depth at which the members of a message stand in the array `messages`.
const MESSAGE_DEPTH: usize = 2;

/// Walks a JSON value and yields the pieces in it. Keeps no stack: in valid JSON a string followed by a colon is
/// a key, and the depth is a count of brackets.
pub(crate) struct Pieces<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
    depth: usize,
    /// Inside `reasoning_details`, where `data` is ciphertext, until this position.
    sealed_until: usize,
    /// Inside `thinking_blocks`, a model's own signed thoughts, until this position.
    signed_until: usize,
}

impl<'a> Pieces<'a> {
    /// The pieces of an array of messages.
    pub(crate) const fn of_messages(text: &'a [u8], value: Span) -> Self {
        Self {
            text,
            at: value.start,
            end: value.end,
            depth: 0,
            sealed_until: 0,
            signed_until: 0,
        }
    }

    /// The pieces of a field's value within one message.
    pub(crate) const fn of_field(text: &'a [u8], value: Span) -> Self {
        Self {
            text,
            at: value.start,
            end: value.end,
            depth: MESSAGE_DEPTH,
            sealed_until: 0,
            signed_until: 0,
        }
    }

    /// Looks at the value behind `key`: either it is a piece by itself, or it is skipped, or the walk goes into it.
    fn enter(&mut self, key: &[u8]) -> Option<Piece> {
        let start = self.at;
        let first = self.text.get(start).copied().unwrap_or_default();
        let within = self.depth <= STRUCTURE_DEPTH_MAX;
        let kind = match key {
            b"role"
            | b"type"
            | b"id"
            | b"tool_call_id"
            | b"call_id"
            | b"index"
            | b"format"
            | b"detail"
            | b"signature"
            | b"thought_signature"
            | b"file_id"
            | b"cache_control"
            | b"prompt_cache_breakpoint"
                if within =>
            {
                self.at = json::value_end(self.text, start);
                return None;
            }
            b"data" if start < self.sealed_until => {
                self.at = json::value_end(self.text, start);
                return None;
            }
            b"reasoning_details" => {
                self.sealed_until = json::value_end(self.text, start);
                return None;
            }
            b"thinking_blocks" => {
                // Redacted thoughts are ciphertext under `data`, too.
                self.sealed_until = json::value_end(self.text, start);
                self.signed_until = self.sealed_until;
                return None;
            }
            b"image_url" if within => Kind::Image,
            b"input_audio" | b"audio" | b"audio_url" | b"video_url" | b"file_data" if within => Kind::Attachment,
            b"arguments" if first != b'"' => Kind::Json,
            b"name" if first == b'"' && self.depth == MESSAGE_DEPTH => {
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
                b'{' | b'[' => {
                    self.depth += 1;
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
