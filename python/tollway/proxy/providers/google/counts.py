"""Gemini's token counts as OpenAI's: there thoughts are inside the completion, and what tools brought in the prompt."""

from msgspec import UNSET, UnsetType

from tollway.proxy.providers.google.answered import ModalityCount, UsageMetadata
from tollway.wire.openai_chat import CompletionDetails, PromptDetails, Usage


def is_told(told: UsageMetadata) -> bool:
    """Whether there is any count: Vertex may tell a type of traffic and nothing else."""
    counts = (told.prompt_token_count, told.candidates_token_count, told.thoughts_token_count, told.total_token_count)
    return any(count is not None for count in counts)


def usage_of(told: UsageMetadata) -> Usage:
    """The counts; what is not told is nought."""
    thoughts = told.thoughts_token_count or 0
    prompt = (told.prompt_token_count or 0) + (told.tool_use_prompt_token_count or 0)
    completion = (told.candidates_token_count or 0) + thoughts
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion if told.total_token_count is None else told.total_token_count,
        prompt_tokens_details=PromptDetails(
            cached_tokens=told.cached_content_token_count or 0, audio_tokens=_sound(told.prompt_tokens_details)
        ),
        completion_tokens_details=CompletionDetails(
            reasoning_tokens=thoughts, audio_tokens=_sound(told.candidates_tokens_details)
        ),
    )


def _sound(details: list[ModalityCount] | None) -> int | UnsetType:
    counts = [detail.token_count or 0 for detail in details or () if detail.modality == "AUDIO"]
    return sum(counts) if counts else UNSET
