"""Posts between the workers of one host: messages for all the others, over Unix sockets, without a server in between.

In: payloads, which this module does not read. Out: what others post. Each worker listens at a socket of its own, which
is for its user alone, and has a connection to each of the others. Nobody waits for a post: what a slow one has no room
for is dropped, a dead one is left alone. A notice is different: it is kept until every worker that lives has taken it,
over new connections too, and who sends it waits a second for that. Frames are bounded, and looked at before they are
read; one that makes no sense ends its connection.
"""

import asyncio
import contextlib
import os
import re
import socket
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from itertools import count
from pathlib import Path

from tollway.storage.cache.frames import Kind, packed, read_frame
from tollway.storage.cache.peer import FAILED, Peer
from tollway.telemetry.logs import Log

NOTICE_S = 1.0
LOOK_EVERY_S = 1.0
MOST_WORKERS = 256
SILENT_S = 10.0
"""Who was asked for all that it has, and gives nothing for so long, is not waited for."""

SLICE_S = 0.0005

_NAME = re.compile(r"cache-([0-9]{1,4})\.sock")
_LONGEST_PATH_BYTES = 100
"""A socket's address has room for 108 bytes on Linux, see unix(7), and 104 elsewhere."""


class Posts:
    """One worker's, which is the one of that ``index``, below ``directory``, which is for its user alone.

    ``post``, ``notice`` and ``given`` hear payloads: news, what has to be taken, and what another one has given of all
    that it has. They are called on the event loop, must be quick, and raise ValueError for what makes no sense.
    ``give`` yields all that this one has. ``instead`` is the notice that stands for too many others.
    """

    def __init__(
        self,
        directory: Path,
        index: int,
        *,
        post: Callable[[bytes], None],
        notice: Callable[[bytes], None],
        given: Callable[[bytes], None],
        give: Callable[[], AsyncGenerator[bytes, None]],
        instead: bytes,
        most_bytes: int,
        log: Log,
    ) -> None:
        self._directory = directory
        self._index = index
        self._hears = {Kind.POST: post, Kind.NOTICE: notice}
        self._given = given
        self._give = give
        self._instead = instead
        self._most_bytes = most_bytes
        self._log = log
        self._peers: dict[int, Peer] = {}
        self._works: dict[int, asyncio.Task[None]] = {}
        self._served: set[asyncio.Task[None]] = set()
        self._numbers = count(1)
        self._opened: int | None = None
        self._is_closing = False
        self._wants_all = True
        self._is_told = False

    @property
    def connected(self) -> int:
        """How many others are connected to now."""
        return sum(peer.is_connected for peer in self._peers.values())

    def post(self, payload: bytes) -> None:
        """News for all others; never waits."""
        for peer in self._peers.values():
            peer.post(payload)

    async def notice(self, payload: bytes) -> bool:
        """Whether all others that live have taken it, within :data:`NOTICE_S`. Who has not will be told again."""
        self._look()
        number = next(self._numbers)
        told = [peer.notice(number, payload) for peer in self._peers.values()]
        if not told:
            return self._opened is not None
        done, waiting = await asyncio.wait(told, timeout=NOTICE_S)
        return not waiting and all(each.result() for each in done)

    async def run(self) -> None:
        """Tells and hears, for ever; ends when it is cancelled, with nothing left open."""
        while True:
            try:
                await self._open()
            except OSError as error:
                if not self._is_told:
                    self._is_told = True
                    self._log.warning("cache_posts_closed", cause=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _open(self) -> None:
        self._opened = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        self._is_closing = False
        name, server = f"cache-{self._index}.sock", None
        try:
            server = await asyncio.start_unix_server(self._accept, sock=self._bound(name))
            self._is_told = False
            while True:
                self._look()
                self._want()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._is_closing = True  # who was just accepted is not served any more
            if server is not None:
                server.close()
            await self._close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._opened)
            os.close(self._opened)
            self._opened = None

    def _bound(self, name: str) -> socket.socket:
        """One of this index that is left over is a dead worker's."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._opened)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            bound.bind(self._address(name))
            os.chmod(name, 0o600, dir_fd=self._opened)
        except OSError:
            bound.close()
            raise
        return bound

    def _address(self, name: str) -> str:
        """A path that is too long is told by way of the open directory."""
        path = str(self._directory / name)
        return path if len(os.fsencode(path)) <= _LONGEST_PATH_BYTES else f"/proc/self/fd/{self._opened}/{name}"

    def _connect(self, name: str) -> socket.socket:
        """Made at once or not at all: a local connection waits for nobody, unless too many wait already."""
        if self._opened is None:
            raise FileNotFoundError(name)
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.setblocking(False)
            connected.connect(self._address(name))
        except OSError:
            connected.close()
            raise
        return connected

    def _look(self) -> None:
        """For others that have come."""
        if self._opened is None:
            return
        with os.scandir(self._opened) as found:
            names = [match for each in found if (match := _NAME.fullmatch(each.name))]
        for name in names[:MOST_WORKERS]:
            index = int(name[1])
            if index != self._index and index not in self._peers:
                connect = partial(self._connect, name[0])
                peer = Peer(connect, self._given, self._instead, self._most_bytes, self._log)
                self._peers[index] = peer
                self._works[index] = asyncio.get_running_loop().create_task(peer.run())

    def _want(self) -> None:
        """Who starts has nothing: one of the others is asked for all that it has."""
        if not self._wants_all:
            return
        if any(peer.has_given for peer in self._peers.values()):
            self._wants_all = False
            return
        silent_since_s = time.monotonic() - SILENT_S
        if any(peer.is_asked and peer.heard_at_s > silent_since_s for peer in self._peers.values()):
            return
        waiting = [peer for peer in self._peers.values() if peer.is_connected and not peer.is_asked]
        if waiting:
            waiting[0].ask()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In a task of its own making: asyncio's logs it as a failure when it is cancelled."""
        if self._is_closing or len(self._served) >= 2 * MOST_WORKERS:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._attend(reader, writer))
        self._served.add(task)
        task.add_done_callback(self._served.discard)

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        giving: set[asyncio.Task[None]] = set()
        try:
            await self._serve(reader, writer, giving)
        except FAILED:
            pass
        finally:
            for each in giving:
                each.cancel()
            writer.transport.abort()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, giving: set[asyncio.Task[None]]
    ) -> None:
        began_s = time.perf_counter()
        while True:
            frame = await read_frame(reader, self._most_bytes)
            if frame.kind is Kind.ASK and not giving:
                giving.add(asyncio.get_running_loop().create_task(self._give_all(writer)))
            elif frame.kind in self._hears:
                self._hears[frame.kind](frame.payload)
            else:
                raise ValueError("not a message")
            if frame.kind is Kind.NOTICE:
                writer.write(packed(Kind.TAKEN, frame.number))
            if time.perf_counter() - began_s > SLICE_S:
                await asyncio.sleep(0)
                began_s = time.perf_counter()

    async def _give_all(self, writer: asyncio.StreamWriter) -> None:
        try:
            async with contextlib.aclosing(self._give()) as payloads:
                async for payload in payloads:
                    writer.write(packed(Kind.GIVEN, 0, payload))
                    await writer.drain()
                    await asyncio.sleep(0)
            writer.write(packed(Kind.END))
        except OSError:  # it has gone
            return

    async def _close(self) -> None:
        for work in (*self._works.values(), *self._served):
            work.cancel()
        await asyncio.gather(*self._works.values(), *self._served, return_exceptions=True)
        self._works.clear()
        self._peers.clear()
