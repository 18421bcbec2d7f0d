"""Where ASGI ends: one connection's head, body and answer, and the one place where errors become answers.

In: an ASGI scope. Out: an :class:`~tollway.proxy.exchange.Arrival` for the hallway, and whatever the client reads.
It never looks into a body.
"""

import asyncio
import os
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Protocol

from tollway._native.chat import ChatRequest
from tollway.contract.snapshot import Operation, Snapshot
from tollway.errors import (
    BodyTooLarge,
    GatewayError,
    InvalidRequest,
    MethodNotAllowed,
    RequestTimeout,
    ServerDraining,
    label_of,
)
from tollway.proxy.deadline import Deadline
from tollway.proxy.dialects.port import Dialect, refused
from tollway.proxy.exchange import Arrival, Timing
from tollway.proxy.pieces import Streamed, joined
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics
from tollway.wire.error_envelope import internal, render

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

WATCH_AFTER_S = 0.05
"""A client is watched for hanging up from here on; most calls to a fast provider never pay for the watch."""

PIECE_S = 15.0
"""A client that is sending a body may pause this long: one that sends nothing must not hold a connection for ever."""

BODY_S = 300.0
"""A body must be in after this long however it drips: 20 MiB over a line of 600 kbit/s."""

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:\-]{1,128}")


class Identities:
    """Ids for requests: UUIDv7 (RFC 9562, section 5.7), unique, and in the order of time, which keeps indexes compact.

    One a process, made after the last fork. They are unique, not secret, so the generator is seeded once: asking the
    system for each costs 17 µs.
    """

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(32))  # noqa: S311 -- unique, not secret

    def new(self) -> str:
        """Another one."""
        chance = self._random.getrandbits(74)
        milliseconds = time.time_ns() // 1_000_000
        value = (milliseconds << 80) | (0x7 << 76) | ((chance >> 62) << 64) | (0b10 << 62) | (chance & ((1 << 62) - 1))
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class ClientGone(Exception):
    """The client hung up before its answer was complete."""


