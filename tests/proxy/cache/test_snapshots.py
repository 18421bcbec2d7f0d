"""Snapshots: what was on the shelf is there again after a restart, and nothing that must not be."""

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proxy.cache.worker import MOST_BYTES, Keyed, Worker, answer

from tollway._native.questions import Question
from tollway.contract.cache import Selection
from tollway.proxy.cache.records import Damaged, Reading
from tollway.proxy.cache.snapshots import path_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return path_of(tmp_path / "cache", 0)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def stat_of(path: Path) -> os.stat_result:
    return path.stat()


def lay(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)


async def written(path: Path, numbers: range = range(100)) -> Worker:
    worker = Worker(path)
    await worker.snapshots.read()
    worker.fill(numbers)
    assert await worker.snapshots.write()
    return worker


async def test_all_of_a_shelf_is_there_again_after_a_restart(path: Path) -> None:
    before = await written(path)
    after = Worker(path)
    assert await after.snapshots.read() == 100
    assert after.listed() == before.listed()
    assert [after.shelf.body(one) for one in after.listed()] == [answer(one) for one in after.listed()]
    near = after.shelf.near(bytes([7]) * 32, Question("what is number 42"))
    assert near[0].similarity >= 0.999
    assert len(near) == 8
    assert after.recording.events() == []


async def test_without_a_file_one_begins_with_nothing_and_without_a_word(path: Path) -> None:
    worker = Worker(path)
    assert await worker.snapshots.read() == 0
    assert worker.recording.events() == []


async def test_the_file_is_the_owners_alone_and_nothing_is_left_beside_it(path: Path) -> None:
    await written(path)
    assert stat.S_IMODE(stat_of(path).st_mode) == 0o600
    assert stat.S_IMODE(stat_of(path.parent).st_mode) == 0o700
    assert os.listdir(path.parent) == [path.name]


async def test_what_has_expired_is_not_read_back(path: Path) -> None:
    worker = Worker(path)
    await worker.snapshots.read()
    worker.fill(range(10), ttl_ms=5_000)
    kept = worker.fill(range(10, 15))
    assert await worker.snapshots.write()
    later = Worker(path, now_ms=6_000)
    await later.snapshots.read()
    assert {one.key for one in later.listed()} == {one.key for one in kept}


async def test_what_is_removed_is_no_longer_on_the_disk(path: Path) -> None:
    worker = await written(path)
    worker.fill(range(100, 120), tenant="t2")
    assert await worker.snapshots.write()
    worker.remove(Selection(tenant_id="t1"))
    assert await worker.snapshots.write()
    assert b"what is number 1" in content_of(path)
    assert answer(worker.listed()[0]) in content_of(path)
    after = Worker(path)
    assert await after.snapshots.read() == 20
    assert {one.tenant_id for one in after.listed()} == {"t2"}


async def test_a_removal_deletes_the_file_before_there_is_another(path: Path) -> None:
    worker = await written(path)
    worker.remove(Selection(tenant_id="t1"))
    await worker.snapshots.settled()
    assert os.listdir(path.parent) == []


async def test_a_removal_while_it_is_written_gives_the_writing_up(path: Path) -> None:
    worker = await written(path)
    worker.fill(range(100, 200))
    writing = asyncio.ensure_future(worker.snapshots.write())
    await asyncio.sleep(0)
    worker.remove(Selection(key=worker.listed()[0].key))
    assert not await writing
    await worker.snapshots.settled()
    assert os.listdir(path.parent) == []
    assert await worker.snapshots.write()
    after = Worker(path)
    assert await after.snapshots.read() == 199


async def test_a_removal_while_it_is_read_back_holds_for_what_is_yet_to_come(path: Path) -> None:
    await written(path)
    after = Worker(path)
    reading = asyncio.ensure_future(after.snapshots.read())
    await asyncio.sleep(0)
    after.remove(Selection(tenant_id="t1"))
    await reading
    assert after.listed() == []
    assert await after.snapshots.write()
    assert b"what is number" not in content_of(path)


async def test_a_removal_of_long_ago_leaves_what_was_filled_since(path: Path) -> None:
    await written(path)
    after = Worker(path)
    after.remove(Selection(tenant_id="t2"))
    running = asyncio.ensure_future(after.snapshots.run())
    for _ in range(500):
        await asyncio.sleep(0.01 if len(after.listed()) < 100 else 0)
    assert len(after.listed()) == 100
    running.cancel()
    await asyncio.wait([running])
    assert path.name in os.listdir(path.parent)


async def test_nothing_takes_the_place_of_what_has_not_been_read(path: Path) -> None:
    await written(path)
    content = content_of(path)
    hurried = Worker(path)
    hurried.fill(range(3))
    assert not await hurried.snapshots.write()
    assert content_of(path) == content


