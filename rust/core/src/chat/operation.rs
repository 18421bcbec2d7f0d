//! What a request asks for, and in which of its fields the model's input stands.

/// An operation of `OpenAI`'s dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Messages in, a message out.
    Chat,
    /// Text in, its continuation out: the older form, which models served with vLLM still have.
    Completions,
    /// Texts in, a vector for each out.
    Embeddings,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Chat, Self::Completions, Self::Embeddings];

    /// Its name, as in `OpenAI`'s paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// The field that holds what the model reads.
    pub(super) const fn input(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
            Self::Embeddings => "input",
        }
    }
}
