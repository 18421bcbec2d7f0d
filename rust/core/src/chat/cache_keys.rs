//! What a cache knows a request by: the same for all that ask the same, whatever the spelling.
//!
//! The namespace is SHA-256 over a mark, operation, scope and model, and the request in its one spelling ([`super::canonical`])
//! with a hole where the last turn's content stands. The key is SHA-256 over another mark, the namespace, and that content; of
//! a request without a question over a third mark and all of it at once. So nothing is hashed twice, and what shares a key
//! shares its namespace.

use sha2::{Digest as _, Sha256};

use super::Operation;
use super::canonical::{Heard, Hearing, Writer, unescaped};
use super::fields::given;
use super::json::{self, Span};

/// Raised when the spelling or what counts changes: hosts of both releases then share nothing.
const WHOLE: &[u8] = b"tollway cache 1: whole";
const NAMESPACE: &[u8] = b"tollway cache 1: namespace";
const KEY: &[u8] = b"tollway cache 1: key";

/// See the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheKeys {
    /// Over scope, operation, model and all of the request.
    pub key: [u8; 32],
    /// Over all but the text of the last turn.
    pub namespace: Option<[u8; 32]>,
    /// The text of the last turn.
    pub question: Option<String>,
    /// As the request asks.
    pub temperature: Option<f64>,
    /// Whether its answer follows from what it says.
    pub is_cacheable: bool,
}

impl CacheKeys {
    /// Of a body that has been checked, whose input stands at `input`.
    pub(super) fn of(text: &[u8], operation: Operation, input: Option<Span>, scope: &str, model: &str) -> Self {
        let asked = input.and_then(|input| Asked::find(text, operation, input));
        let mut hearing = Request {
            text,
            operation,
            temperature: None,
            is_cacheable: has_cacheable_answers(operation),
        };
        let mut writer = Writer::new(text, asked.as_ref().map(|asked| asked.content.start));
        writer.write(json::skip_space(text, 0), Place::Root, &mut hearing);
        let mark = if asked.is_some() { NAMESPACE } else { WHOLE };
        let over_all = digest(mark, operation, scope, model, writer.written());
        let (key, namespace, question) = match asked {
            None => (over_all, None, None),
            Some(Asked { content, question }) => {
                writer.clear();
                writer.write(content.start, Place::Blocks, &mut hearing);
                let mut hash = Sha256::new_with_prefix(KEY);
                hash.update(over_all);
                hash.update(writer.written());
                (hash.finalize().into(), Some(over_all), Some(question))
            }
        };
        Self {
            key,
            namespace,
            question,
            temperature: hearing.temperature,
            is_cacheable: hearing.is_cacheable,
        }
    }
}

fn digest(mark: &[u8], operation: Operation, scope: &str, model: &str, request: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(mark);
    for part in [operation.name(), scope, model] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(request);
    hash.finalize().into()
}

const fn has_cacheable_answers(operation: Operation) -> bool {
    use Operation::{Chat, Completions, Embeddings, Messages, Moderations, Rerank, Responses};
    matches!(
        operation,
        Chat | Completions | Messages | Responses | Embeddings | Moderations | Rerank
    )
}

/// A last turn that is a user's, and text alone.
struct Asked {
    content: Span,
    question: String,
}

impl Asked {
    fn find(text: &[u8], operation: Operation, input: Span) -> Option<Self> {
        let kind: &[u8] = match operation {
            Operation::Chat | Operation::Messages => b"text",
            Operation::Responses => b"input_text",
            _ => return None,
        };
        let content = if json::string(text, input).is_some() {
            input
        } else {
            let turn = json::elements(text, input.start).last()?;
            let [role, content, form] = fields(text, turn, [b"role", b"content", b"type"])?;
            let is_message = given(text, form).is_none_or(|form| says(text, form, b"message"));
            if !says(text, role?, b"user") || !is_message {
                return None;
            }
            content?
        };
        let said = match json::string(text, content) {
            Some(said) => unescaped(said.of(text)).into_owned(),
            None => joined(text, content, kind)?,
        };
        // A text with half a character in it is no text.
        let question = String::from_utf8(said).ok().filter(|question| !question.is_empty())?;
        Some(Self { content, question })
    }
}

/// The texts of parts that are nothing else, by line feeds.
fn joined(text: &[u8], parts: Span, kind: &[u8]) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for (index, part) in json::elements(text, parts.start).enumerate() {
        let is_known = |key: &[u8]| matches!(key, b"type" | b"text" | b"cache_control");
        if !json::members(text, part.start).all(|member| is_known(&member.key)) {
            return None;
        }
        let [form, said] = fields(text, part, [b"type", b"text"])?;
        let said = json::string(text, said?)?;
        if !says(text, form?, kind) {
            return None;
        }
        if index > 0 {
            all.push(b'\n');
        }
        all.extend_from_slice(&unescaped(said.of(text)));
    }
    Some(all)
}

