"""The table ``budgets``, and what of budgets is spent and leased. Each change is one transaction with its line in the
audit trail; every gateway hears of it as it is committed, with the tenant's keys.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import msgspec
from msgspec import UNSET, UnsetType

from tollway.contract.budgets import MOST_PICOUSD, Budget, Period, Subject
from tollway.control.audit.queries import record
from tollway.control.paging import Position
from tollway.errors import Conflict, InvalidRequest
from tollway.storage.keys import MOST_BUDGETS
from tollway.storage.pool import Connection

MOST_SUBJECTS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BudgetDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A budget to be made for a tenant of the database (its id or name); ``key`` is an id."""

    tenant: str
    name: str
    amount_usd: Decimal
    period: Period
    rolling: bool = False
    warn_at: tuple[int, ...] = ()
    key: str | None = None
    user: str | None = None
    model: str | None = None
    tag: str | None = None
    per: tuple[Subject, ...] = ()


class BudgetPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to change; a field that is left out stays. What a budget is for can't change: that is another one."""

    name: str | UnsetType = UNSET
    amount_usd: Decimal | UnsetType = UNSET
    warn_at: tuple[int, ...] | UnsetType = UNSET

    @property
    def is_empty(self) -> bool:
        """Whether it names no field."""
        return self.name is UNSET and self.amount_usd is UNSET and self.warn_at is UNSET


class StoredBudget(msgspec.Struct, frozen=True):
    """A budget of the database, and since when it is there, and as it is."""

    budget: Budget
    created_at: datetime
    updated_at: datetime

    @property
    def position(self) -> Position:
        """Its place in the list."""
        return Position(self.created_at, self.budget.id)

    @property
    def since(self) -> tuple[datetime, datetime]:
        """When it was made, and when it was changed last."""
        return self.created_at, self.updated_at


class Standing(msgspec.Struct, frozen=True):
    """What is spent of a budget in its running period, and what hosts hold beside it for calls; of one purse, or of all
    of the budget's. US dollars, exact."""

    spent_usd: Decimal = Decimal(0)
    leased_usd: Decimal = Decimal(0)


_COLUMNS = """
    id, name, amount as amount_picousd, period, rolling, warn_at, tenant_id, key_id, user_id, model, tag, per,
    created_at, updated_at
"""

_INSERT = f"""
    insert into budgets (tenant_id, name, amount, period, rolling, warn_at, key_id, user_id, model, tag, per)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    returning {_COLUMNS}
"""  # noqa: S608 -- columns named above

_UPDATE = f"""
    update budgets set name = $2, amount = $3, warn_at = $4 where id = $1
    returning {_COLUMNS}
"""  # noqa: S608 -- columns named above

_FIND = f"select {_COLUMNS} from budgets where id = $1"  # noqa: S608 -- columns named above

_LIST = f"""
    select {_COLUMNS} from budgets
    where ($1::text is null or tenant_id = $1)
      and ($2::timestamptz is null or (created_at, id) < ($2, $3::text))
    order by created_at desc, id desc
    limit $4
"""  # noqa: S608 -- columns named above

_MONTHLY = "select id, name, monthly_budget, created_at, updated_at from tenants where id = $1 and monthly_budget > 0"

_STANDINGS = """
    select asked.budget_id, known.subject, budget_spent(known) / 1000000000000 as spent_usd,
           coalesce((select sum(budget_held(lease)) from budget_leases as lease where lease.purse = known.purse), 0)
               / 1000000000000 as leased_usd
    from unnest($1::text[], $2::bigint[]) as asked (budget_id, period_start_s)
    join budget_purses as known using (budget_id, period_start_s)
"""

_SUMS = f"""
    select budget_id, sum(spent_usd) as spent_usd, sum(leased_usd) as leased_usd
    from ({_STANDINGS}) as standing group by budget_id
"""  # noqa: S608 -- our own

_SUBJECTS = f"{_STANDINGS} order by spent_usd desc, subject limit {MOST_SUBJECTS}"


