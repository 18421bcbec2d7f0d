"""Partitions of the usage table: a day each, made ahead, and no row ever refused."""

import asyncio
from datetime import UTC, date, datetime, timedelta, timezone

import asyncpg
import pytest

from tollway.storage import partitions
from tollway.storage.pool import Connection

NOW = datetime(2026, 2, 27, 23, 30, tzinfo=UTC)

INSERT = """
    insert into usage_logs (id, request_id, created_at, tenant_id, api_key_id, model, provider, provider_model,
        prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, status,
        http_status, stream, latency_ms, attempts)
    values ($1, 'r', $2, 't', 'k', 'm', 'p', 'pm', 1, 1, 0, 0, 0, 'told', 'ok', 200, false, 1, 1)
"""


async def _home(connection: Connection, row_id: str) -> object:
    return await connection.fetchval("select tableoid::regclass::text from usage_logs where id = $1", row_id)


async def test_today_and_the_days_ahead_are_made_once(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        made = await partitions.ensure(connection, NOW, ahead_days=2)
        assert made == [date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)]
        assert await partitions.ensure(connection, NOW, ahead_days=2) == []
        assert await partitions.ensure(connection, NOW + timedelta(days=1), ahead_days=2) == [date(2026, 3, 2)]


async def test_a_day_is_a_day_of_utc(pool: asyncpg.Pool) -> None:
    east = timezone(timedelta(hours=9))
    async with pool.acquire() as connection:
        made = await partitions.ensure(connection, datetime(2026, 3, 1, 3, tzinfo=east), ahead_days=0)
        assert made == [date(2026, 2, 28)]
        await connection.execute(INSERT, "last", datetime(2026, 2, 28, 23, 59, 59, 999999, UTC))
        await connection.execute(INSERT, "next", datetime(2026, 3, 1, tzinfo=UTC))
        assert await _home(connection, "last") == "usage_logs_20260228"
        assert await _home(connection, "next") == "usage_logs_default"


