"""``/api/v1/tenants``: HTTP in, HTTP out."""

from collections.abc import Sequence
from http import HTTPMethod

import msgspec

from tollway.control import paging
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.guardrails.queries import binding
from tollway.control.tenants import queries, rules
from tollway.control.tenants.queries import Declared, TenantDraft, TenantPatch
from tollway.errors import NotFound


class TenantList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of the list."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None
    is_active: bool | None = None


def tenant_endpoints(declared: Declared) -> Sequence[Endpoint]:
    """The routes of this capability."""

    async def create(call: Call) -> Answer:
        draft = rules.checked_draft(await call.body(TenantDraft), declared)
        async with call.pool.acquire() as connection, binding(connection, draft.guardrails, declared.policies):
            return Answer(await queries.insert_tenant(connection, draft, call.caller.actor), 201)

    async def update(call: Call) -> Answer:
        tenant_id = call.part("tenant")
        rules.refuse_declared(tenant_id, declared)
        patch = rules.checked_patch(await call.body(TenantPatch), declared)
        async with call.pool.acquire() as connection, binding(connection, patch.bound_to, declared.policies):
            return _found(await queries.update_tenant(connection, tenant_id, patch, call.caller.actor))

    return (
        Endpoint(HTTPMethod.POST, "/api/v1/tenants", "tenants:update", create),
        Endpoint(HTTPMethod.GET, "/api/v1/tenants", "tenants:view", _list),
        Endpoint(HTTPMethod.GET, "/api/v1/tenants/{tenant}", "tenants:view", _show),
        Endpoint(HTTPMethod.PATCH, "/api/v1/tenants/{tenant}", "tenants:update", update),
    )


async def _list(call: Call) -> Answer:
    asked = call.query(TenantList)
    after = paging.decode(asked.cursor, paging.Position)
    async with call.pool.acquire() as connection:
        found = await queries.list_tenants(connection, limit=asked.limit + 1, after=after, is_active=asked.is_active)
    return Answer(paging.page(found, asked.limit, lambda tenant: tenant.position))


async def _show(call: Call) -> Answer:
    async with call.pool.acquire() as connection:
        return _found(await queries.find_tenant(connection, call.part("tenant")))


def _found(tenant: queries.Tenant | None) -> Answer:
    if tenant is None:
        raise NotFound("There is no such tenant.")
    return Answer(tenant)
