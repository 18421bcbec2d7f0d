"""What the stations of the hallway hand to each other: each type is one station's result and the next one's input.

Reading the types in order is reading a request's life; ``hallway.py`` puts them together. Stations import this
module and not each other, so the type checker refuses a wrong order.
"""

import time
from typing import TYPE_CHECKING, Protocol

import msgspec

from tollway._native.chat import ChatAnswer, ChatRequest
from tollway._native.limits import Admission, LimitSet
from tollway._native.sse import Relay
from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Operation, Route, Snapshot, Target
from tollway.contract.usage import Outcome, UsageRow
from tollway.proxy.causes import Fault
from tollway.proxy.dialects.port import Dialect, Writer

if TYPE_CHECKING:
    from tollway.proxy.boundary import Connection


class Timing:
    """Nanoseconds spent per station, for ``server-timing``; one per request."""

    __slots__ = ("_last_ns", "spans", "started_ns")

    def __init__(self) -> None:
        self.started_ns = time.perf_counter_ns()
        self._last_ns = self.started_ns
        self.spans: list[tuple[str, int]] = []

    def mark(self, station: str) -> None:
        """Ends the span of ``station``, which began where the previous one ended."""
        now = time.perf_counter_ns()
        self.spans.append((station, now - self._last_ns))
        self._last_ns = now

    def elapsed_ns(self) -> int:
        """Nanoseconds since the request arrived."""
        return time.perf_counter_ns() - self.started_ns


class Principal(msgspec.Struct, frozen=True):
    """Who calls: the key's record, and its limits compiled for the ledger (``None``: unlimited)."""

    record: KeyRecord
    limits: LimitSet | None


class Arrival(msgspec.Struct, frozen=True):
    """A request at the door: only its head has been read. ``id`` is ours, ``request_id`` is for the client to see.

    ``operation`` is what its ``path`` asks for, ``dialect`` how its answer is said.
    """

    id: str
    request_id: str
    headers: dict[bytes, bytes]
    connection: "Connection"
    timing: Timing
    snapshot: Snapshot
    dialect: Dialect
    operation: Operation = "chat"
    path: str = ""


class Identified(msgspec.Struct, frozen=True):
    """Station 1's result: the caller is known."""

    arrival: Arrival
    principal: Principal


class Received(msgspec.Struct, frozen=True):
    """The body is in and can be understood."""

    arrival: Arrival
    principal: Principal
    request: ChatRequest


class Admitted(msgspec.Struct, frozen=True):
    """Station 2's result: requests, tokens and a concurrency slot are reserved (``None``: nothing is limited)."""

    arrival: Arrival
    principal: Principal
    request: ChatRequest
    reservation: Admission | None


class Screened(msgspec.Struct, frozen=True):
    """Station 3's result: ``request`` may go out; what had to be hidden is hidden."""

    arrival: Arrival
    principal: Principal
    request: ChatRequest


class Planned(msgspec.Struct, frozen=True):
    """Station 5's result: where the call goes."""

    arrival: Arrival
    request: ChatRequest
    route: Route
    target: Target


class UpstreamAnswer(Protocol):
    """An answer of a provider whose head is in and whose body is still arriving."""

    status: int
    warnings: tuple[str, ...]
    """Fields of the request that the provider can't take, and that were dropped."""
    secrets: tuple[str, ...]
    """What proved to the provider that the gateway may ask, such as a token made for it: not for clients to see."""

    @property
    def ended(self) -> bool:
        """Whether all of the body has been handed out: ``piece`` would return ``None`` at once."""
        ...

    def header(self, name: str) -> str | None:
        """The first value of a header, by lower-case name."""
        ...

    async def piece(self) -> bytes | None:
        """The next bytes of the body as they arrive; ``None`` at its end.

        Raises:
            tollway.errors.UpstreamBroken: the connection died before the body's end.
        """
        ...

    def fault(self, body: bytes) -> Fault:
        """Why it is a refusal: ``body`` is all of it, and says so, or the status does."""
        ...

    def event_fault(self, payload: bytes) -> Fault:
        """Why a stream failed: ``payload`` is the event that said so."""
        ...

    async def close(self) -> None:
        """Gives the connection back, or cuts it when the body has not ended."""
        ...


class Called(msgspec.Struct, frozen=True):
    """Station 6's result: a provider has begun to answer. ``deadline`` is of the event loop's clock, in seconds.

    ``asked`` is the operation that the provider was asked for, whose dialect its answer is in. It is the client's own,
    or ``chat``: then ``writer`` says the answer in the client's dialect, and ``warnings`` names the fields of the
    request that had no place in the hub.
    """

    arrival: Arrival
    request: ChatRequest
    route: Route
    target: Target
    answer: UpstreamAnswer
    deadline: float
    asked: Operation = "chat"
    writer: Writer | None = None
    warnings: tuple[str, ...] = ()


class Relayed(msgspec.Struct, frozen=True):
    """The answer is in; for a stream, all but its last bytes are out.

    ``body`` is what is still to be sent: a whole answer, or a stream's last event. ``headers`` is ``None`` when the
    head is out already.
    """

    arrival: Arrival
    status: int
    headers: list[tuple[bytes, bytes]] | None
    body: bytes
    outcome: Outcome


class Settled(msgspec.Struct, frozen=True):
    """Station 8's result: the row is in the journal, the reservation is true, and the rest may leave."""

    relayed: Relayed
    row: UsageRow


class Progress:
    """How far a call has come: what settlement needs when it ends at any point. One per request, filled on the way."""

    __slots__ = ("answer", "dispatched_at_us", "first_piece_ns", "http_status", "reader", "route", "target")

    def __init__(self) -> None:
        self.route: Route | None = None
        self.target: Target | None = None
        self.dispatched_at_us: int | None = None
        self.first_piece_ns: int | None = None
        self.http_status = 0
        self.reader: Relay | None = None
        self.answer: ChatAnswer | None = None

    def planned(self, route: Route, target: Target) -> None:
        """Where the call goes, should it leave."""
        self.route = route
        self.target = target

    def sent(self) -> None:
        """The request is on the wire: from here on the provider may bill it, so it gets a row whatever happens."""
        self.dispatched_at_us = time.time_ns() // 1_000
