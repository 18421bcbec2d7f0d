"""Workers of one host post to each other over real Unix sockets; slow, dead and senseless ones harm nobody."""

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from tests.fakes.telemetry import Recording

from tollway.storage.cache import posts as module
from tollway.storage.cache.frames import Kind, packed
from tollway.storage.cache.peer import MOST_NOTICES, MOST_POSTS, MOST_POSTS_BYTES
from tollway.storage.cache.posts import Posts

MOST = 100_000


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    recording = Recording(tmp_path / "log")
    yield recording
    recording.close()


class Worker:
    """One worker, and what it has heard."""

    def __init__(self, directory: Path, index: int, recording: Recording) -> None:
        self.heard: list[bytes] = []
        self.noticed: list[bytes] = []
        self.given: list[bytes] = []
        self.has: list[bytes] = []
        self.posts = Posts(
            directory,
            index,
            post=self.heard.append,
            notice=self.noticed.append,
            given=self.given.append,
            give=self._give,
            instead=b"everything",
            most_bytes=MOST,
            log=recording.log,
        )

    async def _give(self) -> AsyncGenerator[bytes, None]:
        for each in self.has:
            yield each

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Worker"]:
        task = asyncio.create_task(self.posts.run())
        try:
            yield self
            assert not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                async with asyncio.timeout(20):
                    await task


