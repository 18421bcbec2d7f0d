"""What nobody can be served any more is deleted from Redis, in the background and a little at a time.

In: removals that have their number, bodies that are known of. Out: deleted values and records. It is tidiness: what it
does not get to expires, and nobody who reads it would serve it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tollway.contract.cache import Selection
from tollway.storage.cache.forgotten import Labelled, selects
from tollway.storage.cache.listening import Record, read_record
from tollway.storage.cache.marks import STREAM, SWEEP, body_key, is_whole, tenant_prefix
from tollway.storage.redis import FAILED

PATIENCE_S = 1.0
MOST_SWEEPS = 100

_AT_A_TIME = 200
_PAUSE_S = 0.005
_RETRY_S = 1.0


class _Sweep(NamedTuple):
    selection: Selection
    number: int
    until: bytes
    known: Sequence[Labelled]


class Sweeper:
    """One worker's. ``read`` says what a record of the stream is about; ``None``: nothing that could be swept."""

    def __init__(self, client: Redis, read: Callable[[dict[bytes, bytes]], Labelled | None]) -> None:
        self._client = client
        self._read = read
        self._sweeps: deque[_Sweep] = deque(maxlen=MOST_SWEEPS)
        self._stirred = asyncio.Event()

    def sweep(self, selection: Selection, number: int, until: bytes, known: Sequence[Labelled]) -> None:
        """All that is meant by the removal of that number, which has the id ``until`` in the stream. Bodies
        are those of what is ``known``; where all of a tenant's are meant they are looked for."""
        self._sweeps.append(_Sweep(selection, number, until, known))
        self._stirred.set()

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                await self._work()
            except ResponseError:  # it can't be done here: waiting won't help
                if self._sweeps:
                    self._sweeps.popleft()
                self._stirred.set()
            except FAILED:
                self._stirred.set()
                await asyncio.sleep(_RETRY_S)

    async def _work(self) -> None:
        while self._sweeps:
            sweep = self._sweeps[0]
            if is_whole(sweep.selection):
                tenant_id = sweep.selection.tenant_id
                prefix = "tollway:cache:{" if tenant_id is None else tenant_prefix(tenant_id)
                await self._delete_all(prefix, sweep.number)
            else:
                await self._delete_known(sweep)
            await self._delete_records(sweep)
            if self._sweeps and self._sweeps[0] is sweep:
                self._sweeps.popleft()

    async def _delete_known(self, sweep: _Sweep) -> None:
        for first in range(0, len(sweep.known), _AT_A_TIME):
            some = sweep.known[first : first + _AT_A_TIME]
            await self._delete([body_key(answer.tenant_id, answer.key) for answer in some], sweep.number)
            await asyncio.sleep(_PAUSE_S)

    async def _delete_all(self, prefix: str, number: int) -> None:
        """Bodies whose keys begin so."""
        cursor: object = b"0"
        while True:
            told = await self._ask("SCAN", _number(cursor), "MATCH", f"{prefix}*", "COUNT", _AT_A_TIME)
            cursor, keys = told if isinstance(told, (list, tuple)) and len(told) == 2 else (0, [])
            bodies = [key for key in keys if isinstance(key, bytes) and not key.endswith(b":removed")]
            await self._delete(bodies, number)
            if _number(cursor) == 0:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _delete_records(self, sweep: _Sweep) -> None:
        if sweep.selection == Selection():
            await self._ask("XTRIM", STREAM, "MINID", sweep.until)
            return
        first = b"-"
        while True:
            told = await self._ask("XRANGE", STREAM, first, b"(" + sweep.until, "COUNT", _AT_A_TIME)
            records = [read_record(each) for each in told] if isinstance(told, list) else []
            meant = [record.at for record in records if self._is_meant(sweep.selection, record)]
            if meant:
                await self._ask("XDEL", STREAM, *meant)
            if len(records) < _AT_A_TIME:
                return
            first = b"(" + records[-1].at
            await asyncio.sleep(_PAUSE_S)

    async def _delete(self, bodies: Sequence[str | bytes], number: int) -> None:
        """But for what was filled since: a tenant that was erased goes on asking."""
        if bodies:
            await self._ask("EVAL", SWEEP, len(bodies), *bodies, number)

    def _is_meant(self, selection: Selection, record: Record) -> bool:
        about = self._read(record.fields)
        return about is not None and selects(selection, about)

    async def _ask(self, *command: str | bytes | int) -> object:
        async with asyncio.timeout(PATIENCE_S):
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]


def _number(cursor: object) -> int:
    return int(cursor) if isinstance(cursor, (int, bytes, str)) else 0
