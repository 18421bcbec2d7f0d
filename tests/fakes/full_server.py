"""A PostgreSQL that takes in no more and then dies: what stands between the real one and its clients."""

import asyncio
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

_FILLING_S = 0.3
"""As long as a client gets to fill its socket."""


class FullServer:
    """Relays sessions to the server at ``dsn`` until one has sent ``once``: from then on it reads no more of anybody.

    :meth:`die` cuts what is open; later sessions are relayed without end.
    """

    def __init__(self, dsn: str, *, once: bytes) -> None:
        self._parts = urlsplit(dsn)
        asked = parse_qs(self._parts.query)
        self._port = asked["port"][0]
        self._name = f".s.PGSQL.{self._port}"
        self._socket = Path(asked["host"][0]) / self._name
        self._once = once
        self._directory = Path(tempfile.mkdtemp(prefix="tollway-test-"))
        self._sessions = set[asyncio.StreamWriter]()
        self._is_frozen = False
        self._died = asyncio.Event()
        self.is_full = asyncio.Event()
        """Set when a session has had time to fill the socket that nothing is read from."""

    @property
    def dsn(self) -> str:
        """Where clients find it."""
        query = f"host={quote(str(self._directory))}&port={self._port}"
        return urlunsplit(self._parts._replace(query=query))

    def die(self) -> None:
        """Cuts what is open."""
        self._is_frozen = False
        self._died.set()
        for writer in self._sessions:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_unix_server(self._relay, self._directory / self._name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self.die()
        await self._listener.wait_closed()
        shutil.rmtree(self._directory)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_frozen:
            self._sessions.add(writer)
            await self._died.wait()
            self._sessions.remove(writer)
            return
        server_reader, server_writer = await asyncio.open_unix_connection(self._socket)
        self._sessions |= {writer, server_writer}
        ways = [
            asyncio.create_task(self._forward(reader, server_writer, may_freeze=True)),
            asyncio.create_task(self._forward(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._sessions -= {writer, server_writer}
            writer.close()
            server_writer.close()

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_freeze: bool = False
    ) -> None:
        try:
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
                if may_freeze and self._once in data and not self._died.is_set():
                    self._is_frozen = True
                    await asyncio.sleep(_FILLING_S)
                    self.is_full.set()
                    await self._died.wait()
        except OSError:
            return
