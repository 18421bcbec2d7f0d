"""The usage journal: rows go to local disk first, in memory-mapped segments that outlive a killed process.

Appending is a copy in memory. The next segment is made ready in a thread before the current one is full. The
journal is bounded: when so much waits for PostgreSQL, new calls are refused with a 503 rather than served unrecorded;
unless the operator would rather lose rows than calls.
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from tollway.contract.usage import UsageRow
from tollway.errors import DependencyUnavailable
from tollway.storage.segments import SUFFIX, SegmentFull, SegmentWriter, disk_bytes

FILLING = 0.5
"""Of its bound: from here on it is told that the journal fills."""

MEASURE_EVERY_S = 2.0
_READY_AT = 0.5


class Journal:
    """One worker's end of the journal. ``max_bytes`` bounds that of the host: the default is some three million rows.

    With ``drop``, a full journal refuses nobody: rows are lost, and each is told to it.
    """

    def __init__(self, directory: Path, max_bytes: int = 2**30, *, drop: Callable[[], None] | None = None) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._drop = drop
        self._serial = 0
        self._encoder = msgspec.msgpack.Encoder()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._current = self._make(0)
        self._next: Future[SegmentWriter] | None = None
        self._no_space = False
        self.full = False
        self.filling = False

    def _make(self, serial: int) -> SegmentWriter:
        # The name sorts by time, so that rows reach PostgreSQL in the order in which they were written.
        name = f"{time.time_ns():020d}-{os.getpid()}-{serial}{SUFFIX}"
        return SegmentWriter(self._directory / name)

    @property
    def standing(self) -> Literal["ok", "filling", "dropping", "full"]:
        """How it stands: ``full`` refuses calls, ``dropping`` loses rows."""
        if self.full:
            return "full" if self._drop is None else "dropping"
        return "filling" if self.filling else "ok"

    def append(self, row: UsageRow) -> None:
        """Writes a row down: from here on a killed process does not lose it."""
        if self.full and self._drop is not None:
            return self._drop()
        payload = self._encoder.encode(row)
        try:
            self._current.append(payload)
        except SegmentFull:
            self._rotate()
            self._current.append(payload)
        if self._next is None and self._current.used > _READY_AT:
            self._serial += 1
            self._next = self._thread.submit(self._make, self._serial)
            self._next.add_done_callback(self._made)

    def _made(self, following: "Future[SegmentWriter]") -> None:
        if not following.cancelled() and following.exception() is not None:
            self._no_space = True  # refuse calls while there is still room for the rows of those under way

    def _rotate(self) -> None:
        following = self._next
        self._next = None
        if following is None or following.exception() is not None:
            self._serial += 1
            successor = self._make(self._serial)
        else:
            successor = following.result()
        full, self._current = self._current, successor  # only now: without a successor the full one stays the current
        full.close()

    def check_room(self) -> None:
        """Refuses new calls while the journal is full, unless rows are to be dropped.

        Raises:
            DependencyUnavailable: too many rows wait for PostgreSQL.
        """
        if self.full and self._drop is None:
            message = "Usage can't be recorded now, so no call is taken. Try again shortly."
            raise DependencyUnavailable(message, inside="the usage journal is full", retry_after_s=5.0)

    async def measure(self) -> None:
        """Keeps :attr:`full` and :attr:`filling` true to the disk, for as long as the worker runs."""
        while True:
            self.full = await asyncio.to_thread(self._is_full)
            await asyncio.sleep(MEASURE_EVERY_S)

    def _is_full(self) -> bool:
        taken = disk_bytes(self._directory)
        self.filling = taken > FILLING * self._max_bytes
        if taken > self._max_bytes:
            return True
        if self._no_space and self._next is not None and self._next.done():
            self._serial += 1
            self._next = self._thread.submit(self._make, self._serial)
            self._no_space = self._next.exception() is not None
        return self._no_space

    def close(self) -> None:
        """Hands everything over to the shipper."""
        self._thread.shutdown()
        if self._next is not None and self._next.exception() is None:
            self._next.result().close()
        self._current.close()
