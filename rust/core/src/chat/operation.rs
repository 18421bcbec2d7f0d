//! What a request asks for.

/// An operation of one of the dialects that clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Messages in, a message out.
    Chat,
    /// Text in, its continuation out: the older form, which models served with vLLM still have.
    Completions,
    /// Texts in, a vector for each out.
    Embeddings,
    /// Anthropic's Messages: blocks in, a message of blocks out.
    Messages,
    /// The same body as [`Operation::Messages`], of which only the tokens are asked.
    CountTokens,
    /// `OpenAI`'s Responses: items in, a response of items out.
    Responses,
    /// Texts and images in, a judgement of each out.
    Moderations,
    /// A query and documents in, their order out.
    Rerank,
    /// A prompt in, images out.
    Images,
    /// A form of images and a prompt in, images out. Like the next two it is read from its form's fields as JSON.
    ImageEdits,
    /// Text in, sound out.
    Speech,
    /// A form of sound and a prompt in, its text out.
    Transcriptions,
    /// A form of sound and a prompt in, its text in English out.
    Translations,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Messages,
        Self::CountTokens,
        Self::Responses,
        Self::Moderations,
        Self::Rerank,
        Self::Images,
        Self::ImageEdits,
        Self::Speech,
        Self::Transcriptions,
        Self::Translations,
    ];

    /// Its name, as in the paths of its dialect.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::CountTokens => "count_tokens",
            Self::Responses => "responses",
            Self::Moderations => "moderations",
            Self::Rerank => "rerank",
            Self::Images => "images",
            Self::ImageEdits => "image_edits",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Translations => "translations",
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}
