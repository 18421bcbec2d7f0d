"""What the stations of the hallway hand to each other: each type is one station's result and the next one's input.

Reading the types in order is reading a request's life; ``hallway.py`` puts them together. Stations import this
module and not each other, so the type checker refuses a wrong order.
"""

import asyncio
import time
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import msgspec

from tollway._native.chat import ChatAnswer, ChatRequest
from tollway._native.limits import Admission, LimitSet
from tollway._native.routing import Pool, Ranking
from tollway._native.sse import Relay
from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Operation, ProviderAccess, Route, Snapshot, Target
from tollway.contract.usage import Outcome, UsageRow
from tollway.errors import InvalidRequest
from tollway.proxy.causes import Fault
from tollway.proxy.connection import Connection
from tollway.proxy.dialects.port import Dialect, Writer
from tollway.proxy.guard import Guard

ATTEMPTS = b"x-tollway-attempts"
"""The header that says how many calls of providers were made for an answer."""

STRICT = b"x-tollway-strict"
"""With ``true``, what a target can't take is refused instead of dropped with a warning."""

DRY_RUN = b"x-tollway-dry-run"
"""With ``route``, the answer is where the call would go; nobody is called."""


USER = b"x-tollway-user"
"""The client's own name for its end user; it counts instead of the body's."""


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

    def upstream_ns(self) -> int:
        """Nanoseconds in which providers were waited for."""
        return sum([ns for station, ns in self.spans if station in ("call", "relay")])


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
    connection: Connection
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


class Growing(Protocol):
    """What hears how long an answer becomes. Nothing need be told before ``next_bytes`` of text have been said."""

    @property
    def next_bytes(self) -> int:
        """When it wants to hear again."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the answer was ended by it."""
        ...

    def reach(self, said_bytes: int) -> None:
        """So many bytes of text have been said.

        Raises:
            tollway.errors.RateLimited: the answer may not go on.
        """
        ...


def user_of(received: "Received | Screened | Planned") -> str | None:
    """Whom the call is for: the key's own user, else who the client says it is, in a header or in the body."""
    own = received.principal.record.user_id
    if own is not None:
        return own
    named = received.arrival.headers.get(USER)
    return named.decode("utf-8", "replace") if named else received.request.user


class Admitted(msgspec.Struct, frozen=True):
    """Station 2's result: requests, tokens and a concurrency slot are reserved (``None``: nothing is limited).

    ``growth`` reserves more while a stream that is limited flows. ``output_tokens`` is what the answer is
    taken to have: as the client bounds it, else as answers of the model have had of late.
    """

    arrival: Arrival
    principal: Principal
    request: ChatRequest
    reservation: Admission | None
    growth: Growing | None = None
    output_tokens: int = 0


class Screened(msgspec.Struct, frozen=True):
    """Station 3's result: ``request`` may go out; what had to be hidden is hidden.

    ``guard`` is ``None`` where no policy looks at the call. With a ``refusal`` nothing may go out: it is the reason,
    for a client who is to have an answer and no error.
    """

    arrival: Arrival
    principal: Principal
    request: ChatRequest
    guard: Guard | None = None
    refusal: str | None = None


class Filling(Protocol):
    """What becomes of a provider's answer. Whatever ends the block is the end of it, for those who wait for it too."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def hear(self, attempted: "Attempted") -> None:
        """An answer begins to leave."""
        ...

    def keep(self, settled: "Settled") -> None:
        """It has left: it is kept, if it may be. Never waits."""
        ...


class LookedUp(msgspec.Struct, frozen=True):
    """Station 4's result: an answer that was kept is ``recalled`` and may be relayed; or a provider has to be asked,
    and ``filling`` has its answer."""

    screened: Screened
    filling: Filling
    recalled: "Attempted | None" = None


class Planned(msgspec.Struct, frozen=True):
    """Station 5's result: who may be asked, and in which order.

    ``ranking.order`` holds indices into ``route.targets``, best first; ``pool`` is what the board knows these targets
    by. ``rule`` is the name of the rule that held. ``skipped`` tells of targets that were left out before they were
    ranked, by index, and why.
    """

    arrival: Arrival
    principal: Principal
    request: ChatRequest
    route: Route
    pool: Pool
    ranking: Ranking
    rule: str | None = None
    skipped: tuple[tuple[int, str], ...] = ()
    guard: Guard | None = None

    @property
    def is_dry_run(self) -> bool:
        """Whether the client only wants to know where its call would go.

        Raises:
            InvalidRequest: it asks for something else that is dry.
        """
        asked = self.arrival.headers.get(DRY_RUN)
        if asked not in (None, b"route"):
            name = DRY_RUN.decode()
            raise InvalidRequest(f"The header {name} knows one value: route.", param=name)
        return asked is not None


class Dispatch(msgspec.Struct, frozen=True):
    """One call of one target, with one of its provider's keys, run by ``task``.

    Everything about it is over at ``deadline``, of the event loop's clock, in seconds.
    """

    arrival: Arrival
    request: ChatRequest
    route: Route
    target: Target
    access: ProviderAccess
    task: "asyncio.Task[Any]"
    deadline: float
    guard: Guard | None = None


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
    """A provider has begun to answer one call, which is still to be judged. ``task`` and ``deadline`` are the call's.

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
    task: "asyncio.Task[Any]"
    asked: Operation = "chat"
    writer: Writer | None = None
    warnings: tuple[str, ...] = ()
    guard: Guard | None = None


