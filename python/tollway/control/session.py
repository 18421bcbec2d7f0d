"""Who calls the control plane: an admin key becomes a :class:`Caller`, and the caller is held to his permissions.

Every call asks the database: there are few of them, and a revoked admin key must not work a second longer.
"""

import hashlib
import time
from collections.abc import Iterable, Mapping

import asyncpg
import msgspec

from tollway._native import keys
from tollway.contract.keys import GATEWAY_USE
from tollway.errors import Forbidden, Unauthenticated
from tollway.settings import Settings

_REFUSED = "The admin key is missing, unknown, revoked or expired. Send it as: Authorization: Bearer tw_admin_…"

_FIND = """
    select k.id, k.name, k.scopes, k.tenant_id,
           k.is_active and coalesce(t.is_active, true)
               and (k.expires_at is null or k.expires_at > clock_timestamp()) as is_good
    from api_keys k left join tenants t on t.id = k.tenant_id
    where k.key_hash = $1
"""


class Caller(msgspec.Struct, frozen=True):
    """Who calls, and what he may do. An admin belongs to no tenant."""

    key_id: str
    name: str
    permissions: frozenset[str]
    tenant_id: str | None = None

    @property
    def actor(self) -> str:
        """How the audit trail names him."""
        return f"key:{self.key_id}"

    def require(self, permission: str) -> None:
        """Refuse the call if the key lacks ``permission``.

        Raises:
            Forbidden: it does; the message names the permission.
        """
        if permission not in self.permissions:
            raise Forbidden(f"This key lacks the scope {permission}.")


class DeclaredKey(msgspec.Struct, frozen=True):
    """A key of the configuration file. ``expires_at_ms`` is Unix time in milliseconds."""

    caller: Caller
    expires_at_ms: int | None


def declared_keys(settings: Settings) -> dict[bytes, DeclaredKey]:
    """The keys that the file declares, by the SHA-256 of their secrets. They call models, and nothing else."""
    return {
        hashlib.sha256(key.key.reveal().encode()).digest(): DeclaredKey(
            Caller(f"{tenant}/{name}", name, frozenset({GATEWAY_USE}), tenant), key.expires_at_ms
        )
        for tenant, declared in settings.tenants.items()
        for name, key in declared.keys.items()
    }


async def identify(
    headers: Iterable[tuple[bytes, bytes]], pool: asyncpg.Pool, declared: Mapping[bytes, DeclaredKey]
) -> Caller:
    """The caller behind an ``Authorization: Bearer`` header.

    A key that can't be one, whatever its bytes, is refused without a question to the database.

    Raises:
        Unauthenticated: there is no header, or two, or its key is not good; all look the same from outside.
        OSError, asyncpg.PostgresError: the database is out of reach.
    """
    secret = _bearer(headers)
    if secret is None:
        raise Unauthenticated(_REFUSED)
    if (own := declared.get(hashlib.sha256(secret).digest())) is not None:
        if own.expires_at_ms is not None and own.expires_at_ms <= time.time() * 1000:
            raise Unauthenticated(_REFUSED)
        return own.caller
    if not keys.well_formed(secret):
        raise Unauthenticated(_REFUSED)
    row = await pool.fetchrow(_FIND, keys.digest(secret))
    if row is None or not row["is_good"]:
        raise Unauthenticated(_REFUSED)
    return Caller(row["id"], row["name"], frozenset(row["scopes"]), row["tenant_id"])


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    values = [value for name, value in headers if name == b"authorization"]
    if len(values) != 1:
        return None
    scheme, _, secret = values[0].partition(b" ")
    return secret.strip(b" ") if scheme.lower() == b"bearer" else None
