"""Which usage is asked for. Decisions only, no I/O."""

from datetime import datetime, timedelta

import msgspec

from tollway.contract.usage import UsageRole
from tollway.control import fields, paging
from tollway.control.billing.queries import Dimension, Selection

DEFAULT_PERIOD = timedelta(days=30)


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
    """The query of the sums."""

    by: Dimension = "tenant"


def selection(asked: UsageRange, now: datetime) -> Selection:
    """The rows that are meant.

    Raises:
        InvalidRequest: a time has no zone, or the range is empty.
    """
    end = now if asked.end is None else fields.moment(asked.end, "end")
    try:
        start = end - DEFAULT_PERIOD if asked.start is None else fields.moment(asked.start, "start")
    except OverflowError as error:
        raise fields.refused("end", "lies before there was time to count.") from error
    if start >= end:
        raise fields.refused("start", "must lie before end.")
    return Selection(start, end, asked.tenant, asked.model, asked.key, asked.provider, asked.role)