class Begun(Protocol):
    """An answer of which the first that may leave is in hand; nothing of it has left."""

    @property
    def called(self) -> Called:
        """Whose answer it is."""
        ...

    @property
    def fault(self) -> Fault | None:
        """Why it is a refusal, if it is one."""
        ...

    async def finish(self) -> "Relayed":
        """Passes the answer on, but for its end. A stream that breaks never raises: its end says so."""
        ...

    async def close(self) -> None:
        """Gives the connection back, or cuts it when the answer has not ended."""
        ...


class Held(Protocol):
    """A target's place that a call takes: until it ends, the board counts it in flight."""

    def end(self, outcome: Outcome | None) -> None:
        """The call is over; ``None``: it was given up here, and tells nothing of the target. Again: nothing more."""
        ...


class Attempted(msgspec.Struct, frozen=True):
    """Station 6's result: the answer that the client is to have, be it a refusal; and how far its call has come."""

    begun: Begun
    held: Held
    progress: "Progress"


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


class Reserved(Protocol):
    """The money that is held for a call: until it is settled, nobody else can spend it."""

    @property
    def charged(self) -> tuple[str, ...]:
        """The names of the purses that it is taken from."""
        ...

    def pay(self, picousd: int) -> None:
        """Spends what one of its calls of providers has cost; with the first, what was held goes back."""
        ...

    def cancel(self) -> None:
        """Gives back what was held: no provider was called."""
        ...

    def grow(self, output_tokens: int) -> bool:
        """Holds enough for so many tokens of output in all, if every purse has it; else nothing changes."""
        ...


class Settled(msgspec.Struct, frozen=True):
    """Station 8's result: the row is in the journal, the reservation is true, and the rest may leave."""

    relayed: Relayed
    row: UsageRow


class Tried(msgspec.Struct):
    """One call of a provider, for the record. Times are nanoseconds since the request arrived, ``key`` is the name of
    the provider's key.

    ``result`` is ``ok``, ``pending``, ``abandoned``, the name of a provider's refusal (``causes.Cause``) or the code
    of an error of ours; ``then`` is what was done about it.
    """

    alias: str
    target: str
    key: str
    began_ns: int
    took_ns: int = 0
    status: int = 0
    result: str = "pending"
    then: str = ""


class Trail(msgspec.Struct):
    """Where a request has been: its plans, aliases that it could not turn to and why, the calls that were made, how far
    second ones at the same time have come (``legs``), and which of all are billed beside the one that counted.
    ``growth`` hears how long the answer becomes. ``cache`` is what station 4 made of it, empty where nobody asked."""

    plans: list[Planned] = []
    refused: list[tuple[str, str]] = []
    tried: list[Tried] = []
    legs: list["Progress"] = []
    beside: list["Progress"] = []
    growth: Growing | None = None
    cache: str = ""


class Recalled(msgspec.Struct):
    """An answer comes from the cache. ``saved_picousd`` is what it cost when it was given first, as far as that is
    known; filled on the way."""

    cache: Literal["exact", "semantic"]
    saved_picousd: int | None = None


class Progress(msgspec.Struct, eq=False):
    """How far a call has come: what settlement needs when it ends at any point. Filled on the way.

    One per request; of calls that are made at the same time, one for each, on one trail.
    """

    trail: Trail = msgspec.field(default_factory=Trail)
    dispatched_at_us: int | None = None
    route: Route | None = None
    target: Target | None = None
    first_piece_ns: int | None = None
    http_status: int = 0
    reader: Relay | None = None
    answer: ChatAnswer | None = None
    recalled: Recalled | None = None

    def planned(self, route: Route, target: Target) -> None:
        """Where the call goes next, should it leave: nothing that another attempt brought counts any more, but for
        when the first one left."""
        self.route = route
        self.target = target
        self.first_piece_ns = None
        self.http_status = 0
        self.reader = None
        self.answer = None

    def sent(self) -> None:
        """The request is on the wire: from here on the provider may bill it, so it gets a row whatever happens."""
        if self.dispatched_at_us is None:
            self.dispatched_at_us = time.time_ns() // 1_000