/// The values of an object's fields; `None` if it is none, or has one of them twice.
fn fields<const N: usize>(text: &[u8], object: Span, names: [&[u8]; N]) -> Option<[Option<Span>; N]> {
    if text.get(object.start) != Some(&b'{') {
        return None;
    }
    let mut values = [None; N];
    for member in json::members(text, object.start) {
        let found = names.iter().zip(&mut values).find(|(name, _)| **name == &*member.key);
        if let Some((_, value)) = found
            && value.replace(member.value).is_some()
        {
            return None;
        }
    }
    Some(values)
}

fn says(text: &[u8], value: Span, word: &[u8]) -> bool {
    json::string(text, value).is_some_and(|said| &*unescaped(said.of(text)) == word)
}

/// What does not count of a request, and what makes its answer depend on more than it says.
struct Request<'a> {
    text: &'a [u8],
    operation: Operation,
    temperature: Option<f64>,
    is_cacheable: bool,
}

/// Where in a request something stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// Turns, or the parts of one.
    Blocks,
    Block,
    /// The bytes or the address of something, or blocks.
    Source,
    Tools,
    Tool,
    /// What a tool of `OpenAI`'s chat has below its type.
    Function,
    /// Schemas, arguments, parameters: no word in it has a meaning for us.
    Plain,
}

impl Hearing for Request<'_> {
    type Place = Place;

    fn hears(&mut self, place: Place, key: &[u8], value: Span) -> Option<Place> {
        match place {
            Place::Root => self.hears_field(key, value),
            Place::Block => self.hears_of_block(key, value),
            Place::Source => Some(self.sourced(key, value)),
            Place::Tool | Place::Function if key == b"cache_control" && self.is_mark(value) => None,
            Place::Tool if key == b"function" => Some(Place::Function),
            Place::Tool if key == b"tools" => Some(Place::Tools),
            _ => Some(Place::Plain),
        }
    }

    fn element(&self, place: Place) -> Place {
        match place {
            Place::Blocks => Place::Block,
            Place::Tools => Place::Tool,
            _ => Place::Plain,
        }
    }

    fn ended(&mut self, place: Place, members: Heard<'_>) {
        if place != Place::Plain {
            // Which of the two its reader goes by is not known.
            self.is_cacheable &= !members.has_twin();
        }
        match place {
            Place::Tool => self.is_cacheable &= self.is_clients(&members),
            Place::Block if self.operation == Operation::Responses => {
                let is_named = members.get(b"id").is_some_and(|id| id != b"n");
                let kind = members.get(b"type").filter(|kind| *kind != b"n");
                let is_kept = match kind {
                    Some(kind) => kind == b"\"item_reference\xFF",
                    None => is_named && members.get(b"role").is_none(),
                };
                self.is_cacheable &= !is_kept;
            }
            _ => {}
        }
    }
}