class Connection:
    """One request's two directions.

    ``committed`` tells that a status line is out, ``gone`` that the client left, ``settled`` that station 8 has
    counted the call, ``is_opaque`` that what is out are bytes which no error event can follow. Stations add to
    ``answer_headers`` what any answer, also a refusal, is to carry.
    """

    __slots__ = (
        "_receive",
        "_send",
        "_timer",
        "_watch",
        "answer_headers",
        "committed",
        "gone",
        "headers",
        "is_opaque",
        "settled",
        "task",
        "upload",
    )

    upload: "Upload | None"
    """A form whose body is not all read when its call leaves; it has the connection's reading side until it is."""

    def __init__(self, headers: dict[bytes, bytes], receive: Receive, send: Send, task: "asyncio.Task[Any]") -> None:
        self.headers = headers
        self.answer_headers: Headers = []
        self._receive = receive
        self._send = send
        self.task = task
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None
        self.committed = False
        self.settled = False
        self.is_opaque = False
        self.gone = False
        self.upload = None

    async def body(
        self, limit_bytes: int, take: Callable[[int], None], *, piece_s: float = PIECE_S, body_s: float = BODY_S
    ) -> bytes:
        """The whole request body. ``take`` is told the size of each piece that has to wait for others.

        Raises:
            BodyTooLarge: it is longer than ``limit_bytes``; no more than that is ever held.
            ClientGone: the client left in the middle of it.
            RequestTimeout: it paused for ``piece_s``, or was not in after ``body_s``.
            GatewayError: what ``take`` raises.
        """
        declared = self.declared_length(limit_bytes)
        now = self.task.get_loop().time
        end = now() + body_s
        try:
            with Deadline(self.task, min(now() + piece_s, end)) as limit:
                return await self._body(declared, limit_bytes, take, lambda: limit.move(min(now() + piece_s, end)))
        except TimeoutError:
            message = f"The body paused for {piece_s:g} s, or was not complete after {body_s:g} s."
            raise RequestTimeout(message) from None

    async def _body(
        self, declared: int | None, limit_bytes: int, take: Callable[[int], None], arrived: Callable[[], None]
    ) -> bytes:
        pieces: list[bytes] = []
        held = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.gone = True
                raise ClientGone
            piece: bytes = message.get("body", b"")
            held += len(piece)
            if held > limit_bytes:
                raise BodyTooLarge(_too_large(limit_bytes))
            pieces.append(piece)
            if held == declared or not message.get("more_body"):
                return await joined(pieces, held)
            take(len(piece))
            arrived()

    def arriving(self, limit_bytes: int, *, piece_s: float = PIECE_S, body_s: float = BODY_S) -> "Arriving":
        """The request body piece by piece, within the bounds of :meth:`body`, whose errors it raises at once or later.

        Raises:
            BodyTooLarge: it says that it is longer than ``limit_bytes``.
            InvalidRequest: its length is no number.
        """
        return Arriving(self, self._receive, limit_bytes, piece_s, body_s)

    def declared_length(self, limit_bytes: int) -> int | None:
        """``content-length``, checked before anything is read or paid for; ``None`` for a chunked body.

        Raises:
            BodyTooLarge: it says more than ``limit_bytes``.
            InvalidRequest: it is no number.
        """
        text = self.headers.get(b"content-length")
        if text is None:
            return None
        if not text.isdigit():
            raise InvalidRequest("The content-length header must be a whole number of bytes.")
        if len(text) > 18 or int(text) > limit_bytes:
            raise BodyTooLarge(_too_large(limit_bytes))
        return int(text)

    def watch(self, after_s: float = WATCH_AFTER_S) -> None:
        """From ``after_s`` on, a client that hangs up cancels the task: the upstream is dropped with it."""
        self._timer = self.task.get_loop().call_later(after_s, self._start_watch)

    def _start_watch(self) -> None:
        self._watch = self.task.get_loop().create_task(self._await_hang_up())

    async def _await_hang_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()

    def unwatch(self) -> None:
        """Ends the watch; the answer is complete or nobody reads it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()

    async def start(self, status: int, headers: Headers) -> None:
        """Sends the head: from here on no other status is possible."""
        self.committed = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, body: bytes) -> None:
        """Sends a part of the body at once."""
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        """Sends the last part of the body."""
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _too_large(limit_bytes: int) -> str:
    return f"The body is larger than the {limit_bytes} bytes that this gateway takes."


class Arriving:
    """A request body as it arrives; whichever task asks."""

    def __init__(
        self, connection: Connection, receive: Receive, limit_bytes: int, piece_s: float, body_s: float
    ) -> None:
        self._connection = connection
        self._receive = receive
        self._limit_bytes = limit_bytes
        self._piece_s = piece_s
        self._body_s = body_s
        self._end = connection.task.get_loop().time() + body_s
        self.declared_bytes = connection.declared_length(limit_bytes)
        self.read_bytes = 0
        self.has_ended = self.declared_bytes == 0

    async def piece(self) -> bytes | None:
        """The next piece; ``None`` at the end.

        Raises:
            BodyTooLarge: it is longer than it may be.
            ClientGone: the client left in the middle of it.
            RequestTimeout: it paused too long, or takes too long in all.
        """
        if self.has_ended:
            return None
        now = self._connection.task.get_loop().time()
        try:
            async with asyncio.timeout_at(min(now + self._piece_s, self._end)):
                message = await self._receive()
        except TimeoutError:
            text = f"The body paused for {self._piece_s:g} s, or was not complete after {self._body_s:g} s."
            raise RequestTimeout(text) from None
        if message["type"] == "http.disconnect":
            self._connection.gone = True
            raise ClientGone
        piece: bytes = message.get("body", b"")
        self.read_bytes += len(piece)
        if self.read_bytes > self._limit_bytes:
            raise BodyTooLarge(_too_large(self._limit_bytes))
        self.has_ended = self.read_bytes == self.declared_bytes or not message.get("more_body")
        return piece


class Upload(Protocol):
    """A form on its way: its fields are known, its files may still be arriving."""

    @property
    def is_read(self) -> bool:
        """Whether the client's body is all in."""
        ...

    async def screen(self, check: Callable[[str, str], str]) -> None:
        """Has ``check`` look at every text by its field's name, now or when it arrives: it returns the text to send.

        Raises:
            tollway.errors.GatewayError: what ``check`` raises.
        """
        ...

    def streamed(self, request: ChatRequest, model: str) -> Streamed:
        """The form as a provider is to get it: for ``model``, and with the prompt that ``request`` holds."""
        ...

    def close(self) -> None:
        """The call is over: what is on disk goes."""
        ...


