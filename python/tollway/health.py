"""Health and metrics: what orchestrators and Prometheus ask of a worker. It needs no key and tells nothing secret."""

import asyncio
import time
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tollway.telemetry.metrics import CONTENT_TYPE, Metrics

STALE_S = 10.0
"""Key changes not heard of for this long mean that the database is out of reach."""


class Health:
    """What this worker knows of itself. ``draining`` is set when it is to end."""

    def __init__(self, database_last_ok: Callable[[], float | None], journal_full: Callable[[], bool]) -> None:
        self.draining = False
        self._database_last_ok = database_last_ok
        self._journal_full = journal_full

    def report(self) -> tuple[int, dict[str, object]]:
        """HTTP status and body of ``/health/ready``.

        ``starting`` (503): the database was never reached, so no key could be checked. ``degraded`` (200): it was,
        and is out of reach now; known keys are served. ``draining`` (503): no new work, please.
        """
        last_ok = self._database_last_ok()
        database = (
            "never reached" if last_ok is None else "ok" if time.monotonic() - last_ok < STALE_S else "unreachable"
        )
        journal = "full" if self._journal_full() else "ok"
        checks: dict[str, object] = {"database": database, "journal": journal}
        if self.draining:
            return 503, {"status": "draining", "checks": checks}
        if last_ok is None:
            return 503, {"status": "starting", "checks": checks}
        if journal == "full":
            return 503, {"status": "unavailable", "checks": checks}
        return 200, {"status": "ready" if database == "ok" else "degraded", "checks": checks}


def routes(health: Health, metrics: Metrics, *, serve_metrics: bool) -> list[Route]:
    """``/health/live``, ``/health/ready`` and, unless switched off, ``/metrics``."""

    async def live(_: Request) -> Response:
        return _json(200, {"status": "alive"})

    async def ready(_: Request) -> Response:
        return _json(*health.report())

    async def exposition(_: Request) -> Response:
        return Response(await asyncio.to_thread(metrics.exposition), media_type=CONTENT_TYPE)

    found = [Route("/health/live", live), Route("/health/ready", ready)]
    return [*found, Route("/metrics", exposition)] if serve_metrics else found


def _json(status: int, body: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
