"""Checks of fields that several capabilities have. Pure: a value comes in and goes out, or an error names its field."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tollway.contract.limits import MOST_LIMITS, LimitValues
from tollway.errors import InvalidRequest

LONGEST_NAME = 100
MOST_MODELS = 1_000
HIGHEST_LIMIT = 1_000_000_000
HIGHEST_LONG_LIMIT = 1_000_000_000_000
"""Of tokens in an hour or a day."""


def refused(field: str, reason: str) -> InvalidRequest:
    """The error for a field: ``name: must not be empty.``"""
    return InvalidRequest(f"{field}: {reason}", param=field)


def name(value: str, field: str = "name") -> str:
    """A name that can be printed on one line: 1 to 100 characters, no spaces at its ends."""
    if not 1 <= len(value) <= LONGEST_NAME:
        raise refused(field, f"must have 1 to {LONGEST_NAME} characters.")
    if not value.isprintable() or value != value.strip():
        raise refused(field, "must be printable, without spaces at its ends.")
    return value


def limits(value: LimitValues | None, field: str = "limits") -> LimitValues | None:
    """Limits of at least 1: nobody is locked out by a limit of nothing, that is what ``is_active`` is for."""
    if value is None:
        return None
    given = {kind: number for kind, number in msgspec.structs.asdict(value).items() if number is not None}
    for kind, number in given.items():
        highest = HIGHEST_LONG_LIMIT if kind.endswith(("tph", "tpd")) else HIGHEST_LIMIT
        if not 1 <= number <= highest:
            raise refused(f"{field}.{kind}", f"must be from 1 to {highest:,}, or null for no limit.")
    if len(given) > MOST_LIMITS:
        raise refused(field, f"must not have more than {MOST_LIMITS} limits that are set.")
    return value


def models(value: Sequence[str] | None, field: str = "allowed_models") -> tuple[str, ...] | None:
    """Model aliases, each once, in the order given; none at all forbids every model."""
    if value is None:
        return None
    if len(value) > MOST_MODELS:
        raise refused(field, f"must not have more than {MOST_MODELS:,} entries.")
    return tuple(dict.fromkeys(name(alias, f"{field}[{index}]") for index, alias in enumerate(value)))


def moment(value: datetime, field: str) -> datetime:
    """A point in time that says where: ``2026-01-31T12:00:00Z``."""
    if value.utcoffset() is None:
        raise refused(field, "must name its time zone, as in 2026-01-31T12:00:00Z.")
    return value
