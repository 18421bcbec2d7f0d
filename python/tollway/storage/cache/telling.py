"""What a worker fills and removes is told to Redis: fills from a queue, many at a time; a removal at once.

In: answers with their bodies, removals. Out: for each fill a value and a record of the stream; for each removal a
number. Nobody waits for a fill, and what there is no room for, or no Redis, is not told: somebody fills it again. A
removal that Redis did not hear is told again when it answers.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec
from redis.asyncio import Redis

from tollway.contract.cache import Selection
from tollway.storage.cache.forgotten import Kept
from tollway.storage.cache.marks import (
    LONGEST_MS,
    NUMBERS,
    REMOVE,
    STREAM,
    Mark,
    body_key,
    is_whole,
    removed_key,
)
from tollway.storage.cache.reading import REMOVED_ABOUT, Sealed
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.standing import Standing
from tollway.storage.cache.sweeping import Sweeper
from tollway.storage.commands import Command
from tollway.storage.redis import FAILED
from tollway.telemetry.logs import Log

A = TypeVar("A", bound=Kept)

PATIENCE_S = 1.0
MOST_WAITING = 1_000
MOST_WAITING_BYTES = 16 * 2**20
MOST_UNTOLD = 100
"""Removals that Redis did not hear. Beyond so many they become one of everything."""

_MOST_AT_ONCE = 32
_MOST_BYTES_AT_ONCE = 2**20
_MOST_EVICTED = 10_000
_RETRY_S = 0.5
_TOLD_EVERY_S = 60.0


class _Fill(NamedTuple, Generic[A]):
    answer: A
    body: bytes
    mark: Mark
    written: asyncio.Event


class Teller(Generic[A]):
    """One worker's. ``origin`` names it in the stream, whose length is ``most_entries``."""

    def __init__(
        self,
        client: Redis,
        sealing: Sealing,
        standing: Standing,
        sweeper: Sweeper,
        origin: bytes,
        most_entries: int,
        log: Log,
    ) -> None:
        self._client = client
        self._sealing = sealing
        self._standing = standing
        self._sweeper = sweeper
        self._origin = origin
        self._most_entries = most_entries
        self._log = log
        self._fills: deque[_Fill[A]] = deque()
        self._fills_bytes = 0
        self._unwritten: dict[bytes, asyncio.Event] = {}
        self._evicted: deque[str] = deque(maxlen=_MOST_EVICTED)
        self._untold: deque[Selection] = deque()
        self._stirred = asyncio.Event()
        self._turn = asyncio.Lock()
        self._lost = 0
        self._lost_told_s = -_TOLD_EVERY_S

    def fill(self, answer: A, body: bytes, begun_ns: int) -> None:
        """Tells of it before long, if there is room; its call began at ``begun_ns``."""
        mark = self._standing.mark(begun_ns)
        is_full = len(self._fills) >= MOST_WAITING or self._fills_bytes + len(body) > MOST_WAITING_BYTES
        if mark is None or is_full or self._standing.is_away or not self._sealing.ready:
            self._lose(1)
            return
        fill = _Fill(answer, body, mark, asyncio.Event())
        self._fills.append(fill)
        self._fills_bytes += len(body)
        self._unwritten[answer.key] = fill.written
        self._stirred.set()

    async def written(self, key: bytes) -> None:
        """Returns when nothing of that key waits to be told."""
        while (waiting := self._unwritten.get(key)) is not None:
            await waiting.wait()

    def evicted(self, answers: Sequence[A]) -> None:
        """Their bodies need not lie there any longer."""
        self._evicted.extend(body_key(answer.tenant_id, answer.key) for answer in answers)

    async def remove(self, selection: Selection, removed: Sequence[A]) -> int | None:
        """Its number: from now on nobody is served what it means. ``None``: Redis has not answered, and is told again
        later. The bodies of ``removed``, which are those that are known of, are deleted in the background."""
        number = await self._remove(selection, self._origin, removed)
        if number is None:
            self._untold.append(selection)
            if len(self._untold) > MOST_UNTOLD:
                self._untold.clear()
                self._untold.append(Selection())
            self._stirred.set()
        return number

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        while True:
            try:
                async with asyncio.timeout(_RETRY_S if self._untold else None):
                    await self._stirred.wait()
            except TimeoutError:
                await self._tell_removals()
            self._stirred.clear()
            while self._fills:
                await self._tell(self._batch())

    def _batch(self) -> list[_Fill[A]]:
        batch: list[_Fill[A]] = []
        room_bytes = _MOST_BYTES_AT_ONCE
        while self._fills and len(batch) < _MOST_AT_ONCE and room_bytes > 0:
            batch.append(self._fills.popleft())
            room_bytes -= len(batch[-1].body)
            self._fills_bytes -= len(batch[-1].body)
        return batch

    async def _tell(self, batch: list[_Fill[A]]) -> None:
        try:
            commands = [command for fill in batch for command in await self._commands(fill)]
            gone = [self._evicted.popleft() for _ in range(min(len(self._evicted), 8 * _MOST_AT_ONCE))]
            if gone:
                commands.append(("UNLINK", *gone))
            async with asyncio.timeout(PATIENCE_S), self._client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                await pipeline.execute()
        except FAILED:
            self._lose(len(batch))
            await asyncio.sleep(_RETRY_S)  # what comes meanwhile waits, then has no room
        finally:
            for fill in batch:
                fill.written.set()
                if self._unwritten.get(fill.answer.key) is fill.written:
                    del self._unwritten[fill.answer.key]

    async def _commands(self, fill: _Fill[A]) -> tuple[Command, ...]:
        answer, mark = fill.answer, fill.mark.packed()
        lasts_ms = min(answer.expires_at_ms - time.time_ns() // 1_000_000, LONGEST_MS)
        plain = msgspec.msgpack.encode(
            Sealed(answer.key, answer.tenant_id, answer.key_id, answer.model, answer.filled_at_ms, fill.body)
        )
        body = await self._sealing.sealed(answer.tenant_id, mark + answer.key, plain)
        entry = await self._sealing.sealed(None, mark, msgspec.msgpack.encode(answer))
        if body is None or entry is None or lasts_ms <= 0:
            return ()
        told = ("XADD", STREAM, "MAXLEN", "~", self._most_entries, "*")
        return (
            ("SET", body_key(answer.tenant_id, answer.key), mark + body, "PX", lasts_ms),
            (*told, "mark", mark, "by", self._origin, "entry", entry),
        )

    async def _remove(self, selection: Selection, origin: bytes, removed: Sequence[A]) -> int | None:
        sealed = self._sealing.seal(None, REMOVED_ABOUT, msgspec.msgpack.encode(selection))
        if sealed is None:
            return None
        keys = (removed_key(selection.tenant_id), NUMBERS, STREAM)
        try:
            async with asyncio.timeout(PATIENCE_S), self._turn:
                told = await self._client.execute_command(  # type: ignore[no-untyped-call]
                    "EVAL", REMOVE, len(keys), *keys, sealed, int(is_whole(selection)), self._most_entries, origin
                )
        except FAILED:
            return None
        number, at = told if isinstance(told, list) and len(told) == 2 else (None, None)
        if not isinstance(number, int) or not isinstance(at, bytes):
            return None
        self._standing.learn(self._standing.memory, number)  # what begins from now on knows of it
        self._sweeper.sweep(selection, number, at, removed)
        return number

    async def _tell_removals(self) -> None:
        """Nobody's, so that this worker hears them too: it may have heard of such answers meanwhile."""
        while self._untold and await self._remove(self._untold[0], b"", ()) is not None:
            self._untold.popleft()

    def _lose(self, fills: int) -> None:
        self._lost += fills
        now_s = time.monotonic()
        if now_s - self._lost_told_s >= _TOLD_EVERY_S and not self._standing.is_away:
            self._log.warning("cache_fills_lost", fills=self._lost)
            self._lost, self._lost_told_s = 0, now_s
