"""The data plane's key source: what PostgreSQL knows of a key, by digest."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec

from tollway.contract.keys import KeyRecord
from tollway.contract.limits import LimitValues
from tollway.errors import DependencyUnavailable
from tollway.storage.pool import FAILED

PATIENCE_S = 2.0
"""How long a request with an unknown key waits for the database, in all."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_FIND = """
    select k.id, k.name, k.tenant_id, k.user_id, k.scopes, k.environment, k.expires_at,
           k.rate_limit_override, k.allowed_models_override,
           k.is_active and coalesce(t.is_active, true) as is_active,
           t.name as tenant_name, t.rate_limit, t.allowed_models, coalesce(k.guardrails, t.guardrails) as guardrails
    from api_keys k left join tenants t on t.id = k.tenant_id
    where k.key_hash = $1
"""


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
    )


def _limits(stored: str | None) -> LimitValues | None:
    return None if stored is None else msgspec.json.decode(stored, type=LimitValues)


def _both(tenant: list[str] | None, key: list[str] | None) -> frozenset[str] | None:
    """What both allow; ``None`` allows all."""
    if tenant is None or key is None:
        only = key if tenant is None else tenant
        return None if only is None else frozenset(only)
    return frozenset(tenant) & frozenset(key)
