"""A scripted provider on a loopback port: HTTP/1.1 with a hand on every byte.

What is answered is chosen by the request's ``model``. The server runs in a thread with a loop of its own, so that sync
and async tests use it alike. It keeps what it saw: requests, hits, open connections, and the clients that left before
their answer had ended.
"""

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from tests.fakes.scripts import Script, Step, status

_HEAD_BYTES_ALLOWED = 2 * 1024 * 1024
_REMEMBERED = 100_000
_MODEL_FIELD = re.compile(rb'form-data; name="model"\r\n\r\n([^\r]*)\r\n')


@dataclass(slots=True)
class Seen:
    """A request as it arrived, with the ``model`` its body names.

    Times are of ``time.monotonic``; one of the last two is set when it's over.
    """

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    model: str | None
    arrived_at: float
    answered_at: float | None = None
    aborted_at: float | None = None

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header; ``name`` in lower case."""
        return next((value for given, value in self.headers if given.lower() == name), None)


Chooser = Callable[[Seen], Script]


class FakeUpstream:
    """The server. ``scripts`` maps a model to its script, or to a function of the request that returns one; it may be
    changed while running, and functions run in the server's thread. Other models get ``default``, else a 404.

    Use it as a context manager; ``base_url`` is what an OpenAI client takes.
    """

    def __init__(self, scripts: Mapping[str, Script | Chooser] | None = None, default: Script | Chooser | None = None):
        self.scripts: dict[str, Script | Chooser] = dict(scripts or {})
        self.default = default
        self.early: Script | None = None
        """Answers every request as soon as its head is in; nothing of its body is read."""
        self.pause_s = 0.0
        """How long the body of a request is left unread behind its head."""
        self.idle_s: float | None = None
        """A connection that has carried a request is closed after so long without another."""
        self.crossing: Literal["fin", "rst"] | None = None
        """How a connection that has carried a request ends when another one comes: nothing of that one is read."""
        self.crossed = 0
        self.body_cuts: deque[int | None] = deque()
        """After how many bytes of their bodies the next requests are reset; ``None``: this one is read whole."""
        self.requests: deque[Seen] = deque(maxlen=_REMEMBERED)
        self.aborts: deque[Seen] = deque(maxlen=_REMEMBERED)
        self.hits = 0
        self.connections = 0
        self.open_connections = 0
        self.port = 0
        self.changed = threading.Condition()
        self._hits_of: Counter[str | None] = Counter()
        self._failures: list[Exception] = []
        self._live: set[_Connection] = set()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fake-upstream", daemon=True)

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:<port>/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    def hits_of(self, model: str) -> int:
        """How many requests named this model."""
        with self.changed:
            return self._hits_of[model]

    def wait_for(self, predicate: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """Return once ``predicate`` holds; it's asked whenever something happens here.

        Raises:
            AssertionError: it does not hold after ``timeout_s``.
        """
        with self.changed:
            held = self.changed.wait_for(predicate, timeout_s)
        assert held, f"not within {timeout_s} s; {self.hits} hits, {len(self.aborts)} aborts"

    async def until(self, predicate: Callable[[], bool], timeout_s: float = 10.0) -> None:
        """:meth:`wait_for` that leaves the test's loop running."""
        await asyncio.to_thread(self.wait_for, predicate, timeout_s)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive(), "the fake upstream did not stop"
        if error is None and self._failures:
            raise ExceptionGroup("the fake upstream's own failures", self._failures)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for connection in list(self._live):
            connection.drop()
        await server.wait_closed()
        await asyncio.gather(*(connection.over for connection in list(self._live)))
        await asyncio.sleep(0)  # the loop's turn in which the transports close their sockets

    def _remember(self, seen: Seen) -> None:
        with self.changed:
            self.requests.append(seen)
            self.hits += 1
            self._hits_of[seen.model] += 1
            self.changed.notify_all()

    def _settle(self, seen: Seen, aborted: bool) -> None:
        with self.changed:
            if aborted:
                seen.aborted_at = time.monotonic()
                self.aborts.append(seen)
            else:
                seen.answered_at = time.monotonic()
            self.changed.notify_all()

    def _choose(self, seen: Seen) -> Script:
        chosen = self.scripts.get(seen.model or "", self.default)
        if chosen is None:
            return status(404, f"no script for {seen.model!r}")
        return chosen if isinstance(chosen, Script) else chosen(seen)


