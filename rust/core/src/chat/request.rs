//! A request, checked and indexed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Operation;
use super::cache_keys::CacheKeys;
use super::fields::{Fields, InvalidRequest, Steering};
use super::input::{self, Measure};
use super::json::{self, Edit, Span};
use super::passages::Passages;
use super::pieces::{Kind, Piece, Pieces};
use super::places::{BESIDE_MAX, DEFINITIONS_MAX, Form, Layout, Medium};
use super::traits::{self, Need, Prompt};
use crate::guardrails::{Hit, Judge, Source};
use crate::tokens::{self, Encoding};

/// A message's role is one token in both vocabularies. It comes on top of what [`tokens::chat_overhead`] adds.
const ROLE_TOKENS: usize = 1;
/// An image at high detail is 85 + 170 for each tile of 512 pixels, once it is scaled into 768 × 2,048: at most 8 tiles.
const IMAGE_TOKENS_MAX: usize = 85 + 170 * 8;
/// A square image at high detail has 4 tiles. The size of an image is not known here: a count is an estimate.
const IMAGE_TOKENS: usize = 85 + 170 * 4;
/// Sound and files: bytes of base64 for each token. An estimate for both, since the coding decides.
const ATTACHMENT_BYTES_PER_TOKEN: usize = 4;

/// From this size on the numbers are made while a body is read, where it may take its time: to find the first text of an
/// odd body can take milliseconds.
const EAGER_FROM_BYTES: usize = 128 * 1024;

/// A request for a chat or any other operation, over its own bytes `B`.
#[derive(Clone, Debug)]
pub struct ChatRequest<B> {
    operation: Operation,
    body: B,
    steering: Steering,
    places: Places,
    measure: Measure,
    numbers: Option<Numbers>,
}

/// What calls are told apart by.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    prefix: u64,
    conversation: u64,
}

/// Where the values stand that are rewritten or read again.
#[derive(Clone, Copy, Debug)]
struct Places {
    model: Span,
    stream_options: Option<Span>,
    input: Option<Span>,
    beside: [Option<Span>; BESIDE_MAX],
    definitions: [Option<Span>; DEFINITIONS_MAX],
    metadata: Option<Span>,
}

impl<B: AsRef<[u8]>> ChatRequest<B> {
    /// Checks `body` and indexes it.
    ///
    /// Strict JSON of at most 128 levels; of the fields read here none may come twice. Fields not known here are
    /// not judged.
    pub fn read(body: B, operation: Operation) -> Result<Self, InvalidRequest> {
        let text = body.as_ref();
        json::check(text).map_err(InvalidRequest::unparsable)?;
        let layout = operation.layout();
        let fields = Fields::read(text, layout)?;
        let mut steering = fields.steering(text)?;
        let places = Places {
            model: fields.model.ok_or_else(|| InvalidRequest::missing("model"))?,
            stream_options: fields.stream_options,
            input: fields.input,
            beside: fields.beside,
            definitions: fields.definitions,
            metadata: fields.metadata(),
        };
        let mut measure = input::check(text, &fields, layout)?;
        weigh(text, pieces(text, &places, layout), &mut measure);
        if operation == Operation::Completions {
            // Every prompt is continued `n` times.
            let prompts = u32::try_from(measure.messages).unwrap_or(u32::MAX);
            steering.n = steering.n.saturating_mul(prompts);
        }
        let mut request = Self {
            operation,
            body,
            steering,
            places,
            measure,
            numbers: None,
        };
        if request.body.as_ref().len() >= EAGER_FROM_BYTES {
            request.numbers = Some(Numbers {
                prefix: request.prompt().prefix(),
                conversation: request.prompt().conversation(),
            });
        }
        Ok(request)
    }

    /// The bytes as they came.
    pub const fn body(&self) -> &B {
        &self.body
    }

    /// The model's name as the client gave it.
    pub fn model(&self) -> &str {
        &self.steering.model
    }

