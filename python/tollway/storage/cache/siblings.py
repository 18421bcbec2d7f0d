"""Answers that the workers of one host tell each other of, where there is no Redis: each has all of them, bodies too.

In: what this worker fills and removes. Out: what the others have filled and removed, and when this one starts, all that
one of them has. Nothing here raises, and nobody waits but who removes, for a second at most.
"""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tollway.contract.cache import CacheSpace, Selection
from tollway.storage.cache.forgotten import Forgotten, Kept
from tollway.storage.cache.posts import Posts
from tollway.telemetry.logs import Log

A = TypeVar("A", bound=Kept)

ENTRY_BYTES = 64 * 1024
"""Room for an answer without its body, and for what stands around it."""


class _Fill(msgspec.Struct, frozen=True, array_like=True):
    begun_ns: int
    answer: bytes
    body: bytes


class _Given(msgspec.Struct, frozen=True, array_like=True):
    answer: bytes
    body: bytes


class SiblingAnswers(Generic[A]):
    """One worker's part: the one of that ``index``, whose socket lies in ``directory``.

    ``filled`` and ``removed`` are called on the event loop and must be quick; ``give`` yields all that this worker has;
    ``decode`` raises ValueError.
    """

    holds_bodies = False

    def __init__(
        self,
        directory: Path,
        index: int,
        space: CacheSpace,
        forgotten: Forgotten,
        decode: Callable[[bytes], A],
        filled: Callable[[A, bytes], None],
        removed: Callable[[Selection], None],
        give: Callable[[], AsyncGenerator[tuple[A, bytes], None]],
        log: Log,
    ) -> None:
        self._forgotten = forgotten
        self._decode = decode
        self._filled = filled
        self._removed = removed
        self._give_all = give
        self._most_bytes = space.max_answer_bytes
        self._fills = msgspec.msgpack.Decoder(_Fill)
        self._gifts = msgspec.msgpack.Decoder(_Given)
        self._notices = msgspec.msgpack.Decoder(Selection)
        self._posts = Posts(
            directory,
            index,
            post=self._hear_fill,
            notice=self._hear_removal,
            given=self._hear_gift,
            give=self._give,
            instead=msgspec.msgpack.encode(Selection()),
            most_bytes=self._most_bytes + ENTRY_BYTES,
            log=log,
        )

    @property
    def connected(self) -> int:
        """How many other workers are told now."""
        return self._posts.connected

    def fill(self, answer: A, body: bytes, begun_ns: int) -> None:
        """Tells others of it; never waits, and drops what there is no room to tell. Its call began at ``begun_ns``."""
        payload = msgspec.msgpack.encode(_Fill(begun_ns, msgspec.msgpack.encode(answer), body))
        if self._fits(payload):
            self._posts.post(payload)

    async def body(self, answer: A) -> bytes | None:
        """There are none but those that each worker has."""
        return None

    def evicted(self, answers: Sequence[A]) -> None:
        """Nobody else minds."""

    async def remove(self, selection: Selection, removed: Sequence[A]) -> bool:
        """Tells others to forget; whether all have that live."""
        return await self._posts.notice(msgspec.msgpack.encode(selection))

    async def run(self) -> None:
        """Tells and hears, for ever; ends when it is cancelled, with nothing left open."""
        await self._posts.run()

    def _hear_fill(self, payload: bytes) -> None:
        fill = self._fills.decode(payload)
        answer = self._decode(fill.answer)
        if not self._forgotten.since(answer, fill.begun_ns):
            self._filled(answer, fill.body)

    def _hear_gift(self, payload: bytes) -> None:
        """When its call began is not known any more, but the time of day is; on one host all have the same."""
        gift = self._gifts.decode(payload)
        answer = self._decode(gift.answer)
        if not self._forgotten.dated(answer, 0):
            self._filled(answer, gift.body)

    def _hear_removal(self, payload: bytes) -> None:
        selection = self._notices.decode(payload)
        self._forgotten.note(selection, at_ms=time.time_ns() // 1_000_000)
        self._removed(selection)

    async def _give(self) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._give_all()) as known:
            async for answer, body in known:
                payload = msgspec.msgpack.encode(_Given(msgspec.msgpack.encode(answer), body))
                if self._fits(payload):
                    yield payload

    def _fits(self, payload: bytes) -> bool:
        """What does not is no answer that anybody keeps."""
        return len(payload) <= self._most_bytes + ENTRY_BYTES
