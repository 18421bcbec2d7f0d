"""What one host finds, another one knows: over a real Redis, which also freezes, dies and comes back empty."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
import redis.asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.redis_server import RedisServer
from tests.fakes.scripted_redis import ScriptedLink, ScriptedRedis
from tests.fakes.telemetry import Recording, counted

from tollway._native.limits import Ledger
from tollway._native.routing import Board, BreakerPolicy, Lease, Names, Pool
from tollway.contract.routing import FOR_GOOD_MS, Breaker
from tollway.proxy.routing.grants import LEASE
from tollway.proxy.routing.sharing import (
    CHANNEL,
    LONGEST_COOLING_MS,
    MOST_WAITING,
    OPENED,
    Alone,
    Message,
    RedisNeighbours,
    open_neighbours,
)
from tollway.storage.redis import RedisLink
from tollway.telemetry.metrics import Metrics, prepare

NAME, OTHER, KEY = "openai/mini", "local/small", "openai#spare"
BREAKER = Breaker(consecutive=1, cooldown_s=1.0, max_cooldown_s=60.0, slow_start_s=0.0)
DROPPED = "tollway_neighbour_messages_dropped_total"
NOW_MS = 1_800_000_000_000


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "log")
    yield recording
    recording.close()


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    prepare(tmp_path / "metrics")
    with contextlib.closing(Metrics(tmp_path / "metrics", "worker-0")) as metrics:
        yield metrics


class Host:
    """A gateway's board and its neighbours. Its clock may be wrong by hours."""

    def __init__(self, name: str, directory: Path, url: str, recording: Recording, metrics: Metrics) -> None:
        self.late_ms = sum(name.encode()) * 60_000
        self.ledger = Ledger(str(directory / name), 64)
        self.ledger.join()
        self.board = Board(self.ledger)
        policy = BreakerPolicy(
            consecutive=1,
            failure_permille=1000,
            minimum_calls=1000,
            window_ms=10_000,
            cooldown_ms=1_000,
            max_cooldown_ms=60_000,
            probes=1,
            slow_start_ms=0,
        )
        self.pool = Pool("chat", "weighted", [(NAME, 1, 0, None, None, policy)])
        known = dict.fromkeys((NAME, OTHER, KEY), BREAKER)
        self.neighbours = RedisNeighbours(
            self.board,
            lambda: known,
            name,
            lambda hear, change: RedisLink(url, CHANNEL, hear, change, recording.log, metrics),
            metrics,
            wall_ms=self.now_ms,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def now_ms(self) -> int:
        return round(asyncio.get_running_loop().time() * 1000) + NOW_MS - self.late_ms

    def stands(self, name: str = NAME) -> tuple[str, int]:
        """The state, and for how many milliseconds more."""
        ((_, state, until_ms, *_),) = self.board.status(Names([name]), self.now_ms())
        return state, until_ms - self.now_ms()

    def state(self, name: str = NAME) -> str:
        return self.stands(name)[0]

    def opens(self, for_ms: int = 1_000, name: str = NAME) -> None:
        """As after a call that failed."""
        until_ms = self.now_ms() + for_ms
        self.board.open(name, until_ms, self.now_ms())
        self.neighbours.opened(name, until_ms)

    def closes(self, name: str = NAME) -> None:
        self.board.close(name, self.now_ms(), 0)
        self.neighbours.closed(name)

    def begins(self) -> Lease | None:
        return self.board.begin(self.pool, 0, self.now_ms())

    async def end(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks = []


Hosts = Callable[[str], Host]


@pytest.fixture
async def hosts(tmp_path: Path, server: RedisServer, recording: Recording, metrics: Metrics) -> AsyncIterator[Hosts]:
    """Starts a host of this name, which the test's end ends."""
    made: list[Host] = []

    def start(name: str) -> Host:
        host = Host(name, tmp_path, server.url, recording, metrics)
        host.tasks.append(asyncio.create_task(host.neighbours.follow()))
        made.append(host)
        return host

    yield start
    for host in made:
        await host.end()
        host.ledger.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


async def until_all_hear(*hosts: Host) -> None:
    await until(lambda: not any(host.board.grants_itself for host in hosts))


async def say(server: RedisServer, data: bytes) -> None:
    async with redis.asyncio.Redis.from_url(server.url, protocol=2) as client:
        await client.publish(CHANNEL, data)


async def test_an_opening_and_a_closing_of_one_host_are_known_to_another(hosts: Hosts) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.opens(30_000)
    await until(lambda: second.state() == "open")
    assert 25_000 < second.stands()[1] <= 31_000, "though their clocks are hours apart"
    assert second.state(OTHER) == "closed"
    second.closes()
    await until(lambda: first.state() == "closed")


async def test_a_retry_after_is_known_to_another_host(hosts: Hosts) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.neighbours.cooled(KEY, first.now_ms() + 20_000, True)
    await until(lambda: second.state(KEY) == "cooling")
    assert 15_000 < second.stands(KEY)[1] <= 21_000
    assert first.state(KEY) == "closed", "its own words are nothing new to a host"
    pool = Pool("r", "weighted", [(KEY, 1, 0, None, None, BreakerPolicy(
        consecutive=1, failure_permille=1, minimum_calls=1, window_ms=1000, cooldown_ms=1000, max_cooldown_ms=1000,
        probes=1, slow_start_ms=0,
    ))])  # fmt: skip
    assert second.board.rank(pool, 1, second.now_ms(), 0).limited


async def test_a_host_that_comes_later_learns_what_it_has_missed(hosts: Hosts) -> None:
    first = hosts("first")
    await until_all_hear(first)
    first.opens(30_000)
    first.neighbours.cooled(KEY, first.now_ms() + 30_000, False)
    first.opens(30_000, OTHER)
    first.closes(OTHER)
    witness = hosts("witness")
    await until(lambda: witness.state() == "open" and witness.state(KEY) == "cooling")
    late = hosts("late")
    await until_all_hear(late)
    await until(lambda: late.state() == "open" and late.state(KEY) == "cooling")
    assert 20_000 < late.stands()[1] <= 31_000
    assert late.state(OTHER) == "closed"


async def test_a_host_that_comes_after_the_cooldown_leaves_the_target_to_probes(hosts: Hosts) -> None:
    first = hosts("first")
    await until_all_hear(first)
    first.opens(200)
    await asyncio.sleep(1)
    late = hosts("late")
    await until(lambda: late.state() != "closed")
    assert late.begins() is None


async def test_the_first_probe_over_all_hosts_decides_for_all(hosts: Hosts) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.opens()
    await until(lambda: second.state() == "open")
    probes = await calls_until(first, second)
    assert len(probes) == 1
    by, probe = probes[0]
    for _ in range(50):
        assert first.begins() is None
        assert second.begins() is None
        await asyncio.sleep(0.05)
    change = probe.end("ok", by.now_ms())
    assert change is not None
    assert change.state == "closed"
    by.neighbours.closed(change.name)
    await until(lambda: first.state() == second.state() == "closed")


async def test_a_probe_that_fails_keeps_all_hosts_away_for_longer(hosts: Hosts) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.opens()
    await until(lambda: second.state() == "open")
    ((by, probe),) = await calls_until(first, second)
    change = probe.end("failed", by.now_ms())
    assert change is not None
    by.neighbours.opened(change.name, change.until_ms)
    other = second if by is first else first
    await until(lambda: other.stands()[1] > 500)
    assert other.state() == "open"


async def test_a_host_that_dies_with_its_grant_holds_up_nobody_for_long(hosts: Hosts) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.opens()
    await until(lambda: second.state() == "open")
    ((dead, _probe),) = await calls_until(first, second)
    await dead.end()
    ((heir, _),) = await calls_until(second if dead is first else first)
    assert heir is not dead


async def test_a_host_without_calls_gives_way(hosts: Hosts) -> None:
    idle, busy = hosts("idle"), hosts("busy")
    await until_all_hear(idle, busy)
    idle.opens()
    await until(lambda: busy.state() == "open")
    await until(lambda: idle.state() == "half_open" or busy.state() == "half_open")
    ((by, _),) = await calls_until(busy)
    assert by is busy


async def test_redis_restarted_empty_during_a_probe_allows_no_second_one(hosts: Hosts, server: RedisServer) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.opens()
    await until(lambda: second.state() == "open")
    ((by, probe),) = await calls_until(first, second)
    server.restart()
    async with redis.asyncio.Redis.from_url(server.url, protocol=2) as client:
        async with asyncio.timeout(30):
            while await client.get(LEASE + NAME) != by.neighbours.host.encode():  # noqa: ASYNC110 -- another process's
                await asyncio.sleep(0.05)
    if not first.board.grants_itself and not second.board.grants_itself:  # a slow restart leaves each to itself
        for _ in range(40):
            assert first.begins() is None
            assert second.begins() is None
            await asyncio.sleep(0.1)
    probe.end("neutral", by.now_ms())


async def test_what_is_open_is_kept_again_by_a_redis_that_came_back_empty(hosts: Hosts, server: RedisServer) -> None:
    first = hosts("first")
    await until_all_hear(first)
    first.opens(60_000)
    async with redis.asyncio.Redis.from_url(server.url, protocol=2) as client:
        async with asyncio.timeout(30):
            while not await client.exists(OPENED + NAME):  # noqa: ASYNC110 -- another process's
                await asyncio.sleep(0.05)
            await client.flushall()
            while not await client.exists(OPENED + NAME):  # noqa: ASYNC110 -- another process's
                await asyncio.sleep(0.05)
    late = hosts("late")
    await until(lambda: late.state() == "open")


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_without_redis_each_host_keeps_to_itself_until_it_is_back(
    hosts: Hosts, server: RedisServer, recording: Recording, how: str
) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    if how == "frozen":
        server.freeze()
    else:
        server.kill()
    await until(lambda: first.board.grants_itself and second.board.grants_itself)
    first.opens(200)
    await asyncio.sleep(0.5)
    probe = first.begins()
    assert probe is not None
    assert probe.is_probe
    assert second.state() == "closed"
    for number in range(500):
        first.neighbours.cooled(KEY, first.now_ms() + 60_000 + number, True)
    if how == "frozen":
        server.thaw()
    else:
        server.start()
    await until_all_hear(first, second)
    await until(lambda: second.state(KEY) == "cooling")
    assert sorted(recording.events()) == ["redis_back"] * 2 + ["redis_lost"] * 2


async def test_of_too_many_messages_the_oldest_are_dropped_and_counted(
    hosts: Hosts, server: RedisServer, metrics: Metrics
) -> None:
    server.kill()
    host = hosts("first")
    for number in range(MOST_WAITING + 10):
        host.neighbours.cooled(f"p/{number}", host.now_ms() + 600_000, False)
        host.neighbours.cooled("p/again", host.now_ms() + 600_000, False)
    assert counted(metrics, DROPPED) == {("overflow",): 11}


NONSENSE = [
    b"",
    b"\x00",
    b"PING",
    b"\xc1",
    b"\xdc\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\x91" * 5_000,
    msgspec.msgpack.encode((2, "other", "opened", NAME, 0, False)),
    msgspec.msgpack.encode((1, "other", "burned", NAME, 0, False)),
    msgspec.msgpack.encode((1, "other", "opened", NAME, 0, False, "more")),
    msgspec.msgpack.encode((1, "other", "opened", NAME, -1, False)),
    msgspec.msgpack.encode((1, "other", "opened", NAME, 2**60, False)),
    msgspec.msgpack.encode((1, "other", "opened", NAME, 1.5, False)),
    msgspec.msgpack.encode((1, "", "opened", NAME, 1, False)),
    msgspec.msgpack.encode((1, "other", "opened", "", 1, False)),
    msgspec.msgpack.encode((1, "other", "opened", "x" * 600, 1, False)),
    msgspec.msgpack.encode({"version": 1, "host": "other", "kind": "opened", "name": NAME}),
]


async def test_messages_that_nobody_understands_are_dropped_and_counted(
    hosts: Hosts, server: RedisServer, metrics: Metrics
) -> None:
    host = hosts("first")
    await until_all_hear(host)
    for data in NONSENSE:
        await say(server, data)
    await say(server, msgspec.msgpack.encode(Message(1, "other", "opened", "no/such", 2**50)))
    await say(server, msgspec.msgpack.encode(Message(1, "other", "opened", OTHER, 2**50)))
    await until(lambda: host.state(OTHER) == "open")
    assert counted(metrics, DROPPED) == {("garbled",): len(NONSENSE), ("unknown",): 1}
    assert host.state() == "closed"


async def test_no_other_host_closes_a_target_off_for_years(hosts: Hosts, server: RedisServer) -> None:
    host = hosts("first")
    await until_all_hear(host)
    await say(server, msgspec.msgpack.encode(Message(1, "broken", "opened", NAME, 2**53)))
    await say(server, msgspec.msgpack.encode(Message(1, "broken", "cooled", KEY, 2**53, True)))
    await until(lambda: host.state(KEY) == "cooling")
    assert host.stands()[1] <= BREAKER.max_cooldown_s * 1000
    assert host.stands(KEY)[1] <= LONGEST_COOLING_MS


async def test_what_a_person_has_opened_no_other_host_closes(hosts: Hosts) -> None:
    first, second = hosts("first"), hosts("second")
    await until_all_hear(first, second)
    first.board.open(NAME, FOR_GOOD_MS, first.now_ms())
    second.closes()
    second.opens(30_000, OTHER)
    await until(lambda: first.state(OTHER) == "open")
    assert first.state() == "open"


async def test_keys_that_hold_nonsense_stop_nobody(hosts: Hosts, server: RedisServer, metrics: Metrics) -> None:
    async with redis.asyncio.Redis.from_url(server.url, protocol=2) as client:
        await client.set(OPENED + NAME, b"\xc1nonsense")
        await client.hset(OPENED + KEY, "a", "b")
        await client.set(LEASE + OTHER, b"\xff")
    host = hosts("first")
    await until_all_hear(host)
    await until(lambda: counted(metrics, DROPPED) == {("garbled",): 1})
    assert host.state() == "closed"


async def test_a_message_that_was_held_up_counts_from_when_it_was_said(hosts: Hosts, server: RedisServer) -> None:
    host = hosts("first")
    await until_all_hear(host)
    async with redis.asyncio.Redis.from_url(server.url, protocol=2) as client:
        seconds, _ = await client.time()
    await say(server, msgspec.msgpack.encode(Message(1, "other", "opened", NAME, (seconds - 3) * 1000)))
    await say(server, msgspec.msgpack.encode(Message(1, "other", "opened", OTHER, (seconds + 30) * 1000)))
    await until(lambda: host.state(OTHER) == "open")
    assert host.state() == "closed"


PUBLISHED = st.one_of(
    st.binary(max_size=1200),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(msgspec.msgpack.encode),
    st.tuples(
        st.sampled_from([1, 1, 1, 2, None]),
        st.sampled_from(["other", "", 5]),
        st.sampled_from(["opened", "cooled", "closed", "x", 0]),
        st.sampled_from([NAME, "", "no/such", None]),
        st.integers(-1, 2**60),
        st.sampled_from([True, False, 0, "yes"]),
    ).map(msgspec.msgpack.encode),
)


async def test_nothing_that_is_published_raises(tmp_path: Path, metrics: Metrics) -> None:
    ledger = Ledger(str(tmp_path / "ledger"), 64)
    ledger.join()
    scripted = ScriptedRedis()
    heard: list[Callable[[bytes], None]] = []

    def link(hear: Callable[[bytes], None], change: Callable[[bool], None]) -> ScriptedLink:
        heard.append(hear)
        return ScriptedLink(scripted, hear, change, Random(0), 0.0, 0.0, 0.0)

    RedisNeighbours(Board(ledger), lambda: {NAME: BREAKER}, "mine", link, metrics)

    @settings(max_examples=500, deadline=None)
    @given(data=PUBLISHED, cut=st.integers(0, 40))
    def hear(data: bytes, cut: int) -> None:
        heard[0](data)
        heard[0](data[:-cut])

    hear()
    assert counted(metrics, DROPPED)["garbled",] > 0
    ledger.close()


async def test_alone_nobody_is_told_and_nothing_ends(tmp_path: Path, recording: Recording, metrics: Metrics) -> None:
    ledger = Ledger(str(tmp_path / "ledger"), 64)
    ledger.join()
    board = Board(ledger)
    for url in (None, ""):
        neighbours = open_neighbours(url, board, dict, "mine", recording.log, metrics)
        assert isinstance(neighbours, Alone)
        neighbours.opened(NAME, 1)
        neighbours.cooled(NAME, 1, False)
        neighbours.closed(NAME)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(neighbours.follow(), 0.05)
    assert board.grants_itself
    ledger.close()


async def test_an_address_leads_to_a_redis(
    server: RedisServer, tmp_path: Path, recording: Recording, metrics: Metrics
) -> None:
    ledger = Ledger(str(tmp_path / "ledger"), 64)
    ledger.join()
    board = Board(ledger)
    neighbours = open_neighbours(server.url, board, dict, "mine", recording.log, metrics)
    task = asyncio.create_task(neighbours.follow())
    await until(lambda: not board.grants_itself)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert board.grants_itself, "nobody hands out probes any more"
    ledger.close()


async def calls_until(*busy: Host) -> list[tuple[Host, Lease]]:
    """Calls of these hosts, again and again, until one of them may pass, and for a moment more; those that passed."""
    passed: list[tuple[Host, Lease]] = []
    async with asyncio.timeout(60):
        while not passed:
            for host in busy:
                lease = host.begins()
                if lease is not None:
                    assert lease.is_probe
                    passed.append((host, lease))
            await asyncio.sleep(0.02)
    return passed
