"""The column ``tenants.prices``. A change is one transaction with its line in the audit trail."""

import msgspec

from tollway.contract.prices import TenantPrices
from tollway.control.audit.queries import record
from tollway.storage.pool import Connection

_FIND = "select id, prices from tenants where id = $1 or name = $1 order by id = $1 desc limit 1"

_SET = "update tenants set prices = $2::jsonb where id = $1"


class Found(msgspec.Struct, frozen=True):
    """A tenant and its own prices; ``None``: it pays those that are listed."""

    tenant_id: str
    prices: TenantPrices | None


async def find_prices(connection: Connection, id_or_name: str) -> Found | None:
    """The prices of the tenant of this id, else of this name; ``None`` when there is no such tenant."""
    row = await connection.fetchrow(_FIND, id_or_name)
    if row is None:
        return None
    stored = row["prices"]
    return Found(row["id"], None if stored is None else msgspec.json.decode(stored, type=TenantPrices))


async def set_prices(
    connection: Connection, id_or_name: str, prices: TenantPrices | None, actor: str, detail: object
) -> Found | None:
    """Store checked prices, or none; ``None`` when there is no such tenant. ``detail`` is what the trail keeps."""
    async with connection.transaction():
        row = await connection.fetchrow(_FIND + " for update", id_or_name)
        if row is None:
            return None
        stored = None if prices is None else msgspec.json.encode(prices).decode()
        await connection.execute(_SET, row["id"], stored)
        await record(connection, actor, "tenant.priced", row["id"], detail)
        return Found(row["id"], prices)
