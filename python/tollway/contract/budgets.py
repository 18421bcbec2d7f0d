"""Budgets: ceilings of money, and the purses that they are held by."""

import hashlib
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

Period = Literal["day", "week", "month", "total"]
Subject = Literal["key", "user", "model"]

MOST_PICOUSD: Final = 9 * 10**18
"""The highest amount of a budget: nine million US dollars."""
ROLLING_H: Final[dict[Period, int | None]] = {"day": 24, "week": 7 * 24, "month": 30 * 24, "total": None}
"""How many hours a rolling period looks back."""

_DAY_S: Final = 86_400
_MONDAY_S: Final = 4 * _DAY_S
"""The first Monday of Unix time."""
_LONGEST_USER: Final = 200


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

    def period_start_s(self, now_s: int) -> int:
        """When the period that ``now_s`` lies in has begun, as Unix time; 0 where it has no beginning."""
        if self.rolling or self.period == "total":
            return 0
        if self.period == "month":
            now = datetime.fromtimestamp(now_s, UTC)
            return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp())
        if self.period == "week":
            return (now_s - _MONDAY_S) // (7 * _DAY_S) * (7 * _DAY_S) + _MONDAY_S
        return now_s // _DAY_S * _DAY_S

    def holds_for(self, *, tenant_id: str, key_id: str, user: str | None, model: str, tags: tuple[str, ...]) -> bool:
        """Whether a call is one of those that it is for; ``model`` is the alias that the client named."""
        return (
            self.tenant_id in (None, tenant_id)
            and self.key_id in (None, key_id)
            and self.user in (None, user)
            and self.model in (None, model)
            and (self.tag is None or self.tag in tags)
        )

    def purse(self, *, key_id: str, user: str | None, model: str, now_s: int) -> "Purse":
        """The purse that a call of these is paid from now. A user whose name is very long is told by its digest."""
        named = user or ""
        if len(named) > _LONGEST_USER:
            named = "#" + hashlib.sha256(named.encode(errors="replace")).hexdigest()
        values: dict[Subject, str] = {"key": key_id, "model": model, "user": named}
        # The user, who may be called anything, comes last: what stands before it has no "&".
        subject = "&".join(f"{kind}={value}" for kind, value in values.items() if kind in self.per)
        return Purse(self, subject.replace("\x00", "\ufffd"), self.period_start_s(now_s))


class Purse(msgspec.Struct, frozen=True):
    """One budget for one subject in one period: what hosts lease parts of.

    ``subject`` is empty, or such as ``user=alice`` or ``model=gpt-4o&user=alice``. ``period_start_s`` is Unix time, 0
    where the period has none (a total, or a rolling one).
    """

    budget: Budget
    subject: str = ""
    period_start_s: int = 0

    @property
    def name(self) -> str:
        """What it is called in the ledger and in ``UsageRow.charged``."""
        return f"{self.budget.id}|{self.period_start_s}|{self.subject}"


class Ask(msgspec.Struct, frozen=True):
    """What a host tells of a purse, and asks of it. All are whole pico-dollars.

    ``granted`` is what this host was granted in all, as it knows; ``spent`` what of it its calls have cost, settled;
    both only grow, but for what it gives back of ``granted``. ``wanted`` is what it would like to have beside what is
    granted, 0 where it only tells. Of two questions of a host the later one has the larger ``turn``: one that is
    overtaken on its way must change nothing. ``needed`` of what is wanted is what calls wait for now: it is not cut
    down to a host's share while it is there; ``None`` is all of it.
    """

    purse: Purse
    granted: int
    spent: int
    wanted: int
    turn: int = 0
    needed: int | None = None


class Granted(msgspec.Struct, frozen=True):
    """The answer to an ``Ask``: ``granted`` replaces what the host knew, in whole pico-dollars.

    ``exhausted`` says that nothing more is there for anybody, so nobody need ask again before something has changed.
    """

    name: str
    granted: int
    exhausted: bool = False
