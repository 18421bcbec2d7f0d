"""What external checks need of the world: somebody who sends a question, and somebody who asks one of our models."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

ANSWER_BYTES_MAX = 1024 * 1024
"""A longer answer is none."""

INLINE_BYTES = 64 * 1024
"""More than this is written, signed and read in a thread: the event loop may not be held for 2 ms."""

Answer = tuple[int, bytes]
"""A status and a body."""

_T = TypeVar("_T")


class Unanswered(Exception):
    """Nothing was answered that can be used. ``cause`` goes into logs: a word of ours or a status, never what was asked
    or answered."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Asker(Protocol):
    """Asks over HTTP."""

    async def ask(self, url: str, headers: Sequence[tuple[str, str]], body: bytes, limit_bytes: int) -> Answer:
        """Sends ``body`` by POST; what the server says. A redirect is an answer like any other: nobody follows it.

        Raises:
            tollway.errors.UpstreamError: it can't be reached, does not speak HTTP, breaks off, or says more than
                ``limit_bytes``.
        """
        ...


class Moderator(Protocol):
    """Asks a model of ours for moderations."""

    async def moderate(self, model: str, body: bytes, limit_bytes: int) -> Answer:
        """What the first target of the alias ``model`` says that says anything, to ``body`` (OpenAI's request of
        /v1/moderations, without a model).

        Raises:
            tollway.errors.UpstreamError: none of them does, or it says more than ``limit_bytes``.
        """
        ...


async def written(question: Mapping[str, object], texts: Sequence[str]) -> bytes:
    """A question as JSON; it holds ``texts``."""
    if sum(map(len, texts)) <= INLINE_BYTES:
        return msgspec.json.encode(question)
    return await asyncio.to_thread(msgspec.json.encode, question)


async def read(answer: Answer, kind: type[_T]) -> _T:
    """An answer as what it should be.

    Raises:
        Unanswered: its status is not 2xx, or it is something else.
    """
    status, body = answer
    if not 200 <= status < 300:
        raise Unanswered(f"status {status}")
    try:
        if len(body) <= INLINE_BYTES:
            return msgspec.json.decode(body, type=kind)
        return await asyncio.to_thread(msgspec.json.decode, body, type=kind)
    except (ValueError, RecursionError):  # what msgspec raises, also of bytes that are no UTF-8, is a ValueError
        raise Unanswered("bad answer") from None
