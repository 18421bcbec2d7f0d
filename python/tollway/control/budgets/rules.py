"""What a budget may look like, which the configuration file declares, and how one is shown. Decisions only, no I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import msgspec
from msgspec import UNSET

from tollway.contract.budgets import Budget, Period, Subject
from tollway.control import fields
from tollway.control.budgets.queries import BudgetDraft, BudgetPatch, Standing
from tollway.control.money import picousd, plain
from tollway.errors import Conflict, InvalidRequest
from tollway.settings import Settings

LONGEST_VALUE = 200
MOST_THRESHOLDS = 8
MONTHLY = "file:tenant:"
"""What the id of a declared tenant's own budget for the month begins with, before the tenant's name."""


class SubjectStanding(msgspec.Struct, frozen=True, kw_only=True):
    """One subject of a budget that has a ceiling for each: ``user=alice``."""

    subject: str
    spent_usd: Decimal
    leased_usd: Decimal
    left_usd: Decimal


class ShownBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as it is shown, with how it stands in its running period.

    ``spent_usd`` are the rows that have reached the database, ``leased_usd`` what hosts hold beside it for calls that
    are under way or to come, ``left_usd`` what is neither; ``None`` where each subject has a ceiling of its own.
    ``period_start`` is ``None`` where there is none: of a total, and of a rolling period.
    """

    id: str
    name: str
    managed_by: Literal["file", "database"]
    tenant_id: str | None
    amount_usd: Decimal
    period: Period
    rolling: bool
    warn_at: tuple[int, ...]
    key: str | None
    user: str | None
    model: str | None
    tag: str | None
    per: tuple[Subject, ...]
    period_start: datetime | None
    spent_usd: Decimal
    leased_usd: Decimal
    left_usd: Decimal | None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    subjects: tuple[SubjectStanding, ...] | None = None


def declared_budgets(settings: Settings) -> tuple[Budget, ...]:
    """The budgets that the configuration file declares: those of ``budgets``, then the tenants' own for the month."""
    listed = (
        Budget(
            id=f"file:{budget.name}",
            name=budget.name,
            amount_picousd=budget.amount_picousd,
            period=budget.period,
            rolling=budget.rolling,
            warn_at=tuple(sorted(set(budget.warn_at))),
            tenant_id=budget.tenant,
            key_id=budget.key,
            user=budget.user,
            model=budget.model,
            tag=budget.tag,
            per=tuple(dict.fromkeys(budget.per)),
        )
        for budget in settings.budgets
    )
    monthly = (
        Budget(
            id=f"{MONTHLY}{name}",
            name=name,
            amount_picousd=tenant.monthly_budget_picousd,
            period="month",
            tenant_id=name,
        )
        for name, tenant in settings.tenants.items()
        if tenant.monthly_budget_picousd
    )
    return (*listed, *monthly)


def checked_draft(draft: BudgetDraft) -> tuple[BudgetDraft, int]:
    """The draft, its fields in order, and its amount in pico-dollars.

    Raises:
        InvalidRequest: a field is wrong.
    """
    if draft.rolling and draft.period == "total":
        raise fields.refused("rolling", "a total never ends, so nothing of it can fall out.")
    if draft.tag is not None and not all(draft.tag.partition("=")):
        raise fields.refused("tag", "must be name=value.")
    for field in ("key", "user", "model", "tag"):
        value = getattr(draft, field)
        if value is not None and not (0 < len(value) <= LONGEST_VALUE and value.isprintable()):
            raise fields.refused(field, f"must have 1 to {LONGEST_VALUE} characters that can be printed.")
    checked = msgspec.structs.replace(
        draft, name=fields.name(draft.name), warn_at=_thresholds(draft.warn_at), per=tuple(dict.fromkeys(draft.per))
    )
    return checked, _amount(draft.amount_usd)


def checked_patch(patch: BudgetPatch) -> tuple[BudgetPatch, int | None]:
    """The patch, its fields in order, and its amount in pico-dollars if it has one.

    Raises:
        InvalidRequest: a field is wrong, or there is nothing to change.
    """
    if patch.is_empty:
        raise InvalidRequest("There is nothing to change: the body names no field.")
    checked = msgspec.structs.replace(
        patch,
        name=UNSET if patch.name is UNSET else fields.name(patch.name),
        warn_at=UNSET if patch.warn_at is UNSET else _thresholds(patch.warn_at),
    )
    return checked, None if patch.amount_usd is UNSET else _amount(patch.amount_usd)


def refuse_elsewhere(budget_id: str) -> None:
    """What the file declares is changed there, and what a tenant has of itself with the tenant.

    Raises:
        Conflict: this is such a budget.
    """
    if budget_id.startswith("file:"):
        raise Conflict("This budget is managed by the configuration file; change it there.")
    if budget_id.startswith("tenant:"):
        raise Conflict("This is the tenant's own budget for the month; it changes with the tenant.")


def shown(
    budget: Budget,
    standing: Standing,
    now: datetime,
    *,
    since: tuple[datetime, datetime] | None = None,
    subjects: Sequence[tuple[str, Standing]] | None = None,
) -> ShownBudget:
    """A budget with its standing. ``since`` is when one of the database was made, and changed."""
    amount_usd = Decimal(budget.amount_picousd).scaleb(-12)
    start_s = budget.period_start_s(int(now.timestamp()))
    created_at, updated_at = since or (None, None)
    return ShownBudget(
        id=budget.id,
        name=budget.name,
        managed_by="file" if budget.id.startswith("file:") else "database",
        tenant_id=budget.tenant_id,
        amount_usd=plain(amount_usd),
        period=budget.period,
        rolling=budget.rolling,
        warn_at=budget.warn_at,
        key=budget.key_id,
        user=budget.user,
        model=budget.model,
        tag=budget.tag,
        per=budget.per,
        period_start=datetime.fromtimestamp(start_s, UTC) if start_s else None,
        spent_usd=plain(standing.spent_usd),
        leased_usd=plain(standing.leased_usd),
        left_usd=None if budget.per else _left(amount_usd, standing),
        created_at=created_at,
        updated_at=updated_at,
        subjects=None
        if subjects is None
        else tuple(
            SubjectStanding(
                subject=subject,
                spent_usd=plain(own.spent_usd),
                leased_usd=plain(own.leased_usd),
                left_usd=_left(amount_usd, own),
            )
            for subject, own in subjects
        ),
    )


def _left(amount_usd: Decimal, standing: Standing) -> Decimal:
    """Less than nothing where an answer has cost more than was reserved, or the amount was lowered."""
    return plain(amount_usd - standing.spent_usd - standing.leased_usd)


def _amount(amount_usd: Decimal) -> int:
    amount = picousd(amount_usd, "amount_usd")
    if not amount:
        raise fields.refused("amount_usd", "must be above 0; who may spend nothing has a monthly_budget_usd of 0.")
    return amount


def _thresholds(per_cents: Sequence[int]) -> tuple[int, ...]:
    if len(per_cents) > MOST_THRESHOLDS:
        raise fields.refused("warn_at", f"must not have more than {MOST_THRESHOLDS} entries.")
    if not all(1 <= per_cent <= 100 for per_cent in per_cents):
        raise fields.refused("warn_at", "must be per cents from 1 to 100.")
    return tuple(sorted(set(per_cents)))
