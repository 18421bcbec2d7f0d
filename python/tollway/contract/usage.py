"""The usage row: what one call that reached a provider is recorded and billed by."""

from typing import Literal

import msgspec

from tollway.contract.guardrails import Found

UsageSource = Literal["told", "counted", "estimated"]
UsageRole = Literal["answer", "hedge", "shadow"]
"""What a call was for: the client's answer; a second try at once, whose answer came too late; what the
operator has asked: a copy for comparison, a vector of a question for the cache."""
Outcome = Literal["ok", "error", "timeout", "client_gone", "cut", "blocked"]
"""How a call ended; ``blocked``: a guardrail refused its answer."""


CacheOutcome = Literal["none", "exact", "semantic"]
"""Whether the answer came from a cache: then no provider was asked."""


class Costs(msgspec.Struct, frozen=True, array_like=True):
    """What a call cost, by what was paid for, in pico-dollars; together they are ``cost_picousd``.

    ``input`` is what was neither cached nor written to a cache, ``output`` what was not reasoning, both of text;
    ``other`` is paid per request.
    """

    input: int = 0
    cached_input: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0
    audio: int = 0
    image: int = 0
    other: int = 0


class Try(msgspec.Struct, frozen=True, array_like=True):
    """One call of a provider that was made for a row: ``target`` is ``provider/model``, ``result`` as in
    ``exchange.Tried``, times are milliseconds."""

    target: str
    status: int
    result: str
    took_ms: int


class UsageRow(msgspec.Struct, frozen=True, array_like=True):
    """One row of ``usage_logs``, as it stands in the journal (a MessagePack array, so fields are only ever appended).

    ``id`` is unique for ever and made here (UUIDv7 text); ``request_id`` is what the client saw.
    ``at_us`` is Unix time in microseconds. ``cost_picousd`` is exact; ``None`` for an unpriced model.
    ``findings`` are the guardrails': kinds and counts. Tokens of sound and images are in ``prompt_tokens`` and
    ``completion_tokens`` too. ``tags`` are the caller's, ``name=value``. ``tried`` are the calls that were made, where
    there was more than one. ``charged`` names the purses that the cost is taken from. ``service_tier`` is the
    provider's, if it told one that has its own prices. An answer from a cache names the provider that gave it
    once, costs nothing, and has ``saved_picousd``: what it cost then, ``None`` where that is not known.
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
    costs: Costs | None = None
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    tags: tuple[str, ...] = ()
    service_tier: str | None = None
    tried: tuple[Try, ...] = ()
    cache: CacheOutcome = "none"
    charged: tuple[str, ...] = ()
    saved_picousd: int | None = None
