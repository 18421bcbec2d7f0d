"""A file of entries with their bodies: a mark with the version of its form, then records.

A record is its length (four bytes, little-endian) and a MessagePack array: the tenant's id, the entry's key, and the
entry with its body, sealed for that tenant and about that key. Everything here is for a thread.
"""

import os
import struct
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Protocol

import msgspec

from tollway.proxy.cache.entry import Entry

MARK = b"TWCACHE1"

_LENGTH = struct.Struct("<I")
_MOST_ABOUT_BYTES = 256 * 1024
"""What a record may have besides its body: a question of 8 KiB, vectors, names."""


class Seal(Protocol):
    """Seals what is a tenant's: :class:`tollway.storage.cache.sealing.Sealing`."""

    def seal(self, whose: str | None, about: bytes, plain: bytes) -> bytes | None:
        """Sealed; opens for the same ``whose`` and ``about`` only."""
        ...

    def open(self, whose: str | None, about: bytes, sealed: bytes, most_bytes: int) -> bytes | None:
        """What was sealed, or ``None``."""
        ...


class Damaged(Exception):
    """The file can't be read from here on."""


class _Record(msgspec.Struct, frozen=True, array_like=True):
    tenant_id: str
    key: bytes
    sealed: bytes


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    entry: Entry
    body: bytes


class Writing:
    """A file in the making, beside the one whose place it takes. It may be abandoned while a thread is at it."""

    def __init__(self, path: Path, seal: Seal) -> None:
        self._path = path
        self._making = path.with_name(path.name + ".making")
        self._seal = seal
        self._encoder = msgspec.msgpack.Encoder()
        self._lock = Lock()
        self._file: BinaryIO | None = None
        self._is_over = False

    def begin(self) -> None:
        """Begins the file, for the owner alone.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            if not self._is_over:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._making.unlink(missing_ok=True)
                self._file = open(os.open(self._making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
                self._file.write(MARK)

    def write(self, batch: list[tuple[Entry, bytes]]) -> None:
        """Adds entries. One that can't be sealed is left out.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            for entry, body in batch if self._file is not None else ():
                self._write(entry, body)

    def end(self) -> None:
        """All of it is on the disk.

        Raises:
            OSError: it can't be written.
        """
        with self._lock:
            if self._file is not None:
                self._file.flush()
                os.fsync(self._file.fileno())

    def commit(self) -> None:
        """From now on it is the file.

        Raises:
            OSError: it can't be.
        """
        with self._lock:
            if self._file is not None:
                os.replace(self._making, self._path)
                self._close()

    def abandon(self) -> None:
        """As if it had never been begun, unless it has taken its place."""
        with self._lock:
            self._is_over = True
            if self._file is not None:
                self._close()
                with suppress(OSError):
                    self._making.unlink()

    def _write(self, entry: Entry, body: bytes) -> None:
        sealed = self._seal.seal(entry.tenant_id, entry.key, self._encoder.encode(_Kept(entry, body)))
        if sealed is not None and self._file is not None:
            record = self._encoder.encode(_Record(entry.tenant_id, entry.key, sealed))
            self._file.write(_LENGTH.pack(len(record)) + record)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):  # a buffer that the disk has no room for
                file.close()


class Reading:
    """A file that is read from the beginning to the end. ``most_bytes`` is what a body may have."""

    def __init__(self, path: Path, seal: Seal, most_bytes: int) -> None:
        self._path = path
        self._seal = seal
        self._most_bytes = most_bytes + _MOST_ABOUT_BYTES
        self._file: BinaryIO | None = None
        self._records = msgspec.msgpack.Decoder(_Record)
        self._kept = msgspec.msgpack.Decoder(_Kept)
        self.unreadable = 0

    def batch(self, most_entries: int, most_bytes: int) -> list[tuple[Entry, bytes]]:
        """The next entries with their bodies, some at least; none at the end. What was sealed otherwise is passed
        over, and counted.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: it can't be read.
            Damaged: it is no such file, or not from here on.
        """
        if self._file is None:
            self._file = open(self._path, "rb")
            if self._file.read(len(MARK)) != MARK:
                raise Damaged("not of this form")
        batch: list[tuple[Entry, bytes]] = []
        taken = 0
        while len(batch) < most_entries and taken < most_bytes:
            record = self._next(self._file)
            if record is None:
                break
            kept = self._opened(record)
            if kept is None:
                self.unreadable += 1
            else:
                batch.append((kept.entry, kept.body))
                taken += len(kept.body)
        return batch

    def close(self) -> None:
        """Nothing more is read."""
        if self._file is not None:
            self._file.close()

    def _next(self, file: BinaryIO) -> _Record | None:
        head = file.read(_LENGTH.size)
        if not head:
            return None
        length = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        if not 0 < length <= self._most_bytes:
            raise Damaged("a record of no length that can be")
        content = file.read(length)
        if len(content) < length:
            raise Damaged("cut")
        try:
            return self._records.decode(content)
        except (ValueError, RecursionError):  # msgspec's own is a ValueError, and so is text that is not UTF-8
            raise Damaged("no record") from None

    def _opened(self, record: _Record) -> _Kept | None:
        plain = self._seal.open(record.tenant_id, record.key, record.sealed, self._most_bytes)
        if plain is None:
            return None
        try:
            kept = self._kept.decode(plain)
        except (ValueError, RecursionError):
            return None
        return kept if (kept.entry.tenant_id, kept.entry.key) == (record.tenant_id, record.key) else None
