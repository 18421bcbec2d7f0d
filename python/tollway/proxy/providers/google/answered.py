"""Gemini's ``GenerateContentResponse`` as structs: what is read of it. Unknown fields are ignored.

Every field may be missing: an answer without candidates, a candidate without content and a content without parts have
all been seen with status 200.
"""

from typing import Annotated, Any

import msgspec

_ABSENT = msgspec.Raw(b"")  # a raw value can't be declared as one or nothing

Count = Annotated[int, msgspec.Meta(ge=0)]


class FunctionCall(msgspec.Struct):
    """A call; ``args`` stays as it was written, and is empty if there is none."""

    name: str
    args: msgspec.Raw = _ABSENT
    id: str | None = None


class Part(msgspec.Struct, rename="camel"):
    """A piece of content. ``text`` is a thought where ``thought`` is true."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    inline_data: dict[str, Any] | None = None
    file_data: dict[str, Any] | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None
    tool_call: dict[str, Any] | None = None
    tool_response: dict[str, Any] | None = None


def held(part: Part) -> dict[str, Any]:
    """What the part holds that chat has no place for, in Google's own form; empty if it holds no such thing."""
    own = {
        "inlineData": part.inline_data,
        "fileData": part.file_data,
        "executableCode": part.executable_code,
        "codeExecutionResult": part.code_execution_result,
        "toolCall": part.tool_call,
        "toolResponse": part.tool_response,
    }
    found: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
    if found and part.thought_signature:
        found["thoughtSignature"] = part.thought_signature
    return found


class Content(msgspec.Struct):
    """What a candidate says."""

    parts: list[Part] | None = None


class Source(msgspec.Struct):
    """A page or a place that an answer rests on."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct):
    """One source."""

    web: Source | None = None
    maps: Source | None = None


class Segment(msgspec.Struct, rename="camel"):
    """A stretch of the answer; the offsets count bytes of UTF-8."""

    start_index: Count | None = None
    end_index: Count | None = None
    text: str | None = None


class GroundingSupport(msgspec.Struct, rename="camel"):
    """Which sources a stretch rests on."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class GroundingMetadata(msgspec.Struct, rename="camel"):
    """Sources, and what rests on which."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[GroundingSupport] | None = None


class Citation(msgspec.Struct, rename="camel"):
    """A stretch that is quoted from somewhere."""

    start_index: Count | None = None
    end_index: Count | None = None
    uri: str | None = None
    title: str | None = None


class CitationMetadata(msgspec.Struct, rename="camel"):
    """Quotations; Vertex and the Gemini API name the list differently."""

    citation_sources: list[Citation] | None = None
    citations: list[Citation] | None = None


class TokenLogprob(msgspec.Struct, rename="camel"):
    """A token and how likely it was."""

    token: str = ""
    log_probability: float = 0.0


class TopLogprobs(msgspec.Struct):
    """The likeliest tokens at one place."""

    candidates: list[TokenLogprob] | None = None


class LogprobsResult(msgspec.Struct, rename="camel"):
    """Place by place."""

    chosen_candidates: list[TokenLogprob] | None = None
    top_candidates: list[TopLogprobs] | None = None


class Candidate(msgspec.Struct, rename="camel"):
    """One of the answers asked for, or a piece of it."""

    content: Content | None = None
    finish_reason: str | None = None
    index: Count | None = None
    grounding_metadata: GroundingMetadata | None = None
    citation_metadata: CitationMetadata | None = None
    logprobs_result: LogprobsResult | None = None


class PromptFeedback(msgspec.Struct, rename="camel"):
    """Why the prompt was not answered."""

    block_reason: str | None = None


class ModalityCount(msgspec.Struct, rename="camel"):
    """Tokens of one kind."""

    modality: str | None = None
    token_count: Count | None = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """Token counts; ``candidates`` are without thoughts, ``prompt`` is without what tools brought. The Gemini API tells
    a service tier, Vertex a type of traffic."""

    prompt_token_count: Count | None = None
    candidates_token_count: Count | None = None
    thoughts_token_count: Count | None = None
    tool_use_prompt_token_count: Count | None = None
    cached_content_token_count: Count | None = None
    total_token_count: Count | None = None
    prompt_tokens_details: list[ModalityCount] | None = None
    candidates_tokens_details: list[ModalityCount] | None = None
    tool_use_prompt_tokens_details: list[ModalityCount] | None = None
    cache_tokens_details: list[ModalityCount] | None = None
    service_tier: str | None = None
    traffic_type: str | None = None


class Answered(msgspec.Struct, rename="camel"):
    """A whole answer, or one event of a stream."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    create_time: str | None = None
    error: msgspec.Raw = _ABSENT
