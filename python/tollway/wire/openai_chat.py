"""OpenAI's chat answers as structs: what is made of another dialect's answer. Answers that are OpenAI's pass as bytes.

Beside OpenAI's own fields stand those that have become common where OpenAI has none: ``reasoning_content`` (DeepSeek,
xAI, vLLM), ``thinking_blocks`` (a model's signed thoughts, to be sent back in the next turn), and counts of tokens
written to a provider's cache (OpenRouter's ``cache_write_tokens``; for an hour, ``cache_write_1h_tokens`` of them).
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]


class CachedDetails(msgspec.Struct):
    """Kinds of cached tokens, all of them inside ``cached_tokens``; named as OpenAI's Realtime API names them."""

    audio_tokens: int


class PromptDetails(msgspec.Struct):
    """Kinds of prompt tokens, all of them inside ``prompt_tokens``."""

    cached_tokens: int = 0
    cache_write_tokens: int | UnsetType = UNSET
    cache_write_1h_tokens: int | UnsetType = UNSET
    audio_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET
    cached_tokens_details: CachedDetails | UnsetType = UNSET


class CompletionDetails(msgspec.Struct):
    """Kinds of completion tokens, all of them inside ``completion_tokens``."""

    reasoning_tokens: int = 0
    audio_tokens: int | UnsetType = UNSET
    image_tokens: int | UnsetType = UNSET


class Usage(msgspec.Struct, kw_only=True):
    """Token counts. ``service_tier`` is the provider's word for how it served the call, if that is not the standard."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails = msgspec.field(default_factory=PromptDetails)
    completion_tokens_details: CompletionDetails = msgspec.field(default_factory=CompletionDetails)
    service_tier: str | UnsetType = UNSET


class FunctionCall(msgspec.Struct):
    """A function's name and its arguments as JSON text; in a stream the text comes in pieces, the name once."""

    name: str | UnsetType = UNSET
    arguments: str = ""


class ToolCall(msgspec.Struct, kw_only=True):
    """A call that the model asks for. ``index`` counts tool calls, in a stream only; ``extra_content`` is opaque."""

    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionCall
    extra_content: dict[str, Any] | UnsetType = UNSET


class Message(msgspec.Struct, kw_only=True):
    """What the model said; also a piece of it, where ``role`` comes once and every other field in pieces."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    refusal: str | UnsetType | None = UNSET
    reasoning_content: str | UnsetType = UNSET
    thinking_blocks: list[dict[str, Any]] | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET
    annotations: list[dict[str, Any]] | UnsetType = UNSET
    extra_content: dict[str, Any] | UnsetType = UNSET


class Choice(msgspec.Struct, kw_only=True):
    """One answer of those asked for."""

    index: int
    message: Message
    finish_reason: FinishReason
    logprobs: dict[str, Any] | None = None


class Completion(msgspec.Struct, kw_only=True):
    """A whole answer. ``created`` is in seconds since 1970."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | UnsetType = UNSET


class ChunkChoice(msgspec.Struct, kw_only=True):
    """A piece of one answer."""

    index: int
    delta: Message
    finish_reason: FinishReason | None = None
    logprobs: dict[str, Any] | UnsetType = UNSET


class Chunk(msgspec.Struct, kw_only=True):
    """A piece of a streamed answer; the last one has no choices, and the usage."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType = UNSET


DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""

_ENCODER = msgspec.json.Encoder()


def event(chunk: Chunk) -> bytes:
    """A chunk as a server-sent event."""
    return b"data: " + _ENCODER.encode(chunk) + b"\n\n"
