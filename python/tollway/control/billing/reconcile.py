"""A provider's account against our rows, by day and model: what differs, and why. Decisions only, no I/O."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal, TypeVar

import msgspec

from tollway.control.billing.invoices import Told
from tollway.errors import InvalidRequest

DEFAULT_TOLERANCE_USD = Decimal("0.01")
"""What a day's cost of a model may differ by: providers round."""

MOST_DIFFERENCES = 1_000

Reason = Literal[
    "not_here",
    "not_there",
    "unpriced",
    "price",
    "more_there",
    "more_here",
    "estimated",
    "failed",
    "hedges",
    "shadows",
]

_TOKENS = ("input_tokens", "cached_tokens", "cache_write_tokens", "output_tokens")
_FIGURES = ("requests", *_TOKENS, "cost_usd")
_SNAPSHOT_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")

Key = tuple[date, str]


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """What our rows say of a day and a model: everything that reached the provider, hedges and shadows too.

    ``estimated`` are calls whose tokens the provider did not tell: they were counted or estimated here.
    """

    day: date
    model: str
    requests: int
    failed: int
    unpriced: int
    hedges: int
    shadows: int
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    output_tokens: int
    cost_usd: Decimal
    estimated: int = 0


class Explanation(msgspec.Struct, frozen=True):
    """Why figures differ, or may: a word for machines, a sentence for people."""

    reason: Reason
    text: str


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A day and a model whose figures differ; ``model`` is empty where the provider tells only a day's cost.

    ``more_there`` is theirs without ours, figure by figure, of those that the provider tells.
    """

    day: date
    model: str
    theirs: Told | None
    ours: Ours | None
    more_there: dict[str, int | Decimal]
    explanations: Sequence[Explanation]


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome. ``agreeing`` and ``differing`` count days and models; of those that differ, the first
    ``MOST_DIFFERENCES`` are told. Totals are over all of them."""

    first_day: date
    last_day: date
    agreeing: int
    differing: int
    differences: Sequence[Difference]
    theirs_usd: Decimal | None
    ours_usd: Decimal


def undated(model: str) -> str:
    """A model's name without the date of a snapshot: what is called by one may be billed by the other."""
    return _SNAPSHOT_DATE.sub("", model)


def days_of(theirs: Sequence[Told]) -> tuple[date, date]:
    """The first and the last day that an account tells of.

    Raises:
        InvalidRequest: it tells of none.
    """
    if not theirs:
        raise InvalidRequest("The export tells of no day.")
    days = [line.day for line in theirs]
    return min(days), max(days)


def reconciled(
    theirs: Sequence[Told], ours: Sequence[Ours], tolerance_usd: Decimal = DEFAULT_TOLERANCE_USD
) -> Reconciled:
    """Compare what both sides tell. ``ours`` are those of the days from the first of ``theirs`` to the last.

    Raises:
        InvalidRequest: the account tells of no day.
    """
    first, last = days_of(theirs)
    told, here = _theirs(theirs), _ours(ours)
    figures = {name for line in theirs for name in _FIGURES if getattr(line, name) is not None}
    by_model = any(model for _, model in told)
    keys = {key for key in told if key[1] or told[key].cost_usd is not None}
    keys |= {key for key in here if by_model and key[1]}
    compared = [_compared(key, told.get(key), here.get(key), figures, tolerance_usd) for key in sorted(keys)]
    differences = [each for each in compared if each is not None]
    costs = [line.cost_usd for line in theirs if line.cost_usd is not None]
    return Reconciled(
        first_day=first,
        last_day=last,
        agreeing=len(compared) - len(differences),
        differing=len(differences),
        differences=differences[:MOST_DIFFERENCES],
        theirs_usd=sum(costs, start=Decimal(0)) if costs else None,
        ours_usd=sum((line.cost_usd for line in ours), start=Decimal(0)),
    )


Line = TypeVar("Line", Told, Ours)


