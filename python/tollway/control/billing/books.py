"""The tables of statements and adjustments: drafts are read, statements closed. Each change has its line in the audit
trail, in its transaction.

Who closes takes the table of statements for himself, and sees everything as of one moment; who adjusts waits for him.
So an adjustment is on a closed statement or refused, and no late call is on two of them.
"""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

import asyncpg
import msgspec

from tollway.control.audit.queries import record
from tollway.control.billing.statements import (
    UNITS,
    Adjustment,
    BilledSum,
    Item,
    Known,
    MonthSum,
    drafted,
    sealed,
    total,
)
from tollway.control.paging import Position
from tollway.errors import Conflict
from tollway.storage.pool import Connection


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A closed statement without its items. ``hash`` is hexadecimal, see ``statements.sealed``."""

    tenant_id: str
    month: date
    total_usd: Decimal
    hash: str
    closed_at: datetime
    closed_by: str


class AdjustmentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An adjustment as it stands on record."""

    id: str
    tenant_id: str
    month: date
    amount_usd: Decimal
    reason: str
    created_at: datetime
    created_by: str

    @property
    def position(self) -> Position:
        """Its place in the list."""
        return Position(self.created_at, self.id)


_SUMS = """
    select date_trunc('month', bucket at time zone 'UTC')::date as month, model, provider, provider_model,
           coalesce(sum(calls) filter (where role = 'answer'), 0) as requests, sum(unpriced) as unpriced,
           sum(prompt_tokens) as prompt_tokens, sum(completion_tokens) as completion_tokens,
           sum(cached_tokens) as cached_tokens, sum(cache_write_tokens) as cache_write_tokens,
           sum(reasoning_tokens) as reasoning_tokens,
           sum(audio_input_tokens) as audio_input_tokens, sum(audio_output_tokens) as audio_output_tokens,
           sum(image_input_tokens) as image_input_tokens, sum(image_output_tokens) as image_output_tokens,
           sum(cost) as cost, sum(cost_input) as cost_input, sum(cost_cached_input) as cost_cached_input,
           sum(cost_cache_write) as cost_cache_write, sum(cost_output) as cost_output,
           sum(cost_reasoning) as cost_reasoning, sum(cost_audio) as cost_audio, sum(cost_image) as cost_image,
           sum(cost_other) as cost_other
    from usage_daily
    where tenant_id = $1 and role <> 'shadow' and cache = 'none'
      and bucket < ($2::date + interval '1 month') at time zone 'UTC'
    group by 1, 2, 3, 4
"""

_BILLED = """
    select of_month, model, provider, provider_model, what, sum(quantity) as quantity, sum(amount) as amount
    from billing_items
    where tenant_id = $1 and of_month <= $2 and kind <> 'adjustment'
    group by 1, 2, 3, 4, 5
"""

_CLOSED = "select month from billing_statements where tenant_id = $1 and month <= $2"

_ADJUSTED = """
    select id, amount as amount_usd, reason from billing_adjustments
    where tenant_id = $1 and month = $2
    order by created_at, id
"""

_UNSUMMED = "select count(*) from usage_unsummed where day < ($1::date + interval '1 month')"

_STATEMENT = "tenant_id, month, total as total_usd, encode(hash, 'hex') as hash, closed_at, closed_by"

_FIND = f"select {_STATEMENT} from billing_statements where tenant_id = $1 and month = $2"  # noqa: S608 -- ours

_LIST = f"""
    select {_STATEMENT} from billing_statements
    where ($1::text is null or tenant_id = $1) and ($2::date is null or month = $2)
      and ($3::date is null or (month, tenant_id) < ($3, $4::text))
    order by month desc, tenant_id desc
    limit $5
"""  # noqa: S608 -- columns of ours

_ITEMS = """
    select kind, of_month, model, provider, provider_model, what, quantity, amount as amount_usd, adjustment_id, reason
    from billing_items where tenant_id = $1 and month = $2 order by line
"""

_STORE_ITEM = """
    insert into billing_items
        (tenant_id, month, line, kind, of_month, model, provider, provider_model, what, quantity, amount,
         adjustment_id, reason)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""

_STORE = f"""
    insert into billing_statements (tenant_id, month, total, hash, closed_by) values ($1, $2, $3, $4, $5)
    returning {_STATEMENT}
"""  # noqa: S608 -- columns of ours

_ADJUST = """
    insert into billing_adjustments (tenant_id, month, amount, reason, created_by) values ($1, $2, $3, $4, $5)
    returning id, tenant_id, month, amount as amount_usd, reason, created_at, created_by
"""

_ADJUSTMENTS = """
    select id, tenant_id, month, amount as amount_usd, reason, created_at, created_by from billing_adjustments
    where ($1::text is null or tenant_id = $1) and ($2::date is null or month = $2)
      and ($3::timestamptz is null or (created_at, id) < ($3, $4::text))
    order by created_at desc, id desc
    limit $5
"""

_OPEN = """
    select tenant_id from (
        select tenant_id from usage_daily
        where role <> 'shadow' and cache = 'none'
          and bucket < ($1::date + interval '1 month') at time zone 'UTC'
        union select tenant_id from billing_adjustments where month = $1
    ) as known
    where tenant_id > $2 and not exists (
        select from billing_statements where billing_statements.tenant_id = known.tenant_id and month = $1
    )
    order by tenant_id limit $3
