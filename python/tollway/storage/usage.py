"""Usage rows into PostgreSQL: a batch from the journal becomes rows and spend, exactly once, in one transaction."""

from collections.abc import Sequence

import asyncpg
import msgspec

from tollway._native.rows import Batch
from tollway.contract.usage import Costs, UsageRow
from tollway.storage.budgets import shipped_by
from tollway.storage.pool import Connection

COSTS = tuple(f"cost_{kind}" for kind in Costs.__struct_fields__)
"""The columns of :class:`Costs`, in its order."""

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
    *COSTS,
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
    "tags",
    "service_tier",
    "tried",
    "cache",
    "charged",
    "saved",
)
"""The columns in the order of :class:`UsageRow`'s fields."""

# A temporary table lives as long as its session: made once for each connection, it costs the catalogue nothing later.
# And the journal forgets what was committed, so that has to be on the disk, also where the database is told otherwise.
_ARRIVING = """
    select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off';
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


async def insert_usage(connection: Connection, rows: Sequence[UsageRow], host: str = "") -> int:
    """Store ``rows`` that are not stored yet, as :func:`insert_batch` does; returns how many these were.

    Raises:
        asyncpg.DataError: a row can't ever be stored, and nothing of them is; the others can, without it.
        asyncpg.PostgresError, OSError: nothing of them is stored; send them again.
    """
    batch = Batch()
    for row in rows:
        try:
            batch.add(msgspec.msgpack.encode(row))
        except (OverflowError, ValueError) as error:
            raise asyncpg.DataError(f"a usage row can't be encoded: {type(error).__name__}") from error
    return await insert_batch(connection, batch.copy(), host) if rows else 0


async def insert_batch(connection: Connection, copied: bytes, host: str = "") -> int:
    """Store the rows that :class:`tollway._native.rows.Batch` has made ``copied`` of and that are not stored yet;
    returns how many these were.

    The spend of their tenants grows in the same transaction by exactly the rows that are new, so it is always the
    sum of the rows, but for shadows: nobody asked for them but the operator. So does what is spent of budgets, and
    ``host``, whose rows these are, holds so much less of them. A batch sent again, whole or in part, adds nothing.

    Raises:
        asyncpg.DataError: a row can't ever be stored, and nothing of the batch is; the others can, without it.
        asyncpg.PostgresError, OSError: nothing of the batch is stored; send it again.
    """
    async with connection.transaction():
        await connection.execute(_ARRIVING)
        await shipped_by(connection, host)
        # As a buffer, which asyncpg takes and its stubs leave out: of any other source it waits for room before each
        # piece, without a bound, and for ever when the server dies meanwhile.
        await connection.copy_to_table(
            "usage_arriving",
            source=memoryview(copied),  # type: ignore[arg-type]
            columns=COLUMNS,
            format="binary",
        )
        await connection.execute(_LOCK_TENANTS)
        inserted: int = await connection.fetchval(_INSERT)
        return inserted
