from datetime import date
from decimal import Decimal

import asyncpg
from tests.control.billing.test_books import JANUARY, noon, row

from tollway.control.billing.invoices import Told
from tollway.control.billing.tallies import compared, tally, with_estimates
from tollway.storage.usage import insert_usage

DAY = date(2027, 1, 10)


async def test_everything_that_reached_the_provider_is_tallied(pool: asyncpg.Pool) -> None:
    rows = [
        row(1, noon(JANUARY)),
        row(20, noon(JANUARY), role="hedge", outcome="cut", usage_source="estimated"),
        row(300, noon(JANUARY), role="shadow", tenant_id="globex"),
        row(4000, noon(JANUARY), provider="other"),
        row(50000, noon(JANUARY, 11)),
        row(0, noon(JANUARY), cost_picousd=None, costs=None),
    ]
    provider, model = rows[0].provider, rows[0].provider_model
    async with pool.acquire() as connection:
        await insert_usage(connection, rows)
        (found,) = await tally(connection, [provider], DAY, DAY)
        assert (found.day, found.model, found.requests, found.hedges, found.shadows) == (DAY, model, 4, 1, 1)
        assert (found.failed, found.unpriced, int(found.cost_usd.scaleb(12))) == (1, 1, 321)
        (counted,) = await with_estimates(connection, [provider], [found], {DAY})
        assert (found.estimated, counted.estimated) == (0, 1)


async def test_what_a_cache_answered_is_not_though_calls_like_it_are(pool: asyncpg.Pool) -> None:
    eleventh = date(2027, 1, 11)
    hits = [row(1, noon(JANUARY), cache="exact"), row(2, noon(JANUARY, 11), cache="semantic")]
    call = row(3, noon(JANUARY, 11))
    async with pool.acquire() as connection:
        await insert_usage(connection, [*hits, call])
        (found,) = await tally(connection, [call.provider], DAY, eleventh)
    assert (found.day, found.requests, found.input_tokens) == (eleventh, 1, call.prompt_tokens)


async def test_estimates_are_asked_for_days_that_differ(pool: asyncpg.Pool) -> None:
    rows = [row(1, noon(JANUARY), usage_source="counted"), row(2, noon(JANUARY, 11), usage_source="counted")]
    alike = Told(day=DAY, model=rows[0].provider_model, input_tokens=rows[0].prompt_tokens)
    other = Told(day=date(2027, 1, 11), model=rows[1].provider_model, input_tokens=rows[1].prompt_tokens + 1)
    async with pool.acquire() as connection:
        await insert_usage(connection, rows)
        found = await compared(connection, [rows[0].provider], [alike, other], Decimal(0))
    (difference,) = found.differences
    assert found.agreeing == 1
    assert [each.reason for each in difference.explanations] == ["more_there", "estimated"]
