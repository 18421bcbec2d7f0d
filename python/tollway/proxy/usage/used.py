"""What a call has used: tokens as the provider told them, else counted, else estimated from what was delivered."""

import json

import msgspec

from tollway._native import tokens
from tollway._native.chat import ChatAnswer, ChatRequest
from tollway._native.sse import Relay
from tollway.contract.usage import Outcome, UsageSource
from tollway.proxy.exchange import Progress
from tollway.proxy.vocabularies import Vocabularies

INLINE_COUNT_BYTES = 16 * 1024
"""More text than this is counted off the event loop."""


STANDARD_TIERS = frozenset({"default", "standard", "auto", "on_demand"})
"""How providers call the service tier that everybody gets: OpenAI, xAI and Bedrock; Anthropic, Google and Mistral; some
of all, who repeat what was asked for; Groq."""


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of a call, by kind, and how they are known; and what else of it is paid for.

    Kinds are inside ``prompt`` and ``completion``. ``requests`` is 1, or 0 of a call for which nothing is owed;
    ``images`` were made, ``characters`` spoken, ``audio_ms`` milliseconds of sound heard. ``service_tier`` is the
    provider's word, ``None`` for the standard one.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    source: UsageSource = "told"
    audio_input: int = 0
    cached_audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    requests: int = 1
    images: int = 0
    characters: int = 0
    audio_ms: int = 0
    service_tier: str | None = None


NOTHING = Tokens(requests=0)
"""Of a call that is not billed."""


_MAKING_IMAGES = frozenset({"images", "image_edits"})


class Used:
    """One call's use, as far as it has come."""

    def __init__(self, request: ChatRequest, progress: Progress, vocabularies: Vocabularies) -> None:
        self._request = request
        self._progress = progress
        self._vocabularies = vocabularies

    def is_costly(self, outcome: Outcome) -> bool:
        """Whether :meth:`tokens` takes too long for the event loop."""
        if self.told() is not None or self._is_free(outcome):
            return False
        is_large = self._request.text_bytes + self._kept_bytes() > INLINE_COUNT_BYTES
        return is_large or not self._vocabularies.has(self._encoding())

    def tokens(self, outcome: Outcome) -> Tokens:
        """As the provider told, else counted (the answer is whole) or estimated (it is not)."""
        told = self.told()
        if told is not None:
            return told
        if self._is_free(outcome):
            return NOTHING
        reader = self._reader()
        encoding = self._encoding()
        if not self._vocabularies.has(encoding):
            self._vocabularies.load(encoding)
        prompt = self._request.count_prompt(encoding)
        completion = reader.count_completion(encoding) if reader is not None else 0
        if reader is not None:  # what it told before it was cut, where that is more
            usage = reader.usage
            prompt = usage.prompt_tokens or prompt
            completion = max(completion, usage.completion_tokens or 0)
        counted = Tokens(prompt, completion, source="counted" if outcome == "ok" else "estimated")
        return self._with_units(counted)

    def told(self) -> Tokens | None:
        """The provider's final count, if it has told it: what a stream tells before its end may leave out the rest."""
        reader = self._reader()
        if reader is None or (isinstance(reader, Relay) and not reader.complete):
            return None
        usage = reader.usage
        prompt, completion = usage.prompt_tokens, usage.completion_tokens
        if prompt is None or completion is None:
            return None
        told = Tokens(
            prompt,
            completion,
            usage.cached_tokens or 0,
            usage.cache_write_tokens or 0,
            usage.cache_write_1h_tokens or 0,
            usage.reasoning_tokens or 0,
            audio_input=usage.audio_prompt_tokens or 0,
            cached_audio_input=usage.cached_audio_tokens or 0,
            audio_output=usage.audio_completion_tokens or 0,
            image_input=usage.image_prompt_tokens or 0,
            image_output=usage.image_completion_tokens or 0,
        )
        return self._with_units(told)

    @property
    def is_given_away(self) -> bool:
        """Whether it costs nothing though no price is known."""
        return self._request.operation == "moderations" and self.told() is None

    def _with_units(self, tokens: Tokens) -> Tokens:
        """With what is no token, and how the provider says that it has served the call."""
        reader, operation = self._reader(), self._request.operation
        usage = None if reader is None else reader.usage
        tier = None if usage is None else usage.service_tier
        return msgspec.structs.replace(
            tokens,
            images=self._images(reader) if operation in _MAKING_IMAGES else 0,
            characters=self._characters() if operation == "speech" else 0,
            audio_ms=0 if usage is None else usage.audio_ms or 0,
            service_tier=None if tier in STANDARD_TIERS else tier,
        )

    def _characters(self) -> int:
        """Those of a text that is spoken: a checked request has one (platform.openai.com, "Create speech").

        It is read leniently: half of a surrogate pair, which stricter readers refuse, is a character too.
        """
        return len(json.loads(self._request.body)["input"])

    def _images(self, reader: ChatAnswer | Relay | None) -> int:
        """Those of a whole answer; of a stream, as many as were asked for once it is whole."""
        if isinstance(reader, ChatAnswer):
            return reader.choices
        return self._request.n if reader is not None and reader.complete else 0

    def _reader(self) -> ChatAnswer | Relay | None:
        return self._progress.answer or self._progress.reader

    def _encoding(self) -> str:
        target = self._progress.target
        return tokens.encoding_of(target.model if target is not None else self._request.model)

    def _kept_bytes(self) -> int:
        # A delta of a stream is about 16 bytes of text; only the order of magnitude matters here.
        return self._progress.reader.events * 16 if self._progress.reader is not None else 0

    def _is_free(self, outcome: Outcome) -> bool:
        """Refused or failed before any of the answer, or a moderation: providers bill nothing for it."""
        if self._request.operation == "moderations":
            return True
        delivered = self._progress.reader is not None and self._progress.reader.has_content
        return outcome == "error" and not delivered
