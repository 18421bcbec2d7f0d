"""The composition root: settings in, an ASGI application out. The one file that knows every part.

Nothing is opened at import; :func:`build` opens what one worker needs, and :meth:`Gateway.close` gives it back.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from tollway import health
from tollway._native import limits
from tollway.contract.keys import KeyRecord
from tollway.contract.snapshot import Operation, Snapshot
from tollway.control import app as control
from tollway.control.tenants.queries import Declared
from tollway.errors import NotFound
from tollway.lookout import Lookout, open_router
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.boundary import Boundary, Identities, InFlight
from tollway.proxy.counting import Counting
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Admitted, Principal
from tollway.proxy.feed import Feed
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.hallway import Hallway
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter, compile_limits, compile_principal
from tollway.proxy.media.fetch import GuardedFetcher, SystemResolver
from tollway.proxy.models import ModelList
from tollway.proxy.providers.call import Caller
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.probing import Prober, questions
from tollway.proxy.providers.registry import open_providers
from tollway.proxy.relay.heads import early_head
from tollway.proxy.relay.relay import begin, relay
from tollway.proxy.routing.attempts import Asker
from tollway.proxy.routing.compiled import policy_of
from tollway.proxy.routing.explain import summary
from tollway.proxy.routing.plan import Planner
from tollway.proxy.routing.router import Router as CallRouter
from tollway.proxy.routing.sharing import open_neighbours
from tollway.proxy.routing.slots import Slots
from tollway.proxy.routing.walk import Attempts
from tollway.proxy.shadowing import Shadowing
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.settle import Account, Bookkeeper
from tollway.proxy.vocabularies import Vocabularies
from tollway.settings import Settings
from tollway.storage.changes import KeyChanges
from tollway.storage.keys import PostgresKeySource
from tollway.storage.overrides import OverrideChanges
from tollway.storage.pool import connect
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics
from tollway.wire.error_envelope import render

DOORS: tuple[tuple[str, Operation], ...] = (
    ("/v1/moderations", "moderations"),
    ("/v1/rerank", "rerank"),
    ("/v1/images/generations", "images"),
    ("/v1/images/edits", "image_edits"),
    ("/v1/audio/speech", "speech"),
    ("/v1/audio/transcriptions", "transcriptions"),
    ("/v1/audio/translations", "translations"),
)
"""Where the operations are that pass to whoever speaks them, and are said as chat to nobody."""

Serve = Callable[[Any], Coroutine[Any, Any, None]]
"""What of the data plane answers at a path."""

Told = Mapping[bytes, Dialect]
"""The headers that tell a client's dialect where several share a path."""


class Places(msgspec.Struct, frozen=True):
    """Where the processes of one host meet, below ``storage.data_dir``."""

    data_dir: Path

    @property
    def ledger(self) -> Path:
        """The limits' ledger, mapped by every worker."""
        return self.data_dir / "run" / "ledger"

    @property
    def journal(self) -> Path:
        """The usage journal's segments."""
        return self.data_dir / "journal"

    @property
    def metrics(self) -> Path:
        """The workers' metrics."""
        return self.data_dir / "run" / "metrics"

    @property
    def lock(self) -> Path:
        """Held by the one gateway that uses this directory."""
        return self.data_dir / "run" / "lock"

    def make(self) -> None:
        """Makes the directories, for this user alone."""
        for directory in (self.data_dir, self.ledger.parent, self.journal):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)


class Gateway:
    """One worker's application and what keeps it running."""

    def __init__(
        self,
        router: Router,
        health_of: health.Health,
        in_flight: InFlight,
        background: list[Callable[[], Coroutine[Any, Any, None]]],
        close: Callable[[], Coroutine[Any, Any, None]],
        log: Log,
    ) -> None:
        self.asgi = router
        self.health = health_of
        self.in_flight = in_flight
        self._background = background
        self._close = close
        self._log = log
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Starts what runs beside the requests."""
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._keep_running(work)) for work in self._background]

    async def _keep_running(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- a defect in one follower must not end it for good
                self._log.error("background_failed", error=error)
            await asyncio.sleep(1.0)

    async def close(self) -> None:
        """Ends it all; rows of interrupted calls are written first."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._close()