def _theirs(lines: Iterable[Told]) -> dict[Key, Told]:
    found: dict[Key, Told] = {}
    for line in lines:
        _put(found, (line.day, undated(line.model)), line)
    return found


def _ours(lines: Iterable[Ours]) -> dict[Key, Ours]:
    """By day and model, and under an empty name by day."""
    found: dict[Key, Ours] = {}
    for line in lines:
        _put(found, (line.day, undated(line.model)), line)
        _put(found, (line.day, ""), line)
    return found


def _put(found: dict[Key, Line], key: Key, line: Line) -> None:
    had = found.get(key)
    added = {} if had is None else {name: _sum(getattr(had, name), getattr(line, name)) for name in _numbers(line)}
    found[key] = msgspec.structs.replace(line, model=key[1], **added)


def _numbers(line: Told | Ours) -> list[str]:
    return [name for name in line.__struct_fields__ if name not in ("day", "model")]


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _compared(
    key: Key, told: Told | None, ours: Ours | None, figures: Iterable[str], tolerance_usd: Decimal
) -> Difference | None:
    more: dict[str, int | Decimal] = {
        name: (getattr(told, name, 0) or 0) - (getattr(ours, name, 0) or 0)
        for name in _FIGURES
        if (name in figures if told is None else getattr(told, name) is not None)
    }
    tokens = [more[name] for name in _TOKENS if name in more]
    judged = tokens or "cost_usd" in more
    if (
        not any(tokens)
        and abs(Decimal(more.get("cost_usd", 0))) <= tolerance_usd
        and (judged or not any(more.values()))
    ):
        return None  # where tokens or cost agree, a call that failed there and here is no difference
    return Difference(
        day=key[0],
        model=key[1],
        theirs=told,
        ours=ours,
        more_there=more,
        explanations=list(_explained(told, ours, more, tolerance_usd)),
    )


def _explained(
    told: Told | None, ours: Ours | None, more: Mapping[str, int | Decimal], tolerance_usd: Decimal
) -> Iterator[Explanation]:
    if ours is None:
        yield Explanation("not_here", "No rows here: calls that did not pass through Tollway, or still in a journal.")
        return
    if told is None:
        yield Explanation("not_there", "The account lacks it: another organisation's key, or figures not yet made.")
    else:
        yield from _figures_explained(told, ours, more, tolerance_usd)
    yield from _calls_explained(ours)


def _figures_explained(
    told: Told, ours: Ours, more: Mapping[str, int | Decimal], tolerance_usd: Decimal
) -> Iterator[Explanation]:
    tokens = [more[name] for name in _TOKENS if name in more]
    if ours.unpriced:
        yield Explanation("unpriced", f"{ours.unpriced:,} calls have no price here: their cost is not in ours.")
    elif told.cost_usd is not None and not any(tokens) and abs(told.cost_usd - ours.cost_usd) > tolerance_usd:
        alike = "The same tokens cost" if tokens else "It costs"
        yield Explanation("price", f"{alike} {told.cost_usd:f} there and {ours.cost_usd:f} here: another price.")
    if any(count > 0 for count in tokens):
        yield Explanation("more_there", "More tokens there: calls that did not pass through Tollway, or rows missing.")
    if any(count < 0 for count in tokens):
        yield Explanation("more_here", "More tokens here than the provider bills.")


def _calls_explained(ours: Ours) -> Iterator[Explanation]:
    if ours.estimated:
        yield Explanation(
            "estimated", f"Of {ours.estimated:,} calls the provider told no tokens: they were counted or estimated."
        )
    if ours.failed:
        yield Explanation("failed", f"{ours.failed:,} calls failed or were cut: a provider may bill part of them.")
    if ours.hedges:
        yield Explanation("hedges", f"{ours.hedges:,} are hedges: second tries, which the provider bills as well.")
    if ours.shadows:
        yield Explanation("shadows", f"{ours.shadows:,} are shadows: copies for comparison, on no tenant's statement.")
