"""Answers that hosts share over one Redis, and workers of a host without one: filled here, given there, erased for all.

Redis may freeze, die and come back empty: then calls are answered by the provider, and nobody fails."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest
from tests.fakes.gateway import KEY, Gateway, config, models
from tests.fakes.redis_server import RedisServer
from tests.fakes.scripts import Script, completion, deltas, sse, whole
from tests.fakes.upstream import FakeUpstream, Seen

OTHER_KEY = "test-key-of-tenant-globex-0001"
CACHE = {"exact": {"ttl": "1h"}, "semantic": {"threshold": 0.8, "ttl": "1h"}}
TENANTS = {"acme": {"keys": {"ci": {"key": KEY}}}, "globex": {"keys": {"ci": {"key": OTHER_KEY}}}}
HIT = ("exact", "semantic")


class Provider:
    """Numbers its answers, so that no two are the same."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, seen: Seen) -> Script:
        self.count += 1
        text = f"answer {self.count}"
        return sse(deltas(*text.split())) if seen.json.get("stream") else whole(completion(text))


class House:
    """Gateways on one database, and what may be done with them."""

    def __init__(self, gateways: list[Gateway]) -> None:
        self.gateways = gateways
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "tollway.cli", "keys", "create", "--admin", "--name", "ops"),
                *("--config", str(gateways[0].config_path), "--json"),
            ],
            capture_output=True,
            check=True,
            timeout=60,
        )
        self.admin = {"authorization": f"Bearer {json.loads(ran.stdout)['key']}"}

    def erase(self, gateway: Gateway, **meant: str) -> bool:
        """Erases over the API of one; whether all have."""
        url = f"{gateway.url}/api/v1/cache/entries"
        answer = httpx2.delete(url, params=meant, headers=self.admin, timeout=30)
        assert answer.status_code == 200, answer.text
        return all(answer.json().values())


def ask(gateway: Gateway, text: str, key: str = KEY, **more: Any) -> httpx2.Response:
    """A call on a connection of its own: every worker has its turn."""
    headers = {"authorization": f"Bearer {key}", "connection": "close"}
    body = {"model": "m", "messages": [{"role": "user", "content": text}], **more}
    answer = httpx2.post(f"{gateway.base_url}/chat/completions", headers=headers, json=body, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer


def found(answer: httpx2.Response) -> str:
    return str(answer.headers["x-tollway-cache"])


def said(answer: httpx2.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])


def hit(gateway: Gateway, text: str, within_s: float = 20.0, key: str = KEY, times: int = 1) -> httpx2.Response:
    """Asks, without filling, until so many answers in a row are from the cache."""
    until, row = time.monotonic() + within_s, 0
    headers = {"authorization": f"Bearer {key}", "connection": "close", "x-tollway-cache": "only"}
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    while True:
        answer = httpx2.post(f"{gateway.base_url}/chat/completions", headers=headers, json=body, timeout=30)
        row = row + 1 if answer.status_code == 200 else 0
        if row == times:
            return answer
        assert time.monotonic() < until, (answer.status_code, answer.text, gateway.log()[-3_000:])
        time.sleep(0.02)


@pytest.fixture(scope="module")
def provider(lasting_upstream: FakeUpstream) -> Provider:
    lasting_upstream.default = made = Provider()
    return made


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


Build = Callable[..., House]


@pytest.fixture(scope="module")
def build(
    tmp_path_factory: pytest.TempPathFactory, lasting_dsn: str, lasting_upstream: FakeUpstream, provider: Provider
) -> Iterator[Build]:
    """Starts gateways on one database."""
    with ExitStack() as running:

        def begin(hosts: int, url: str | None, workers: int = 1) -> House:
            storage = {"postgres": lasting_dsn, "redis": url}
            settings = config(lasting_dsn, lasting_upstream.base_url, cache=CACHE, tenants=TENANTS, storage=storage)
            settings = {**settings, "models": models("m")}
            settings["server"] = {**settings["server"], "workers": workers}
            made = [
                running.enter_context(Gateway(settings, tmp_path_factory.mktemp(f"host-{name}")))
                for name in range(hosts)
            ]
            return House(made)

        yield begin


@pytest.fixture(scope="module")
def hosts(build: Build, redis: RedisServer) -> House:
    """A and B on one Redis."""
    return build(2, redis.url)


@pytest.fixture(scope="module")
def workers(build: Build) -> House:
    """One host of two workers, without Redis."""
    return build(1, None, workers=2)


def test_what_one_host_fills_the_other_gives(hosts: House) -> None:
    a, b = hosts.gateways
    first = ask(a, "What is the capital of France?")
    assert found(first) == "miss"
    again = hit(b, "What is the capital of France?")
    assert found(again) == "exact"
    assert said(again) == said(first)


def test_a_question_that_means_the_same_is_found_on_the_other_host(hosts: House) -> None:
    a, b = hosts.gateways
    first = ask(a, "How do I reset my password?")
    again = hit(b, "how do i reset my password")
    assert found(again) in HIT
    assert said(again) == said(first)


def test_a_stream_filled_on_one_host_is_whole_on_the_other(hosts: House) -> None:
    a, b = hosts.gateways
    ask(a, "Tell me a story", stream=True)
    assert said(hit(b, "Tell me a story")).startswith("answer")


