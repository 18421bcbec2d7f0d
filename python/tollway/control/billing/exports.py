"""Exports: rows out of the database by a server-side cursor, into a file or into object storage.

One batch of rows is held at a time, so an export of any size takes the same memory. The rows are those of one moment.
"""

import asyncio
import secrets
import tempfile
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tollway.control.billing.columns import TABLES, What
from tollway.control.billing.encoding import Format, Row, csv_head, csv_lines, json_lines, parquet_file
from tollway.storage.objects import Objects
from tollway.storage.pool import Connection

BATCH_ROWS = 2_000
FETCH_TIMEOUT_S = 60.0


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What is exported: from ``start`` up to, not including, ``end``; of a tenant, or of all."""

    what: What
    format: Format
    start: datetime
    end: datetime
    tenant: str | None = None

    def name(self, now: datetime) -> str:
        """A name for the object: no two exports have the same."""
        span = f"{self.start.astimezone(UTC):%Y%m%d}-{self.end.astimezone(UTC):%Y%m%d}"
        made = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
        return f"exports/{self.what}/{span}/{made}.{self.format}"


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """Where an export is, and how many rows it has."""

    object: str
    rows: int


class _Reading:
    """The batches of an export, counted."""

    def __init__(self, connection: Connection, export: Export) -> None:
        self._connection = connection
        self._export = export
        self.rows = 0

    async def batches(self) -> AsyncGenerator[Sequence[Row], None]:
        export = self._export
        async with self._connection.transaction(isolation="repeatable_read", readonly=True):
            await self._connection.execute(f"set local statement_timeout = {round(FETCH_TIMEOUT_S * 1000)}")
            cursor = await self._connection.cursor(
                TABLES[export.what].sql, export.tenant, export.start, export.end, timeout=FETCH_TIMEOUT_S
            )
            while rows := await cursor.fetch(BATCH_ROWS, timeout=FETCH_TIMEOUT_S):
                self.rows += len(rows)
                yield [tuple(row.values()) for row in rows]


async def export_to_objects(connection: Connection, export: Export, objects: Objects, now: datetime) -> Exported:
    """Put an export into object storage.

    Raises:
        DependencyUnavailable: the storage does not take it.
        asyncpg.PostgresError, OSError: the database is out of reach. No object is left.
    """
    name = export.name(now)
    reading = _Reading(connection, export)
    if export.format == "parquet":
        with tempfile.TemporaryDirectory(prefix="tollway-export-") as directory:
            path = Path(directory) / "made"
            await _write_parquet(reading, export, path)
            await objects.put(name, path)
    else:
        async with aclosing(_pieces(reading, export)) as pieces:
            await objects.put(name, pieces)
    return Exported(object=objects.where(name), rows=reading.rows)


async def export_to_file(connection: Connection, export: Export, path: Path) -> Exported:
    """Write an export to a file; one that is there is replaced when the new one is whole.

    Raises:
        asyncpg.PostgresError, OSError: the database is out of reach, or the file can't be written.
    """
    reading = _Reading(connection, export)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if export.format == "parquet":
            await _write_parquet(reading, export, unfinished)
        else:
            with unfinished.open("xb") as file:
                async with aclosing(_pieces(reading, export)) as pieces:
                    async for piece in pieces:
                        file.write(piece)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return Exported(object=str(path), rows=reading.rows)


async def _pieces(reading: _Reading, export: Export) -> AsyncGenerator[bytes, None]:
    columns = TABLES[export.what].columns
    encode = csv_lines if export.format == "csv" else json_lines
    if export.format == "csv":
        yield csv_head(columns)
    async with aclosing(reading.batches()) as batches:
        async for rows in batches:
            yield await asyncio.to_thread(encode, columns, rows)


async def _write_parquet(reading: _Reading, export: Export, path: Path) -> None:
    """Parquet's writer pulls, on a thread of its own; each batch is fetched here when it asks."""
    async with aclosing(reading.batches()) as batches:
        pulling = _Pulling(batches, asyncio.get_running_loop())
        columns = TABLES[export.what].columns
        writing = asyncio.ensure_future(asyncio.to_thread(parquet_file, columns, pulling.rows(), path))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            pulling.stop()
            await asyncio.wait([writing])
            raise
        except Exception:
            if pulling.failure is not None:
                raise pulling.failure from None
            raise


class _Pulling:
    """Batches of a loop for a thread that must have them as an iterator."""

    def __init__(self, batches: AsyncIterator[Sequence[Row]], loop: asyncio.AbstractEventLoop) -> None:
        self._batches = batches
        self._loop = loop
        self._stopped = threading.Event()
        self.failure: Exception | None = None

    def stop(self) -> None:
        """Nothing more is wanted."""
        self._stopped.set()

    def rows(self) -> Iterator[Sequence[Row]]:
        """The batches; whatever ends them early is in ``failure``, since the writer wraps it."""
        while not self._stopped.is_set():
            try:
                batch = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            except Exception as error:
                self.failure = error
                raise
            if batch is None:
                return
            yield batch
        raise InterruptedError("the export was given up")

    async def _next(self) -> Sequence[Row] | None:
        return await anext(self._batches, None)
