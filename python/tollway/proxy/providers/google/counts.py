"""Gemini's token counts as OpenAI's: there thoughts are inside the completion, and what tools brought in the prompt."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from tollway.proxy.providers.google.answered import ModalityCount, UsageMetadata
from tollway.wire.openai_chat import CachedDetails, CompletionDetails, PromptDetails, Usage


def is_told(told: UsageMetadata) -> bool:
    """Whether there is any count: Vertex may tell a type of traffic and nothing else."""
    counts = (told.prompt_token_count, told.candidates_token_count, told.thoughts_token_count, told.total_token_count)
    return any(count is not None for count in counts)


def usage_of(told: UsageMetadata) -> Usage:
    """The counts; what is not told is nought."""
    thoughts = told.thoughts_token_count or 0
    prompt = (told.prompt_token_count or 0) + (told.tool_use_prompt_token_count or 0)
    completion = (told.candidates_token_count or 0) + thoughts
    read = (*(told.prompt_tokens_details or ()), *(told.tool_use_prompt_tokens_details or ()))
    said = told.candidates_tokens_details or ()
    cached_sound = _of_kind("AUDIO", told.cache_tokens_details or ())
    usage = Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion if told.total_token_count is None else told.total_token_count,
        prompt_tokens_details=PromptDetails(
            cached_tokens=told.cached_content_token_count or 0,
            audio_tokens=_of_kind("AUDIO", read),
            image_tokens=_of_kind("IMAGE", read),
            cached_tokens_details=UNSET if cached_sound is UNSET else CachedDetails(cached_sound),
        ),
        completion_tokens_details=CompletionDetails(
            reasoning_tokens=thoughts, audio_tokens=_of_kind("AUDIO", said), image_tokens=_of_kind("IMAGE", said)
        ),
    )
    tier = told.service_tier or _TRAFFIC.get(told.traffic_type or "")
    if tier is not None and tier != "standard":
        usage.service_tier = tier
    return usage


_TRAFFIC = {
    "ON_DEMAND_PRIORITY": "priority",
    "ON_DEMAND_FLEX": "flex",
    "PROVISIONED_THROUGHPUT": "provisioned",
}
"""Vertex's words for what the Gemini API calls a service tier (cloud.google.com, "GenerateContentResponse",
``TrafficType``); what was bought beforehand is one more."""


def _of_kind(modality: str, details: Sequence[ModalityCount]) -> int | UnsetType:
    counts = [detail.token_count or 0 for detail in details if detail.modality == modality]
    return sum(counts) if counts else UNSET
