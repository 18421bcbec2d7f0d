"""Bodies of answers are read from Redis: as many as are wanted at a time in one command, each judged by what was
removed.

In: answers that somebody wants. Out: their bodies, ``GONE``, or nothing where Redis does not say in time. One command
is under way at a time; what is wanted meanwhile goes with the next.
"""

import asyncio
from collections import deque
from enum import Enum
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tollway.contract.cache import Selection
from tollway.storage.cache.forgotten import Kept, selects
from tollway.storage.cache.marks import (
    MARK_BYTES,
    NONE_REMOVED,
    Mark,
    body_key,
    read_removals,
    removed_key,
    unpacked,
)
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.standing import Standing
from tollway.storage.commands import MEMORY
from tollway.storage.redis import FAILED

PATIENCE_S = 0.1
"""A body that takes longer is none."""

COMMAND_S = 0.5
"""For so long a command is waited for, though those who wanted it are gone. Then Redis counts as away, and nobody waits
for it any more until it is heard of again."""

MOST_WANTED = 1_000
_MOST_AT_ONCE = 32
_MOST_BYTES_AT_ONCE = 2**20
_MOST_KNOWN = 256
_SELECTION_BYTES = 4_096

REMOVED_ABOUT = b"removed"
"""What selections are sealed about."""


class _Gone(Enum):
    GONE = "gone"


GONE: Final = _Gone.GONE
"""It is not there, or was removed: nobody will have it again."""

Read: TypeAlias = bytes | Literal[_Gone.GONE] | None


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A body, with what a selection may ask of the call that filled it: another answer may lie there by now than the
    one that is known here."""

    key: bytes
    tenant_id: str
    key_id: str
    model: str
    filled_at_ms: int
    body: bytes


class _Removed(NamedTuple):
    all_below: int
    some: tuple[tuple[int, Selection], ...]


class _Raw(NamedTuple):
    value: bytes
    memory: bytes
    removed: bytes | None
    removed_of_tenant: bytes | None


class _Wanted(NamedTuple):
    tenant_id: str
    key: bytes
    body_bytes: int
    told: "asyncio.Future[_Raw | Literal[_Gone.GONE] | None]"


class Reader:
    """Reads by ``client``; bodies are of ``most_bytes`` at most."""

    def __init__(self, client: Redis, sealing: Sealing, standing: Standing, most_bytes: int) -> None:
        self._client = client
        self._sealing = sealing
        self._standing = standing
        self._most_bytes = most_bytes
        self._wanted: deque[_Wanted] = deque()
        self._stirred = asyncio.Event()
        self._known: dict[bytes, _Removed] = {}
        self._decoder = msgspec.msgpack.Decoder(Sealed)

    async def read(self, answer: Kept) -> Read:
        """Its body, within :data:`PATIENCE_S`."""
        if self._standing.is_away or len(self._wanted) >= MOST_WANTED:
            return None
        told = asyncio.get_running_loop().create_future()
        wanted = _Wanted(answer.tenant_id, answer.key, answer.body_bytes, told)
        self._wanted.append(wanted)
        self._stirred.set()
        try:
            async with asyncio.timeout(PATIENCE_S):
                raw = await wanted.told
        except TimeoutError:
            return None
        return await self._judged(answer, raw) if isinstance(raw, _Raw) else raw

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while self._wanted:
                await self._ask(self._batch())

    def _batch(self) -> list[_Wanted]:
        batch: list[_Wanted] = []
        room_bytes = _MOST_BYTES_AT_ONCE
        while self._wanted and len(batch) < _MOST_AT_ONCE and room_bytes > 0:
            wanted = self._wanted.popleft()
            if not wanted.told.done():
                room_bytes -= wanted.body_bytes
                batch.append(wanted)
        return batch

    async def _ask(self, batch: list[_Wanted]) -> None:
        keys: list[str] = [MEMORY, removed_key(None)]
        for wanted in batch:
            keys += (removed_key(wanted.tenant_id), body_key(wanted.tenant_id, wanted.key))
        told: list[_Raw | Literal[_Gone.GONE] | None] = [None] * len(batch)
        try:
            if batch:
                async with asyncio.timeout(COMMAND_S):
                    values = await self._client.execute_command("MGET", *keys)  # type: ignore[no-untyped-call]
                told = _split(values, len(batch))
        except FAILED as error:
            self._standing.failed(error)
        finally:
            for wanted, raw in zip(batch, told, strict=True):
                if not wanted.told.done():
                    wanted.told.set_result(raw)

    async def _judged(self, answer: Kept, raw: _Raw) -> Read:
        try:
            digest, number = unpacked(raw.value[:MARK_BYTES])
            shared, own = self._removed(raw.removed), self._removed(raw.removed_of_tenant)
            if digest != Mark(raw.memory, 0).digest or number < max(shared.all_below, own.all_below):
                return GONE
            about = raw.value[:MARK_BYTES] + answer.key
            room = self._most_bytes + _SELECTION_BYTES
            plain = await self._sealing.opened(answer.tenant_id, about, raw.value[MARK_BYTES:], room)
            if plain is None:
                return GONE if self._sealing.ready else None
            found = self._decoder.decode(plain)
        except (ValueError, RecursionError):  # msgspec's own is a ValueError
            return GONE
        later = (selection for at, selection in (*shared.some, *own.some) if at > number)
        return GONE if any(selects(selection, found) for selection in later) else found.body

    def _removed(self, value: bytes | None) -> _Removed:
        """Each value is read once: it says the same until there is another removal.

        Raises:
            ValueError: it is no such value.
        """
        if value is None:
            return _Removed(0, ())
        known = self._known.get(value)
        if known is None:
            read = read_removals(value) if value else NONE_REMOVED
            some = tuple((number, open_selection(self._sealing, sealed)) for number, sealed in read.some)
            known = _Removed(read.all_below, some)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            if self._sealing.ready:
                self._known[value] = known
        return known


def open_selection(sealing: Sealing, sealed: bytes) -> Selection:
    """What a removal means; one that can't be understood means everything."""
    plain = sealing.open(None, REMOVED_ABOUT, sealed, _SELECTION_BYTES)
    try:
        return Selection() if plain is None else msgspec.msgpack.decode(plain, type=Selection)
    except ValueError:
        return Selection()


def _split(values: object, count: int) -> list[_Raw | Literal[_Gone.GONE] | None]:
    """What each of ``count`` is told.

    Raises:
        ValueError, RedisError: Redis does not answer as it should.
    """
    if not isinstance(values, list) or len(values) != 2 + 2 * count:
        raise RedisError("not the answer to what was asked")
    memory, removed, *rest = values
    told: list[_Raw | Literal[_Gone.GONE] | None] = []
    for of_tenant, value in zip(rest[::2], rest[1::2], strict=True):
        is_there = isinstance(value, bytes) and isinstance(memory, bytes)
        told.append(_Raw(value, memory, removed, of_tenant) if is_there else GONE)
    return told
