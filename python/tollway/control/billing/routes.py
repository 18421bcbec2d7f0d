"""``/api/v1/billing``: HTTP in, HTTP out."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime
from http import HTTPMethod

from tollway.control import paging
from tollway.control.audit.queries import record
from tollway.control.billing import books, queries, rules, sums
from tollway.control.billing.exports import export_to_objects
from tollway.control.billing.invoices import read_account
from tollway.control.billing.tallies import compared
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.routing.view import RouterView
from tollway.control.tenants.queries import find_tenant
from tollway.errors import NotFound, ServerBusy
from tollway.settings import Settings
from tollway.storage.objects import Objects
from tollway.storage.pool import Connection

LARGEST_ACCOUNT_BYTES = 16 << 20
"""A provider's export, over HTTP; `tollway billing reconcile` reads larger ones."""


def billing_endpoints(settings: Settings, router: RouterView) -> Sequence[Endpoint]:
    """The routes of this capability."""
    offices = Offices(settings, router)
    statement = "/api/v1/billing/statements/{tenant}/{month}"
    return (
        Endpoint(HTTPMethod.GET, "/api/v1/billing/usage", "billing:view", _sums),
        Endpoint(HTTPMethod.GET, "/api/v1/billing/usage/rows", "billing:view", _rows),
        Endpoint(HTTPMethod.GET, "/api/v1/billing/costs", "billing:view", _costs),
        Endpoint(HTTPMethod.GET, "/api/v1/billing/prices", "billing:view", offices.prices),
        Endpoint(HTTPMethod.GET, "/api/v1/billing/statements", "billing:view", _statements),
        Endpoint(HTTPMethod.GET, statement, "billing:view", offices.statement),
        Endpoint(HTTPMethod.POST, f"{statement}/close", "billing:update", offices.close),
        Endpoint(HTTPMethod.GET, "/api/v1/billing/adjustments", "billing:view", _adjustments),
        Endpoint(HTTPMethod.POST, "/api/v1/billing/adjustments", "billing:update", offices.adjust),
        Endpoint(HTTPMethod.POST, "/api/v1/billing/export", "billing:update", offices.export),
        Endpoint(HTTPMethod.POST, "/api/v1/billing/reconcile", "billing:view", offices.reconcile),
    )


class Offices:
    """What is behind the routes that must know what the configuration declares, or how calls are routed."""

    def __init__(self, settings: Settings, router: RouterView) -> None:
        self._declared = settings.tenants.keys()
        self._providers = settings.providers
        self._objects = Objects(settings.storage.objects_address)
        self._router = router
        self._exporting = asyncio.Lock()

    async def prices(self, call: Call) -> Answer:
        """What every target costs."""
        asked = call.query(rules.PriceList)
        after = paging.decode(asked.cursor, tuple[str, str, str])
        found = [
            price for price in rules.listed_prices(self._router.snapshot) if after is None or price.position > after
        ]
        return Answer(paging.page(found[: asked.limit + 1], asked.limit, lambda price: price.position))

    async def statement(self, call: Call) -> Answer:
        """A statement, closed or as a draft."""
        tenant_id, month = call.part("tenant"), rules.month(call.part("month"))
        async with call.pool.acquire() as connection:
            closed = await books.find_statement(connection, tenant_id, month)
            if closed is not None:
                return Answer(rules.shown_closed(*closed))
            items = await books.draft(connection, tenant_id, month)
            if not items:
                await self._known(connection, tenant_id)
        return Answer(rules.shown_draft(tenant_id, month, items))

    async def close(self, call: Call) -> Answer:
        """Close a statement for good."""
        tenant_id, month = call.part("tenant"), rules.month(call.part("month"))
        rules.may_close(month, datetime.now(UTC))
        async with call.pool.acquire() as connection:
            if not await books.draft(connection, tenant_id, month):
                await self._known(connection, tenant_id)
            closed = await books.close_statement(connection, tenant_id, month, call.caller.actor)
        return Answer(rules.shown_closed(*closed))

    async def adjust(self, call: Call) -> Answer:
        """Put a debit or a credit on a statement."""
        body = await call.body(rules.AdjustmentDraft)
        month, amount, reason = rules.month(body.month), rules.amount(body.amount_usd), rules.reason(body.reason)
        async with call.pool.acquire() as connection:
            await self._known(connection, body.tenant)
            made = await books.adjust(connection, body.tenant, month, amount, reason, call.caller.actor)
        return Answer(made, status=201)

    async def export(self, call: Call) -> Answer:
        """Put an export into object storage. One at a time, so that a worker has connections for everything else."""
        wanted = rules.export(await call.body(rules.ExportDraft))
        if self._exporting.locked():
            raise ServerBusy("An export is under way; try again when it is done.", retry_after_s=5.0)
        async with self._exporting, call.pool.acquire() as connection:
            made = await export_to_objects(connection, wanted, self._objects, datetime.now(UTC))
            await record(connection, call.caller.actor, "usage.exported", made.object, wanted)
        return Answer(made, status=201)

    async def reconcile(self, call: Call) -> Answer:
        """Compare a provider's account, the body, with our rows."""
        asked = call.query(rules.ReconcileQuery)
        providers, form = rules.accounts(asked, self._providers)
        theirs = await asyncio.to_thread(read_account, await call.content(LARGEST_ACCOUNT_BYTES), form)
        async with call.pool.acquire() as connection:
            found = await compared(connection, providers, theirs, asked.tolerance_usd)
        return Answer(found)

    async def _known(self, connection: Connection, tenant_id: str) -> None:
        if tenant_id in self._declared:
            return
        found = await find_tenant(connection, tenant_id)
        if found is None or found.id != tenant_id:
            raise NotFound("There is no tenant with this id.", param="tenant")


