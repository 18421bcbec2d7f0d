"""Answers for the cache, as calls would have filled them."""

import hashlib
import time
from typing import Any

import msgspec

from tollway.proxy.cache.entry import Entry

MODEL = "m"


def key_of(name: str, tenant_id: str = "acme") -> bytes:
    """An entry's key: what a canonical request of that tenant could hash to."""
    return hashlib.sha256(f"{tenant_id}\0{name}".encode()).digest()


def entry(name: str, tenant_id: str = "acme", **changes: Any) -> Entry:
    """One that was filled a moment ago, for an hour, and is found by its key alone."""
    now_ms = time.time_ns() // 1_000_000
    made = Entry(
        key=key_of(name, tenant_id),
        tenant_id=tenant_id,
        key_id="ci",
        model=MODEL,
        operation="chat",
        provider="fake",
        provider_model=MODEL,
        filled_at_ms=now_ms,
        expires_at_ms=now_ms + 3_600_000,
        body_bytes=len(body_of(name)),
        prompt_tokens=3,
        completion_tokens=5,
        cost_picousd=1_000,
    )
    return msgspec.structs.replace(made, **changes)


def body_of(name: str) -> bytes:
    """Its body."""
    return f'{{"answer": "{name}"}}'.encode()