def test_what_was_erased_on_one_host_is_missed_on_the_other_at_once(hosts: House) -> None:
    a, b = hosts.gateways
    for turn in range(5):
        text = f"Which river is the longest, part {turn * 100}?"
        first = ask(a, text)
        kept = ask(a, text, OTHER_KEY)
        hit(b, text)
        hit(b, text, key=OTHER_KEY)
        assert hosts.erase(a, tenant_id="acme")
        missed = ask(b, text)
        assert found(missed) == "miss"
        assert said(missed) != said(first)
        assert said(hit(b, text, key=OTHER_KEY)) == said(kept), "another tenant's stays"
        assert said(hit(a, text)) == said(missed), "and what is filled since is shared again"


def sharing_again(one: Gateway, other: Gateway) -> None:
    """Returns when the one fills and the other is given it."""
    texts = (f"What is {number} times {number}?" for number in itertools.count(time.monotonic_ns() % 100_000))

    def given() -> bool:
        text = next(texts)
        ask(one, text)
        time.sleep(0.5)
        return found(ask(other, text)) == "exact"

    other.wait_until(given, "sharing again")


def test_redis_frozen_killed_and_emptied_is_misses_without_errors(hosts: House, redis: RedisServer) -> None:
    a, b = hosts.gateways
    text = "Who wrote the Odyssey?"
    ask(a, text)
    hit(b, text)
    redis.freeze()
    try:
        assert Counter(found(ask(b, text)) for _ in range(10)) == Counter({"miss": 10})
    finally:
        redis.thaw()
    sharing_again(a, b)
    redis.kill()
    assert Counter(found(ask(b, text)) for _ in range(10)) == Counter({"miss": 10})
    redis.start()

    sharing_again(a, b)
    sharing_again(b, a)
    for gateway in (a, b):
        assert '"level":"error"' not in gateway.log()
        assert gateway.log().count("cache_redis_lost") <= 3
        assert gateway.log().count("cache_fills_lost") <= 3


def test_a_host_that_was_restarted_has_what_lies_in_redis(hosts: House) -> None:
    a, b = hosts.gateways
    first = ask(a, "What is the speed of light?")
    hit(b, "What is the speed of light?")
    restart_worker(b)
    assert said(hit(b, "What is the speed of light?")) == said(first)


def restart_worker(gateway: Gateway, which: int = 0) -> None:
    """Kills one worker, and returns when another has taken its place."""
    before = gateway.workers()
    os.kill(before[which], signal.SIGKILL)
    gateway.wait_until(
        lambda: len(now := gateway.workers()) == len(before) and before[which] not in now, "another worker"
    )
    gateway.wait_until(lambda: gateway.ready()[0] == 200, "ready again")


def test_workers_of_a_host_without_redis_share_what_they_fill(workers: House) -> None:
    (host,) = workers.gateways
    first = ask(host, "What is the tallest mountain?")
    again = hit(host, "What is the tallest mountain?", times=16)
    assert said(again) == said(first), "whichever worker is asked"


def test_what_was_erased_is_missed_by_all_workers_of_a_host(workers: House) -> None:
    (host,) = workers.gateways
    for turn in range(5):
        text = f"Which ocean is the deepest, part {turn * 100}?"
        first = ask(host, text)
        hit(host, text, times=12)
        assert workers.erase(host, tenant_id="acme")
        answers = [ask(host, text) for _ in range(12)]
        assert found(answers[0]) == "miss"
        assert said(first) not in {said(answer) for answer in answers}


def test_a_worker_that_was_killed_is_given_what_the_others_have(workers: House) -> None:
    (host,) = workers.gateways
    first = ask(host, "What is the boiling point of water?")
    hit(host, "What is the boiling point of water?", times=12)
    for which in (0, 1):
        restart_worker(host, which)
        assert said(hit(host, "What is the boiling point of water?", times=16)) == said(first)


def test_hosts_without_redis_hear_of_erasure_over_the_database(build: Build, workers: House) -> None:
    other = build(1, None)
    (host,), (alone,) = workers.gateways, other.gateways
    text = "What is the largest desert?"
    first = ask(alone, text)
    hit(alone, text)
    assert workers.erase(host, tenant_id="acme")
    alone.wait_until(lambda: found(ask(alone, text)) == "miss" or said(ask(alone, text)) != said(first), "forgotten")


class Load:
    """One host's callers, who ask the same again and again, and which answers they got from when on."""

    def __init__(self, gateway: Gateway, text: str, until: float) -> None:
        self._gateway, self._text, self._until = gateway, text, until
        self.heard: list[tuple[float, int, str]] = []

    async def run(self) -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        body = {"model": "m", "messages": [{"role": "user", "content": self._text}]}
        async with httpx2.AsyncClient(base_url=self._gateway.base_url, headers=headers, timeout=30) as client:
            while (began := time.monotonic()) < self._until:
                answer = await client.post("/chat/completions", json=body)
                assert answer.status_code == 200, answer.text
                self.heard.append((began, int(said(answer).split()[1]), found(answer)))


async def test_erasure_holds_while_calls_go_on(hosts: House, provider: Provider) -> None:
    """Who asks after an erasure is not told what the provider was asked for before it."""
    until = time.monotonic() + 6
    loads = [Load(gateway, "What is the smallest planet?", until) for gateway in hosts.gateways for _ in range(2)]
    erased: list[tuple[float, int]] = []

    async def erase() -> None:
        while time.monotonic() < until - 0.5:
            await asyncio.sleep(0.3)
            before = provider.count
            assert await asyncio.to_thread(hosts.erase, hosts.gateways[0], tenant_id="acme")
            erased.append((time.monotonic(), before))

    await asyncio.gather(*(load.run() for load in loads), erase())
    heard = [each for load in loads for each in load.heard]
    assert len(erased) >= 3
    assert any(how in HIT for _, _, how in heard)
    for at, before in erased:
        stale = [number for began, number, how in heard if began > at and number <= before and how != "joined"]
        assert stale == []
