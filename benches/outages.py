"""A small world of providers that slow down, fail and come back, on virtual time: what routing is measured in.

Three targets answer with log-normal waits and fail in one of twenty calls; clients arrive as a Poisson process and do
not wait for each other. In between stands whatever is measured, a :class:`Way`.
"""

import asyncio
import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tollway.contract.snapshot import Operation
from tollway.errors import UpstreamBroken, UpstreamUnreachable
from tollway.proxy.causes import Cause, Fault, cause_of
from tollway.proxy.exchange import UpstreamAnswer
from tollway.proxy.providers.port import UpstreamCall

P99_OVER_MEDIAN = 3.0
SIGMA = math.log(P99_OVER_MEDIAN) / 2.3263
"""Of the logarithm of a wait: its 99th percentile is three times its median."""

ERROR_SHARE = 0.05
STREAM_SHARE = 0.5
STREAM_S = 1.0
"""From a stream's first byte to its end, on average."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How a target is: so many times slower than usual, and whether it is down."""

    slowness: float = 1.0
    is_down: bool = False


@dataclass(frozen=True, slots=True)
class Phase:
    """A time in the life of this world; targets that are not named are well."""

    name: str
    seconds: float
    conditions: Mapping[str, Condition] = field(default_factory=dict)


MEDIANS_S: Mapping[str, float] = {"one": 0.5, "two": 0.6, "three": 0.7}
SLOWED, LOST = "one", "two"
"""Who browns out: the best of them, so that the load has to move. And who is lost for a while."""


def phases(seconds: float) -> tuple[Phase, ...]:
    """All is well, a brown-out, an outage, all are out; after each the world is well again."""
    return (
        Phase("normal", seconds),
        Phase("brown-out", seconds, {SLOWED: Condition(slowness=10.0)}),
        Phase("after the brown-out", seconds),
        Phase("outage", seconds, {LOST: Condition(is_down=True)}),
        Phase("after the outage", seconds),
        Phase("full outage", seconds, {name: Condition(is_down=True) for name in MEDIANS_S}),
        Phase("after the full outage", seconds),
    )


def best_p99_s(phase: Phase) -> float:
    """The 99th percentile of the waits of whoever is the best in this phase, asked alone and without its errors."""
    conditions = {name: phase.conditions.get(name, Condition()) for name in MEDIANS_S}
    well = [MEDIANS_S[name] * now.slowness for name, now in conditions.items() if not now.is_down]
    return min(well, default=math.inf) * P99_OVER_MEDIAN


@dataclass(slots=True)
class Client:
    """What one client call came to. ``wait_s`` is until the first byte of its answer; ``None``: it got none, or one
    that broke."""

    phase: int
    arrived_s: float
    wait_s: float | None = None


@dataclass(slots=True)
class Call:
    """One call of a target."""

    phase: int
    at_s: float
    target: str


class World:
    """The targets, and everything that has happened to them."""

    def __init__(self, seed: int, course: Sequence[Phase]) -> None:
        self.course = course
        self.phase = 0
        self.clients: list[Client] = []
        self.calls: list[Call] = []
        self.chance = random.Random(seed)  # noqa: S311 -- a simulation repeats itself
        self.targets = {name: Target(self, name, median_s) for name, median_s in MEDIANS_S.items()}

    def condition(self, target: str) -> Condition:
        """How it is now."""
        return self.course[self.phase].conditions.get(target, Condition())

    async def live(self, way: "Way", per_second: float) -> None:
        """Lets clients come through all phases; returns when the last one has gone."""
        loop, under_way = asyncio.get_running_loop(), set[asyncio.Task[None]]()
        for number, phase in enumerate(self.course):
            self.phase, end = number, loop.time() + phase.seconds
            while (pause_s := self.chance.expovariate(per_second)) < end - loop.time():
                await asyncio.sleep(pause_s)
                client = Client(number, loop.time())
                self.clients.append(client)
                task = loop.create_task(self._ask(way, client))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            await asyncio.sleep(end - loop.time())
        if under_way:
            await asyncio.gather(*under_way)

    async def _ask(self, way: "Way", client: Client) -> None:
        heard_s = await way.ask(stream=self.chance.random() < STREAM_SHARE)
        client.wait_s = None if heard_s is None else heard_s - client.arrived_s


class Way(Protocol):
    """What stands between the clients and the targets."""

    async def ask(self, *, stream: bool) -> float | None:
        """One client call: when the first byte of a good answer reached the client; ``None``: it is lost."""
        ...


