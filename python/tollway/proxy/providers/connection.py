"""One HTTP/1.1 connection to a provider, on the event loop itself: a protocol around llhttp's parser.

Measured against the client libraries on one core, bare routes (``benches/README.md``): this answers 13,100 calls a
second, pyreqwest 10,700, aiohttp 6,000. Speed alone would not be worth own code; what decided is cancellation:
pyreqwest 0.15 lets a call that is cancelled before its head run on, so a provider never sees that the client left.
Parsing is llhttp's (httptools); TLS and sockets are uvloop's.
"""

import asyncio
from contextlib import aclosing
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tollway.errors import UpstreamBroken
from tollway.proxy.pieces import Streamed

MAX_HEAD_BYTES = 64 * 1024
"""An answer's head larger than this is refused."""

HELD_BYTES = 256 * 1024
"""So much of a body may wait for a slow client; then the provider is not read until it is taken."""

WRITE_BYTES = 256 * 1024
"""A larger request is written in pieces of this size, each when the last one has left: encrypting or copying 20 MiB in
one go would hold the event loop."""

STALE_S = 1.0
"""A kept connection that ends this soon after a request, without a byte in answer, was closed by the provider while it
was idle, and the two crossed. Later than that the provider may have been at work, and asking again could bill twice."""

WAS_IDLE_S = 0.25
"""A connection that was busy later than this long ago was not closed for being idle: its end answers the request."""

_NO_ANSWER = "The provider closed the connection without an answer."
_CUT = "The provider's answer was cut before its end."
_NOT_HTTP = "The provider did not answer in HTTP."


