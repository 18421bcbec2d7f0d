"""HTTP to providers: pools of kept connections, one an origin; TLS with the system's trust store.

No redirects are followed: a provider that answers one is misconfigured or hostile, and a key must not go where it
points. No proxy is taken from the environment. Answers are asked for uncompressed, so that they pass through.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Sequence
from urllib.parse import urlsplit

from tollway import __version__
from tollway.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from tollway.proxy.causes import Fault
from tollway.proxy.providers.connection import Connection
from tollway.proxy.providers.port import Faults, UpstreamRequest

IDLE_S = 55.0
"""Idle connections are used again within this time: below the 60 s after which load balancers commonly cut them."""

MAX_IDLE_PER_ORIGIN = 512
"""Idle connections kept to one origin by one worker."""

_PROOFS = frozenset({"authorization", "api-key", "x-api-key", "x-goog-api-key", "x-amz-security-token"})
"""The headers that hold a key or a token."""

_COMMON = f"user-agent: tollway/{__version__}\r\naccept: */*\r\naccept-encoding: identity\r\n"


class HttpTransport:
    """All of a worker's connections to providers."""

    def __init__(self) -> None:
        self._tls = ssl.create_default_context()
        self._pools: dict[tuple[str, str], _Pool] = {}  # one a configured provider, so bounded

    async def send(self, request: UpstreamRequest) -> "HttpAnswer":
        """Sends the request; returns when the answer's head is in. Errors as :class:`~.port.Provider` says."""
        parts = urlsplit(request.url)
        origin = (parts.scheme, parts.netloc)
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _Pool(request.url, self._tls)
        head = _head(parts.netloc, request)
        if request.upload is not None:  # can't be sent again, so it takes no connection that may be stale
            return await self._ask(await pool.connect(request.connect_s), pool, head, request)
        connection = await pool.take(request.connect_s)
        try:
            return await self._ask(connection, pool, head, request)
        except UpstreamBroken:
            if not connection.was_stale:
                raise
        # Nothing was lost but a race with the provider's own idle timer. Once, on a connection that was never idle.
        return await self._ask(await pool.connect(request.connect_s), pool, head, request)

    async def _ask(self, connection: Connection, pool: "_Pool", head: bytes, request: UpstreamRequest) -> "HttpAnswer":
        try:
            request.sent()
            if request.upload is None:
                await connection.send(head, request.body)
            else:
                await connection.send_pieces(head, request.upload)
            await connection.head()
        except BaseException:  # also a cancelled call: the provider is to see that nobody waits any more
            connection.abort()
            raise
        return HttpAnswer(connection, pool, request.faults, _proofs(request.headers))

    def close(self) -> None:
        """Closes every idle connection."""
        for pool in self._pools.values():
            pool.close()


class HttpAnswer:
    """An answer whose body is read piece by piece."""

    __slots__ = ("_connection", "_faults", "_pool", "secrets", "status", "warnings")

    def __init__(self, connection: Connection, pool: "_Pool", faults: Faults, secrets: tuple[str, ...] = ()) -> None:
        self._connection = connection
        self._pool = pool
        self._faults = faults
        self.status = connection.status
        self.warnings: tuple[str, ...] = ()
        self.secrets = secrets

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        value = self._connection.headers.get(name.encode())
        return None if value is None else value.decode("latin-1")

    @property
    def ended(self) -> bool:
        """Whether all of the body has been handed out."""
        return self._connection.is_drained

    async def piece(self) -> bytes | None:
        """The next bytes as they came off the wire; ``None`` at the end."""
        return await self._connection.piece()

    def fault(self, body: bytes) -> Fault:
        """As the provider's faults are read."""
        return self._faults.fault(self.status, self.header, body)

    def event_fault(self, payload: bytes) -> Fault:
        """As the provider's faults are read."""
        return self._faults.event_fault(payload)

    async def close(self) -> None:
        """Returns the connection to the pool when the body has ended, else cuts it: the provider sees that we left."""
        if self._connection.is_reusable:
            self._pool.give_back(self._connection)
        else:
            self._connection.abort()


class _Pool:
    """Connections to one origin; the one used last is used first, so that the others may grow old."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._tls = tls if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._idle: deque[Connection] = deque()

    async def take(self, connect_s: float) -> Connection:
        """A connection that is open as far as this end can know."""
        freshest = asyncio.get_running_loop().time() - IDLE_S
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and connection.idle_since > freshest:
                return connection
            connection.abort()
        return await self.connect(connect_s)

    async def connect(self, connect_s: float) -> Connection:
        """A new connection.

        Raises:
            UpstreamTimeout: there is none within ``connect_s``.
            UpstreamUnreachable: there is none at all.
        """
        loop = asyncio.get_running_loop()
        name = self._host if self._tls else None
        try:
            async with asyncio.timeout(connect_s):
                _, connection = await loop.create_connection(
                    Connection, self._host, self._port, ssl=self._tls, server_hostname=name
                )
        except TimeoutError:
            raise UpstreamTimeout("The provider could not be reached in time.", inside="connect timeout") from None
        except OSError as error:  # name, route, refusal, TLS (ssl.SSLError is one)
            raise UpstreamUnreachable("The provider could not be reached.", inside=str(error)) from None
        return connection

    def give_back(self, connection: Connection) -> None:
        """The connection is idle."""
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
        if len(self._idle) > MAX_IDLE_PER_ORIGIN:
            self._idle.popleft().abort()

    def close(self) -> None:
        """Closes what is idle."""
        while self._idle:
            self._idle.pop().abort()


def _proofs(headers: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The keys and tokens among ``headers``, without the scheme in front."""
    return tuple([value.removeprefix("Bearer ") for name, value in headers if name.lower() in _PROOFS])


def _head(host: str, request: UpstreamRequest) -> bytes:
    """The request's head as it goes on the wire (RFC 9112).

    Raises:
        ValueError: a header holds a line break; the configuration checks forbid it, this makes sure.
    """
    path = request.url.partition("://")[2].removeprefix(host)
    headers, upload = request.headers, request.upload
    length = f"content-length: {len(request.body)}\r\n" if request.method == "POST" else ""  # RFC 9110, section 8.6
    if upload is not None:
        headers = [*(each for each in headers if each[0] != "content-type"), ("content-type", upload.content_type)]
        is_known = upload.length_bytes is not None
        length = f"content-length: {upload.length_bytes}\r\n" if is_known else "transfer-encoding: chunked\r\n"
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers):
        raise ValueError("a header holds a line break")
    head = f"{request.method} {path} HTTP/1.1\r\nhost: {host}\r\n{_COMMON}{fields}{length}\r\n"
    return head.encode("latin-1")
