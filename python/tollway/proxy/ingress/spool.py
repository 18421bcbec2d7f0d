"""Disk for what of a form must wait: a file that has no name, so nothing is left of it whatever ends the process."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from tollway.errors import ServerBusy
from tollway.proxy.ingress.intake import Room

BATCH_BYTES = 1024 * 1024
"""So much is written at a time."""

READ_BYTES = 256 * 1024
"""So much is read at a time."""


class Spool:
    """One call's file, in ``directory`` (``None``: the system's own for such files), of what ``room`` has space for."""

    def __init__(self, directory: Path | None, room: Room) -> None:
        self._directory = directory
        self._room = room
        self._file: IO[bytes] | None = None
        self._waiting = bytearray()
        self.size_bytes = 0

    async def write(self, data: bytes) -> None:
        """Appends.

        Raises:
            RateLimited, ServerBusy: there is no room, for this tenant or at all, or the disk is full.
        """
        self._room.take(len(data))
        self._waiting += data
        self.size_bytes += len(data)
        if len(self._waiting) >= BATCH_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """All that was written is in the file. Errors as :meth:`write`."""
        waiting, self._waiting = bytes(self._waiting), bytearray()
        try:
            await asyncio.to_thread(self._append, waiting)
        except OSError as error:
            message = "This gateway has no room to keep the upload. Send the field 'model' before the files."
            raise ServerBusy(message, inside=f"spool: {error.strerror}", retry_after_s=1.0) from None

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)
        self._file.write(data)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` to ``end``, in pieces."""
        while start < end:
            piece = await asyncio.to_thread(self._read, start, min(READ_BYTES, end - start))
            if not piece:
                raise ServerBusy("The upload is no longer here.", inside="spool: short file")
            yield piece
            start += len(piece)

    def _read(self, start: int, size_bytes: int) -> bytes:
        if self._file is None:
            return b""
        self._file.seek(start)
        return self._file.read(size_bytes)

    def close(self) -> None:
        """The file is gone."""
        if self._file is not None:
            self._file.close()
        self._room.close()