class Connection(asyncio.Protocol):
    """Carries one call at a time. The parser calls the ``on_…`` methods; the rest is for the transport above."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._head_bytes = 0
        self._head_done = False
        self._has_length = False
        self._reading = True
        self._kept = False
        self._fault: UpstreamBroken | None = None
        self._closed = False
        self._calls = 0
        self._all_sent = False
        self._sent_at = 0.0
        self._lost_at = 0.0
        self._loop = asyncio.get_running_loop()  # once: it asks the system for the process's id each time
        self._backlogged = False
        self._relieved: asyncio.Future[None] | None = None
        self.ended = False
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.idle_since = 0.0

    async def send(self, head: bytes, body: bytes) -> None:
        """Begins a call: everything of the last one is forgotten. Returns when the request has left, or is moot.

        It is moot when the connection is lost or the provider answers before it has read everything.
        """
        self._forget()
        transport = self._open()
        if len(body) <= WRITE_BYTES:
            transport.write(head + body)
            self._all_sent = True
            return
        transport.write(head)
        rest = memoryview(body)
        while rest:
            transport.write(rest[:WRITE_BYTES])
            rest = rest[WRITE_BYTES:]
            while self._backlogged and not self._head_done and self._fault is None:
                await self._wait()
            if self._head_done or self._fault is not None:
                return
        self._all_sent = True

    async def send_pieces(self, head: bytes, body: Streamed) -> None:
        """As :meth:`send`, with a body that is still arriving: each piece leaves when the provider has taken the last.

        Raises:
            Exception: whatever went wrong with the body; the request is not complete then.
        """
        self._forget()
        self._open().write(head)
        pump = self._loop.create_task(self._pump(body))
        pump.add_done_callback(lambda _: self._wake())
        try:
            while not (pump.done() or self._head_done or self._fault is not None):
                await self._wait()
        finally:
            if not pump.done():
                pump.cancel()
                await asyncio.wait([pump])
        if not pump.cancelled():
            pump.result()

    async def _pump(self, body: Streamed) -> None:
        transport = self._open()
        async with aclosing(body.pieces) as pieces:
            async for piece in pieces:
                if transport.is_closing():  # lost meanwhile; whoever waits for the head learns why
                    return
                if body.length_bytes is not None:
                    transport.write(piece)
                elif piece:
                    transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                while self._backlogged and not self._closed:
                    self._relieved = self._loop.create_future()
                    await self._relieved
        if transport.is_closing():
            return
        if body.length_bytes is None:
            transport.write(b"0\r\n\r\n")
        self._all_sent = True

    def _forget(self) -> None:
        self._parser = HttpResponseParser(self)
        self._pieces = []
        self._held = 0
        self._head_bytes = 0
        self._head_done = False
        self._has_length = False
        self._kept = False
        self.ended = False
        self._calls += 1
        self._all_sent = False
        self._sent_at = self._loop.time()
        self.status = 0
        self.headers = {}

    async def head(self) -> None:
        """Returns when the answer's head is in.

        Raises:
            UpstreamBroken: the connection died first, or what came is not HTTP.
        """
        while not self._head_done:
            if self._fault is not None:
                raise self._fault
            await self._wait()

    async def piece(self) -> bytes | None:
        """What of the body has arrived since; ``None`` at its end.

        Raises:
            UpstreamBroken: the connection died before the body's end.
        """
        while not self._pieces:
            if self.ended:
                return None
            if self._fault is not None:
                raise self._fault
            await self._wait()
        pieces, self._pieces, self._held = self._pieces, [], 0
        if not self._reading:
            self._reading = True
            self._open().resume_reading()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def is_drained(self) -> bool:
        """Whether the answer has ended and all of its body was taken."""
        return self.ended and not self._pieces

    @property
    def is_open(self) -> bool:
        """Whether another call can be sent."""
        return not self._closed and self._fault is None and not self._open().is_closing()

    @property
    def is_reusable(self) -> bool:
        """Whether the answer has ended, to a request that was read whole, and the connection stays open."""
        return self.ended and self._kept and self._all_sent and self.is_open

    @property
    def was_stale(self) -> bool:
        """Whether the provider had closed the kept connection before the call reached it; see :data:`STALE_S`."""
        lost = self._calls > 1 and self._head_bytes == 0 and self._lost_at >= self._sent_at > 0
        was_idle = self._sent_at - self.idle_since >= WAS_IDLE_S
        return lost and was_idle and self._lost_at - self._sent_at <= STALE_S

    def abort(self) -> None:
        """Cuts the connection: the provider sees it at once."""
        self._closed = True
        if self._transport is not None:
            self._transport.abort()

    def _open(self) -> asyncio.Transport:
        return cast(asyncio.Transport, self._transport)  # made before anyone else gets hold of a connection

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, message: str, inside: str) -> None:
        if self._fault is None:
            self._fault = UpstreamBroken(message, inside=inside)
        self.abort()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """From asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """From asyncio: bytes have come."""
        if self._parser is None or self.ended:
            self._fail(_NOT_HTTP, "bytes that nobody asked for")
            return
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:  # nobody asked for another protocol, either
            self._fail(_CUT if self._head_done else _NOT_HTTP, f"{type(error).__name__}")
            return
        if not self._head_done and self._head_bytes > MAX_HEAD_BYTES:
            self._fail(_NOT_HTTP, f"a head over {MAX_HEAD_BYTES} bytes")
            return
        if self._held > HELD_BYTES and self._reading and not self.ended:
            self._reading = False
            self._open().pause_reading()
        if self._head_done:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """From asyncio: the connection is gone. An answer without a length ends with it (RFC 9112, section 6.3)."""
        self._closed = True
        self._relieve()
        self._lost_at = self._loop.time()
        if self.ended:
            return
        if self._head_done and not self._has_length and error is None:
            self.ended = True
        elif self._fault is None:
            message = _CUT if self._head_done else _NO_ANSWER
            self._fault = UpstreamBroken(message, inside=f"connection lost: {type(error).__name__ if error else 'EOF'}")
        self._wake()

    def pause_writing(self) -> None:
        """From asyncio: what was written waits for the provider to read."""
        self._backlogged = True

    def resume_writing(self) -> None:
        """From asyncio: most of it has left."""
        self._backlogged = False
        self._relieve()
        self._wake()

    def _relieve(self) -> None:
        if self._relieved is not None and not self._relieved.done():
            self._relieved.set_result(None)

    def on_message_begin(self) -> None:
        """From the parser. Behind a whole answer nothing was asked for: refused, or it would mix with this or the next.

        Raises:
            ValueError: stops the parser, and so ends the connection.
        """
        if self.ended:
            raise ValueError("bytes that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        """From the parser. Trailers come here too, and change nothing."""
        if self._head_done:
            return
        name = name.lower()
        self.headers.setdefault(name, value)
        if name in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        """From the parser. Interim answers (1xx) are passed over."""
        self.status = cast(HttpResponseParser, self._parser).get_status_code()
        if self.status < 200:
            self.headers = {}
            self._has_length = False
            return
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        """From the parser."""
        self._pieces.append(body)
        self._held += len(body)

    def on_message_complete(self) -> None:
        """From the parser: the body is whole, by its length or its last chunk."""
        if self._head_done:
            self.ended = True
            # Asked here, because the parser forgets it with the next message (and a lost connection never gets here).
            self._kept = cast(HttpResponseParser, self._parser).should_keep_alive()