async def _sums(call: Call) -> Answer:
    asked = call.query(rules.UsageSums)
    return Answer(paging.page(await _summed(call, asked), asked.limit, lambda entry: entry.place))


async def _costs(call: Call) -> Answer:
    asked = call.query(rules.UsageSums)
    page = paging.page(await _summed(call, asked), asked.limit, lambda entry: entry.place)
    return Answer(paging.Page([rules.shown_cost(entry) for entry in page.data], page.next_cursor))


async def _summed(call: Call, asked: rules.UsageSums) -> list[sums.Sum]:
    selection = rules.summed_selection(asked, datetime.now(UTC))
    grouping, after = rules.grouping(asked.by, asked.every), paging.decode(asked.cursor, sums.Place)
    async with call.pool.acquire() as connection:
        return await sums.summed(connection, selection, grouping, limit=asked.limit + 1, after=after)


async def _rows(call: Call) -> Answer:
    asked = call.query(rules.UsageRange)
    selection = rules.selection(asked, datetime.now(UTC))
    after = paging.decode(asked.cursor, paging.Position)
    async with call.pool.acquire() as connection:
        found = await queries.list_usage(connection, selection, limit=asked.limit + 1, after=after)
    return Answer(paging.page(found, asked.limit, lambda entry: entry.position))


async def _statements(call: Call) -> Answer:
    asked = call.query(rules.StatementList)
    month = None if asked.month is None else rules.month(asked.month)
    after = paging.decode(asked.cursor, tuple[date, str])
    async with call.pool.acquire() as connection:
        found = await books.list_statements(
            connection, tenant_id=asked.tenant, month=month, limit=asked.limit + 1, after=after
        )
    page = paging.page(found, asked.limit, lambda entry: (entry.month, entry.tenant_id))
    return Answer(paging.Page([rules.shown_header(entry) for entry in page.data], page.next_cursor))


async def _adjustments(call: Call) -> Answer:
    asked = call.query(rules.StatementList)
    month = None if asked.month is None else rules.month(asked.month)
    after = paging.decode(asked.cursor, paging.Position)
    async with call.pool.acquire() as connection:
        found = await books.list_adjustments(
            connection, tenant_id=asked.tenant, month=month, limit=asked.limit + 1, after=after
        )
    return Answer(paging.page(found, asked.limit, lambda entry: entry.position))
