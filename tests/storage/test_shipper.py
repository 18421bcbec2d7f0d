"""The shipper: from segments to PostgreSQL, each row once, whatever dies in between."""

import asyncio
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.fakes.full_server import FullServer
from tests.fakes.telemetry import Recording, counted
from tests.storage.test_usage import ROW

from tollway.contract.usage import UsageRow
from tollway.proxy.usage.price import MOST_PICOUSD
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate
from tollway.storage.pool import OUT_OF_REACH, connect
from tollway.storage.segments import HEADER_BYTES, SegmentReader, SegmentWriter, segments
from tollway.storage.segments import SEGMENT_BYTES as JOURNALS_SEGMENT_BYTES
from tollway.storage.shipper import BATCH_ROWS, REJECTED, Shipper
from tollway.telemetry.metrics import Metrics, prepare

SEGMENT_BYTES = 1024 * 1024


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with closing(Recording(tmp_path / "log")) as made:
        yield made


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "supervisor")) as made:
        yield made


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    directory = tmp_path / "journal"
    directory.mkdir()
    return directory


@pytest.fixture
def shipper(journal: Path, pool: asyncpg.Pool, recording: Recording, metrics: Metrics) -> Shipper:
    return Shipper(journal, pool, recording.log, metrics)


def rows(count: int, first: int = 0, **changes: object) -> list[UsageRow]:
    return [msgspec.structs.replace(ROW, id=f"row-{number:06}", **changes) for number in range(first, first + count)]


def written(path: Path, *records: UsageRow | bytes) -> SegmentWriter:
    """A segment that its writer still has open."""
    writer = SegmentWriter(path, SEGMENT_BYTES)
    for record in records:
        writer.append(record if isinstance(record, bytes) else msgspec.msgpack.encode(record))
    return writer


async def stored(pool: asyncpg.Pool) -> list[str]:
    return [record["id"] for record in await pool.fetch("select id from usage_logs order by id")]


def ids(count: int) -> list[str]:
    return [row.id for row in rows(count)]


def rejected(journal: Path) -> list[Any]:
    path = journal / REJECTED
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def until(true: Callable[[], object]) -> None:
    for _ in range(1_500):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come true")


async def test_rows_arrive_and_what_nobody_writes_any_more_is_removed(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool, metrics: Metrics
) -> None:
    written(journal / "1-1-0.journal", *rows(3)).close()
    written(journal / "2-1-0.journal", *rows(2, 3)).close()
    assert await shipper.ship() == 5
    assert await stored(pool) == ids(5)
    assert segments(journal) == []
    assert await shipper.ship() == 0
    assert counted(metrics, "tollway_usage_shipped_total") == {(): 5.0}


async def test_a_segment_that_is_being_written_is_shipped_as_it_grows_and_stays(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool
) -> None:
    writer = written(journal / "1-1-0.journal", *rows(2))
    assert [await shipper.ship(), await shipper.ship()] == [2, 0]
    for row in rows(3, 2):
        writer.append(msgspec.msgpack.encode(row))
    assert await shipper.ship() == 3
    assert await stored(pool) == ids(5)
    assert len(segments(journal)) == 1
    writer.close()
    assert await shipper.ship() == 0
    assert segments(journal) == []


async def test_many_rows_are_shipped_in_batches(shipper: Shipper, journal: Path, pool: asyncpg.Pool) -> None:
    count = 2 * BATCH_ROWS + 7
    writer = SegmentWriter(journal / "1-1-0.journal", 16 * SEGMENT_BYTES)
    for row in rows(count):
        writer.append(msgspec.msgpack.encode(row))
    writer.close()
    assert await shipper.ship() == count
    assert await pool.fetchval("select count(*) from usage_logs") == count
    assert segments(journal) == []


async def test_a_crash_between_storing_and_marking_doubles_nothing(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool, metrics: Metrics
) -> None:
    """What such a crash leaves: the rows are in PostgreSQL and the mark still says that they are not."""
    tenant_id = await pool.fetchval("insert into tenants (name) values ('acme') returning id")
    writer = written(journal / "1-1-0.journal", *rows(10, tenant_id=tenant_id))
    assert await shipper.ship() == 10
    spent = await pool.fetchval("select current_spend from tenants")
    with closing(SegmentReader(journal / "1-1-0.journal")) as segment:
        segment.mark_shipped(HEADER_BYTES)
    writer.append(msgspec.msgpack.encode(rows(1, 10)[0]))
    writer.close()
    assert await shipper.ship() == 1
    assert await stored(pool) == ids(11)
    assert await pool.fetchval("select current_spend from tenants") == spent
    assert segments(journal) == []
    assert counted(metrics, "tollway_usage_shipped_total") == {(): 11.0}


