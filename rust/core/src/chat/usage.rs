//! The `usage` object of an answer or of a stream's chunk.
//!
//! Read off recorded answers of a dozen providers: the same number has several names, details may be `null`, and one
//! family leaves reasoning out of the completion. The prices live elsewhere; here are only counts.

use super::json::{self, Span};

/// No call has more tokens than this; a larger number is a fault of the upstream and counts as absent.
const TOKENS_MAX: u64 = i32::MAX as u64;

/// Token counts as the upstream told them; `None` is "not told".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt: Option<u64>,
    /// Tokens of the completion as told; see [`Usage::billed_completion`].
    pub completion: Option<u64>,
    /// The total as told.
    pub total: Option<u64>,
    /// Prompt tokens read from the provider's cache. Azure has been seen to tell more than the whole prompt.
    pub cached: Option<u64>,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: Option<u64>,
    /// Those of them that are kept for an hour, which costs more (Anthropic).
    pub cache_write_1h: Option<u64>,
    /// Tokens spent on reasoning.
    pub reasoning: Option<u64>,
    /// Prompt tokens that are sound.
    pub audio_prompt: Option<u64>,
    /// Those of them that were read from the provider's cache.
    pub cached_audio: Option<u64>,
    /// Completion tokens that are sound.
    pub audio_completion: Option<u64>,
    /// Prompt tokens that are images.
    pub image_prompt: Option<u64>,
    /// Completion tokens that are images.
    pub image_completion: Option<u64>,
    /// How long the sound is that was heard, in milliseconds, where it is billed by time.
    pub audio_ms: Option<u64>,
    /// How the provider says that it has served the call.
    pub service_tier: Option<ServiceTier>,
    /// Whether the completion is known to hold the reasoning: see [`Usage::billed_completion`].
    pub reasoning_inside: bool,
}

impl Usage {
    /// Reads the object at `value`; anything else yields nothing told.
    pub(crate) fn read(text: &[u8], value: Span) -> Self {
        let mut usage = Self::default();
        for json::Member { key, value } in json::members(text, value.start) {
            match &*key {
                b"prompt_tokens" => usage.prompt = count(value.of(text)),
                b"completion_tokens" => usage.completion = count(value.of(text)),
                b"total_tokens" => usage.total = count(value.of(text)),
                b"prompt_tokens_details" => usage.read_prompt_details(text, value),
                b"completion_tokens_details" => usage.read_completion_details(text, value),
                // DeepSeek, Together and Mistral, in this order; the details, where given, say the same.
                b"prompt_cache_hit_tokens" | b"cached_tokens" | b"num_cached_tokens" => {
                    usage.cached = usage.cached.or(count(value.of(text)));
                }
                // Grok on Azure.
                b"reasoning_tokens" => usage.reasoning = usage.reasoning.or(count(value.of(text))),
                b"audio_prompt_tokens" => usage.audio_prompt = usage.audio_prompt.or(count(value.of(text))),
                // Mistral's transcriptions.
                b"prompt_audio_seconds" => usage.audio_ms = milliseconds(value.of(text)),
                b"service_tier" => usage.service_tier = ServiceTier::read(text, value),
                _ => {}
            }
        }
        usage
    }

    /// Reads the object at `value` in the words of `OpenAI`'s newer interfaces: Responses, images, transcriptions. There
    /// reasoning is inside the completion with everyone, xAI too.
    pub(crate) fn read_newer(text: &[u8], value: Span) -> Self {
        let mut usage = Self {
            reasoning_inside: true,
            ..Self::default()
        };
        for json::Member { key, value } in json::members(text, value.start) {
            match &*key {
                b"input_tokens" => usage.prompt = count(value.of(text)),
                b"output_tokens" => usage.completion = count(value.of(text)),
                b"total_tokens" => usage.total = count(value.of(text)),
                // Transcriptions have it in the singular.
                b"input_tokens_details" | b"input_token_details" => usage.read_prompt_details(text, value),
                b"output_tokens_details" | b"output_token_details" => usage.read_completion_details(text, value),
                // Transcriptions of models that are billed by time.
                b"seconds" => usage.audio_ms = milliseconds(value.of(text)),
                _ => {}
            }
        }
        usage
    }

