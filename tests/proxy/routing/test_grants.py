"""Never more than ``probes`` calls in one half-open over all hosts: in virtual time, with everything late, some of it
lost, hosts that die, and a Redis that forgets."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fakes import virtual_time
from tests.fakes.redis_server import RedisServer
from tests.fakes.scripted_redis import LONGEST_PULSE_S, ScriptedLink, ScriptedRedis

from tollway._native.limits import Ledger
from tollway._native.routing import Board, BreakerPolicy, Change, Names, Pool
from tollway.contract.routing import Breaker
from tollway.proxy.routing.grants import HOLD, LEASE, REPORT_MS, REST, TAKE, WAITING
from tollway.proxy.routing.sharing import RedisNeighbours
from tollway.storage.commands import MEMORY, Command
from tollway.storage.redis import SILENCE_S
from tollway.telemetry.metrics import Metrics, prepare

NAME = "openai/mini"

LONGEST_OUTAGE_S = SILENCE_S - LONGEST_PULSE_S
"""Of a restart. In a longer one a host may take Redis for lost, and each probes by itself."""


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


class Provider:
    """What is called: how its calls go, and who tries it while it is half open."""

    def __init__(self, probes: int, random: Random) -> None:
        self.probes = probes
        self.random = random
        self.is_well = True
        self.slowest_s = random.choice([0.5, 3.0, 8.0])
        self.calls = 0
        self.trying: dict[int, tuple[Host, float]] = {}
        self.most = 0

    def outcome(self) -> str:
        if self.random.random() < 0.15:
            return "neutral"
        return "ok" if self.is_well else "failed"

    def tried(self, host: "Host") -> int:
        """A probe has begun. Counted with it are those that have not reported, of hosts that are alive and have not
        heard that somebody else's call has failed since."""
        now_s = asyncio.get_running_loop().time()
        self.calls += 1
        self.trying[self.calls] = (host, now_s)
        live = [
            begun_s
            for by, begun_s in self.trying.values()
            if by.is_alive and by.state == "half_open" and now_s - begun_s < REPORT_MS / 1000
        ]
        self.most = max(self.most, len(live))
        return self.calls


