"""Failure 17: a breaker that opens lets a few through when its time is over, not everybody; and what one caller does to
himself is never counted against a target. Over two instances with Redis, and over one without.
"""

import asyncio
import json
import time
from collections.abc import Iterator

import httpx2
import pytest
from tests.e2e.conftest import StartAll
from tests.fakes.gateway import KEY, Gateway
from tests.fakes.routed import alias, answering, ask, ask_all, attempts, question, routed, upstreams
from tests.fakes.scripts import Script, deltas, sse, status, whole
from tests.fakes.upstream import FakeUpstream, Seen

OTHER_KEY = "test-key-of-tenant-other-0001"
CALLERS = 500
COOLDOWN_S, MAX_COOLDOWN_S, PROBES = 2.0, 4.0, 2
PROBE_S = 0.8
"""How long a probe takes: time enough for a stampede."""

BREAKER = {
    "consecutive": 3,
    "cooldown": f"{COOLDOWN_S:g}s",
    "max_cooldown": f"{MAX_COOLDOWN_S:g}s",
    "probes": PROBES,
    "slow_start": "0s",
}
ONCE = {"attempts": 1}
SABOTAGES = 30


TWO_WORKERS = {"host": "127.0.0.1", "workers": 2, "drain": "20s"}


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, FakeUpstream]]:
    with upstreams("one", "two") as both:
        yield both


@pytest.fixture(scope="module")
def gateways(instances: StartAll, lasting_dsn: str, running: dict[str, FakeUpstream]) -> list[Gateway]:
    models = {
        "stampede": alias("one/stampede", retries=ONCE),
        "flapping": alias("one/flapping", retries=ONCE),
        "hang-ups": alias("one/hang-ups", retries=ONCE),
        "hurry": alias("one/hurry", retries=ONCE),
        "bad": alias("one/bad", retries=ONCE),
    }
    tenants = {"acme": {"keys": {"ci": {"key": KEY}}}, "other": {"keys": {"ci": {"key": OTHER_KEY}}}}
    return instances(routed(lasting_dsn, running, models, tenants=tenants, server=TWO_WORKERS, breaker=BREAKER))


def times_of(upstream: FakeUpstream, model: str) -> list[float]:
    """When each request of a model arrived."""
    return [seen.arrived_at for seen in list(upstream.requests) if seen.model == model]


async def broken(gateways: list[Gateway], upstream: FakeUpstream, model: str) -> float:
    """Opens the target's breaker by failures; returns when all instances know."""
    upstream.scripts[model] = status(500)
    while True:
        answers = [await asyncio.to_thread(ask, gateway, model) for gateway in gateways]
        if all(attempts(answer) == 0 for answer in answers):
            assert {answer.status_code for answer in answers} == {503}
            return time.monotonic()


async def press(gateways: list[Gateway], model: str, callers: int, seconds: float) -> list[int]:
    """So many callers, who ask again and again for a while or until they are answered; the last status of each."""
    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    headers = {"authorization": f"Bearer {KEY}"}
    end = time.monotonic() + seconds
    async with httpx2.AsyncClient(headers=headers, timeout=60, limits=limits) as client:

        async def one(number: int) -> int:
            await asyncio.sleep(number / callers)
            url = f"{gateways[number % len(gateways)].base_url}/chat/completions"
            while True:
                answer = await client.post(url, json=question(model))
                if answer.status_code == 200 or time.monotonic() > end:
                    return answer.status_code
                await asyncio.sleep(1.0)

        return await asyncio.gather(*(one(number) for number in range(callers)))


