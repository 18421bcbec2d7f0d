"""Reading the roll-ups: calls, tokens and cost by one or two dimensions and by hour, day or month. It writes nothing.

Whole days are read from ``usage_daily``, what is left at both ends from ``usage_hourly``, tags from
``usage_tags_hourly``; so a range is one of whole hours.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal

import asyncpg
import msgspec

from tollway.contract.usage import UsageRole
from tollway.storage.pool import Connection

Dimension = Literal["tenant", "key", "user", "model", "provider", "tag"]
Bucket = Literal["hour", "day", "month"]

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls: from ``start`` up to, not including, ``end``; ``None`` selects every tenant, model…

    With no ``role``, sums are of answers, and of what hedges took and cost; shadows are left out.
    """

    start: datetime
    end: datetime
    tenant: str | None = None
    model: str | None = None
    key: str | None = None
    provider: str | None = None
    user: str | None = None
    tag: str | None = None
    role: UsageRole | None = None


class Grouping(msgspec.Struct, frozen=True):
    """By what is summed: at most two dimensions, and a bucket of time (UTC)."""

    by: tuple[Dimension, ...] = ()
    every: Bucket | None = None


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A sum's place in the order: its bucket, then its values."""

    at: datetime | None
    value: str
    second: str


class Second(msgspec.Struct, frozen=True):
    """The other dimension: a value, and what people call it if that is not the value itself."""

    value: str
    name: str | None


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """All calls of one value, or pair of values, in one bucket.

    ``at`` is when the bucket begins, if there are buckets. ``name`` is what people call it, if that is not ``value``
    itself. Money is US dollars, exact, and leaves out ``unpriced`` rows, whose models have no price; ``failed`` counts
    the calls whose outcome is not ``ok``. A hedge is no call of its own, but what it took and cost is in the sums. So
    is what caches answered (``cache_hits`` of the calls), at no cost; ``saved_usd`` is what it cost when it was given
    first. Mean times are milliseconds, ``None`` where nothing was measured.
    """

    at: datetime | None
    value: str
    name: str | None
    second: Second | None
    calls: int
    failed: int
    unpriced: int
    cache_hits: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    audio_input_tokens: int
    audio_output_tokens: int
    image_input_tokens: int
    image_output_tokens: int
    cost_usd: Decimal
    costs_usd: "CostsByKind"
    saved_usd: Decimal
    mean_latency_ms: int | None
    mean_first_token_ms: int | None

    @property
    def place(self) -> Place:
        """Its place in the order."""
        return Place(self.at, self.value, "" if self.second is None else self.second.value)


class CostsByKind(msgspec.Struct, frozen=True):
    """What was paid for what, in US dollars. ``unsplit`` is the cost of rows that were stored before costs were told by
    kind."""

    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    output: Decimal
    reasoning: Decimal
    audio: Decimal
    image: Decimal
    other: Decimal
    unsplit: Decimal


_COLUMN = {"tenant": "tenant_id", "key": "api_key_id", "user": "user_id", "model": "model", "provider": "provider"}
_COLUMNS = {**_COLUMN, "tag": "tag"}

_TOKENS = (
    "prompt_tokens",
    "completion_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "image_input_tokens",
    "image_output_tokens",
)
_COSTS = tuple(f"cost_{kind}" for kind in CostsByKind.__struct_fields__ if kind != "unsplit")
_ALIKE = ("unpriced", "cache_hits", "first_tokens", "latency_ms", "first_token_ms", *_TOKENS, "cost", *_COSTS, "saved")
_MEASURES = {"calls": "all_calls", **{name: name for name in _ALIKE}}

_SELECTED = """
    ($3::text is null or tenant_id = $3) and ($4::text is null or model = $4)
    and ($5::text is null or api_key_id = $5) and ($6::text is null or provider = $6)
    and ($7::text is null or user_id = $7)
    and case when $8::text is null then role <> 'shadow' else role = $8 end
"""

_WITHOUT_TAGS = f"""
    select * from usage_daily where bucket >= $9 and bucket < $10 and {_SELECTED}
    union all
    select * from usage_hourly
    where (bucket >= $1 and bucket < least($9, $2) or bucket >= greatest($10, $1) and bucket < $2) and {_SELECTED}
"""  # noqa: S608 -- conditions of ours, with parameters

