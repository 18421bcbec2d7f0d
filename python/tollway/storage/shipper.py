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

from tollway.contract.usage import UsageRow
from tollway.storage.backlog import Backlog
from tollway.storage.pool import OUT_OF_REACH
from tollway.storage.segments import SEGMENT_BYTES, SegmentReader, segments
from tollway.storage.usage import insert_usage
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

BATCH_ROWS = 2_000
EVERY_S = 0.5
SYNC_EVERY_S = 1.0
"""While the database is out of reach, segments are synced to the disk this often: what a power cut may lose then.

While rows are shipped this is not done: a row is in PostgreSQL within a second or two, and syncing a segment makes its
writer stumble over every page it had written.
"""

REJECTED = "rejected.jsonl"
_BACKOFF_CAP_S = 5.0


class Shipper:
    """Ships one directory of segments."""

    def __init__(self, directory: Path, pool: asyncpg.Pool, log: Log, metrics: Metrics) -> None:
        self._directory = directory
        self._pool = pool
        self._log = log
        self._metrics = metrics
        self._decoder = msgspec.msgpack.Decoder(UsageRow)
        self._backlog = Backlog()
        self._synced_at = 0.0

    async def run(self) -> None:
        """Ships for as long as the host serves."""
        failures = 0
        while True:
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
            await self._look_after(unsafe=failures > 0)
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

    async def _look_after(self, *, unsafe: bool) -> None:
        """Counts what waits; with ``unsafe``, and not too often, brings to the disk what came since the last time."""
        unsafe = unsafe and time.monotonic() - self._synced_at >= SYNC_EVERY_S
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
                if unsafe and self._backlog.must_sync(segment):
                    end = self._backlog.end(segment)
                    await asyncio.to_thread(segment.sync)
                    self._backlog.synced(segment, end)
            except OSError as error:
                self._log.error("usage_not_synced", error=error)
            finally:
                segment.close()
        if unsafe:
            self._synced_at = time.monotonic()
        self._backlog.keep(paths)
        self._metrics.journal(len(paths) * SEGMENT_BYTES, pending)

    async def _ship_segment(self, segment: SegmentReader) -> int:
        total = 0
        while True:
            batch: list[UsageRow] = []
            offset, records = segment.shipped, 0
            for end, payload in segment.records(offset):
                offset, records = end, records + 1
                row = self._decode(payload)
                if row is not None:
                    batch.append(row)
                if len(batch) == BATCH_ROWS:
                    break
            if offset == segment.shipped:
                return total
            total += await self._store(batch)
            self._backlog.shipped(segment, offset, records)
            segment.mark_shipped(offset)

    def _decode(self, payload: bytes | None) -> UsageRow | None:
        try:
            return self._decoder.decode(payload or b"")
        except msgspec.DecodeError as error:
            self._reject({"bytes": None if payload is None else payload.hex()}, error)
            return None

    async def _store(self, batch: Sequence[UsageRow]) -> int:
        if not batch:
            return 0
        async with self._pool.acquire() as connection:
            try:
                inserted = await insert_usage(connection, batch)
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                inserted = await self._store_singly(connection, batch)
        self._metrics.shipped(inserted)
        return inserted

    async def _store_singly(self, connection: asyncpg.pool.PoolConnectionProxy, batch: Sequence[UsageRow]) -> int:
        """One row that PostgreSQL will never take must not hold up the others for ever: it is set aside, loudly."""
        inserted = 0
        for row in batch:
            try:
                inserted += await insert_usage(connection, [row])
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                self._reject(msgspec.to_builtins(row), error)
        return inserted

    def _reject(self, what: object, error: Exception) -> None:
        with (self._directory / REJECTED).open("ab") as file:
            file.write(msgspec.json.encode(what) + b"\n")
        self._log.error("usage_row_rejected", error=error, kept_in=REJECTED)
