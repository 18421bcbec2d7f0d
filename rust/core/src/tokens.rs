//! Token counts, exact for the two current vocabularies of `OpenAI`.
//!
//! Text comes in, a number goes out, equal to what tiktoken's `encode_ordinary` would return as a list: text that
//! spells a special token (`<|endoftext|>`) is counted as the ordinary text it is. The work is linear in the text,
//! also for a megabyte of one letter, where the textbook algorithm is quadratic. Nothing here knows the shape of a
//! chat request; that is [`chat`](crate::chat)'s.

use bpe_openai::Tokenizer;

/// Tokens that frame one message of a chat request, whatever it says
/// (`OpenAI` cookbook, "How to count tokens with tiktoken").
const PER_MESSAGE: usize = 3;
/// Tokens that a message's `name` costs beside its own text (same source).
const PER_NAME: usize = 1;
/// Tokens with which every reply is primed (same source).
const REPLY_PRIMING: usize = 3;

/// A vocabulary of `OpenAI`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `cl100k_base`: GPT-4, GPT-3.5, the embedding models.
    Cl100k,
    /// `o200k_base`: GPT-4o and everything after it.
    O200k,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 2] = [Self::Cl100k, Self::O200k];

    /// The encoding of an `OpenAI` model, by tiktoken's table of models; `o200k_base` for every other.
    ///
    /// A path of providers (`openai/gpt-4o`) and the mark of a fine-tuned model (`ft:gpt-4o:acme::id`) are looked
    /// through. For models of other vendors the count is an estimate: their tokenizers are not public, and the newer
    /// vocabulary is the nearer one.
    #[must_use]
    pub fn of_model(model: &str) -> Self {
        const CL100K: [&str; 7] = [
            "gpt-4",
            "gpt-3.5",
            "gpt-35",
            "text-embedding-3",
            "text-embedding-ada-002",
            "davinci-002",
            "babbage-002",
        ];
        const O200K_WITHIN: [&str; 3] = ["gpt-4o", "gpt-4.1", "gpt-4.5"];
        let name = model.rsplit('/').next().unwrap_or(model);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let starts_with = |prefix: &&str| name.starts_with(*prefix);
        if CL100K.iter().any(starts_with) && !O200K_WITHIN.iter().any(starts_with) {
            Self::Cl100k
        } else {
            Self::O200k
        }
    }

    /// The encoding that tiktoken calls `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// tiktoken's name: `cl100k_base` or `o200k_base`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cl100k => "cl100k_base",
            Self::O200k => "o200k_base",
        }
    }

    /// The number of tokens of `text`.
    #[must_use]
    pub fn count(self, text: &str) -> usize {
        self.tokenizer().count(text)
    }

    /// The number of tokens of `text`, or nothing if it is above `limit`; stops reading soon after passing the limit,
    /// so that "does it fit?" costs as much as the limit, not as the text.
    #[must_use]
    pub fn count_at_most(self, text: &str, limit: usize) -> Option<usize> {
        let tokenizer = self.tokenizer();
        tokenizer.count_till_limit(&tokenizer.normalize(text), limit)
    }

    /// Loads the vocabulary, which the first count would otherwise do (tens of milliseconds, tens of megabytes).
    pub fn warm(self) {
        let _ = self.count("");
    }

    fn tokenizer(self) -> &'static Tokenizer {
        match self {
            Self::Cl100k => bpe_openai::cl100k_base(),
            Self::O200k => bpe_openai::o200k_base(),
        }
    }
}

/// The tokens that a chat request costs beside the text in it: `messages` messages, `names` of which have a `name`.
#[must_use]
pub const fn chat_overhead(messages: usize, names: usize) -> usize {
    messages
        .saturating_mul(PER_MESSAGE)
        .saturating_add(names.saturating_mul(PER_NAME))
        .saturating_add(REPLY_PRIMING)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_are_those_of_tiktoken() {
        let known = [
            ("", 0, 0),
            ("hello world", 2, 2),
            ("antidisestablishmentarianism", 6, 6),
            ("<|endoftext|>", 7, 7),
        ];
        for (text, cl100k, o200k) in known {
            assert_eq!(
                (Encoding::Cl100k.count(text), Encoding::O200k.count(text)),
                (cl100k, o200k),
                "{text}"
            );
        }
    }

    #[test]
    fn models_find_their_encoding() {
        for model in [
            "gpt-4",
            "gpt-4-turbo",
            "openai/gpt-3.5-turbo",
            "ft:gpt-4:acme::1",
            "text-embedding-ada-002",
        ] {
            assert_eq!(Encoding::of_model(model), Encoding::Cl100k, "{model}");
        }
        for model in [
            "gpt-4o-mini",
            "gpt-4.1",
            "gpt-5",
            "o3",
            "ft:gpt-4o:acme::1",
            "azure/chatgpt-4o-latest",
            "claude",
            "",
        ] {
            assert_eq!(Encoding::of_model(model), Encoding::O200k, "{model}");
        }
    }

    #[test]
    fn an_encoding_is_known_by_its_name() {
        assert!(
            Encoding::ALL
                .into_iter()
                .all(|encoding| Encoding::named(encoding.name()) == Some(encoding))
        );
        assert_eq!(Encoding::named("p50k_base"), None);
    }

    #[test]
    fn a_long_run_of_one_letter_is_counted_at_once() {
        for encoding in Encoding::ALL {
            assert!(encoding.count(&"a".repeat(300_000)) > 10_000);
        }
    }

    #[test]
    fn the_frame_of_a_chat_is_counted() {
        assert_eq!(chat_overhead(0, 0), 3);
        assert_eq!(chat_overhead(2, 1), 10);
        assert_eq!(chat_overhead(usize::MAX, 1), usize::MAX);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn counting_up_to_a_limit_agrees_with_counting(text in ".{0,80}", limit in 0_usize..60) {
            for encoding in Encoding::ALL {
                let count = encoding.count(&text);
                prop_assert_eq!(encoding.count_at_most(&text, limit), (count <= limit).then_some(count));
            }
        }
    }
}
