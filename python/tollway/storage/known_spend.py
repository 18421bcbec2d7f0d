"""What was spent of a budget before anybody held it: looked up in the rows once a period, and swept when it is over.

In: purses that are about to be leased, and the time. Out: their rows in ``budget_purses`` with what calls of the
running period have cost, by hour. A period that begins while the gateway runs has hardly any rows yet; a budget that
is new in the middle of one may have many.
"""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from tollway.contract.budgets import ROLLING_H, Period, Purse
from tollway.storage.pool import Connection

LOOKING_S = 120.0
"""How long it may take to look up what was spent."""
PATIENCE_S = 1.0
"""How long a question that brings a new budget waits for that; others' purses are in the same question."""
MOST_TERMS = 4_096
"""Periods of budgets that a process remembers to be known."""
KEPT_D = 7
"""For so many days after its end a period is remembered, and a host that has told what it spent may bring its rows."""
EVENTS_KEPT_D = 400

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AT_MOST_D: Final[dict[Period, int]] = {"day": 1, "week": 7, "month": 31, "total": 0}
_MOST_SWEPT = 10_000

Term = tuple[str, int]
"""A budget's id, and when its period has begun."""

_NEW = """
    insert into budget_terms (budget_id, period_start_s) values ($1, $2) on conflict do nothing returning known_since
"""

# Spelt as `Budget.purse` does it. A shadow is nobody's spending.
_LOOK_UP = """
    with called as (
        select created_at, cost, api_key_id, model,
               case when char_length(user_id) > 200 then '#' || encode(sha256(convert_to(user_id, 'UTF8')), 'hex')
                    else coalesce(user_id, '') end as named
        from usage_logs
        where created_at >= $2 and created_at < $16 and cost > 0 and role <> 'shadow'
          and ($3::text is null or tenant_id = $3) and ($4::text is null or api_key_id = $4)
          and ($5::text is null or user_id = $5) and ($6::text is null or model = $6)
          and ($7::text is null or $7 = any (tags))
    ), spent as (
        select concat_ws('&', case when 'key' = any ($8) then 'key=' || api_key_id end,
                              case when 'model' = any ($8) then 'model=' || model end,
                              case when 'user' = any ($8) then 'user=' || named end) as subject,
               date_trunc('hour', created_at, 'UTC') as hour, sum(cost) * 1000000000000 as cost
        from called group by 1, 2
    ), purses as (
        insert into budget_purses
            (purse, budget_id, period_start_s, subject, name, tenant_id, amount, period, window_h, warn_at, spent)
        select $1 || subject, $9, $10, subject, $11, $3, $12, $13, $14, $15, sum(cost) from spent
        group by subject order by 1
        on conflict do nothing returning purse
    ), hours as (
        insert into budget_spend (purse, hour, cost)
        select purse, hour, cost from spent join purses on purse = $1 || subject
    )
    select coalesce(array_agg(purse), '{}') from purses
"""


