"""A whole answer told as server-sent events, the way OpenAI streams it."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

import msgspec

from tollway.simulation.answers import pieces
from tollway.simulation.completion import (
    Choice,
    Chunk,
    ChunkChoice,
    Completion,
    Delta,
    FunctionDelta,
    Logprobs,
    ToolCall,
    ToolCallDelta,
    Usage,
)

Item = TypeVar("Item")

DONE = b"data: [DONE]\n\n"


class Streamed(msgspec.Struct, frozen=True):
    """A stream in its three parts: ``opening`` has the roles, ``deltas`` the content, ``closing`` the rest.

    ``deltas`` is made as it's read.
    """

    opening: list[bytes]
    deltas: Iterator[bytes]
    closing: list[bytes]


def streamed(completion: Completion, parts: int | None, usage_wanted: bool) -> Streamed:
    """``completion`` as events: role chunk, deltas and finish chunk of each choice, usage if wanted, ``[DONE]``.

    ``parts`` is the number of deltas a text is told in, ``None`` for one a word. With log probabilities a delta
    never splits a word, and a text of fewer words has fewer deltas. Choices alternate, as if generated at once.
    """
    frame = _Frames(completion, usage_wanted)
    told = [_deltas(choice, parts) for choice in completion.choices]
    opening = [frame.of(ChunkChoice(choice.index, _first(choice))) for choice in completion.choices]
    deltas = (frame.of(chunk) for turn in zip_longest(*told) for chunk in turn if chunk is not None)
    closing = [
        frame.of(ChunkChoice(choice.index, Delta(), finish_reason=choice.finish_reason))
        for choice in completion.choices
    ]
    if usage_wanted:
        closing.append(frame.last(completion.usage))
    return Streamed(opening, deltas, [*closing, DONE])


def failed(completion: Completion, error: bytes, usage_wanted: bool) -> list[bytes]:
    """The end of a stream that breaks: a bare error event, zeros for usage and ``[DONE]``, as OpenAI sends them."""
    zeros = [_Frames(completion, usage_wanted).last(Usage(0, 0, 0))] if usage_wanted else []
    return [event(error), *zeros, DONE]


def event(payload: bytes) -> bytes:
    """``payload`` as a server-sent event."""
    return b"data: " + payload + b"\n\n"


class _Frames:
    """What all chunks of a stream have in common."""

    def __init__(self, completion: Completion, usage_wanted: bool) -> None:
        self._completion = completion
        self._no_usage = None if usage_wanted else msgspec.UNSET

    def of(self, choice: ChunkChoice) -> bytes:
        return self._event([choice], self._no_usage)

    def last(self, usage: Usage) -> bytes:
        return self._event([], usage)

    def _event(self, choices: list[ChunkChoice], usage: Usage | msgspec.UnsetType | None) -> bytes:
        whole = self._completion
        chunk = Chunk(id=whole.id, created=whole.created, model=whole.model, choices=choices, usage=usage)
        return event(msgspec.json.encode(chunk))


def _first(choice: Choice) -> Delta:
    return Delta(role="assistant", content="" if choice.message.content is not None else None, refusal=None)


def _deltas(choice: Choice, parts: int | None) -> list[ChunkChoice]:
    if choice.message.tool_calls is not msgspec.UNSET:
        return [
            ChunkChoice(choice.index, Delta(tool_calls=[delta]))
            for index, call in enumerate(choice.message.tool_calls)
            for delta in _call_deltas(index, call, parts)
        ]
    text = choice.message.content or ""
    if choice.logprobs is None:
        return [ChunkChoice(choice.index, Delta(content=part)) for part in _divided(text, parts)]
    entries = choice.logprobs.content
    return [
        ChunkChoice(choice.index, Delta(content="".join(entry.token for entry in group)), Logprobs(list(group)))
        for group in _groups(entries, parts)
    ]


def _call_deltas(index: int, call: ToolCall, parts: int | None) -> Iterator[ToolCallDelta]:
    named = FunctionDelta(name=call.function.name, arguments="")
    yield ToolCallDelta(index=index, id=call.id, type="function", function=named)
    for part in _divided(call.function.arguments, parts):
        yield ToolCallDelta(index=index, function=FunctionDelta(arguments=part))


def _divided(text: str, parts: int | None) -> list[str]:
    words = pieces(text)
    finer = list(text) if parts is not None and parts > len(words) else words
    return ["".join(group) for group in _groups(finer, parts)]


def _groups(items: Sequence[Item], parts: int | None) -> Iterator[Sequence[Item]]:
    """``items`` in ``parts`` groups of even size, or one by one."""
    count = min(len(items), parts or len(items))
    for part in range(count):
        yield items[part * len(items) // count : (part + 1) * len(items) // count]