impl Request<'_> {
    fn first(&self, value: Span) -> u8 {
        self.text.get(value.start).copied().unwrap_or_default()
    }

    fn is_null(&self, value: Span) -> bool {
        self.first(value) == b'n'
    }

    fn is_true(&self, value: Span) -> bool {
        self.first(value) == b't'
    }

    /// Whether it marks where the provider may cache the prompt, and is nobody's data of that name.
    fn is_mark(&self, value: Span) -> bool {
        matches!(self.first(value), b'{' | b'n')
    }

    /// `null` says as much as leaving a field out.
    fn hears_field(&mut self, key: &[u8], value: Span) -> Option<Place> {
        if self.is_null(value) {
            return None;
        }
        let operation = self.operation;
        match key {
            b"model"
            | b"stream"
            | b"stream_options"
            | b"user"
            | b"safety_identifier"
            | b"metadata"
            | b"service_tier"
            | b"prompt_cache_key"
            | b"prompt_cache_retention"
            | b"cache_control" => return None,
            b"store" => {
                // A response that is not kept can't be continued: it is no answer for whom it must be.
                self.is_cacheable &= !self.is_true(value);
                let is_kept = operation != Operation::Responses || self.is_true(value);
                return (!is_kept).then_some(Place::Plain);
            }
            b"temperature" => self.temperature = self.read_number(value),
            b"prompt" => self.is_cacheable &= operation == Operation::Completions,
            b"background" | b"enable_search" => self.is_cacheable &= !self.is_true(value),
            b"modalities" => self.is_cacheable &= self.is_text_alone(value),
            b"mcp_servers" | b"plugins" | b"data_sources" => {
                self.is_cacheable &= json::elements(self.text, value.start).next().is_none();
            }
            b"previous_response_id"
            | b"conversation"
            | b"container"
            | b"web_search_options"
            | b"search_parameters"
            | b"audio" => self.is_cacheable = false,
            b"messages" | b"input" => return Some(Place::Blocks),
            b"system" if operation == Operation::Messages => return Some(Place::Blocks),
            b"documents" if operation == Operation::Rerank => return Some(Place::Blocks),
            b"tools" | b"functions" => return Some(self.defined(value)),
            _ => {}
        }
        Some(Place::Plain)
    }

    /// The temperature; what is none may be read as any.
    fn read_number(&mut self, value: Span) -> Option<f64> {
        let raw = Span {
            start: value.start,
            end: json::value_end(self.text, value.start),
        };
        let number = std::str::from_utf8(raw.of(self.text)).ok()?.parse();
        let number = number.ok().filter(|number: &f64| number.is_finite());
        self.is_cacheable &= number.is_some();
        number
    }

    fn is_text_alone(&self, value: Span) -> bool {
        json::elements(self.text, value.start).all(|word| says(self.text, word, b"text"))
    }

    fn defined(&mut self, value: Span) -> Place {
        if self.first(value) == b'[' {
            return Place::Tools;
        }
        self.is_cacheable &= self.is_null(value);
        Place::Plain
    }

    fn hears_of_block(&mut self, key: &[u8], value: Span) -> Option<Place> {
        match key {
            b"cache_control" if self.is_mark(value) => return None,
            b"tools" if self.operation == Operation::Responses => return Some(self.defined(value)),
            b"source" | b"file" => return Some(Place::Source),
            // Sound that the provider has said before, by its id.
            b"audio" => self.is_cacheable &= self.is_null(value),
            // A document that is to be ranked has fields of the client's.
            b"url" if self.operation == Operation::Rerank => {}
            b"output" if self.first(value) == b'{' => return Some(Place::Source),
            b"output" => return Some(self.blocks(value)),
            _ => return Some(self.sourced(key, value)),
        }
        Some(Place::Plain)
    }

    /// A member that may name something which is not in the request.
    fn sourced(&mut self, key: &[u8], value: Span) -> Place {
        match key {
            b"file_id" => self.is_cacheable &= self.is_null(value),
            b"url" | b"image_url" | b"video_url" | b"audio_url" | b"file_url" => {
                self.is_cacheable &= self.is_data(value);
            }
            b"file_data" => self.is_cacheable &= !self.may_be_address(value),
            b"content" => return self.blocks(value),
            _ => {}
        }
        Place::Plain
    }

    /// Whether a text that is to be base64 may be an address: some take both.
    fn may_be_address(&self, value: Span) -> bool {
        let from = self.text.get(value.start + 1..).unwrap_or_default();
        let scheme = &from[..from.len().min(16)];
        let is_odd = scheme.contains(&b':') || scheme.windows(2).any(|pair| pair == b"\\u");
        is_odd && !scheme.to_ascii_lowercase().starts_with(b"data:")
    }

    fn blocks(&self, value: Span) -> Place {
        if self.first(value) == b'[' {
            Place::Blocks
        } else {
            Place::Plain
        }
    }

    /// Whether a medium is in the request itself: not by an address, behind which may be something else tomorrow.
    fn is_data(&self, value: Span) -> bool {
        let value = Span {
            start: value.start,
            end: json::value_end(self.text, value.start),
        };
        if let Some(address) = json::string(self.text, value) {
            let scheme = &address.of(self.text)[..address.len().min(5)];
            return scheme.is_empty() || scheme.eq_ignore_ascii_case(b"data:");
        }
        if self.first(value) != b'{' {
            return self.is_null(value);
        }
        let mut urls = json::members(self.text, value.start).filter(|member| &*member.key == b"url");
        urls.all(|member| self.first(member.value) != b'{' && self.is_data(member.value))
    }

    /// Whether it is the client who runs a tool.
    fn is_clients(&self, tool: &Heard<'_>) -> bool {
        let Some(kind) = tool.get(b"type").filter(|kind| *kind != b"n") else {
            return tool.get(b"name").is_some() || tool.get(b"function").is_some();
        };
        let Some(kind) = kind.strip_prefix(b"\"").and_then(|kind| kind.strip_suffix(b"\xFF")) else {
            return false;
        };
        match (self.operation, kind) {
            (Operation::Responses, b"namespace") => tool.get(b"tools").is_some(),
            (Operation::Responses, b"local_shell" | b"apply_patch" | b"computer" | b"computer_use_preview")
            | (_, b"function" | b"custom") => true,
            (Operation::Messages, _) => CLIENTS_TOOLS.iter().any(|name| kind.starts_with(name)),
            _ => false,
        }
    }
}

/// Tools that Anthropic defines and the client runs; their names go on with a date.
const CLIENTS_TOOLS: [&[u8]; 4] = [b"bash_", b"text_editor_", b"computer_", b"memory_"];