@pytest.mark.parametrize(
    "damaged",
    [
        b"\xc1 no MessagePack",
        msgspec.msgpack.encode({"id": "a mapping"}),
        msgspec.msgpack.encode(["too", "few"]),
        msgspec.msgpack.encode(ROW).replace(ROW.model.encode(), b"\xff" * len(ROW.model)),
    ],
    ids=["noise", "another shape", "too short", "no UTF-8"],
)
async def test_a_record_that_is_no_row_is_set_aside_and_the_rest_shipped(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool, recording: Recording, damaged: bytes
) -> None:
    first, second = rows(2)
    written(journal / "1-1-0.journal", first, damaged, second).close()
    assert await shipper.ship() == 2
    assert await stored(pool) == ids(2)
    assert rejected(journal) == [{"bytes": damaged.hex()}]
    assert segments(journal) == []
    (line,) = recording.lines()
    assert (line["level"], line["event"], line["kept_in"]) == ("error", "usage_row_rejected", REJECTED)


async def test_a_record_whose_bytes_have_rotted_is_told_and_the_rest_shipped(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool, recording: Recording
) -> None:
    path = journal / "1-1-0.journal"
    written(path, *rows(2)).close()
    with path.open("r+b") as file:
        file.seek(HEADER_BYTES + 8 + 20)
        file.write(b"\xff")
    assert await shipper.ship() == 1
    assert await stored(pool) == ["row-000001"]
    assert rejected(journal) == [{"bytes": None}]
    assert recording.events() == ["usage_row_rejected"]


async def test_a_row_that_postgres_can_never_take_is_set_aside_and_its_batch_shipped(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool, metrics: Metrics
) -> None:
    plain = rows(5)
    impossible = [
        msgspec.structs.replace(ROW, id="status", http_status=2**40),
        msgspec.structs.replace(ROW, id="time", at_us=2**62),
    ]
    written(journal / "1-1-0.journal", *plain[:2], *impossible, *plain[2:]).close()
    assert await shipper.ship() == 5
    assert await stored(pool) == ids(5)
    assert [each[0] for each in rejected(journal)] == ["status", "time"]
    assert segments(journal) == []
    assert counted(metrics, "tollway_usage_shipped_total") == {(): 5.0}


async def test_a_row_of_a_newer_version_with_more_fields_is_stored(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool
) -> None:
    newer = msgspec.msgpack.encode([*msgspec.to_builtins(rows(1)[0]), "a field of tomorrow"])
    written(journal / "1-1-0.journal", newer).close()
    assert await shipper.ship() == 1
    assert await stored(pool) == ids(1)


async def test_a_file_that_is_no_segment_does_not_hold_up_the_others(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool, recording: Recording
) -> None:
    (journal / "0-1-0.journal").write_bytes(b"something else" * 1000)
    (journal / "1-1-0.journal").write_bytes(b"")
    written(journal / "2-1-0.journal", *rows(1)).close()
    assert await shipper.ship() == 1
    assert await stored(pool) == ids(1)
    assert [path.name for path in segments(journal)] == ["0-1-0.journal"], "kept for whoever knows what it is"
    assert recording.events() == ["journal_segment_unreadable"]


async def test_rows_wait_while_the_database_is_down_and_arrive_once_it_is_back(
    own_postgres: EmbeddedPostgres, journal: Path, recording: Recording, metrics: Metrics
) -> None:
    dsn = await asyncio.to_thread(own_postgres.start)
    await migrate(dsn)
    pool = await connect(dsn, connect_timeout_s=1.0)
    shipper = Shipper(journal, pool, recording.log, metrics)
    writer = written(journal / "1-1-0.journal", *rows(3))
    assert await shipper.ship() == 3

    await asyncio.to_thread(own_postgres.stop)
    writer.append(msgspec.msgpack.encode(rows(1, 3)[0]))
    with pytest.raises(OUT_OF_REACH):
        await shipper.ship()
    running = asyncio.create_task(shipper.run())
    await until(lambda: counted(metrics, "tollway_journal_pending_rows").get(()))
    writer.append(msgspec.msgpack.encode(rows(1, 4)[0]))
    writer.close()
    assert not running.done()

    await asyncio.to_thread(own_postgres.start)
    await until(lambda: not segments(journal))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await stored(pool) == ids(5)
    assert counted(metrics, "tollway_usage_shipped_total") == {(): 5.0}
    assert "usage_waits" in recording.events()
    await pool.close()


def _shipped(metrics: Metrics, least: int) -> bool:
    return sum(counted(metrics, "tollway_usage_shipped_total").values()) >= least


