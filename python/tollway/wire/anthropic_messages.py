"""Anthropic's Messages API as structs: what is written to its clients. Nothing is read with these.

Source: platform.claude.com, "Create a Message" and "Streaming Messages" (API version 2023-06-01), and the types of
Anthropic's SDK. A field that the SDK's types hold to be there is there, if only as ``null``.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"]


class CacheCreation(msgspec.Struct):
    """What was written to a cache, by how long it is kept."""

    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class OutputDetails(msgspec.Struct):
    """Kinds of output tokens, all of them inside ``output_tokens``."""

    thinking_tokens: int


class Usage(msgspec.Struct, kw_only=True):
    """Token counts. ``input_tokens`` leaves out what was read from a cache or written to it."""

    input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation: CacheCreation | UnsetType = UNSET
    output_tokens: int = 0
    output_tokens_details: OutputDetails | UnsetType = UNSET


class TextBlock(msgspec.Struct, tag_field="type", tag="text"):
    """What the model said."""

    text: str
    citations: None = None


class ThinkingBlock(msgspec.Struct, tag_field="type", tag="thinking"):
    """What it thought, and what proves it to whoever made it: the client sends both back as they are."""

    thinking: str
    signature: str


class RedactedThinkingBlock(msgspec.Struct, tag_field="type", tag="redacted_thinking"):
    """What it thought, encrypted."""

    data: str


class ToolUseBlock(msgspec.Struct, tag_field="type", tag="tool_use"):
    """A call of one of the client's tools; ``input`` is a JSON object as the model wrote it."""

    id: str
    name: str
    input: msgspec.Raw


Block = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock


class StopDetails(msgspec.Struct, tag_field="type", tag="refusal"):
    """Why the model refused, in words."""

    explanation: str
    category: None = None


class Message(msgspec.Struct, tag_field="type", tag="message", kw_only=True):
    """A whole answer; also what a stream begins with, then without content and reason."""

    id: str
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[Block]
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: Usage


class MessageStart(msgspec.Struct, tag_field="type", tag="message_start"):
    """A stream begins."""

    message: Message


class BlockStart(msgspec.Struct, tag_field="type", tag="content_block_start"):
    """A block begins. ``index`` counts blocks from 0; one block is open at a time."""

    index: int
    content_block: Block


class TextDelta(msgspec.Struct, tag_field="type", tag="text_delta"):
    """More of a text."""

    text: str


class ThinkingDelta(msgspec.Struct, tag_field="type", tag="thinking_delta"):
    """More of a thought."""

    thinking: str


class SignatureDelta(msgspec.Struct, tag_field="type", tag="signature_delta"):
    """A thought's whole signature, just before its block ends."""

    signature: str


class InputDelta(msgspec.Struct, tag_field="type", tag="input_json_delta"):
    """More of a call's input, as JSON text that is complete only at the end of its block."""

    partial_json: str


class BlockDelta(msgspec.Struct, tag_field="type", tag="content_block_delta"):
    """More of the open block."""

    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(msgspec.Struct, tag_field="type", tag="content_block_stop"):
    """The open block is complete."""

    index: int


class Ending(msgspec.Struct, kw_only=True):
    """Why a message ended."""

    stop_reason: StopReason
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class MessageDelta(msgspec.Struct, tag_field="type", tag="message_delta"):
    """All blocks are complete. The counts are those of the whole message."""

    delta: Ending
    usage: Usage


class MessageStop(msgspec.Struct, tag_field="type", tag="message_stop"):
    """The stream is complete."""


class Detail(msgspec.Struct):
    """An error: a word of Anthropic's, and words for people."""

    type: str
    message: str


class Error(msgspec.Struct, tag_field="type", tag="error"):
    """An error, as a body of its own or as the last event of a stream."""

    error: Detail
    request_id: str


Event = MessageStart | BlockStart | BlockDelta | BlockStop | MessageDelta | MessageStop | Error

_ENCODER = msgspec.json.Encoder()


def event(told: Event) -> bytes:
    """An event, framed; its name is its type."""
    name = told.__struct_config__.tag
    return b"event: %s\ndata: %s\n\n" % (str(name).encode(), _ENCODER.encode(told))