_WITH_TAGS = f"""
    select * from usage_tags_hourly
    where bucket >= $1 and bucket < $2 and {_SELECTED} and ($9::text is null or tag = $9) and $10::text is null
"""  # noqa: S608 -- conditions of ours, with parameters

_NAME = """
    case {dimension}
        when 'tenant' then (select name from tenants where id = {value})
        when 'key' then (select name from api_keys where id = {value})
    end
"""


async def summed(
    connection: Connection, selection: Selection, grouping: Grouping, *, limit: int, after: Place | None = None
) -> list[Sum]:
    """At most ``limit`` sums after a place, in the order of their buckets, then of their values.

    A range that does not begin and end with an hour is made longer, so that it does.
    """
    start, end = whole_hours(selection)
    tagged = "tag" in grouping.by or selection.tag is not None
    days = (selection.tag, None) if tagged else _days(start, end, grouping.every)
    parameters = (
        *(start, end, selection.tenant, selection.model, selection.key, selection.provider, selection.user),
        *(selection.role, *days),
        *(None if after is None else after.at, *((None, None) if after is None else (after.value, after.second))),
        *(limit, *(*grouping.by, None, None)[:2]),
    )
    rows = await connection.fetch(_statement(grouping, tagged=tagged), *parameters)
    return [_sum(row, two=len(grouping.by) > 1) for row in rows]


def whole_hours(selection: Selection) -> tuple[datetime, datetime]:
    """The range in whole hours: the hour of its start, and the end of the hour of its end."""
    start = selection.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    end = selection.end.astimezone(UTC)
    floor = end.replace(minute=0, second=0, microsecond=0)
    return start, floor if floor == end else floor + _HOUR


def _days(start: datetime, end: datetime, every: Bucket | None) -> tuple[datetime, datetime]:
    """The whole days inside a range of hours; none where hours are asked for."""
    first, last = (_midnight(start + _DAY - timedelta(microseconds=1)), _midnight(end))
    return (first, last) if every != "hour" and first < last else (end, end)


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _statement(grouping: Grouping, *, tagged: bool) -> str:
    """Out of the words of this module alone: nothing a client wrote is in it."""
    first, second = (*(_COLUMNS[name] for name in grouping.by), "''", "''")[:2]
    at = f"date_trunc('{grouping.every}', bucket, 'UTC')" if grouping.every else "null::timestamptz"
    sums = ", ".join(f"sum({name}) as {alias}" for name, alias in _MEASURES.items())
    return f"""
        with sums as (
            select {at} as at, {first} as value, {second} as second_value,
                   coalesce(sum(calls) filter (where role = coalesce($8::text, 'answer')), 0) as calls,
                   coalesce(sum(failed) filter (where role = coalesce($8::text, 'answer')), 0) as failed,
                   {sums}
            from ({_WITH_TAGS if tagged else _WITHOUT_TAGS}) as selected
            group by 1, 2, 3
        )
        select sums.*, {_NAME.format(dimension="$15::text", value="value")} as name,
               {_NAME.format(dimension="$16::text", value="second_value")} as second_name
        from sums
        where $12::text is null
           or (coalesce(at, '-infinity'), value, second_value)
            > (coalesce($11::timestamptz, '-infinity'), $12, $13::text)
        order by at, value, second_value
        limit $14
    """  # noqa: S608 -- see above


def _sum(row: asyncpg.Record, *, two: bool) -> Sum:
    return Sum(
        at=row["at"],
        value=row["value"],
        name=row["name"],
        second=Second(row["second_value"], row["second_name"]) if two else None,
        calls=int(row["calls"]),
        failed=int(row["failed"]),
        unpriced=int(row["unpriced"]),
        cache_hits=int(row["cache_hits"]),
        **{name: int(row[name]) for name in _TOKENS},
        cost_usd=row["cost"],
        costs_usd=_by_kind(row),
        saved_usd=row["saved"],
        mean_latency_ms=_mean(row["latency_ms"], int(row["all_calls"])),
        mean_first_token_ms=_mean(row["first_token_ms"], int(row["first_tokens"])),
    )


def _by_kind(row: asyncpg.Record) -> CostsByKind:
    costs = {name.removeprefix("cost_"): row[name] for name in _COSTS}
    return CostsByKind(**costs, unsplit=row["cost"] - sum(costs.values(), start=Decimal(0)))


def _mean(total: Decimal, count: int) -> int | None:
    return round(total / count) if count else None
