"""The table ``tenants``. Each change is one transaction with its line in the audit trail."""

from datetime import datetime
from decimal import Decimal

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from tollway.contract.limits import LimitValues
from tollway.control.audit.queries import record
from tollway.control.money import plain
from tollway.control.paging import Position
from tollway.errors import Conflict
from tollway.storage.pool import Connection


class Declared(msgspec.Struct, frozen=True):
    """What the configuration file declares and the database must respect: names of tenants and of policies."""

    tenants: frozenset[str] = frozenset()
    policies: frozenset[str] = frozenset()


class Tenant(msgspec.Struct, frozen=True):
    """A tenant as the API shows it. ``allowed_models`` of ``None`` are all; money is US dollars, exact.

    ``monthly_budget_usd`` is what its calls may cost in a month (UTC), ``None`` for any amount; of 0 only models that
    cost nothing answer.
    """

    id: str
    name: str
    is_active: bool
    limits: LimitValues | None
    allowed_models: tuple[str, ...] | None
    guardrails: str | None
    monthly_budget_usd: Decimal | None
    current_spend_usd: Decimal
    created_at: datetime
    updated_at: datetime

    @property
    def position(self) -> Position:
        """Its place in the list."""
        return Position(self.created_at, self.id)


class TenantDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tenant to be made."""

    name: str
    is_active: bool = True
    limits: LimitValues | None = None
    allowed_models: tuple[str, ...] | None = None
    guardrails: str | None = None
    monthly_budget_usd: Decimal | None = None


class TenantPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to change; a field that is left out stays."""

    name: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    limits: LimitValues | UnsetType | None = UNSET
    allowed_models: tuple[str, ...] | UnsetType | None = UNSET
    guardrails: str | UnsetType | None = UNSET
    monthly_budget_usd: Decimal | UnsetType | None = UNSET

    @property
    def bound_to(self) -> str | None:
        """The policy that it names."""
        return None if self.guardrails is UNSET else self.guardrails

    @property
    def changes(self) -> dict[str, object]:
        """The fields that are given."""
        return {field: value for field, value in msgspec.structs.asdict(self).items() if value is not UNSET}


_COLUMNS = """
    id, name, is_active, rate_limit, allowed_models, guardrails, monthly_budget, current_spend, created_at, updated_at
"""

_INSERT = f"""
    insert into tenants (name, is_active, rate_limit, allowed_models, guardrails, monthly_budget)
    values ($1, $2, $3::jsonb, $4, $5, $6)
    returning {_COLUMNS}
"""  # noqa: S608 -- columns named above

_UPDATE = f"""
    update tenants set name = $2, is_active = $3, rate_limit = $4::jsonb, allowed_models = $5, guardrails = $6,
                       monthly_budget = $7
    where id = $1
    returning {_COLUMNS}
"""  # noqa: S608 -- columns named above

# An id goes before a name that looks the same.
_FIND = f"""
    select {_COLUMNS} from tenants where id = $1 or name = $1 order by id = $1 desc limit 1
"""  # noqa: S608 -- columns named above

_LIST = f"""
    select {_COLUMNS} from tenants
    where ($1::boolean is null or is_active = $1)
      and ($2::timestamptz is null or (created_at, id) < ($2, $3::text))
    order by created_at desc, id desc
    limit $4
"""  # noqa: S608 -- columns named above


async def insert_tenant(connection: Connection, draft: TenantDraft, actor: str) -> Tenant:
    """Store a checked draft.

    Raises:
        Conflict: there is one of this name.
    """
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_INSERT, draft.name, draft.is_active, *_stored(draft))
            tenant = _tenant(row)
            await record(connection, actor, "tenant.created", tenant.id, draft)
            return tenant
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def update_tenant(connection: Connection, tenant_id: str, patch: TenantPatch, actor: str) -> Tenant | None:
    """Apply a checked patch; ``None`` when there is no such tenant.

    Raises:
        Conflict: there is another one of the new name.
    """
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_FIND + " for update", tenant_id)
            if row is None:
                return None
            changed = msgspec.structs.replace(_tenant(row), **patch.changes)
            row = await connection.fetchrow(_UPDATE, changed.id, changed.name, changed.is_active, *_stored(changed))
            await record(connection, actor, "tenant.updated", changed.id, patch)
            return _tenant(row)
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def find_tenant(connection: Connection, id_or_name: str) -> Tenant | None:
    """The tenant of this id, else of this name."""
    row = await connection.fetchrow(_FIND, id_or_name)
    return None if row is None else _tenant(row)


async def list_tenants(
    connection: Connection, *, limit: int, after: Position | None = None, is_active: bool | None = None
) -> list[Tenant]:
    """At most ``limit`` tenants after a position, newest first."""
    at, last = (None, None) if after is None else (after.at, after.id)
    return [_tenant(row) for row in await connection.fetch(_LIST, is_active, at, last, limit)]


def _stored(tenant: Tenant | TenantDraft) -> tuple[object, ...]:
    limits = None if tenant.limits is None else msgspec.json.encode(tenant.limits).decode()
    return limits, tenant.allowed_models, tenant.guardrails, tenant.monthly_budget_usd


def _tenant(row: asyncpg.Record | None) -> Tenant:
    if row is None:
        raise AssertionError("insert and update return their row")
    limits, models = row["rate_limit"], row["allowed_models"]
    return Tenant(
        id=row["id"],
        name=row["name"],
        is_active=row["is_active"],
        limits=None if limits is None else msgspec.json.decode(limits, type=LimitValues),
        allowed_models=None if models is None else tuple(models),
        guardrails=row["guardrails"],
        monthly_budget_usd=None if row["monthly_budget"] is None else plain(row["monthly_budget"]),
        current_spend_usd=row["current_spend"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _taken() -> Conflict:
    return Conflict("name: there is a tenant of this name already.", param="name")
