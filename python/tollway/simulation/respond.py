"""The simulator inside the gateway: a request's bytes in, an answer's status, headers and bytes out. No network.

Never blocks the loop: what may take more than a millisecond is read, counted and answered in a thread.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

import msgspec

from tollway.simulation.answers import answer
from tollway.simulation.behaviour import Behaviour
from tollway.simulation.completion import Completion
from tollway.simulation.refusals import Refusal, of_status
from tollway.simulation.requests import ChatRequest, read
from tollway.simulation.streaming import failed, streamed

_LIGHT_BYTES = 12 * 1024  # counting tokens takes 80 µs a KB
_LIGHT_CHOICES = 8


class ConnectionCut(ConnectionError):
    """The provider dropped the connection in the middle of its answer."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """A provider's answer: ``chunks`` yields the body once (an event at a time for a stream).

    Iterating may raise :class:`ConnectionCut`, and never end where a hang was asked for.
    """

    status: int
    headers: list[tuple[str, str]]
    chunks: AsyncIterator[bytes]


async def respond(body: bytes, behaviour: Behaviour) -> Simulated:
    """What the provider answers to ``POST /v1/chat/completions`` with ``body``.

    Returns when the head of the answer would arrive, so after ``delay_s``, and never for a hang; the caller's
    timeouts end it by cancelling.
    """
    began = time.monotonic()
    try:
        is_short = len(body) <= _LIGHT_BYTES
        request = read(body) if is_short else await asyncio.to_thread(read, body)
        behaviour = behaviour.for_request(request.model, request.metadata)
        if behaviour.delay_s:
            await asyncio.sleep(behaviour.delay_s)
        if behaviour.hang or (behaviour.hang_after is not None and not request.stream):
            await asyncio.Event().wait()
        status = _failure(behaviour, bool(request.stream))
        if status is not None:
            raise of_status(status)
        now_s = int(time.time())
        is_light = is_short and _is_light(request)
        completion = answer(request, now_s) if is_light else await asyncio.to_thread(answer, request, now_s)
    except Refusal as refusal:
        retry = [("retry-after", "1")] if refusal.status in (429, 503) else []
        return Simulated(refusal.status, _headers("application/json", began) + retry, _each([refusal.body]))
    if request.stream:
        headers = _headers("text/event-stream; charset=utf-8", began)
        return Simulated(200, headers, _stream(request, completion, behaviour))
    whole = _whole(msgspec.json.encode(completion), behaviour)
    return Simulated(200, _headers("application/json", began), whole)


def _is_light(request: ChatRequest) -> bool:
    """Whether the answer is made in well under a millisecond: not so for values made from a client's schema."""
    form = request.response_format
    return not request.tools and (form is None or form.json_schema is None) and (request.n or 1) <= _LIGHT_CHOICES


def _failure(behaviour: Behaviour, is_stream: bool) -> int | None:
    """The status to fail with, if this call is to fail."""
    if behaviour.status is not None:
        return behaviour.status
    if behaviour.error_after is not None and not is_stream:
        return 500
    unlucky = behaviour.fail_rate > 0 and random.random() < behaviour.fail_rate  # noqa: S311 - dice, no secret
    return behaviour.fail_status if unlucky else None


def _headers(content_type: str, began: float) -> list[tuple[str, str]]:
    return [
        ("content-type", content_type),
        ("x-request-id", f"req_{uuid4().hex}"),
        ("openai-version", "2020-10-01"),
        ("openai-processing-ms", str(int((time.monotonic() - began) * 1000))),
    ]


async def _each(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _whole(body: bytes, behaviour: Behaviour) -> AsyncIterator[bytes]:
    if behaviour.cut_after is None:
        yield body
        return
    yield body[: len(body) // 2]
    raise ConnectionCut("the simulator was told to drop the connection")


async def _stream(request: ChatRequest, completion: Completion, behaviour: Behaviour) -> AsyncIterator[bytes]:
    stream = streamed(completion, behaviour.chunks, request.usage_wanted)
    end = _Ending.of(behaviour)
    for chunk in stream.opening:
        yield chunk
    for sent, delta in enumerate(stream.deltas):
        if sent == end.after:
            break
        if sent and behaviour.gap_s:
            await asyncio.sleep(behaviour.gap_s)
        yield delta
    closing = stream.closing
    match end.way:
        case "hang":
            await asyncio.Event().wait()
        case "cut":
            raise ConnectionCut("the simulator was told to drop the connection")
        case "error":
            closing = failed(completion, of_status(500).body, request.usage_wanted)
    for chunk in closing:
        yield chunk


class _Ending(NamedTuple):
    """How a stream ends, and after how many deltas; the first of several that were asked for."""

    after: int | None
    way: str

    @classmethod
    def of(cls, behaviour: Behaviour) -> "_Ending":
        asked = {"hang": behaviour.hang_after, "cut": behaviour.cut_after, "error": behaviour.error_after}
        endings = [cls(after, way) for way, after in asked.items() if after is not None]
        return min(endings, default=cls(None, "whole"), key=lambda ending: ending.after or 0)
