"""Rows that wait in the journal are brought to the disk in groups, within a stated time: what a power cut may lose.

In: the journal's segments, and how far each is shipped. A row that PostgreSQL has needs no disk of ours, so as long as
rows are shipped at once hardly anything is synced: it would make a segment's writer stumble over every page that it had
written. Bounded by the number of segments; those that nobody writes any more are looked at until all of them is safe.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from tollway.storage.segments import HEADER_BYTES, SegmentReader, segments


class _Seen(msgspec.Struct):
    """Records before ``end`` were there at the last look; those before ``synced`` are on the disk."""

    end: int = HEADER_BYTES
    synced: int = HEADER_BYTES
    is_done: bool = False


class Syncing:
    """One directory of segments. ``unreadable`` is told of what can't be opened or synced."""

    def __init__(self, directory: Path, unreadable: Callable[[OSError], None]) -> None:
        self._directory = directory
        self._unreadable = unreadable
        self._seen: dict[Path, _Seen] = {}

    def look(self) -> int:
        """Sync the segments that hold records which were there at the last look already and are not shipped yet.

        Called every half of a time, it leaves no record unsafe for longer than that time, and what it takes to sync.
        Blocking. Returns how many segments were synced.

        Raises:
            OSError: the directory can't be read.
        """
        paths = segments(self._directory)
        is_new = any(path not in self._seen for path in paths)
        self._seen = {path: self._seen.get(path) or _Seen() for path in paths}
        synced = sum([self._look_at(path, seen) for path, seen in self._seen.items() if not seen.is_done])
        if is_new and synced:
            self._sync_names()
        return synced

    def _look_at(self, path: Path, seen: _Seen) -> bool:
        try:
            segment = SegmentReader(path)
        except FileNotFoundError:
            return False
        except ValueError:  # no segment: the shipper tells of it
            seen.is_done = True
            return False
        except OSError as error:
            self._unreadable(error)
            return False
        try:
            is_closed, end = segment.abandoned(), segment.end(seen.end)
            safe = max(segment.shipped, seen.synced)
            must = seen.end > safe or (is_closed and end > safe)
            if must:
                segment.sync()
                seen.synced = end
            seen.end = end
            seen.is_done = is_closed and max(safe, seen.synced) >= end
        except OSError as error:
            self._unreadable(error)
            return False
        finally:
            segment.close()
        return must

    def _sync_names(self) -> None:
        """A file is found after a power cut only if its directory was synced too."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
