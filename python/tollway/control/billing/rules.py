"""Which usage is asked for, and what may be put on a statement. Decisions only, no I/O."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, get_args

import msgspec

from tollway.contract.snapshot import Snapshot
from tollway.contract.usage import UsageRole
from tollway.control import fields, paging
from tollway.control.billing import queries, sums
from tollway.control.billing.books import Statement
from tollway.control.billing.columns import What
from tollway.control.billing.encoding import Format
from tollway.control.billing.exports import Export
from tollway.control.billing.invoices import Form
from tollway.control.billing.reconcile import DEFAULT_TOLERANCE_USD
from tollway.control.billing.statements import Item, sealed, total
from tollway.control.billing.sums import Bucket, Dimension, Grouping
from tollway.errors import Conflict
from tollway.settings import ProviderSettings

DEFAULT_PERIOD = timedelta(days=30)
LONGEST_REASON = 500
MOST_USD = Decimal(10**9)

_MONTH = re.compile(r"(2[0-9]{3})-(0[1-9]|1[0-2])")


class UsageRange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the list of rows. ``end`` is now and ``start`` thirty days earlier unless they are given."""

    start: datetime | None = None
    end: datetime | None = None
    tenant: str | None = None
    model: str | None = None
    key: str | None = None
    provider: str | None = None
    role: UsageRole | None = None
    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None


class UsageSums(UsageRange, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the sums: ``by`` at most two dimensions (``tenant,model``) and ``every`` hour, day or month."""

    user: str | None = None
    tag: str | None = None
    by: str | None = None
    every: Bucket | None = None


class PriceList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the list of prices."""

    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None


class StatementList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of the lists of statements and of adjustments."""

    tenant: str | None = None
    month: str | None = None
    limit: paging.Limit = paging.DEFAULT_LIMIT
    cursor: str | None = None


class AdjustmentDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body that makes an adjustment. ``month`` is that of the statement; a credit is below 0."""

    tenant: str
    month: str
    amount_usd: Annotated[Decimal, msgspec.Meta(description="US dollars, as a string or a number.")]
    reason: str


class ExportDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body that asks for an export: of a month, or from ``start`` up to, not including, ``end``."""

    what: What
    format: Format = "csv"
    month: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    tenant: str | None = None


class ReconcileQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The query of a reconciling. ``provider`` is a name of the configuration, or a kind: all providers of it. ``form``
    says whose export it is, if the provider's kind does not."""

    provider: str
    form: Form | None = None
    tolerance_usd: Decimal = DEFAULT_TOLERANCE_USD


class ShownStatement(msgspec.Struct, frozen=True, kw_only=True):
    """A statement with its items. Of a draft nothing is stored: it is what closing it now would store.

    ``is_intact`` says whether the items of a closed one are those that its hash was made of.
    """

    tenant_id: str
    month: str
    status: str
    total_usd: Decimal
    unpriced_calls: int
    hash: str | None
    is_intact: bool | None
    closed_at: datetime | None
    closed_by: str | None
    items: Sequence[Item]


class ShownHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A closed statement in a list, without its items."""

    tenant_id: str
    month: str
    total_usd: Decimal
    hash: str
    closed_at: datetime
    closed_by: str


class ShownCost(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of one value, or pair of values, in one bucket, as in :class:`tollway.control.billing.sums.Sum`."""

    at: datetime | None
    value: str
    name: str | None
    second: sums.Second | None
    calls: int
    unpriced: int
    cost_usd: Decimal
    costs_usd: sums.CostsByKind


class ShownPrice(msgspec.Struct, frozen=True, kw_only=True):
    """What a target's tokens cost: rates in pico-dollars, as :class:`tollway.contract.snapshot.Price` names them.

    ``price`` is ``None`` for a target without a price.
    """

    model: str
    provider: str
    provider_model: str
    price: object

    @property
    def position(self) -> tuple[str, str, str]:
        """Its place in the list."""
        return self.model, self.provider, self.provider_model


def selection(asked: UsageRange, now: datetime) -> queries.Selection:
    """The rows that are meant.

    Raises:
        InvalidRequest: a time has no zone, or the range is empty.
    """
    start, end = _range(asked, now)
    return queries.Selection(start, end, asked.tenant, asked.model, asked.key, asked.provider, asked.role)


def summed_selection(asked: UsageSums, now: datetime) -> sums.Selection:
    """The calls that are meant.

    Raises:
        InvalidRequest: as above.
    """
    start, end = _range(asked, now)
    return sums.Selection(
        start=start,
        end=end,
        tenant=asked.tenant,
        model=asked.model,
        key=asked.key,
        provider=asked.provider,
        user=asked.user,
        tag=asked.tag,
        role=asked.role,
    )


def grouping(by: str | None, every: Bucket | None) -> Grouping:
    """By what is summed: by tenant, unless something is said.

    Raises:
        InvalidRequest: a dimension is unknown or named twice, or there are more than two.
    """
    if by is None:
        return Grouping(() if every else ("tenant",), every)
    known: dict[str, Dimension] = {name: name for name in get_args(Dimension)}
    named = [part.strip() for part in by.split(",")]
    if not all(name in known for name in named):
        raise fields.refused("by", f"should be of {', '.join(known)}.")
    if len(set(named)) != len(named) or len(named) > 2:
        raise fields.refused("by", "should be one of them, or two, as in tenant,model.")
    return Grouping(tuple(known[name] for name in named), every)


def month(text: str, field: str = "month") -> date:
    """A month as its first day: ``2027-01``.

    Raises:
        InvalidRequest: it is none.
    """
    match = _MONTH.fullmatch(text)
    if match is None:
        raise fields.refused(field, "should be a month, as in 2027-01.")
    return date(int(match[1]), int(match[2]), 1)


def month_end(first: date) -> datetime:
    """When a month is over (UTC)."""
    return datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)


