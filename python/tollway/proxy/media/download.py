"""One GET to one socket address: a bounded answer in HTTP/1.1, without anything that could lead elsewhere.

In: an address that was looked up and found public, and the room that is left. Out: the claimed type and the bytes.
No redirect is followed, no proxy asked, no encoding undone, and no header of a client goes along.
"""

import asyncio
import ssl
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tollway import __version__
from tollway.proxy.media.address import IP, Address

MAX_HEAD_BYTES = 64 * 1024
"""A larger head is refused."""

READ_BYTES = 64 * 1024
"""So much is taken off a socket at once."""


_CUT = "The address's answer was cut before its end."
_NOT_HTTP = "The address does not answer in HTTP."
_ENCODED = "The address answers in an encoding that nobody asked for."


class Refused(Exception):
    """The download can't be had. The text is for the client: it names no address that was looked up."""


class Room:
    """What all downloads of a request may bring in together, in bytes."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._left = size_bytes

    def take(self, size_bytes: int) -> None:
        """Takes this much.

        Raises:
            Refused: there is no such room.
        """
        self.expect(size_bytes)
        self._left -= size_bytes

    def expect(self, size_bytes: int) -> None:
        """Makes sure there is this much, without taking it; raises as :meth:`take`."""
        if size_bytes > self._left:
            limit = f"{self._size_bytes // 2**20} MiB" if self._size_bytes >= 2**20 else f"{self._size_bytes} bytes"
            raise Refused(f"What the addresses of a request answer with may be {limit} together.")


async def connect(
    address: Address, at: IP, tls: ssl.SSLContext | None, within_s: float
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the host ``at``, which TLS makes prove that it is ``address.host``.

    Raises:
        OSError: there is none (``ssl.SSLError`` is one), or none in time (so is ``TimeoutError``).
    """
    name = address.host if tls else None
    async with asyncio.timeout(within_s):
        return await asyncio.open_connection(str(at), address.port, ssl=tls, server_hostname=name, limit=READ_BYTES)


async def download(
    address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, room: Room
) -> tuple[str, bytes]:
    """The ``content-type`` and the body; the connection is closed, however it ends.

    Raises:
        Refused: the answer is no plain 200, is too large, or ends early.
    """
    answer = _Answer(room)
    try:
        writer.write(_head(address))
        while not answer.ended:
            answer.feed(await reader.read(READ_BYTES))
    except OSError:
        raise Refused(_CUT) from None
    finally:
        cast(asyncio.Transport, writer.transport).abort()
    return answer.content_type, bytes(answer.body)


def _head(address: Address) -> bytes:
    fields = (
        f"host: {address.host_header}",
        f"user-agent: tollway/{__version__}",
        "accept: */*",
        "accept-encoding: identity",
        "connection: close",
    )
    return "\r\n".join((f"GET {address.target} HTTP/1.1", *fields, "", "")).encode("ascii")


class _Answer:
    """What has arrived; the parser calls the ``on_…`` methods."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._parser = HttpResponseParser(self)
        self._head_bytes = 0  # all that came while the head was not whole; what its fields hold
        self._header_bytes = 0
        self._head_done = False
        self._has_length = False
        self._headers: dict[bytes, bytes] = {}
        self._refusal: Refused | None = None
        self.body = bytearray()
        self.ended = False

    @property
    def content_type(self) -> str:
        """The header, or nothing."""
        return self._headers.get(b"content-type", b"").decode("latin-1")

    def feed(self, data: bytes) -> None:
        """The next bytes; none at the connection's end, with which an answer without a length ends, too.

        Raises:
            Refused: as :func:`download` says.
        """
        if not data:
            if not self._head_done or self._has_length:
                raise Refused(_CUT)
            self.ended = True
            return
        self._room.take(len(data))  # all that comes, so that a body in chunks of a byte has no advantage
        if not self._head_done:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if self._refusal is None and not self.ended:
                raise Refused(_NOT_HTTP) from None
        if self._refusal is not None:
            raise self._refusal
        if not self._head_done and self._head_bytes > MAX_HEAD_BYTES:
            raise Refused(_NOT_HTTP)

    def on_header(self, name: bytes, value: bytes) -> None:
        """From the parser. Trailers come here too, and change nothing."""
        if self._head_done:
            return
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > MAX_HEAD_BYTES:
            self._refuse(Refused(_NOT_HTTP))
        self._headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        """From the parser. Interim answers (1xx) are passed over.

        Raises:
            Refused: the head says that no body of use follows; the parser stops, and ``feed`` raises it.
        """
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self._headers = {}
            return
        self._head_done = True
        self._has_length = b"content-length" in self._headers or b"transfer-encoding" in self._headers
        if 300 <= status < 400:
            self._refuse(Refused("The address answers with a redirect: give the one that it leads to."))
        if status != 200:
            self._refuse(Refused(f"The address answers with status {status}."))
        if self._headers.get(b"content-encoding", b"identity").lower() != b"identity":
            self._refuse(Refused(_ENCODED))
        if self._headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            self._refuse(Refused(_ENCODED))
        try:
            self._room.expect(int(self._headers.get(b"content-length", b"0")))
        except Refused as refusal:
            self._refuse(refusal)

    def on_body(self, body: bytes) -> None:
        """From the parser."""
        self.body += body

    def on_message_complete(self) -> None:
        """From the parser: the body is whole."""
        if self._head_done:
            self.ended = True

    def _refuse(self, refusal: Refused) -> None:
        """Raised through the parser, which stops then; kept, since the parser hides it behind an error of its own."""
        self._refusal = self._refusal or refusal
        raise refusal
