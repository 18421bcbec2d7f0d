"""Commands and a channel through outages: answered or not, told once, never raised."""

import asyncio
import contextlib
import gc
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.authority import Authority
from tests.fakes.redis_server import PASSWORD, RedisServer
from tests.fakes.telemetry import Recording, counted

from tollway.storage.commands import first_of
from tollway.storage.redis import RedisLink
from tollway.telemetry.metrics import Metrics, prepare

CHANNEL = "tollway:test"


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


class Linked:
    """A link at work, and what it has told."""

    def __init__(self, url: str, recording: Recording, metrics: Metrics) -> None:
        self.heard: list[bytes] = []
        self.changes: list[bool] = []
        self.link = RedisLink(url, CHANNEL, self.heard.append, self.changes.append, recording.log, metrics)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[RedisLink]:
        task = asyncio.create_task(self.link.run())
        try:
            yield self.link
            assert not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(20):
                    await task


@pytest.fixture
def linked(server: RedisServer, recording: Recording, metrics: Metrics) -> Linked:
    return Linked(server.url, recording, metrics)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


async def test_commands_are_answered_and_what_is_published_is_heard(linked: Linked, metrics: Metrics) -> None:
    async with linked.running() as link:
        assert await link.ask(("GET", "a")) is None, "not connected yet"
        await until(lambda: link.connected)
        assert counted(metrics, "tollway_redis_connected") == {(): 1}
        assert await link.ask(("SET", "a", b"\x00\xff"), ("GET", "a"), ("GET", "b")) == [True, b"\x00\xff", None]
        await link.ask(("PUBLISH", CHANNEL, b"\xc3("), ("PUBLISH", "another", b"no"))
        await until(lambda: linked.heard)
        assert linked.heard == [b"\xc3("]
    assert linked.changes == [True, False], "who ends counts as not connected"
    assert not link.connected
    assert await link.ask(("GET", "a")) is None


async def test_the_clock_is_that_of_redis(linked: Linked) -> None:
    async with linked.running() as link:
        await until(lambda: link.connected)
        answers = await link.ask(("TIME",))
        assert answers is not None
        told = answers[0]
        assert isinstance(told, tuple)
        assert abs(link.now_ms() - told[0] * 1000) < 60_000
        assert link.now_ms() <= link.now_ms()


async def test_a_frozen_redis_is_lost_and_back_once_each(
    linked: Linked, server: RedisServer, recording: Recording, metrics: Metrics
) -> None:
    async with linked.running() as link:
        await until(lambda: link.connected)
        memory = link.memory
        server.freeze()
        assert await link.ask(("GET", "a")) is None
        await until(lambda: not link.connected)
        assert counted(metrics, "tollway_redis_connected") == {(): 0}
        await asyncio.sleep(3)
        server.thaw()
        await until(lambda: link.connected)
        assert link.memory == memory, "it has forgotten nothing"
        assert link.connections == 2
    assert linked.changes == [True, False, True, False]
    lines = recording.lines()
    assert [line["event"] for line in lines] == ["redis_lost", "redis_back"]
    assert lines[1]["silent_s"] > 1


async def test_a_killed_redis_that_comes_back_empty_is_known_by_its_memory(
    linked: Linked, server: RedisServer, recording: Recording
) -> None:
    async with linked.running() as link:
        await until(lambda: link.connected)
        memory = link.memory
        server.kill()
        await until(lambda: not link.connected)
        assert await link.ask(("GET", "a")) is None
        server.start()
        await until(lambda: link.connected)
        assert link.memory != memory
        await link.ask(("PUBLISH", CHANNEL, b"again"))
        await until(lambda: linked.heard)
    assert recording.events() == ["redis_lost", "redis_back"]


async def test_a_quick_restart_is_not_worth_a_word(linked: Linked, server: RedisServer, recording: Recording) -> None:
    async with linked.running() as link:
        await until(lambda: link.connected)
        memory = link.memory
        server.restart()
        await until(lambda: link.connections == 2)
        assert link.memory != memory
    if linked.changes == [True, False]:  # it may have taken longer on a busy machine
        assert recording.events() == []


async def test_redis_that_was_emptied_under_a_living_connection_has_another_memory(linked: Linked) -> None:
    async with linked.running() as link:
        await until(lambda: link.connected)
        memory = link.memory
        await link.ask(("FLUSHALL",))
        await until(lambda: link.memory != memory)
        assert link.connections == 1


async def test_a_command_that_redis_refuses_is_not_answered_and_the_next_one_is(
    linked: Linked, recording: Recording
) -> None:
    async with linked.running() as link:
        await until(lambda: link.connected)
        assert await link.ask(("SET", "a", "text"), ("INCR", "a")) is None
        await until(lambda: link.connections == 2)
        assert await link.ask(("GET", "a")) is not None
        assert link.connected
    assert recording.events() == []


async def test_connections_that_break_at_once_again_and_again_are_made_more_and_more_rarely(linked: Linked) -> None:
    async with linked.running() as link:
        started = time.monotonic()
        while time.monotonic() - started < 4:
            await link.ask(("NO SUCH COMMAND",))
            await asyncio.sleep(0.01)
        assert link.connections <= 8


