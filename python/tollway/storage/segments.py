"""The journal's file format, shared by those who write usage rows (workers) and those who ship them (the supervisor).

A segment is a file of fixed size, mapped into memory: a header page, then records ``length u32, crc32 u32, payload``.
A record counts once its length is there, which is written last: a process killed at any instruction leaves whole
records only. Another process may see those writes in another order (on machines that order memory weakly, and where a
length lies across two pages or cache lines): while its writer lives, a record that does not fit its checksum is one
that is not whole yet, and a damaged one only once the writer is gone. What is in a mapped page survives the death of
its process (not of the machine: for that segments are synced, see ``syncing.py``).

Header: ``magic 8 bytes, shipped u64``; ``shipped`` is the offset up to which PostgreSQL has everything, moved only by
the shipper. A segment whose writer holds no lock on it any more takes no further records.
"""

import fcntl
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

MAGIC = b"TWJRNL01"
HEADER_BYTES = 4096
SEGMENT_BYTES = 4 * 1024 * 1024
SUFFIX = ".journal"

_RECORD = struct.Struct("<II")
_SHIPPED = struct.Struct("<Q")
_SHIPPED_AT = len(MAGIC)


class SegmentFull(Exception):
    """The record does not fit into what is left of the segment."""


class SegmentWriter:
    """A new segment, locked for as long as it is open."""

    def __init__(self, path: Path, size_bytes: int = SEGMENT_BYTES) -> None:
        self.path = path
        making = path.with_suffix(".making")  # the shipper must not see it before it is locked
        self._file = os.open(making, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            os.posix_fallocate(self._file, 0, size_bytes)  # a full disk says so now, not as a SIGBUS at a write
            self._map = mmap.mmap(self._file, size_bytes)
            self._map[0 : len(MAGIC)] = MAGIC
            _SHIPPED.pack_into(self._map, _SHIPPED_AT, HEADER_BYTES)
            making.rename(path)
        except OSError:
            os.close(self._file)
            making.unlink(missing_ok=True)
            raise
        self._size = size_bytes
        self._end = HEADER_BYTES

    def append(self, payload: bytes) -> None:
        """Adds a record; costs a copy in memory, no system call.

        Raises:
            SegmentFull: it does not fit.
        """
        end = self._end + _RECORD.size + len(payload)
        if end + _RECORD.size > self._size:
            raise SegmentFull
        at = self._end
        self._map[at + _RECORD.size : end] = payload
        _RECORD.pack_into(self._map, at, 0, zlib.crc32(payload))
        self._map[at : at + 4] = len(payload).to_bytes(4, "little")  # last: from here on the record counts
        self._end = end

    @property
    def used(self) -> float:
        """The share of the segment that is taken, 0 to 1."""
        return self._end / self._size

    def close(self) -> None:
        """No more records: the shipper may remove the file when it has them all."""
        self._map.close()
        os.close(self._file)


class SegmentReader:
    """A segment as the shipper sees it, while its writer may still be adding."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size = os.fstat(self._file).st_size
        if size < HEADER_BYTES:  # its writer died while making it: nothing was ever in it
            self._map: mmap.mmap | None = None
        else:
            self._map = mmap.mmap(self._file, size)
            if self._map[0 : len(MAGIC)] not in (MAGIC, bytes(len(MAGIC))):
                os.close(self._file)
                raise ValueError(f"{path.name} is no journal segment of this version")

    @property
    def shipped(self) -> int:
        """The offset up to which everything is in PostgreSQL."""
        if self._map is None:
            return HEADER_BYTES
        return max(HEADER_BYTES, int(_SHIPPED.unpack_from(self._map, _SHIPPED_AT)[0]))

    def mark_shipped(self, offset: int) -> None:
        """Everything before ``offset`` is in PostgreSQL."""
        if self._map is not None:
            _SHIPPED.pack_into(self._map, _SHIPPED_AT, offset)

    def records(self, offset: int) -> Iterator[tuple[int, bytes | None]]:
        """Complete records from ``offset`` on, each with the offset behind it; ``None`` for a damaged one.

        It stops at one that a living writer may still be writing: ask again later.
        """
        size = 0 if self._map is None else len(self._map)
        while self._map is not None and offset + _RECORD.size <= size:
            end, payload = self._record(self._map, offset)
            if payload is None and end > offset:
                if not self.abandoned():
                    return
                end, payload = self._record(self._map, offset)  # it may have become whole before the writer went
            if end == offset:
                return
            yield end, payload
            offset = end

    @staticmethod
    def _record(mapped: mmap.mmap, offset: int) -> tuple[int, bytes | None]:
        """The record at ``offset`` and the offset behind it, which is ``offset`` when there is none."""
        length, checksum = _RECORD.unpack_from(mapped, offset)
        if length == 0:
            return offset, None
        end = offset + _RECORD.size + length
        if end > len(mapped):  # what is behind it can't be found, and must not vanish in silence
            return len(mapped), None
        payload = mapped[offset + _RECORD.size : end]
        return end, (payload if zlib.crc32(payload) == checksum else None)

    def end(self, offset: int) -> int:
        """The offset behind the last record, looked for from the record at ``offset`` on. Nothing is checked."""
        size = 0 if self._map is None else len(self._map)
        while self._map is not None and offset + _RECORD.size <= size:
            length = _RECORD.unpack_from(self._map, offset)[0]
            if length == 0:
                break
            offset = min(size, offset + _RECORD.size + length)
        return offset

    def pending(self) -> bool:
        """Whether there is a record that PostgreSQL does not have yet."""
        return next(self.records(self.shipped), None) is not None

    def abandoned(self) -> bool:
        """Whether its writer is done with it, by closing it or by dying."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._file, fcntl.LOCK_UN)
        return True

    def sync(self) -> None:
        """Brings what is mapped to the disk; may take long."""
        if self._map is not None:
            self._map.flush()

    def close(self) -> None:
        """Lets go of the file."""
        if self._map is not None:
            self._map.close()
        os.close(self._file)


def segments(directory: Path) -> list[Path]:
    """All segments of a journal, oldest first."""
    return sorted(directory.glob(f"*{SUFFIX}"))


def disk_bytes(directory: Path) -> int:
    """What the journal takes on disk."""
    return len(segments(directory)) * SEGMENT_BYTES
