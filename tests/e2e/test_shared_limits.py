"""Limits are one number over two gateways that share a Redis: as many as allowed pass, slots come back, and calls go on
while Redis is frozen, dead and then empty."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from redis import Redis
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.redis_server import RedisServer
from tests.fakes.scripts import completion, cut_after, hang, status, whole
from tests.fakes.upstream import FakeUpstream

HEADERS = {"authorization": f"Bearer {KEY}"}
GIVEN_BACK_S = 0.6
"""A host that has no use for a slot gives it back sooner."""

SETTLED_S = 4.0
"""By then the hosts of a Redis that was empty lease."""

Pair = Callable[..., list[Gateway]]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def pair(postgres_dsn: str, upstream: FakeUpstream, redis: RedisServer, tmp_path: Path) -> Iterator[Pair]:
    """Starts A and B on one PostgreSQL and one Redis."""
    with ExitStack() as running:

        def begin(workers: int = 1, **limits: int) -> list[Gateway]:
            settings = config(
                postgres_dsn,
                upstream.base_url,
                server={"host": "127.0.0.1", "workers": workers, "drain": "20s"},
                storage={"postgres": postgres_dsn, "redis": redis.url},
                models=models("m", "hangs", "fails", "cut"),
                tenants={"acme": {"keys": {"ci": {"key": KEY}}, "limits": limits}},
            )
            gateways = []
            for name in ("A", "B"):
                (tmp_path / name).mkdir()
                gateways.append(running.enter_context(Gateway(settings, tmp_path / name)))
            for gateway in gateways:
                gateway.wait_until(lambda gateway=gateway: leases(gateway), "leasing")  # type: ignore[misc]
            return gateways

        upstream.default = whole(completion())
        upstream.scripts |= {"hangs": hang(), "fails": status(502), "cut": cut_after(1)}
        yield begin


def leases(gateway: Gateway) -> bool:
    checks: dict[str, Any] = gateway.ready()[1].get("checks", {})
    return checks.get("limits") == "ok"


def body(model: str = "m", **more: object) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], **more}


async def call(gateway: Gateway, timeout_s: float = 30.0, **more: Any) -> int:
    """The status; 0 when the client left first."""
    async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=timeout_s) as client:
        try:
            return (await client.post("/chat/completions", json=body(**more))).status_code
        except httpx2.HTTPError:
            return 0


async def test_exactly_five_of_twenty_calls_a_minute_pass_over_both(pair: Pair, upstream: FakeUpstream) -> None:
    gateways = await asyncio.to_thread(pair, workers=2, rpm=5)
    one_by_one = [await call(gateways[index % 2]) for index in range(6)]
    at_once = await asyncio.gather(*(call(gateways[index % 2]) for index in range(14)))
    assert Counter(one_by_one + at_once) == {200: 5, 429: 15}
    assert upstream.hits == 5
    async with httpx2.AsyncClient(base_url=gateways[1].base_url, headers=HEADERS, timeout=30) as client:
        answer = await client.post("/chat/completions", json=body())
    assert 40 <= int(answer.headers["retry-after"]) <= 66
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"


async def test_both_slots_come_back_however_calls_end(pair: Pair, upstream: FakeUpstream) -> None:
    first, second = await asyncio.to_thread(pair, concurrency=2)
    for ending in ("fails", "cut", "m"):
        for gateway in (first, second):
            await call(gateway, model=ending)
            await call(gateway, model=ending, max_tokens="bad")
    await asyncio.gather(*(call(gateway, 0.5, model="hangs") for gateway in (first, second)))
    await both_slots(first, second)
    await asyncio.sleep(GIVEN_BACK_S)
    held = [asyncio.create_task(call(first, model="hangs")) for _ in range(2)]
    await asyncio.to_thread(upstream.wait_for, lambda: upstream.hits_of("hangs") >= 4)
    assert await call(second) == 429, "the other host holds both"
    first.kill()
    await asyncio.gather(*held)
    began = time.monotonic()
    while await call(second) != 200:
        assert time.monotonic() - began < 60
        await asyncio.sleep(0.3)


async def both_slots(*gateways: Gateway) -> None:
    """Each host in turn is given both, before long."""
    for gateway in gateways:
        deadline = time.monotonic() + 30
        while sum(await asyncio.gather(call(gateway, model="m"), call(gateway, model="m"))) != 400:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.3)


async def test_calls_go_on_while_redis_is_frozen_dead_and_then_empty(
    pair: Pair, upstream: FakeUpstream, redis: RedisServer
) -> None:
    gateways = await asyncio.to_thread(pair, rpm=10)
    passed: list[float] = []
    statuses: Counter[int] = Counter()
    slow: list[float] = []

    async def load(gateway: Gateway, until_s: float) -> None:
        async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=30) as client:
            while (began := time.monotonic()) < until_s:
                answer = await client.post("/chat/completions", json=body())
                statuses[answer.status_code] += 1
                passed.extend([began] if answer.status_code == 200 else [])
                if began > away_at + 3:
                    slow.append(time.monotonic() - began)
                await asyncio.sleep(0.02)

    async def for_a_while(seconds: float) -> None:
        until_s = time.monotonic() + seconds
        await asyncio.gather(*(load(gateway, until_s) for gateway in gateways))

    away_at = float("inf")
    await for_a_while(1)
    redis.freeze()
    away_at = time.monotonic()
    await for_a_while(6)
    assert all(not leases(gateway) for gateway in gateways)
    away_at = float("inf")
    redis.thaw()
    await for_a_while(4)
    await asyncio.to_thread(redis.kill)
    away_at = time.monotonic()
    await for_a_while(5)
    away_at = float("inf")
    await asyncio.to_thread(redis.start)
    await for_a_while(6)
    assert set(statuses) == {200, 429}
    assert 10 <= len(passed) <= 20
    assert sorted(slow)[len(slow) // 2] < 0.1, "nobody waits for a Redis that is away"
    for gateway in gateways:
        gateway.wait_until(lambda gateway=gateway: leases(gateway), "leasing again")  # type: ignore[misc]
        assert gateway.log().count("limits_by_share") <= 3
        assert '"level":"error"' not in gateway.log()


async def test_redis_hears_little_while_the_limit_is_far_away(
    pair: Pair, upstream: FakeUpstream, redis: RedisServer
) -> None:
    gateways = await asyncio.to_thread(pair, rpm=10_000_000, tpm=1_000_000_000, concurrency=10_000)
    await asyncio.sleep(SETTLED_S)

    async def load(gateway: Gateway, until_s: float) -> int:
        count = 0
        async with httpx2.AsyncClient(base_url=gateway.base_url, headers=HEADERS, timeout=30) as client:
            while time.monotonic() < until_s:
                answer = await client.post("/chat/completions", json=body())
                assert answer.status_code == 200, answer.text
                count += 1
        return count

    async def calls(seconds: float) -> int:
        until_s = time.monotonic() + seconds
        return sum(await asyncio.gather(*(load(gateway, until_s) for gateway in gateways for _ in range(4))))

    with contextlib.closing(Redis.from_url(redis.url)) as client:
        await calls(3)
        before, began = asked_of(client), time.monotonic()
        assert await calls(8) > 500
        per_second = (asked_of(client) - before) / (time.monotonic() - began)
    assert per_second < 2_000 / 50, "so many would be allowed at 2,000 calls a second"


def asked_of(client: "Redis") -> int:
    """All commands that the server has carried out, those of scripts too."""
    stats: dict[str, dict[str, int]] = client.info("commandstats")
    return sum(each["calls"] for each in stats.values())
