"""The composition root: settings in, an ASGI application out. The one file that knows every part.

Nothing is opened at import; :func:`build` opens what one worker needs, and :meth:`Gateway.close` gives it back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, NamedTuple

import asyncpg
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from tollway import health
from tollway._native import limits
from tollway._native.purses import Purses
from tollway.caching import open_caching
from tollway.charge import Places
from tollway.contract.snapshot import Operation, Snapshot
from tollway.control import app as control
from tollway.ending import end
from tollway.errors import NotFound
from tollway.lookout import Lookout, open_router
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.boundary import Boundary, Identities, InFlight
from tollway.proxy.budgets.concerned import Concerned
from tollway.proxy.budgets.reserve import Reserver
from tollway.proxy.budgets.treasurer import Treasurer
from tollway.proxy.connection import Lines
from tollway.proxy.counting import Counting
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Admitted
from tollway.proxy.feed import Feed
from tollway.proxy.guardrails.external.opening import Opener
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.hallway import Hallway
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter
from tollway.proxy.limits.book import LimitBook, compile_limits, compile_principal
from tollway.proxy.limits.expected import Expectations
from tollway.proxy.limits.queue import Queue
from tollway.proxy.limits.sharing import open_lessee
from tollway.proxy.media.fetch import GuardedFetcher, SystemResolver
from tollway.proxy.models import ModelList
from tollway.proxy.providers.asking import Asking, Embedding, Moderating
from tollway.proxy.providers.call import Caller
from tollway.proxy.providers.capabilities import output_cap
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.port import Provider
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
from tollway.proxy.usage.own_calls import OwnCalls
from tollway.proxy.usage.settle import Account, Bookkeeper
from tollway.proxy.vocabularies import Vocabularies
from tollway.rulebook import Rulebook
from tollway.settings import Settings
from tollway.storage.budgets import PostgresBank
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


class Gateway:
    """One worker's application and what keeps it running."""

    def __init__(
        self,
        asgi: ASGIApp,
        health_of: health.Health,
        in_flight: InFlight,
        background: list[Callable[[], Coroutine[Any, Any, None]]],
        close: Callable[[], Coroutine[Any, Any, None]],
        log: Log,
    ) -> None:
        self.asgi = asgi
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
        await end(self._tasks)
        await self._close()


async def build(
    settings: Settings, snapshot: Snapshot, dsn: str, places: Places, host: str, index: int, log: Log, metrics: Metrics
) -> Gateway:
    """Opens the parts of the worker of that ``index`` and puts them together. ``host`` is what this host is known by to
    others over Redis."""
    pool, console = await _pools(dsn)
    ledger = _ledger(places)
    journal = _journal(settings, places, metrics)
    transport, resolver = HttpTransport(), SystemResolver()
    media = GuardedFetcher(resolver, allowed=frozenset(settings.media.allow))
    in_flight, identities = InFlight(), Identities()
    lines = Lines.of(asyncio.get_running_loop())

    principal = partial(compile_principal, default=snapshot.default_limits)
    authenticator = Authenticator(PostgresKeySource(pool), principal, metrics, down_since=lambda: changes.down_since)
    feed = Feed(snapshot, authenticator, metrics)
    changes = KeyChanges(dsn, feed.key_changed, feed.missed_changes)
    vocabularies = Vocabularies()
    expectations = Expectations(snapshot, output_cap)
    bookkeeper = Bookkeeper(journal, vocabularies, log, metrics, summary, expectations.learn)
    receiver = Receiver(settings.server.max_body_bytes, Intake(), places.ledger.parent)
    router = open_router(snapshot, ledger)
    neighbours = open_neighbours(_redis(settings), router.board, router.breakers, host, log, metrics)
    lessee = open_lessee(ledger, host, neighbours.link, log, metrics)
    queue = _queue(snapshot, metrics)
    admitter = Admitter(ledger, LimitBook(snapshot), expectations, vocabularies, metrics, queue, lessee)
    slots = Slots(router.board, ledger, snapshot, neighbours, compile_limits, log, metrics)
    funds = _funds(ledger, pool, log, metrics)
    calling = _calling(snapshot, transport, media, router, slots, bookkeeper, funds.reserver, identities, log, metrics)
    overrides = OverrideChanges(dsn, calling.lookout.apply)
    screener = Screener(snapshot, metrics, log, calling.external)
    rulebook = Rulebook(settings, snapshot, screener, feed, calling.external, dsn, places.guardrails, log)
    embedding = Embedding(snapshot, calling.providers, OwnCalls(journal, identities.new, metrics))
    opening = (settings, snapshot, dsn, console, ledger, places, index, log, metrics)
    cache = open_caching(*opening, begin, early_head, calling.shadowing.again, embedding)
    # Else a worker that starts would fill what somebody has drained, and screen by the file alone.
    await asyncio.gather(overrides.learn(), rulebook.learn(), cache.learn())
    doorway, planner = (authenticator, receiver, admitter, screener), calling.planner
    hallway = Hallway(*doorway, cache.look_up, planner, funds.reserver, calling.shadowing, calling.attempts, bookkeeper)
    counting = Counting(*doorway, planner, calling.attempts.asker, calling.caller, vocabularies)
    unpriced = sum(any(target.price is None for target in route.targets) for route in snapshot.routes.values())
    health_of = health.Health(lambda: changes.last_ok, lambda: journal.standing, unpriced, lambda: lessee.state)
    exposition = health.Exposition(lambda: metrics.exposition(calling.lookout.readings()))

    bound = partial(Boundary, log=log, metrics=metrics)
    within = (feed.current, in_flight, identities, lines)

    def boundary(serve: Serve, method: str, spoken: Dialect, operation: Operation, told: Told | None) -> Boundary:
        methods = frozenset({method})
        return bound(serve, *within, methods=methods, dialect=spoken, told=told, operation=operation)

    doors = _doors(boundary, hallway, counting, ModelList(authenticator))
    routes: list[BaseRoute] = [
        Route("/v1/models/{model:path}", doors["/v1/models"]),
        *health.routes(health_of, exposition, serve_metrics=settings.telemetry.metrics),
        *control.routes(console, log, settings, calling.lookout, rulebook, cache.desk),
        Route("/{path:path}", NothingHere(identities)),
    ]

    async def close() -> None:
        await calling.shadowing.close()
        await bookkeeper.finish()
        await cache.close()
        await funds.close()
        journal.close()
        transport.close()
        resolver.close()
        await exposition.close()
        ledger.close()
        await asyncio.gather(pool.close(), console.close())
        metrics.close()

    following = [changes.follow, overrides.follow, rulebook.follow, neighbours.follow, lessee.follow]
    background = [*following, journal.measure, calling.prober.run, funds.treasurer.run, *cache.background]
    return Gateway(_entrance(doors, routes), health_of, in_flight, background, close, log)