async def build(
    settings: Settings, snapshot: Snapshot, dsn: str, places: Places, host: str, log: Log, metrics: Metrics
) -> Gateway:
    """Opens one worker's parts and puts them together. ``host`` is what this host is known by to others over Redis."""
    pool = await connect(dsn, application_name="tollway worker", max_size=4)
    ledger = limits.Ledger(str(places.ledger))
    ledger.join()
    journal = Journal(places.journal)
    transport = HttpTransport()
    resolver = SystemResolver()
    media = GuardedFetcher(resolver, allowed=frozenset(settings.media.allow))
    in_flight = InFlight()
    identities = Identities()
    declared = Declared(frozenset(settings.tenants), frozenset(settings.guardrails))

    def principal(record: KeyRecord) -> Principal:
        return compile_principal(record, snapshot.default_limits)

    authenticator = Authenticator(PostgresKeySource(pool), principal, metrics, down_since=lambda: changes.down_since)
    feed = Feed(snapshot, authenticator, metrics)
    changes = KeyChanges(dsn, feed.key_changed, feed.missed_changes)
    vocabularies = Vocabularies()
    bookkeeper = Bookkeeper(journal, vocabularies, log, metrics, summary)
    receiver = Receiver(settings.server.max_body_bytes, Intake(), places.ledger.parent)
    admitter = Admitter(ledger, vocabularies, metrics)
    screener = Screener(snapshot, metrics)
    router = open_router(snapshot, ledger)
    redis = settings.storage.redis.reveal() if settings.storage.redis else None
    neighbours = open_neighbours(redis, router.board, router.breakers, host, log, metrics)
    slots = Slots(router.board, ledger, snapshot, neighbours, compile_limits, log, metrics)
    calling = _calling(snapshot, transport, media, router, slots, bookkeeper, identities, log, metrics)
    overrides = OverrideChanges(dsn, calling.lookout.apply)
    await overrides.learn()  # else a worker that starts would fill what somebody has drained
    planner, attempts = calling.planner, calling.attempts
    hallway = Hallway(authenticator, receiver, admitter, screener, planner, calling.shadowing, attempts, bookkeeper)
    counting = Counting(
        authenticator, receiver, admitter, screener, planner, attempts.asker, calling.caller, vocabularies
    )
    health_of = health.Health(lambda: changes.last_ok, lambda: journal.full)
    exposition = health.Exposition(lambda: metrics.exposition(calling.lookout.readings()))

    def boundary(serve: Serve, method: str, spoken: Dialect, operation: Operation, told: Told | None) -> Boundary:
        return Boundary(
            serve,
            feed.current,
            in_flight,
            identities,
            methods=frozenset({method}),
            dialect=spoken,
            told=told,
            operation=operation,
            log=log,
            metrics=metrics,
        )

    routes: list[BaseRoute] = [
        *_doors(boundary, hallway, counting, ModelList(authenticator)),
        *health.routes(health_of, exposition, serve_metrics=settings.telemetry.metrics),
        *control.routes(pool, log, lambda: declared, calling.lookout),
        Route("/{path:path}", NothingHere(identities)),
    ]

    async def close() -> None:
        await calling.shadowing.close()
        await bookkeeper.finish()
        journal.close()
        transport.close()
        resolver.close()
        await exposition.close()
        ledger.close()
        await pool.close()
        metrics.close()

    background = [changes.follow, journal.measure, overrides.follow, neighbours.follow, calling.prober.run]
    return Gateway(Router(routes, redirect_slashes=False), health_of, in_flight, background, close, log)


class _Calling(NamedTuple):
    """What calls of providers are planned and made with."""

    planner: Planner
    attempts: Attempts
    caller: Caller
    shadowing: Shadowing
    lookout: Lookout
    prober: Prober


def _calling(
    snapshot: Snapshot,
    transport: HttpTransport,
    media: GuardedFetcher,
    router: CallRouter,
    slots: Slots,
    bookkeeper: Bookkeeper,
    identities: Identities,
    log: Log,
    metrics: Metrics,
) -> _Calling:
    providers = open_providers(snapshot, transport, media)
    caller = Caller(providers)
    planner = Planner(router)
    attempts = Attempts(router.board, planner, Asker(slots, caller.call, begin), early_head, metrics)

    def shadow(admitted: Admitted) -> Account:
        return bookkeeper.account(admitted, "shadow")

    shadowing = Shadowing(planner.only, attempts.run, relay, shadow, identities.new, log, metrics)
    prober = Prober(questions(snapshot, providers, policy_of), transport, router.board, slots.changed, log)
    return _Calling(planner, attempts, caller, shadowing, Lookout(snapshot, router), prober)


def _doors(
    boundary: Callable[[Serve, str, Dialect, Operation, Told | None], Boundary],
    hallway: Hallway,
    counting: Counting,
    models: ModelList,
) -> Sequence[Route]:
    """The paths of the data plane."""
    spoken = dialects()

    def door(path: str, operation: Operation, serve: Serve = hallway.serve) -> Route:
        return Route(path, boundary(serve, "POST", spoken[operation], operation, None))

    told = {b"anthropic-version": spoken["messages"]}
    listed = boundary(models.serve, "GET", spoken["chat"], "chat", told)
    return [
        door("/v1/chat/completions", "chat"),
        door("/api/v1/chat/completions", "chat"),
        door("/v1/completions", "completions"),
        door("/v1/embeddings", "embeddings"),
        door("/v1/messages", "messages"),
        door("/v1/messages/count_tokens", "count_tokens", counting.serve),
        door("/v1/responses", "responses"),
        *(door(path, operation) for path, operation in DOORS),
        Route("/v1/models", listed),
        Route("/v1/models/{model:path}", listed),
    ]


class NothingHere:
    """What answers at every other path, whatever the method."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 404 in the envelope."""
        rendered = render(NotFound("There is nothing at this path."), self._identities.new())
        headers = {name.decode(): value.decode() for name, value in rendered.headers}
        await Response(rendered.body, rendered.status, headers)(scope, receive, send)