class Target:
    """A provider with one model, as the gateway's port says."""

    speaks = frozenset[Operation]({"chat"})
    asks_usage = True

    def __init__(self, world: World, name: str, median_s: float) -> None:
        self._world = world
        self._name = name
        self._median_s = median_s

    async def send(self, call: UpstreamCall) -> UpstreamAnswer:
        """Answers after a while, or fails at some point before."""
        world, chance = self._world, self._world.chance
        world.calls.append(Call(world.phase, asyncio.get_running_loop().time(), self._name))
        now = world.condition(self._name)
        call.sent()
        if now.is_down:
            return await self._down()
        wait_s = self._median_s * math.exp(SIGMA * chance.gauss(0.0, 1.0)) * now.slowness
        if chance.random() >= ERROR_SHARE:
            return _stream(wait_s, chance) if b'"stream":true' in call.body else await _whole(wait_s)
        await asyncio.sleep(wait_s * chance.random())
        if chance.random() < 0.5:
            return _refusal(500)
        raise UpstreamBroken("scripted")

    async def _down(self) -> UpstreamAnswer:
        """What a client of a dead service sees: nobody listens, or a balancer that has nobody behind it."""
        await asyncio.sleep(0.01)
        if self._world.chance.random() < 0.5:
            return _refusal(503)
        raise UpstreamUnreachable("scripted")


class _Answer:
    """Pieces, each after its pause in seconds."""

    warnings: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    def __init__(self, status: int, content_type: str, pieces: Sequence[tuple[float, bytes]]) -> None:
        self.status = status
        self._content_type = content_type
        self._pieces = list(pieces)

    @property
    def ended(self) -> bool:
        return not self._pieces

    def header(self, name: str) -> str | None:
        return self._content_type if name == "content-type" else None

    async def piece(self) -> bytes | None:
        if not self._pieces:
            return None
        pause_s, piece = self._pieces.pop(0)
        if pause_s:
            await asyncio.sleep(pause_s)
        return piece

    def fault(self, body: bytes) -> Fault:
        return Fault(cause_of(self.status), "scripted")

    def event_fault(self, payload: bytes) -> Fault:
        return Fault(Cause.SERVER, "scripted")

    async def close(self) -> None:
        self._pieces = []


_USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}


def _chunk(delta: Mapping[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    told = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(told if finish is None else {**told, "usage": _USAGE}).encode() + b"\n\n"


_FIRST = _chunk({"role": "assistant", "content": "Hello "})
_LAST = _chunk({"content": "there."}) + _chunk({}, "stop") + b"data: [DONE]\n\n"
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "Hello there."}, "finish_reason": "stop"}
_WHOLE = json.dumps(
    {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [_CHOICE], "usage": _USAGE}
).encode()


def _stream(wait_s: float, chance: random.Random) -> _Answer:
    return _Answer(200, "text/event-stream", [(wait_s, _FIRST), (chance.expovariate(1 / STREAM_S), _LAST)])


async def _whole(wait_s: float) -> _Answer:
    await asyncio.sleep(wait_s)
    return _Answer(200, "application/json", [(0.0, _WHOLE)])


def _refusal(status: int) -> _Answer:
    return _Answer(status, "application/json", [(0.0, b'{"error":{"message":"scripted"}}')])


@dataclass(frozen=True, slots=True)
class Figures:
    """What a phase came to, over all seeds. Percentiles of waits hold for calls that were answered, in seconds."""

    phase: str
    requests: int
    lost: int
    p50_s: float
    p95_s: float
    p99_s: float
    amplification: float
    """Calls of targets per client call."""
    shares: Mapping[str, float]
    best_p99_s: float


def figures(worlds: Sequence[World]) -> list[Figures]:
    """Phase by phase, of worlds with the same course. A client belongs to the phase that it came in."""
    return [_figures(worlds, number) for number in range(len(worlds[0].course))]


def _figures(worlds: Sequence[World], number: int) -> Figures:
    clients = [client for world in worlds for client in world.clients if client.phase == number]
    calls = [call for world in worlds for call in world.calls if call.phase == number]
    waits = sorted(client.wait_s for client in clients if client.wait_s is not None)
    phase = worlds[0].course[number]
    return Figures(
        phase.name,
        len(clients),
        len(clients) - len(waits),
        percentile(waits, 0.50),
        percentile(waits, 0.95),
        percentile(waits, 0.99),
        len(calls) / max(len(clients), 1),
        {name: sum(call.target == name for call in calls) / max(len(calls), 1) for name in MEDIANS_S},
        best_p99_s(phase),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed; NaN of none."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else math.nan
