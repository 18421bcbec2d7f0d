"""Another worker of this host, as one that has something to tell it sees it.

In: posts and notices. Out: frames over one connection, which is made anew for ever. Posts wait in a bounded queue and
are lost with a connection; notices wait until they are taken.
"""

import asyncio
import socket
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from tollway.storage.cache.frames import Kind, packed, read_frame
from tollway.storage.commands import first_of
from tollway.telemetry.logs import Log

MOST_POSTS = 1_000
MOST_POSTS_BYTES = 8 * 2**20
MOST_NOTICES = 1_000

FAILED = (OSError, EOFError, ValueError)
"""What ends a connection."""

_DEAD = (ConnectionRefusedError, FileNotFoundError)
_RETRY_S = 1.0
_BUFFER_BYTES = 256 * 1024
_TOLD_EVERY_S = 60.0


class Peer:
    """One of them. ``connect`` makes a connected socket, or raises OSError.

    ``given`` gets what it gives when it is asked for all that it has. ``instead`` is the notice that stands for all
    others when there are too many of them.
    """

    def __init__(
        self,
        connect: Callable[[], socket.socket],
        given: Callable[[bytes], None],
        instead: bytes,
        most_bytes: int,
        log: Log,
    ) -> None:
        self._connect = connect
        self._given = given
        self._instead = instead
        self._most_bytes = most_bytes
        self._log = log
        self._posts: deque[bytes] = deque()
        self._posts_bytes = 0
        self._notices: OrderedDict[int, bytes] = OrderedDict()
        self._unsent: deque[int] = deque()
        self._taken: dict[int, asyncio.Future[bool]] = {}
        self._asks = False
        self._stirred = asyncio.Event()
        self._dropped = 0
        self._dropped_told_s = -_TOLD_EVERY_S
        self.is_connected = False
        self.is_asked = False
        self.heard_at_s = 0.0
        self.has_given = False

    def post(self, payload: bytes) -> None:
        """Sends it before long, if there is room."""
        if not self.is_connected:
            return
        if len(self._posts) >= MOST_POSTS or self._posts_bytes + len(payload) > MOST_POSTS_BYTES:
            self._drop()
            return
        self._posts.append(payload)
        self._posts_bytes += len(payload)
        self._stirred.set()

    def notice(self, number: int, payload: bytes) -> "asyncio.Future[bool]":
        """Done when it was taken, or when there turns out to be nobody who could."""
        if len(self._notices) >= MOST_NOTICES:
            payload = self._instead
            for waiting in (*self._notices, *self._unsent):
                self._tell(waiting, taken=False)
            self._notices.clear()
            self._unsent.clear()
        self._notices[number] = payload
        self._unsent.append(number)
        self._taken[number] = told = asyncio.get_running_loop().create_future()
        self._stirred.set()
        return told

    def ask(self) -> None:
        """For all that it has; ``has_given`` is true when that was heard."""
        self.is_asked, self._asks = True, True
        self.heard_at_s = time.monotonic()
        self._stirred.set()

    async def run(self) -> None:
        """For ever; ends when it is cancelled."""
        while True:
            self._stirred.clear()
            try:
                await self._talk()
            except _DEAD:
                self._nobody_there()
            except FAILED:
                pass
            finally:
                self.is_connected = self.is_asked = self._asks = False
            try:
                async with asyncio.timeout(_RETRY_S):
                    await self._stirred.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(0.01)

    async def _talk(self) -> None:
        """One life of the connection."""
        self._posts.clear()
        self._posts_bytes = 0
        connected = self._connect()
        try:
            reader, writer = await asyncio.open_unix_connection(sock=connected)
        except BaseException:
            connected.close()
            raise
        writer.transport.set_write_buffer_limits(high=_BUFFER_BYTES)
        self._unsent = deque(self._notices)
        self._stirred.set()
        self.is_connected = True
        try:
            await first_of(self._send(writer), self._hear(reader))
        finally:
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            while (frame := self._next()) is not None:
                writer.write(frame)
                await writer.drain()

    def _next(self) -> bytes | None:
        while self._unsent:
            number = self._unsent.popleft()
            payload = self._notices.get(number)
            if payload is not None:
                return packed(Kind.NOTICE, number, payload)
        if self._asks:
            self._asks = False
            return packed(Kind.ASK)
        if not self._posts:
            return None
        payload = self._posts.popleft()
        self._posts_bytes -= len(payload)
        return packed(Kind.POST, 0, payload)

    async def _hear(self, reader: asyncio.StreamReader) -> None:
        while True:
            frame = await read_frame(reader, self._most_bytes)
            self.heard_at_s = time.monotonic()
            if frame.kind is Kind.TAKEN:
                self._notices.pop(frame.number, None)
                self._tell(frame.number, taken=True)
            elif frame.kind is Kind.GIVEN and self.is_asked:
                self._given(frame.payload)
                await asyncio.sleep(0)  # what is buffered must not keep the loop
            elif frame.kind is Kind.END and self.is_asked:
                self.is_asked, self.has_given = False, True
            else:
                raise ValueError("not an answer")

    def _nobody_there(self) -> None:
        for number in list(self._taken):
            self._tell(number, taken=True)

    def _tell(self, number: int, *, taken: bool) -> None:
        told = self._taken.pop(number, None)
        if told is not None and not told.done():
            told.set_result(taken)

    def _drop(self) -> None:
        self._dropped += 1
        now_s = time.monotonic()
        if now_s - self._dropped_told_s >= _TOLD_EVERY_S:
            self._log.warning("cache_posts_dropped", posts=self._dropped)
            self._dropped, self._dropped_told_s = 0, now_s
