"""The bank on a real database: what is lent, what comes back, and what is told."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from tests.fakes.telemetry import Recording, counted
from tests.storage.test_usage import ROW

from tollway.contract.budgets import Ask, Budget, Granted, Purse
from tollway.contract.usage import UsageRow
from tollway.errors import DependencyUnavailable
from tollway.storage.budgets import PostgresBank
from tollway.storage.embedded import EmbeddedPostgres
from tollway.storage.known_spend import sweep
from tollway.storage.migrate import migrate
from tollway.storage.pool import connect
from tollway.storage.usage import insert_usage
from tollway.telemetry.metrics import Metrics, prepare

BUDGET = Budget(id="file:b", name="b", amount_picousd=1_000, period="month", warn_at=(50, 80, 100))
PURSE = Purse(BUDGET)


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[Recording]:
    with closing(Recording(tmp_path / "log")) as made:
        yield made


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    prepare(tmp_path / "metrics")
    with closing(Metrics(tmp_path / "metrics", "worker")) as made:
        yield made


@pytest.fixture
def bank(pool: asyncpg.Pool, recording: Recording, metrics: Metrics) -> PostgresBank:
    return PostgresBank(pool, recording.log, metrics, patience_s=30.0)


TURNS = itertools.count(1)


def ask(purse: Purse, wanted: int, granted: int = 0, spent: int = 0) -> Ask:
    """In a turn that comes after all others."""
    return Ask(purse, granted, spent, wanted, next(TURNS))


async def lent(
    bank: PostgresBank, host: str, wanted: int, purse: Purse = PURSE, granted: int = 0, spent: int = 0
) -> int:
    (answer,) = await bank.renew(host, [ask(purse, wanted, granted, spent)])
    return answer.granted


def row(number: int, cost: int | None, *charged: str, **fields: Any) -> UsageRow:
    return msgspec.structs.replace(ROW, id=f"row-{number:03}", cost_picousd=cost, charged=charged, **fields)


async def ship(pool: asyncpg.Pool, host: str, *rows: UsageRow) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, rows, host)


async def expire(pool: asyncpg.Pool, host: str) -> None:
    await pool.execute("update budget_leases set expires_at = '-infinity' where host = $1", host)


async def test_hosts_together_are_lent_no_more_than_there_is(bank: PostgresBank) -> None:
    assert await lent(bank, "a", 600) == 600
    assert await bank.renew("b", [ask(PURSE, 600)]) == [Granted(PURSE.name, 400, exhausted=True)]
    assert await bank.renew("c", [ask(PURSE, 1)]) == [Granted(PURSE.name, 0, exhausted=True)]


async def test_what_a_dead_host_had_not_told_as_spent_comes_back(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    await lent(bank, "a", 900)
    await lent(bank, "a", 0, granted=900, spent=300)
    assert await lent(bank, "b", 900) == 100
    await expire(pool, "a")
    assert await lent(bank, "b", 900, granted=100) == 700
    await ship(pool, "a", row(1, 300, PURSE.name))
    assert await lent(bank, "c", 900) == 0, "its rows had been counted"


async def test_a_host_that_has_forgotten_a_purse_owes_what_it_had_told(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    await lent(bank, "a", 500)
    await lent(bank, "a", 0, granted=500, spent=300)
    assert await lent(bank, "a", 100) == 100
    assert await lent(bank, "b", 1_000) == 600
    await ship(pool, "a", row(1, 300, PURSE.name))
    await lent(bank, "a", 0, granted=100, spent=100)
    await ship(pool, "a", row(2, 100, PURSE.name))
    assert await pool.fetchval("select budget_held(l) from budget_leases as l where host = 'a'") == 0
    assert await lent(bank, "b", 1_000, granted=600) == 600


async def test_leases_expire_by_themselves(pool: asyncpg.Pool, recording: Recording, metrics: Metrics) -> None:
    bank = PostgresBank(pool, recording.log, metrics, patience_s=30.0, lease_s=0.05)
    await lent(bank, "a", 1_000)
    while await lent(bank, "b", 1_000) < 1_000:  # noqa: ASYNC110 -- the database's clock
        await asyncio.sleep(0.02)


async def test_after_an_outage_nobody_is_lent_what_pays_for_calls_under_way(
    bank: PostgresBank, pool: asyncpg.Pool
) -> None:
    """Hosts that could not renew have what they had; what had lapsed before the outage is gone."""
    assert await lent(bank, "a", 500) == 500
    assert await lent(bank, "b", 300) == 300
    assert await lent(bank, "dead", 200) == 200
    await pool.execute("update budget_leases set expires_at = now() - interval '2 minutes'")
    await pool.execute("update budget_leases set expires_at = now() - interval '3 minutes' where host = 'dead'")
    assert await lent(bank, "b", 1_000, granted=300) == 500
    assert await pool.fetchval("select array_agg(host) from budget_leases where expires_at > now()") == ["a", "b"]


async def test_after_a_quiet_time_what_lapsed_in_it_is_there(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    await lent(bank, "a", 900)
    await lent(bank, "b", 50)
    await pool.execute("update budget_leases set expires_at = now() - interval '2 minutes'")
    assert await lent(bank, "b", 1_000, granted=0) == 1_000


async def test_rows_move_what_is_leased_to_what_is_spent(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    await lent(bank, "a", 400)
    rows = [row(1, 100, PURSE.name), row(2, 50, PURSE.name, "file:other|0|"), row(3, 7), row(4, None, PURSE.name)]
    for _ in range(2):
        await ship(pool, "a", *rows)
    lease = await pool.fetchrow("select granted, spent, shipped, budget_held(l) as held from budget_leases as l")
    assert lease is not None
    assert tuple(map(int, lease)) == (400, 0, 150, 250)
    assert await pool.fetchval("select spent from budget_purses") == 150
    spend = await pool.fetch("select * from budget_spend")
    assert [tuple(kept) for kept in spend] == [(PURSE.name, datetime(2026, 2, 28, tzinfo=UTC), Decimal(150))]
    assert await lent(bank, "b", 1_000) == 600


async def test_rows_of_hosts_that_nobody_knows_are_spent_all_the_same(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    await lent(bank, "a", 400)
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(1, 100, PURSE.name)])
    assert await pool.fetchval("select spent from budget_purses") == 100
    assert await lent(bank, "b", 1_000) == 500


async def test_the_tenants_spend_stays_the_sum_of_its_rows(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    tenant = await pool.fetchval("insert into tenants (name) values ('acme') returning id")
    await lent(bank, "a", 400)
    await ship(pool, "a", row(1, 100, PURSE.name, tenant_id=tenant), row(2, 11, tenant_id=tenant))
    assert await pool.fetchval("select current_spend * 1e12 from tenants") == 111


async def test_one_question_is_for_many_purses(bank: PostgresBank) -> None:
    purses = [Purse(BUDGET, f"user={number}") for number in range(300)]
    answers = await bank.renew("a", [ask(purse, 10) for purse in purses])
    assert {answer.name for answer in answers} == {purse.name for purse in purses}
    assert {answer.granted for answer in answers} == {10}
    assert await bank.renew("a", []) == ()


async def test_a_budget_of_the_database_holds_as_it_is_there(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    """What a host remembers with a key is older."""
    tenant = await pool.fetchval("insert into tenants (name, monthly_budget) values ('acme', 0.5) returning id")
    budget_id = await pool.fetchval(
        "insert into budgets (tenant_id, name, amount, period) values ($1, 'b', 70, 'month') returning id", tenant
    )
    remembered = Purse(msgspec.structs.replace(BUDGET, id=budget_id, tenant_id=tenant))
    assert await lent(bank, "a", 900, remembered) == 70
    own = Purse(msgspec.structs.replace(BUDGET, id=f"tenant:{tenant}", tenant_id=tenant))
    assert await lent(bank, "a", 10**12, own) == 5 * 10**11


async def test_a_rolling_budget_counts_the_hours_that_lie_in_its_window(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    rolling = Purse(msgspec.structs.replace(BUDGET, period="day", rolling=True))
    await lent(bank, "a", 1, rolling)
    now = datetime.now(UTC).timestamp()
    ages_h = (0, 23, 24.99, 25.01 + 1, 300)
    await ship(
        pool, "x", *(row(n, 10**n, rolling.name, at_us=int((now - h * 3600) * 1e6)) for n, h in enumerate(ages_h))
    )
    assert await pool.fetchval("select budget_spent(p) from budget_purses as p") in (11, 111)
    await sweep_once(pool)
    assert await pool.fetchval("select sum(cost) from budget_spend") == 1_111


async def test_each_threshold_is_told_once_over_all_hosts(
    bank: PostgresBank, pool: asyncpg.Pool, recording: Recording, metrics: Metrics, postgres_dsn: str
) -> None:
    heard: list[dict[str, Any]] = []
    listener = await asyncpg.connect(postgres_dsn)
    await listener.add_listener("tollway_budgets", lambda *told: heard.append(json.loads(str(told[3]))))
    other = PostgresBank(pool, recording.log, metrics, patience_s=30.0)
    await lent(bank, "a", 10)
    for number, cost in enumerate((499, 1, 250, 49, 1, 0, 600)):
        await ship(pool, "a", row(number, cost, PURSE.name))
        await asyncio.gather(lent(bank, "a", 0, granted=10), lent(other, "b", 0))
    events = await pool.fetch("select per_cent, spent, told_at is not null as told from budget_events order by id")
    assert [tuple(map(int, event)) for event in events] == [(50, 500, 1), (80, 800, 1), (100, 1_400, 1)]
    assert counted(metrics, "tollway_budget_thresholds_passed_total") == {("month",): 3}
    lines = [line for line in recording.lines() if line["event"] == "budget_threshold_passed"]
    assert [line["per_cent"] for line in lines] == [50, 80, 100]
    assert {line["name"] for line in lines} == {"b"}
    while len(heard) < 3:  # noqa: ASYNC110 -- another process's doing
        await asyncio.sleep(0.01)
    assert [told["per_cent"] for told in heard] == [50, 80, 100]
    await listener.close()


async def test_several_thresholds_that_are_passed_at_once_are_told_each(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    await lent(bank, "a", 1)
    await ship(pool, "a", row(1, 900, PURSE.name))
    assert await pool.fetchval("select array_agg(per_cent order by id) from budget_events") == [50, 80]


async def test_without_a_database_it_says_so_and_recovers(
    own_postgres: EmbeddedPostgres, recording: Recording, metrics: Metrics
) -> None:
    dsn = own_postgres.start()
    await migrate(dsn)
    pool = await connect(dsn, application_name="test")
    bank = PostgresBank(pool, recording.log, metrics, patience_s=5.0)
    assert await lent(bank, "a", 5) == 5
    own_postgres.stop()
    with pytest.raises(DependencyUnavailable):
        await lent(bank, "a", 5)
    with pytest.raises(DependencyUnavailable):
        await lent(bank, "a", 5, Purse(BUDGET, "another", 86_400))
    own_postgres.start()
    assert await lent(bank, "a", 7, granted=5) == 12
    await bank.close()
    await pool.close()


async def test_a_question_does_not_wait_for_ever(pool: asyncpg.Pool, recording: Recording, metrics: Metrics) -> None:
    bank = PostgresBank(pool, recording.log, metrics, patience_s=0.3)
    await PostgresBank(pool, recording.log, metrics, patience_s=30.0).renew("a", [ask(PURSE, 1)])
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("select from budget_purses for update")
        with pytest.raises(DependencyUnavailable):
            await lent(bank, "a", 1)


async def test_what_was_spent_before_a_budget_was_known_is_looked_up(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    """Once, for all of its subjects, and only what it is for."""
    april = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp())
    at_us = april * 1_000_000
    budget = Budget(
        id="file:b",
        name="b",
        amount_picousd=1_000,
        period="month",
        tenant_id="t",
        key_id="k",
        model="m",
        tag="team=red",
        per=("user", "model"),
        warn_at=(10,),
    )
    right: dict[str, Any] = {"at_us": at_us, "tenant_id": "t", "api_key_id": "k", "model": "m", "tags": ("team=red",)}
    long = "u" * 300
    wrong: list[dict[str, Any]] = [
        {"at_us": at_us - 1},
        {"at_us": at_us + 30 * 86_400_000_000},
        {"tenant_id": "x"},
        {"api_key_id": "x"},
    ]
    wrong += [{"model": "x"}, {"tags": ("team=blue",)}, {"tags": ()}, {"role": "shadow"}]
    await ship(
        pool,
        "x",
        row(1, 100, **right, user_id="alice"),
        row(2, 20, **(right | {"at_us": at_us + 3_600_000_000, "user_id": "alice", "tags": ("a=b", "team=red")})),
        row(3, 7, **right),
        row(4, 900, **right, user_id=long),
        row(5, None, **right, user_id="alice"),
        *(row(10 + number, 500, **(right | {"user_id": "alice"} | fields)) for number, fields in enumerate(wrong)),
    )
    purses = [budget.purse(key_id="k", user=user, model="m", now_s=april + 9) for user in ("alice", None, long, "new")]
    answers = await asyncio.gather(
        *(bank.renew(f"host-{number}", [ask(purse, 5_000)]) for number, purse in enumerate(purses))
    )
    assert [answer.granted for (answer,) in answers] == [880, 993, 100, 1_000]
    kept = await pool.fetch("select cost from budget_spend where purse = $1 order by hour", purses[0].name)
    assert [int(spend["cost"]) for spend in kept] == [100, 20]
    assert await pool.fetchval("select array_agg(purse order by purse) from budget_events") == sorted(
        [purses[0].name, purses[2].name]
    )


async def test_a_look_up_goes_on_though_nobody_waits_and_other_purses_are_answered(
    bank: PostgresBank, pool: asyncpg.Pool
) -> None:
    assert await lent(bank, "a", 5) == 5
    new = Purse(msgspec.structs.replace(BUDGET, id="file:new"))
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("lock table usage_logs")
        (answer,) = await bank.renew("a", [ask(PURSE, 5, 5), ask(new, 5)])
        assert answer == Granted(PURSE.name, 10)
        assert await bank.renew("a", [ask(new, 5)]) == []
    while not (answers := await bank.renew("a", [ask(new, 5)])):  # noqa: ASYNC110 -- the bank's doing
        await asyncio.sleep(0.02)
    assert answers == [Granted(new.name, 5)]


async def test_what_is_over_is_swept_and_what_is_owed_stays(bank: PostgresBank, pool: asyncpg.Pool) -> None:
    now_s = int(datetime.now(UTC).timestamp())
    daily = msgspec.structs.replace(BUDGET, id="file:daily", period="day")
    rolling = msgspec.structs.replace(BUDGET, id="file:rolling", period="week", rolling=True)
    old, running = (daily.purse(key_id="k", user=None, model="m", now_s=at) for at in (now_s - 9 * 86_400, now_s))
    deleted = Purse(msgspec.structs.replace(BUDGET, id="an-id", period="total"))
    for purse in (old, running, Purse(rolling, "user=gone"), deleted):
        await lent(bank, "dead", 100, purse)
        await lent(bank, "dead", 0, purse, 100, 60)
        await lent(bank, "newly-dead", 100, purse)
    await pool.execute("update budget_leases set expires_at = now() - interval '8 days' where host = 'dead'")
    await pool.execute("update budget_leases set expires_at = now() - interval '6 days' where host = 'newly-dead'")
    await sweep_once(pool)
    purses = await pool.fetchval("select array_agg(purse order by purse) from budget_purses")
    assert purses == sorted([running.name, "file:rolling|0|user=gone", deleted.name])
    assert await pool.fetchval("select array_agg(distinct host) from budget_leases") == ["newly-dead"]
    await pool.execute("delete from budget_leases; update budget_purses set known_since = now() - interval '8 days'")
    await sweep_once(pool)
    assert await pool.fetchval("select array_agg(purse) from budget_purses") == [running.name]


async def sweep_once(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await sweep(connection)