    /// Whether the answer shall be a stream.
    pub const fn stream(&self) -> bool {
        self.steering.stream
    }

    /// Whether the client asked for usage in its stream.
    pub const fn include_usage(&self) -> bool {
        self.steering.include_usage
    }

    /// How many choices are asked for; of prompts to be continued, that of all together.
    pub const fn n(&self) -> u32 {
        self.steering.n
    }

    /// The bound on each choice's tokens: `max_completion_tokens`, else `max_tokens`; `max_output_tokens` of a response.
    pub const fn max_tokens(&self) -> Option<u64> {
        self.steering.max_tokens
    }

    /// The client's own name for its end user.
    pub fn user(&self) -> Option<&str> {
        self.steering.user.as_deref()
    }

    /// What is asked for.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// How many tokens came as numbers: what they say can't be screened.
    pub const fn numbered(&self) -> usize {
        self.measure.numbered
    }

    /// The number of messages; of texts, where those are asked about.
    pub const fn messages(&self) -> usize {
        self.measure.messages
    }

    /// The bytes of all text a model reads, escapes undone.
    pub const fn text_bytes(&self) -> usize {
        self.measure.text_bytes
    }

    /// What it needs of a model beyond text. Sound and files that are only named by an id need nothing: who keeps them
    /// can read them.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        let (text, layout, definitions) = (self.body.as_ref(), self.operation.layout(), &self.places.definitions);
        let measure = &self.measure;
        let tools = measure.definition_bytes > 0 || traits::offers_tools(text, layout, definitions);
        let found = [
            (measure.images > 0, Need::Vision),
            (measure.sounds > 0, Need::Audio),
            (measure.files > 0, Need::Documents),
            (tools, Need::Tools),
            (traits::asks_schema(text, layout, definitions), Need::JsonSchema),
        ];
        found
            .into_iter()
            .filter_map(|(is_needed, need)| is_needed.then_some(need))
    }

    /// The texts that the client noted under `metadata`, by name: the first 32, and of 4 KiB at most.
    pub fn metadata(&self) -> Vec<(String, String)> {
        let value = self.places.metadata;
        value.map_or_else(Vec::new, |value| traits::notes(self.body.as_ref(), value))
    }

    /// A number for the conversation: the same from its first call to its last, on every host. 0: it can't be told.
    pub fn conversation(&self) -> u64 {
        let numbers = self.numbers;
        numbers.map_or_else(|| self.prompt().conversation(), |numbers| numbers.conversation)
    }

    /// A number for the first 4 KiB of the prompt's texts, systems first. 0: there are none.
    pub fn prefix(&self) -> u64 {
        let numbers = self.numbers;
        numbers.map_or_else(|| self.prompt().prefix(), |numbers| numbers.prefix)
    }

    /// What a cache knows it by, for whom `scope` stands; `model` is the alias.
    pub fn cache_keys(&self, scope: &str, model: &str) -> CacheKeys {
        CacheKeys::of(self.body.as_ref(), self.operation, self.places.input, scope, model)
    }

    fn prompt(&self) -> Prompt<'_> {
        Prompt {
            text: self.body.as_ref(),
            operation: self.operation,
            systems: &self.places.beside[..self.operation.layout().systems],
            input: self.places.input,
        }
    }

    /// The body for an upstream: `model` replaced and, with `ask_usage` in a chat's or a continuation's stream that does not
    /// ask already, `stream_options.include_usage` set. Every other byte is the client's; with nothing to change, all of them are.
    pub fn render(&self, model: &str, ask_usage: bool) -> Cow<'_, [u8]> {
        let mut edits = Vec::with_capacity(2);
        if model != self.steering.model {
            let text = Cow::Owned(format!("\"{}\"", json::escape(model)));
            edits.push(Edit {
                span: self.places.model,
                text,
            });
        }
        if ask_usage && self.operation.layout().asks_usage && self.steering.stream && !self.steering.include_usage {
            self.ask_usage(&mut edits);
        }
        if edits.is_empty() {
            return Cow::Borrowed(self.body.as_ref());
        }
        edits.sort_by_key(|edit| edit.span.start);
        Cow::Owned(json::splice(self.body.as_ref(), &edits))
    }

    /// The edits that make a stream without usage ask for it.
    fn ask_usage(&self, edits: &mut Vec<Edit>) {
        let text = self.body.as_ref();
        let Some(options) = self.places.stream_options else {
            // Behind the model, since that value always stands in the object.
            let behind = Span {
                start: self.places.model.end,
                end: self.places.model.end,
            };
            edits.push(Edit {
                span: behind,
                text: Cow::Borrowed(r#","stream_options":{"include_usage":true}"#),
            });
            return;
        };
        if text[options.start] != b'{' {
            edits.push(Edit {
                span: options,
                text: Cow::Borrowed(r#"{"include_usage":true}"#),
            });
            return;
        }
        let mut members = json::members(text, options.start).peekable();
        let comma = members.peek().is_some();
        if let Some(member) = members.find(|member| &*member.key == b"include_usage") {
            edits.push(Edit {
                span: member.value,
                text: Cow::Borrowed("true"),
            });
            return;
        }
        let inside = Span {
            start: options.start + 1,
            end: options.start + 1,
        };
        let text = if comma {
            r#""include_usage":true,"#
        } else {
            r#""include_usage":true"#
        };
        edits.push(Edit {
            span: inside,
            text: Cow::Borrowed(text),
        });
    }

    fn pieces(&self) -> impl Iterator<Item = Piece> {
        pieces(self.body.as_ref(), &self.places, self.operation.layout())
    }

    fn passages(&self) -> Passages<'_> {
        Passages {
            text: self.body.as_ref(),
            operation: self.operation,
            input: self.places.input,
            beside: self.places.beside,
        }
    }

    /// Every text a model reads, escapes undone, in the order of the body: contents, parts, refusals, names,
    /// tool calls and results, whatever the role. Tool definitions, roles, types, ids and media are not among them.
    pub fn texts(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let text = self.body.as_ref();
        self.pieces().filter_map(move |Piece { kind, span }| match kind {
            Kind::Text | Kind::Name | Kind::Signed => Some(json::unescape(span.of(text))),
            Kind::Json => Some(String::from_utf8_lossy(span.of(text))),
            Kind::Definitions | Kind::Image | Kind::Attachment(_) => None,
        })
    }

    /// The texts that somebody else may judge, and who says each: [`ChatRequest::texts`], and those that came as files.
    pub fn told_texts(&self) -> Vec<(Source, String)> {
        self.passages().told()
    }

    /// The body as `judge` lets it pass; `None` when nothing changes. Whether it lets it pass at all is for its session to say.
    /// The new body is valid JSON, and so is every JSON text inside it that was. Signed thoughts stay as they are but for what
    /// is restored in answers: they are the model's own words, and their signature holds for no others.
    pub fn judged(&self, judge: &mut dyn Judge) -> Option<Vec<u8>> {
        self.changed(self.passages().judged(judge))
    }

    /// The body with what somebody else has found: the hits of each text by its index in [`ChatRequest::told_texts`], in bytes
    /// of it.
    pub fn judged_elsewhere(&self, judge: &mut dyn Judge, hits: BTreeMap<usize, Vec<Hit>>) -> Option<Vec<u8>> {
        self.changed(self.passages().judged_elsewhere(judge, hits))
    }

    fn changed(&self, mut edits: Vec<Edit>) -> Option<Vec<u8>> {
        edits.sort_by_key(|edit| edit.span.start);
        (!edits.is_empty()).then(|| json::splice(self.body.as_ref(), &edits))
    }

    /// A bound from above on the prompt's tokens, without counting: a token of text is at least one byte. Images count
    /// as the largest, 1,445 (gpt-4o-mini bills 33 times that, at a 33rd of the price). Sound and files are an estimate:
    /// one token for 4 bytes of base64, and not less than an image. What a response continues (`previous_response_id`,
    /// `conversation`) or takes from a stored prompt lies with the provider, and is in no bound and no count.
    pub fn prompt_upper_bound(&self) -> usize {
        self.measure.text_bytes
            + self.measure.definition_bytes
            + self.definition_texts().map(<[u8]>::len).sum::<usize>()
            + self.overhead(IMAGE_TOKENS_MAX)
    }

    /// The prompt's tokens: texts exactly, and `OpenAI`'s chat overhead. Two parts are approximations: definitions
    /// of tools count as their JSON text (`OpenAI` rewrites them in a form it does not publish), an image as 765.
    pub fn count_prompt(&self, encoding: Encoding) -> usize {
        let body = self.body.as_ref();
        let json = |text| encoding.count(&String::from_utf8_lossy(text));
        let texts = self.pieces().map(|Piece { kind, span }| match kind {
            Kind::Text | Kind::Name | Kind::Signed => encoding.count(&json::unescape(span.of(body))),
            Kind::Json | Kind::Definitions => json(span.of(body)),
            Kind::Image | Kind::Attachment(_) => 0,
        });
        texts.sum::<usize>() + self.definition_texts().map(json).sum::<usize>() + self.overhead(IMAGE_TOKENS)
    }

    fn definition_texts(&self) -> impl Iterator<Item = &[u8]> {
        self.places
            .definitions
            .iter()
            .flatten()
            .map(|span| span.of(self.body.as_ref()))
            .filter(|text| *text != b"null")
    }

    fn overhead(&self, image_tokens: usize) -> usize {
        let Measure {
            messages,
            systems,
            names,
            numbered,
            images,
            attachment_bytes,
            ..
        } = self.measure;
        let media = images * image_tokens + attachment_bytes.div_ceil(ATTACHMENT_BYTES_PER_TOKEN);
        match self.operation.layout().form {
            Form::Messages | Form::Items => {
                let framed = messages + systems;
                tokens::chat_overhead(framed, names) + framed * ROLE_TOKENS + media
            }
            _ => numbered + media,
        }
    }
}

