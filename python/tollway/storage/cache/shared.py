"""Answers that hosts share over one Redis: bodies lie there, and what there is to know of them reaches every worker.

In: what this worker fills and removes. Out: what others have filled and removed, and bodies. Nothing here raises, and
nothing waits for longer than is said: while Redis is away every body is missing, and all comes back by itself.

What Redis holds of it: for each answer one value, until it expires (30 days at most), and one record (a question
and its vectors: seldom above 2 KiB) in a stream of about ``max_entries``; for each tenant of whose answers some were
removed of late a value of at most 4 KiB. A worker whose shelf runs over its bounds deletes the bodies of what it puts
away for its own fills, so that about as much lies in Redis as one shelf may know of.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from redis.asyncio import Redis

from tollway.contract.cache import CacheSpace, Selection
from tollway.storage.cache.forgotten import Forgotten, Kept
from tollway.storage.cache.listening import LISTENING_S, Listener, open_answer
from tollway.storage.cache.reading import COMMAND_S, GONE, PATIENCE_S, Reader
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.standing import Standing
from tollway.storage.cache.sweeping import Sweeper
from tollway.storage.cache.telling import Teller
from tollway.storage.cache.trimming import Trimmer
from tollway.storage.commands import first_of
from tollway.storage.redis import open_pool
from tollway.telemetry.logs import Log

A = TypeVar("A", bound=Kept)


class SharedAnswers(Generic[A]):
    """One worker's part. ``filled``, ``removed`` and ``gone`` are called on the event loop and must be quick: an answer
    is new, some are to be forgotten, the body of one is not there and won't be.

    Raises:
        ValueError: ``url`` is none that could be used; the text does not repeat it.
    """

    holds_bodies = True

    def __init__(
        self,
        url: str,
        space: CacheSpace,
        sealing: Sealing,
        forgotten: Forgotten,
        decode: Callable[[bytes], A],
        filled: Callable[[A], None],
        removed: Callable[[Selection], None],
        gone: Callable[[A], None],
        log: Log,
    ) -> None:
        self._asking = open_pool(url, patience_s=2 * COMMAND_S, most=8)
        self._listening = open_pool(url, patience_s=LISTENING_S, most=1)
        asking, origin = Redis(connection_pool=self._asking), os.urandom(8)
        self._standing = Standing(log)
        self._gone = gone
        listening = Redis(connection_pool=self._listening)
        self._listener = Listener(listening, sealing, self._standing, forgotten, origin, decode, filled, removed)
        self._trimmer = Trimmer(asking, sealing, decode)
        self._sweeper = Sweeper(asking, partial(open_answer, sealing, decode))
        self._reader = Reader(asking, sealing, self._standing, space.max_answer_bytes)
        self._teller: Teller[A] = Teller(asking, sealing, self._standing, self._sweeper, origin, space.max_entries, log)

    @property
    def connected(self) -> bool:
        """Whether Redis answers now, as far as the last question can tell."""
        return not self._standing.is_away

    def fill(self, answer: A, body: bytes, begun_ns: int) -> None:
        """Tells others of it; never waits, and drops what there is no room to tell. Its call began at ``begun_ns``."""
        self._teller.fill(answer, body, begun_ns)

    async def body(self, answer: A) -> bytes | None:
        """The body; ``None`` when it is gone or can't be had in time."""
        if self._standing.is_away:
            return None
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._teller.written(answer.key)
        except TimeoutError:
            return None
        read = await self._reader.read(answer)
        if read is GONE:
            self._gone(answer)
            return None
        return read

    def evicted(self, answers: Sequence[A]) -> None:
        """These were put away to make room for a fill of this worker's."""
        self._teller.evicted(answers)

    async def remove(self, selection: Selection, removed: Sequence[A]) -> bool:
        """Tells others to forget; whether nobody can serve them any more when this returns. ``removed`` are those that
        were known of here."""
        return await self._teller.remove(selection, removed) is not None

    async def run(self) -> None:
        """Tells and hears, for ever; ends when it is cancelled, with nothing left open."""
        try:
            await first_of(
                self._listener.run(),
                self._trimmer.run(),
                self._reader.run(),
                self._teller.run(),
                self._sweeper.run(),
            )
        finally:
            self._standing.is_away = True
            await self._asking.disconnect()
            await self._listening.disconnect()
