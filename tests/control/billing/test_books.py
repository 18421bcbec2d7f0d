"""Statements in a real database: closed for good, whole under concurrency, and every row on exactly one of them."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import asyncpg
import msgspec
import pytest
from tests.storage.test_usage import ROW

from tollway.contract.usage import Costs, UsageRow
from tollway.control.billing import books
from tollway.control.billing.rules import shown_closed
from tollway.control.billing.statements import Item, total
from tollway.errors import Conflict
from tollway.storage.usage import insert_usage

JANUARY, FEBRUARY, MARCH, APRIL = (date(2027, month, 1) for month in range(1, 5))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def row(number: int, at: datetime, **fields: object) -> UsageRow:
    """A call of acme's that costs its number in pico-dollars, unless another cost is given."""
    costs = Costs(input=number)
    plain: dict[str, object] = {
        "id": f"row-{number:05}",
        "tenant_id": "acme",
        "at_us": (at - EPOCH) // timedelta(microseconds=1),
        "costs": costs,
        "cost_picousd": number,
    }
    return msgspec.structs.replace(ROW, **(plain | fields))


def noon(month: date, day: int = 10) -> datetime:
    return datetime(month.year, month.month, day, 12, tzinfo=UTC)


def picousd(items: Sequence[Item], kind: str | None = None) -> int:
    return int(total(item for item in items if kind in (None, item.kind)).scaleb(12))


async def test_a_closed_statement_is_the_draft_that_it_was(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(5, noon(JANUARY)), row(7, noon(JANUARY), model="other")])
        await books.adjust(connection, "acme", JANUARY, Decimal("-0.000000000002"), "sorry", "test")
        drafted = await books.draft(connection, "acme", JANUARY)
        statement, items = await books.close_statement(connection, "acme", JANUARY, "test")
        assert items == drafted
        assert picousd(items) == int(statement.total_usd.scaleb(12)) == 10
        found = await books.find_statement(connection, "acme", JANUARY)
        assert found == (statement, items)
        assert shown_closed(*found).is_intact
        actions = await connection.fetch("select action, subject, actor from audit_logs order by id")
        assert [tuple(each) for each in actions] == [
            ("statement.adjusted", "acme", "test"),
            ("statement.closed", "acme", "test"),
        ]


async def test_months_are_those_of_utc(pool: asyncpg.Pool) -> None:
    midnight = datetime(2027, 2, 1, tzinfo=UTC)
    async with pool.acquire() as connection:
        await connection.execute("set timezone = 'Pacific/Auckland'")
        await insert_usage(connection, [row(1, midnight - timedelta(microseconds=1)), row(2, midnight)])
        assert picousd(await books.draft(connection, "acme", JANUARY)) == 1
        assert picousd(await books.draft(connection, "acme", FEBRUARY), "usage") == 2
        await connection.execute("reset timezone")


async def test_late_rows_change_no_closed_statement(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(5, noon(JANUARY))])
        before = await books.close_statement(connection, "acme", JANUARY, "test")
        await insert_usage(connection, [row(11, noon(JANUARY)), row(13, noon(FEBRUARY))])
        assert await books.find_statement(connection, "acme", JANUARY) == before
        _, items = await books.close_statement(connection, "acme", FEBRUARY, "test")
        assert (picousd(items, "usage"), picousd(items, "late")) == (13, 11)
        assert {item.of_month for item in items if item.kind == "late"} == {JANUARY}


async def test_shadows_are_on_no_statement_and_hedges_are_no_request(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        rows = [row(1, noon(JANUARY)), row(20, noon(JANUARY), role="hedge"), row(300, noon(JANUARY), role="shadow")]
        await insert_usage(connection, rows)
        items = await books.draft(connection, "acme", JANUARY)
    assert picousd(items) == 21
    assert [item.quantity for item in items if item.what == "requests"] == [1]


async def test_what_a_cache_answered_is_on_no_statement(pool: asyncpg.Pool) -> None:
    hit = {"cache": "exact", "saved_picousd": 5, "costs": Costs()}
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(0, noon(JANUARY), **hit), row(0, noon(JANUARY), id="other", **hit)])
        assert await books.draft(connection, "acme", JANUARY) == []
        assert await books.open_tenants(connection, JANUARY, limit=9) == []
        await insert_usage(connection, [row(7, noon(JANUARY))])
        items = await books.draft(connection, "acme", JANUARY)
    assert picousd(items) == 7
    assert {item.what: item.quantity for item in items}["requests"] == 1


