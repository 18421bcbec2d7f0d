"""What `tollway._native.rows` does: a row's fields as Python's values of the columns, and its bytes by the book."""

import json
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import asdict, astuple

from tollway.contract.guardrails import Found
from tollway.contract.usage import Try, UsageRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST = 2**63 - 1


def record(row: UsageRow) -> tuple[object, ...]:
    """The columns of a row, JSON as text."""
    costs = (None,) * 8 if row.costs is None else tuple(dollars(cost) if cost else None for cost in astuple(row.costs))
    return (
        text(row.id),
        text(row.request_id),
        EPOCH + timedelta(microseconds=row.at_us),
        *map(text, (row.tenant_id, row.api_key_id)),
        None if row.user_id is None else text(row.user_id),
        *map(text, (row.model, row.provider, row.provider_model)),
        *map(whole, (row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.cache_write_tokens)),
        whole(row.reasoning_tokens),
        None if row.cost_picousd is None else dollars(row.cost_picousd),
        None if row.price_version is None else text(row.price_version),
        row.usage_source,
        row.outcome,
        row.http_status,
        row.stream,
        whole(row.latency_ms),
        None if row.first_token_ms is None else whole(row.first_token_ms),
        row.attempts,
        whole(row.cache_write_1h_tokens),
        row.role,
        objects(row.findings),
        *costs,
        *map(whole, (row.audio_input_tokens, row.audio_output_tokens, row.image_input_tokens, row.image_output_tokens)),
        [text(tag) for tag in row.tags] or None,
        None if row.service_tier is None else text(row.service_tier),
        objects(row.tried),
        row.cache,
        [text(name) for name in row.charged] or None,
        None if row.saved_picousd is None else dollars(row.saved_picousd),
    )


def text(value: str) -> str:
    """Without NUL."""
    return value.replace("\x00", "\ufffd")


def whole(value: int) -> int:
    """At most what a bigint holds."""
    return min(value, LONGEST)


def dollars(picousd: int) -> Decimal:
    """Exactly."""
    return Decimal(picousd).scaleb(-12)


def objects(of: Sequence[Found | Try]) -> str | None:
    """JSON objects; none for none."""
    if not of:
        return None
    said = [
        {name: text(value) if isinstance(value, str) else value for name, value in asdict(each).items()} for each in of
    ]
    return json.dumps(said)


def columns(copied: bytes) -> Iterator[list[bytes | None]]:
    """The columns of each row that is copied, as they are sent."""
    assert copied[:19] == b"PGCOPY\n\xff\r\n\x00" + bytes(8)
    at = 19
    while (count := struct.unpack_from(">h", copied, at)[0]) >= 0:
        at += 2
        found: list[bytes | None] = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", copied, at)
            at += 4
            found.append(None if size < 0 else copied[at : at + size])
            at += max(size, 0)
        yield found
    assert at + 2 == len(copied)


def decimal(sent: bytes) -> Decimal:
    """A numeric, as `numeric_send` documents it."""
    count, weight, sign, scale = struct.unpack_from(">hhHh", sent)
    groups = struct.unpack_from(f">{count}h", sent, 8)
    value = sum((Decimal(group).scaleb(4 * (weight - index)) for index, group in enumerate(groups)), Decimal(0))
    return (-value if sign else value).quantize(Decimal(1).scaleb(-scale))
