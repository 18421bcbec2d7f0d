"""What a worker's shelf holds, on disk: so that a restart does not begin with nothing. Used where there is no Redis.

In: the shelf, a part at a time. Out: a file of sealed entries with their bodies, and from such a file the entries
again. Reading and writing, sealing and opening are a thread's; the event loop has slices of a millisecond of it, while
it serves. A snapshot is whole or not there: it is written beside the last one and takes its place. What is removed from
the shelf is removed from the disk as well, by deleting all of the file, which is soon written anew.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tollway.proxy.cache.drawers import PARTS
from tollway.proxy.cache.entry import Entry
from tollway.proxy.cache.records import Damaged, Reading, Seal, Writing
from tollway.proxy.cache.shelf import Shelf
from tollway.telemetry.logs import Log

_EVERY_S = 60.0
_REST = 20.0
"""After a write there is none for so many times as long as it took: at most a twentieth of the time goes into it."""

_BATCH_ENTRIES = 64
_BATCH_BYTES = 256 * 1024
_SLICE_S = 0.001
_POLL_S = 0.5

Restore = Callable[[Entry, bytes], None]


class Sealed(Seal, Protocol):
    """How entries are sealed, once the secret is known."""

    @property
    def ready(self) -> bool:
        """Whether it is."""
        ...


class Snapshots:
    """One worker's. ``restore`` is called with what is read back, and may leave it: what a removal concerns, above all.

    ``most_bytes`` is what one answer may have; ``batch_entries`` go to the thread, or come from it, at a time.
    """

    def __init__(
        self,
        shelf: Shelf,
        path: Path,
        sealed: Sealed,
        restore: Restore,
        log: Log,
        most_bytes: int,
        *,
        batch_entries: int = _BATCH_ENTRIES,
    ) -> None:
        self._shelf = shelf
        self._path = path
        self._sealed = sealed
        self._restore = restore
        self._log = log
        self._most_bytes = most_bytes
        self._batch_entries = batch_entries
        self._written = shelf.changes
        self._removals = 0
        self._has_read = False
        self._deleting: set[asyncio.Future[None]] = set()
        shelf.on_removal = self._forget

    async def run(self, every_s: float = _EVERY_S) -> None:
        """Reads back what there is, then writes what has changed, for ever. :meth:`write` is for the end."""
        while True:
            if not self._has_read and self._sealed.ready:
                await self.read()
                if self._removals:
                    await self.write()
            await asyncio.sleep(every_s if self._has_read else _POLL_S)
            begun = time.monotonic()
            await self.write()
            await asyncio.sleep(_REST * (time.monotonic() - begun))

    async def settled(self) -> None:
        """What was to be deleted is."""
        await asyncio.gather(*self._deleting)

    async def read(self) -> int:
        """Reads what is on the disk, and hands it to ``restore``; how many that were.

        A file that is damaged is read as far as it can be, with one line in the log.
        """
        reading = Reading(self._path, self._sealed, self._most_bytes)
        count = 0
        fault = None
        try:
            while batch := await asyncio.to_thread(reading.batch, self._batch_entries, _BATCH_BYTES):
                await self._put_back(batch)
                count += len(batch)
        except FileNotFoundError:
            pass
        except (Damaged, OSError) as error:
            fault = str(error) if isinstance(error, Damaged) else type(error).__name__
        finally:
            reading.close()
        self._has_read = True
        if fault is not None or reading.unreadable:
            self._log.warning(
                "cache_snapshot_damaged", cause=fault or "sealed otherwise", read=count, unreadable=reading.unreadable
            )
        return count

    async def write(self, within_s: float = 3_600.0) -> bool:
        """Writes all of the shelf, if it has changed; whether the disk has what the shelf has. What takes longer than
        ``within_s`` is given up, and so is what something is removed from meanwhile: the last file stays, or none.
        Before what there was has been read, nothing takes its place."""
        if not self._has_read or not self._sealed.ready:
            return False
        await self.settled()
        changes, removals = self._shelf.changes, self._removals
        if changes == self._written:
            return True
        writing = Writing(self._path, self._sealed)
        try:
            await self._write_all(writing, time.monotonic() + within_s)
            if self._removals == removals:
                writing.commit()
                self._written = changes
                return True
        except TimeoutError:
            self._log.warning("cache_snapshot_given_up", within_s=within_s)
        except OSError as error:
            self._log.warning("cache_snapshot_failed", cause=type(error).__name__)
        finally:
            writing.abandon()
        return False

    async def _write_all(self, writing: Writing, until: float) -> None:
        await asyncio.to_thread(writing.begin)
        for part in range(PARTS):
            for batch in _batches(self._shelf.part(part), self._batch_entries):
                if time.monotonic() > until:
                    raise TimeoutError
                await asyncio.to_thread(writing.write, batch)
        await asyncio.to_thread(writing.end)

    async def _put_back(self, batch: list[tuple[Entry, bytes]]) -> None:
        until = time.perf_counter() + _SLICE_S
        for entry, body in batch:
            self._restore(entry, body)
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + _SLICE_S

    def _forget(self) -> None:
        """Something has been removed from the shelf. What has been read already is deleted from the disk; what has not
        is written anew as soon as it has been read, without what ``restore`` left."""
        self._removals += 1
        self._written = -1
        if self._has_read:
            deleting = asyncio.ensure_future(asyncio.to_thread(self._delete))
            self._deleting.add(deleting)
            deleting.add_done_callback(self._deleting.discard)

    def _delete(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()


def _batches(entries: list[tuple[Entry, bytes]], most: int) -> Iterator[list[tuple[Entry, bytes]]]:
    batch: list[tuple[Entry, bytes]] = []
    taken = 0
    for entry, body in entries:
        batch.append((entry, body))
        taken += len(body)
        if taken >= _BATCH_BYTES or len(batch) >= most:
            yield batch
            batch, taken = [], 0
    if batch:
        yield batch


def path_of(directory: Path, index: int) -> Path:
    """Where the worker of that index has its snapshot."""
    return directory / f"worker-{index}"
