"""What others have filled and removed is heard from Redis's stream, from its beginning: a worker that starts soon has
what was there before.

In: a stream. Out: answers and removals, in the order in which Redis has them, in slices of work that the event loop
does not notice. What is missed (a stream that was cut, a Redis that was emptied) is told as a removal of everything,
and what is still there is heard again.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from redis.asyncio import Redis

from tollway.contract.cache import Selection
from tollway.storage.cache.forgotten import Forgotten, Kept
from tollway.storage.cache.marks import NUMBERS, STREAM, Mark, unpacked
from tollway.storage.cache.reading import open_selection
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.standing import Standing
from tollway.storage.commands import MEMORY
from tollway.storage.redis import FAILED

A = TypeVar("A", bound=Kept)

BLOCK_MS = 2_000
"""So long Redis waits for something to tell; as often it is asked what it remembers."""

LISTENING_S = 3.0
"""No answer for so long, and the connection is dead."""

AT_A_TIME = 32
SLICE_S = 0.0005
MOST_ENTRY_BYTES = 64 * 1024

_RETRY_CAP_S = 1.0
_START = b"0-0"


class Record(NamedTuple):
    """One of the stream: its id, and what it says."""

    at: bytes
    fields: dict[bytes, bytes]


class Listener(Generic[A]):
    """One worker's, which the stream knows as ``origin``: its own fills are not news.

    ``filled`` and ``removed`` are called on the event loop and must be quick. ``decode`` raises ValueError.
    """

    def __init__(
        self,
        client: Redis,
        sealing: Sealing,
        standing: Standing,
        forgotten: Forgotten,
        origin: bytes,
        decode: Callable[[bytes], A],
        filled: Callable[[A], None],
        removed: Callable[[Selection], None],
    ) -> None:
        self._client = client
        self._sealing = sealing
        self._standing = standing
        self._forgotten = forgotten
        self._origin = origin
        self._decode = decode
        self._filled = filled
        self._removed = removed
        self._last = _START
        self._heard = 0
        self._expected = 0
        self._looked_at_s = time.monotonic()
        self._is_rebuilding = False

    async def run(self) -> None:
        """For ever, through outages; ends when it is cancelled."""
        failures = 0
        while True:
            before = self._last
            try:
                await self._listen()
            except FAILED as error:
                self._standing.failed(error)
            failures = 0 if self._last != before else failures + 1
            await asyncio.sleep(random.uniform(0.5, 1.0) * min(_RETRY_CAP_S, 0.1 * 2 ** min(failures, 6)))  # noqa: S311

    async def _listen(self) -> None:
        await self._sealing.known()  # without it nothing could be understood
        await self._greet()
        while True:
            self._standing.answered()
            records = await self._next()
            await self._take(records)
            if len(records) < AT_A_TIME:
                self._is_rebuilding = False
                self._notice_gaps()
            if not records or time.monotonic() - self._looked_at_s > BLOCK_MS / 1000:
                await self._greet()

    async def _next(self) -> list[Record]:
        """While all is news its end is looked for, and not waited for."""
        waiting = () if self._is_rebuilding else ("BLOCK", BLOCK_MS)
        command = ("XREAD", "COUNT", AT_A_TIME, *waiting, "STREAMS", STREAM, self._last)
        async with asyncio.timeout(LISTENING_S):
            told = await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
        return list(_records(told))

    async def _greet(self) -> None:
        """What Redis remembers, and how many removals it has counted. Another memory: all of it is news."""
        async with asyncio.timeout(LISTENING_S):
            told = await self._client.execute_command("MGET", MEMORY, NUMBERS)  # type: ignore[no-untyped-call]
            if isinstance(told, list) and told and told[0] is None:
                await self._client.execute_command(  # type: ignore[no-untyped-call]
                    "SET", MEMORY, uuid.uuid4().hex, "NX"
                )
                told = await self._client.execute_command("MGET", MEMORY, NUMBERS)  # type: ignore[no-untyped-call]
        self._looked_at_s = time.monotonic()
        if not isinstance(told, list) or len(told) != 2 or not isinstance(told[0], bytes):
            raise ValueError("not the answer to what was asked")
        memory, number = told[0], int(told[1] or 0)
        is_new, known = memory != self._standing.memory, self._standing.memory
        self._standing.learn(memory, number)
        if is_new:
            self._forgotten.renumber()
            self._begin_again(is_first=not known)
        self._expected = number

    def _begin_again(self, *, is_first: bool) -> None:
        self._last, self._heard = _START, self._standing.number
        self._is_rebuilding = True
        if not is_first:
            self._removed(Selection())

    def _notice_gaps(self) -> None:
        """The end of the stream is reached, and a removal that had its number before was not there."""
        if self._heard < self._expected:
            self._begin_again(is_first=False)

    async def _take(self, records: list[Record]) -> None:
        began_s = time.perf_counter()
        for record in records:
            self._last = record.at
            self._hear(record.fields)
            if time.perf_counter() - began_s > SLICE_S:
                await asyncio.sleep(0.001)
                began_s = time.perf_counter()

    def _hear(self, fields: dict[bytes, bytes]) -> None:
        """One record; one that makes no sense is another version's."""
        try:
            if b"removed" in fields:
                is_own = not self._is_rebuilding and fields.get(b"by") == self._origin
                self._hear_removal(int(fields[b"number"]), fields[b"removed"], is_own=is_own)
            elif self._is_rebuilding or fields.get(b"by") != self._origin:
                answer = self._answer(fields)
                if answer is not None:
                    self._filled(answer)
        except (KeyError, ValueError, RecursionError):
            return

    def _hear_removal(self, number: int, sealed: bytes, *, is_own: bool) -> None:
        """What this worker has removed itself is forgotten already; what it has filled since is not meant."""
        selection = open_selection(self._sealing, sealed)
        self._standing.learn(self._standing.memory, number)
        self._heard = max(self._heard, number)
        if is_own:
            self._forgotten.note(selection, number=number, heard_ns=0)
        else:
            self._forgotten.note(selection, number=number)
            self._removed(selection)

    def _answer(self, fields: dict[bytes, bytes]) -> A | None:
        mark = fields.get(b"mark", b"")
        digest, number = unpacked(mark)
        answer = open_answer(self._sealing, self._decode, fields)
        if answer is None or digest != Mark(self._standing.memory, 0).digest:
            return None
        if self._forgotten.numbered(answer, number) or self._forgotten.dated(answer, 0):
            return None
        return answer


def open_answer(sealing: Sealing, decode: Callable[[bytes], A], fields: dict[bytes, bytes]) -> A | None:
    """The answer that a record tells of; ``None`` where it tells of none."""
    plain = sealing.open(None, fields.get(b"mark", b""), fields.get(b"entry", b""), MOST_ENTRY_BYTES)
    try:
        return None if plain is None else decode(plain)
    except (ValueError, RecursionError):
        return None


def _records(told: object) -> Iterator[Record]:
    """What XREAD has told, of one stream.

    Raises:
        ValueError: not what it tells.
    """
    if not told:
        return
    if not isinstance(told, list) or not isinstance(told[0], (list, tuple)) or len(told[0]) != 2:
        raise ValueError("not the answer to what was asked")
    for each in told[0][1]:
        yield read_record(each)


def read_record(told: object) -> Record:
    """A record as it is told.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, (list, tuple)) or len(told) != 2 or not isinstance(told[0], bytes):
        raise ValueError("not a record")
    at, fields = told
    if isinstance(fields, dict):
        return Record(at, fields)
    if not isinstance(fields, list):  # deleted, and told all the same
        return Record(at, {})
    return Record(at, dict(zip(fields[::2], fields[1::2], strict=True)))
