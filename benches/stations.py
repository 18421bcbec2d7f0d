"""Stations 5, 6 and the relay as a worker has them, between the clients and the targets of ``benches/outages.py``."""

import asyncio
import json
import os
import random
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from benches.outages import MEDIANS_S, Phase, World
from benches.virtual_time import VirtualLoop, run

from tollway._native import chat
from tollway._native.limits import Ledger
from tollway._native.routing import Board
from tollway.contract.keys import GATEWAY_USE, KeyRecord
from tollway.contract.limits import LimitValues
from tollway.contract.routing import Retries, Strategy
from tollway.contract.snapshot import Price, ProviderAccess, Route, Snapshot, Target, Timeouts
from tollway.errors import GatewayError
from tollway.proxy.boundary import current_task
from tollway.proxy.connection import Connection, Message
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Arrival, Principal, Progress, Screened, Timing
from tollway.proxy.limits.book import compile_limits
from tollway.proxy.providers.call import Caller
from tollway.proxy.providers.capabilities import capable
from tollway.proxy.relay.heads import early_head
from tollway.proxy.relay.relay import begin, relay
from tollway.proxy.routing.attempts import Asker
from tollway.proxy.routing.plan import Planner
from tollway.proxy.routing.router import Router
from tollway.proxy.routing.sharing import Alone
from tollway.proxy.routing.slots import Slots
from tollway.proxy.routing.walk import Attempts
from tollway.telemetry.logs import Log, open_log
from tollway.telemetry.metrics import Metrics, prepare

RETRIES = Retries(attempts=5)
"""With three attempts, of calls that fail one time in twenty, one in 8,000 would be lost by chance alone, whatever the
strategy; with five, one in three million."""

USERS = 1_000
_NOBODY = Principal(KeyRecord("key", "ci", "tenant", "acme", frozenset({GATEWAY_USE}), True), None)


class Stations:
    """One worker's. Made inside the world's loop."""

    def __init__(self, world: World, strategy: Strategy, directory: Path, log: Log, metrics: Metrics) -> None:
        self._loop = cast(VirtualLoop, asyncio.get_running_loop())
        self._snapshot = _snapshot(strategy)
        self._ledger = Ledger(directory / "ledger", 1024)
        clock_ms = self._loop.unix_ms
        board = Board(self._ledger)
        self._planner = Planner(Router(board, self._snapshot, capable, clock_ms))
        slots = Slots(board, self._ledger, self._snapshot, Alone(), compile_limits, log, metrics, clock_ms=clock_ms)
        caller = Caller({(name, ""): target for name, target in world.targets.items()})
        asker = Asker(slots, caller.call, begin, clock_ms=clock_ms)
        self._attempts = Attempts(board, self._planner, asker, early_head, metrics)
        self._dialect = dialects()["chat"]
        self._bodies = {stream: _body(stream=stream) for stream in (False, True)}

    async def ask(self, *, stream: bool) -> float | None:
        """One client call, from behind the door until its answer has left."""
        client = _Client(self._loop)
        headers = {b"x-tollway-user": b"user-%d" % random.randrange(USERS)}  # noqa: S311 -- as seeded
        connection = Connection(headers, client.receive, client.send, current_task())
        timing = _VirtualTiming(self._loop)
        arrival = Arrival("id", "request", headers, connection, timing, self._snapshot, self._dialect)
        progress = Progress()
        try:
            planned = self._planner.plan(Screened(arrival, _NOBODY, chat.read_request(self._bodies[stream])))
            attempted = await self._attempts.run(planned, progress)
            relayed = await relay(attempted)
            connection.unwatch()
            if relayed.outcome != "ok":
                return None
            if relayed.headers is not None:
                await connection.start(relayed.status, relayed.headers)
            await connection.end(relayed.body)
        except GatewayError:
            return None
        finally:
            connection.unwatch()
        return client.heard_s

    def close(self) -> None:
        """Lets go of the ledger."""
        self._ledger.close()


class _VirtualTiming(Timing):
    """By the world's clock: what the gateway takes itself is not measured here."""

    __slots__ = ("_arrived_s", "_loop")

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._arrived_s = loop.time()

    def elapsed_ns(self) -> int:
        return int((self._loop.time() - self._arrived_s) * 1e9)


class _Client:
    """Waits for its answer, and notes when the first byte of its body came."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.heard_s: float | None = None

    async def receive(self) -> Message:
        """Nothing more, ever."""
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if message.get("body") and self.heard_s is None:
            self.heard_s = self._loop.time()


def _snapshot(strategy: Strategy) -> Snapshot:
    targets = tuple(
        Target(
            ProviderAccess(name, "openai", "http://127.0.0.1:9/v1", "sk-simulated"),
            "m",
            1,
            Price("simulated", input=number, output=2 * number),
            tier=number,
        )
        for number, name in enumerate(MEDIANS_S, 1)
    )
    route = Route("m", targets, Timeouts(), strategy=strategy, retries=RETRIES, sticky_by="user")
    return Snapshot(1, {"m": route}, {}, LimitValues(), ())


def _body(*, stream: bool) -> bytes:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return json.dumps(asked, separators=(",", ":")).encode()


def lived(strategy: Strategy, seed: int, course: Sequence[Phase], per_second: float) -> World:
    """A world of this seed in which all clients have gone through the stations."""
    return run(_lived(strategy, seed, course, per_second))


async def _lived(strategy: Strategy, seed: int, course: Sequence[Phase], per_second: float) -> World:
    random.seed(seed)  # the stations' own chance
    world = World(seed, course)
    with TemporaryDirectory() as path, ExitStack() as held:
        directory = Path(path)
        descriptor = os.open(directory / "log", os.O_CREAT | os.O_WRONLY)
        held.callback(os.close, descriptor)
        log = held.enter_context(closing(open_log("info", descriptor=descriptor)))
        prepare(directory / "metrics")
        metrics = held.enter_context(closing(Metrics(directory / "metrics", "worker-0")))
        stations = held.enter_context(closing(Stations(world, strategy, directory, log, metrics)))
        await world.live(stations, per_second)
    return world
