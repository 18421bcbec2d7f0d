"""What a tenant is billed for a month: sums and adjustments in, line items out. Decisions only, no I/O.

The sums of a month are those of its rows, whenever these arrived. What closed statements have billed of a month is
known, too. So what is still to be billed of it is a difference: of a month that has no closed statement it is the
whole, of a closed one its late rows. Nothing is billed twice, and nothing is lost, in whatever order rows arrive and
months close.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

ItemKind = Literal["usage", "late", "adjustment"]
What = Literal[
    "input",
    "cached_input",
    "cache_write",
    "output",
    "reasoning",
    "audio",
    "image",
    "requests",
    "unsplit",
    "unpriced",
]
"""What a line is for: tokens of a kind; ``requests`` (calls, and what is paid for each); ``unsplit`` (cost of rows that
were stored before costs were told by kind); ``unpriced`` (calls whose model had no price, which is no amount)."""

UNITS: Mapping[str, str] = {"requests": "calls", "unpriced": "calls", "unsplit": "calls"}
"""What quantities count, where it is not tokens."""

_NOTHING = Decimal(0)


class Service(msgspec.Struct, frozen=True, order=True):
    """Who answered: the alias that clients named, the provider, and the model's name there."""

    model: str
    provider: str
    provider_model: str


class MonthSum(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a month's rows for one service, as the roll-ups have them; costs are US dollars, exact.

    A hedge is no request of its own, but what it took and cost is in here; shadows are nobody's calls, and left out.
    """

    month: date
    model: str
    provider: str
    provider_model: str
    requests: Decimal
    unpriced: Decimal
    prompt_tokens: Decimal
    completion_tokens: Decimal
    cached_tokens: Decimal
    cache_write_tokens: Decimal
    reasoning_tokens: Decimal
    audio_input_tokens: Decimal
    audio_output_tokens: Decimal
    image_input_tokens: Decimal
    image_output_tokens: Decimal
    cost: Decimal
    cost_input: Decimal
    cost_cached_input: Decimal
    cost_cache_write: Decimal
    cost_output: Decimal
    cost_reasoning: Decimal
    cost_audio: Decimal
    cost_image: Decimal
    cost_other: Decimal

    @property
    def service(self) -> Service:
        """Who answered."""
        return Service(self.model, self.provider, self.provider_model)


class Line(msgspec.Struct, frozen=True):
    """A quantity and what it costs."""

    quantity: Decimal = _NOTHING
    amount: Decimal = _NOTHING

    def __add__(self, other: "Line") -> "Line":
        return Line(self.quantity + other.quantity, self.amount + other.amount)

    def __sub__(self, other: "Line") -> "Line":
        return Line(self.quantity - other.quantity, self.amount - other.amount)

    def __bool__(self) -> bool:
        return bool(self.quantity or self.amount)


class BilledSum(msgspec.Struct, frozen=True, kw_only=True):
    """What closed statements hold of a month's calls, for one service and kind."""

    of_month: date
    model: str
    provider: str
    provider_model: str
    what: str
    quantity: Decimal
    amount: Decimal

    @property
    def service(self) -> Service:
        """Who answered."""
        return Service(self.model, self.provider, self.provider_model)


class Adjustment(msgspec.Struct, frozen=True, kw_only=True):
    """A debit (above 0) or a credit (below), in US dollars, on the statement of a month."""

    id: str
    amount_usd: Decimal
    reason: str


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a statement. ``of_month`` is when the calls were made: before the statement's month for late ones."""

    kind: ItemKind
    of_month: date
    amount_usd: Decimal
    model: str | None = None
    provider: str | None = None
    provider_model: str | None = None
    what: str | None = None
    unit: str | None = None
    quantity: Decimal | None = None
    adjustment_id: str | None = None
    reason: str | None = None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a tenant's months up to that of a statement: the sums of their rows, what closed statements
    hold, which months are closed, and the statement's adjustments."""

    sums: Sequence[MonthSum]
    billed: Sequence[BilledSum]
    closed: Collection[date]
    adjustments: Sequence[Adjustment]


def drafted(month: date, known: Known) -> list[Item]:
    """The items of a statement that is not closed, in their order: the month's calls, late ones, adjustments."""
    sums = _by_month(known.sums)
    billed: dict[date, dict[Service, dict[str, Line]]] = defaultdict(lambda: defaultdict(dict))
    for each in known.billed:
        lines = billed[each.of_month][each.service]
        lines[each.what] = lines.get(each.what, Line()) + Line(each.quantity, each.amount)
    items = [*_items("usage", month, sums.get(month, {}))]
    for earlier in late_months(month, known.closed, sums.keys()):
        items += _items("late", earlier, _unbilled(sums.get(earlier, {}), billed[earlier]))
    items += (
        Item(kind="adjustment", of_month=month, amount_usd=each.amount_usd, adjustment_id=each.id, reason=each.reason)
        for each in known.adjustments
    )
    return items


def late_months(month: date, closed: Collection[date], used: Collection[date]) -> list[date]:
    """The closed months whose late calls go on the statement of ``month``: its next one that is open.

    ``used`` are the months with calls. One between them without calls may never have a statement, so it is not waited
    for.
    """
    awaited = [each for each in used if each < month and each not in closed]
    last = max(awaited, default=None)
    return sorted(each for each in closed if each < month and (last is None or each > last))


def total(items: Iterable[Item]) -> Decimal:
    """What is to be paid, in US dollars, exact."""
    return sum((item.amount_usd for item in items), start=_NOTHING)


def sealed(tenant_id: str, month: date, items: Sequence[Item]) -> bytes:
    """SHA-256 over a statement: a JSON array of the tenant, the month and the items, each an array of its fields in the
    order of :class:`Item`. Numbers are texts in their shortest form, so that it can be computed anew from whatever
    holds them."""
    said = [tenant_id, month, [[_plain(value) for value in msgspec.structs.astuple(item)] for item in items]]
    return hashlib.sha256(msgspec.json.encode(said)).digest()


def lines_of(sums: MonthSum) -> dict[str, Line]:
    """The sums as lines by kind. Every amount is in exactly one of them, so together they are the cost.

    Quantities of tokens are differences: what a provider counts as cached is taken from the prompt, for instance. One
    that tells more cached tokens than prompt has a line below zero; it is left so, for then sums stay sums.
    """
    cached, written, reasoned = sums.cached_tokens, sums.cache_write_tokens, sums.reasoning_tokens
    heard, seen = sums.audio_input_tokens, sums.image_input_tokens
    said, drawn = sums.audio_output_tokens, sums.image_output_tokens
    lines = {
        "input": Line(sums.prompt_tokens - cached - written - heard - seen, sums.cost_input),
        "cached_input": Line(cached, sums.cost_cached_input),
        "cache_write": Line(written, sums.cost_cache_write),
        "output": Line(sums.completion_tokens - reasoned - said - drawn, sums.cost_output),
        "reasoning": Line(reasoned, sums.cost_reasoning),
        "audio": Line(heard + said, sums.cost_audio),
        "image": Line(seen + drawn, sums.cost_image),
        "requests": Line(sums.requests, sums.cost_other),
    }
    rest = sums.cost - sum((line.amount for line in lines.values()), start=_NOTHING)
    return lines | {"unsplit": Line(_NOTHING, rest), "unpriced": Line(sums.unpriced)}


def _by_month(sums: Iterable[MonthSum]) -> dict[date, dict[Service, dict[str, Line]]]:
    found: dict[date, dict[Service, dict[str, Line]]] = defaultdict(dict)
    for each in sums:
        found[each.month][each.service] = lines_of(each)
    return found


def _unbilled(
    sums: Mapping[Service, Mapping[str, Line]], billed: Mapping[Service, Mapping[str, Line]]
) -> dict[Service, dict[str, Line]]:
    """What of a closed month no statement holds yet. Where less is there than was billed, nothing: rows are never
    taken away, but roll-ups end with their retention."""
    found: dict[Service, dict[str, Line]] = {}
    for service, lines in sums.items():
        had = billed.get(service, {})
        rest = {what: line - had.get(what, Line()) for what, line in lines.items()}
        if sum(line.amount for line in rest.values()) >= 0 and rest["requests"].quantity >= 0:
            found[service] = rest
    return found


def _items(kind: ItemKind, of_month: date, services: Mapping[Service, Mapping[str, Line]]) -> Iterable[Item]:
    for service in sorted(services):
        for what, line in services[service].items():
            if line:
                yield Item(
                    kind=kind,
                    of_month=of_month,
                    amount_usd=line.amount,
                    model=service.model,
                    provider=service.provider,
                    provider_model=service.provider_model,
                    what=what,
                    unit=UNITS.get(what, "tokens"),
                    quantity=line.quantity,
                )


def _plain(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    return f"{value.normalize():f}" if value else "0"