class _Connection(asyncio.Protocol):
    """One connection: requests are read, remembered and answered in turn, and the client's leaving is seen at once.

    A protocol, not a stream: a stream reader has to be read to notice the end, and would take the next request's
    bytes with it.
    """

    def __init__(self, upstream: FakeUpstream) -> None:
        self._upstream = upstream
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._gone = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_used = False
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._upstream._live.add(self)
        with self._upstream.changed:
            self._upstream.connections += 1
            self._upstream.open_connections += 1
            self._upstream.changed.notify_all()
        self._task = asyncio.get_running_loop().create_task(self._converse(transport))

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._arrived.set()

    def eof_received(self) -> bool:
        self._leave()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        with self._upstream.changed:
            self._upstream.open_connections -= 1
            self._upstream.changed.notify_all()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def drop(self) -> None:
        """The server stops: end the connection whatever is under way."""
        if self._transport is not None:
            self._transport.abort()
        self._leave()

    def _leave(self) -> None:
        self._gone.set()
        self._arrived.set()
        self._writable.set()

    async def _converse(self, transport: asyncio.Transport) -> None:
        try:
            while (seen := await self._next(transport)) is not None:
                self._upstream._remember(seen)
                if not await self._answer(transport, seen, self._upstream._choose(seen)):
                    break
        except Exception as error:  # noqa: BLE001 - a faulty script or request: raised when the server is stopped
            self._upstream._failures.append(error)
        finally:
            transport.close()
            self._upstream._live.discard(self)
            self.over.set_result(None)

    async def _next(self, transport: asyncio.Transport) -> Seen | None:
        upstream = self._upstream
        if self._is_used:
            try:
                async with asyncio.timeout(upstream.idle_s):
                    if not self._received and not await self._more():
                        return None
            except TimeoutError:
                return None
            if upstream.crossing is not None:
                upstream.crossed += 1
                if upstream.crossing == "rst":
                    _reset(transport)
                return None
        self._is_used = True
        return await self._request(transport)

    async def _request(self, transport: asyncio.Transport) -> Seen | None:
        head = await self._until(b"\r\n\r\n")
        if head is None:
            return None
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        arrived_at = time.monotonic()
        if self._upstream.early is not None:
            transport.pause_reading()
            seen = Seen(method, path, headers, b"", None, arrived_at)
            self._upstream._remember(seen)
            await self._answer(transport, seen, self._upstream.early)
            transport.resume_reading()
            await self._gone.wait()
            return None
        if self._upstream.pause_s:
            transport.pause_reading()
            await asyncio.sleep(self._upstream.pause_s)
            transport.resume_reading()
        told = {name.lower(): value for name, value in headers}
        if told.get("expect", "").lower() == "100-continue":
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if told.get("transfer-encoding", "").lower() == "chunked":
            body = await self._chunked()
        else:
            if self._upstream.body_cuts and (cut := self._upstream.body_cuts.popleft()) is not None:
                await self._exactly(cut)
                _reset(transport)
                return None
            body = await self._exactly(int(told.get("content-length", "0")))
        return None if body is None else Seen(method, path, headers, body, _model(body), arrived_at)

    async def _chunked(self) -> bytes | None:
        pieces: list[bytes] = []
        while True:
            size = await self._until(b"\r\n")
            if size is None:
                return None
            data = await self._exactly(int(size.split(b";")[0], 16) + 2)
            if data is None or data == b"\r\n":
                return None if data is None else b"".join(pieces)
            pieces.append(data[:-2])

    async def _until(self, end: bytes) -> bytes | None:
        while (place := self._received.find(end)) < 0:
            if len(self._received) > _HEAD_BYTES_ALLOWED or not await self._more():
                return None
        return await self._exactly(place + len(end))

    async def _exactly(self, count: int) -> bytes | None:
        while len(self._received) < count:
            if not await self._more():
                return None
        taken = bytes(self._received[:count])
        del self._received[:count]
        return taken

    async def _more(self) -> bool:
        """Wait for bytes; false when none will come."""
        if self._gone.is_set():
            return False
        self._arrived.clear()
        await self._arrived.wait()
        return not self._gone.is_set()

    async def _answer(self, transport: asyncio.Transport, seen: Seen, script: Script) -> bool:
        """Play ``script``; whether the connection may be used again."""
        ended = script.steps[-1:] and script.steps[-1][0] in ("end", "fin", "rst", "hang")
        steps: tuple[Step, ...] = script.steps if ended else (*script.steps, ("end",))
        await self._pause(script.delay_s)
        self._write(transport, script.head())
        keeps = script.framing != "close" and script.raw_head is None
        for step in steps:
            if step[0] != "end":  # at the end no turn is given away: the answer is out, and its reader may leave
                await asyncio.sleep(0)
            if self._gone.is_set():
                break
            keeps = await self._play(transport, script, step) and keeps
        self._upstream._settle(seen, aborted=self._gone.is_set())
        return keeps

    async def _play(self, transport: asyncio.Transport, script: Script, step: Step) -> bool:
        """Do one step; whether the connection may be used after it."""
        if step[0] == "send":
            self._write(transport, script.framed(step[1]))
            await self._writable.wait()
        elif step[0] == "sleep":
            await self._pause(step[1])
        elif step[0] == "hang":
            await self._gone.wait()
        elif step[0] == "end":
            self._write(transport, b"0\r\n\r\n" if script.framing == "chunked" else b"")
        elif step[0] == "rst":
            _reset(transport)
        return step[0] not in ("fin", "rst")

    async def _pause(self, seconds: float) -> None:
        """Sleep, but wake when the client leaves."""
        if seconds > 0 and not self._gone.is_set():
            await asyncio.wait([gone := asyncio.ensure_future(self._gone.wait())], timeout=seconds)
            gone.cancel()

    def _write(self, transport: asyncio.Transport, data: bytes) -> None:
        if data and not transport.is_closing():
            transport.write(data)


def _reset(transport: asyncio.Transport) -> None:
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


def _model(body: bytes) -> str | None:
    if (field := _MODEL_FIELD.search(body, 0, 4096) or _MODEL_FIELD.search(body)) is not None:
        return field[1].decode()
    try:
        asked = json.loads(body)
    except ValueError:
        return None
    model = asked.get("model") if isinstance(asked, dict) else None
    return model if isinstance(model, str) else None