Start = Callable[[int], contextlib.AbstractAsyncContextManager[Worker]]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    directory = tmp_path / "run"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def start(run: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts a worker."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    return lambda index: Worker(run, index, recording).running()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another task's
            await asyncio.sleep(0.005)


async def met(*workers: Worker) -> None:
    """All are connected to all others."""
    await until(lambda: all(worker.posts.connected == len(workers) - 1 for worker in workers))


async def test_what_one_posts_all_others_hear_in_its_order(start: Start) -> None:
    async with start(0) as a, start(1) as b, start(2) as c:
        await met(a, b, c)
        for index in range(300):
            a.posts.post(b"%d" % index)
        b.posts.post(b"from b")
        await until(lambda: len(b.heard) == 300 and len(c.heard) == 301)
        assert b.heard == [b"%d" % index for index in range(300)]
        assert [each for each in c.heard if each != b"from b"] == b.heard
        assert a.heard == [b"from b"]


async def test_a_notice_is_true_when_all_have_taken_it(start: Start) -> None:
    async with start(0) as a, start(1) as b, start(2) as c:
        await met(a, b, c)
        assert await a.posts.notice(b"forget")
        assert (b.noticed, c.noticed, a.noticed) == ([b"forget"], [b"forget"], [])


async def test_who_is_alone_has_told_everybody(start: Start) -> None:
    async with start(0) as a:
        await until(lambda: a.posts._opened is not None)
        assert await a.posts.notice(b"forget")


async def test_a_notice_reaches_who_was_not_met_yet(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start(0) as a:
        await until(lambda: a.posts._opened is not None)
        monkeypatch.setattr(module, "LOOK_EVERY_S", 30.0)
        await asyncio.sleep(0.1)
        async with start(1) as b:
            await until(lambda: b.posts._opened is not None)
            assert await a.posts.notice(b"forget")
            assert b.noticed == [b"forget"]


async def test_the_dead_need_not_take_a_notice(start: Start, run: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(run / "cache-7.sock"))
    left.close()
    async with start(0) as a, start(1) as b:
        await met(a, b)
        assert await a.posts.notice(b"forget")
        assert b.noticed == [b"forget"]


async def test_one_that_hangs_makes_a_notice_false_and_hears_it_when_it_goes_on(start: Start, run: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(run / "cache-7.sock"))
        hanging.listen()
        async with start(0) as a, start(1) as b:
            await until(lambda: a.posts.connected == 2)
            assert not await a.posts.notice(b"forget")
            assert b.noticed == [b"forget"]
            hanging.setblocking(False)
            loop = asyncio.get_running_loop()
            connected, _ = await loop.sock_accept(hanging)
            with connected:
                connected.setblocking(False)
                said = b""
                while packed(Kind.NOTICE, 1, b"forget") not in said:
                    said += await loop.sock_recv(connected, 65_536)


async def test_one_that_hangs_slows_nobody_and_is_dropped_from(start: Start, run: Path, recording: Recording) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(run / "cache-7.sock"))
        hanging.listen()
        async with start(0) as a, start(1) as b:
            await until(lambda: a.posts.connected == 2)
            for _ in range(20):
                for _ in range(MOST_POSTS):
                    a.posts.post(bytes(2_000))
                await asyncio.sleep(0)
            peer = a.posts._peers[7]
            assert len(peer._posts) <= MOST_POSTS
            assert peer._posts_bytes <= MOST_POSTS_BYTES
            await until(lambda: b.heard)
    assert recording.events().count("cache_posts_dropped") <= 2, "a line for each of the two"


async def test_notices_that_nobody_takes_become_one_of_everything(start: Start, run: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(run / "cache-7.sock"))
        hanging.listen()
        async with start(0) as a:
            await until(lambda: a.posts.connected == 1)
            peer = a.posts._peers[7]
            for number in range(1_000, 1_000 + MOST_NOTICES + 1):
                peer.notice(number, b"forget")
            assert list(peer._notices.values()) == [b"everything"]


async def test_a_worker_that_starts_is_given_all_that_another_has(start: Start) -> None:
    async with start(0) as a, start(1) as b:
        a.has = b.has = [b"%d" % index for index in range(500)]
        await met(a, b)
        async with start(2) as c:
            await until(lambda: len(c.given) == 500)
            assert c.given == a.has
            await asyncio.sleep(0.3)
            assert len(c.given) == 500, "one of them is enough"


async def test_a_worker_that_was_restarted_is_found_again(start: Start) -> None:
    async with start(0) as a:
        async with start(1) as b:
            await met(a, b)
        await until(lambda: a.posts.connected == 0)
        a.posts.post(b"to nobody")
        assert await a.posts.notice(b"to nobody")
        async with start(1) as b:
            await met(a, b)
            a.posts.post(b"again")
            await until(lambda: b.heard == [b"again"])


async def test_the_socket_is_for_its_user_alone_and_goes_with_its_worker(start: Start, run: Path) -> None:
    async with start(0) as a:
        await until(lambda: a.posts._opened is not None)
        assert stat.S_IMODE((run / "cache-0.sock").stat().st_mode) == 0o600
    assert os.listdir(run) == []


async def test_a_directory_with_a_long_name_is_no_hindrance(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with Worker(deep, 0, recording).running() as a, Worker(deep, 1, recording).running() as b:
        await met(a, b)
        a.posts.post(b"deep")
        await until(lambda: b.heard == [b"deep"])


async def test_without_a_directory_it_goes_on_alone_and_says_so_once(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    async with Worker(tmp_path / "nowhere", 0, recording).running() as a:
        await asyncio.sleep(0.2)
        a.posts.post(b"to nobody")
        assert not await a.posts.notice(b"who knows")
    assert recording.events() == ["cache_posts_closed"]


@pytest.mark.parametrize(
    "noise",
    [
        b"\0" * 64,
        b"\xff" * 64,
        packed(Kind.POST, 0, bytes(MOST + 1)),
        packed(Kind.TAKEN, 1),
        packed(Kind.GIVEN, 0, b"not asked for"),
        packed(Kind.POST, 0, b"cut")[:-1],
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_who_says_what_makes_no_sense_is_hung_up_on(start: Start, run: Path, noise: bytes) -> None:
    async with start(0) as a, start(1) as b:
        await met(a, b)
        reader, writer = await asyncio.open_unix_connection(str(run / "cache-0.sock"))
        writer.write(noise)
        writer.write_eof()
        try:
            async with asyncio.timeout(20):
                assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()
        b.posts.post(b"sense")
        await until(lambda: a.heard == [b"sense"])


async def test_an_answer_that_makes_no_sense_ends_the_connection_and_another_is_made(start: Start, run: Path) -> None:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(run / "cache-7.sock"))
    listening.listen()
    listening.setblocking(False)
    loop = asyncio.get_running_loop()
    with listening:
        async with start(0) as a:
            for _ in range(2):
                connected, _ = await loop.sock_accept(listening)
                with connected:
                    await loop.sock_sendall(connected, os.urandom(64))
            await until(lambda: a.posts.connected == 1)
