"""Anthropic's answers as structs, and what they come to in OpenAI's terms: whole answers and streams read by these.

Blocks come in more types than are known here, so each is decoded once its type is known; fields that are not named are
ignored. A wrong type of a named field is a ``msgspec.ValidationError``, which is a ``ValueError``.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from tollway.wire import openai_chat
from tollway.wire.openai_chat import CompletionDetails, FinishReason, PromptDetails

Count = Annotated[int, msgspec.Meta(ge=0)]

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


class Typed(msgspec.Struct):
    """Anything that names its type."""

    type: str


class OutputDetails(msgspec.Struct):
    """Kinds of output tokens."""

    thinking_tokens: Count | None = None


class CacheCreation(msgspec.Struct):
    """What was written to the cache, by how long it is kept; for an hour at a price of its own."""

    ephemeral_1h_input_tokens: Count | None = None


class Usage(msgspec.Struct):
    """Token counts. ``input_tokens`` leaves out what was read from the cache or written to it."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    output_tokens_details: OutputDetails | None = None
    cache_creation: CacheCreation | None = None
    service_tier: str | None = None

    def updated(self, later: "Usage") -> "Usage":
        """With each count that is told later in its place: counts of a stream are cumulative."""
        counts = {name: getattr(later, name) for name in self.__struct_fields__}
        return msgspec.structs.replace(self, **{name: count for name, count in counts.items() if count is not None})

    def as_chat(self) -> openai_chat.Usage | UnsetType:
        """In OpenAI's terms, where cached tokens are inside the prompt's; unset unless both sides are told.

        Anthropic always tells them; servers that speak its dialect may not, and their tokens are counted then.
        """
        if self.input_tokens is None or self.output_tokens is None:
            return UNSET
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        prompt = self.input_tokens + read + written
        details = PromptDetails(cached_tokens=read)
        if self.cache_creation_input_tokens is not None:
            details.cache_write_tokens = written
        if self.cache_creation is not None and self.cache_creation.ephemeral_1h_input_tokens:
            details.cache_write_1h_tokens = self.cache_creation.ephemeral_1h_input_tokens
        reasoning = (self.output_tokens_details and self.output_tokens_details.thinking_tokens) or 0
        usage = openai_chat.Usage(
            prompt_tokens=prompt,
            completion_tokens=self.output_tokens,
            total_tokens=prompt + self.output_tokens,
            prompt_tokens_details=details,
            completion_tokens_details=CompletionDetails(reasoning_tokens=reasoning),
        )
        if self.service_tier is not None and self.service_tier != "standard":
            usage.service_tier = self.service_tier
        return usage


class StopDetails(msgspec.Struct):
    """Why the model refused, in words."""

    explanation: str | None = None


class TextBlock(msgspec.Struct):
    """What the model said; with sources, if it searched."""

    text: str
    citations: list[dict[str, Any]] | None = None


class ThinkingBlock(msgspec.Struct):
    """What it thought. The text may be empty, the signature stands for it."""

    thinking: str = ""
    signature: str = ""

    def as_sent_back(self) -> dict[str, Any]:
        """As Anthropic takes it in the next turn."""
        return {"type": "thinking", "thinking": self.thinking, "signature": self.signature}


class RedactedBlock(msgspec.Struct):
    """What it thought, encrypted."""

    data: str

    def as_sent_back(self) -> dict[str, Any]:
        """As above."""
        return {"type": "redacted_thinking", "data": self.data}


class ToolUseBlock(msgspec.Struct):
    """A call of one of the client's tools."""

    id: str
    name: str
    input: dict[str, Any] | None = None

    @property
    def arguments(self) -> str:
        """As JSON text."""
        return msgspec.json.encode(self.input or {}).decode()


class Message(msgspec.Struct):
    """A whole answer."""

    id: str
    model: str
    content: list[msgspec.Raw]
    stop_reason: str
    usage: Usage = msgspec.field(default_factory=Usage)
    stop_details: StopDetails | None = None


def finish_of(stop_reason: str, *, has_calls: bool) -> FinishReason:
    """OpenAI's word for a stop reason; one that is new here ends a turn as well as any."""
    return _FINISHES.get(stop_reason, "tool_calls" if has_calls else "stop")


def annotation(citation: dict[str, Any], start: int, end: int) -> dict[str, Any] | None:
    """OpenAI's form of a citation of a web page, for the text from ``start`` to ``end``; other sources have none."""
    url, title = citation.get("url"), citation.get("title")
    if not isinstance(url, str) or not url:
        return None
    source = {"start_index": start, "end_index": end, "url": url, "title": title if isinstance(title, str) else ""}
    return {"type": "url_citation", "url_citation": source}
