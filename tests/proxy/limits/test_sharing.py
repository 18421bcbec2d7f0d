"""Limits over many hosts: as many as allowed, whatever becomes of messages, clocks, hosts and Redis. Nothing leaks."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest
from tests.fakes.shared_limits import Host, Redis, most_within, open_host
from tests.fakes.telemetry import Recording, counted
from tests.fakes.virtual_time import run

from tollway._native.limits import Ledger, LimitSet, Short
from tollway.proxy.limits.sharing import Sole
from tollway.telemetry.metrics import Metrics

WINDOW_S = 10.0
REQUESTS, TOKENS, SLOTS = 30, 900, 6


def limits(requests: int = REQUESTS, tokens: int = TOKENS, slots: int = SLOTS) -> LimitSet:
    window_ms = round(WINDOW_S * 1000)
    return LimitSet(
        [
            ("tenant:acme", "requests", requests, window_ms),
            ("tenant:acme", "tokens", tokens, window_ms),
            ("tenant:acme", "concurrency", slots, 0),
        ],
        shared=True,
    )


@contextlib.asynccontextmanager
async def at_work(*hosts: Host) -> AsyncIterator[None]:
    """Their workers run until the block ends."""
    loop = asyncio.get_running_loop()
    works = [work for host in hosts for sharer, link in host.workers for work in (link.pulse(), sharer.follow())]
    tasks = [loop.create_task(work) for work in works]
    try:
        await asyncio.sleep(4.0)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def load(host: Host, rules: LimitSet, random: Random, rate: float, for_s: float) -> None:
    """Calls come in at random for so long; each holds a slot for a while and has used fewer tokens than it reserved."""
    loop = asyncio.get_running_loop()

    async def one() -> None:
        tokens = random.randint(1, 80)
        passed = await host.call(rules, random.randrange(2), tokens)
        if passed is not None:
            await asyncio.sleep(random.uniform(0.0, 0.4))
            host.end(passed, random.randint(0, tokens))

    until_s, calls = loop.time() + for_s, set[asyncio.Task[None]]()
    while loop.time() < until_s:
        calls.add(loop.create_task(one()))
        await asyncio.sleep(random.expovariate(rate))
    await asyncio.gather(*calls)


async def all_is_there_again(hosts: list[Host], rules: LimitSet) -> None:
    """After a window and some, one host gets all there is, and the slots besides."""
    for host in hosts:
        for _, link in host.workers:
            link.loss = 0.0
    await asyncio.sleep(WINDOW_S * 1.5 + 12)
    for host in hosts:
        host.off_ms += 3_600_000  # what this host counts by its own wall clock is not what is looked at
    got = [await hosts[index % len(hosts)].call(rules, index % 2, TOKENS // SLOTS) for index in range(SLOTS)]
    assert None not in got
    assert await hosts[0].call(rules, 0, 0) is None, "no slot is left"


def most_at_once(hosts: list[Host]) -> int:
    spans = [(each.at_s, each.until_s) for host in hosts for each in host.passed]
    return max((sum(begun <= at < ended for begun, ended in spans) for at, _ in spans), default=0)


@pytest.mark.parametrize("seed", range(2))
def test_never_more_than_the_limit_within_any_window_over_three_hosts(
    tmp_path: Path, recording: Recording, metrics: Metrics, seed: int
) -> None:
    async def main() -> None:
        random, redis, rules = Random(seed), Redis(), limits()
        hosts = [
            open_host(tmp_path / str(number), redis, random, recording.log, metrics, slowest_s=0.1)
            for number in range(3)
        ]

        async def set_clocks() -> None:
            while True:
                await asyncio.sleep(random.uniform(1, 9))
                random.choice(hosts).off_ms += random.choice([-1, 1]) * random.randrange(40_000)

        async with at_work(*hosts):
            setting = asyncio.get_running_loop().create_task(set_clocks())
            await asyncio.gather(
                load(hosts[0], rules, random, 6.0, 50),
                load(hosts[1], rules, random, 3.0, 50),
                load(hosts[2], rules, random, 0.5, 50),
            )
            setting.cancel()
            passed = [each for host in hosts for each in host.passed]
            assert most_within(passed, WINDOW_S, tokens=False) <= REQUESTS
            assert most_within(passed, WINDOW_S, tokens=True) <= TOKENS
            assert most_at_once(hosts) <= SLOTS
            asked = sum(host.undecided + host.refused for host in hosts) + len(passed)
            assert sum(host.undecided for host in hosts) < asked / 20, "though each round trip takes up to 0.2 s"
            await all_is_there_again(hosts, rules)

    run(main())


def test_what_is_allowed_is_had_wherever_it_is_asked_for(
    tmp_path: Path, recording: Recording, metrics: Metrics
) -> None:
    async def main() -> None:
        random, redis, rules = Random(1), Redis(), limits(tokens=10**9, slots=10**6)
        hosts = [open_host(tmp_path / str(number), redis, random, recording.log, metrics) for number in range(2)]
        async with at_work(*hosts):
            for host in hosts:  # first the one, then the other asks for much more than there is
                await load(host, rules, random, 6.0, 30)
        passed = [each for host in hosts for each in host.passed]
        assert most_within(passed, WINDOW_S, tokens=False) == REQUESTS
        assert len(passed) >= 0.8 * 6 * REQUESTS

    run(main())


@pytest.mark.parametrize("seed", range(2))
def test_never_more_than_twice_the_limit_through_the_loss_of_redis(
    tmp_path: Path, recording: Recording, metrics: Metrics, seed: int
) -> None:
    async def main() -> None:
        random, redis, rules = Random(seed), Redis(), limits()
        hosts = [
            open_host(tmp_path / str(number), redis, random, recording.log, metrics, slowest_s=0.05, loss=0.02)
            for number in range(2)
        ]

        async def disturb() -> None:
            await asyncio.sleep(12)
            redis.is_up = False  # frozen
            await asyncio.sleep(6)
            redis.is_up = True
            await asyncio.sleep(14)
            redis.is_up = False  # killed, and empty when it is back
            await asyncio.sleep(6)
            redis.restart()
            redis.is_up = True
            await asyncio.sleep(14)
            for _, link in hosts[0].workers:
                link.is_reachable = False
            await asyncio.sleep(6)
            for _, link in hosts[0].workers:
                link.is_reachable = True

        async with at_work(*hosts):
            loads = [load(host, rules, random, rate, 65) for host, rate in zip(hosts, (5.0, 3.0), strict=True)]
            await asyncio.gather(disturb(), *loads)
            passed = [each for host in hosts for each in host.passed]
            assert most_within(passed, WINDOW_S, tokens=False) <= 2 * REQUESTS
            assert most_within(passed, WINDOW_S, tokens=True) <= 2 * TOKENS
            assert most_at_once(hosts) <= 2 * SLOTS
            lost = [each for each in passed if 1_018.0 < each.at_s < 1_022.0]
            assert {id(each.host) for each in lost} == {id(host) for host in hosts}, "both go on by their shares"
            await all_is_there_again(hosts, rules)

    run(main())
    events = recording.events()
    assert events.count("limits_by_share") == events.count("limits_leased_again")
    assert events.count("limits_by_share") <= 3 * 4 + 20, "once for each outage and worker, and for a loss now and then"


def test_slots_of_a_host_that_died_come_back(tmp_path: Path, recording: Recording, metrics: Metrics) -> None:
    async def main() -> None:
        random, redis, rules = Random(1), Redis(), limits()
        dying, living = (
            open_host(tmp_path / name, redis, random, recording.log, metrics) for name in ("dying", "living")
        )
        async with at_work(living):
            async with at_work(dying):
                for _ in range(SLOTS):
                    assert await dying.call(rules, 0, 1) is not None
                assert await living.call(rules, 0, 1) is None
            await asyncio.sleep(12)
            assert await living.call(rules, 0, 1) is not None

    run(main())


def test_few_questions_do_while_limits_are_far_away(tmp_path: Path, recording: Recording, metrics: Metrics) -> None:
    async def main() -> None:
        random, redis, rules = Random(1), Redis(), limits(10**7, 10**9, 10**5)
        hosts = [open_host(tmp_path / str(number), redis, random, recording.log, metrics) for number in range(2)]
        async with at_work(*hosts):
            await asyncio.gather(*(load(host, rules, random, 100.0, 5) for host in hosts))
            before, calls = redis.questions, sum(len(host.passed) for host in hosts)
            await asyncio.gather(*(load(host, rules, random, 100.0, 8) for host in hosts))
            calls = sum(len(host.passed) for host in hosts) - calls
        assert calls > 1_200
        assert redis.questions - before < 8 * 2_000 / 50, "so many would do for 2,000 calls a second"

    run(main())
    waits = counted(metrics, "tollway_limit_waits_total")
    assert sum(waits.values()) < 500


def test_a_worker_is_starting_until_redis_was_heard_of(tmp_path: Path, recording: Recording, metrics: Metrics) -> None:
    async def main() -> None:
        redis, random = Redis(), Random(1)
        host = open_host(tmp_path / "one", redis, random, recording.log, metrics)
        sharer = host.workers[0][0]
        assert sharer.state == "starting"
        async with at_work(host):
            assert sharer.state == "ok"
            redis.is_up = False
            await asyncio.sleep(4)
            assert await host.call(limits(), 0, 1) is not None
            assert sharer.state == "by share"
            redis.is_up = True
            await asyncio.sleep(4)
            assert sharer.state == "ok"

    run(main())
    assert counted(metrics, "tollway_limits_by_share") == {(): 0}


def test_without_redis_nothing_comes_short(tmp_path: Path) -> None:
    ledger, rules, sole = Ledger(tmp_path / "ledger", 64), limits(), Sole()
    outcomes = [ledger.admit(rules, 1, 0, 1_800_000_000_000) for _ in range(2 * SLOTS)]
    assert not any(isinstance(outcome, Short) for outcome in outcomes)
    assert sole.state is None
    ledger.close()
