//! Where things stand in a request, as tables: for each operation its top-level fields, and for each vocabulary the
//! keys below them that are not plain text.
//!
//! Sources: `OpenAI`'s API reference (chat, completions, embeddings, responses, moderations, images, audio), Anthropic's
//! (messages, its token count), Cohere's and vLLM's (rerank).

use super::Operation;

/// A top-level field, or a member of the object that stands there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) member: Option<&'static str>,
}

const fn field(name: &'static str) -> Field {
    Field { name, member: None }
}

const fn member(name: &'static str, member: &'static str) -> Field {
    Field {
        name,
        member: Some(member),
    }
}

/// What the field with the model's input may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Objects, at least one.
    Messages,
    /// A text or items; may be left out where something else holds the input.
    Items,
    /// A text, numbered tokens, or an array of such.
    Texts,
    /// A text, or an array of texts and objects.
    Parts,
    /// An array of texts and objects, beside a query.
    Documents,
    /// A text.
    Text,
    /// A text, or nothing.
    OptionalText,
}

/// The fields of one operation that are read. What is not listed is not judged.
#[derive(Debug)]
pub(super) struct Layout {
    /// The field with the model's input.
    pub(super) input: &'static str,
    pub(super) form: Form,
    pub(super) vocabulary: Vocabulary,
    /// Read by the model beside the input; at most [`BESIDE_MAX`].
    pub(super) beside: &'static [Field],
    /// How many of `beside`, from the front, are messages of their own: a system's.
    pub(super) systems: usize,
    /// Definitions of tools and forms: counted, neither screened nor changed; at most [`DEFINITIONS_MAX`].
    pub(super) definitions: &'static [Field],
    /// Bounds on the answer's tokens; the first that is given holds; at most [`ALIASES_MAX`].
    pub(super) max_tokens: &'static [Field],
    /// Names of the end user; the first that is given holds; at most [`ALIASES_MAX`].
    pub(super) user: &'static [Field],
    /// Whether `stream` asks for a stream.
    pub(super) streams: bool,
    /// Whether a stream tells its usage only if `stream_options.include_usage` asks for it.
    pub(super) asks_usage: bool,
    /// Whether `n` asks for choices.
    pub(super) choices: bool,
}

pub(super) const BESIDE_MAX: usize = 2;
pub(super) const DEFINITIONS_MAX: usize = 3;
pub(super) const ALIASES_MAX: usize = 2;

/// What the other tables differ from: a text, and nothing that steers the call but the model and the user.
const PLAIN: Layout = Layout {
    input: "prompt",
    form: Form::Text,
    vocabulary: Vocabulary::Chat,
    beside: &[],
    systems: 0,
    definitions: &[],
    max_tokens: &[],
    user: &[field("user")],
    streams: false,
    asks_usage: false,
    choices: false,
};

static CHAT: Layout = Layout {
    input: "messages",
    form: Form::Messages,
    beside: &[field("prediction"), field("documents")],
    definitions: &[field("tools"), field("functions"), field("response_format")],
    max_tokens: &[field("max_completion_tokens"), field("max_tokens")],
    streams: true,
    asks_usage: true,
    choices: true,
    ..PLAIN
};

static COMPLETIONS: Layout = Layout {
    form: Form::Texts,
    beside: &[field("suffix")],
    max_tokens: &[field("max_tokens")],
    streams: true,
    asks_usage: true,
    choices: true,
    ..PLAIN
};

static EMBEDDINGS: Layout = Layout {
    input: "input",
    form: Form::Texts,
    ..PLAIN
};

static MESSAGES: Layout = Layout {
    input: "messages",
    form: Form::Messages,
    vocabulary: Vocabulary::Messages,
    // A strategy of compaction has `instructions`.
    beside: &[field("system"), field("context_management")],
    systems: 1,
    definitions: &[
        field("tools"),
        member("output_config", "format"),
        field("output_format"),
    ],
    max_tokens: &[field("max_tokens")],
    user: &[member("metadata", "user_id")],
    streams: true,
    ..PLAIN
};

