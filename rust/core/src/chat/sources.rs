//! Who says what in a request: the operator, the user, the model, or a tool.
//!
//! What is not known to be said by its message's role is taken for something that was brought in: a kind of block that a provider
//! invents next year is more likely a document than a new way to speak.

use super::Operation;
use super::json::{self, Span};
use super::places::{Form, Layout, Vocabulary};
use crate::guardrails::Source;

/// Tells the source of places in one field, asked from left to right.
pub(super) struct Sources<'a> {
    text: &'a [u8],
    vocabulary: Vocabulary,
    /// Of what is in no message.
    source: Source,
    /// The rest of the messages, from here on.
    messages: Option<usize>,
    /// Up to here `source` is that of the message.
    until: usize,
    /// The parts of the message that somebody else says: those still to come, the next one last.
    brought: Vec<Span>,
}

impl<'a> Sources<'a> {
    /// The sources of a request's input.
    pub(super) fn of_input(text: &'a [u8], input: Span, operation: Operation) -> Self {
        let layout = operation.layout();
        let is_list = matches!(layout.form, Form::Messages | Form::Items) && text.get(input.start) == Some(&b'[');
        let source = match operation {
            Operation::Rerank => Source::Tool,
            _ => Source::User,
        };
        Self {
            text,
            vocabulary: layout.vocabulary,
            source: if is_list { Source::Other } else { source },
            messages: is_list.then_some(input.start + 1),
            until: 0,
            brought: Vec::new(),
        }
    }

    /// The sources of a field beside it.
    pub(super) fn beside(text: &'a [u8], layout: &Layout, index: usize) -> Self {
        let source = match layout.beside.get(index).map(|field| field.name) {
            Some("system" | "instructions" | "context_management") if layout.systems > 0 => Source::System,
            Some("prediction") => Source::Assistant,
            Some("documents") => Source::Tool,
            _ => Source::User,
        };
        Self {
            text,
            vocabulary: layout.vocabulary,
            source,
            messages: None,
            until: 0,
            brought: Vec::new(),
        }
    }

    /// Who says what stands at that place.
    pub(super) fn at(&mut self, place: usize) -> Source {
        while let Some(from) = self.messages.filter(|_| place >= self.until) {
            let start = json::skip_space(self.text, from);
            if matches!(self.text.get(start), None | Some(b']')) {
                break;
            }
            let end = json::value_end(self.text, start);
            let comma = json::skip_space(self.text, end);
            self.messages = (self.text.get(comma) == Some(&b',')).then_some(comma + 1);
            self.until = end;
            if place < end {
                self.enter(Span { start, end });
            }
        }
        while self.brought.last().is_some_and(|part| part.end <= place) {
            self.brought.pop();
        }
        if self.brought.last().is_some_and(|part| part.start <= place) {
            Source::Tool
        } else {
            self.source
        }
    }

    fn enter(&mut self, message: Span) {
        self.brought.clear();
        let text = self.text;
        let (mut role, mut kind) = (Told::Nothing, Told::Nothing);
        let mut content = Vec::new();
        for member in json::members(text, message.start) {
            match &*member.key {
                b"role" => role = role.then(word(text, member.value)),
                b"type" => kind = kind.then(word(text, member.value)),
                b"content" => content.push(member.value),
                _ => {}
            }
        }
        self.source = match (&role, &kind) {
            (Told::Once(role), _) => of_role(role),
            (Told::Nothing, Told::Once(kind)) => of_item(kind),
            _ => Source::Other,
        };
        let vocabulary = self.vocabulary;
        let parts = content.into_iter().flat_map(|parts| json::elements(text, parts.start));
        self.brought.extend(parts.filter(|part| {
            let mut told = Told::Nothing;
            for member in json::members(text, part.start).filter(|member| &*member.key == b"type") {
                told = told.then(word(text, member.value));
            }
            match told {
                Told::Once(kind) => !is_said(vocabulary, &kind),
                Told::Nothing => false,
                Told::Twice => true,
            }
        }));
        self.brought.sort_by_key(|part| std::cmp::Reverse(part.start));
    }
}

/// A member that may come twice: readers differ in which of the two holds.
#[derive(PartialEq, Eq)]
enum Told {
    Nothing,
    Once(String),
    Twice,
}

impl Told {
    fn then(self, word: String) -> Self {
        if self == Self::Nothing {
            Self::Once(word)
        } else {
            Self::Twice
        }
    }
}

fn word(text: &[u8], value: Span) -> String {
    json::string(text, value).map_or_else(String::new, |content| json::unescape(content.of(text)).into_owned())
}

fn of_role(role: &str) -> Source {
    match role {
        "system" | "developer" => Source::System,
        "user" => Source::User,
        "assistant" => Source::Assistant,
        "tool" | "function" => Source::Tool,
        _ => Source::Other,
    }
}

/// The source of an item of the Responses API that has no role: the model's calls, or what came of them. Of calls that the
/// provider makes itself the item holds both.
fn of_item(kind: &str) -> Source {
    match kind {
        "function_call"
        | "custom_tool_call"
        | "computer_call"
        | "local_shell_call"
        | "shell_call"
        | "apply_patch_call"
        | "reasoning"
        | "compaction"
        | "mcp_approval_request" => Source::Assistant,
        "message" => Source::Other,
        _ => Source::Tool,
    }
}

/// Whether a part of that type is said by the message's role itself.
fn is_said(vocabulary: Vocabulary, kind: &str) -> bool {
    match vocabulary {
        Vocabulary::Messages => matches!(
            kind,
            "text" | "image" | "thinking" | "redacted_thinking" | "tool_use" | "server_tool_use" | "mcp_tool_use"
        ),
        Vocabulary::Responses => matches!(
            kind,
            "input_text" | "output_text" | "text" | "refusal" | "summary_text" | "reasoning_text" | "input_image"
        ),
        Vocabulary::Chat | Vocabulary::Documents => {
            matches!(
                kind,
                "text" | "refusal" | "image_url" | "input_audio" | "video_url" | "thinking"
            )
        }
    }
}
