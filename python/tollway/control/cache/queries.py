"""The columns ``cache`` of tenants and keys, the table ``cache_removals``, and what sums of usage tell of hits. Each
change is one transaction with its line in the audit trail."""

from datetime import date
from decimal import Decimal
from typing import Literal

import asyncpg
import msgspec

from tollway.contract.cache import CachePolicy, Selection
from tollway.control.audit.queries import record
from tollway.errors import Conflict
from tollway.storage.pool import Connection

KEPT_DAYS = 31
"""A removal is kept for a day longer than any entry lives."""

Owner = Literal["tenant", "key"]

_FIND = {
    "tenant": "select id, cache from tenants where id = $1 or name = $1 order by id = $1 desc limit 1",
    "key": "select id, cache, tenant_id from api_keys where id = $1",
}
_SET = {
    "tenant": "update tenants set cache = $2::jsonb where id = $1",
    "key": "update api_keys set cache = $2::jsonb where id = $1",
}

_REMOVE = f"""
    with old as (
        delete from cache_removals where at < clock_timestamp() - interval '{KEPT_DAYS} days'
    )
    insert into cache_removals (tenant_id, key_id, model, key, before_ms) values ($1, $2, $3, $4, $5)
"""  # noqa: S608 -- a number of ours

_SAVED = """
    select (bucket at time zone 'UTC')::date as day, sum(calls)::bigint as calls,
           coalesce(sum(calls) filter (where cache = 'exact'), 0)::bigint as exact,
           coalesce(sum(calls) filter (where cache = 'semantic'), 0)::bigint as semantic,
           sum(saved) as saved_usd
    from usage_daily
    where role = 'answer' and bucket >= $1::date::timestamp at time zone 'UTC'
      and ($2::text is null or tenant_id = $2) and ($3::text is null or model = $3)
    group by 1 order by 1
"""


class FoundPolicy(msgspec.Struct, frozen=True):
    """Whose policy it is; ``None``: another one holds, the tenant's or the file's."""

    id: str
    policy: CachePolicy | None


class SavedDay(msgspec.Struct, frozen=True):
    """A day (UTC) of answers, as far as its rows have come: all of them, and those that came from the cache. ``exact``
    holds those that were joined to a call under way."""

    day: date
    calls: int
    exact: int
    semantic: int
    saved_usd: Decimal


async def find_policy(connection: Connection, owner: Owner, owner_id: str) -> FoundPolicy | None:
    """The policy of a tenant, by id or name, or of a key; ``None`` when there is no such tenant or key."""
    row = await connection.fetchrow(_FIND[owner], owner_id)
    return None if row is None else FoundPolicy(row["id"], _policy(row))


async def set_policy(
    connection: Connection, owner: Owner, owner_id: str, policy: CachePolicy | None, actor: str, detail: object
) -> FoundPolicy | None:
    """Store a checked policy, or none; ``None`` when there is no such tenant or key. ``detail`` is for the trail.

    Raises:
        Conflict: it is an admin key, which calls no models.
    """
    async with connection.transaction():
        row = await connection.fetchrow(_FIND[owner] + " for update", owner_id)
        if row is None:
            return None
        if owner == "key" and row["tenant_id"] is None:
            raise Conflict("An admin key calls no models; no cache holds for it.")
        stored = None if policy is None else msgspec.json.encode(policy).decode()
        await connection.execute(_SET[owner], row["id"], stored)
        await record(connection, actor, f"{owner}.cached", row["id"], detail)
        return FoundPolicy(row["id"], policy)


async def insert_removal(connection: Connection, selection: Selection, actor: str, action: str) -> None:
    """Tells every host to forget what is meant; those that are away hear of it when they are back."""
    async with connection.transaction():
        await connection.execute(
            _REMOVE, selection.tenant_id, selection.key_id, selection.model, selection.key, selection.before_ms
        )
        detail = {name: value for name, value in msgspec.structs.asdict(selection).items() if value is not None}
        if selection.key is not None:
            detail["key"] = selection.key.hex()
        await record(connection, actor, action, detail.get("key") or selection.tenant_id or "cache", detail)


async def saved_by_day(connection: Connection, since: date, tenant_id: str | None, model: str | None) -> list[SavedDay]:
    """What sums of usage tell of each day since, where there were answers."""
    return [SavedDay(**dict(row)) for row in await connection.fetch(_SAVED, since, tenant_id, model)]


def _policy(row: asyncpg.Record) -> CachePolicy | None:
    stored: str | None = row["cache"]
    return None if stored is None else msgspec.json.decode(stored, type=CachePolicy)