    fn read_prompt_details(&mut self, text: &[u8], details: Span) {
        for json::Member { key, value } in json::members(text, details.start) {
            match &*key {
                b"cached_tokens" => self.cached = count(value.of(text)).or(self.cached),
                b"cache_write_tokens" => self.cache_write = count(value.of(text)),
                b"cache_write_1h_tokens" => self.cache_write_1h = count(value.of(text)),
                b"audio_tokens" => self.audio_prompt = count(value.of(text)).or(self.audio_prompt),
                b"image_tokens" => self.image_prompt = count(value.of(text)),
                b"cached_tokens_details" => {
                    let sound = json::members(text, value.start).find(|member| &*member.key == b"audio_tokens");
                    self.cached_audio = sound.and_then(|member| count(member.value.of(text)));
                }
                _ => {}
            }
        }
    }

    fn read_completion_details(&mut self, text: &[u8], details: Span) {
        for json::Member { key, value } in json::members(text, details.start) {
            match &*key {
                b"reasoning_tokens" => self.reasoning = count(value.of(text)).or(self.reasoning),
                b"audio_tokens" => self.audio_completion = count(value.of(text)),
                b"image_tokens" => self.image_completion = count(value.of(text)),
                _ => {}
            }
        }
    }

    /// Takes over what `later` tells; usage in a stream is cumulative, so the last word on each number counts.
    pub(crate) fn merge(&mut self, later: Self) {
        self.prompt = later.prompt.or(self.prompt);
        self.completion = later.completion.or(self.completion);
        self.total = later.total.or(self.total);
        self.cached = later.cached.or(self.cached);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.reasoning = later.reasoning.or(self.reasoning);
        self.audio_prompt = later.audio_prompt.or(self.audio_prompt);
        self.cached_audio = later.cached_audio.or(self.cached_audio);
        self.audio_completion = later.audio_completion.or(self.audio_completion);
        self.image_prompt = later.image_prompt.or(self.image_prompt);
        self.image_completion = later.image_completion.or(self.image_completion);
        self.audio_ms = later.audio_ms.or(self.audio_ms);
        self.service_tier = later.service_tier.or(self.service_tier);
        self.reasoning_inside |= later.reasoning_inside;
    }

    /// Whether it tells of no work: `OpenAI` sends zeros behind an error in the stream.
    pub(crate) fn is_zero(&self) -> bool {
        [self.prompt, self.completion, self.total]
            .iter()
            .all(|count| count.unwrap_or(0) == 0)
    }

    /// The completion tokens to bill.
    ///
    /// xAI, and Grok on Azure, leave reasoning out of `completion_tokens` and add it to the total only:
    /// `total = prompt + completion + reasoning`. Everyone else counts reasoning inside. A completion that
    /// was not told follows from the total.
    #[must_use]
    pub fn billed_completion(&self) -> Option<u64> {
        let (Some(prompt), Some(total)) = (self.prompt, self.total) else {
            return self.completion;
        };
        match (self.completion, self.reasoning) {
            (None, _) => total.checked_sub(prompt),
            (Some(completion), Some(reasoning))
                if !self.reasoning_inside && reasoning > 0 && total == prompt + completion + reasoning =>
            {
                Some(completion + reasoning)
            }
            (completion, _) => completion,
        }
    }
}

/// The counts of Anthropic's `usage`. They stay apart until asked for, since a later word on one of them changes the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MessageUsage {
    /// What was neither read from the cache nor written to it.
    fresh: Option<u64>,
    cached: Option<u64>,
    cache_write: Option<u64>,
    cache_write_5m: Option<u64>,
    cache_write_1h: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    service_tier: Option<ServiceTier>,
}

impl MessageUsage {
    /// Reads the object at `value`; anything else yields nothing told.
    pub(crate) fn read(text: &[u8], value: Span) -> Self {
        let mut usage = Self::default();
        for json::Member { key, value } in json::members(text, value.start) {
            match &*key {
                b"input_tokens" => usage.fresh = count(value.of(text)),
                b"cache_read_input_tokens" => usage.cached = count(value.of(text)),
                b"cache_creation_input_tokens" => usage.cache_write = count(value.of(text)),
                b"cache_creation" => usage.read_cache_creation(text, value),
                b"output_tokens" => usage.output = count(value.of(text)),
                b"output_tokens_details" => {
                    let thinking = json::members(text, value.start).find(|member| &*member.key == b"thinking_tokens");
                    usage.reasoning = thinking.and_then(|member| count(member.value.of(text)));
                }
                b"service_tier" => usage.service_tier = ServiceTier::read(text, value),
                _ => {}
            }
        }
        usage
    }