async def insert_budget(connection: Connection, draft: BudgetDraft, amount_picousd: int, actor: str) -> StoredBudget:
    """Store a checked draft, whose tenant is an id.

    Raises:
        Conflict: the tenant has one of this name, or as many as it may have.
        InvalidRequest: the key is not one of the tenant's.
    """
    try:
        async with connection.transaction():
            await connection.execute("select from tenants where id = $1 for no key update", draft.tenant)
            held = await connection.fetchval("select count(*) from budgets where tenant_id = $1", draft.tenant)
            if held >= MOST_BUDGETS:
                raise Conflict(f"A tenant has {MOST_BUDGETS} budgets at most.")
            if draft.key is not None and not await connection.fetchval(
                "select true from api_keys where id = $1 and tenant_id = $2", draft.key, draft.tenant
            ):
                raise InvalidRequest("key: the tenant has no key of this id.", param="key")
            row = await connection.fetchrow(
                _INSERT,
                draft.tenant,
                draft.name,
                amount_picousd,
                draft.period,
                draft.rolling,
                draft.warn_at,
                draft.key,
                draft.user,
                draft.model,
                draft.tag,
                draft.per,
            )
            stored = _stored(row)
            await record(connection, actor, "budget.created", stored.budget.id, draft)
            return stored
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def update_budget(
    connection: Connection, budget_id: str, patch: BudgetPatch, amount_picousd: int | None, actor: str
) -> StoredBudget | None:
    """Apply a checked patch; ``None`` when there is no such budget.

    What hosts hold of a higher amount they may still spend; more is lent of the new one alone.

    Raises:
        Conflict: the tenant has another one of the new name.
    """
    try:
        async with connection.transaction():
            row = await connection.fetchrow(_FIND + " for update", budget_id)
            if row is None:
                return None
            budget = _stored(row).budget
            row = await connection.fetchrow(
                _UPDATE,
                budget_id,
                budget.name if patch.name is UNSET else patch.name,
                budget.amount_picousd if amount_picousd is None else amount_picousd,
                budget.warn_at if patch.warn_at is UNSET else patch.warn_at,
            )
            await record(connection, actor, "budget.updated", budget_id, patch)
            return _stored(row)
    except asyncpg.UniqueViolationError as error:
        raise _taken() from error


async def delete_budget(connection: Connection, budget_id: str, actor: str) -> StoredBudget | None:
    """Take a budget away with all that was known of it; ``None`` when there is none. Rows of usage stay as they are."""
    async with connection.transaction():
        row = await connection.fetchrow(_FIND + " for update", budget_id)
        if row is None:
            return None
        await connection.execute("delete from budgets where id = $1", budget_id)
        await connection.execute("delete from budget_terms where budget_id = $1", budget_id)
        # In the order in which everybody locks them.
        await connection.execute(
            "delete from budget_purses where purse in "
            "(select purse from budget_purses where budget_id = $1 order by purse for update)",
            budget_id,
        )
        await record(connection, actor, "budget.deleted", budget_id, {})
        return _stored(row)


async def find_budget(connection: Connection, budget_id: str) -> StoredBudget | None:
    """The budget of this id; ``tenant:<id>`` is a tenant's own for the month."""
    if budget_id.startswith("tenant:"):
        return await monthly_budget(connection, budget_id.removeprefix("tenant:"))
    row = await connection.fetchrow(_FIND, budget_id)
    return None if row is None else _stored(row)


async def monthly_budget(connection: Connection, tenant_id: str) -> StoredBudget | None:
    """A tenant's own budget for the month, if it has one that is not nothing."""
    row = await connection.fetchrow(_MONTHLY, tenant_id)
    if row is None:
        return None
    amount = min(int(row["monthly_budget"].scaleb(12)), MOST_PICOUSD)
    budget = Budget(
        id=f"tenant:{tenant_id}", name=row["name"], amount_picousd=amount, period="month", tenant_id=tenant_id
    )
    return StoredBudget(budget, row["created_at"], row["updated_at"])


async def list_budgets(
    connection: Connection, *, limit: int, after: Position | None = None, tenant_id: str | None = None
) -> list[StoredBudget]:
    """At most ``limit`` budgets of the database after a position, newest first."""
    at, last = (None, None) if after is None else (after.at, after.id)
    return [_stored(row) for row in await connection.fetch(_LIST, tenant_id, at, last, limit)]


async def standings(connection: Connection, budgets: Sequence[Budget], now: datetime) -> dict[str, Standing]:
    """What is spent and leased of each in the period of ``now``, by the budgets' ids, over all of their subjects."""
    rows = await connection.fetch(_SUMS, *_terms(budgets, now))
    found = {row["budget_id"]: Standing(row["spent_usd"], row["leased_usd"]) for row in rows}
    return {budget.id: found.get(budget.id, Standing()) for budget in budgets}


async def subjects(connection: Connection, budget: Budget, now: datetime) -> list[tuple[str, Standing]]:
    """The same of each subject of a budget, of those that spend most."""
    rows = await connection.fetch(_SUBJECTS, *_terms([budget], now))
    return [(row["subject"], Standing(row["spent_usd"], row["leased_usd"])) for row in rows]


def _terms(budgets: Sequence[Budget], now: datetime) -> tuple[list[str], list[int]]:
    now_s = (now - _EPOCH) // timedelta(seconds=1)
    return [budget.id for budget in budgets], [budget.period_start_s(now_s) for budget in budgets]


def _stored(row: asyncpg.Record | None) -> StoredBudget:
    if row is None:
        raise AssertionError("insert and update return their row")
    fields = dict(row)
    created_at, updated_at = fields.pop("created_at"), fields.pop("updated_at")
    fields |= {
        "user": fields.pop("user_id"),
        "amount_picousd": int(row["amount_picousd"]),
        "warn_at": tuple(row["warn_at"]),
        "per": tuple(row["per"]),
    }
    return StoredBudget(Budget(**fields), created_at, updated_at)


def _taken() -> Conflict:
    return Conflict("name: the tenant has a budget of this name already.", param="name")