static COUNT_TOKENS: Layout = Layout {
    max_tokens: &[],
    streams: false,
    ..MESSAGES
};

static RESPONSES: Layout = Layout {
    input: "input",
    form: Form::Items,
    vocabulary: Vocabulary::Responses,
    beside: &[field("instructions"), field("prompt")],
    systems: 1,
    definitions: &[field("tools"), member("text", "format")],
    max_tokens: &[field("max_output_tokens")],
    user: &[field("user"), field("safety_identifier")],
    streams: true,
    ..PLAIN
};

static MODERATIONS: Layout = Layout {
    input: "input",
    form: Form::Parts,
    ..PLAIN
};

static RERANK: Layout = Layout {
    input: "documents",
    form: Form::Documents,
    vocabulary: Vocabulary::Documents,
    beside: &[field("query")],
    ..PLAIN
};

static IMAGES: Layout = Layout {
    streams: true,
    choices: true,
    ..PLAIN
};

static SPEECH: Layout = Layout {
    input: "input",
    beside: &[field("instructions")],
    ..PLAIN
};

static TRANSCRIPTIONS: Layout = Layout {
    form: Form::OptionalText,
    streams: true,
    ..PLAIN
};

static TRANSLATIONS: Layout = Layout {
    form: Form::OptionalText,
    ..PLAIN
};

/// Other fields that can stand for the input of a response.
pub(super) const INSTEAD_OF_ITEMS: [&[u8]; 3] = [b"prompt", b"previous_response_id", b"conversation"];

impl Operation {
    pub(super) const fn layout(self) -> &'static Layout {
        match self {
            Self::Chat => &CHAT,
            Self::Completions => &COMPLETIONS,
            Self::Embeddings => &EMBEDDINGS,
            Self::Messages => &MESSAGES,
            Self::CountTokens => &COUNT_TOKENS,
            Self::Responses => &RESPONSES,
            Self::Moderations => &MODERATIONS,
            Self::Rerank => &RERANK,
            Self::Images | Self::ImageEdits => &IMAGES,
            Self::Speech => &SPEECH,
            Self::Transcriptions => &TRANSCRIPTIONS,
            Self::Translations => &TRANSLATIONS,
        }
    }
}

/// What the value behind a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Text, or something with texts in it.
    Said,
    /// A word of the dialect: a role, a type, an id.
    Structure,
    /// Text that is one token dearer, where it stands in a message itself: its `name`.
    Name,
    /// An image, by URL or inline.
    Image,
    /// Sound, video or a file.
    Attachment(Medium),
    /// Text as JSON, unless it is a string: the arguments of a call.
    Arguments,
    /// A file by its id: an image or a document, where a block of that type holds it; else a word of the dialect.
    FileId,
    /// An image by URL or inline, if a block of that type holds it; else text.
    Picture,
    /// Anthropic's `source`: the bytes or the address of an image or a document, or a text.
    Source,
    /// Ciphertext, if something sealed holds it; else text.
    Data,
    /// Holds `data` that are ciphertext.
    Sealed,
    /// A model's own signed thoughts: not to be changed; and sealed.
    Thoughts,
    /// Definitions of tools, if they stand in an item itself: see [`Layout::definitions`].
    Definitions,
    /// An object whose keys the client has chosen: none of them is a word of the dialect.
    Variables,
}

/// What an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Sound,
    Film,
    File,
}

/// What a block's `type` says of the keys in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Image,
    File,
    Thought,
    SealedThought,
}

/// The words of a dialect: every key that it does not list is text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// `OpenAI`'s chat, with what its kin and the hub add.
    Chat,
    /// Anthropic's Messages.
    Messages,
    /// `OpenAI`'s Responses.
    Responses,
    /// Documents to be ranked: their keys are the client's.
    Documents,
}