fn pieces<'a>(text: &'a [u8], places: &Places, layout: &Layout) -> impl Iterator<Item = Piece> + use<'a> {
    let vocabulary = layout.vocabulary;
    let input = places.input.unwrap_or(Span { start: 0, end: 0 });
    let input = match layout.form {
        Form::Messages | Form::Items => Pieces::of_messages(text, input, vocabulary),
        _ => Pieces::of_field(text, input, vocabulary),
    };
    let beside = places
        .beside
        .into_iter()
        .flatten()
        .flat_map(move |value| Pieces::of_field(text, value, vocabulary));
    input.chain(beside)
}

/// Adds up what the model reads.
fn weigh(text: &[u8], pieces: impl Iterator<Item = Piece>, measure: &mut Measure) {
    for Piece { kind, span } in pieces {
        match kind {
            Kind::Text | Kind::Signed => measure.text_bytes += json::unescaped_len(span.of(text)),
            Kind::Name => {
                measure.names += 1;
                measure.text_bytes += json::unescaped_len(span.of(text));
            }
            Kind::Json => measure.text_bytes += span.len(),
            Kind::Definitions => measure.definition_bytes += span.len(),
            Kind::Image => measure.images += 1,
            Kind::Attachment(medium) => {
                measure.sounds += usize::from(medium == Medium::Sound);
                measure.files += usize::from(medium == Medium::File);
                measure.attachment_bytes += span.len().max(IMAGE_TOKENS_MAX * ATTACHMENT_BYTES_PER_TOKEN);
            }
        }
    }
}
