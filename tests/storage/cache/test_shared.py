"""Hosts share answers over a real Redis: through freezes and deaths, and nothing that was removed is had again."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from tests.fakes.cached import body_of, entry
from tests.fakes.redis_server import PASSWORD, RedisServer
from tests.fakes.telemetry import Recording

from tollway.contract.cache import CacheSpace, Selection
from tollway.proxy.cache.entry import Entry
from tollway.storage.cache import reading
from tollway.storage.cache.forgotten import Forgotten
from tollway.storage.cache.marks import MOST_REMOVED_BYTES, STREAM, body_key, removed_key
from tollway.storage.cache.sealing import Sealing
from tollway.storage.cache.shared import SharedAnswers
from tollway.storage.cache.trimming import Trimmer

SECRET = b"s" * 32


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as started:
        yield started


@pytest.fixture
def client(server: RedisServer) -> Iterator[Redis]:
    with contextlib.closing(Redis.from_url(server.url)) as opened:
        yield opened


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "log")
    yield recording
    recording.close()


class Host:
    """One worker of one host, and what it has heard."""

    def __init__(self, url: str, recording: Recording, space: CacheSpace, *, knows: bool = True) -> None:
        self.known: dict[bytes, Entry] = {}
        self.heard: list[str] = []
        self.sealing = Sealing()
        if knows:
            self.sealing.learn(SECRET)
        self.forgotten = Forgotten()
        decode = msgspec.msgpack.Decoder(Entry).decode
        self.shared: SharedAnswers[Entry] = SharedAnswers(
            url, space, self.sealing, self.forgotten, decode, self.filled, self.removed, self.gone, recording.log
        )

    def filled(self, answer: Entry) -> None:
        self.heard.append("filled")
        self.known[answer.key] = answer

    def removed(self, selection: Selection) -> None:
        self.heard.append("removed")
        if selection == Selection():
            self.known.clear()

    def gone(self, answer: Entry) -> None:
        self.heard.append("gone")

    def fill(self, answer: Entry, name: str, begun_ns: int | None = None) -> None:
        """As a call that began now, or then."""
        self.shared.fill(answer, body_of(name), time.monotonic_ns() if begun_ns is None else begun_ns)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Host"]:
        task = asyncio.create_task(self.shared.run())
        try:
            yield self
            assert not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(20):
                    await task


Start = Callable[..., contextlib.AbstractAsyncContextManager[Host]]


@pytest.fixture
def start(server: RedisServer, recording: Recording) -> Start:
    """Starts a host."""

    @contextlib.asynccontextmanager
    async def begin(*, knows: bool = True, url: str = server.url, entries: int = 1_000) -> AsyncIterator[Host]:
        async with Host(url, recording, CacheSpace(max_entries=entries), knows=knows).running() as host:
            if knows and url == server.url:
                await until(lambda: host.shared.connected)
            yield host

    return begin


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.005)


async def had(host: Host, answer: Entry) -> bytes | None:
    """The body, which may need another try while all of this machine is busy."""
    for _ in range(20):
        body = await host.shared.body(answer)
        if body is not None or host.heard[-1:] == ["gone"]:
            return body
        await asyncio.sleep(0.05)
    return None


async def test_what_one_host_fills_another_hears_of_and_has(start: Start) -> None:
    async with start() as a, start() as b:
        answer = entry("a")
        a.fill(answer, "a")
        await until(lambda: answer.key in b.known)
        assert b.known[answer.key] == answer
        assert await had(b, answer) == body_of("a")
        assert await had(a, answer) == body_of("a")


async def test_who_starts_later_hears_of_all_that_was_there_before(start: Start) -> None:
    async with start() as a:
        for index in range(250):
            a.fill(entry(str(index)), str(index))
        async with start() as b:
            await until(lambda: len(b.known) == 250)
            assert await had(b, entry("7")) == body_of("7")


async def test_the_filler_can_have_at_once_what_is_still_being_told(start: Start) -> None:
    async with start() as a:
        a.fill(entry("a"), "a")
        assert await had(a, entry("a")) == body_of("a")


@pytest.mark.parametrize(
    "selection",
    [
        Selection(),
        Selection(tenant_id="acme"),
        Selection(key_id="ci"),
        Selection(tenant_id="acme", model="m"),
        Selection(key=entry("a").key),
        Selection(before_ms=1 << 50),
    ],
)
async def test_nobody_has_what_was_removed_from_the_moment_on(start: Start, selection: Selection) -> None:
    async with start() as a, start() as b:
        answer, other = entry("a"), entry("b", tenant_id="globex", key_id="x", model="n", filled_at_ms=1 << 51)
        a.fill(answer, "a")
        a.fill(other, "b")
        await until(lambda: len(b.known) == 2)
        assert await b.shared.remove(selection, [])
        assert await a.shared.body(answer) is None
        await until(lambda: "removed" in a.heard)
        if selection != Selection():
            assert await had(a, other) == body_of("b")


async def test_a_fill_that_began_before_a_removal_is_nobodys(start: Start) -> None:
    async with start() as a, start() as b:
        begun_ns = time.monotonic_ns()
        assert await b.shared.remove(Selection(tenant_id="acme"), [])
        a.fill(entry("a"), "a", begun_ns)
        assert await had(a, entry("a")) is None
        assert a.heard[-1] == "gone"
        await until(lambda: "removed" in a.heard)
        a.fill(entry("b"), "b")
        await until(lambda: entry("b").key in b.known)
        assert await had(b, entry("b")) == body_of("b"), "a tenant that was erased goes on"
        assert entry("a").key not in b.known


async def test_what_is_filled_right_after_a_removal_stays(start: Start, client: Redis) -> None:
    async with start() as a:
        for _ in range(20):
            assert await a.shared.remove(Selection(tenant_id="acme"), [])
            a.fill(entry("a"), "a")
            assert await had(a, entry("a")) == body_of("a")
        await asyncio.sleep(0.5)  # what is swept meanwhile is older
        assert await had(a, entry("a")) == body_of("a")


async def test_the_bodies_and_records_of_an_erased_tenant_are_deleted(start: Start, client: Redis) -> None:
    async with start() as a:
        for index in range(600):
            a.fill(entry(str(index)), str(index))
        a.fill(entry("kept", tenant_id="globex"), "kept")
        await until(lambda: client.xlen(STREAM) == 601)
        assert await a.shared.remove(Selection(tenant_id="acme"), [])
        await until(lambda: client.keys(body_key("acme", b"") + "*") == [removed_key("acme").encode()])
        await until(lambda: client.xlen(STREAM) == 2)
        assert await had(a, entry("kept", tenant_id="globex")) == body_of("kept")


async def test_bodies_that_are_known_of_are_deleted_and_newer_ones_are_not(start: Start, client: Redis) -> None:
    async with start() as a:
        known = [entry(str(index)) for index in range(300)]
        for answer in known:
            a.fill(answer, "old")
        assert await had(a, known[-1]) == body_of("old")
        assert await a.shared.remove(Selection(model="m"), known)
        a.fill(entry("7"), "new")
        await until(lambda: len(client.keys(body_key("acme", b"") + "*")) == 1)
        assert await had(a, entry("7")) == body_of("new")


async def test_many_small_removals_become_one_large_one_and_stay_small(start: Start, client: Redis) -> None:
    async with start() as a:
        a.fill(entry("first"), "first")
        assert await had(a, entry("first")) == body_of("first")
        for index in range(60):
            assert await a.shared.remove(Selection(tenant_id="acme", key=entry(str(index)).key), [])
            assert client.strlen(removed_key("acme")) <= MOST_REMOVED_BYTES
        assert await had(a, entry("first")) is None, "too much is forgotten, never too little"
        a.fill(entry("second"), "second")
        assert await had(a, entry("second")) == body_of("second")


async def test_another_tenants_body_under_ones_own_key_does_not_open(start: Start, client: Redis) -> None:
    async with start() as a:
        a.fill(entry("a", tenant_id="globex"), "a")
        assert await had(a, entry("a", tenant_id="globex")) == body_of("a")
        theirs = client.get(body_key("globex", entry("a", tenant_id="globex").key))
        client.set(body_key("acme", entry("a").key), theirs or b"")
        assert await had(a, entry("a")) is None


async def test_nothing_in_redis_can_be_read(start: Start, client: Redis) -> None:
    async with start() as a:
        answer = entry("canary", tenant_id="canary-tenant", question="canary question", namespace=b"n" * 32)
        a.fill(answer, "canary")
        assert await had(a, answer) == body_of("canary")
        await a.shared.remove(Selection(tenant_id="canary-tenant", model="canary"), [])
        kept = [client.get(key) for key in client.keys("tollway:cache:*") if client.type(key) == b"string"]
        assert len(kept) >= 3
        assert "canary" not in repr((kept, client.xrange(STREAM), client.keys()))


async def test_everything_in_redis_ends(start: Start, client: Redis) -> None:
    async with start(entries=100) as a:
        for index in range(1_000):
            answer = entry(str(index))
            a.fill(answer, str(index))
            if index % 100 == 99:
                assert await had(a, answer) == body_of(str(index))
        await a.shared.remove(Selection(tenant_id="acme", model="n"), [])
        assert client.xlen(STREAM) <= 300, "about as long as there may be entries"
        kept = [key for key in client.keys("tollway:cache:{*")]
        assert all(0 < client.pttl(key) <= 32 * 86_400_000 for key in kept)


async def test_an_answer_that_lasts_for_years_is_not_in_redis_for_years(start: Start, client: Redis) -> None:
    async with start() as a:
        answer = entry("a", expires_at_ms=1 << 45)
        a.fill(answer, "a")
        assert await had(a, answer) == body_of("a")
        assert client.pttl(body_key("acme", answer.key)) <= 30 * 86_400_000


async def test_what_had_to_go_from_a_shelf_goes_from_redis(start: Start, client: Redis) -> None:
    async with start() as a:
        a.fill(entry("a"), "a")
        assert await had(a, entry("a")) == body_of("a")
        a.shared.evicted([entry("a")])
        a.fill(entry("b"), "b")
        await until(lambda: not client.exists(body_key("acme", entry("a").key)))
        assert await had(a, entry("b")) == body_of("b")


async def test_the_beginning_of_the_stream_is_cut_off_when_it_has_expired(
    start: Start, client: Redis, server: RedisServer
) -> None:
    async with start() as a:
        soon_ms = time.time_ns() // 1_000_000 + 3_000
        for index in range(150):
            a.fill(entry(str(index), expires_at_ms=soon_ms), str(index))
        a.fill(entry("kept"), "kept")
        await until(lambda: client.xlen(STREAM) == 151)
        await until(lambda: time.time_ns() // 1_000_000 > soon_ms)
        async with contextlib.aclosing(AsyncRedis.from_url(server.url)) as asking:
            await Trimmer(asking, a.sealing, msgspec.msgpack.Decoder(Entry).decode).trim()
        assert client.xlen(STREAM) == 1


async def test_a_frozen_redis_is_misses_and_comes_back_by_itself(
    start: Start, server: RedisServer, recording: Recording
) -> None:
    async with start() as a, start() as b:
        a.fill(entry("a"), "a")
        await until(lambda: b.known)
        server.freeze()
        assert await b.shared.body(entry("a")) is None
        assert await b.shared.body(entry("a")) is None
        assert not await b.shared.remove(Selection(tenant_id="globex"), [])
        a.fill(entry("b"), "b")
        server.thaw()
        await until(lambda: b.shared.connected)
        assert await had(b, entry("a")) == body_of("a")
        await until(lambda: a.shared.connected)
        a.fill(entry("c"), "c")
        await until(lambda: entry("c").key in b.known)
    lines = recording.lines()
    assert {line["event"] for line in lines} <= {"cache_redis_lost", "cache_redis_back", "cache_fills_lost"}
    assert len(lines) <= 6


async def test_a_redis_that_died_comes_back_empty_and_is_filled_anew(
    start: Start, server: RedisServer, recording: Recording
) -> None:
    async with start() as a, start() as b:
        a.fill(entry("a"), "a")
        await until(lambda: b.known)
        begun_ns = time.monotonic_ns()
        server.kill()
        assert await b.shared.body(entry("a")) is None
        await until(lambda: not a.shared.connected and not b.shared.connected)
        for _ in range(50):
            assert await b.shared.body(entry("a")) is None
            a.fill(entry("b"), "b")
        server.start()
        await until(lambda: a.shared.connected and b.shared.connected)
        await until(lambda: "removed" in b.heard)
        assert not b.known, "what lay in the old one is forgotten"
        a.fill(entry("old"), "old", begun_ns)
        a.fill(entry("a"), "a")
        await until(lambda: entry("a").key in b.known)
        assert await had(b, entry("a")) == body_of("a")
        assert entry("old").key not in b.known, "who knew another memory knows nothing of its removals"
    assert len(recording.lines()) <= 6


async def test_a_redis_that_was_emptied_is_filled_anew(start: Start, client: Redis) -> None:
    async with start() as a, start() as b:
        a.fill(entry("a"), "a")
        await until(lambda: b.known)
        assert await a.shared.remove(Selection(tenant_id="globex"), [])
        client.flushall()
        assert await b.shared.body(entry("a")) is None
        await until(lambda: not b.known and a.heard.count("removed") == 1)
        a.fill(entry("a"), "a")
        await until(lambda: entry("a").key in b.known)
        assert await had(b, entry("a")) == body_of("a")


async def test_a_removal_that_redis_did_not_hear_is_told_when_it_is_back(start: Start, server: RedisServer) -> None:
    async with start() as a, start() as b:
        a.fill(entry("a"), "a")
        await until(lambda: b.known)
        server.freeze()
        assert not await b.shared.remove(Selection(tenant_id="acme"), [])
        server.thaw()
        await until(lambda: a.shared.connected and "removed" in a.heard)
        assert await had(a, entry("a")) is None


async def test_a_redis_that_takes_nothing_more_still_gives(start: Start, client: Redis, recording: Recording) -> None:
    async with start() as a:
        a.fill(entry("a"), "a")
        assert await had(a, entry("a")) == body_of("a")
        client.config_set("maxmemory", "1")
        for _ in range(10):
            a.fill(entry("b"), "b")
        assert await had(a, entry("b")) is None
        assert await had(a, entry("a")) == body_of("a")
        client.config_set("maxmemory", "0")
        await until(lambda: a.shared.connected)
        a.fill(entry("c"), "c")
        assert await had(a, entry("c")) == body_of("c")
    assert recording.events().count("cache_fills_lost") == 1


async def test_nothing_is_told_or_had_before_the_secret_is_known(start: Start, client: Redis) -> None:
    async with start() as a, start(knows=False) as b:
        a.fill(entry("a"), "a")
        await until(lambda: client.xlen(STREAM) == 1)
        b.fill(entry("b"), "b")
        assert await b.shared.body(entry("a")) is None
        assert not await b.shared.remove(Selection(), [])
        assert b.heard == []
        b.sealing.learn(SECRET)
        await until(lambda: entry("a").key in b.known)
        assert await had(b, entry("a")) == body_of("a")


async def test_what_somebody_else_wrote_is_passed_over(start: Start, client: Redis) -> None:
    async with start() as a, start() as b:
        a.fill(entry("a"), "a")
        await until(lambda: b.known)
        whole = client.get(body_key("acme", entry("a").key))
        assert isinstance(whole, bytes)
        for noise in (b"", b"\xff" * 16, whole[:20], whole[:-1], b"\x00" * 3_000):
            client.set(body_key("acme", entry("a").key), noise)
            assert await b.shared.body(entry("a")) is None
        client.set(body_key("acme", entry("a").key), whole)
        assert await had(b, entry("a")) == body_of("a")
        for fields in (
            {"x": "y"},
            {"removed": b"no"},
            {"removed": b"no", "number": b"x"},
            {"mark": b"m", "entry": b"e"},
        ):
            client.xadd(STREAM, fields)  # type: ignore[arg-type]
        client.set(removed_key("acme"), b"not removals")
        assert await b.shared.body(entry("a")) is None
        client.delete(removed_key("acme"))
        a.fill(entry("b"), "b")
        await until(lambda: entry("b").key in b.known)


async def test_a_password_that_is_wrong_is_not_shown_and_nothing_fails(
    start: Start, server: RedisServer, recording: Recording
) -> None:
    url = server.url.replace("redis://", f"redis://:{PASSWORD}@").replace(str(server.port), "1")
    async with start(url=url) as a:
        a.fill(entry("a"), "a")
        await asyncio.sleep(0.5)
        assert await a.shared.body(entry("a")) is None
        assert not await a.shared.remove(Selection(), [])
    assert PASSWORD not in str(recording.lines())


async def test_many_bodies_at_a_time_are_read_with_few_commands(
    start: Start, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE_S", 30.0)
    async with start() as a:
        for index in range(100):
            a.fill(entry(str(index)), str(index))
        assert await had(a, entry("99")) == body_of("99")
        before = client.info("commandstats")["cmdstat_mget"]["calls"]
        bodies = await asyncio.gather(*(a.shared.body(entry(str(index))) for index in range(100)))
        assert bodies == [body_of(str(index)) for index in range(100)]
        assert client.info("commandstats")["cmdstat_mget"]["calls"] - before <= 8


async def test_an_idle_worker_asks_little(start: Start, client: Redis) -> None:
    async with start():
        await asyncio.sleep(0.5)
        before = client.info("stats")["total_commands_processed"]
        await asyncio.sleep(4)
        assert client.info("stats")["total_commands_processed"] - before <= 10


async def test_a_fill_is_two_commands(start: Start, client: Redis) -> None:
    async with start() as a:
        before = client.info("stats")["total_commands_processed"]
        for index in range(50):
            a.fill(entry(str(index)), str(index))
        assert await had(a, entry("49")) == body_of("49")
        assert client.info("stats")["total_commands_processed"] - before <= 120


async def test_an_answer_of_a_mebibyte_goes_and_comes(start: Start) -> None:
    async with start() as a, start() as b:
        body = bytes(index * index % 251 for index in range(1 << 20))
        answer = entry("a", body_bytes=len(body))
        a.shared.fill(answer, body, time.monotonic_ns())
        await until(lambda: b.known)
        await until_had(b, answer, body)


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_was_removed_is_had_whatever_each_host_knows_of_it(start: Start, seed: int) -> None:
    """Calls begin, end and are removed in any order, on hosts that hear of removals sooner or later."""
    random, made = Random(seed), 0
    under_way: list[tuple[Host, str, int, int]] = []
    removed: dict[str, int] = {}
    texts = {"1": Selection(tenant_id="acme", key=entry("1").key), "2": Selection(tenant_id="acme", key=entry("2").key)}
    async with start() as a, start() as b:
        for _ in range(150):
            host, name, what = random.choice((a, b)), random.choice(("1", "2")), random.random()
            if what < 0.4:
                made += 1
                under_way.append((host, name, made, time.monotonic_ns()))
            elif what < 0.7 and under_way:
                filler, text, number, begun_ns = under_way.pop(random.randrange(len(under_way)))
                filler.shared.fill(entry(text), body_of(str(number)), begun_ns)
            elif what < 0.8:
                meant = random.choice((texts[name], Selection(tenant_id="acme"), Selection()))
                assert await host.shared.remove(meant, [])
                removed |= dict.fromkeys((name,) if meant is texts[name] else texts, made)
            else:
                body = await host.shared.body(entry(name))
                assert body is None or body not in {body_of(str(old)) for old in range(1, removed.get(name, 0) + 1)}
    assert made > 20
    assert removed


async def until_had(host: Host, answer: Entry, body: bytes) -> None:
    async with asyncio.timeout(60):
        while await host.shared.body(answer) != body:  # noqa: ASYNC110 -- another process's
            await asyncio.sleep(0.05)