async def test_rows_without_a_partition_wait_in_the_default_one_and_move(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute(INSERT, "early", NOW)
        assert await _home(connection, "early") == "usage_logs_default"
        await partitions.ensure(connection, NOW, ahead_days=0)
        assert await _home(connection, "early") == "usage_logs_20260227"
        assert await connection.fetchval("select count(*) from usage_logs") == 1


async def test_a_new_partition_has_the_same_keys_and_indexes(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await partitions.ensure(connection, NOW, ahead_days=0)
        indexes = "select count(*) from pg_indexes where tablename = $1"
        expected = await connection.fetchval(indexes, "usage_logs")
        assert await connection.fetchval(indexes, "usage_logs_20260227") == expected
        checks = "select count(*) from pg_constraint where conrelid = 'usage_logs_20260227'::regclass and contype = 'c'"
        assert await connection.fetchval(checks) == 0


async def test_several_instances_may_make_them_at_once(pool: asyncpg.Pool) -> None:
    async def one() -> list[date]:
        async with pool.acquire() as connection:
            return await partitions.ensure(connection, NOW, ahead_days=5)

    made = await asyncio.gather(*(one() for _ in range(4)))
    assert sorted(day for days in made for day in days) == [date(2026, 2, 27) + timedelta(days=n) for n in range(6)]


async def test_they_are_made_while_an_insert_is_under_way(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as first, pool.acquire() as second:
        await partitions.ensure(first, NOW, ahead_days=0)
        async with first.transaction():
            await first.execute(INSERT, "slow", NOW)
            assert await partitions.ensure(second, NOW, ahead_days=1) == [date(2026, 2, 28)]


async def test_a_query_for_a_day_reads_a_day(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await partitions.ensure(connection, NOW, ahead_days=3)
        plan = await connection.fetch(
            "explain select * from usage_logs where created_at >= '2026-02-27 00:00+00' "
            "and created_at < '2026-02-28 00:00+00'"
        )
        text = "\n".join(row[0] for row in plan)
        assert "usage_logs_20260227" in text
        assert "usage_logs_20260228" not in text


SUMMED = """
    insert into usage_logs (id, request_id, created_at, tenant_id, api_key_id, model, provider, provider_model,
        prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, status,
        http_status, stream, latency_ms, attempts)
    select 'day ' || n, 'r', $1::timestamptz - n * interval '1 day', 't', 'k', 'm', 'p', 'pm', 1, 1, 0, 0, 0, 'told',
        'ok', 200, false, 1, 1
    from generate_series(0, 99) as n
"""


async def _partitions(connection: Connection, table: str) -> set[str]:
    found = await connection.fetch(
        "select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::text::regclass", table
    )
    return {row["name"].removeprefix(f"{table}_") for row in found}


async def test_the_months_of_the_sums_are_made_with_them(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute(INSERT, "early", NOW)
        await partitions.ensure(connection, NOW, ahead_days=0)
        for table in ("usage_hourly", "usage_daily", "usage_tags_hourly"):
            assert await _partitions(connection, table) == {"default", "202602", "202603"}
        home = await connection.fetchval("select tableoid::regclass::text from usage_daily")
        assert home == "usage_daily_202602"
        await connection.execute(INSERT, "later", NOW + timedelta(minutes=1))
        assert await connection.fetchval("select sum(calls) from usage_hourly") == 2


async def test_the_last_month_of_a_year_is_followed_by_the_first_of_the_next(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await partitions.ensure(connection, datetime(2026, 12, 31, 23, tzinfo=UTC), ahead_days=1)
        assert await _partitions(connection, "usage_daily") == {"default", "202612", "202701"}
        assert await _partitions(connection, "usage_logs") == {"default", "20261231", "20270101"}


async def test_what_is_over_for_longer_than_it_is_kept_is_dropped_and_nothing_else(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for days in range(0, 100, 10):
            await partitions.ensure(connection, NOW - timedelta(days=days), ahead_days=0)
        await connection.execute(SUMMED, NOW)
        keep = {"usage_logs": timedelta(days=30), "usage_hourly": timedelta(days=40)}
        dropped = await partitions.drop(connection, NOW, keep)
        oldest = NOW - timedelta(days=30)
        assert await connection.fetchval("select min(created_at) from usage_logs") == oldest
        assert await connection.fetchval("select count(*) from usage_logs") == 31
        assert "usage_logs_20251209" in dropped, "it had a partition of its own"
        assert "usage_logs_20251125" in dropped, "its row was in the default partition"
        assert await _partitions(connection, "usage_hourly") == {"default", "202601", "202602", "202603"}
        assert await connection.fetchval("select sum(calls) from usage_daily") == 100
        assert await partitions.drop(connection, NOW, keep) == []


async def test_what_has_no_end_is_kept(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute(INSERT, "old", NOW - timedelta(days=3_000))
        assert await partitions.drop(connection, NOW, {}) == []
        assert await connection.fetchval("select count(*) from usage_logs") == 1


async def test_a_day_that_is_dropped_is_not_to_be_summed_any_more(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await partitions.ensure(connection, NOW, ahead_days=0)
        await connection.execute("insert into usage_unsummed values ('2026-02-27'), ('2026-03-27')")
        assert await partitions.drop(connection, NOW + timedelta(days=9), {"usage_logs": timedelta(days=7)})
        assert await connection.fetchval("select array_agg(day) from usage_unsummed") == [date(2026, 3, 27)]


async def test_a_partition_that_somebody_uses_is_dropped_another_time(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as first, pool.acquire() as second:
        await partitions.ensure(first, NOW, ahead_days=0)
        async with first.transaction():
            await first.execute(INSERT, "slow", NOW)
            with pytest.raises(asyncpg.LockNotAvailableError):
                await partitions.drop(second, NOW + timedelta(days=9), {"usage_logs": timedelta(days=7)})
        dropped = await partitions.drop(second, NOW + timedelta(days=9), {"usage_logs": timedelta(days=7)})
        assert dropped == ["usage_logs_20260227"]
