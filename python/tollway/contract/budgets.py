"""Budgets: ceilings of money, and the purses that they are held by."""

from typing import Literal

import msgspec

Period = Literal["day", "week", "month", "total"]
Subject = Literal["key", "user", "model"]


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A ceiling for what matching calls may cost in a period. ``amount_picousd`` is never passed.

    A period is the calendar's, in UTC (weeks begin on Monday), or with ``rolling`` the last 24 hours, 7 or 30 days.
    All filters that are set must hold of a call. With ``per`` there is one ceiling for each value among these calls.
    ``warn_at`` are per cents of it at which somebody is told.
    """

    id: str
    name: str
    amount_picousd: int
    period: Period
    rolling: bool = False
    warn_at: tuple[int, ...] = ()
    tenant_id: str | None = None
    key_id: str | None = None
    user: str | None = None
    model: str | None = None
    tag: str | None = None
    per: tuple[Subject, ...] = ()


class Purse(msgspec.Struct, frozen=True):
    """One budget for one subject in one period: what hosts lease parts of.

    ``subject`` is empty, or such as ``user=alice``. ``period_start_s`` is Unix time, 0 where the period has none (a
    total, or a rolling one).
    """

    budget: Budget
    subject: str = ""
    period_start_s: int = 0

    @property
    def name(self) -> str:
        """What it is called in the ledger and in ``UsageRow.charged``."""
        return f"{self.budget.id}|{self.period_start_s}|{self.subject}"
