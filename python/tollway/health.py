"""Health and metrics: what orchestrators and Prometheus ask of a worker. It needs no key and tells nothing secret."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tollway.telemetry.metrics import CONTENT_TYPE

STALE_S = 10.0
"""Key changes not heard of for this long mean that the database is out of reach."""


class Health:
    """What this worker knows of itself. ``draining`` is set when it is to end. ``unpriced_models`` are how many have a
    target without a price: their calls have no cost, which somebody should know."""

    def __init__(
        self,
        database_last_ok: Callable[[], float | None],
        journal: Callable[[], str],
        unpriced_models: int = 0,
        limits: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.draining = False
        self._limits = limits
        self._database_last_ok = database_last_ok
        self._journal = journal
        self._unpriced_models = unpriced_models

    def report(self) -> tuple[int, dict[str, object]]:
        """HTTP status and body of ``/health/ready``.

        ``starting`` (503): the database was never reached, so no key could be checked; or Redis was not, for some
        seconds at most: shared limits would be held by a share alone. ``degraded`` (200): one of them was, and is out
        of reach now, or the journal is filling; known keys are served. ``draining`` (503): no new work, please.
        ``unavailable`` (503): the journal is full, so calls would be refused.
        """
        last_ok = self._database_last_ok()
        database = (
            "never reached" if last_ok is None else "ok" if time.monotonic() - last_ok < STALE_S else "unreachable"
        )
        journal = self._journal()
        checks: dict[str, object] = {"database": database, "journal": journal}
        limits = self._limits()
        if limits is not None:
            checks["limits"] = limits
        if self.draining:
            return 503, {"status": "draining", "checks": checks}
        if last_ok is None or limits == "starting":
            return 503, {"status": "starting", "checks": checks}
        if journal == "full":
            return 503, {"status": "unavailable", "checks": checks}
        is_whole = database == journal == "ok" and limits in (None, "ok")
        told: dict[str, object] = {"status": "ready" if is_whole else "degraded", "checks": checks}
        return 200, told | ({"unpriced_models": self._unpriced_models} if self._unpriced_models else {})


class Exposition:
    """``/metrics`` as text, rendered on a thread of its own: files are read, and no call may wait behind that.

    Whoever asks while one is being rendered gets that one, so many scrapes cost as much as one.
    """

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render = render
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics")
        self._under_way: asyncio.Future[bytes] | None = None

    async def text(self) -> bytes:
        """What :meth:`Metrics.exposition` gives."""
        if self._under_way is None:
            self._under_way = asyncio.get_running_loop().run_in_executor(self._thread, self._render)
            self._under_way.add_done_callback(self._rendered)
        return await asyncio.shield(self._under_way)  # one scraper that hangs up must not take it from the others

    def _rendered(self, done: "asyncio.Future[bytes]") -> None:
        self._under_way = None
        if not done.cancelled():
            done.exception()  # whoever awaited has it

    async def close(self) -> None:
        """Lets the thread end; what is being rendered is finished first."""
        await asyncio.to_thread(self._thread.shutdown)


def routes(health: Health, exposition: Exposition, *, serve_metrics: bool) -> list[Route]:
    """``/health/live``, ``/health/ready`` and, unless switched off, ``/metrics``."""

    async def live(_: Request) -> Response:
        return _json(200, {"status": "alive"})

    async def ready(_: Request) -> Response:
        return _json(*health.report())

    async def metrics(_: Request) -> Response:
        return Response(await exposition.text(), media_type=CONTENT_TYPE)

    found = [Route("/health/live", live), Route("/health/ready", ready)]
    return [*found, Route("/metrics", metrics)] if serve_metrics else found


def _json(status: int, body: dict[str, object]) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