class Boundary:
    """A raw ASGI endpoint that runs one function of the data plane per request and renders what it raises.

    ``told`` maps headers to the dialects of the clients who send them, for paths that several dialects share.
    """

    def __init__(
        self,
        serve: Callable[[Arrival], Awaitable[None]],
        snapshot: Callable[[], Snapshot],
        in_flight: "InFlight",
        identities: Identities,
        *,
        methods: frozenset[str],
        dialect: Dialect,
        told: Mapping[bytes, Dialect] | None = None,
        operation: Operation = "chat",
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._serve = serve
        self._snapshot = snapshot
        self._in_flight = in_flight
        self._identities = identities
        self._methods = methods
        self._dialect = dialect
        self._told = told or {}
        self._operation = operation
        self._log = log
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; never raises but for cancellation from outside."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        task = current_task()
        connection = Connection(headers, receive, send, task)
        identity = self._identities.new()
        asked = headers.get(b"x-request-id")
        request_id = asked.decode("ascii") if asked is not None and _REQUEST_ID.fullmatch(asked) else identity
        arrival = Arrival(
            identity,
            request_id,
            headers,
            connection,
            Timing(),
            self._snapshot(),
            next((spoken for header, spoken in self._told.items() if header in headers), self._dialect),
            self._operation,
            scope["path"],
        )
        self._in_flight.add(task)
        self._metrics.entered()
        try:
            if scope["method"] not in self._methods:
                await self._refuse(arrival, method_not_allowed(scope["method"], self._methods))
                return
            await self._serve(arrival)
        except ClientGone:  # or a body that is no HTTP: whoever still listens is told
            await self._refuse(arrival, InvalidRequest("The body ended before it was complete."))
        except asyncio.CancelledError:
            task.uncancel()
            if not connection.gone:  # a shutdown that can't wait; the call has been settled on its way here
                await self._refuse(arrival, ServerDraining("This gateway is shutting down. Try again."))
        except Exception as error:  # noqa: BLE001 -- the boundary: every fault becomes an answer here, and a log line
            await self._refuse(arrival, error)
        finally:
            connection.unwatch()
            if connection.upload is not None:
                connection.upload.close()
            self._metrics.left()
            self._in_flight.remove(task)

    async def _refuse(self, arrival: Arrival, error: Exception) -> None:
        if not isinstance(error, GatewayError):
            self._log.error("defect", error=error, request_id=arrival.request_id)
        elif error.status >= 500:
            self._log.warning("failed", code=error.code, cause=error.inside, request_id=arrival.request_id)
        dialect, request_id = arrival.dialect, arrival.request_id
        rendered = render(error, request_id, lambda shown: dialect.envelope(refused(shown, request_id)))
        connection = arrival.connection
        connection.unwatch()  # nothing is left to be cut; a hang-up now must not cancel the refusal
        if not connection.settled:
            self._metrics.refused(label_of(error))
        if connection.committed:
            if connection.is_opaque:
                return  # without its end the server cuts the connection: what is out does not look complete
            known = error if isinstance(error, GatewayError) else internal(request_id)
            await connection.end(dialect.fault_event(refused(known, request_id)))  # only a stream is cut there
            return
        headers = [*rendered.headers, *connection.answer_headers]
        if dialect.answer_id_header != b"x-request-id":
            headers.append((dialect.answer_id_header, request_id.encode("ascii")))
        await connection.start(rendered.status, headers)
        await connection.end(rendered.body)


def current_task() -> "asyncio.Task[Any]":
    """The task that runs this request; looked up once, for it is slow in Python 3.11.

    Raises:
        RuntimeError: there is none, so nothing could be cancelled.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a request must be served by a task")
    return task


def method_not_allowed(method: str, allowed: frozenset[str]) -> GatewayError:
    """The error for a path that exists but not for this method."""
    shown = method if method.isalpha() and len(method) <= 16 else "This method"
    return MethodNotAllowed(f"{shown} is not allowed here; use {' or '.join(sorted(allowed))}.")


class InFlight:
    """How many requests this worker is serving; a drain waits until there are none."""

    def __init__(self) -> None:
        self.count = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, task: "asyncio.Task[Any]") -> None:
        """One more, run by ``task``."""
        self.count += 1
        self._idle.clear()
        self._tasks.add(task)

    def remove(self, task: "asyncio.Task[Any]") -> None:
        """The request of ``task`` has ended."""
        self.count -= 1
        self._tasks.discard(task)
        if self.count == 0:
            self._idle.set()

    async def idle(self) -> None:
        """Returns when nothing is being served."""
        await self._idle.wait()

    def cancel_all(self) -> None:
        """Ends everything now; each call still settles on its way out."""
        for task in tuple(self._tasks):
            task.cancel()