async def test_it_starts_without_redis(server: RedisServer, linked: Linked, recording: Recording) -> None:
    server.kill()
    async with linked.running() as link:
        await asyncio.sleep(2)
        assert not link.connected
        assert linked.changes == []
        server.start()
        await until(lambda: link.connected)
    assert recording.events() == ["redis_lost", "redis_back"]


async def test_no_password_shows(recording: Recording, metrics: Metrics) -> None:
    with RedisServer(f"requirepass {PASSWORD}") as server:
        wrong = Linked(server.url.replace("//", f"//:{PASSWORD}-wrong@"), recording, metrics)
        right = Linked(server.url.replace("//", f"//:{PASSWORD}@"), recording, metrics)
        async with right.running(), wrong.running():
            await until(lambda: right.link.connected)
            await asyncio.sleep(2)
            assert not wrong.link.connected
    lines = recording.lines()
    assert PASSWORD not in str(lines)
    assert {line["cause"] for line in lines if line["event"] == "redis_lost"} >= {"AuthenticationError"}


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_over_tls_only_a_certificate_of_that_name_is_trusted(
    is_trusted: bool, server: RedisServer, recording: Recording, metrics: Metrics, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    (root,) = authority.client().get_ca_certs(binary_form=True)
    (tmp_path / "root.pem").write_text(ssl.DER_cert_to_PEM_cert(root))

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))

    name = "localhost" if is_trusted else "another.example"
    relaying = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=authority.server(name))
    port = relaying.sockets[0].getsockname()[1]
    linked = Linked(f"rediss://localhost:{port}?ssl_ca_certs={tmp_path}/root.pem", recording, metrics)
    async with linked.running() as link:
        if is_trusted:
            await until(lambda: link.connected)
            assert await link.ask(("PING",)) == [True]
        else:
            await asyncio.sleep(2)
            assert not link.connected
    relaying.close()
    await asyncio.sleep(0.1)


async def test_a_replica_that_only_reads_is_no_redis_to_work_with(recording: Recording, metrics: Metrics) -> None:
    with RedisServer() as first, RedisServer(f"replicaof 127.0.0.1 {first.port}") as replica:
        linked = Linked(replica.url, recording, metrics)
        async with linked.running() as link:
            await asyncio.sleep(2)
            assert not link.connected


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"*1\r\n" * 5000, b":nonsense\r\n" * 50, b"+OK\r\n" * 50, b"$-5\r\n", b""],
    ids=["http", "deep", "numbers", "yes to all", "negative", "nothing"],
)
async def test_something_else_at_the_address_is_no_redis(said: bytes, recording: Recording, metrics: Metrics) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1000)
            writer.write(said)
            await writer.drain()
            await reader.read(1000)
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = other.sockets[0].getsockname()[1]
    linked = Linked(f"redis://127.0.0.1:{port}", recording, metrics)
    async with linked.running() as link:
        await asyncio.sleep(2)
        assert not link.connected
    other.close()
    assert recording.events() == ["redis_lost"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1",
        "redis://:secret/part@127.0.0.1:6379",
        "redis://127.0.0.1:port-secret",
        "redis://127.0.0.1:99999999-secret",
        "redis://127.0.0.1?unknown_option=secret",
        "redis://127.0.0.1?socket_timeout=secret",
        "redis://[secret",
        "unix:///secret",
        "",
    ],
)
async def test_an_address_that_cannot_be_used_is_refused_without_being_repeated(
    url: str, recording: Recording, metrics: Metrics
) -> None:
    with pytest.raises(ValueError, match="address of Redis") as refused:
        Linked(url, recording, metrics)
    assert "secret" not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None or refused.value.__suppress_context__


async def test_work_that_loses_a_cancellation_is_cancelled_again() -> None:
    lost = 0

    async def works() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                lost += 1
                if lost == 2:
                    raise

    async def fails() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("first")

    with pytest.raises(ValueError, match="first"):
        await first_of(works(), fails())
    assert lost == 2


async def test_work_that_fails_while_it_is_ended_is_no_failure_that_nobody_asked_for() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))

    async def fails(after_s: float) -> None:
        try:
            await asyncio.sleep(after_s)
        finally:
            raise ValueError(str(after_s))

    with pytest.raises(ValueError, match=r"0\.01"):
        await first_of(fails(0.01), fails(3_600.0))
    ended = asyncio.create_task(first_of(fails(3_600.0), fails(3_600.0)))
    await asyncio.sleep(0.01)
    ended.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ended
    gc.collect()
    assert told == []


async def test_nobody_at_the_address(recording: Recording, metrics: Metrics) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        linked = Linked(f"redis://127.0.0.1:{taken.getsockname()[1]}", recording, metrics)
        async with linked.running() as link:
            await asyncio.sleep(2)
            assert not link.connected
    lines = recording.lines()
    assert [(line["event"], line["level"], line["cause"]) for line in lines] == [
        ("redis_lost", "warning", "ConnectionError")
    ]
