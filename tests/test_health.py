"""Health: what an orchestrator is told, state by state."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx2
import pytest
from starlette.routing import Router

from tollway.health import STALE_S, Exposition, Health, routes
from tollway.telemetry.metrics import Metrics, prepare


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "worker-0")) as made:
        yield made


@asynccontextmanager
async def asking(
    health: Health, metrics: Metrics | Callable[[], bytes], *, serve_metrics: bool = True
) -> AsyncIterator[httpx2.AsyncClient]:
    exposition = Exposition(metrics.exposition if isinstance(metrics, Metrics) else metrics)
    app = Router(list(routes(health, exposition, serve_metrics=serve_metrics)))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://worker") as client:
        yield client
    await exposition.close()


@pytest.mark.parametrize(
    ("silent_s", "journal", "draining", "status", "said", "database"),
    [
        (None, "ok", False, 503, "starting", "never reached"),
        (None, "full", False, 503, "starting", "never reached"),
        (0.0, "ok", False, 200, "ready", "ok"),
        (STALE_S + 1, "ok", False, 200, "degraded", "unreachable"),
        (0.0, "full", False, 503, "unavailable", "ok"),
        (STALE_S + 1, "full", False, 503, "unavailable", "unreachable"),
        (0.0, "filling", False, 200, "degraded", "ok"),
        (0.0, "dropping", False, 200, "degraded", "ok"),
        (0.0, "ok", True, 503, "draining", "ok"),
        (0.0, "full", True, 503, "draining", "ok"),
        (None, "ok", True, 503, "draining", "never reached"),
    ],
)
async def test_readiness_tells_the_state_and_its_reasons(
    metrics: Metrics, silent_s: float | None, journal: str, draining: bool, status: int, said: str, database: str
) -> None:
    health = Health(lambda: None if silent_s is None else time.monotonic() - silent_s, lambda: journal)
    health.draining = draining
    async with asking(health, metrics) as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == status
    assert answer.json() == {
        "status": said,
        "checks": {"database": database, "journal": journal},
    }


async def test_readiness_follows_the_database_down_and_up_again(metrics: Metrics) -> None:
    last_ok: list[float | None] = [None]
    health = Health(lambda: last_ok[0], lambda: "ok")
    told = []
    async with asking(health, metrics) as client:
        for at in (None, time.monotonic(), time.monotonic() - STALE_S - 1, time.monotonic()):
            last_ok[0] = at
            told.append((await client.get("/health/ready")).json()["status"])
    assert told == ["starting", "ready", "degraded", "ready"]


@pytest.mark.parametrize(
    ("limits", "status", "said"),
    [("starting", 503, "starting"), ("ok", 200, "ready"), ("by share", 200, "degraded")],
)
async def test_readiness_tells_how_shared_limits_are_held(
    metrics: Metrics, limits: str, status: int, said: str
) -> None:
    async with asking(Health(time.monotonic, lambda: "ok", limits=lambda: limits), metrics) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (status, said)
    assert answer.json()["checks"] == {"database": "ok", "journal": "ok", "limits": limits}


async def test_a_worker_is_alive_whatever_its_state(metrics: Metrics) -> None:
    health = Health(lambda: None, lambda: "full")
    health.draining = True
    async with asking(health, metrics) as client:
        answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_metrics_are_served_unless_they_are_switched_off(metrics: Metrics) -> None:
    health = Health(time.monotonic, lambda: "ok")
    metrics.entered()
    async with asking(health, metrics) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "tollway_in_flight 1.0" in answer.text
    async with asking(health, metrics, serve_metrics=False) as client:
        assert (await client.get("/metrics")).status_code == 404


async def test_health_only_answers_questions(metrics: Metrics) -> None:
    async with asking(Health(time.monotonic, lambda: "ok"), metrics) as client:
        assert (await client.post("/health/ready")).status_code == 405
        assert (await client.head("/health/ready")).status_code == 200


class Slow:
    """A rendering that waits until it may end, and counts."""

    def __init__(self) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def __call__(self) -> bytes:
        self.threads.append(threading.current_thread())
        self.began.release()
        self.may_end.acquire()
        return b"rendering %d\n" % len(self.threads)


async def test_scrapes_at_the_same_time_share_one_rendering_and_the_next_gets_a_new_one() -> None:
    slow = Slow()
    async with asking(Health(time.monotonic, lambda: "ok"), slow) as client:
        scrapes = [asyncio.create_task(client.get("/metrics")) for _ in range(10)]
        await asyncio.to_thread(slow.began.acquire)
        scrapes += [asyncio.create_task(client.get("/metrics")) for _ in range(10)]
        await asyncio.sleep(0.05)
        scrapes[0].cancel()
        slow.may_end.release(100)
        answers = await asyncio.gather(*scrapes[1:])
        assert {answer.text for answer in answers} == {"rendering 1\n"}
        assert (await client.get("/metrics")).text == "rendering 2\n"


async def test_metrics_are_rendered_though_every_thread_for_calls_is_taken(metrics: Metrics) -> None:
    may_end = threading.Event()
    loop = asyncio.get_running_loop()
    taken = [loop.run_in_executor(None, may_end.wait) for _ in range(100)]
    try:
        async with asking(Health(time.monotonic, lambda: "ok"), metrics) as client:
            answer = await asyncio.wait_for(client.get("/metrics"), 20)
            assert answer.status_code == 200
            may_end.set()
    finally:
        may_end.set()
        await asyncio.gather(*taken)


async def test_the_thread_of_metrics_ends_with_them() -> None:
    slow = Slow()
    slow.may_end.release()
    exposition = Exposition(slow)
    assert await exposition.text() == b"rendering 1\n"
    await exposition.close()
    assert not slow.threads[0].is_alive()


async def test_a_rendering_that_fails_is_told_and_tried_anew(metrics: Metrics) -> None:
    failing = [True]

    def render() -> bytes:
        if failing[0]:
            raise OSError("no such file")
        return metrics.exposition()

    exposition = Exposition(render)
    with pytest.raises(OSError, match="no such file"):
        await exposition.text()
    failing[0] = False
    assert b"tollway_in_flight" in await exposition.text()
    await exposition.close()


def test_models_without_a_price_are_told_of_and_do_no_harm() -> None:
    assert Health(time.monotonic, lambda: "ok", 3).report()[1]["unpriced_models"] == 3
    assert Health(time.monotonic, lambda: "ok", 3).report()[0] == 200
    assert "unpriced_models" not in Health(time.monotonic, lambda: "ok").report()[1]
