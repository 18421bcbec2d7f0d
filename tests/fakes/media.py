"""Where images and files lie: a host on loopback that counts who comes, and a fetcher that only looks things up."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from tollway.proxy.media.fetch import Fetched, Wanted

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
JPEG = b"\xff\xd8\xff\xe0" + bytes(32)
PDF = b"%PDF-1.7\n" + b"x" * 32


class ServedMedia:
    """A fetcher that has what it is given, and remembers what it was asked for."""

    def __init__(self, held: Mapping[str, Fetched] | None = None) -> None:
        self._held = held or {}
        self.asked: list[Wanted] = []

    async def fetch(self, wanted: Sequence[Wanted]) -> list[Fetched]:
        """What it has."""
        self.asked += wanted
        return [self._held[each.url] for each in wanted]


class Host:
    """A server on a loopback port. ``answer`` is written as it is to whoever asks; ``hits`` counts connections."""

    def __init__(self, answer: bytes, hang: bool, drip_s: float | None) -> None:
        self.answer = answer
        self.port = 0
        self.hits = 0
        self.open = 0
        self.most_open = 0
        self.heads: list[bytes] = []
        self._changed = asyncio.Condition()
        self._hang = hang
        self._drip_s = drip_s

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.hits += 1
        await self._count(1)
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            await asyncio.sleep(0.01)
            writer.write(self.answer)
            while self._drip_s is not None:
                await asyncio.sleep(self._drip_s)
                writer.write(b"x")
                await writer.drain()
            if self._hang:
                await reader.read()
            writer.close()
            await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
        finally:
            await self._count(-1)

    async def until(self, true: Callable[[], bool]) -> None:
        """Returns once a fact about ``open`` holds."""
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(true)

    async def _count(self, more: int) -> None:
        async with self._changed:
            self.open += more
            self.most_open = max(self.most_open, self.open)
            self._changed.notify_all()


@asynccontextmanager
async def host(
    answer: bytes = b"", *, hang: bool = False, drip_s: float | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Host]:
    """Serves until the block ends and its clients have left; with ``hang`` a connection stays open behind its answer,
    with ``drip_s`` a byte follows at every such time."""
    serving = Host(answer, hang, drip_s)
    server = await asyncio.start_server(serving.serve, "127.0.0.1", 0, ssl=tls)
    serving.port = server.sockets[0].getsockname()[1]
    try:
        yield serving
    finally:
        server.close()
        await serving.until(lambda: not serving.open)


def found(body: bytes, media_type: str = "image/png", *more: str, status: str = "200 OK") -> bytes:
    """An answer with a length."""
    fields = (f"content-type: {media_type}", f"content-length: {len(body)}", *more)
    return "\r\n".join((f"HTTP/1.1 {status}", *fields, "", "")).encode() + body


def chunked(*pieces: bytes, media_type: str = "image/png") -> bytes:
    """An answer in chunks."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def resolving(*numbers: str) -> "Names":
    """A resolver that answers with these."""
    return Names(lambda _: list(numbers))


class Names:
    """A resolver; ``answers`` gets how often it was asked before."""

    def __init__(self, answers: Callable[[int], list[str]]) -> None:
        self._answers = answers
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, name: str, port: int) -> list[str]:
        """The numbers."""
        self.asked.append((name, port))
        return self._answers(len(self.asked) - 1)
