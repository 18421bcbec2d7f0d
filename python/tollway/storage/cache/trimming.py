"""The beginning of Redis's stream is cut off, as far as all that it tells of has expired.

In: the stream. Out: a shorter one. One of all workers does it at a time, now and then.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from redis.asyncio import Redis

from tollway.storage.cache.forgotten import Kept
from tollway.storage.cache.listening import AT_A_TIME, Record, open_answer, read_record
from tollway.storage.cache.marks import STREAM, TRIMMING
from tollway.storage.cache.sealing import Sealing
from tollway.storage.redis import FAILED

A = TypeVar("A", bound=Kept)

TRIM_EVERY_S = 600.0
PATIENCE_S = 1.0
_PAUSE_S = 0.01


class Trimmer(Generic[A]):
    """One worker's. ``decode`` raises ValueError."""

    def __init__(self, client: Redis, sealing: Sealing, decode: Callable[[bytes], A]) -> None:
        self._client = client
        self._sealing = sealing
        self._decode = decode

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        while True:
            await asyncio.sleep(TRIM_EVERY_S)
            try:
                await self.trim()
            except FAILED:  # there is another time
                continue

    async def trim(self) -> None:
        """One look at the beginning, unless another worker has just had one.

        Raises:
            RedisError, OSError, ValueError: Redis has not answered.
        """
        lasts_ms = round(TRIM_EVERY_S * 500)
        if not self._sealing.ready or not await self._ask("SET", TRIMMING, 1, "NX", "PX", lasts_ms):
            return
        now_ms = time.time_ns() // 1_000_000
        first = b"-"
        while True:
            told = await self._ask("XRANGE", STREAM, first, b"+", "COUNT", AT_A_TIME)
            records = [read_record(each) for each in told] if isinstance(told, list) else []
            live = next((record for record in records if not self._is_over(record, now_ms)), None)
            if records:
                await self._ask("XTRIM", STREAM, "MINID", (live or records[-1]).at)
            if live is not None or len(records) < AT_A_TIME:
                return
            first = b"(" + records[-1].at
            await asyncio.sleep(_PAUSE_S)

    def _is_over(self, record: Record, now_ms: int) -> bool:
        """Whether nobody needs it. A removal is needed for as long as something stands before it."""
        answer = open_answer(self._sealing, self._decode, record.fields)
        return answer is None or answer.expires_at_ms <= now_ms

    async def _ask(self, *command: str | bytes | int) -> object:
        async with asyncio.timeout(PATIENCE_S):
            return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]