class Host:
    """A gateway with two workers: its calls, its board, its neighbours. Its clock is its own."""

    def __init__(
        self, number: int, directory: Path, provider: Provider, redis: ScriptedRedis, metrics: Metrics, losses: float
    ) -> None:
        self.provider = provider
        self.is_alive = True
        self.skew_ms = 3_600_000 * number
        self.ledger = Ledger(str(directory / f"ledger-{number}"), 64)
        self.ledger.join()
        self.boards = [Board(self.ledger) for _ in range(2)]
        policy = BreakerPolicy(
            consecutive=1,
            failure_permille=1000,
            minimum_calls=1000,
            window_ms=10_000,
            cooldown_ms=2_000,
            max_cooldown_ms=5_000,
            probes=provider.probes,
            slow_start_ms=0,
        )
        self.pool = Pool("chat", "weighted", [(NAME, 1, 0, None, None, policy)])
        known = {NAME: Breaker(probes=provider.probes, slow_start_s=0.0, max_cooldown_s=5.0)}
        random = Random(provider.random.random())

        def link(hear: Callable[[bytes], None], change: Callable[[bool], None]) -> ScriptedLink:
            return ScriptedLink(redis, hear, change, random, 0.35, losses, 0.2)

        self.neighbours = [
            RedisNeighbours(
                board,
                lambda: known,
                f"host-{number}",
                link,
                metrics,
                wall_ms=self.now_ms,
                steady_s=lambda: asyncio.get_running_loop().time(),
            )
            for board in self.boards
        ]
        self.tasks: list[asyncio.Task[None]] = []
        self.calling: set[asyncio.Task[None]] = set()

    def now_ms(self) -> int:
        return round(asyncio.get_running_loop().time() * 1000) + self.skew_ms

    @property
    def state(self) -> str:
        return self.boards[0].status(Names([NAME]), self.now_ms())[0][1]

    def start(self, every_s: float | None) -> None:
        self.tasks = [asyncio.create_task(worker.follow()) for worker in self.neighbours]
        if every_s is not None:
            self.tasks.append(asyncio.create_task(self._take_calls(every_s)))

    async def end(self) -> None:
        for task in (*self.tasks, *self.calling):
            task.cancel()
        await asyncio.gather(*self.tasks, *self.calling, return_exceptions=True)
        self.is_alive = False
        self.ledger.close()

    async def _take_calls(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(self.provider.random.uniform(0.0, 2 * every_s))
            call = asyncio.create_task(self._call())
            self.calling.add(call)
            call.add_done_callback(self.calling.discard)

    async def _call(self) -> None:
        worker = self.provider.random.randrange(2)
        lease = self.boards[worker].begin(self.pool, 0, self.now_ms())
        if lease is None:
            return
        number = self.provider.tried(self) if lease.is_probe else 0
        outcome = self.provider.outcome()
        await asyncio.sleep(self.provider.random.uniform(0.0, self.provider.slowest_s))
        change = lease.end(outcome, self.now_ms())  # type: ignore[arg-type]
        self.provider.trying.pop(number, None)
        if change is not None:
            self._tell(change, self.neighbours[worker])

    def _tell(self, change: Change, neighbours: RedisNeighbours) -> None:
        self.provider.trying.clear()  # what is under way still says nothing about this half-open
        if change.state == "open":
            neighbours.opened(change.name, change.until_ms)
        else:
            neighbours.closed(change.name)


async def _two_hosts(
    directory: Path, seed: int, probes: int, every_s: tuple[float, float | None], events: list[str], losses: float
) -> tuple[Provider, list[Host]]:
    random = Random(seed)
    provider, redis = Provider(probes, random), ScriptedRedis()
    with contextlib.closing(Metrics(directory / "metrics", "worker-0")) as metrics:
        hosts = [Host(number, directory, provider, redis, metrics, losses) for number in range(2)]
        try:
            for host in hosts:
                host.start(None)
            await asyncio.sleep(4)
            assert not any(board.grants_itself for host in hosts for board in host.boards)
            for host, pause_s in zip(hosts, every_s, strict=True):
                if pause_s is not None:
                    host.tasks.append(asyncio.create_task(host._take_calls(pause_s)))
            await asyncio.sleep(1)
            provider.is_well = False
            await asyncio.sleep(10)
            for event in events:
                await asyncio.sleep(random.uniform(0.0, 12.0))
                await _happen(event, redis, hosts)
            provider.is_well, provider.slowest_s = True, 0.5
            await asyncio.sleep(90)
            states = [host.state for host in hosts if host.is_alive]
            assert states == ["closed"] * len(states)
        finally:
            for host in hosts:
                await host.end()
    return provider, hosts


async def _happen(event: str, redis: ScriptedRedis, hosts: list[Host]) -> None:
    match event:
        case "restart":
            redis.is_up = False
            await asyncio.sleep(hosts[0].provider.random.uniform(0.0, LONGEST_OUTAGE_S))
            redis.restart()
            redis.is_up = True
        case "flush":
            redis.restart()
        case "death":
            if all(host.is_alive for host in hosts):
                await hosts[1].end()
        case "well":
            hosts[0].provider.is_well = not hosts[0].provider.is_well
        case "restart while tried":
            async with asyncio.timeout(60):
                while not any(host.state == "half_open" for host in hosts):  # noqa: ASYNC110 -- in virtual time
                    await asyncio.sleep(0.05)
            await _happen("restart", redis, hosts)


UNSHRUNK = tuple(phase for phase in Phase if phase is not Phase.shrink)  # a smaller seed is not a simpler one


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=UNSHRUNK)
@given(
    seed=st.integers(0, 2**32),
    probes=st.integers(1, 3),
    every_s=st.sampled_from([(0.02, 0.02), (0.3, 0.3), (0.05, 2.0)]),
    events=st.lists(st.sampled_from(["restart", "flush", "death", "well", "nothing"]), max_size=6),
)
def test_never_more_probes_than_allowed_over_two_hosts_whatever_redis_and_hosts_do(
    seed: int, probes: int, every_s: tuple[float, float], events: list[str]
) -> None:
    with tempfile.TemporaryDirectory(prefix="tollway-test-") as made:
        prepare(Path(made) / "metrics")
        provider, _ = virtual_time.run(_two_hosts(Path(made), seed, probes, every_s, events, 0.0))
    assert provider.calls > 0
    assert provider.most <= probes


