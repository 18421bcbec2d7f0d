"""The table ``api_keys``. Each change is one transaction with its line in the audit trail; secrets never get here."""

from datetime import datetime

import asyncpg
import msgspec

from tollway.contract.limits import LimitValues
from tollway.control.audit.queries import record
from tollway.control.paging import Position
from tollway.errors import Conflict
from tollway.storage.pool import Connection


class ApiKey(msgspec.Struct, frozen=True):
    """A key as the API shows it. ``tenant_id`` is ``None`` for an admin key; ``prefix`` is the secret's beginning."""

    id: str
    tenant_id: str | None
    tenant: str | None
    name: str
    prefix: str
    environment: str
    scopes: tuple[str, ...]
    is_active: bool
    limits: LimitValues | None
    allowed_models: tuple[str, ...] | None
    guardrails: str | None
    expires_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None

    @property
    def position(self) -> Position:
        """Its place in the list."""
        return Position(self.created_at, self.id)


class NewKey(msgspec.Struct, frozen=True):
    """A key to be stored: ``digest`` is the secret's SHA-256."""

    tenant_id: str | None
    name: str
    digest: bytes
    prefix: str
    environment: str
    scopes: tuple[str, ...]
    limits: LimitValues | None
    allowed_models: tuple[str, ...] | None
    expires_at: datetime | None
    guardrails: str | None = None


class KeyPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may change about a key: the policy that goes before its tenant's; ``None`` is the tenant's."""

    guardrails: str | None


_COLUMNS = """
    k.id, k.tenant_id, t.name as tenant, k.name, k.key_prefix, k.environment, k.scopes, k.is_active,
    k.rate_limit_override, k.allowed_models_override, k.guardrails, k.expires_at, k.created_at, k.revoked_at
"""

_INSERT = f"""
    with k as (
        insert into api_keys (tenant_id, name, key_hash, key_prefix, environment, scopes,
                              rate_limit_override, allowed_models_override, expires_at, guardrails)
        values ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10)
        returning *
    )
    select {_COLUMNS} from k left join tenants t on t.id = k.tenant_id
"""  # noqa: S608 -- columns named above

_FIND = f"""
    select {_COLUMNS} from api_keys k left join tenants t on t.id = k.tenant_id where k.id = $1
"""  # noqa: S608 -- columns named above

_LIST = f"""
    select {_COLUMNS} from api_keys k left join tenants t on t.id = k.tenant_id
    where ($1::text is null or k.tenant_id = $1)
      and ($2::boolean is null or k.is_active = $2)
      and ($3::timestamptz is null or (k.created_at, k.id) < ($3, $4::text))
    order by k.created_at desc, k.id desc
    limit $5
"""  # noqa: S608 -- columns named above

_REVOKE = "update api_keys set is_active = false, revoked_at = now() where id = $1 and revoked_at is null"


async def insert_key(connection: Connection, key: NewKey, actor: str) -> ApiKey:
    """Store a key that ``rules.new_key`` made.

    Raises:
        asyncpg.ForeignKeyViolationError: there is no tenant of this id.
    """
    async with connection.transaction():
        row = await connection.fetchrow(
            _INSERT,
            key.tenant_id,
            key.name,
            key.digest,
            key.prefix,
            key.environment,
            key.scopes,
            None if key.limits is None else msgspec.json.encode(key.limits).decode(),
            key.allowed_models,
            key.expires_at,
            key.guardrails,
        )
        if row is None:
            raise AssertionError("an insert returns its row")
        stored = _key(row)
        await record(connection, actor, "key.created", stored.id, stored)
        return stored


async def update_key(connection: Connection, key_id: str, patch: KeyPatch, actor: str) -> ApiKey | None:
    """Apply a checked patch; ``None`` when there is no such key.

    Raises:
        Conflict: it is an admin key, which calls no models.
    """
    async with connection.transaction():
        key = await find_key(connection, key_id)
        if key is None:
            return None
        if key.tenant_id is None:
            raise Conflict("An admin key calls no models; no guardrails hold for it.")
        await connection.execute("update api_keys set guardrails = $2 where id = $1", key_id, patch.guardrails)
        await record(connection, actor, "key.updated", key_id, patch)
        return await find_key(connection, key_id)


async def revoke_key(connection: Connection, key_id: str, actor: str) -> ApiKey | None:
    """Revoke a key for ever; ``None`` when there is none. Doing it again changes nothing and is not recorded."""
    async with connection.transaction():
        if await connection.execute(_REVOKE, key_id) == "UPDATE 1":
            await record(connection, actor, "key.revoked", key_id, {})
        return await find_key(connection, key_id)


async def find_key(connection: Connection, key_id: str) -> ApiKey | None:
    """The key of this id."""
    row = await connection.fetchrow(_FIND, key_id)
    return None if row is None else _key(row)


async def list_keys(
    connection: Connection,
    *,
    limit: int,
    after: Position | None = None,
    tenant_id: str | None = None,
    is_active: bool | None = None,
) -> list[ApiKey]:
    """At most ``limit`` keys after a position, newest first."""
    at, last = (None, None) if after is None else (after.at, after.id)
    return [_key(row) for row in await connection.fetch(_LIST, tenant_id, is_active, at, last, limit)]


def _key(row: asyncpg.Record) -> ApiKey:
    limits, models = row["rate_limit_override"], row["allowed_models_override"]
    return ApiKey(
        id=row["id"],
        tenant_id=row["tenant_id"],
        tenant=row["tenant"],
        name=row["name"],
        prefix=row["key_prefix"],
        environment=row["environment"],
        scopes=tuple(row["scopes"]),
        is_active=row["is_active"],
        limits=None if limits is None else msgspec.json.decode(limits, type=LimitValues),
        allowed_models=None if models is None else tuple(models),
        guardrails=row["guardrails"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )
