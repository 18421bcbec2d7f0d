"""The shipper: usage rows go from the journal's segments to PostgreSQL, in batches, each row once.

One per host, in the supervisor. It reads what workers write (also workers that are dead), stores a batch in one
transaction and then moves the segment's ``shipped`` mark; killed in between, it sends the batch again, and the rows'
unique ids make that harmless. A dead PostgreSQL delays rows and nothing else.
"""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import msgspec

from tollway._native.rows import Batch
from tollway.contract.usage import UsageRow
from tollway.storage.backlog import Backlog
from tollway.storage.pool import OUT_OF_REACH
from tollway.storage.segments import SEGMENT_BYTES, SegmentReader, segments
from tollway.storage.syncing import Syncing
from tollway.storage.usage import insert_batch
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

BATCH_ROWS = 10_000
EVERY_S = 0.5
FILLING = (0.5, 0.8)
"""When this much of the journal is taken it is told in the log: a warning, then an error."""

REJECTED = "rejected.jsonl"
_BACKOFF_CAP_S = 5.0


class Shipper:
    """Ships one directory of segments, which may take ``max_bytes`` of the disk.

    A row is in PostgreSQL or on the disk within ``sync_s`` seconds, if the disk bears it; with 0 the system decides.
    ``host`` is what the bank of budgets knows this host by (``Purses.host_id``).
    """

    def __init__(
        self,
        directory: Path,
        pool: asyncpg.Pool,
        log: Log,
        metrics: Metrics,
        *,
        max_bytes: int = 2**30,
        sync_s: float = 1.0,
        host: str = "",
    ) -> None:
        self._directory = directory
        self._host = host
        self._max_bytes = max_bytes
        self._sync_s = sync_s
        self._filled = 0
        self._pool = pool
        self._log = log
        self._metrics = metrics
        self._decoder = msgspec.msgpack.Decoder(UsageRow)
        self._backlog = Backlog()

    async def run(self) -> None:
        """Ships, and keeps safe what waits, for as long as the host serves."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._ship_on())
            if self._sync_s > 0:
                tasks.create_task(self._keep_safe())

    async def _ship_on(self) -> None:
        failures = 0
        task = asyncio.current_task()
        # Asked, as what is cancelled in a transaction fails instead when its connection can't roll back.
        while task is not None and not task.cancelling():
            try:
                await self.ship()
                failures = 0
            except OUT_OF_REACH as error:
                failures += 1
                if failures in (1, 10) or failures % 100 == 0:  # an outage is told, not repeated
                    self._log.warning("usage_waits", cause=type(error).__name__, failures=failures)
            except asyncpg.PostgresError as error:  # a right taken away, a table altered: rows wait until it is mended
                failures += 1
                self._log.error("usage_refused", error=error)
            await self._look_after()
            await asyncio.sleep(min(_BACKOFF_CAP_S, EVERY_S * 2 ** min(failures, 6)))

    async def ship(self) -> int:
        """Ships all there is now; returns the number of rows that were new to PostgreSQL.

        Raises:
            asyncpg.PostgresError, OSError: the database is out of reach; nothing is lost.
        """
        total = 0
        for path in await asyncio.to_thread(segments, self._directory):
            try:
                segment = SegmentReader(path)
            except FileNotFoundError:
                continue
            except ValueError as error:
                self._log.error("journal_segment_unreadable", error=error)
                continue
            try:
                total += await self._ship_segment(segment)
                if segment.abandoned() and not segment.pending():
                    path.unlink()
            finally:
                segment.close()
        return total

    async def _keep_safe(self) -> None:
        syncing = Syncing(self._directory, lambda error: self._log.error("usage_not_synced", error=error))
        while True:
            began = time.monotonic()
            try:
                await asyncio.to_thread(syncing.look)
            except OSError as error:
                self._log.error("usage_not_synced", error=error)
            await asyncio.sleep(max(0.0, self._sync_s / 2 - (time.monotonic() - began)))

    async def _look_after(self) -> None:
        """Counts what waits, and tells when there is little room left."""
        try:
            paths = await asyncio.to_thread(segments, self._directory)
        except OSError:  # `ship` has told
            return
        pending = 0
        for path in paths:
            try:
                segment = SegmentReader(path)
            except (OSError, ValueError):  # removed, or no segment, which `ship` has told
                continue
            try:
                pending += self._backlog.count(segment)
            finally:
                segment.close()
        self._backlog.keep(paths)
        taken = len(paths) * SEGMENT_BYTES
        self._metrics.journal(taken, pending, self._max_bytes)
        self._tell_filling(taken, pending)

    def _tell_filling(self, taken: int, pending: int) -> None:
        filled = sum(taken > share * self._max_bytes for share in FILLING)
        if filled > self._filled:
            tell = self._log.warning if filled == 1 else self._log.error
            tell("journal_fills", size_bytes=taken, max_bytes=self._max_bytes, pending_rows=pending)
        self._filled = filled

    async def _ship_segment(self, segment: SegmentReader) -> int:
        total = 0
        while True:
            batch, payloads = Batch(), list[bytes]()
            offset, records = segment.shipped, 0
            for end, payload in segment.records(offset):
                offset, records = end, records + 1
                if self._add(batch, payload):
                    payloads.append(payload or b"")
                if len(payloads) == BATCH_ROWS:
                    break
            if offset == segment.shipped:
                return total
            total += await self._store(batch, payloads)
            self._backlog.shipped(segment, offset, records)
            segment.mark_shipped(offset)

    def _add(self, batch: Batch, payload: bytes | None) -> bool:
        try:
            batch.add(payload or b"")
        except ValueError as error:
            self._reject(payload, error)
            return False
        return True

    async def _store(self, batch: Batch, payloads: Sequence[bytes]) -> int:
        if not payloads:
            return 0
        async with self._pool.acquire() as connection:
            try:
                inserted = await insert_batch(connection, batch.copy(), self._host)
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                inserted = await self._store_singly(connection, batch, payloads)
        self._metrics.shipped(inserted)
        return inserted

    async def _store_singly(
        self, connection: asyncpg.pool.PoolConnectionProxy, batch: Batch, payloads: Sequence[bytes]
    ) -> int:
        """One row that PostgreSQL will never take must not hold up the others for ever: it is set aside, loudly."""
        inserted = 0
        for index, payload in enumerate(payloads):
            try:
                inserted += await insert_batch(connection, batch.copy_of(index), self._host)
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                self._reject(payload, error)
        return inserted

    def _reject(self, payload: bytes | None, error: Exception) -> None:
        try:
            what: object = msgspec.to_builtins(self._decoder.decode(payload or b""))
        except (ValueError, RecursionError):  # msgspec's own is a ValueError, and so is text that is not UTF-8
            what = {"bytes": None if payload is None else payload.hex()}
        with (self._directory / REJECTED).open("ab") as file:
            file.write(msgspec.json.encode(what) + b"\n")
        self._log.error("usage_row_rejected", error=error, kept_in=REJECTED)
