"""What authentication knows of a key, and where it asks."""

from typing import Protocol

import msgspec

from tollway.contract.budgets import Budget
from tollway.contract.cache import CachePolicy
from tollway.contract.limits import LimitValues
from tollway.contract.prices import TenantPrices

GATEWAY_USE = "gateway:use"
"""The scope a key needs to call models."""


class KeyRecord(msgspec.Struct, frozen=True):
    """A key with what its tenant adds: all that a request is judged by. Never holds the secret.

    ``limits`` of tenant and key both hold. ``allowed_models`` is ``None`` for all, else the aliases that
    both tenant and key allow. ``expires_at_ms`` is Unix time in milliseconds. Who ``may_spend`` nothing is served by
    models whose price is zero alone. ``budgets`` are those of the database that its tenant has, at most 64; ``prices``
    the tenant's own, ``None`` for the listed ones. ``cache`` is the key's own policy, else its tenant's, ``None`` for
    the file's.
    """

    key_id: str
    key_name: str
    tenant_id: str
    tenant_name: str
    scopes: frozenset[str]
    is_active: bool
    user_id: str | None = None
    environment: str = "live"
    expires_at_ms: int | None = None
    tenant_limits: LimitValues | None = None
    key_limits: LimitValues | None = None
    allowed_models: frozenset[str] | None = None
    policy: str | None = None
    may_spend: bool = True
    budgets: tuple[Budget, ...] = ()
    prices: TenantPrices | None = None
    cache: CachePolicy | None = None


class KeySource(Protocol):
    """Where unknown keys are looked up."""

    async def find(self, digest: bytes) -> KeyRecord | None:
        """The record for a key's SHA-256 digest, ``None`` when there is none.

        Raises:
            tollway.errors.DependencyUnavailable: the truth can't be asked now.
        """
        ...


class KeyChange(msgspec.Struct, frozen=True):
    """A key, or every key of a tenant, has changed: forget what is remembered of it."""

    digest: bytes | None
    tenant_id: str | None
