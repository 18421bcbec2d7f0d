"""Reading what our rows say of providers' models by day: from the roll-ups, and what was estimated from the rows."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from tollway.control.billing.invoices import Told
from tollway.control.billing.reconcile import Ours, Reconciled, days_of, reconciled
from tollway.storage.pool import Connection

MOST_DAYS = 62

_OURS = """
    select (bucket at time zone 'UTC')::date as day, provider_model as model, sum(calls)::bigint as requests,
           sum(failed)::bigint as failed, sum(unpriced)::bigint as unpriced,
           coalesce(sum(calls) filter (where role = 'hedge'), 0)::bigint as hedges,
           coalesce(sum(calls) filter (where role = 'shadow'), 0)::bigint as shadows,
           sum(prompt_tokens)::bigint as input_tokens, sum(cached_tokens)::bigint as cached_tokens,
           sum(cache_write_tokens)::bigint as cache_write_tokens, sum(completion_tokens)::bigint as output_tokens,
           sum(cost) as cost_usd
    from usage_daily
    where provider = any ($1) and bucket >= $2::date::timestamp at time zone 'UTC'
      and bucket < ($3::date + 1)::timestamp at time zone 'UTC' and cache = 'none'
    group by 1, 2
    order by 1, 2
"""

_ESTIMATED = """
    select provider_model as model, count(*) as calls
    from usage_logs
    where provider = any ($1) and usage_source <> 'told' and cache = 'none'
      and created_at >= $2::date::timestamp at time zone 'UTC'
      and created_at < ($2::date + 1)::timestamp at time zone 'UTC'
    group by 1
"""


async def tally(connection: Connection, providers: Sequence[str], first: date, last: date) -> list[Ours]:
    """What our rows say of the models of ``providers``, from one day to another (UTC), both included.

    What a cache has answered reached no provider, and is left out.
    """
    return [Ours(**dict(row)) for row in await connection.fetch(_OURS, providers, first, last)]


async def with_estimates(
    connection: Connection, providers: Sequence[str], ours: Sequence[Ours], days: Collection[date]
) -> list[Ours]:
    """The same with the calls that were counted or estimated, for ``days``, of which the first ``MOST_DAYS`` are asked:
    no sum has them, so that the rows of each day are read."""
    estimated: dict[tuple[date, str], int] = {}
    for day in sorted(days)[:MOST_DAYS]:
        for row in await connection.fetch(_ESTIMATED, providers, day):
            estimated[day, row["model"]] = row["calls"]
    return [msgspec.structs.replace(each, estimated=estimated.get((each.day, each.model), 0)) for each in ours]


async def compared(
    connection: Connection, providers: Sequence[str], theirs: Sequence[Told], tolerance_usd: Decimal
) -> Reconciled:
    """A provider's account against our rows.

    Raises:
        InvalidRequest: the account tells of no day.
    """
    first, last = days_of(theirs)
    ours = await tally(connection, providers, first, last)
    found = await asyncio.to_thread(reconciled, theirs, ours, tolerance_usd)
    if not found.differing:
        return found
    ours = await with_estimates(connection, providers, ours, {each.day for each in found.differences})
    return await asyncio.to_thread(reconciled, theirs, ours, tolerance_usd)
