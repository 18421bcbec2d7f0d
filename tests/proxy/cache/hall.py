"""Station 4 with what is around it: a provider that is scripted, the real relay, and a settlement of a few fields."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from tests.fakes.answers import Claims, Kept
from tests.fakes.scripts import completion, deltas
from tests.fakes.telemetry import Recording
from tests.proxy.edge import Answer, route, target
from tests.proxy.edge import Kept as Place
from tests.storage.test_usage import ROW

from tollway.contract.cache import CacheSpace
from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Route
from tollway.proxy.cache.comparing import Comparing
from tollway.proxy.cache.fill import Filler
from tollway.proxy.cache.flights import Flights
from tollway.proxy.cache.look_up import LookUp
from tollway.proxy.cache.port import Embedder
from tollway.proxy.cache.recall import Recaller
from tollway.proxy.exchange import Attempted, Called, LookedUp, Progress, Relayed, Screened, Settled
from tollway.proxy.relay.heads import early_head
from tollway.proxy.relay.relay import begin, relay
from tollway.telemetry.metrics import Metrics

WAY = route("m", target("m-1"))
PARIS = completion("Paris.")


class Clock:
    """Unix milliseconds, set by hand."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


class Hall:
    """One worker's stations. ``embedder`` is the second one of every policy; ``again`` holds what is to be compared."""

    def __init__(self, recording: Recording, metrics: Metrics, space: CacheSpace | None = None) -> None:
        self.space = space or CacheSpace()
        self.kept, self.clock = Kept(), Clock()
        self.embedder: Embedder | None = None
        self.again: list[Any] = []
        self.filler = Filler(self.kept, recording.log, metrics, most_answer_bytes=self.space.max_answer_bytes)
        recaller = Recaller(self.kept, begin, self.space.pace, recording.log, clock_ms=self.clock)
        self.flights = Flights(Claims(), self.space.join_s, self.clock)
        comparing = Comparing(lambda *asked: self.again.append(asked), lambda feedback: None, chance=lambda: 0.0)
        self.look_up = LookUp(
            self.kept,
            self.filler,
            recaller,
            self.flights,
            early_head,
            self._embedder,
            lambda policy, region: policy.threshold,
            comparing,
            recording.log,
            metrics,
            clock_ms=self.clock,
        )

    def _embedder(self, name: str, record: KeyRecord) -> Embedder | None:
        return self.embedder

    async def serve(self, screened: Screened, answer: Answer | None = None, way: Route = WAY) -> "Served":
        """The way of a call from station 4 on; ``answer`` is the provider's, should it be asked."""
        progress = Progress()
        try:
            looked_up = await self.look_up.look_up(screened, progress)
            with looked_up.filling as filling:
                attempted = looked_up.recalled
                if attempted is None:
                    assert answer is not None, "a provider was asked"
                    attempted = await ask_provider(screened, answer, way, progress)
                filling.hear(attempted)
                relayed = await relay(attempted)
                settled = Settled(relayed, row_of(screened, attempted, relayed))
                await send(relayed)
                filling.keep(settled)
        finally:
            screened.arrival.connection.close()
        await self.filler.finish()
        return Served(looked_up, relayed, progress)

    async def fill(self, screened: Screened, answer: Any = PARIS) -> "Served":
        """Asks the provider, which answers ``answer``, whole or as a stream of it."""
        return await self.serve(screened, streamed("Paris.") if screened.request.stream else whole(answer))


class Served(msgspec.Struct, frozen=True):
    """How a call went."""

    looked_up: LookedUp
    relayed: Relayed
    progress: Progress

    @property
    def headers(self) -> dict[str, str]:
        """What any answer to it carries."""
        sent = self.relayed.arrival.connection.answer_headers
        return {name.decode(): value.decode() for name, value in sent}

    @property
    def result(self) -> str | None:
        """What the client is told of the cache."""
        return self.headers.get("x-tollway-cache")

    @property
    def answer(self) -> Any:
        """The whole answer."""
        return json.loads(self.relayed.body)


async def ask_provider(screened: Screened, answer: Answer, way: Route, progress: Progress) -> Attempted:
    """Stations 5 and 6."""
    arrival = screened.arrival
    task = arrival.connection.task
    deadline = task.get_loop().time() + 10
    progress.planned(way, way.targets[0])
    progress.sent()
    progress.http_status = answer.status
    called = Called(arrival, screened.request, way, way.targets[0], answer, deadline, task, guard=screened.guard)
    return Attempted(await begin(called, progress), Place(), progress)


def row_of(screened: Screened, attempted: Attempted, relayed: Relayed, **changes: Any) -> Any:
    """As much of a row as the cache reads."""
    called = attempted.begun.called
    return msgspec.structs.replace(
        ROW,
        model=called.route.alias,
        provider=called.target.provider.name,
        provider_model=called.target.model,
        outcome=relayed.outcome,
        http_status=attempted.progress.http_status,
        prompt_tokens=7,
        completion_tokens=3,
        cost_picousd=13_000,
        **changes,
    )


async def send(relayed: Relayed) -> None:
    """Station 9."""
    connection = relayed.arrival.connection
    connection.unwatch()
    if relayed.headers is not None:
        await connection.start(relayed.status, relayed.headers)
    await connection.end(relayed.body)


def whole(answer: Any, **more: Any) -> Answer:
    """A provider's whole answer."""
    return Answer(json.dumps(answer).encode(), content_type="application/json", **more)


def streamed(*texts: str, done: bool = True) -> Answer:
    """A provider's stream; without ``done`` it is cut behind the texts."""
    chunks = deltas(*texts) if done else deltas(*texts)[: 1 + len(texts)]
    pieces = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    return Answer(*pieces, *([b"data: [DONE]\n\n"] if done else []), content_type="text/event-stream")


@contextmanager
def raising(kept: Kept) -> Iterator[None]:
    """Every look into the cache is a defect."""
    kept.is_broken = True
    yield
    kept.is_broken = False
