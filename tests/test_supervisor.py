"""The supervisor: what it refuses to start on, and the shipping of rows on a thread of its own."""

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.fakes.full_server import FullServer
from tests.fakes.gateway import Gateway, config, free_port
from tests.fakes.telemetry import Recording
from tests.proxy.usage.test_journal import row

from tollway._native.limits import Ledger
from tollway._native.purses import Purses
from tollway.charge import Places
from tollway.contract.budgets import Ask, Budget, Purse
from tollway.control.billing.prices import PACKAGED, load_prices
from tollway.control.publish import publish
from tollway.proxy.usage.journal import Journal
from tollway.settings import JournalSettings, read
from tollway.storage import postmaster
from tollway.storage.budgets import PostgresBank
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.segments import segments
from tollway.storage.usage import insert_usage
from tollway.supervisor import CannotStart, Shipping, Supervisor, hold
from tollway.telemetry.metrics import Metrics, prepare

DAY_US = 86_400_000_000
NOWHERE = "postgresql://nobody@127.0.0.1:9/nothing"


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with closing(Recording(tmp_path / "log")) as made:
        yield made


def supervisor(
    recording: Recording, data_dir: Path, dsn: str = NOWHERE, *, retention: dict[str, str] | None = None, **server: Any
) -> Supervisor:
    written = config(dsn)
    written["storage"]["data_dir"] = str(data_dir)
    written["storage"]["retention"] = retention or {}
    written["server"].update(server)
    settings = read(msgspec.json.encode(written).decode(), {})

    async def ready(_: str) -> None:
        raise AssertionError("it did start")

    return Supervisor(settings, publish(settings, load_prices(PACKAGED), 1), recording.log, on_ready=ready)


