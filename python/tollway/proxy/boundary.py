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
from typing import Any

from tollway.contract.snapshot import Operation, Snapshot
from tollway.errors import (
    CacheMissed,
    GatewayError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    ServerDraining,
    label_of,
)
from tollway.proxy.connection import ClientGone, Connection, Lines, Receive, Send
from tollway.proxy.dialects.port import Dialect, refused
from tollway.proxy.exchange import ATTEMPTS, Arrival, Timing
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics
from tollway.wire.error_envelope import internal, render

Scope = MutableMapping[str, Any]

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
        lines: Lines,
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
        self._lines = lines
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
        connection = Connection(headers, receive, send, task, self._lines)
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
            self._spoken(headers) if self._told else self._dialect,
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
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
                raise
            # Native code has panicked: its words may quote a text, so they are not repeated.
            await self._refuse(arrival, InternalError("The request could not be served.", inside=type(error).__name__))
        finally:
            connection.close()
            self._metrics.left()
            self._in_flight.remove(task)

    def _spoken(self, headers: Mapping[bytes, bytes]) -> Dialect:
        return next((spoken for header, spoken in self._told.items() if header in headers), self._dialect)

    async def _refuse(self, arrival: Arrival, error: Exception) -> None:
        if not isinstance(error, GatewayError):
            self._log.error("defect", error=error, request_id=arrival.request_id)
        elif error.status >= 500 and not isinstance(error, CacheMissed):
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
        if all(name != ATTEMPTS for name, _ in headers):
            headers.append((ATTEMPTS, b"0"))
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
