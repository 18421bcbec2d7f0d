"""Converse's answers as structs: what is read of them, whole and streamed. Unknown fields are ignored.

A block and a delta are unions: one of their fields is set. Blobs are base64 in JSON and stay so.
Source: docs.aws.amazon.com, API reference of Bedrock Runtime, "Converse" and "ConverseStream".
"""

from typing import Annotated, Any

import msgspec

from tollway.wire import openai_chat
from tollway.wire.openai_chat import FinishReason, PromptDetails

Count = Annotated[int, msgspec.Meta(ge=0)]

_ABSENT = msgspec.Raw(b"")  # a raw value can't be declared as one or nothing

_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "malformed_model_output": "stop",
    "malformed_tool_use": "stop",
}


def finish_of(stop_reason: str, *, has_calls: bool) -> FinishReason:
    """OpenAI's word for a stop reason; one that is new here ends a turn as well as any."""
    return _FINISHES.get(stop_reason, "tool_calls" if has_calls else "stop")


class CacheDetail(msgspec.Struct, rename="camel"):
    """Tokens that were written to the cache, and how long they are kept: ``5m`` or ``1h``."""

    ttl: str
    input_tokens: Count


class ServiceTier(msgspec.Struct):
    """How the call was served: ``default``, ``priority``, ``flex``, ``reserved``."""

    type: str


class Usage(msgspec.Struct, rename="camel"):
    """Token counts. ``input_tokens`` leaves out what was read from the cache or written to it."""

    input_tokens: Count
    output_tokens: Count
    cache_read_input_tokens: Count | None = None
    cache_write_input_tokens: Count | None = None
    cache_details: list[CacheDetail] | None = None

    def as_chat(self, served: ServiceTier | None) -> openai_chat.Usage:
        """In OpenAI's terms, where cached tokens are inside the prompt's."""
        read, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        prompt = self.input_tokens + read + written
        details = PromptDetails(cached_tokens=read)
        if self.cache_write_input_tokens is not None:
            details.cache_write_tokens = written
        longer = sum(detail.input_tokens for detail in self.cache_details or () if detail.ttl == "1h")
        if longer:
            details.cache_write_1h_tokens = longer
        usage = openai_chat.Usage(
            prompt_tokens=prompt,
            completion_tokens=self.output_tokens,
            total_tokens=prompt + self.output_tokens,
            prompt_tokens_details=details,
        )
        if served is not None and served.type != "default":
            usage.service_tier = served.type
        return usage


class ToolUse(msgspec.Struct, rename="camel"):
    """A call; one with a ``type`` is of a tool that Amazon runs itself."""

    tool_use_id: str
    name: str
    input: msgspec.Raw = _ABSENT
    type: str | None = None

    @property
    def arguments(self) -> str:
        """As compact JSON, every number as it was written.

        Raises:
            ValueError: they are no object.
        """
        if bytes(self.input) in (b"", b"null"):
            return "{}"
        if not bytes(self.input).startswith(b"{"):
            raise ValueError("arguments that are no object")
        return msgspec.json.format(bytes(self.input), indent=-1).decode()


class ReasoningText(msgspec.Struct):
    """A thought; with a signature, if its model wants it back."""

    text: str = ""
    signature: str | None = None


class Reasoning(msgspec.Struct, rename="camel"):
    """A thought, in the open or encrypted."""

    reasoning_text: ReasoningText | None = None
    redacted_content: str | None = None


class Web(msgspec.Struct):
    """A page."""

    url: str | None = None


class Location(msgspec.Struct):
    """Where a citation is from."""

    web: Web | None = None


class Citation(msgspec.Struct):
    """What a text rests on."""

    title: str | None = None
    location: Location | None = None

    def annotation(self, start: int, end: int) -> dict[str, Any] | None:
        """OpenAI's form for the text from ``start`` to ``end``; sources that are no pages have none."""
        web = self.location.web if self.location is not None else None
        if web is None or not web.url:
            return None
        source = {"start_index": start, "end_index": end, "url": web.url, "title": self.title or ""}
        return {"type": "url_citation", "url_citation": source}


class Cited(msgspec.Struct):
    """A piece of text within a citation block."""

    text: str | None = None


class CitationsContent(msgspec.Struct):
    """A text and what it rests on."""

    content: list[Cited] | None = None
    citations: list[Citation] | None = None


class Block(msgspec.Struct, rename="camel"):
    """A piece of a message."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: CitationsContent | None = None


class Message(msgspec.Struct):
    """What the model said."""

    content: list[Block]


class Output(msgspec.Struct):
    """The message."""

    message: Message


class Answer(msgspec.Struct, rename="camel"):
    """A whole answer."""

    output: Output
    stop_reason: str
    usage: Usage | None = None
    service_tier: ServiceTier | None = None


class Start(msgspec.Struct, rename="camel"):
    """How a block begins; one of text does not say so."""

    tool_use: ToolUse | None = None


class BlockStart(msgspec.Struct, rename="camel"):
    """``contentBlockStart``."""

    content_block_index: Count
    start: Start


class CallDelta(msgspec.Struct):
    """A piece of a call's arguments, as text."""

    input: str


class ReasoningDelta(msgspec.Struct, rename="camel"):
    """A piece of a thought."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Delta(msgspec.Struct, rename="camel"):
    """A piece of a block."""

    text: str | None = None
    tool_use: CallDelta | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: Citation | None = None


class BlockDelta(msgspec.Struct, rename="camel"):
    """``contentBlockDelta``."""

    content_block_index: Count
    delta: Delta


class BlockStop(msgspec.Struct, rename="camel"):
    """``contentBlockStop``."""

    content_block_index: Count


class MessageStop(msgspec.Struct, rename="camel"):
    """``messageStop``."""

    stop_reason: str


class Metadata(msgspec.Struct, rename="camel"):
    """``metadata``, which follows the stop."""

    usage: Usage | None = None
    service_tier: ServiceTier | None = None
