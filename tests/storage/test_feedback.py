"""Verdicts on hits: each told once to everybody, through outages, and none that is too old."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine

import asyncpg
import pytest

from tollway.contract.cache import Feedback
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.feedback import (
    MOST_OF_REGION,
    MOST_WAITING,
    FeedbackChanges,
    FeedbackWriter,
    insert_feedback,
)
from tollway.storage.migrate import migrate
from tollway.storage.pool import connect
from tollway.telemetry.logs import open_log

MUTED = "alter table cache_feedback disable trigger announce"


def _said(request_id: str | None, confidence: float = 0.97) -> Feedback:
    return Feedback(
        tenant_id="acme",
        region="acme/chat/5",
        confidence=confidence,
        verdict="wrong",
        source="client",
        request_id=request_id,
    )


async def _insert(pool: asyncpg.Pool, feedback: Feedback) -> bool:
    async with pool.acquire() as connection:
        return await insert_feedback(connection, feedback)


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


async def _until_rows(pool: asyncpg.Pool, rows: int) -> None:
    async with asyncio.timeout(60):
        while await pool.fetchval("select count(*) from cache_feedback") < rows:  # noqa: ASYNC110 -- another process's
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def _running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Worker:
    """What a worker has learned."""

    def __init__(self) -> None:
        self.heard: list[Feedback] = []
        self.forgot = 0

    def forget(self) -> None:
        self.heard.clear()
        self.forgot += 1

    def changes(self, dsn: str, *, poll_s: float = 0.05, clock: Callable[[], float] = lambda: 0.0) -> FeedbackChanges:
        return FeedbackChanges(dsn, self.heard.append, self.forget, poll_s=poll_s, clock=clock)


@pytest.mark.parametrize("way", ["heard", "found by asking"])
async def test_every_worker_learns_each_verdict_once(pool: asyncpg.Pool, postgres_dsn: str, way: str) -> None:
    if way != "heard":
        await pool.execute(MUTED)
    await _insert(pool, _said("before"))
    workers = [Worker(), Worker()]
    poll_s = 3600.0 if way == "heard" else 0.02
    following = [worker.changes(postgres_dsn, poll_s=poll_s) for worker in workers]
    async with _running(following[0].follow()), _running(following[1].follow()):
        await _until(lambda: all(changes.connected for changes in following))
        for number in range(5):
            await _insert(pool, _said(f"r{number}", 0.9 + number / 100))
            await _until(lambda: all(len(worker.heard) == number + 2 for worker in workers))  # noqa: B023
        await asyncio.sleep(0.2)
    expected = [_said("before"), *(_said(f"r{number}", 0.9 + number / 100) for number in range(5))]
    assert [worker.heard for worker in workers] == [expected, expected]


async def test_a_call_is_judged_once_and_the_first_verdict_stays(pool: asyncpg.Pool) -> None:
    assert await _insert(pool, _said("same"))
    assert not await _insert(pool, _said("same", 0.5))
    assert await pool.fetchval("select array_agg(confidence::float8) from cache_feedback") == [0.97]
    assert await _insert(pool, _said(None))
    assert await _insert(pool, _said(None)), "of calls that are not known each verdict counts"


async def test_once_a_day_all_is_learned_anew_without_what_is_old(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    await _insert(pool, _said("old"))
    await _insert(pool, _said("new"))
    worker, hours = Worker(), [0.0]
    changes = worker.changes(postgres_dsn, clock=lambda: hours[0] * 3600)
    async with _running(changes.follow()):
        await _until(lambda: len(worker.heard) == 2)
        await pool.execute("update cache_feedback set at = at - interval '31 days' where request_id = 'old'")
        hours[0] = 25.0
        await _until(lambda: worker.forgot == 2)
        await _until(lambda: worker.heard == [_said("new")])
        await _insert(pool, _said("newer"))
        await _until(lambda: worker.heard == [_said("new"), _said("newer")])


async def test_old_rows_and_more_than_a_region_has_use_for_are_deleted(pool: asyncpg.Pool) -> None:
    await pool.execute(
        "insert into cache_feedback (tenant_id, region, confidence, verdict, source) "
        "select 'acme', 'acme/chat/5', 0.9, 'good', 'shadow' from generate_series(1, $1)",
        MOST_OF_REGION + 10,
    )
    await pool.execute(
        "insert into cache_feedback (at, tenant_id, region, confidence, verdict, source) "
        "values (now() - interval '31 days', 'b', 'b/chat/1', 0.9, 'good', 'shadow')"
    )
    await _insert(pool, _said("last"))
    kept = await pool.fetch("select tenant_id, count(*) as rows from cache_feedback group by 1")
    assert [(row["tenant_id"], row["rows"]) for row in kept] == [("acme", MOST_OF_REGION + 1)]


async def test_a_worker_writes_what_it_finds_and_drops_what_there_is_no_room_for(pool: asyncpg.Pool) -> None:
    writer = FeedbackWriter(pool, open_log("error"))
    for number in range(MOST_WAITING + 3):
        writer.tell(_said(f"r{number}"))
    assert writer.dropped == 3
    async with _running(writer.run()):
        await _until_rows(pool, MOST_WAITING)


async def test_what_the_table_refuses_holds_up_nothing(pool: asyncpg.Pool) -> None:
    writer = FeedbackWriter(pool, open_log("error"))
    writer.tell(_said("impossible", 7.0))
    writer.tell(_said("good"))
    async with _running(writer.run()):
        await _until_rows(pool, 1)
    assert writer.dropped == 1
    assert await pool.fetchval("select request_id from cache_feedback") == "good"


async def test_through_an_outage_verdicts_wait_and_are_followed_again(own_postgres: EmbeddedPostgres) -> None:
    dsn = own_postgres.start()
    await migrate(dsn)
    pool = await connect(dsn, application_name="test", max_size=2)
    writer, worker = FeedbackWriter(pool, open_log("error"), pause_s=0.05), Worker()
    changes = worker.changes(dsn)
    try:
        async with _running(writer.run()), _running(changes.follow()):
            writer.tell(_said("before"))
            await _until(lambda: len(worker.heard) == 1)
            own_postgres.stop()
            writer.tell(_said("during"))
            await _until(lambda: not changes.connected)
            own_postgres.start()
            await _until(lambda: worker.heard == [_said("before"), _said("during")])
    finally:
        await pool.close()
