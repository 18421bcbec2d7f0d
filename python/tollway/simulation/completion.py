"""The shapes of a chat answer, whole and in chunks, as OpenAI sends them."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

FinishReason = Literal["stop", "length", "tool_calls"]


class Likelihood(msgspec.Struct):
    """A token with the natural logarithm of its probability."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLikelihood(msgspec.Struct):
    """A token of the answer, and what else might have stood there."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[Likelihood]


class Logprobs(msgspec.Struct):
    """One entry a token of the content."""

    content: list[TokenLikelihood]
    refusal: None = None


class FunctionCall(msgspec.Struct):
    """``arguments`` is JSON text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, kw_only=True):
    """A call that the client is asked to make."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class AnswerMessage(msgspec.Struct, kw_only=True):
    """The assistant's turn."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    tool_calls: list[ToolCall] | UnsetType = UNSET
    refusal: None = None
    annotations: list[None] = msgspec.field(default_factory=list)


class Choice(msgspec.Struct):
    """One of the ``n`` answers."""

    index: int
    message: AnswerMessage
    finish_reason: FinishReason
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    """Nothing is ever cached here."""

    cached_tokens: int = 0
    audio_tokens: int = 0


class CompletionDetails(msgspec.Struct):
    """Nothing is ever reasoned here."""

    reasoning_tokens: int = 0
    audio_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(msgspec.Struct):
    """Token counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails = msgspec.field(default_factory=PromptDetails)
    completion_tokens_details: CompletionDetails = msgspec.field(default_factory=CompletionDetails)


class Completion(msgspec.Struct, kw_only=True):
    """A whole answer; ``created`` is Unix time in seconds."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    service_tier: str = "default"
    system_fingerprint: str = "fp_simulator"


class FunctionDelta(msgspec.Struct, kw_only=True):
    """A fragment of a call: the name comes once, the arguments piece by piece."""

    name: str | UnsetType = UNSET
    arguments: str


class ToolCallDelta(msgspec.Struct, kw_only=True):
    """``id`` and ``type`` come with the first fragment of the call at ``index``."""

    index: int
    id: str | UnsetType = UNSET
    type: Literal["function"] | UnsetType = UNSET
    function: FunctionDelta


class Delta(msgspec.Struct):
    """What a chunk adds to the message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    tool_calls: list[ToolCallDelta] | UnsetType = UNSET
    refusal: UnsetType | None = UNSET


class ChunkChoice(msgspec.Struct):
    """A chunk's addition to one of the ``n`` answers."""

    index: int
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None


class Chunk(msgspec.Struct, kw_only=True):
    """A server-sent event; ``usage`` is there (null but in the last) only when it was asked for."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    service_tier: str = "default"
    system_fingerprint: str = "fp_simulator"
    usage: Usage | UnsetType | None = UNSET