HOLD = """
import sys
from pathlib import Path
from tollway.supervisor import hold
held = hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def hold_in_another_process(lock: Path) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_directory_is_held_by_one_process_and_free_again_once_that_is_killed(tmp_path: Path) -> None:
    places = Places(tmp_path / "data")
    places.make()
    with hold_in_another_process(places.lock) as other:
        with pytest.raises(CannotStart, match=r"Another gateway is using .*data\. Stop it, or .*--data-dir"):
            hold(places.lock)
        other.kill()
        other.wait()
        held = hold(places.lock)
        with pytest.raises(CannotStart):
            hold(places.lock)
        held.close()
        hold(places.lock).close()


async def test_it_does_not_start_in_a_directory_that_another_gateway_uses(recording: Recording, tmp_path: Path) -> None:
    places = Places(tmp_path / "data")
    places.make()
    with hold_in_another_process(places.lock) as other:
        with pytest.raises(CannotStart, match="Another gateway"):
            await supervisor(recording, tmp_path / "data", port=free_port()).run()
        assert not places.metrics.exists(), "the other gateway's files are left alone"
        other.kill()


async def test_it_does_not_start_on_a_port_that_is_taken_and_says_what_to_do(
    recording: Recording, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStart) as caught:
            await supervisor(recording, tmp_path / "data", port=port).run()
    assert str(caught.value) == (
        f"Can't listen on 127.0.0.1:{port}: Address already in use. Choose another with --host and --port."
    )
    hold(Places(tmp_path / "data").lock).close()


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
async def test_it_does_not_start_on_an_address_that_is_not_its_machines(
    recording: Recording, tmp_path: Path, host: str
) -> None:
    with pytest.raises(CannotStart, match=f"Can't listen on {host}:"):
        await supervisor(recording, tmp_path / "data", host=host, port=free_port()).run()


async def test_it_does_not_start_on_a_newer_schema(recording: Recording, tmp_path: Path, postgres_dsn: str) -> None:
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute("insert into schema_migrations (version, name, checksum) values (9999, 'newer', 'x')")
    await connection.close()
    with pytest.raises(CannotStart, match="never runs on a newer schema"):
        await supervisor(recording, tmp_path / "data", postgres_dsn, port=free_port()).run()
    assert "gateway_started" not in recording.events()


def test_directories_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    places = Places(tmp_path / "a" / "b")
    places.make()
    places.make()
    for directory in (places.data_dir, places.ledger.parent, places.journal):
        assert directory.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "supervisor")) as made:
        yield made


def made_places(data_dir: Path) -> Places:
    places = Places(data_dir)
    places.make()
    return places


async def test_rows_are_shipped_on_a_thread_and_those_that_are_left_at_its_end(
    recording: Recording, metrics: Metrics, tmp_path: Path, pool: asyncpg.Pool, postgres_dsn: str
) -> None:
    places = made_places(tmp_path)
    journal = Journal(places.journal)
    shipping = Shipping(places, postgres_dsn, JournalSettings(), recording.log, metrics)
    thread = threading.Thread(target=shipping.run)
    thread.start()
    try:
        journal.append(row(1))
        for _ in range(1_500):
            if await stored(pool) == 1:
                break
            await asyncio.sleep(0.02)
        assert await stored(pool) == 1
        for number in range(2, 500):
            journal.append(row(number))
    finally:
        journal.close()
        shipping.end()
        await asyncio.to_thread(thread.join)
    assert await stored(pool) == 499
    assert segments(places.journal) == []


async def test_what_is_shipped_is_no_more_of_what_this_hosts_ledger_holds(
    recording: Recording, metrics: Metrics, tmp_path: Path, pool: asyncpg.Pool, postgres_dsn: str
) -> None:
    places = made_places(tmp_path)
    ledger = Ledger(places.ledger)
    purse = Purse(Budget(id="file:b", name="b", amount_picousd=1_000, period="total"))
    bank = PostgresBank(pool, recording.log, metrics, patience_s=30.0)
    await bank.renew(Purses(ledger).host_id, [Ask(purse, 0, 0, 100, 1)])
    ledger.close()
    journal = Journal(places.journal)
    journal.append(row(1, cost_picousd=30, charged=(purse.name,)))
    journal.close()
    shipping = Shipping(places, postgres_dsn, JournalSettings(), recording.log, metrics)
    thread = threading.Thread(target=shipping.run)
    thread.start()
    shipping.end()
    await asyncio.to_thread(thread.join)
    assert await pool.fetchval("select shipped from budget_leases") == 30
    assert await pool.fetchval("select spent from budget_purses") == 30


async def test_what_is_over_is_dropped_and_what_was_never_summed_is_summed(
    recording: Recording, tmp_path: Path, pool: asyncpg.Pool, postgres_dsn: str
) -> None:
    now = time.time_ns() // 1_000
    rows = [row(number, at_us=now - days * DAY_US) for number, days in enumerate((40, 5, 0))]
    async with pool.acquire() as connection:
        await insert_usage(connection, rows)
        await connection.execute("""
            truncate usage_daily;
            insert into usage_unsummed select distinct (created_at at time zone 'UTC')::date from usage_logs
        """)
    retention = {"usage": "30d", "hourly": "400d"}
    keeping = asyncio.create_task(
        supervisor(recording, tmp_path, postgres_dsn, retention=retention)._keep_schema(postgres_dsn, migrated=True)
    )
    for _ in range(1_500):
        if await pool.fetchval("select count(*) from usage_unsummed") == 0:
            break
        await asyncio.sleep(0.02)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    kept = await pool.fetch("select id from usage_logs order by id")
    assert [record["id"] for record in kept] == [each.id for each in rows[1:]]
    assert await pool.fetchval("select sum(calls) from usage_daily") == 2
    assert await pool.fetchval("select sum(calls) from usage_hourly") == 3
    events = recording.events()
    assert events.count("usage_summed") == 2
    assert events.count("usage_dropped") == 1


async def stored(pool: asyncpg.Pool) -> int:
    count: int = await pool.fetchval("select count(*) from usage_logs")
    return count


async def test_without_a_database_shipping_ends_and_leaves_the_rows_to_the_next_start(
    recording: Recording, metrics: Metrics, tmp_path: Path
) -> None:
    places = made_places(tmp_path)
    journal = Journal(places.journal)
    journal.append(row(1))
    journal.close()
    shipping = Shipping(places, NOWHERE, JournalSettings(), recording.log, metrics)
    thread = threading.Thread(target=shipping.run)
    thread.start()
    shipping.end()
    await asyncio.to_thread(thread.join)
    assert len(segments(places.journal)) == 1
    assert "usage_waits" in recording.events()


async def test_with_a_database_that_takes_no_more_of_a_batch_shipping_ends_and_leaves_the_rows_to_the_next_start(
    recording: Recording, metrics: Metrics, tmp_path: Path, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tollway.supervisor.SHIP_AT_END_S", 0.5)
    places = made_places(tmp_path)
    journal = Journal(places.journal)
    for number in range(2_000):
        journal.append(row(number))
    journal.close()
    async with FullServer(postgres_dsn, once=b"COPY ") as server:
        shipping = Shipping(places, server.dsn, JournalSettings(), recording.log, metrics)
        thread = threading.Thread(target=shipping.run)
        thread.start()
        await asyncio.wait_for(server.is_full.wait(), 30)
        shipping.end()
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()
    assert len(segments(places.journal)) == 1
    assert "usage_waits" in recording.events()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
async def test_the_thread_that_ships_gives_way_to_calls_and_no_other_does(
    recording: Recording, metrics: Metrics, tmp_path: Path
) -> None:
    shipping = Shipping(made_places(tmp_path), NOWHERE, JournalSettings(), recording.log, metrics)
    thread = threading.Thread(target=shipping.run)
    thread.start()
    try:
        assert thread.native_id is not None
        for _ in range(1_500):
            if os.sched_getscheduler(thread.native_id) == os.SCHED_BATCH:
                break
            await asyncio.sleep(0.02)
        assert os.sched_getscheduler(thread.native_id) == os.SCHED_BATCH
        assert os.sched_getscheduler(threading.get_native_id()) == os.SCHED_OTHER
    finally:
        shipping.end()
        await asyncio.to_thread(thread.join)


async def test_a_postgres_that_is_being_started_again_at_the_end_is_stopped_all_the_same(
    recording: Recording, tmp_path: Path, own_postgres: EmbeddedPostgres
) -> None:
    await asyncio.to_thread(own_postgres.start)
    first = own_postgres.pid
    assert first is not None
    keeping = asyncio.create_task(supervisor(recording, tmp_path)._keep_postgres(own_postgres))
    os.kill(first, signal.SIGKILL)
    again = None
    while again is None or again.pid == first:
        await asyncio.sleep(0.001)
        again = postmaster.read(own_postgres._data)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await asyncio.to_thread(own_postgres.stop)
    with pytest.raises(ProcessLookupError):
        os.kill(again.pid, 0)
    assert postmaster.read(own_postgres._data) is None


async def test_a_postgres_that_can_not_be_started_again_is_told_and_tried_again(
    recording: Recording, tmp_path: Path, own_postgres: EmbeddedPostgres
) -> None:
    await asyncio.to_thread(own_postgres.start)
    (own_postgres._data / "PG_VERSION").rename(own_postgres._data / "hidden")
    first = own_postgres.pid
    assert first is not None
    keeping = asyncio.create_task(supervisor(recording, tmp_path)._keep_postgres(own_postgres))
    os.kill(first, signal.SIGKILL)
    log = tmp_path / "log"
    while "postgres_does_not_start" not in log.read_text():  # noqa: ASYNC110 -- it is a file
        await asyncio.sleep(0.02)
    (own_postgres._data / "hidden").rename(own_postgres._data / "PG_VERSION")
    while not own_postgres.is_alive:  # noqa: ASYNC110 -- it is another process
        await asyncio.sleep(0.02)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_gateway_ends_though_its_database_has_frozen_in_the_middle_of_what_is_kept_ready(
    postgres_dsn: str, tmp_path: Path
) -> None:
    async with FullServer(postgres_dsn, once=b"usage_unsummed") as server:
        gateway = Gateway(config(server.dsn), tmp_path)
        gateway.begin()
        try:
            await asyncio.wait_for(server.is_full.wait(), 60)
            gateway.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(gateway.process.wait, 60) == 0, gateway.log()
        finally:
            if gateway.process.poll() is None:
                gateway.kill()


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limits of another process can be set on Linux only")
def test_a_worker_that_can_not_be_started_is_told_and_started_as_soon_as_it_can_be(
    postgres_dsn: str, tmp_path: Path
) -> None:
    with Gateway(config(postgres_dsn), tmp_path) as gateway:
        soft, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (3, hard))
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.wait_until(lambda: '"worker_does_not_start"' in gateway.log(), "told")
        assert gateway.process.poll() is None
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        gateway.wait_until(lambda: gateway.ready()[0] == 200, "ready again")
    assert gateway.process.returncode == 0
