"""Usage rows into PostgreSQL: a batch from the journal becomes rows and spend, exactly once, in one transaction."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import msgspec

from tollway.contract.guardrails import Found
from tollway.contract.usage import UsageRow
from tollway.storage.pool import Connection

COLUMNS = (
    "id",
    "request_id",
    "created_at",
    "tenant_id",
    "api_key_id",
    "user_id",
    "model",
    "provider",
    "provider_model",
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost",
    "price_version",
    "usage_source",
    "status",
    "http_status",
    "stream",
    "latency_ms",
    "first_token_ms",
    "attempts",
    "cache_write_1h_tokens",
    "role",
    "findings",
)
"""The columns in the order of :class:`UsageRow`'s fields."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 2**63 - 1

# A temporary table lives as long as its session: made once for each connection, it costs the catalogue nothing later.
_ARRIVING = """
    create temporary table if not exists usage_arriving
        (like usage_logs including defaults) on commit delete rows
"""

# Two shippers with the same tenants in another order would wait for each other for ever.
_LOCK_TENANTS = """
    select 1 from tenants where id in (select tenant_id from usage_arriving where cost is not null)
    order by id for no key update
"""

_INSERT = f"""
    with inserted as (
        insert into usage_logs ({", ".join(COLUMNS)})
        select {", ".join(COLUMNS)} from usage_arriving order by id
        on conflict do nothing
        returning tenant_id, cost, role
    ), spent as (
        select tenant_id, sum(cost) as cost from inserted
        where cost is not null and role <> 'shadow' group by tenant_id
    ), added as (
        update tenants set current_spend = current_spend + spent.cost from spent where tenants.id = spent.tenant_id
    )
    select count(*) from inserted
"""  # noqa: S608 -- the columns are named above


async def insert_usage(connection: Connection, rows: Sequence[UsageRow]) -> int:
    """Store ``rows`` that are not stored yet; returns how many these were.

    The spend of their tenants grows in the same transaction by exactly the rows that are new, so it is always the
    sum of the rows, but for shadows: nobody asked for them but the operator. A batch sent again, whole or in part,
    adds nothing.

    Raises:
        asyncpg.DataError: a row can't ever be stored, and nothing of the batch is; the others can, without it.
        asyncpg.PostgresError, OSError: nothing of the batch is stored; send it again.
    """
    if not rows:
        return 0
    async with connection.transaction():
        await connection.execute(_ARRIVING)
        try:
            await connection.copy_records_to_table("usage_arriving", records=map(_record, rows), columns=COLUMNS)
        except (ArithmeticError, TypeError, ValueError) as error:  # asyncpg makes this a DataError except in COPY
            raise asyncpg.DataError(f"a usage row can't be encoded: {type(error).__name__}") from error
        await connection.execute(_LOCK_TENANTS)
        inserted: int = await connection.fetchval(_INSERT)
        return inserted


def _record(row: UsageRow) -> tuple[object, ...]:
    return (
        _text(row.id),
        _text(row.request_id),
        _EPOCH + timedelta(microseconds=row.at_us),
        _text(row.tenant_id),
        _text(row.api_key_id),
        None if row.user_id is None else _text(row.user_id),
        _text(row.model),
        _text(row.provider),
        _text(row.provider_model),
        _whole(row.prompt_tokens),
        _whole(row.completion_tokens),
        _whole(row.cached_tokens),
        _whole(row.cache_write_tokens),
        _whole(row.reasoning_tokens),
        None if row.cost_picousd is None else Decimal(row.cost_picousd).scaleb(-12),
        row.price_version,
        row.usage_source,
        row.outcome,
        row.http_status,
        row.stream,
        _whole(row.latency_ms),
        None if row.first_token_ms is None else _whole(row.first_token_ms),
        row.attempts,
        _whole(row.cache_write_1h_tokens),
        row.role,
        _said(row.findings) if row.findings else None,
    )


def _said(findings: Sequence[Found]) -> str:
    """Findings as JSON objects, by the names that SQL can ask for."""
    said = [
        msgspec.structs.asdict(msgspec.structs.replace(found, check=_text(found.check), kind=_text(found.kind)))
        for found in findings
    ]
    return msgspec.json.encode(said).decode()


def _text(value: str) -> str:
    """Without NUL, which PostgreSQL's text can't hold: one odd name must not hold up a batch for ever."""
    return value.replace("\x00", "\ufffd")


def _whole(value: int) -> int:
    """At most what ``bigint`` holds: a provider may tell any number."""
    return min(value, _LONGEST)