async def test_a_postgresql_that_is_killed_while_it_stores_rows_neither_loses_nor_doubles_one(
    own_postgres: EmbeddedPostgres, journal: Path, recording: Recording, metrics: Metrics
) -> None:
    dsn = await asyncio.to_thread(own_postgres.start)
    await migrate(dsn)
    pool = await connect(dsn, connect_timeout_s=1.0)
    for number in range(20):
        written(journal / f"{number:02}-1-0.journal", *rows(1_000, 1_000 * number)).close()
    running = asyncio.create_task(Shipper(journal, pool, recording.log, metrics).run())
    for kills in range(1, 4):
        await until(partial(_shipped, metrics, 5_000 * kills))
        assert own_postgres.pid is not None
        os.kill(own_postgres.pid, signal.SIGKILL)
        await until(lambda: not own_postgres.is_alive)
        await asyncio.to_thread(own_postgres.start)
    await until(lambda: not segments(journal))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await pool.fetchval("select count(*) from usage_logs") == 20_000
    assert await pool.fetchval("select sum(calls) from usage_hourly") == 20_000
    assert await pool.fetchval("select sum(cost) from usage_daily") == 20_000 * Decimal("0.00000585")
    await pool.close()


async def test_a_server_that_dies_while_it_takes_no_more_of_a_batch_holds_up_no_row(
    pool: asyncpg.Pool, postgres_dsn: str, journal: Path, recording: Recording, metrics: Metrics
) -> None:
    written(journal / "1-1-0.journal", *rows(2_000)).close()  # more than sockets hold
    async with FullServer(postgres_dsn, once=b"COPY ") as server:
        own = await connect(server.dsn)
        running = asyncio.create_task(Shipper(journal, own, recording.log, metrics).run())
        await asyncio.wait_for(server.is_full.wait(), 30)
        server.die()
        await until(lambda: not segments(journal))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await own.close()
    assert recording.events() == ["usage_waits"]
    assert await pool.fetchval("select count(*) from usage_logs") == 2_000


async def test_what_waits_is_measured(shipper: Shipper, journal: Path, metrics: Metrics) -> None:
    writer = written(journal / "1-1-0.journal", *rows(2))
    running = asyncio.create_task(shipper.run())
    await until(lambda: counted(metrics, "tollway_journal_bytes").get(()))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert counted(metrics, "tollway_journal_pending_rows") == {(): 0.0}
    writer.close()


async def test_a_row_of_the_most_tokens_and_the_highest_cost_is_stored_exactly(
    shipper: Shipper, journal: Path, pool: asyncpg.Pool
) -> None:
    most = 2**31 - 1
    row = rows(
        1,
        prompt_tokens=most,
        completion_tokens=most,
        cached_tokens=most,
        cache_write_tokens=most,
        reasoning_tokens=most,
        cost_picousd=MOST_PICOUSD,
    )
    written(journal / "1-1-0.journal", *row).close()
    assert await shipper.ship() == 1
    found = await pool.fetchrow("select prompt_tokens, reasoning_tokens, cost from usage_logs")
    assert found is not None
    assert tuple(found) == (most, most, Decimal(MOST_PICOUSD).scaleb(-12))


async def test_in_an_outage_the_rows_that_wait_are_counted_over_all_segments(
    journal: Path, recording: Recording, metrics: Metrics
) -> None:
    pool = await connect("postgresql://nobody@127.0.0.1:9/nothing", connect_timeout_s=1.0)
    for number in range(20):
        written(journal / f"{number:02}-1-0.journal", *rows(5, 5 * number)).close()
    writer = written(journal / "99-1-0.journal", *rows(3, 100))
    running = asyncio.create_task(Shipper(journal, pool, recording.log, metrics).run())
    await until(lambda: counted(metrics, "tollway_journal_pending_rows") == {(): 103.0})
    writer.append(msgspec.msgpack.encode(rows(1, 103)[0]))
    await until(lambda: counted(metrics, "tollway_journal_pending_rows") == {(): 104.0})
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    writer.close()
    pool.terminate()


async def test_rows_that_wait_for_postgresql_are_brought_to_the_disk(
    journal: Path, recording: Recording, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(SegmentReader, "sync", lambda segment: synced.append(segment.path))
    pool = await connect("postgresql://nobody@127.0.0.1:9/nothing", connect_timeout_s=1.0)
    writer = written(journal / "1-1-0.journal", *rows(3))
    running = asyncio.create_task(Shipper(journal, pool, recording.log, metrics, sync_s=0.05).run())
    await until(lambda: synced)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert set(synced) == {writer.path}
    writer.close()
    pool.terminate()


async def test_a_journal_that_fills_is_told_once_for_each_bound(
    journal: Path, recording: Recording, metrics: Metrics
) -> None:
    pool = await connect("postgresql://nobody@127.0.0.1:9/nothing", connect_timeout_s=1.0)
    shipper = Shipper(journal, pool, recording.log, metrics, max_bytes=10 * JOURNALS_SEGMENT_BYTES)
    for number in range(10):
        written(journal / f"{number}-1-0.journal", *rows(1, number)).close()
        await shipper._look_after()
        await shipper._look_after()
    told = [(line["level"], line["pending_rows"]) for line in recording.lines() if line["event"] == "journal_fills"]
    assert told == [("warning", 6), ("error", 9)]
    assert counted(metrics, "tollway_journal_limit_bytes") == {(): float(10 * JOURNALS_SEGMENT_BYTES)}
    pool.terminate()
