"""Events at the pace at which a model would say them."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import msgspec

BYTES_PER_TOKEN = 4
"""About so much UTF-8 is a token: the mean of English text with the vocabularies of today."""

JOINED_BYTES = 64 * 1024
"""Events that leave at once are joined up to this."""

_SAYING = frozenset("content refusal reasoning_content reasoning text thinking partial_json arguments input".split())
"""Under these names a piece says something: chat's, completions', Messages'. Responses' deltas are plain texts."""

_DATA = b"data: "


async def paced(events: Sequence[bytes], tokens_per_s: float | None) -> AsyncIterator[bytes]:
    """Yields events, some of them joined; each when its last token would have been said since the first was asked for.

    The clock is the event loop's. A late piece delays no other: what has become due meanwhile comes with it. ``None``:
    at once, in few pieces.
    """
    if tokens_per_s is None:
        for piece in _joined(events):
            yield piece
        return
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    ready: list[bytes] = []
    for event in events:
        due_s += _said_bytes(event) / BYTES_PER_TOKEN / tokens_per_s
        if ready and due_s > loop.time():
            yield b"".join(ready)
            ready = []
        if due_s > loop.time():
            await asyncio.sleep(due_s - loop.time())
        ready.append(event)
    if ready:
        yield b"".join(ready)


def _joined(events: Sequence[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    held_bytes = 0
    for event in events:
        if held and held_bytes + len(event) > JOINED_BYTES:
            yield b"".join(held)
            held, held_bytes = [], 0
        held.append(event)
        held_bytes += len(event)
    if held:
        yield b"".join(held)


def _said_bytes(event: bytes) -> int:
    """How much an event adds to what was said, in UTF-8; what it repeats of it is nothing new."""
    payload = event[event.find(_DATA) + len(_DATA) :]
    try:
        told = msgspec.json.decode(payload)
    except (ValueError, RecursionError):  # ``[DONE]``
        return 0
    if not isinstance(told, dict):
        return 0
    delta = told.get("delta")
    return len(delta.encode()) if isinstance(delta, str) else _inner_bytes(delta) + _inner_bytes(told.get("choices"))


def _inner_bytes(told: Any) -> int:
    if isinstance(told, list):
        return sum(_inner_bytes(each) for each in told)
    if not isinstance(told, dict):
        return 0
    return sum(
        (len(value.encode()) if name in _SAYING else 0) if isinstance(value, str) else _inner_bytes(value)
        for name, value in told.items()
        if name != "logprobs"
    )
