"""Reading ``usage_logs``: sums by a dimension, and the rows themselves. It writes nothing."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from tollway.contract.usage import UsageRole
from tollway.control.paging import Position
from tollway.storage.pool import Connection

Dimension = Literal["tenant", "model", "key", "provider", "day"]


class Selection(msgspec.Struct, frozen=True):
    """Which rows: from ``start`` up to, not including, ``end``; ``None`` selects every tenant, model…

    With no ``role``, rows are those of every role, and sums leave shadows out.
    """

    start: datetime
    end: datetime
    tenant: str | None = None
    model: str | None = None
    key: str | None = None
    provider: str | None = None
    role: UsageRole | None = None


class UsageSum(msgspec.Struct, frozen=True):
    """All calls of one tenant, model, key, provider or day (UTC).

    ``name`` is what people call it, if that is not ``value`` itself. ``cost_usd`` is exact and leaves out the
    ``unpriced`` rows, whose models have no price; ``failed`` counts the calls whose outcome is not ``ok``. A hedge is
    no call of its own, but what it took and cost is in the sums.
    """

    value: str
    name: str | None
    calls: int
    failed: int
    unpriced: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal


class FoundEntry(msgspec.Struct, frozen=True):
    """What the guardrails found in a call: how many of a kind, and what was done. Never a value."""

    direction: str
    check: str
    kind: str
    action: str
    count: int


class UsageEntry(msgspec.Struct, frozen=True):
    """One call. ``cost_usd`` is ``None`` for a model without a price."""

    id: str
    request_id: str
    created_at: datetime
    tenant_id: str
    api_key_id: str
    user_id: str | None
    model: str
    provider: str
    provider_model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal | None
    price_version: str | None
    usage_source: str
    status: str
    http_status: int
    stream: bool
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    role: str
    findings: tuple[FoundEntry, ...]

    @property
    def position(self) -> Position:
        """Its place in the list."""
        return Position(self.created_at, self.id)


_SELECTED = """
    created_at >= $1 and created_at < $2
    and ($3::text is null or tenant_id = $3) and ($4::text is null or model = $4)
    and ($5::text is null or api_key_id = $5) and ($6::text is null or provider = $6)
"""

_SUM = f"""
    with sums as (
        select case $8::text
                   when 'tenant' then tenant_id
                   when 'model' then model
                   when 'key' then api_key_id
                   when 'provider' then provider
                   else to_char(created_at at time zone 'UTC', 'YYYY-MM-DD')
               end as value,
               count(*) filter (where role = coalesce($7::text, 'answer')) as calls,
               count(*) filter (where role = coalesce($7::text, 'answer') and status <> 'ok') as failed,
               count(*) filter (where cost is null) as unpriced,
               sum(prompt_tokens)::bigint as prompt_tokens,
               sum(completion_tokens)::bigint as completion_tokens,
               sum(cached_tokens)::bigint as cached_tokens,
               sum(reasoning_tokens)::bigint as reasoning_tokens,
               coalesce(sum(cost), 0) as cost_usd
        from usage_logs
        where {_SELECTED} and case when $7::text is null then role <> 'shadow' else role = $7 end
        group by 1
    )
    select sums.*,
           case $8::text
               when 'tenant' then (select name from tenants where id = value)
               when 'key' then (select name from api_keys where id = value)
           end as name
    from sums
    where $9::text is null or value > $9
    order by value
    limit $10
"""  # noqa: S608 -- a condition of ours, with parameters

_ROWS = f"""
    select id, request_id, created_at, tenant_id, api_key_id, user_id, model, provider, provider_model,
           prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
           reasoning_tokens, cost as cost_usd, price_version, usage_source, status, http_status, stream,
           latency_ms, first_token_ms, attempts, role, findings
    from usage_logs
    where {_SELECTED} and ($7::text is null or role = $7)
      and ($8::timestamptz is null or (created_at, id) < ($8, $9::text))
    order by created_at desc, id desc
    limit $10
"""  # noqa: S608 -- a condition of ours, with parameters


async def sum_usage(
    connection: Connection, selection: Selection, by: Dimension, *, limit: int, after: str | None = None
) -> list[UsageSum]:
    """At most ``limit`` sums in the order of their values, beginning after the value ``after``."""
    rows = await connection.fetch(_SUM, *msgspec.structs.astuple(selection), by, after, limit)
    return [UsageSum(**dict(row)) for row in rows]


async def list_usage(
    connection: Connection, selection: Selection, *, limit: int, after: Position | None = None
) -> list[UsageEntry]:
    """At most ``limit`` calls after a position, newest first."""
    at, last = (None, None) if after is None else (after.at, after.id)
    rows = await connection.fetch(_ROWS, *msgspec.structs.astuple(selection), at, last, limit)
    return [UsageEntry(**(dict(row) | {"findings": _findings(row["findings"])})) for row in rows]


def _findings(stored: str | None) -> tuple[FoundEntry, ...]:
    return () if stored is None else msgspec.json.decode(stored, type=tuple[FoundEntry, ...])