async def test_what_has_not_changed_is_not_written_again(path: Path) -> None:
    worker = await written(path)
    before = stat_of(path).st_ino
    assert await worker.snapshots.write()
    assert stat_of(path).st_ino == before


async def test_without_its_secret_nothing_is_read_and_nothing_written(path: Path) -> None:
    await written(path)
    sealed = Keyed()
    sealed.ready = False
    worker = Worker(path, sealed)
    running = asyncio.ensure_future(worker.snapshots.run())
    await asyncio.sleep(0.05)
    assert worker.listed() == []
    assert not await worker.snapshots.write()
    sealed.ready = True
    for _ in range(500):
        await asyncio.sleep(0.01 if not worker.listed() else 0)
    assert len(worker.listed()) == 100
    running.cancel()
    await asyncio.wait([running])


async def test_another_secret_opens_nothing_and_is_told_once(path: Path) -> None:
    await written(path)
    worker = Worker(path, Keyed(b"another"))
    assert await worker.snapshots.read() == 0
    told = worker.recording.lines()
    assert [(line["event"], line["unreadable"]) for line in told] == [("cache_snapshot_damaged", 100)]


async def test_a_full_disk_is_told_and_the_last_snapshot_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await written(path)
    content = content_of(path)
    worker.fill(range(100, 110))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert not await worker.snapshots.write()
    assert content_of(path) == content
    assert os.listdir(path.parent) == [path.name]
    assert worker.recording.events() == ["cache_snapshot_failed"]


async def test_what_takes_too_long_is_given_up(path: Path) -> None:
    worker = await written(path)
    worker.fill(range(100, 110))
    assert not await worker.snapshots.write(within_s=-1.0)
    assert os.listdir(path.parent) == [path.name]
    assert worker.recording.events() == ["cache_snapshot_given_up"]


def test_whichever_byte_is_another_the_file_is_read_as_far_as_it_can_be(path: Path) -> None:
    asyncio.run(written(path, range(2)))
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x80]) + content[at + 1 :])
        worker = Worker(path)
        count = asyncio.run(worker.snapshots.read())
        assert len(worker.listed()) <= count <= 2
        assert all(worker.shelf.body(one) == answer(one) for one in worker.listed())


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_as_far_as_it_can_be(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = path_of(Path(directory) / "cache", 0)
        asyncio.run(written(path, range(12)))
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(content) - 1))
            match data.draw(st.sampled_from(["flip", "cut", "double", "null"])):
                case "flip":
                    content[at] ^= data.draw(st.integers(1, 255))
                case "cut":
                    del content[max(1, at) :]
                case "double":
                    content[at:at] = content[at : at + 40]
                case _:
                    content[at : at + 8] = bytes(8)
        path.write_bytes(content)
        worker = Worker(path)
        count = asyncio.run(worker.snapshots.read())
        assert len(worker.listed()) <= count <= 13
        assert all(worker.shelf.body(one) == answer(one) for one in worker.listed())
        assert worker.recording.events() in ([], ["cache_snapshot_damaged"])


@pytest.mark.parametrize("content", [b"", b"TWCACHE", b"TWCACHE0" + bytes(100), b"TWCACHE1" + b"\xff" * 4, b"\0" * 64])
async def test_what_is_no_snapshot_is_ignored_with_one_line(path: Path, content: bytes) -> None:
    lay(path, content)
    worker = Worker(path)
    assert await worker.snapshots.read() == 0
    assert worker.recording.events() == ["cache_snapshot_damaged"]


def test_a_record_that_would_take_all_memory_is_not_read(path: Path) -> None:
    lay(path, b"TWCACHE1" + (2**31).to_bytes(4, "little") + bytes(1_000))
    reading = Reading(path, Keyed(), MOST_BYTES)
    with pytest.raises(Damaged):
        reading.batch(8, 1_000)
    reading.close()


@pytest.mark.parametrize("rounds", [1, 4, 9])
async def test_a_worker_that_is_killed_at_any_time_leaves_a_whole_snapshot(path: Path, rounds: int) -> None:
    path.parent.mkdir()
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.proxy.cache.worker", str(path), stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    for _ in range(rounds):
        await writer.stdout.readline()
    await asyncio.sleep(0.002 * rounds)
    writer.kill()
    await writer.wait()
    after = Worker(path)
    count = await after.snapshots.read()
    assert count >= 20 * rounds
    assert count % 20 == 0
    assert after.recording.events() == []
    after.fill(range(3))
    assert await after.snapshots.write()
    assert os.listdir(path.parent) == [path.name]
