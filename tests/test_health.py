"""Health: what an orchestrator is told, state by state."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx2
import pytest
from starlette.routing import Router

from tollway.health import STALE_S, Health, routes
from tollway.telemetry.metrics import Metrics, prepare


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "worker-0")) as made:
        yield made


@asynccontextmanager
async def asking(health: Health, metrics: Metrics, *, serve_metrics: bool = True) -> AsyncIterator[httpx2.AsyncClient]:
    app = Router(list(routes(health, metrics, serve_metrics=serve_metrics)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://worker") as client:
        yield client


@pytest.mark.parametrize(
    ("silent_s", "full", "draining", "status", "said", "database"),
    [
        (None, False, False, 503, "starting", "never reached"),
        (None, True, False, 503, "starting", "never reached"),
        (0.0, False, False, 200, "ready", "ok"),
        (STALE_S + 1, False, False, 200, "degraded", "unreachable"),
        (0.0, True, False, 503, "unavailable", "ok"),
        (STALE_S + 1, True, False, 503, "unavailable", "unreachable"),
        (0.0, False, True, 503, "draining", "ok"),
        (0.0, True, True, 503, "draining", "ok"),
        (None, False, True, 503, "draining", "never reached"),
    ],
)
async def test_readiness_tells_the_state_and_its_reasons(
    metrics: Metrics, silent_s: float | None, full: bool, draining: bool, status: int, said: str, database: str
) -> None:
    health = Health(lambda: None if silent_s is None else time.monotonic() - silent_s, lambda: full)
    health.draining = draining
    async with asking(health, metrics) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == status
    assert answer.json() == {
        "status": said,
        "checks": {"database": database, "journal": "full" if full else "ok"},
    }


async def test_readiness_follows_the_database_down_and_up_again(metrics: Metrics) -> None:
    last_ok: list[float | None] = [None]
    health = Health(lambda: last_ok[0], lambda: False)
    told = []
    async with asking(health, metrics) as client:
        for at in (None, time.monotonic(), time.monotonic() - STALE_S - 1, time.monotonic()):
            last_ok[0] = at
            told.append((await client.get("/health/ready")).json()["status"])
    assert told == ["starting", "ready", "degraded", "ready"]


async def test_a_worker_is_alive_whatever_its_state(metrics: Metrics) -> None:
    health = Health(lambda: None, lambda: True)
    health.draining = True
    async with asking(health, metrics) as client:
        answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_metrics_are_served_unless_they_are_switched_off(metrics: Metrics) -> None:
    health = Health(time.monotonic, lambda: False)
    metrics.entered()
    async with asking(health, metrics) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "tollway_in_flight 1.0" in answer.text
    async with asking(health, metrics, serve_metrics=False) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_health_only_answers_questions(metrics: Metrics) -> None:
    async with asking(Health(time.monotonic, lambda: False), metrics) as client:
        assert (await client.post("/health/ready")).status_code == 405
        assert (await client.head("/health/ready")).status_code == 200
