"""``/api/v1/tenants/{tenant}/prices``: HTTP in, HTTP out."""

import asyncio
from collections.abc import Sequence
from http import HTTPMethod

import msgspec

from tollway.contract.prices import TenantPrices
from tollway.control.billing.prices import tenant_prices
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.pricing import queries, rules
from tollway.control.pricing.queries import Found
from tollway.errors import NotFound
from tollway.settings import Settings


def pricing_endpoints(settings: Settings) -> Sequence[Endpoint]:
    """The routes of this capability."""

    async def show(call: Call) -> Answer:
        tenant = call.part("tenant")
        declared = settings.tenants.get(tenant)
        if declared is not None:
            return Answer(rules.shown(Found(tenant, tenant_prices(tenant, declared))))
        async with call.pool.acquire() as connection:
            return _found(await queries.find_prices(connection, tenant))

    async def put(call: Call) -> Answer:
        tenant, body = call.part("tenant"), await call.content()
        prices = await asyncio.to_thread(rules.checked_prices, tenant, body, settings)
        return await change(call, prices, msgspec.Raw(body))

    async def delete(call: Call) -> Answer:
        rules.refuse_declared(call.part("tenant"), settings)
        return await change(call, None, None)

    async def change(call: Call, prices: TenantPrices | None, detail: object) -> Answer:
        async with call.pool.acquire() as connection:
            return _found(await queries.set_prices(connection, call.part("tenant"), prices, call.caller.actor, detail))

    path = "/api/v1/tenants/{tenant}/prices"
    return (
        Endpoint(HTTPMethod.GET, path, "billing:view", show),
        Endpoint(HTTPMethod.PUT, path, "tenants:update", put),
        Endpoint(HTTPMethod.DELETE, path, "tenants:update", delete),
    )


def _found(found: Found | None) -> Answer:
    if found is None:
        raise NotFound("There is no such tenant.")
    return Answer(rules.shown(found))
