"""The composition root: settings in, an ASGI application out. The one file that knows every part.

Nothing is opened at import; :func:`build` opens what one worker needs, and :meth:`Gateway.close` gives it back.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

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
from tollway.proxy.auth.identify import Authenticator
from tollway.proxy.boundary import Boundary, Identities, InFlight
from tollway.proxy.counting import Counting
from tollway.proxy.dialects.port import Dialect
from tollway.proxy.dialects.table import dialects
from tollway.proxy.exchange import Principal
from tollway.proxy.feed import Feed
from tollway.proxy.guardrails.screen import Screener
from tollway.proxy.hallway import Hallway
from tollway.proxy.ingress.intake import Intake
from tollway.proxy.ingress.receive import Receiver
from tollway.proxy.limits.admit import Admitter, compile_principal
from tollway.proxy.media.fetch import GuardedFetcher, SystemResolver
from tollway.proxy.models import ModelList
from tollway.proxy.providers.call import Caller
from tollway.proxy.providers.http import HttpTransport
from tollway.proxy.providers.registry import open_providers
from tollway.proxy.usage.journal import Journal
from tollway.proxy.usage.settle import Bookkeeper
from tollway.proxy.vocabularies import Vocabularies
from tollway.settings import Settings
from tollway.storage.changes import KeyChanges
from tollway.storage.keys import PostgresKeySource
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
    settings: Settings, snapshot: Snapshot, dsn: str, places: Places, log: Log, metrics: Metrics
) -> Gateway:
    """Opens one worker's parts and puts them together."""
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
    bookkeeper = Bookkeeper(journal, vocabularies, log, metrics)
    receiver = Receiver(settings.server.max_body_bytes, Intake(), places.ledger.parent)
    admitter = Admitter(ledger, vocabularies, metrics)
    screener = Screener(snapshot, metrics)
    caller = Caller(open_providers(snapshot, transport, media))
    hallway = Hallway(authenticator, receiver, admitter, screener, caller, bookkeeper)
    counting = Counting(authenticator, receiver, admitter, screener, caller, vocabularies)

    spoken = dialects()

    def boundary(serve: Serve, method: str, operation: Operation = "chat", told: Told | None = None) -> Boundary:
        return Boundary(
            serve,
            feed.current,
            in_flight,
            identities,
            methods=frozenset({method}),
            dialect=spoken[operation],
            told=told,
            operation=operation,
            log=log,
            metrics=metrics,
        )

    chat = boundary(hallway.serve, "POST")
    models = boundary(ModelList(authenticator).serve, "GET", told={b"anthropic-version": spoken["messages"]})
    health_of = health.Health(lambda: changes.last_ok, lambda: journal.full)
    exposition = health.Exposition(metrics.exposition)
    routes: list[BaseRoute] = [
        Route("/v1/chat/completions", chat),
        Route("/api/v1/chat/completions", chat),
        Route("/v1/completions", boundary(hallway.serve, "POST", "completions")),
        Route("/v1/embeddings", boundary(hallway.serve, "POST", "embeddings")),
        Route("/v1/messages", boundary(hallway.serve, "POST", "messages")),
        Route("/v1/messages/count_tokens", boundary(counting.serve, "POST", "count_tokens")),
        Route("/v1/responses", boundary(hallway.serve, "POST", "responses")),
        *(Route(path, boundary(hallway.serve, "POST", operation)) for path, operation in DOORS),
        Route("/v1/models", models),
        Route("/v1/models/{model:path}", models),
        *health.routes(health_of, exposition, serve_metrics=settings.telemetry.metrics),
        *control.routes(pool, log, lambda: declared),
        Route("/{path:path}", NothingHere(identities)),
    ]

    async def close() -> None:
        await bookkeeper.finish()
        journal.close()
        transport.close()
        resolver.close()
        ledger.close()
        await pool.close()
        await exposition.close()
        metrics.close()

    background = [changes.follow, journal.measure]
    return Gateway(Router(routes, redirect_slashes=False), health_of, in_flight, background, close, log)


class NothingHere:
    """What answers at every other path, whatever the method."""

    def __init__(self, identities: Identities) -> None:
        self._identities = identities

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 404 in the envelope."""
        rendered = render(NotFound("There is nothing at this path."), self._identities.new())
        headers = {name.decode(): value.decode() for name, value in rendered.headers}
        await Response(rendered.body, rendered.status, headers)(scope, receive, send)
