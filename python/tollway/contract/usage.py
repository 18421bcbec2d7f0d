"""The usage row: what one call that reached a provider is recorded and billed by."""

from typing import Literal

import msgspec

from tollway.contract.guardrails import Found

UsageSource = Literal["told", "counted", "estimated"]
UsageRole = Literal["answer", "hedge", "shadow"]
"""What a call was for: the client's answer; a second try at once, whose answer came too late; a copy for comparison."""
Outcome = Literal["ok", "error", "timeout", "client_gone", "cut", "blocked"]
"""How a call ended; ``blocked``: a guardrail refused its answer."""


class UsageRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of ``usage_logs``, as it stands in the journal (a MessagePack array, so fields are only ever appended).

    ``id`` is unique for ever and made here (UUIDv7 text); ``request_id`` is what the client saw.
    ``at_us`` is Unix time in microseconds. ``cost_picousd`` is exact; ``None`` for an unpriced model.
    ``findings`` are the guardrails': kinds and counts.
    """

    id: str
    request_id: str
    at_us: int
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
    reasoning_tokens: int
    cost_picousd: int | None
    price_version: str | None
    usage_source: UsageSource
    outcome: Outcome
    http_status: int
    stream: bool
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    cache_write_1h_tokens: int = 0
    role: UsageRole = "answer"
    findings: tuple[Found, ...] = ()
