"""The sums by hour and day: always those of the rows, whoever stored them and however often they came."""

import asyncio
import random
from datetime import UTC, date, datetime
from decimal import Decimal

import asyncpg
import msgspec
from tests.storage.test_usage import ROW

from tollway.contract.usage import Costs, UsageRow
from tollway.storage import partitions, rollups
from tollway.storage.pool import Connection
from tollway.storage.usage import COSTS, insert_usage

HOUR_US = 3_600_000_000

AMOUNTS = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "cost",
    *COSTS,
    "saved",
    "latency_ms",
    "first_token_ms",
)
KEY = ("tenant_id", "api_key_id", "user_id", "model", "provider", "provider_model", "role", "cache")


def mixed(count: int, seed: int = 1) -> list[UsageRow]:
    """Rows of several tenants, models, roles and hours, some unpriced, some failed, some with tags."""
    chance = random.Random(seed)
    return [
        msgspec.structs.replace(
            ROW,
            id=f"{seed}-{number:06}",
            at_us=ROW.at_us + chance.randrange(60) * HOUR_US,
            tenant_id=chance.choice(["acme", "zeta"]),
            user_id=chance.choice([None, "alice", "bob"]),
            model=chance.choice(["small", "large"]),
            role=chance.choice(["answer", "answer", "hedge", "shadow"]),
            outcome=chance.choice(["ok", "ok", "error"]),
            cost_picousd=(cost := chance.choice([None, chance.randrange(10**12)])),
            costs=None if cost is None else Costs(input=cost // 2, output=cost - cost // 2),
            first_token_ms=chance.choice([None, 17]),
            completion_tokens=chance.randrange(5_000),
            cache=(cache := chance.choice(["none", "exact", "semantic"])),
            saved_picousd=None if cache == "none" else chance.choice([None, chance.randrange(10**12)]),
            tags=tuple(sorted(chance.sample(["team=a", "team=b", "job=x"], chance.randrange(4)))),
        )
        for number in range(count)
    ]


async def differences(connection: Connection, table: str, unit: str, *, tags: bool = False) -> list[asyncpg.Record]:
    """What one has and the other lacks: sums as they stand, and sums of the rows as SQL makes them here."""
    user = "coalesce(user_id, '') as user_id"
    key = ", ".join(user if name == "user_id" else name for name in KEY) + (", tag" if tags else "")
    sums = ", ".join(f"coalesce(sum({name}), 0) as {name}" for name in AMOUNTS)
    rows = f"""
        select date_trunc('{unit}', created_at, 'UTC') as bucket, {key}, count(*) as calls,
            count(*) filter (where status <> 'ok') as failed, count(*) filter (where cost is null) as unpriced,
            count(*) filter (where cache <> 'none') as cache_hits, {sums}, count(first_token_ms) as first_tokens
        from usage_logs {"cross join unnest(tags) as tagged (tag)" if tags else ""}
        group by bucket, {", ".join(KEY).replace("user_id", "coalesce(user_id, '')")} {", tag" if tags else ""}
    """  # noqa: S608 -- names of ours
    names = ", ".join(("bucket", *KEY, *(("tag",) if tags else ()), "calls", "failed", "unpriced", "cache_hits"))
    kept = f"select {names}, {', '.join(AMOUNTS)}, first_tokens from {table}"  # noqa: S608 -- names of ours
    found: list[asyncpg.Record] = await connection.fetch(
        f"(({rows}) except ({kept})) union all (({kept}) except ({rows}))"
    )
    return found


async def assert_sums_are_those_of_the_rows(connection: Connection) -> None:
    assert await differences(connection, "usage_hourly", "hour") == []
    assert await differences(connection, "usage_daily", "day") == []
    assert await differences(connection, "usage_tags_hourly", "hour", tags=True) == []


async def test_they_are_the_sums_of_the_rows(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        for seed in range(3):
            assert await insert_usage(connection, mixed(500, seed)) == 500
        await assert_sums_are_those_of_the_rows(connection)
        assert await connection.fetchval("select sum(calls) from usage_hourly") == 1_500
        assert await connection.fetchval("select count(*) from usage_tags_hourly") > 0


async def test_rows_that_come_again_add_nothing(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        rows = mixed(300)
        await insert_usage(connection, rows[:200])
        assert await insert_usage(connection, rows) == 100
        assert await insert_usage(connection, rows) == 0
        await assert_sums_are_those_of_the_rows(connection)


async def test_a_batch_that_fails_leaves_no_sums(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        try:
            await insert_usage(connection, [*mixed(10), msgspec.structs.replace(ROW, http_status=2**40)])
        except asyncpg.DataError:
            assert await connection.fetchval("select count(*) from usage_hourly") == 0
        else:
            raise AssertionError("a row that can't be stored was stored")


async def test_shippers_that_bring_the_same_sums_at_once_lose_none(pool: asyncpg.Pool) -> None:
    async def ship(rows: list[UsageRow]) -> None:
        async with pool.acquire() as connection:
            for start in range(0, len(rows), 100):
                await insert_usage(connection, rows[start : start + 100])

    rows = mixed(600)
    await asyncio.gather(ship(rows), ship(rows[::-1]), ship(mixed(400, 2)))
    async with pool.acquire() as connection:
        await assert_sums_are_those_of_the_rows(connection)
        assert await connection.fetchval("select sum(calls) from usage_daily") == 1_000


async def test_rows_of_an_older_version_are_in_the_sums_too(pool: asyncpg.Pool) -> None:
    """During an upgrade it goes on inserting, and knows nothing of sums."""
    await pool.execute("""
        insert into usage_logs (id, request_id, created_at, tenant_id, api_key_id, model, provider, provider_model,
            prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source, status,
            http_status, stream, latency_ms, attempts, cost)
        values ('1', 'r', '2026-02-27 10:59:59.9+00', 't', 'k', 'm', 'p', 'pm', 1, 2, 0, 0, 0, 'told', 'ok', 200, false,
            1, 1, 0.5)
    """)
    stored = await pool.fetchrow("select bucket, calls, completion_tokens, cost, cost_input, user_id from usage_hourly")
    assert stored is not None
    assert stored["bucket"].isoformat() == "2026-02-27T10:00:00+00:00"
    assert tuple(stored)[1:] == (1, 2, Decimal("0.5"), 0, "")


async def test_tokens_beyond_belief_do_not_overflow_a_sum(pool: asyncpg.Pool) -> None:
    rows = [msgspec.structs.replace(ROW, id=str(number), prompt_tokens=2**63 - 1) for number in range(3)]
    async with pool.acquire() as connection:
        assert await insert_usage(connection, rows) == 3
        await assert_sums_are_those_of_the_rows(connection)


async def test_the_sums_of_a_day_can_be_made_anew(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, mixed(500))
        await connection.execute("update usage_hourly set calls = calls + 1")
        await connection.execute("delete from usage_daily")
        days = await connection.fetch("select distinct (created_at at time zone 'UTC')::date as day from usage_logs")
        for day in days:
            await connection.execute("select sum_usage_of($1)", day["day"])
        assert len(days) > 1
        await assert_sums_are_those_of_the_rows(connection)


async def test_while_a_day_is_summed_rows_of_another_are_stored_and_its_own_wait_and_are_counted(
    pool: asyncpg.Pool,
) -> None:
    today = datetime.fromtimestamp(ROW.at_us / 1e6, UTC)
    async with pool.acquire() as summing, pool.acquire() as storing, pool.acquire() as waiting:
        await partitions.ensure(summing, today, ahead_days=1)
        await insert_usage(summing, mixed(200))
        async with summing.transaction():
            await summing.execute("select sum_usage_of($1)", today.date())
            tomorrows = msgspec.structs.replace(ROW, id="tomorrow", at_us=ROW.at_us + 24 * HOUR_US)
            assert await insert_usage(storing, [tomorrows]) == 1
            late = asyncio.create_task(insert_usage(waiting, [msgspec.structs.replace(ROW, id="late")]))
            assert await asyncio.wait({late}, timeout=0.2) == (set(), {late})
        assert await late == 1
        await assert_sums_are_those_of_the_rows(summing)


async def test_days_from_before_there_were_sums_are_caught_up_with_newest_first(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, mixed(500))
        await connection.execute("""
            insert into usage_unsummed select distinct bucket::date from usage_daily;
            truncate usage_hourly, usage_daily, usage_tags_hourly
        """)
        summed = []
        while (day := await rollups.catch_up(connection)) is not None:
            summed.append(day)
        assert summed == [date(2026, 3, 2), date(2026, 3, 1), date(2026, 2, 28)]
        await assert_sums_are_those_of_the_rows(connection)