class KnownTerms:
    """Which periods of which budgets are known, as this process knows."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._known: dict[Term, None] = {}
        self._looking: dict[Term, asyncio.Task[None]] = {}

    async def know(self, purses: Iterable[Purse]) -> None:
        """Look up what is not known of these purses' budgets, and return when it is, or after a moment.

        Looking goes on though whoever waits for it gives up: what takes long would never be known otherwise.

        Raises:
            asyncpg.PostgresError, OSError: the database is out of reach, or looking took too long.
        """
        unknown = {term_of(purse): purse for purse in purses if not self.is_known(purse)}
        if not unknown:
            return
        patience_s = PATIENCE_S if unknown.keys() - self._looking.keys() else 0.1
        for term, purse in unknown.items():
            if term not in self._looking:
                self._looking[term] = asyncio.create_task(self._look(term, purse))
                self._looking[term].add_done_callback(_heard)
        done, _ = await asyncio.wait([self._looking[term] for term in unknown], timeout=patience_s)
        for task in done:
            task.result()

    def is_known(self, purse: Purse) -> bool:
        """Whether what was spent of its budget in its period is known."""
        return term_of(purse) in self._known

    async def close(self) -> None:
        """Ends what is still looked up."""
        for task in self._looking.values():
            task.cancel()
        await asyncio.gather(*self._looking.values(), return_exceptions=True)

    async def _look(self, term: Term, purse: Purse) -> None:
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await look_up(connection, purse)
            if len(self._known) >= MOST_TERMS:
                del self._known[next(iter(self._known))]
            self._known[term] = None
        finally:
            del self._looking[term]


def term_of(purse: Purse) -> Term:
    """The period of a budget that it is of."""
    return purse.budget.id, purse.period_start_s


def _limits(purse: Purse, hours: int | None) -> tuple[datetime, datetime]:
    """From when rows count, and up to when."""
    never = datetime.max.replace(tzinfo=UTC)
    if hours is not None:
        return datetime.now(UTC) - timedelta(hours=hours + 1), never
    start_s = purse.period_start_s
    if not start_s:
        return _EPOCH, never
    into_next = timedelta(days=_AT_MOST_D[purse.budget.period])
    end_s = purse.budget.period_start_s(start_s + int(into_next.total_seconds()))
    return _EPOCH + timedelta(seconds=start_s), _EPOCH + timedelta(seconds=end_s)


def _heard(task: asyncio.Task[None]) -> None:
    """Nobody may have waited for its end."""
    if not task.cancelled():
        task.exception()


async def look_up(connection: Connection, purse: Purse) -> None:
    """Look up what was spent of the purse's budget in its period, for all its subjects, unless it is known; inside a
    transaction."""
    budget = purse.budget
    await connection.execute(f"set local statement_timeout = '{LOOKING_S:.0f}s'")
    if await connection.fetchval(_NEW, budget.id, purse.period_start_s, timeout=LOOKING_S) is None:
        return
    hours = ROLLING_H[budget.period] if budget.rolling else None
    begun, ended = _limits(purse, hours)
    names = await connection.fetchval(
        _LOOK_UP,
        f"{budget.id}|{purse.period_start_s}|",
        begun,
        budget.tenant_id,
        budget.key_id,
        budget.user,
        budget.model,
        budget.tag,
        list(budget.per),
        budget.id,
        purse.period_start_s,
        budget.name,
        budget.amount_picousd,
        budget.period,
        hours,
        list(budget.warn_at),
        ended,
        timeout=LOOKING_S,
    )
    await connection.execute("select warn_of_budgets($1)", names)


_OVER = """
    delete from budget_purses where purse in (
        select purse from budget_purses
        where period_start_s > 0 and to_timestamp(period_start_s) < clock_timestamp() - make_interval(days => $1 +
            case period when 'day' then 1 when 'week' then 7 else 31 end)
        order by purse limit $2 for update skip locked
    )
"""
_ROLLED_BY = """
    delete from budget_spend where (purse, hour) in (
        select spend.purse, hour from budget_spend as spend join budget_purses as purse using (purse)
        where hour < clock_timestamp() - make_interval(hours => window_h + 24 * $1::integer)
        limit $2
    )
"""
_EMPTY = """
    delete from budget_purses where purse in (
        select purse from budget_purses as purse
        where window_h is not null and known_since < clock_timestamp() - make_interval(days => $1)
          and not exists (select from budget_spend as spend where spend.purse = purse.purse)
          and not exists (select from budget_leases as lease where lease.purse = purse.purse)
        order by purse limit $2 for update skip locked
    )
"""
_DELETED = """
    delete from budget_purses where purse in (
        select purse from budget_purses as purse
        where budget_id not like 'file:%' and budget_id not like 'tenant:%'
          and known_since < clock_timestamp() - make_interval(days => $1)
          and not exists (select from budgets where id = purse.budget_id)
        order by purse limit $2 for update skip locked
    )
"""
_LAPSED = """
    delete from budget_leases where (purse, host) in (
        select purse, host from budget_leases where expires_at < clock_timestamp() - make_interval(days => $1)
        limit $2
    )
"""
_ENDED = """
    delete from budget_terms
    where period_start_s > 0 and to_timestamp(period_start_s) < clock_timestamp() - make_interval(days => $1 + 60)
"""
_OLD = """
    delete from budget_events where id in (
        select id from budget_events where at < clock_timestamp() - make_interval(days => $1) limit $2
    )
"""


async def sweep(connection: Connection) -> None:
    """Take away what no budget needs any more: periods that are over, hours that no window holds, leases whose hosts
    have been gone for a week, events of long ago. At most some thousands of each at a time.

    Raises:
        asyncpg.PostgresError, OSError: the database is out of reach.
    """
    for statement in (_OVER, _ROLLED_BY, _LAPSED, _EMPTY, _DELETED):
        await connection.execute(statement, KEPT_D, _MOST_SWEPT)
    await connection.execute(_ENDED, KEPT_D)
    await connection.execute(_OLD, EVENTS_KEPT_D, _MOST_SWEPT)
