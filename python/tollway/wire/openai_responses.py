"""OpenAI's Responses as structs: what the gateway writes to clients of that dialect. Nothing decodes into these but
``Logprob`` and ``TopLogprob``, whose shape chat shares.

Field by field after the types of OpenAI's own SDK (``openai.types.responses``). A response repeats much of its
request; those fields are ``Raw``, written as the client wrote them.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Status = Literal["in_progress", "completed", "incomplete", "failed"]
ServiceTier = Literal["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]
FailureCode = Literal["server_error", "rate_limit_exceeded", "invalid_prompt"]
"""Of OpenAI's codes those that fit any provider."""
NULL = Raw(b"null")


class SummaryText(msgspec.Struct, kw_only=True):
    """A thought, as far as it is told."""

    type: Literal["summary_text"] = "summary_text"
    text: str


class Reasoning(msgspec.Struct, kw_only=True):
    """What the model thought. ``encrypted_content`` is opaque to the client, which sends it back."""

    id: str
    type: Literal["reasoning"] = "reasoning"
    summary: list[SummaryText]
    encrypted_content: str | UnsetType = UNSET
    status: ItemStatus = "completed"


class TopLogprob(msgspec.Struct, kw_only=True):
    """How likely a token was. ``bytes`` is its UTF-8; chat may leave it out, Responses does not."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class Logprob(msgspec.Struct, kw_only=True):
    """How likely the token said was, and the likeliest in its place."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list[TopLogprob] | None = None


class ToldTopLogprob(msgspec.Struct, kw_only=True):
    """As an event tells it: without bytes."""

    token: str
    logprob: float


class ToldLogprob(msgspec.Struct, kw_only=True):
    """As above."""

    token: str
    logprob: float
    top_logprobs: list[ToldTopLogprob]


class UrlCitation(msgspec.Struct, kw_only=True):
    """A source of the text between two places, in characters."""

    type: Literal["url_citation"] = "url_citation"
    start_index: int
    end_index: int
    title: str
    url: str


class OutputText(msgspec.Struct, kw_only=True):
    """Text."""

    type: Literal["output_text"] = "output_text"
    annotations: list[UrlCitation]
    logprobs: list[Logprob]
    text: str


class OutputRefusal(msgspec.Struct, kw_only=True):
    """Why the model would not answer."""

    type: Literal["refusal"] = "refusal"
    refusal: str


Part = OutputText | OutputRefusal


class OutputMessage(msgspec.Struct, kw_only=True):
    """What the model said."""

    id: str
    type: Literal["message"] = "message"
    status: ItemStatus = "completed"
    content: list[Part]
    role: Literal["assistant"] = "assistant"


class FunctionCall(msgspec.Struct, kw_only=True):
    """A call that the model asks for; ``arguments`` is JSON text."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus = "completed"
    arguments: str
    call_id: str
    name: str
    namespace: str | UnsetType = UNSET
    """Where the function is of a namespace."""


Item = Reasoning | OutputMessage | FunctionCall


class InputDetails(msgspec.Struct, kw_only=True):
    """Kinds of input tokens, all of them inside ``input_tokens``."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputDetails(msgspec.Struct, kw_only=True):
    """Kinds of output tokens, all of them inside ``output_tokens``."""

    reasoning_tokens: int = 0


class Usage(msgspec.Struct, kw_only=True):
    """Token counts."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class IncompleteDetails(msgspec.Struct):
    """Why the answer ended early."""

    reason: Literal["max_output_tokens", "content_filter"]


class Failure(msgspec.Struct):
    """Why there is no whole answer."""

    code: FailureCode
    message: str


class Response(msgspec.Struct, kw_only=True):
    """An answer. Times are in seconds since 1970. ``store`` is false whatever was asked: nothing is kept here."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    background: Literal[False] = False
    completed_at: int | None = None
    error: Failure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: Raw = NULL
    max_output_tokens: Raw = NULL
    max_tool_calls: Raw = NULL
    model: str
    output: list[Item]
    parallel_tool_calls: Raw = Raw(b"true")
    previous_response_id: None = None
    prompt_cache_key: Raw = NULL
    reasoning: Raw = Raw(b'{"effort":null,"summary":null}')
    safety_identifier: Raw = NULL
    service_tier: ServiceTier | None = None
    store: Literal[False] = False
    temperature: Raw = NULL
    text: Raw = Raw(b'{"format":{"type":"text"}}')
    tool_choice: Raw = Raw(b'"auto"')
    tools: list[Raw]
    top_logprobs: Raw = Raw(b"0")
    top_p: Raw = NULL
    truncation: Literal["disabled"] = "disabled"
    usage: Usage | None = None
    user: Raw = NULL
    metadata: Raw = Raw(b"{}")


