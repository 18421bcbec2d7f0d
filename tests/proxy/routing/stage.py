"""Station 6 on a stage: a real board, and providers that answer by a script."""

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import EllipsisType
from typing import Any

from tests.fakes.scripts import completion, deltas
from tests.fakes.telemetry import Recording
from tests.proxy.edge import ACCESS, Answer, Client, arrive, ask, principal

from tollway._native.limits import Ledger
from tollway._native.routing import Board, BreakerPolicy, Names, Pool
from tollway.contract.limits import LimitValues
from tollway.contract.routing import Retries
from tollway.contract.snapshot import Route, Snapshot, Target, Timeouts
from tollway.errors import GatewayError, ModelForbidden
from tollway.proxy.exchange import Attempted, Called, Dispatch, Planned, Progress
from tollway.proxy.limits.book import compile_limits
from tollway.proxy.relay.heads import early_head
from tollway.proxy.relay.relay import begin
from tollway.proxy.routing.attempts import Asker
from tollway.proxy.routing.slots import Slots
from tollway.proxy.routing.walk import Attempts
from tollway.telemetry.metrics import Metrics

Answers = Answer | GatewayError | EllipsisType
"""What a target does when it is asked: it answers, fails, or is silent for ever."""


def good(text: str = "Hello there.") -> Answer:
    """A whole answer."""
    return Answer(json.dumps(completion(text)).encode(), content_type="application/json")


def stream(*texts: str, **more: Any) -> Answer:
    """A stream that is whole."""
    events = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in deltas(*texts)]
    return Answer(*events, b"data: [DONE]\n\n", content_type="text/event-stream", **more)


def refusing(status: int, **headers: str) -> Answer:
    """A refusal."""
    return Answer(b'{"error": {"message": "no"}}', status=status, content_type="application/json", **headers)


class Quiet:
    """Neighbours that keep what they are told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def opened(self, name: str, until_ms: int) -> None:
        """Keeps it."""
        self.told.append(("opened", name))

    def cooled(self, name: str, until_ms: int, limited: bool) -> None:
        """Keeps it."""
        self.told.append(("cooled", name))

    def closed(self, name: str) -> None:
        """Keeps it."""
        self.told.append(("closed", name))

    async def follow(self) -> None:
        """Nobody is there."""


def policy(**changes: int) -> BreakerPolicy:
    """A breaker that opens after five failures in a row."""
    plain = {
        "consecutive": 5,
        "failure_permille": 1000,
        "minimum_calls": 1000,
        "window_ms": 10_000,
        "cooldown_ms": 5_000,
        "max_cooldown_ms": 60_000,
        "probes": 1,
        "slow_start_ms": 0,
    }
    return BreakerPolicy(**(plain | changes))


class Stage:
    """``scripts`` says by a target's model what it does, one item a call; the last one is repeated."""

    def __init__(self, directory: Path, recording: Recording, metrics: Metrics, *routes: Route) -> None:
        self.now_ms = 1_800_000_000_000
        self.ledger = Ledger(str(directory / "ledger"), 1024)
        self.board = Board(self.ledger)
        self.scripts: dict[str, list[Answers]] = {}
        self.asked: list[str] = []
        self.given: list[Answer] = []
        self.keys: list[str] = []
        self.neighbours = Quiet()
        self.routes: Mapping[str, Route] = {route.alias: route for route in routes}
        self.forbidden: set[str] = set()
        snapshot = Snapshot(1, dict(self.routes), {}, LimitValues(), ())
        clock = self.clock
        slots = Slots(
            self.board, self.ledger, snapshot, self.neighbours, compile_limits, recording.log, metrics, clock_ms=clock
        )
        self.act: Callable[[Dispatch, Progress], Awaitable[Called]] = self._play
        asker = Asker(slots, lambda dispatch, progress: self.act(dispatch, progress), begin, clock_ms=clock)
        self.attempts = Attempts(self.board, self, asker, early_head, metrics)

    def clock(self) -> int:
        """Unix time on this stage, in milliseconds."""
        return self.now_ms

    def plan(self, alias: str, client: Client | None = None, **fields: Any) -> Planned:
        """A plan that asks the targets in the order in which they are written."""
        headers = fields.pop("headers", None)
        request = ask(alias, **fields)
        arrival = arrive(client, headers=headers)
        return Planned(arrival, principal(), request, *self._ranked(alias))

    def fallback(self, planned: Planned, alias: str) -> Planned:
        """As the planner's."""
        if alias in self.forbidden:
            raise ModelForbidden(f"not {alias}")
        return Planned(planned.arrival, planned.principal, planned.request, *self._ranked(alias))

    def _ranked(self, alias: str) -> tuple[Route, Pool, Any]:
        route = self.routes[alias]
        named = [(target.name, 1, at, None, None, policy()) for at, target in enumerate(route.targets, 1)]
        pool = Pool(alias, "priority", named)
        return route, pool, self.board.rank(pool, (1 << len(named)) - 1, self.now_ms, 7)

    async def run(self, planned: Planned, progress: Progress | None = None) -> Attempted:
        """Station 6; what is left of it is given back."""
        try:
            return await self.attempts.run(planned, progress or Progress())
        finally:
            planned.arrival.connection.unwatch()

    async def _play(self, dispatch: Dispatch, progress: Progress) -> Called:
        self.asked.append(dispatch.target.model)
        self.keys.append(dispatch.access.key_name)
        script = self.scripts[dispatch.target.model]
        answer = script.pop(0) if len(script) > 1 else script[0]
        progress.planned(dispatch.route, dispatch.target)
        progress.sent()
        if answer is ...:
            await asyncio.Event().wait()
        if isinstance(answer, GatewayError):
            raise answer
        assert isinstance(answer, Answer)
        answer = copy.copy(answer)
        answer._script = list(answer._script)
        self.given.append(answer)
        return Called(
            dispatch.arrival,
            dispatch.request,
            dispatch.route,
            dispatch.target,
            answer,
            dispatch.deadline,
            dispatch.task,
        )

    def in_flight(self) -> int:
        """How many calls hold a slot anywhere."""
        from_all = [target.name for route in self.routes.values() for target in route.targets]
        return sum(row[3] for row in self.board.status(Names(from_all), self.now_ms))

    def close(self) -> None:
        """Lets go."""
        self.ledger.close()


def way(alias: str, *models: str, **more: Any) -> Route:
    """An alias whose targets are these models of one provider."""
    retries = more.pop("retries", Retries(backoff_s=0.001))
    targets = tuple(Target(ACCESS, model, 1, None) for model in models)
    return Route(alias, targets, more.pop("timeouts", Timeouts()), retries=retries, **more)
