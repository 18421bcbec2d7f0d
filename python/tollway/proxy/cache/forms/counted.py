"""The tokens of an answer in the words of each dialect, for streams that did not tell them."""

from typing import Protocol

from tollway.wire import anthropic_messages, openai_chat, openai_responses


class Counted(Protocol):
    """What settlement knows of a call's tokens (``proxy/usage/used.py``): ``cached``, ``cache_write`` and
    ``cache_write_1h`` are inside ``prompt``, ``reasoning`` is inside ``completion``.
    """

    @property
    def prompt(self) -> int:
        """All input."""
        ...

    @property
    def completion(self) -> int:
        """All output."""
        ...

    @property
    def cached(self) -> int:
        """Read from a provider's cache."""
        ...

    @property
    def cache_write(self) -> int:
        """Written to one."""
        ...

    @property
    def cache_write_1h(self) -> int:
        """Of those, for an hour."""
        ...

    @property
    def reasoning(self) -> int:
        """Thought."""
        ...


def of_chat(counted: Counted) -> openai_chat.Usage:
    """As chat and completions tell it; what was written to a cache, only where something was."""
    prompt = openai_chat.PromptDetails(cached_tokens=counted.cached)
    if counted.cache_write:
        prompt.cache_write_tokens = counted.cache_write
    if counted.cache_write_1h:
        prompt.cache_write_1h_tokens = counted.cache_write_1h
    return openai_chat.Usage(
        prompt_tokens=counted.prompt,
        completion_tokens=counted.completion,
        total_tokens=counted.prompt + counted.completion,
        prompt_tokens_details=prompt,
        completion_tokens_details=openai_chat.CompletionDetails(reasoning_tokens=counted.reasoning),
    )


def of_messages(counted: Counted) -> anthropic_messages.Usage:
    """As Anthropic tells it: what a cache had is beside the input, not inside it."""
    usage = anthropic_messages.Usage(
        input_tokens=max(0, counted.prompt - counted.cached - counted.cache_write),
        cache_creation_input_tokens=counted.cache_write,
        cache_read_input_tokens=counted.cached,
        output_tokens=counted.completion,
    )
    if counted.cache_write_1h:
        written_5m = max(0, counted.cache_write - counted.cache_write_1h)
        usage.cache_creation = anthropic_messages.CacheCreation(written_5m, counted.cache_write_1h)
    if counted.reasoning:
        usage.output_tokens_details = anthropic_messages.OutputDetails(counted.reasoning)
    return usage


def of_responses(counted: Counted) -> openai_responses.Usage:
    """As OpenAI's Responses tell it."""
    return openai_responses.Usage(
        input_tokens=counted.prompt,
        input_tokens_details=openai_responses.InputDetails(
            cached_tokens=counted.cached, cache_write_tokens=counted.cache_write
        ),
        output_tokens=counted.completion,
        output_tokens_details=openai_responses.OutputDetails(reasoning_tokens=counted.reasoning),
        total_tokens=counted.prompt + counted.completion,
    )
