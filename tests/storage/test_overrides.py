"""Overrides of targets: all of them, as soon as they change, and through outages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import asyncpg
import pytest

from tollway.contract.routing import FOR_GOOD_MS, Override
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.migrate import migrate
from tollway.storage.overrides import CLOSING_S, OverrideChanges, current_overrides

MUTED = "alter table router_overrides disable trigger announce"
DRAIN = "insert into router_overrides (target, drained, updated_by) values ($1, true, 'test')"

Told = list[tuple[Override, ...]]


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 -- most conditions are another process's
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _following(
    dsn: str, on_change: Callable[[Sequence[Override]], None], *, poll_s: float = 0.05
) -> AsyncIterator[OverrideChanges]:
    changes = OverrideChanges(dsn, on_change, poll_s=poll_s)
    task = asyncio.create_task(changes.follow())
    try:
        yield changes
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert not changes.connected


def _into(told: Told) -> Callable[[Sequence[Override]], None]:
    return lambda overrides: told.append(tuple(overrides))


@pytest.mark.parametrize("way", ["heard", "found by asking"])
async def test_all_overrides_are_told_whenever_one_is_made_changed_or_taken_away(
    pool: asyncpg.Pool, postgres_dsn: str, way: str
) -> None:
    if way != "heard":
        await pool.execute(MUTED)
    told: Told = []
    async with _following(postgres_dsn, _into(told), poll_s=3600.0 if way == "heard" else 0.05) as changes:
        await _until(lambda: changes.connected)
        await pool.execute(DRAIN, "openai/mini")
        await _until(lambda: told == [(Override(target="openai/mini", drained=True),)])
        await pool.execute(
            "insert into router_overrides (target, alias, weight, updated_by) values ('azure/mini', 'chat', 7, 'test')"
        )
        await _until(lambda: len(told) == 2)
        assert told[-1] == (
            Override(target="azure/mini", alias="chat", weight=7),
            Override(target="openai/mini", drained=True),
        )
        await pool.execute(
            "update router_overrides set drained = false, opened_until_ms = $1 where alias = ''", FOR_GOOD_MS
        )
        await _until(lambda: len(told) == 3)
        assert told[-1][1] == Override(target="openai/mini", opened_until_ms=FOR_GOOD_MS)
        await pool.execute("truncate router_overrides")
        await _until(lambda: told[-1] == ())


async def test_what_was_decided_before_the_start_is_told_at_once(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    await pool.execute(DRAIN, "openai/mini")
    told: Told = []
    async with _following(postgres_dsn, _into(told), poll_s=3600.0):
        await _until(lambda: told)
    assert told == [(Override(target="openai/mini", drained=True),)]


async def test_what_was_decided_can_be_learnt_before_anything_is_followed(
    pool: asyncpg.Pool, postgres_dsn: str
) -> None:
    await pool.execute(DRAIN, "openai/mini")
    told: Told = []
    changes = OverrideChanges(postgres_dsn, _into(told))
    assert await changes.learn()
    assert told == [(Override(target="openai/mini", drained=True),)]
    nowhere = OverrideChanges("postgresql://tollway@127.0.0.1:1/tollway", _into(told))
    assert not await nowhere.learn()
    assert len(told) == 1


async def test_what_has_not_changed_is_not_told_again(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    told: Told = []
    async with _following(postgres_dsn, _into(told), poll_s=0.01) as changes:
        await _until(lambda: changes.connected)
        await pool.execute(DRAIN, "openai/mini")
        await _until(lambda: told)
        await pool.execute("update router_overrides set note = 'maintenance'")
        for _ in range(5):
            before = changes.last_ok
            await _until(lambda before=before: changes.last_ok != before)  # type: ignore[misc]
    assert len(told) == 1


async def test_a_closing_is_told_while_it_is_new(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    now_ms = await pool.fetchval("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
    close = "insert into router_overrides (target, closed_at_ms, updated_by) values ($1, $2, 'test')"
    await pool.execute(close, "openai/closed-today", now_ms)
    await pool.execute(close, "openai/closed-before", now_ms - 1000 * CLOSING_S)
    told: Told = []
    async with _following(postgres_dsn, _into(told), poll_s=0.05) as changes:
        await _until(lambda: told)
        assert told == [
            (Override(target="openai/closed-before"), Override(target="openai/closed-today", closed_at_ms=now_ms))
        ]
        await pool.execute("update router_overrides set closed_at_ms = $1", now_ms - 1000 * CLOSING_S)
        await _until(lambda: len(told) == 2 or not changes.connected)
        assert {override.closed_at_ms for override in told[-1]} == {None}


async def test_a_burst_of_decisions_ends_in_the_last_one(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    told: Told = []
    async with _following(postgres_dsn, _into(told), poll_s=3600.0) as changes:
        await _until(lambda: changes.connected)
        await asyncio.gather(*(pool.execute(DRAIN, f"openai/m{number}") for number in range(50)))
        await _until(lambda: told and len(told[-1]) == 50)


async def test_a_change_that_could_not_be_taken_is_told_again(pool: asyncpg.Pool, postgres_dsn: str) -> None:
    failing = [True]
    told: Told = []

    def take(overrides: Sequence[Override]) -> None:
        if failing.pop():
            failing.append(False)
            raise RuntimeError("a defect")
        failing.append(False)
        told.append(tuple(overrides))

    await pool.execute(DRAIN, "openai/mini")
    changes = OverrideChanges(postgres_dsn, take)
    with pytest.raises(RuntimeError, match="a defect"):
        await changes.follow()
    task = asyncio.create_task(changes.follow())
    await _until(lambda: told)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_starts_without_the_database_and_keeps_what_it_knows_through_an_outage(
    own_postgres: EmbeddedPostgres,
) -> None:
    dsn = own_postgres.start()
    own_postgres.stop()
    told: Told = []
    async with _following(dsn, _into(told)) as changes:
        await asyncio.sleep(0.2)
        assert not changes.connected
        assert changes.last_ok is None
        own_postgres.start()
        await migrate(dsn)
        await _until(lambda: changes.connected)
        await _execute(dsn, DRAIN, "openai/mini")
        await _until(lambda: told)
        own_postgres.stop()
        await _until(lambda: not changes.connected)
        await asyncio.sleep(0.2)
        own_postgres.start()
        await _until(lambda: changes.connected)
        assert len(told) == 1, "an outage takes nothing away, and tells nothing again"
        await _execute(dsn, DRAIN, "openai/large")
        await _until(lambda: len(told) == 2 and len(told[-1]) == 2)


async def test_a_share_is_a_routes_and_the_rest_is_the_targets(pool: asyncpg.Pool) -> None:
    for columns, values in (
        ("target, weight", "'a/b', 3"),
        ("target, alias", "'a/b', 'chat'"),
        ("target, alias, weight, drained", "'a/b', 'chat', 3, true"),
        ("target, alias, weight", "'a/b', 'chat', -1"),
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await pool.execute(
                f"insert into router_overrides ({columns}, updated_by) values ({values}, 'test')"  # noqa: S608
            )
    async with pool.acquire() as connection:
        assert await current_overrides(connection) == ()


async def _execute(dsn: str, statement: str, *values: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()
