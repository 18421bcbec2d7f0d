"""The data plane's key source: what PostgreSQL knows of a key, by digest."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from tollway.contract.budgets import MOST_PICOUSD, Budget
from tollway.contract.cache import CachePolicy
from tollway.contract.keys import KeyRecord
from tollway.contract.limits import LimitValues
from tollway.contract.prices import TenantPrices
from tollway.errors import DependencyUnavailable
from tollway.storage.pool import FAILED

PATIENCE_S = 2.0
"""How long a request with an unknown key waits for the database, in all."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MOST_BUDGETS = 63
"""So many budgets of the database a tenant may have, beside its own for the month."""

_FIND = f"""
    select k.id, k.name, k.tenant_id, k.user_id, k.scopes, k.environment, k.expires_at,
           k.rate_limit_override, k.allowed_models_override,
           k.is_active and coalesce(t.is_active, true) as is_active,
           t.name as tenant_name, t.rate_limit, t.allowed_models, t.prices,
           coalesce(k.guardrails, t.guardrails) as guardrails,
           t.monthly_budget, coalesce(k.cache, t.cache) as cache,
           (
               select json_agg(to_json(budget)) from (
                   select id, name, amount as amount_picousd, period, rolling, warn_at, tenant_id, key_id,
                          user_id as "user", model, tag, per
                   from budgets where tenant_id = k.tenant_id order by created_at, id limit {MOST_BUDGETS}
               ) as budget
           ) as budgets
    from api_keys k left join tenants t on t.id = k.tenant_id
    where k.key_hash = $1
"""  # noqa: S608 -- a number of ours


class PostgresKeySource:
    """A :class:`tollway.contract.keys.KeySource` over a pool.

    An admin key belongs to no tenant: its record has an empty ``tenant_id`` and lacks the scope to call models, so
    whoever sends one to a model reads that it lacks the scope instead of that it is unknown.
    """

    def __init__(self, pool: asyncpg.Pool, *, patience_s: float = PATIENCE_S) -> None:
        self._pool = pool
        self._patience_s = patience_s

    async def find(self, digest: bytes) -> KeyRecord | None:
        """See :meth:`tollway.contract.keys.KeySource.find`."""
        try:
            async with asyncio.timeout(self._patience_s), self._pool.acquire() as connection:
                row = await connection.fetchrow(_FIND, digest)
        except FAILED as error:
            raise DependencyUnavailable(
                "The key can't be checked now, because the database is out of reach. Try again shortly.",
                inside=f"key look-up: {type(error).__name__}",
                retry_after_s=1.0,
            ) from error
        return None if row is None else _record(row)


def _record(row: asyncpg.Record) -> KeyRecord:
    expires_at: datetime | None = row["expires_at"]
    return KeyRecord(
        key_id=row["id"],
        key_name=row["name"],
        tenant_id=row["tenant_id"] or "",
        tenant_name=row["tenant_name"] or "",
        scopes=frozenset(row["scopes"]),
        is_active=row["is_active"],
        user_id=row["user_id"],
        environment=row["environment"],
        expires_at_ms=None if expires_at is None else (expires_at - _EPOCH) // timedelta(milliseconds=1),
        tenant_limits=_limits(row["rate_limit"]),
        key_limits=_limits(row["rate_limit_override"]),
        allowed_models=_both(row["allowed_models"], row["allowed_models_override"]),
        policy=row["guardrails"],
        may_spend=row["monthly_budget"] != 0,
        budgets=_budgets(row),
        prices=_prices(row["prices"]),
        cache=_cache(row["cache"]),
    )


def _cache(stored: str | None) -> CachePolicy | None:
    return None if stored is None else msgspec.json.decode(stored, type=CachePolicy)


def _prices(stored: str | None) -> TenantPrices | None:
    return None if stored is None else msgspec.json.decode(stored, type=TenantPrices)


def _budgets(row: asyncpg.Record) -> tuple[Budget, ...]:
    """The tenant's own budget for the month, unless it is nothing, and those that were made for it."""
    made = () if row["budgets"] is None else msgspec.json.decode(row["budgets"], type=tuple[Budget, ...])
    if not row["monthly_budget"]:
        return made
    monthly = Budget(
        id=f"tenant:{row['tenant_id']}",
        name=row["tenant_name"],
        amount_picousd=min(int(row["monthly_budget"].scaleb(12)), MOST_PICOUSD),
        period="month",
        tenant_id=row["tenant_id"],
    )
    return (monthly, *made)


def _limits(stored: str | None) -> LimitValues | None:
    return None if stored is None else msgspec.json.decode(stored, type=LimitValues)


def _both(tenant: list[str] | None, key: list[str] | None) -> frozenset[str] | None:
    """What both allow; ``None`` allows all."""
    if tenant is None or key is None:
        only = key if tenant is None else tenant
        return None if only is None else frozenset(only)
    return frozenset(tenant) & frozenset(key)
