"""What hosts tell each other of targets: that one has opened, asked to be left alone, or works again.

In: what this host's calls have found. Out: what other hosts have found, on the board. It never waits, never raises and
holds a bounded number of messages: each host keeps to its own word while Redis is away, and a message that is lost
costs a few calls, not an answer. With Redis, probes of a half-open are handed out over all hosts (``grants.py``).

Each message is published, and kept under a key for a host that comes later. Their times are by the clock of Redis,
which every host reads twice a second (:meth:`tollway.storage.redis.RedisLink.now_ms`): hosts' own clocks need
not agree, and a message that was held up somewhere does not close a target for longer than was meant.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from importlib import import_module
from random import SystemRandom
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from tollway._native.routing import Board, Names
from tollway.contract.routing import FOR_GOOD_MS, Breaker
from tollway.proxy.routing.grants import LEASE, REST, Asks, Grants
from tollway.storage.commands import Command, first_of
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tollway.storage.redis import RedisLink

CHANNEL = "tollway:routing"
OPENED = "tollway:routing:opened:"
COOLED = "tollway:routing:cooled:"

LONGEST_COOLING_MS = 3_600_000
"""No other host's word keeps a target from being asked for longer. Its openings last ``max_cooldown_s`` at most."""

MOST_WAITING = 1_024
"""Messages that wait for Redis; of each target only the last ones do."""

TURN_S = 0.1

_LARGEST_MESSAGE_BYTES = 1_024
_CLOSED_MATTERS_MS = 3_000
_CLOSED_LEASE_MS = 1_000
_LINGERS_MS = 300_000
_LEAST_PAUSE_S = 0.01
_MOST_SENT_AT_ONCE = 256
_MOST_LEARNED_AT_ONCE = 256