    fn read_cache_creation(&mut self, text: &[u8], details: Span) {
        for json::Member { key, value } in json::members(text, details.start) {
            match &*key {
                b"ephemeral_5m_input_tokens" => self.cache_write_5m = count(value.of(text)),
                b"ephemeral_1h_input_tokens" => self.cache_write_1h = count(value.of(text)),
                _ => {}
            }
        }
    }

    /// Takes over what `later` tells. The end of a stream corrects its start, and may tell only a part.
    pub(crate) fn merge(&mut self, later: Self) {
        self.fresh = later.fresh.or(self.fresh);
        self.cached = later.cached.or(self.cached);
        self.cache_write = later.cache_write.or(self.cache_write);
        self.cache_write_5m = later.cache_write_5m.or(self.cache_write_5m);
        self.cache_write_1h = later.cache_write_1h.or(self.cache_write_1h);
        self.output = later.output.or(self.output);
        self.reasoning = later.reasoning.or(self.reasoning);
        self.service_tier = later.service_tier.or(self.service_tier);
    }

    /// The same in the words of everyone else: a prompt that holds what was cached.
    pub(crate) fn told(&self) -> Usage {
        let cache_write = self
            .cache_write
            .or_else(|| match (self.cache_write_5m, self.cache_write_1h) {
                (None, None) => None,
                (five_minutes, one_hour) => Some(five_minutes.unwrap_or(0) + one_hour.unwrap_or(0)),
            });
        let prompt = self
            .fresh
            .map(|fresh| fresh + self.cached.unwrap_or(0) + cache_write.unwrap_or(0));
        Usage {
            prompt,
            completion: self.output,
            total: prompt.zip(self.output).map(|(prompt, output)| prompt + output),
            cached: self.cached,
            cache_write,
            cache_write_1h: self.cache_write_1h,
            reasoning: self.reasoning,
            reasoning_inside: true,
            service_tier: self.service_tier,
            ..Usage::default()
        }
    }
}

/// A provider's word for how it has served a call, such as `priority`; in lower case, and short, since it comes from
/// outside and is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceTier {
    letters: [u8; TIER_LETTERS],
    count: usize,
}

const TIER_LETTERS: usize = 16;

impl ServiceTier {
    /// The string at `value`; nothing where it is none, empty, longer than any known word, or no plain word.
    pub(crate) fn read(text: &[u8], value: Span) -> Option<Self> {
        let said = json::string(text, value)?.of(text);
        let plain = |letter: &u8| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-');
        if said.is_empty() || said.len() > TIER_LETTERS || !said.iter().all(plain) {
            return None;
        }
        let mut letters = [0; TIER_LETTERS];
        for (letter, said) in letters.iter_mut().zip(said) {
            *letter = said.to_ascii_lowercase();
        }
        Some(Self {
            letters,
            count: said.len(),
        })
    }

    /// The word.
    #[must_use]
    pub fn word(&self) -> &str {
        std::str::from_utf8(&self.letters[..self.count]).unwrap_or_default()
    }
}

/// Seconds as whole milliseconds, a part of one being one: `12`, `8.47`, or such a number as a string. Anything else is
/// no time.
pub(crate) fn milliseconds(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    let text = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.is_empty()
        || ![whole, fraction]
            .iter()
            .all(|part| part.bytes().all(|digit| digit.is_ascii_digit()))
    {
        return None;
    }
    let seconds: u64 = whole.parse().ok().filter(|&seconds| seconds <= TOKENS_MAX)?;
    let kept: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let has_rest = fraction.bytes().skip(3).any(|digit| digit != b'0');
    Some(seconds * 1_000 + kept + u64::from(has_rest))
}

/// A count: a non-negative integer, or a float that is one (`12.0`). Anything else is not a count.
fn count(raw: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(raw).ok()?;
    if !text.bytes().next()?.is_ascii_digit() {
        return None;
    }
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => text,
    };
    whole.parse().ok().filter(|&count| count <= TOKENS_MAX)
}
