"""Token counts of the hub in Anthropic's terms. What is billed is read elsewhere, natively, and by the same rules."""

from collections.abc import Mapping
from typing import Any

from tollway.proxy.dialects.heard import first_count
from tollway.wire.anthropic_messages import CacheCreation, OutputDetails, Usage


class Counts:
    """The counts of one answer. In a stream each may be told often, and the last word holds."""

    def __init__(self) -> None:
        self._prompt: int | None = None
        self._completion: int | None = None
        self._total: int | None = None
        self._cached: int | None = None
        self._written: int | None = None
        self._written_1h: int | None = None
        self._reasoning: int | None = None

    def hear(self, usage: object) -> None:
        """Takes in a ``usage`` of the hub; anything that is none tells nothing."""
        if not isinstance(usage, Mapping):
            return
        prompt, completion = _inner(usage, "prompt_tokens_details"), _inner(usage, "completion_tokens_details")
        self._prompt = first_count(usage.get("prompt_tokens"), self._prompt)
        self._completion = first_count(usage.get("completion_tokens"), self._completion)
        self._total = first_count(usage.get("total_tokens"), self._total)
        # Behind the details: DeepSeek, Together and Mistral; Grok on Azure.
        flat = [usage.get(name) for name in ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")]
        self._cached = first_count(prompt.get("cached_tokens"), *flat, self._cached)
        self._written = first_count(prompt.get("cache_write_tokens"), self._written)
        self._written_1h = first_count(prompt.get("cache_write_1h_tokens"), self._written_1h)
        self._reasoning = first_count(
            completion.get("reasoning_tokens"), usage.get("reasoning_tokens"), self._reasoning
        )

    def usage(self) -> Usage:
        """All of it in Anthropic's terms, where tokens of a cache stand beside the other input, not inside it."""
        prompt = self._prompt or 0
        read = min(self._cached or 0, prompt)  # Azure has been seen to tell more than the whole prompt
        written = min(self._written or 0, prompt - read)
        usage = Usage(
            input_tokens=prompt - read - written,
            cache_creation_input_tokens=written,
            cache_read_input_tokens=read,
            output_tokens=self._output(),
        )
        if self._written_1h is not None:
            longer = min(self._written_1h, written)
            usage.cache_creation = CacheCreation(written - longer, longer)
        if self._reasoning is not None:
            usage.output_tokens_details = OutputDetails(self._reasoning)
        return usage

    def _output(self) -> int:
        """xAI, and Grok on Azure, leave reasoning out of the completion and add it to the total only."""
        completion, reasoning = self._completion, self._reasoning or 0
        if self._prompt is None or self._total is None:
            return completion or 0
        if completion is None:
            return max(0, self._total - self._prompt)
        adds_up = self._total == self._prompt + completion + reasoning
        return completion + reasoning if adds_up else completion


def _inner(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = usage.get(name)
    return inner if isinstance(inner, Mapping) else {}