def _entrance(doors: Mapping[str, ASGIApp], routes: list[BaseRoute]) -> "Entrance":
    return Entrance(doors, Router(routes, redirect_slashes=False))


class _Funds(NamedTuple):
    """What calls under budgets are paid with."""

    reserver: Reserver
    treasurer: Treasurer
    bank: PostgresBank

    async def close(self) -> None:
        """Ends what is asked; leases lapse by themselves."""
        await self.treasurer.close()
        await self.bank.close()


def _funds(ledger: limits.Ledger, pool: asyncpg.Pool, log: Log, metrics: Metrics) -> _Funds:
    bank, purses = PostgresBank(pool, log, metrics), Purses(ledger)
    treasurer = Treasurer(purses, bank, log)
    return _Funds(Reserver(purses, treasurer, Concerned(), output_cap, metrics), treasurer, bank)


def _ledger(places: Places) -> limits.Ledger:
    ledger = limits.Ledger(str(places.ledger))
    ledger.join()
    return ledger


def _queue(snapshot: Snapshot, metrics: Metrics) -> Queue | None:
    return Queue(snapshot.queueing, metrics.queued) if snapshot.queueing is not None else None


async def _pools(dsn: str) -> tuple[asyncpg.Pool, asyncpg.Pool]:
    """Connections for calls, and for people: who looks at a large bill must not hold up the keys of calls."""
    calls = await connect(dsn, application_name="tollway worker", max_size=4)
    return calls, await connect(dsn, application_name="tollway console", max_size=4)


def _journal(settings: Settings, places: Places, metrics: Metrics) -> Journal:
    keeping = settings.storage.journal
    drop = metrics.dropped_row if keeping.when_full == "drop" else None
    return Journal(places.journal, keeping.max_bytes, drop=drop)


def _redis(settings: Settings) -> str | None:
    return settings.storage.redis.reveal() if settings.storage.redis else None


class _Calling(NamedTuple):
    """What calls of providers, and questions to others, are planned and made with."""

    external: Opener
    planner: Planner
    attempts: Attempts
    caller: Caller
    shadowing: Shadowing
    lookout: Lookout
    prober: Prober
    providers: Mapping[tuple[str, str], Provider]


def _calling(
    snapshot: Snapshot,
    transport: HttpTransport,
    media: GuardedFetcher,
    router: CallRouter,
    slots: Slots,
    bookkeeper: Bookkeeper,
    reserver: Reserver,
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

    reserve = reserver.reserve_at_once
    before = (planner.only, reserve, attempts.run, relay, shadow)
    shadowing = Shadowing(*before, identities.new, log, metrics, plan=planner.plan)
    prober = Prober(questions(snapshot, providers, policy_of), transport, router.board, slots.changed, log)
    external = Opener(Asking(transport), Moderating(snapshot, providers), log, metrics)
    return _Calling(external, planner, attempts, caller, shadowing, Lookout(snapshot, router), prober, providers)


def _doors(
    boundary: Callable[[Serve, str, Dialect, Operation, Told | None], Boundary],
    hallway: Hallway,
    counting: Counting,
    models: ModelList,
) -> Mapping[str, Boundary]:
    """The data plane's paths."""
    spoken = dialects()

    def door(operation: Operation, serve: Serve = hallway.serve) -> Boundary:
        return boundary(serve, "POST", spoken[operation], operation, None)

    told = {b"anthropic-version": spoken["messages"]}
    return {
        "/v1/chat/completions": door("chat"),
        "/api/v1/chat/completions": door("chat"),
        "/v1/completions": door("completions"),
        "/v1/embeddings": door("embeddings"),
        "/v1/messages": door("messages"),
        "/v1/messages/count_tokens": door("count_tokens", counting.serve),
        "/v1/responses": door("responses"),
        **{path: door(operation) for path, operation in DOORS},
        "/v1/models": boundary(models.serve, "GET", spoken["chat"], "chat", told),
    }


class Entrance:
    """A worker's application: the data plane's paths are looked up in a table, all others tried one by one."""

    def __init__(self, doors: Mapping[str, ASGIApp], others: ASGIApp) -> None:
        self._doors = doors
        self._others = others

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serves one request."""
        return self._doors.get(scope["path"], self._others)(scope, receive, send)


class NothingHere:
    """What answers at every other path, whatever the method."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 404 in the envelope."""
        rendered = render(NotFound("There is nothing at this path."), self._identities.new())
        headers = {name.decode(): value.decode() for name, value in rendered.headers}
        await Response(rendered.body, rendered.status, headers)(scope, receive, send)