async def test_500_callers_meet_a_half_open_target_as_a_few_probes_and_it_closes(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    one = running["one"]
    await broken(gateways, one, "stampede")
    before = one.hits_of("stampede")
    one.scripts["stampede"] = answering(delay_s=PROBE_S)
    statuses = await press(gateways, "stampede", CALLERS, 20.0)
    assert statuses == [200] * CALLERS, "it closes after its recovery, for everybody"
    served = [seen for seen in list(one.requests) if seen.model == "stampede"][before:]
    recovered = sorted(seen.answered_at for seen in served if seen.answered_at is not None)[PROBES - 1]
    probes = [seen for seen in served if seen.arrived_at < recovered]
    assert 1 <= len(probes) <= PROBES, "all instances together"
    for gateway in gateways:
        assert (await asyncio.to_thread(ask, gateway, "stampede")).status_code == 200


async def test_a_target_that_stays_broken_is_tried_by_the_probes_alone(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    one = running["one"]
    await broken(gateways, one, "flapping")
    before = one.hits_of("flapping")

    def failing(_: Seen) -> Script:
        return whole({"error": {"message": "scripted"}}, status=500, delay_s=PROBE_S)

    one.scripts["flapping"] = failing
    started = time.monotonic()
    seconds = 9.0
    statuses = await press(gateways, "flapping", 60, seconds)
    took_s = time.monotonic() - started
    assert set(statuses) <= {500, 503}
    hits = times_of(one, "flapping")[before:]
    # Half-opens follow each other by a probe's time and a cooldown at least, and the cooldown doubles once.
    half_opens = 1 + int(max(0.0, took_s - COOLDOWN_S) / (MAX_COOLDOWN_S + PROBE_S)) + 1
    assert 1 <= len(hits) <= PROBES * half_opens
    one.scripts["flapping"] = answering()
    assert await press(gateways, "flapping", 4, 20.0) == [200] * 4


def slowly(seen: Seen) -> Script:
    """An answer that takes longer than an impatient caller waits."""
    if seen.json.get("stream"):
        return sse(deltas("Hello there."), delay_s=0.4)
    return answering(delay_s=0.4)(seen)


async def leave(gateway: Gateway, model: str, *, stream: bool) -> None:
    """One call of K1 that hangs up after 100 ms."""
    body = json.dumps(question(model, stream=stream)).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
    writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    try:
        async with asyncio.timeout(0.1):
            await reader.read(-1)
    except TimeoutError:
        pass
    writer.close()


async def is_well_for_others(gateways: list[Gateway], model: str) -> None:
    """K2 is served by every instance, at the first attempt."""
    answers = await ask_all(gateways, model, 4 * len(gateways), at_once=4, key=OTHER_KEY)
    assert [(answer.status_code, attempts(answer)) for answer in answers] == [(200, 1)] * len(answers)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_hang_ups_after_100_ms_never_cool_a_target_for_others(
    gateways: list[Gateway], running: dict[str, FakeUpstream], stream: bool
) -> None:
    one = running["one"]
    one.scripts["hang-ups"] = slowly
    before = len(one.aborts)
    for _ in range(3):
        await asyncio.gather(*(leave(gateway, "hang-ups", stream=stream) for gateway in gateways for _ in range(10)))
    await one.until(lambda: len(one.aborts) >= before + 3 * 10 * len(gateways))
    await is_well_for_others(gateways, "hang-ups")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_callers_own_timeout_never_cools_a_target_for_others(
    gateways: list[Gateway], running: dict[str, FakeUpstream], stream: bool
) -> None:
    running["one"].scripts["hurry"] = slowly
    answers = await ask_all(
        gateways, "hurry", SABOTAGES, at_once=10, headers={"x-tollway-timeout": "100ms"}, stream=stream
    )
    assert {answer.status_code for answer in answers} == {504}
    await is_well_for_others(gateways, "hurry")


async def test_bad_bodies_never_cool_a_target_for_others(
    gateways: list[Gateway], running: dict[str, FakeUpstream]
) -> None:
    one = running["one"]

    def strict(seen: Seen) -> Script:
        return answering()(seen) if "temperature" not in seen.json else status(seen.json["seed"])

    one.scripts["bad"] = strict
    for refused in (400, 413, 422, 404):
        answers = await ask_all(gateways, "bad", SABOTAGES, at_once=10, temperature=-1, seed=refused)
        assert {answer.status_code for answer in answers} == {400 if refused == 422 else refused}
    headers = {"authorization": f"Bearer {KEY}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as client:
        for gateway in gateways:
            for body in (b"", b"{", b'{"model": "bad"}', b'{"model": "bad", "messages": 7}'):
                answer = await client.post(f"{gateway.base_url}/chat/completions", content=body)
                assert answer.status_code == 400
    await is_well_for_others(gateways, "bad")
