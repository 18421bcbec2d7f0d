"""Load, and what its clients heard: a connection a call, so that every worker gets some, and a record of each.

Each call names itself, in ``x-request-id`` and in its prompt: its row, the provider's hit and what its client heard are
found by one name, even where the client heard nothing.
"""

import asyncio
import itertools
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httptools

CONTENT = re.compile(rb'"content": ?"((?:[^"\\]|\\.)+)"')
USAGE = re.compile(rb'"completion_tokens": ?(\d+)')
CODE = re.compile(rb'"code": ?"(\w+)"')


@dataclass(slots=True)
class Heard:
    """What the client of one call heard. ``status`` is ``None`` where not even a head came; times are seconds of
    CLOCK_MONOTONIC. ``words`` are the pieces of text, ``tokens`` those that the answer tells of itself."""

    call: str
    instance: str
    model: str
    began_s: float
    streamed: bool = False
    connected: bool = False
    status: int | None = None
    request_id: str | None = None
    retry_after: str | None = None
    code: str | None = None
    words: int = 0
    tokens: int | None = None
    cost_usd: str | None = None
    cache: str | None = None
    is_whole: bool = False
    ended_s: float = 0.0
    has_left: bool = False
    body: bytes = field(default=b"", repr=False)

    @property
    def took_s(self) -> float:
        """From the call to the end of what was heard."""
        return self.ended_s - self.began_s

    @property
    def is_answered(self) -> bool:
        """Whether the client has a whole answer of the model: that is what a row must be there for."""
        return self.status == 200 and self.is_whole


class _Client(asyncio.Protocol):
    """One connection, one call."""

    def __init__(self, heard: Heard, request: bytes) -> None:
        self._heard = heard
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._heard.connected = True
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.leave()

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"x-request-id":
                self._heard.request_id = value.decode("latin-1")
            case b"retry-after":
                self._heard.retry_after = value.decode("latin-1")
            case b"x-tollway-cost-usd":
                self._heard.cost_usd = value.decode("latin-1")
            case b"x-tollway-cache":
                self._heard.cache = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._heard.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._heard.is_whole = True
        self.leave()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def leave(self) -> None:
        """Closes the connection."""
        if self._transport is not None:
            self._transport.close()

    def note(self) -> None:
        """Writes down what the body says."""
        heard, body = self._heard, b"".join(self._body)
        heard.body = body[:20_000]
        heard.words = sum(1 for _ in CONTENT.finditer(body))
        told = USAGE.findall(body)
        heard.tokens = int(told[-1]) if told else None
        code = CODE.search(body) if heard.status != 200 else None
        heard.code = code[1].decode() if code else None
        if heard.streamed and heard.status == 200 and b"data: [DONE]" not in body:
            heard.is_whole = False  # an error event ends a stream properly, and is no answer


@dataclass(frozen=True, slots=True)
class Door:
    """An instance as clients know it. It may be away, and come back at the same port."""

    name: str
    port: int


class Load:
    """Makes calls and keeps what was heard. ``name`` begins every call's own name."""

    def __init__(self, name: str) -> None:
        self.heard: list[Heard] = []
        self._name = name
        self._numbers = itertools.count(1)

    async def call(
        self,
        door: Door,
        key: str,
        model: str,
        *,
        stream: bool = False,
        path: str = "/v1/chat/completions",
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        limit_tokens: int | None = None,
        leave_after_s: float | None = None,
        timeout_s: float = 60.0,
    ) -> Heard:
        """One call; its client leaves ``leave_after_s``, or gives up after ``timeout_s``. Never raises."""
        call = f"{self._name}-{next(self._numbers):06d}"
        if not isinstance(body, bytes):
            said: dict[str, Any] = {
                "model": model,
                **(body or {"messages": [{"role": "user", "content": f"call {call}"}]}),
            }
            said |= {"stream": True} if stream else {}
            said |= {"max_tokens": limit_tokens} if limit_tokens is not None else {}
            body = json.dumps(said).encode()
        sent = {"authorization": f"Bearer {key}", "x-request-id": call, **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        head = f"POST {path} HTTP/1.1\r\nhost: drill\r\ncontent-type: application/json\r\nconnection: close\r\n{lines}"
        request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        heard = Heard(call, door.name, model, time.monotonic(), stream)
        self.heard.append(heard)
        client = _Client(heard, request)
        try:
            async with asyncio.timeout(timeout_s if leave_after_s is None else leave_after_s):
                await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", door.port)
                await client.over
        except TimeoutError:
            heard.has_left = True
        except OSError:  # nobody listens: `connected` says so
            pass
        client.leave()
        heard.ended_s = time.monotonic()
        client.note()
        return heard

    async def at_once(self, count: int, doors: "list[Door]", key: str, model: str, **more: Any) -> list[Heard]:
        """So many calls together, in turn to each of ``doors``."""
        turns = itertools.islice(itertools.cycle(doors), count)
        return list(await asyncio.gather(*(self.call(door, key, model, **more) for door in turns)))

    async def steadily(self, rate: float, seconds: float, one: Callable[[int], Awaitable[Heard]]) -> None:
        """An open loop: ``one(number)`` is a call to be begun ``rate`` times a second, whatever became of the others.
        Returns when all have ended."""
        began = time.monotonic()
        under_way: set[asyncio.Future[Heard]] = set()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            under_way.add(asyncio.ensure_future(one(number)))
        await asyncio.gather(*under_way)
