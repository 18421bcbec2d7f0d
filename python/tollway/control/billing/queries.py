"""Reading ``usage_logs``, call by call. It writes nothing; ``sums`` reads what is summed."""

from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import asyncpg
import msgspec

from tollway.contract.usage import UsageRole
from tollway.control.paging import Position
from tollway.storage.pool import Connection
from tollway.storage.usage import COSTS

_Entry = TypeVar("_Entry")


class Selection(msgspec.Struct, frozen=True):
    """Which rows: from ``start`` up to, not including, ``end``; ``None`` selects every tenant, model…

    With no ``role``, rows are those of every role.
    """

    start: datetime
    end: datetime
    tenant: str | None = None
    model: str | None = None
    key: str | None = None
    provider: str | None = None
    role: UsageRole | None = None


class FoundEntry(msgspec.Struct, frozen=True):
    """What the guardrails found in a call: how many of a kind, and what was done. Never a value."""

    direction: str
    check: str
    kind: str
    action: str
    count: int


class KindCosts(msgspec.Struct, frozen=True):
    """What a call cost, by what was paid for, as in :class:`tollway.contract.usage.Costs`; together it is the cost."""

    input: Decimal
    cached_input: Decimal
    cache_write: Decimal
    output: Decimal
    reasoning: Decimal
    audio: Decimal
    image: Decimal
    other: Decimal


class TryEntry(msgspec.Struct, frozen=True):
    """One call of a provider that was made on the way. Times are milliseconds."""

    target: str
    status: int
    result: str
    took_ms: int


class UsageEntry(msgspec.Struct, frozen=True):
    """One call. ``cost_usd`` is ``None`` for a model without a price, ``costs_usd`` also where kinds are not known.

    ``tags`` are the caller's, ``tried`` the calls that were made where there was more than one, ``charged`` the purses
    that the cost was taken from. ``saved_usd`` is what an answer from a cache cost when it was given first.
    """

    id: str
    request_id: str
    created_at: datetime
    tenant_id: str
    api_key_id: str
    user_id: str | None
    model: str
    provider: str
    provider_model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal | None
    price_version: str | None
    usage_source: str
    status: str
    http_status: int
    stream: bool
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    role: str
    findings: tuple[FoundEntry, ...]
    costs_usd: KindCosts | None
    audio_input_tokens: int
    audio_output_tokens: int
    image_input_tokens: int
    image_output_tokens: int
    tags: tuple[str, ...]
    service_tier: str | None
    tried: tuple[TryEntry, ...]
    cache: str
    charged: tuple[str, ...]
    saved_usd: Decimal | None

    @property
    def position(self) -> Position:
        """Its place in the list."""
        return Position(self.created_at, self.id)


_SELECTED = """
    created_at >= $1 and created_at < $2
    and ($3::text is null or tenant_id = $3) and ($4::text is null or model = $4)
    and ($5::text is null or api_key_id = $5) and ($6::text is null or provider = $6)
"""

_ROWS = f"""
    select id, request_id, created_at, tenant_id, api_key_id, user_id, model, provider, provider_model,
           prompt_tokens, completion_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
           reasoning_tokens, cost as cost_usd, price_version, usage_source, status, http_status, stream,
           latency_ms, first_token_ms, attempts, role, findings,
           {", ".join(COSTS)},
           audio_input_tokens, audio_output_tokens, image_input_tokens, image_output_tokens,
           tags, service_tier, tried, cache, charged, saved as saved_usd
    from usage_logs
    where {_SELECTED} and ($7::text is null or role = $7)
      and ($8::timestamptz is null or (created_at, id) < ($8, $9::text))
    order by created_at desc, id desc
    limit $10
"""  # noqa: S608 -- a condition of ours, with parameters


async def list_usage(
    connection: Connection, selection: Selection, *, limit: int, after: Position | None = None
) -> list[UsageEntry]:
    """At most ``limit`` calls after a position, newest first."""
    at, last = (None, None) if after is None else (after.at, after.id)
    rows = await connection.fetch(_ROWS, *msgspec.structs.astuple(selection), at, last, limit)
    return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> UsageEntry:
    stored = dict(row)
    costs = [stored.pop(column) for column in COSTS]
    known = stored["cost_usd"] == 0 or any(cost is not None for cost in costs)
    read = {
        "findings": _read(stored["findings"], FoundEntry),
        "tried": _read(stored["tried"], TryEntry),
        "tags": tuple(stored["tags"] or ()),
        "charged": tuple(stored["charged"] or ()),
        "costs_usd": KindCosts(*(cost or Decimal(0) for cost in costs)) if known else None,
    }
    return UsageEntry(**(stored | read))


def _read(stored: str | None, kind: type[_Entry]) -> tuple[_Entry, ...]:
    return () if stored is None else msgspec.json.decode(stored, type=tuple[kind, ...])  # type: ignore[valid-type]