"""


async def draft(connection: Connection, tenant_id: str, month: date) -> list[Item]:
    """The items that the statement would have if it were closed now."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return drafted(month, await _known(connection, tenant_id, month))


async def find_statement(connection: Connection, tenant_id: str, month: date) -> tuple[Statement, list[Item]] | None:
    """A closed statement and its items, ``None`` while it is not closed."""
    row = await connection.fetchrow(_FIND, tenant_id, month)
    if row is None:
        return None
    items = [_item(stored) for stored in await connection.fetch(_ITEMS, tenant_id, month)]
    return Statement(**dict(row)), items


async def list_statements(
    connection: Connection,
    *,
    tenant_id: str | None,
    month: date | None,
    limit: int,
    after: tuple[date, str] | None = None,
) -> list[Statement]:
    """At most ``limit`` closed statements after a place in the list, newest month first."""
    last_month, last_tenant = (None, None) if after is None else after
    rows = await connection.fetch(_LIST, tenant_id, month, last_month, last_tenant, limit)
    return [Statement(**dict(row)) for row in rows]


async def close_statement(
    connection: Connection, tenant_id: str, month: date, actor: str
) -> tuple[Statement, list[Item]]:
    """Store the statement as it stands now, for good.

    Raises:
        Conflict: it is closed already, or usage of days before an upgrade is still being summed.
    """
    async with connection.transaction(isolation="repeatable_read"):
        # The first statement of the transaction, so that what is seen is as of when the table is ours.
        await connection.execute("lock table billing_statements in share row exclusive mode")
        if unsummed := await connection.fetchval(_UNSUMMED, month):
            raise Conflict(f"The usage of {unsummed:,} days is not summed up yet; try again in a few minutes.")
        known = await _known(connection, tenant_id, month)
        if month in known.closed:
            raise Conflict("The statement is closed already.")
        items = drafted(month, known)
        await connection.executemany(_STORE_ITEM, [_stored(tenant_id, month, *each) for each in enumerate(items, 1)])
        amount, seal = total(items), sealed(tenant_id, month, items)
        row = await connection.fetchrow(_STORE, tenant_id, month, amount, seal, actor)
        statement = Statement(**dict(row or {}))
        detail = {"month": f"{month:%Y-%m}", "total_usd": f"{amount:f}", "hash": statement.hash}
        await record(connection, actor, "statement.closed", tenant_id, detail)
        return statement, items


async def open_tenants(connection: Connection, month: date, *, limit: int, after: str = "") -> list[str]:
    """At most ``limit`` ids after another: tenants that may have something on a statement that is not closed."""
    return [row["tenant_id"] for row in await connection.fetch(_OPEN, month, after, limit)]


async def has_usage(connection: Connection, tenant_id: str) -> bool:
    """Whether there were calls of a tenant, known or not."""
    found: bool = await connection.fetchval("select exists (select from usage_daily where tenant_id = $1)", tenant_id)
    return found


async def adjust(
    connection: Connection, tenant_id: str, month: date, amount_usd: Decimal, reason: str, actor: str
) -> AdjustmentEntry:
    """Put a debit or a credit on the statement of a month.

    Raises:
        Conflict: that is closed; the next one takes it.
    """
    async with connection.transaction():
        await connection.execute("lock table billing_statements in row exclusive mode")
        if await connection.fetchval("select exists (" + _FIND + ")", tenant_id, month):
            raise Conflict(
                f"The statement of {month:%Y-%m} is closed; put the adjustment on a later one.", param="month"
            )
        row = await connection.fetchrow(_ADJUST, tenant_id, month, amount_usd, reason, actor)
        entry = AdjustmentEntry(**dict(row or {}))
        detail = {"adjustment": entry.id, "month": f"{month:%Y-%m}", "amount_usd": f"{amount_usd:f}", "reason": reason}
        await record(connection, actor, "statement.adjusted", tenant_id, detail)
        return entry


async def list_adjustments(
    connection: Connection,
    *,
    tenant_id: str | None,
    month: date | None,
    limit: int,
    after: Position | None = None,
) -> list[AdjustmentEntry]:
    """At most ``limit`` adjustments after a position, newest first."""
    at, last = (None, None) if after is None else (after.at, after.id)
    rows = await connection.fetch(_ADJUSTMENTS, tenant_id, month, at, last, limit)
    return [AdjustmentEntry(**dict(row)) for row in rows]


async def _known(connection: Connection, tenant_id: str, month: date) -> Known:
    sums = await connection.fetch(_SUMS, tenant_id, month)
    billed = await connection.fetch(_BILLED, tenant_id, month)
    closed = await connection.fetch(_CLOSED, tenant_id, month)
    adjusted = await connection.fetch(_ADJUSTED, tenant_id, month)
    return Known(
        sums=[MonthSum(**dict(row)) for row in sums],
        billed=[BilledSum(**dict(row)) for row in billed],
        closed=frozenset(row["month"] for row in closed),
        adjustments=[Adjustment(**dict(row)) for row in adjusted],
    )


def _stored(tenant_id: str, month: date, line: int, item: Item) -> Sequence[object]:
    return (
        tenant_id,
        month,
        line,
        item.kind,
        item.of_month,
        item.model,
        item.provider,
        item.provider_model,
        item.what,
        item.quantity,
        item.amount_usd,
        item.adjustment_id,
        item.reason,
    )


def _item(row: asyncpg.Record) -> Item:
    stored = dict(row)
    what = stored["what"]
    return Item(**stored, unit=None if what is None else UNITS.get(what, "tokens"))
