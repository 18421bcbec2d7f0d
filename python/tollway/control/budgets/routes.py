"""``/api/v1/billing/budgets``: HTTP in, HTTP out."""

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPMethod

import msgspec

from tollway.contract.budgets import Budget
from tollway.control import paging
from tollway.control.budgets import queries, rules
from tollway.control.budgets.queries import BudgetDraft, BudgetPatch, StoredBudget
from tollway.control.call import Answer, Call, Endpoint
from tollway.control.tenants.queries import Declared, find_tenant
from tollway.control.tenants.rules import refuse_declared
from tollway.errors import InvalidRequest, NotFound
from tollway.storage.pool import Connection

PATH = "/api/v1/billing/budgets"


class BudgetList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of the list; ``tenant`` is an id or a name."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None
    tenant: str | None = None


def budget_endpoints(budgets: Sequence[Budget], declared: Declared) -> Sequence[Endpoint]:
    """The routes of this capability. ``budgets`` are those that the configuration file declares: they are shown on the
    list's first page, before the others and beyond its limit, and changed in the file."""
    by_id = {budget.id: budget for budget in budgets}

    async def list_all(call: Call) -> Answer:
        asked = call.query(BudgetList)
        after = paging.decode(asked.cursor, paging.Position)
        async with call.pool.acquire() as connection:
            tenant = None if asked.tenant is None else await _tenant_id(connection, asked.tenant, declared)
            found = await queries.list_budgets(connection, limit=asked.limit + 1, after=after, tenant_id=tenant)
            page = paging.page(found, asked.limit, lambda stored: stored.position)
            first = [] if after is not None else [budget for budget in budgets if tenant in (None, budget.tenant_id)]
            own = None if tenant is None or after is not None else await queries.monthly_budget(connection, tenant)
            data = await _shown(connection, first, [*([own] if own else []), *page.data])
        return Answer(paging.Page(data, page.next_cursor))

    async def show(call: Call) -> Answer:
        budget_id, now = call.part("budget"), datetime.now(UTC)
        async with call.pool.acquire() as connection:
            stored = None if budget_id in by_id else _found(await queries.find_budget(connection, budget_id))
            budget = by_id[budget_id] if stored is None else stored.budget
            standing = (await queries.standings(connection, [budget], now))[budget_id]
            subjects = await queries.subjects(connection, budget, now) if budget.per else None
        return Answer(rules.shown(budget, standing, now, since=stored.since if stored else None, subjects=subjects))

    async def create(call: Call) -> Answer:
        draft, amount_picousd = rules.checked_draft(await call.body(BudgetDraft))
        refuse_declared(draft.tenant, declared)
        async with call.pool.acquire() as connection:
            tenant = await _tenant_id(connection, draft.tenant, declared)
            draft = msgspec.structs.replace(draft, tenant=tenant)
            stored = await queries.insert_budget(connection, draft, amount_picousd, call.caller.actor)
            (shown,) = await _shown(connection, [], [stored])
        return Answer(shown, 201)

    async def update(call: Call) -> Answer:
        budget_id = _own(call)
        patch, amount_picousd = rules.checked_patch(await call.body(BudgetPatch))
        async with call.pool.acquire() as connection:
            actor = call.caller.actor
            stored = _found(await queries.update_budget(connection, budget_id, patch, amount_picousd, actor))
            (shown,) = await _shown(connection, [], [stored])
        return Answer(shown)

    async def delete(call: Call) -> Answer:
        budget_id = _own(call)
        async with call.pool.acquire() as connection:
            stored = _found(await queries.delete_budget(connection, budget_id, call.caller.actor))
        return Answer(rules.shown(stored.budget, queries.Standing(), datetime.now(UTC), since=stored.since))

    return (
        Endpoint(HTTPMethod.GET, PATH, "billing:view", list_all),
        Endpoint(HTTPMethod.POST, PATH, "tenants:update", create),
        Endpoint(HTTPMethod.GET, f"{PATH}/{{budget}}", "billing:view", show),
        Endpoint(HTTPMethod.PATCH, f"{PATH}/{{budget}}", "tenants:update", update),
        Endpoint(HTTPMethod.DELETE, f"{PATH}/{{budget}}", "tenants:update", delete),
    )


async def _shown(
    connection: Connection, budgets: Sequence[Budget], stored: Sequence[StoredBudget]
) -> list[rules.ShownBudget]:
    now = datetime.now(UTC)
    standings = await queries.standings(connection, [*budgets, *(each.budget for each in stored)], now)
    return [
        *(rules.shown(budget, standings[budget.id], now) for budget in budgets),
        *(rules.shown(each.budget, standings[each.budget.id], now, since=each.since) for each in stored),
    ]


def _own(call: Call) -> str:
    budget_id = call.part("budget")
    rules.refuse_elsewhere(budget_id)
    return budget_id


async def _tenant_id(connection: Connection, id_or_name: str, declared: Declared) -> str:
    if id_or_name in declared.tenants:
        return id_or_name
    tenant = await find_tenant(connection, id_or_name)
    if tenant is None:
        raise InvalidRequest("tenant: there is no such tenant.", param="tenant")
    return tenant.id


def _found(stored: StoredBudget | None) -> StoredBudget:
    if stored is None:
        raise NotFound("There is no such budget.")
    return stored