def may_close(first: date, now: datetime) -> None:
    """A month is closed when it is over.

    Raises:
        Conflict: it is not.
    """
    if now < month_end(first):
        raise Conflict(f"{first:%Y-%m} is not over yet (UTC); a statement is closed after its month.")


def amount(value: Decimal, field: str = "amount_usd") -> Decimal:
    """The amount of an adjustment.

    Raises:
        InvalidRequest: it is nothing, more than a billion dollars, or finer than a pico-dollar.
    """
    if not value.is_finite() or not value or abs(value) > MOST_USD:
        raise fields.refused(field, f"should not be 0, nor beyond {MOST_USD:,} dollars.")
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -12:
        raise fields.refused(field, "should have at most 12 decimals.")
    return value


def reason(text: str, field: str = "reason") -> str:
    """Why something is adjusted: a line that whoever pays will read.

    Raises:
        InvalidRequest: it is empty, too long, or not printable.
    """
    said = text.strip()
    if not 1 <= len(said) <= LONGEST_REASON or not said.isprintable():
        raise fields.refused(field, f"should be one printable line of at most {LONGEST_REASON} characters.")
    return said


def export(asked: ExportDraft) -> Export:
    """What is to be exported. Sums and charges are by the day, so their range is made one of whole days.

    Raises:
        InvalidRequest: a month and a range are given, or neither, or the range is empty or has no zone.
    """
    if asked.month is not None and asked.start is None and asked.end is None:
        first = month(asked.month)
        start, end = datetime(first.year, first.month, 1, tzinfo=UTC), month_end(first)
    elif asked.month is None and asked.start is not None and asked.end is not None:
        start, end = _universal(asked.start, "start"), _universal(asked.end, "end")
    else:
        raise fields.refused("month", "should be given, or else start and end.")
    if start >= end:
        raise fields.refused("start", "must lie before end.")
    if asked.what != "rows":
        start = start.replace(hour=0, minute=0, second=0, microsecond=0)
        end = (end + timedelta(days=1, microseconds=-1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return Export(what=asked.what, format=asked.format, start=start, end=end, tenant=asked.tenant)


def export_of(wanted: Export, tenant_id: str | None) -> Export:
    """The same of a tenant by its id."""
    return msgspec.structs.replace(wanted, tenant=tenant_id)


def accounts(asked: ReconcileQuery, providers: Mapping[str, ProviderSettings]) -> tuple[list[str], Form]:
    """Which providers' rows are meant, by name, and how the export is read. A name that the configuration no longer has
    is still in rows.

    Raises:
        InvalidRequest: the tolerance is no amount.
    """
    if not asked.tolerance_usd.is_finite() or not 0 <= asked.tolerance_usd <= MOST_USD:
        raise fields.refused("tolerance_usd", "should be an amount of US dollars, from 0.")
    if asked.provider in providers:
        names = [asked.provider]
    else:
        names = [name for name, each in providers.items() if each.kind == asked.provider] or [asked.provider]
    kinds: set[str] = {providers[name].kind for name in names if name in providers} or {asked.provider}
    known: dict[str, Form] = {"openai": "openai", "anthropic": "anthropic"}
    return names, asked.form or known.get(kinds.pop(), "csv")


def shown_draft(tenant_id: str, first: date, items: Sequence[Item]) -> ShownStatement:
    """A statement that is not closed."""
    return ShownStatement(
        tenant_id=tenant_id,
        month=f"{first:%Y-%m}",
        status="draft",
        total_usd=total(items),
        unpriced_calls=_unpriced(items),
        hash=None,
        is_intact=None,
        closed_at=None,
        closed_by=None,
        items=items,
    )


def shown_closed(statement: Statement, items: Sequence[Item]) -> ShownStatement:
    """A closed statement."""
    seal = sealed(statement.tenant_id, statement.month, items).hex()
    return ShownStatement(
        tenant_id=statement.tenant_id,
        month=f"{statement.month:%Y-%m}",
        status="closed",
        total_usd=statement.total_usd,
        unpriced_calls=_unpriced(items),
        hash=statement.hash,
        is_intact=seal == statement.hash and statement.total_usd == total(items),
        closed_at=statement.closed_at,
        closed_by=statement.closed_by,
        items=items,
    )


def shown_header(statement: Statement) -> ShownHeader:
    """A closed statement in a list."""
    plain = msgspec.structs.asdict(statement)
    return ShownHeader(**(plain | {"month": f"{statement.month:%Y-%m}"}))


def shown_cost(entry: sums.Sum) -> ShownCost:
    """The money of a sum."""
    return ShownCost(**{name: getattr(entry, name) for name in ShownCost.__struct_fields__})


def listed_prices(snapshot: Snapshot) -> list[ShownPrice]:
    """What every target costs as calls are priced by now, by model, provider and the model's name there."""
    found = {
        (route.alias, target.provider.name, target.model): target.price
        for route in snapshot.routes.values()
        for target in route.targets
    }
    return [
        ShownPrice(model=alias, provider=provider, provider_model=model, price=found[alias, provider, model])
        for alias, provider, model in sorted(found)
    ]


def _unpriced(items: Sequence[Item]) -> int:
    return sum(int(item.quantity or 0) for item in items if item.what == "unpriced")


def _range(asked: UsageRange, now: datetime) -> tuple[datetime, datetime]:
    end = now if asked.end is None else _universal(asked.end, "end")
    try:
        start = end - DEFAULT_PERIOD if asked.start is None else _universal(asked.start, "start")
    except OverflowError as error:
        raise fields.refused("end", "lies before there was time to count.") from error
    if start >= end:
        raise fields.refused("start", "must lie before end.")
    return start, end


def _universal(value: datetime, field: str) -> datetime:
    """The moment in UTC, a day away from the end of time, so that hours can be counted on."""
    try:
        at = fields.moment(value, field).astimezone(UTC)
        _ = at + timedelta(days=1)
    except OverflowError as error:
        raise fields.refused(field, "lies where no time is counted.") from error
    return at