Kind = Literal["opened", "cooled", "closed"]
Name = Annotated[str, Meta(min_length=1, max_length=512)]


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one host says, as MessagePack. Another version is another number, and not understood. ``until_ms`` is by the
    clock of Redis, 0 for a closing."""

    version: Literal[1]
    host: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Kind
    name: Name
    until_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0
    limited: bool = False


class Neighbours(Protocol):
    """The other hosts, to whoever makes calls. The methods return at once, whatever happens.

    Names are those of the board: ``provider/model``, or ``provider#key``. ``until_ms`` is Unix time.
    """

    def opened(self, name: str, until_ms: int) -> None:
        """A breaker of ours has opened."""

    def cooled(self, name: str, until_ms: int, limited: bool) -> None:
        """A target or a key asked to be left alone until then; ``limited``: because of a rate limit."""

    def closed(self, name: str) -> None:
        """A breaker of ours has closed."""

    async def follow(self) -> None:
        """Tells and hears, for ever; ends when it is cancelled, with nothing left open."""


class Alone:
    """No other hosts are known of: there is no Redis."""

    link = None

    def opened(self, name: str, until_ms: int) -> None:
        """Nobody is told."""

    def cooled(self, name: str, until_ms: int, limited: bool) -> None:
        """Nobody is told."""

    def closed(self, name: str) -> None:
        """Nobody is told."""

    async def follow(self) -> None:
        """Nobody is heard."""
        await asyncio.Event().wait()


class Link(Asks, Protocol):
    """What is needed of a :class:`tollway.storage.redis.RedisLink`."""

    @property
    def connected(self) -> bool:
        """Whether Redis answers."""

    @property
    def connections(self) -> int:
        """Another number: something may have been missed."""

    def now_ms(self) -> int:
        """The time by its clock."""

    def run(self) -> Coroutine[None, None, None]:
        """Keeps the connections."""


OpenLink = Callable[[Callable[[bytes], None], Callable[[bool], None]], Link]
"""Makes a link, of what hears messages and what is told when Redis is lost and back."""

Known = Callable[[], Mapping[str, Breaker]]
"""The breakers of all targets and keys by name; the same mapping until there is another one."""


class _Waiting(msgspec.Struct, frozen=True):
    """A message that was not sent yet. Times are our own; it means nothing after ``matters_until_ms``."""

    kind: Kind
    until_ms: int
    limited: bool
    matters_until_ms: int


class RedisNeighbours:
    """Other hosts, over Redis. ``host`` names this one, in 64 characters at most: the same in all its workers, unlike
    any other's. Whoever else has something to ask of Redis may use ``link``.

    Until Redis answers, and while it does not, ``board.grants_itself`` is true; else false.
    """

    def __init__(
        self,
        board: Board,
        known: Known,
        host: str,
        open_link: OpenLink,
        metrics: Metrics,
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        steady_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._known_of = known
        self._known: Mapping[str, Breaker] = {}
        self._names = Names(())
        self.host = host
        self.link = self._link = open_link(self._hear, self._changed)
        self._metrics = metrics
        self._wall_ms = wall_ms
        self._steady_s = steady_s
        self._grants = Grants(board, self._link, host, SystemRandom())
        self._decoder = msgspec.msgpack.Decoder(Message)
        self._encoder = msgspec.msgpack.Encoder()
        self._waiting: dict[tuple[str, bool], _Waiting] = {}
        self._wake = asyncio.Event()
        self._connections = 0
        self._memory = b""
        self._heard_of: set[str] | None = None

    def opened(self, name: str, until_ms: int) -> None:
        """Told before long."""
        self._grants.watch(name)
        self._put(name, _Waiting("opened", until_ms, False, until_ms))

    def cooled(self, name: str, until_ms: int, limited: bool) -> None:
        """Told before long."""
        self._put(name, _Waiting("cooled", until_ms, limited, until_ms))

    def closed(self, name: str) -> None:
        """Told before long, or not at all."""
        self._waiting.pop((name, True), None)
        self._put(name, _Waiting("closed", 0, False, self._wall_ms() + _CLOSED_MATTERS_MS))

    async def follow(self) -> None:
        """Tells and hears, for ever."""
        await first_of(self._link.run(), self._turns())

    async def turn(self) -> None:
        """Says what waits, and sees to the probes. One is made at least every :data:`TURN_S`."""
        link = self._link
        if not link.connected:
            return
        self._follow_names()
        if link.connections != self._connections or link.memory != self._memory:
            await self._arrive()
        await self._send()
        await self._grants.hand_out(self._names, self._known, self._wall_ms(), self._steady_s())

    async def _turns(self) -> None:
        while True:
            self._wake.clear()
            await self.turn()
            await asyncio.sleep(_LEAST_PAUSE_S)  # many events at once are one turn's
            try:
                async with asyncio.timeout(TURN_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _changed(self, connected: bool) -> None:
        self._board.grants_itself = not connected

    def _follow_names(self) -> None:
        known = self._known_of()
        if known is not self._known:
            self._known = known
            self._names = Names(list(known))

    def _put(self, name: str, message: _Waiting) -> None:
        slot = (name, message.kind == "cooled")
        self._waiting.pop(slot, None)
        if len(self._waiting) >= MOST_WAITING:
            del self._waiting[next(iter(self._waiting))]
            self._metrics.unheard("overflow")
        self._waiting[slot] = message
        self._wake.set()

    async def _send(self) -> None:
        while self._waiting:
            batch = list(self._waiting.items())[:_MOST_SENT_AT_ONCE]
            now_ms, ahead_ms = self._wall_ms(), self._link.now_ms() - self._wall_ms()
            commands: list[Command] = []
            for (name, _), waiting in batch:
                if waiting.matters_until_ms > now_ms:
                    commands += self._commands(name, waiting, ahead_ms)
            if commands and await self._link.ask(*commands) is None:
                return
            for slot, waiting in batch:
                if self._waiting.get(slot) is waiting:
                    del self._waiting[slot]

    def _commands(self, name: str, waiting: _Waiting, ahead_ms: int) -> list[Command]:
        """What makes one message known: to those who listen, to those who come later, and to those who would probe."""
        until_ms = waiting.until_ms + ahead_ms
        if waiting.kind == "closed":
            said = self._encoder.encode(Message(1, self.host, "closed", name))
            return [
                ("DEL", OPENED + name, COOLED + name),
                ("EVAL", REST, 1, LEASE + name, self.host, self._link.now_ms() + _CLOSED_LEASE_MS),
                ("PUBLISH", CHANNEL, said),
            ]
        said = self._encoder.encode(Message(1, self.host, waiting.kind, name, until_ms, waiting.limited))
        if waiting.kind == "cooled":
            kept: list[Command] = [("SET", COOLED + name, said), ("PEXPIREAT", COOLED + name, until_ms)]
        else:  # it stays known after its cooldown: until it is closed, only probes may be sent there
            kept = [
                ("SET", OPENED + name, said),
                ("PEXPIREAT", OPENED + name, until_ms + _LINGERS_MS),
                ("EVAL", REST, 1, LEASE + name, self.host, until_ms),
            ]
        return [*kept, ("PUBLISH", CHANNEL, said)]

    def _hear(self, data: bytes) -> None:
        """Never raises for what it gets."""
        message = self._understood(data)
        if message is None:
            return
        if self._heard_of is not None:
            self._heard_of.add(message.name)
        if message.kind == "opened":
            self._grants.watch(message.name)
        if message.host != self.host:
            self._heed(message)

    def _understood(self, data: bytes) -> Message | None:
        message: Message | None = None
        if len(data) <= _LARGEST_MESSAGE_BYTES:
            try:
                message = self._decoder.decode(data)
            except ValueError:  # somebody else's words, or another version's
                message = None
        if message is None:
            self._metrics.unheard("garbled")
        elif message.name not in self._known_of():
            self._metrics.unheard("unknown")
            message = None
        return message

    def _heed(self, message: Message) -> None:
        name, breaker, now_ms = message.name, self._known_of()[message.name], self._wall_ms()
        left_ms = message.until_ms - self._link.now_ms()
        if message.kind == "closed":
            ((_, state, until_ms, *_),) = self._board.status(Names((name,)), now_ms)
            if state != "open" or until_ms < FOR_GOOD_MS:  # what a person opened no call of another host's closes
                self._board.close(name, now_ms, round(breaker.slow_start_s * 1000))
        elif message.kind == "opened":
            self._board.open(name, now_ms + min(left_ms, round(breaker.max_cooldown_s * 1000)), now_ms)
        else:
            self._board.cool(name, now_ms + min(left_ms, LONGEST_COOLING_MS), now_ms, limited=message.limited)

    async def _arrive(self) -> None:
        """On a new connection, or when Redis has forgotten: learn what it knows, and tell it what we know."""
        connections, memory = self._link.connections, self._link.memory
        has_forgotten = memory != self._memory
        self._grants.settle(self._steady_s())
        await self._grants.hold(self._wall_ms(), self._steady_s())
        names = list(self._known)
        self._heard_of = set()
        try:
            for start in range(0, len(names), _MOST_LEARNED_AT_ONCE):
                some = names[start : start + _MOST_LEARNED_AT_ONCE]
                if not await self._learn(some) or (has_forgotten and not await self._remind(some)):
                    return
        finally:
            self._heard_of = None
        self._connections, self._memory = connections, memory

    async def _learn(self, names: Sequence[str]) -> bool:
        keys = [prefix + name for name in names for prefix in (OPENED, COOLED)]
        answers = await self._link.ask(("MGET", *keys))
        if answers is None:
            return False
        kept = answers[0] if isinstance(answers[0], list) else []
        for data in kept:
            message = self._understood(data) if isinstance(data, bytes) else None
            if message is None or message.name in (self._heard_of or ()) or message.host == self.host:
                continue
            if message.kind == "opened" and message.until_ms <= self._link.now_ms():
                self._leave_to_probes(message.name)
            else:
                self._heed(message)
        return True

    def _leave_to_probes(self, name: str) -> None:
        """Its cooldown is over, and nobody has said that it works again."""
        now_ms = self._wall_ms()
        ((_, state, *_),) = self._board.status(Names((name,)), now_ms)
        if state == "closed":
            self._board.open(name, now_ms + 1, now_ms)
            self._grants.watch(name)

    async def _remind(self, names: Sequence[str]) -> bool:
        """What is open here is kept again for those who come later."""
        now_ms, ahead_ms = self._wall_ms(), self._link.now_ms() - self._wall_ms()
        commands: list[Command] = []
        for name, state, until_ms, *_ in self._board.status(Names(names), now_ms):
            if state == "open" and now_ms < until_ms <= now_ms + self._known[name].max_cooldown_s * 1000:
                until_ms += ahead_ms
                said = self._encoder.encode(Message(1, self.host, "opened", name, until_ms))
                commands += [
                    ("SET", OPENED + name, said, "NX"),
                    ("PEXPIREAT", OPENED + name, until_ms + _LINGERS_MS),
                ]
        return not commands or await self._link.ask(*commands) is not None


def open_neighbours(
    url: str | None, board: Board, known: Known, host: str, log: Log, metrics: Metrics
) -> RedisNeighbours | Alone:
    """The other hosts, if there is a Redis at ``url`` to hear of them. Nothing is connected here.

    Raises:
        ValueError: ``url`` cannot be used.
    """
    if not url:
        return Alone()
    # The client of Redis takes as long to load as half of a worker, so that only who has a Redis loads it.
    connect: type[RedisLink] = import_module("tollway.storage.redis").RedisLink
    return RedisNeighbours(
        board, known, host, lambda hear, change: connect(url, CHANNEL, hear, change, log, metrics), metrics
    )