class Event(msgspec.Struct, kw_only=True, tag_field="type"):
    """An event of a stream; its ``type`` is the tag. They are numbered from 0 without a gap."""

    sequence_number: int = 0


class Created(Event, kw_only=True, tag="response.created"):
    """The first event."""

    response: Response


class InProgress(Event, kw_only=True, tag="response.in_progress"):
    """The second."""

    response: Response


class Completed(Event, kw_only=True, tag="response.completed"):
    """The last event of an answer that is whole: it holds all of it."""

    response: Response


class Incomplete(Event, kw_only=True, tag="response.incomplete"):
    """The last event of an answer that was cut short by a limit or a filter."""

    response: Response


class Failed(Event, kw_only=True, tag="response.failed"):
    """The last event of a stream that could not go on."""

    response: Response


class Wrong(msgspec.Struct, kw_only=True):
    """What went wrong."""

    type: str
    code: str | None
    message: str
    param: str | None


class Error(Event, kw_only=True, tag="error"):
    """What went wrong, twice: as OpenAI documents it, and inside ``error`` as OpenAI sends it, at which its SDKs raise.

    Source: API reference, "Streaming events", ``error``; openai/openai-dotnet#881.
    """

    code: str | None
    message: str
    param: str | None
    error: Wrong


def error(kind: str, code: str | None, message: str, param: str | None) -> Error:
    """The event; ``kind`` is the error's ``type``."""
    return Error(
        code=code, message=message, param=param, error=Wrong(type=kind, code=code, message=message, param=param)
    )


class ItemAdded(Event, kw_only=True, tag="response.output_item.added"):
    """An item begins."""

    output_index: int
    item: Item


class ItemDone(Event, kw_only=True, tag="response.output_item.done"):
    """An item is whole."""

    output_index: int
    item: Item


class PartAdded(Event, kw_only=True, tag="response.content_part.added"):
    """A part of a message begins."""

    item_id: str
    output_index: int
    content_index: int
    part: Part


class PartDone(Event, kw_only=True, tag="response.content_part.done"):
    """A part of a message is whole."""

    item_id: str
    output_index: int
    content_index: int
    part: Part


class TextDelta(Event, kw_only=True, tag="response.output_text.delta"):
    """More text."""

    item_id: str
    output_index: int
    content_index: int
    delta: str
    logprobs: list[ToldLogprob]


class TextDone(Event, kw_only=True, tag="response.output_text.done"):
    """All of a part's text."""

    item_id: str
    output_index: int
    content_index: int
    text: str
    logprobs: list[ToldLogprob]


class AnnotationAdded(Event, kw_only=True, tag="response.output_text.annotation.added"):
    """A source of the text."""

    item_id: str
    output_index: int
    content_index: int
    annotation_index: int
    annotation: UrlCitation


class RefusalDelta(Event, kw_only=True, tag="response.refusal.delta"):
    """More of a refusal."""

    item_id: str
    output_index: int
    content_index: int
    delta: str


class RefusalDone(Event, kw_only=True, tag="response.refusal.done"):
    """All of a refusal."""

    item_id: str
    output_index: int
    content_index: int
    refusal: str


class ArgumentsDelta(Event, kw_only=True, tag="response.function_call_arguments.delta"):
    """More of a call's arguments."""

    item_id: str
    output_index: int
    delta: str


class ArgumentsDone(Event, kw_only=True, tag="response.function_call_arguments.done"):
    """All of a call's arguments."""

    item_id: str
    output_index: int
    arguments: str


class SummaryPartAdded(Event, kw_only=True, tag="response.reasoning_summary_part.added"):
    """A thought begins."""

    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


class SummaryPartDone(Event, kw_only=True, tag="response.reasoning_summary_part.done"):
    """A thought is whole."""

    item_id: str
    output_index: int
    summary_index: int
    part: SummaryText


class SummaryTextDelta(Event, kw_only=True, tag="response.reasoning_summary_text.delta"):
    """More of a thought."""

    item_id: str
    output_index: int
    summary_index: int
    delta: str


class SummaryTextDone(Event, kw_only=True, tag="response.reasoning_summary_text.done"):
    """All of a thought."""

    item_id: str
    output_index: int
    summary_index: int
    text: str


_ENCODER = msgspec.json.Encoder()


def framed(event: Event) -> bytes:
    """An event as clients of OpenAI's Responses read it: its type is the event's name, too."""
    name: Any = event.__struct_config__.tag
    return b"event: %b\ndata: %b\n\n" % (name.encode(), _ENCODER.encode(event))