impl Vocabulary {
    /// Deeper than the dialect nests its own fields, a key called `id` or `type` is somebody's data, and text.
    pub(super) const fn depth_max(self) -> usize {
        match self {
            Self::Chat | Self::Responses | Self::Documents => 6,
            // A text in the content of a document in a tool's result.
            Self::Messages => 9,
        }
    }

    pub(super) fn meaning(self, key: &[u8]) -> Meaning {
        match self {
            Self::Chat => chat(key),
            Self::Messages => messages(key),
            Self::Responses => responses(key),
            Self::Documents => documents(key),
        }
    }

    /// Whether a block's type tells what the keys in it mean.
    pub(super) const fn is_typed(self) -> bool {
        matches!(self, Self::Messages | Self::Responses)
    }

    /// The block of that type: the raw JSON string, so that an odd spelling has no meaning.
    pub(super) fn block(self, raw: &[u8]) -> Option<Block> {
        Some(match (self, raw) {
            (Self::Messages, br#""image""#)
            | (
                Self::Responses,
                br#""input_image""# | br#""computer_screenshot""# | br#""image_generation_call""# | br#""image""#,
            ) => Block::Image,
            (Self::Responses, br#""input_file""#) => Block::File,
            (Self::Messages, br#""thinking""#) => Block::Thought,
            (Self::Messages, br#""redacted_thinking""#) => Block::SealedThought,
            _ => return None,
        })
    }
}

fn chat(key: &[u8]) -> Meaning {
    match key {
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
        | b"prompt_cache_breakpoint" => Meaning::Structure,
        b"name" => Meaning::Name,
        b"image_url" => Meaning::Image,
        b"input_audio" | b"audio" | b"audio_url" => Meaning::Attachment(Medium::Sound),
        b"video_url" => Meaning::Attachment(Medium::Film),
        b"file_data" => Meaning::Attachment(Medium::File),
        b"arguments" => Meaning::Arguments,
        b"data" => Meaning::Data,
        b"reasoning_details" => Meaning::Sealed,
        b"thinking_blocks" => Meaning::Thoughts,
        _ => Meaning::Said,
    }
}

fn messages(key: &[u8]) -> Meaning {
    match key {
        b"role" | b"type" | b"id" | b"tool_use_id" | b"media_type" | b"file_id" | b"cache_control" | b"caller"
        | b"signature" | b"encrypted_content" | b"encrypted_index" | b"encrypted_stdout" => Meaning::Structure,
        b"source" => Meaning::Source,
        b"input" => Meaning::Arguments,
        b"data" => Meaning::Data,
        _ => Meaning::Said,
    }
}

fn responses(key: &[u8]) -> Meaning {
    match key {
        b"role"
        | b"type"
        | b"id"
        | b"call_id"
        | b"container_id"
        | b"approval_request_id"
        | b"status"
        | b"phase"
        | b"detail"
        | b"format"
        | b"logprobs"
        | b"encrypted_content"
        | b"prompt_cache_breakpoint" => Meaning::Structure,
        b"image_url" => Meaning::Image,
        b"input_audio" => Meaning::Attachment(Medium::Sound),
        b"file_data" | b"file_url" => Meaning::Attachment(Medium::File),
        b"file_id" => Meaning::FileId,
        b"result" | b"url" => Meaning::Picture,
        b"arguments" | b"env" | b"attributes" => Meaning::Arguments,
        b"tools" => Meaning::Definitions,
        b"variables" => Meaning::Variables,
        _ => Meaning::Said,
    }
}

/// vLLM takes documents of parts, in chat's words.
fn documents(key: &[u8]) -> Meaning {
    match key {
        b"image_url" => Meaning::Image,
        b"audio_url" => Meaning::Attachment(Medium::Sound),
        b"video_url" => Meaning::Attachment(Medium::Film),
        _ => Meaning::Said,
    }
}