async def test_closing_twice_is_refused(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await books.close_statement(connection, "acme", JANUARY, "test")
        with pytest.raises(Conflict, match="closed already"):
            await books.close_statement(connection, "acme", JANUARY, "test")


async def test_an_adjustment_of_a_closed_statement_is_refused(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await books.close_statement(connection, "acme", JANUARY, "test")
        with pytest.raises(Conflict, match="2027-01 is closed"):
            await books.adjust(connection, "acme", JANUARY, Decimal(1), "too late", "test")
        assert await books.list_adjustments(connection, tenant_id=None, month=None, limit=5) == []
        await books.adjust(connection, "acme", FEBRUARY, Decimal(1), "in time", "test")


async def test_nothing_is_closed_while_days_before_an_upgrade_are_not_summed(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("insert into usage_unsummed (day) values ('2027-01-03')")
        with pytest.raises(Conflict, match="1 days"):
            await books.close_statement(connection, "acme", JANUARY, "test")


@pytest.mark.parametrize("table", ["billing_statements", "billing_items", "billing_adjustments"])
@pytest.mark.parametrize("change", ["update {} set tenant_id = 'other'", "delete from {}", "truncate {} cascade"])
async def test_the_database_itself_keeps_what_was_billed(pool: asyncpg.Pool, table: str, change: str) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(5, noon(JANUARY))])
        await books.adjust(connection, "acme", JANUARY, Decimal(1), "why", "test")
        await books.close_statement(connection, "acme", JANUARY, "test")
        with pytest.raises(asyncpg.RaiseError, match="stays as it is"):
            await connection.execute(change.format(table))


async def test_the_database_itself_adds_nothing_to_a_closed_statement(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await books.close_statement(connection, "acme", JANUARY, "test")
        for statement in (
            "insert into billing_items (tenant_id, month, line, kind, of_month, amount) "
            "values ('acme', '2027-01-01', 9, 'usage', '2027-01-01', 1)",
            "insert into billing_adjustments (tenant_id, month, amount, reason, created_by) "
            "values ('acme', '2027-01-01', 1, 'x', 'y')",
        ):
            with pytest.raises(asyncpg.RaiseError, match="closed"):
                await connection.execute(statement)


async def test_tenants_with_something_open_are_found(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await insert_usage(connection, [row(1, noon(JANUARY)), row(2, noon(FEBRUARY), tenant_id="globex")])
        await books.adjust(connection, "initech", JANUARY, Decimal(1), "why", "test")
        assert await books.open_tenants(connection, JANUARY, limit=10) == ["acme", "initech"]
        assert await books.open_tenants(connection, FEBRUARY, limit=10, after="acme") == ["globex"]
        await books.close_statement(connection, "acme", JANUARY, "test")
        assert await books.open_tenants(connection, JANUARY, limit=10) == ["initech"]


@pytest.mark.parametrize("seed", range(3))
async def test_every_row_is_billed_once_while_rows_arrive_and_months_close(pool: asyncpg.Pool, seed: int) -> None:
    """Several writers and closers at once, in any order; a last statement takes what was late for all of them."""
    chance = random.Random(seed)
    months = [JANUARY, FEBRUARY, MARCH]
    rows = [row(number, noon(chance.choice(months), chance.randint(1, 28))) for number in range(1, 121)]
    batches = [rows[at : at + 10] for at in range(0, len(rows), 10)]

    async def write(batch: list[UsageRow]) -> None:
        await asyncio.sleep(chance.random() / 10)
        async with pool.acquire() as connection:
            await insert_usage(connection, batch)

    async def close(month: date) -> None:
        await asyncio.sleep(chance.random() / 10)
        async with pool.acquire() as connection:
            try:
                await books.close_statement(connection, "acme", month, "test")
            except Conflict:
                return

    async def adjust(number: int) -> int:
        await asyncio.sleep(chance.random() / 10)
        async with pool.acquire() as connection:
            try:
                await books.adjust(connection, "acme", chance.choice(months), Decimal(number), "why", "test")
            except Conflict:
                return 0
            return number

    closing = [close(month) for month in chance.sample([*months, *months], 5)]
    adjusting = [adjust(number) for number in range(1, 9)]
    done = await asyncio.gather(*map(write, batches), *closing, *adjusting)
    adjusted = sum(number for number in done if number)
    for month in (*months, APRIL):
        await close(month)
    async with pool.acquire() as connection:
        statements = [await books.find_statement(connection, "acme", month) for month in (*months, APRIL)]
        spent = await connection.fetchval("select sum(cost) from usage_logs")
    items = [item for found in statements if found for item in found[1]]
    assert all(found and shown_closed(*found).is_intact for found in statements)
    assert sum(item.amount_usd for item in items if item.kind != "adjustment") == spent
    assert sum(item.quantity or 0 for item in items if item.what == "requests") == len(rows)
    assert sum(item.amount_usd for item in items if item.kind == "adjustment") == adjusted
