"""The limits that one scope (a tenant, a key, what a limit rule tells apart) is held to."""

from typing import Literal

import msgspec

LimitKind = Literal["requests", "tokens", "input_tokens", "output_tokens", "concurrency"]
"""What a limit counts; ``tokens`` are those of prompt and answer together."""

MOST_LIMITS = 8
"""One scope has no more limits than this, so that a tenant's and a key's leave room for as many of limit rules."""


class LimitValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits of one scope; ``None`` leaves that kind unlimited.

    The first letters say what is counted: ``r`` requests, ``t`` tokens (prompt and completion), ``input_t`` and
    ``output_t`` those of one of the two. The last one says in which time: any second, minute (60 s), hour (3,600 s) or
    day (86,400 s). ``concurrency`` are calls under way at once.
    """

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    rps: int | None = None
    rph: int | None = None
    rpd: int | None = None
    tps: int | None = None
    tph: int | None = None
    tpd: int | None = None
    input_tps: int | None = None
    input_tpm: int | None = None
    input_tph: int | None = None
    input_tpd: int | None = None
    output_tps: int | None = None
    output_tpm: int | None = None
    output_tph: int | None = None
    output_tpd: int | None = None


_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000

LIMIT_FIELDS: tuple[tuple[str, LimitKind, int], ...] = (
    ("rps", "requests", _SECOND_MS),
    ("rpm", "requests", _MINUTE_MS),
    ("rph", "requests", _HOUR_MS),
    ("rpd", "requests", _DAY_MS),
    ("tps", "tokens", _SECOND_MS),
    ("tpm", "tokens", _MINUTE_MS),
    ("tph", "tokens", _HOUR_MS),
    ("tpd", "tokens", _DAY_MS),
    ("input_tps", "input_tokens", _SECOND_MS),
    ("input_tpm", "input_tokens", _MINUTE_MS),
    ("input_tph", "input_tokens", _HOUR_MS),
    ("input_tpd", "input_tokens", _DAY_MS),
    ("output_tps", "output_tokens", _SECOND_MS),
    ("output_tpm", "output_tokens", _MINUTE_MS),
    ("output_tph", "output_tokens", _HOUR_MS),
    ("output_tpd", "output_tokens", _DAY_MS),
    ("concurrency", "concurrency", 0),
)
"""Every field of :class:`LimitValues` with what it counts and the length of its window in milliseconds."""


class Queueing(msgspec.Struct, frozen=True):
    """How long a call may wait for a limit, how many may wait in one worker, and the shares of tenants against each
    other, by name or id; 1 where none is given."""

    max_wait_s: float
    max_waiting: int
    weights: dict[str, int] = {}


Per = Literal["tenant", "key", "user", "model"]
"""What a limit rule tells calls apart by."""

OnExceed = Literal["finish", "cut"]
"""What becomes of an answer that outgrows what is left of a limit: it goes on, and those who come next wait; or it ends
there, as a stream that failed."""


class LimitRule(msgspec.Struct, frozen=True):
    """Limits of each value, or pair of values, of ``per`` among the calls that match; without ``per`` of all of them.

    ``tenants`` holds names or ids, ``keys`` ids or ``tenant/key``, ``models`` aliases; ``None`` is any. A call matches
    if all that are not do.
    """

    name: str
    limits: LimitValues
    per: tuple[Per, ...] = ()
    tenants: frozenset[str] | None = None
    keys: frozenset[str] | None = None
    users: frozenset[str] | None = None
    models: frozenset[str] | None = None
    on_exceed: OnExceed = "finish"
