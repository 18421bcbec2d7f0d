//! What routing asks of a request: what it needs of a model, what it belongs to, and what its client noted on it.
//!
//! Needs fall off when a request is weighed. The rest costs nothing until somebody asks.

use sha2::{Digest as _, Sha256};

use super::Operation;
use super::json::{self, Member, Span};
use super::pieces::{Kind, Piece, Pieces};
use super::places::{Form, Layout};

/// Text that tells one prefix from another: providers cache from about 1,024 tokens on, four bytes each.
const PREFIX_BYTES: usize = 4096;
/// Text of the systems that counts for a conversation; beyond this, its first user tells it apart.
const SYSTEM_BYTES: usize = 4096;
/// Text of the first user that does.
const OPENING_BYTES: usize = 16 * 1024;
/// The longest escape of JSON for a character, a pair of surrogates; for a byte of text it is half of that.
const ESCAPE_BYTES_MAX: usize = 12;
/// The most notes that are read, and the most bytes of them.
const NOTES_MAX: usize = 32;
const NOTES_BYTES_MAX: usize = 4096;

/// What a request needs of a model beyond text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It holds images.
    Vision,
    /// It holds sound.
    Audio,
    /// It holds files.
    Documents,
    /// It offers tools.
    Tools,
    /// It asks for an answer after a schema.
    JsonSchema,
}

impl Need {
    /// Its name, as in rules.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Audio => "audio",
            Self::Documents => "documents",
            Self::Tools => "tools",
            Self::JsonSchema => "json_schema",
        }
    }
}

/// Whether a definition is of tools, and not of a form.
fn defines_tools(name: &str) -> bool {
    matches!(name, "tools" | "functions")
}

/// Whether tools are offered: an empty list offers none.
pub(super) fn offers_tools(text: &[u8], layout: &Layout, definitions: &[Option<Span>]) -> bool {
    let mut tools = layout.definitions.iter().zip(definitions);
    tools.any(|(field, value)| {
        let first = |value: &Span| json::elements(text, value.start).next();
        defines_tools(field.name) && value.as_ref().and_then(first).is_some()
    })
}

/// Whether the answer is to follow a schema.
pub(super) fn asks_schema(text: &[u8], layout: &Layout, definitions: &[Option<Span>]) -> bool {
    let mut forms = layout.definitions.iter().zip(definitions);
    forms.any(|(field, value)| {
        let is_schema = |member: Member<'_>| &*member.key == b"type" && member.value.of(text) == br#""json_schema""#;
        !defines_tools(field.name) && value.is_some_and(|value| json::members(text, value.start).any(is_schema))
    })
}

/// The texts in an object's members, by name, in order: of two of the same name the last counts.
pub(super) fn notes(text: &[u8], value: Span) -> Vec<(String, String)> {
    let texts = json::members(text, value.start).filter_map(|Member { key, value }| {
        let content = json::string(text, value)?;
        Some((key, content.of(text)))
    });
    let mut left = NOTES_BYTES_MAX;
    let fitting = texts.take(NOTES_MAX).take_while(|(key, content)| {
        let rest = left.checked_sub(key.len() + content.len());
        left = rest.unwrap_or_default();
        rest.is_some()
    });
    let notes = fitting.map(|(key, content)| {
        let name = String::from_utf8_lossy(&key).into_owned();
        (name, json::unescape(content).into_owned())
    });
    notes.collect()
}

/// A number for a text. SHA-256 is at hand, the same on every host and in every release, and processors have it built in.
struct Fingerprint {
    hash: Sha256,
    left: usize,
    is_empty: bool,
}

impl Fingerprint {
    fn of_at_most(bytes: usize) -> Self {
        Self {
            hash: Sha256::new(),
            left: bytes,
            is_empty: true,
        }
    }

    /// Takes a text as its reader sees it, however it is spelt, as far as there is room.
    fn take(&mut self, raw: &[u8]) {
        let enough = raw.len().min(self.left * ESCAPE_BYTES_MAX / 2 + ESCAPE_BYTES_MAX);
        let said = json::unescape(&raw[..enough]);
        let said = &said.as_bytes()[..said.len().min(self.left)];
        self.left -= said.len();
        self.is_empty &= said.is_empty();
        self.hash.update(said);
        self.hash.update([0xFF]); // in no text: what is split differently is not the same
    }

    fn take_pieces(&mut self, text: &[u8], pieces: impl Iterator<Item = Piece>) {
        for Piece { kind, span } in pieces {
            if self.left == 0 {
                break;
            }
            if matches!(kind, Kind::Text | Kind::Signed | Kind::Json) {
                self.take(span.of(text));
            }
        }
    }

    /// 0 is no text.
    fn number(self) -> u64 {
        if self.is_empty {
            return 0;
        }
        let hash = self.hash.finalize();
        let first = hash.iter().take(8);
        first.fold(0, |number, byte| number << 8 | u64::from(*byte)).max(1)
    }
}

/// Where a prompt stands: what a system says beside the input, and the input.
pub(super) struct Prompt<'a> {
    pub(super) text: &'a [u8],
    pub(super) operation: Operation,
    pub(super) systems: &'a [Option<Span>],
    pub(super) input: Option<Span>,
}

impl Prompt<'_> {
    /// The number of the prompt's beginning.
    pub(super) fn prefix(&self) -> u64 {
        let layout = self.operation.layout();
        let mut print = Fingerprint::of_at_most(PREFIX_BYTES);
        match (self.operation, layout.form) {
            (_, Form::Messages | Form::Items) => {
                let systems = self.systems.iter().flatten();
                let systems = systems.flat_map(|value| Pieces::of_field(self.text, *value, layout.vocabulary));
                let input = self.input.into_iter();
                let input = input.flat_map(|value| Pieces::of_messages(self.text, value, layout.vocabulary));
                print.take_pieces(self.text, systems.chain(input));
            }
            (Operation::Completions | Operation::Embeddings, _) => {
                let input = self.input.into_iter();
                let input = input.flat_map(|value| Pieces::of_field(self.text, value, layout.vocabulary));
                print.take_pieces(self.text, input);
            }
            _ => {}
        }
        print.number()
    }

    /// The number of what stays the same from a conversation's first call to its last: what systems say before the first
    /// user, and what that one says. A text to be continued has no more than its beginning.
    pub(super) fn conversation(&self) -> u64 {
        let layout = self.operation.layout();
        if !matches!(layout.form, Form::Messages | Form::Items) {
            return self.prefix();
        }
        let vocabulary = layout.vocabulary;
        let mut print = Fingerprint::of_at_most(SYSTEM_BYTES);
        for value in self.systems.iter().flatten() {
            print.take_pieces(self.text, Pieces::of_field(self.text, *value, vocabulary));
        }
        let Some(input) = self.input else {
            return print.number();
        };
        if json::string(self.text, input).is_some() {
            print.left = OPENING_BYTES;
            print.take_pieces(self.text, Pieces::of_field(self.text, input, vocabulary));
            return print.number();
        }
        for message in json::elements(self.text, input.start) {
            let pieces = Pieces::of_message(self.text, message, vocabulary);
            match self.role(message) {
                b"\"system\"" | b"\"developer\"" => print.take_pieces(self.text, pieces),
                b"\"user\"" => {
                    print.left = OPENING_BYTES;
                    print.take_pieces(self.text, pieces);
                    break;
                }
                _ => {}
            }
        }
        print.number()
    }

    fn role(&self, message: Span) -> &[u8] {
        let role = json::members(self.text, message.start).find(|member| &*member.key == b"role");
        role.map_or(b"", |member| member.value.of(self.text))
    }
}
