"""``/api/v1/billing/usage``: HTTP in, HTTP out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPMethod

from tollway.control import paging
from tollway.control.billing import queries, rules
from tollway.control.call import Answer, Call, Endpoint


def billing_endpoints() -> Sequence[Endpoint]:
    """The routes of this capability."""
    return (
        Endpoint(HTTPMethod.GET, "/api/v1/billing/usage", "billing:view", _sums),
        Endpoint(HTTPMethod.GET, "/api/v1/billing/usage/rows", "billing:view", _rows),
    )


async def _sums(call: Call) -> Answer:
    asked = call.query(rules.UsageSums)
    selection = rules.selection(asked, datetime.now(UTC))
    after = paging.decode(asked.cursor, str)
    async with call.pool.acquire() as connection:
        found = await queries.sum_usage(connection, selection, asked.by, limit=asked.limit + 1, after=after)
    return Answer(paging.page(found, asked.limit, lambda entry: entry.value))


async def _rows(call: Call) -> Answer:
    asked = call.query(rules.UsageRange)
    selection = rules.selection(asked, datetime.now(UTC))
    after = paging.decode(asked.cursor, paging.Position)
    async with call.pool.acquire() as connection:
        found = await queries.list_usage(connection, selection, limit=asked.limit + 1, after=after)
    return Answer(paging.page(found, asked.limit, lambda entry: entry.position))
