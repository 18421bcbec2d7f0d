"""``/api/v1/keys``: HTTP in, HTTP out. The answer to a creation is the one place where a secret is shown."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPMethod

import msgspec

from tollway.control import paging
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.guardrails.queries import binding
from tollway.control.keys import queries, rules
from tollway.control.keys.queries import KeyPatch
from tollway.control.tenants.queries import Declared, find_tenant
from tollway.control.tenants.rules import refuse_declared
from tollway.errors import InvalidRequest, NotFound
from tollway.storage.pool import Connection

GUARDRAILS_UPDATE = "guardrails:update"


class KeyList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of the list; ``tenant`` is an id or a name."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None
    tenant: str | None = None
    is_active: bool | None = None


class Created(msgspec.Struct, frozen=True):
    """The answer to a creation."""

    key: queries.ApiKey
    secret: str


def key_endpoints(declared: Declared) -> Sequence[Endpoint]:
    """The routes of this capability."""

    async def create(call: Call) -> Answer:
        draft = await call.body(rules.KeyDraft)
        draft = rules.checked_draft(draft, call.caller.permissions, datetime.now(UTC))
        if draft.tenant is not None:
            refuse_declared(draft.tenant, declared)
        if draft.guardrails is not None:
            call.caller.require(GUARDRAILS_UPDATE)  # it goes before the tenant's, and may ask for less
        async with call.pool.acquire() as connection, binding(connection, draft.guardrails, declared.policies):
            tenant_id = None if draft.tenant is None else await _tenant_id(connection, draft.tenant)
            made = rules.new_key(draft, tenant_id)
            key = await queries.insert_key(connection, made.record, call.caller.actor)
        return Answer(Created(key, made.secret), 201)

    async def update(call: Call) -> Answer:
        patch = await call.body(KeyPatch)
        async with call.pool.acquire() as connection, binding(connection, patch.guardrails, declared.policies):
            return _found(await queries.update_key(connection, call.part("key"), patch, call.caller.actor))

    return (
        Endpoint(HTTPMethod.POST, "/api/v1/keys", "api_keys:create", create),
        Endpoint(HTTPMethod.GET, "/api/v1/keys", "api_keys:view", _list),
        Endpoint(HTTPMethod.GET, "/api/v1/keys/{key}", "api_keys:view", _show),
        Endpoint(HTTPMethod.PATCH, "/api/v1/keys/{key}", GUARDRAILS_UPDATE, update),
        Endpoint(HTTPMethod.POST, "/api/v1/keys/{key}/revoke", "api_keys:delete", _revoke),
        Endpoint(HTTPMethod.DELETE, "/api/v1/keys/{key}", "api_keys:delete", _revoke),
    )


async def _list(call: Call) -> Answer:
    asked = call.query(KeyList)
    after = paging.decode(asked.cursor, paging.Position)
    async with call.pool.acquire() as connection:
        tenant_id = None if asked.tenant is None else await _tenant_id(connection, asked.tenant)
        found = await queries.list_keys(
            connection, limit=asked.limit + 1, after=after, tenant_id=tenant_id, is_active=asked.is_active
        )
    return Answer(paging.page(found, asked.limit, lambda key: key.position))


async def _show(call: Call) -> Answer:
    async with call.pool.acquire() as connection:
        return _found(await queries.find_key(connection, call.part("key")))


async def _revoke(call: Call) -> Answer:
    async with call.pool.acquire() as connection:
        return _found(await queries.revoke_key(connection, call.part("key"), call.caller.actor))


async def _tenant_id(connection: Connection, id_or_name: str) -> str:
    tenant = await find_tenant(connection, id_or_name)
    if tenant is None:
        raise InvalidRequest("tenant: there is no such tenant.", param="tenant")
    return tenant.id


def _found(key: queries.ApiKey | None) -> Answer:
    if key is None:
        raise NotFound("There is no such key.")
    return Answer(key)