@pytest.mark.parametrize("seed", range(6))
def test_a_redis_that_forgets_a_lease_while_it_is_used_hands_it_to_nobody_else(seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="tollway-test-") as made:
        prepare(Path(made) / "metrics")
        events = ["restart while tried"] * 6
        provider, _ = virtual_time.run(_two_hosts(Path(made), seed, 1, (0.02, 0.02), events, 0.0))
    assert provider.most == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=UNSHRUNK)
@given(seed=st.integers(0, 2**32), probes=st.integers(1, 2), losses=st.sampled_from([0.01, 0.03]))
def test_never_more_probes_than_allowed_though_requests_and_answers_are_lost(
    seed: int, probes: int, losses: float
) -> None:
    with tempfile.TemporaryDirectory(prefix="tollway-test-") as made:
        prepare(Path(made) / "metrics")
        events = ["nothing", "well", "nothing", "well", "nothing"]
        provider, _ = virtual_time.run(_two_hosts(Path(made), seed, probes, (0.05, 0.05), events, losses))
    assert provider.most <= probes


HOSTS = st.sampled_from(["host-0", "host-1", "host-2"])
STEPS = st.one_of(
    st.tuples(st.just("take"), HOSTS, st.booleans(), st.booleans()),
    st.tuples(st.just("hold"), HOSTS),
    st.tuples(st.just("rest"), HOSTS, st.booleans()),
    st.tuples(st.just("forget"), st.sampled_from([LEASE + NAME, WAITING + NAME])),
)


def _command(step: tuple[object, ...], memory: bytes, now_ms: int) -> Command:
    lease, waiting = LEASE + NAME, WAITING + NAME
    match step:
        case "take", str(host), bool(knows), bool(is_over):
            known = memory if knows else b"another"
            beyond_ms = 70_000 if is_over else 30_000
            return ("EVAL", TAKE, 3, lease, waiting, MEMORY, host, known, 60_000, 50_000, beyond_ms)
        case "hold", str(host):
            return ("EVAL", HOLD, 1, lease, host, 60_000)
        case "rest", str(host), bool(is_over):
            return ("EVAL", REST, 1, lease, host, now_ms + (-1_000 if is_over else 60_000))
        case "forget", str(key):
            return ("DEL", key)
    raise AssertionError(step)


def _roughly(answer: object) -> object:
    """Times left are as long as the test is quick."""
    return [answer[0], answer[1] > 0] if isinstance(answer, list) else answer


@settings(max_examples=150, deadline=None, phases=[phase for phase in Phase if phase is not Phase.explain])
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_the_scripts_do_in_redis_what_they_do_in_the_tests(
    steps: list[tuple[object, ...]], server: RedisServer
) -> None:
    with redis.Redis.from_url(server.url, protocol=2) as real:
        real.flushall()
        real.set(MEMORY, b"memory-0")

        async def compare() -> None:
            scripted = ScriptedRedis()
            for step in steps:
                ahead_ms = time.time_ns() // 1_000_000
                theirs = real.execute_command(*_command(step, b"memory-0", ahead_ms))
                ours = scripted.do(_command(step, b"memory-0", scripted.now_ms()))
                assert _roughly(theirs) == _roughly(ours)
                for key in (LEASE + NAME, WAITING + NAME):
                    assert real.get(key) == scripted.value(key)

        virtual_time.run(compare())
