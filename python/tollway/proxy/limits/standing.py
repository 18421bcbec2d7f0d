"""How a call's limits stand, as clients are told: OpenAI's headers, and the error of a refusal.

In: what the ledger says of each rule. Out: per kind, the tightest one. It decides nothing.
"""

from collections.abc import Iterable

from tollway._native.limits import Refusal
from tollway.contract.limits import LimitKind
from tollway.errors import GatewayError, RateLimited, RequestTooLargeForLimit

Level = tuple[LimitKind, int, int, int]
"""A kind, and of a rule of it the limit, what is left, and the milliseconds until all of it is again."""

_WINDOWED: tuple[LimitKind, ...] = ("requests", "tokens", "input_tokens", "output_tokens")
_NAMES: dict[LimitKind, tuple[bytes, bytes, bytes]] = {
    kind: (
        f"x-ratelimit-limit-{kind}".encode().replace(b"_", b"-"),
        f"x-ratelimit-remaining-{kind}".encode().replace(b"_", b"-"),
        f"x-ratelimit-reset-{kind}".encode().replace(b"_", b"-"),
    )
    for kind in _WINDOWED
}
"""OpenAI's headers: the limit, what is left of it, and when all of it is again; and their like for what it does not
know, the tokens of prompts and of answers, where these have limits of their own."""

_WORDS: dict[LimitKind, str] = {
    "requests": "requests",
    "tokens": "tokens",
    "input_tokens": "prompt tokens",
    "output_tokens": "completion tokens",
    "concurrency": "calls at once",
}
_PER = {0: "", 1_000: " per second", 60_000: " per minute", 3_600_000: " per hour", 86_400_000: " per day"}


def tightest(levels: Iterable[Level]) -> list[Level]:
    """Of any number of rules, of each kind the one with the least left, of equal ones that which is restored last."""
    found: dict[LimitKind, Level] = {}
    for level in levels:
        kind, _, remaining, reset_ms = level
        known = found.get(kind)
        if known is None or (remaining, known[3]) < (known[2], reset_ms):
            found[kind] = level
    return list(found.values())


def told(levels: Iterable[Level]) -> list[tuple[bytes, bytes]]:
    """The headers of one rule of each kind. Calls at once have none. A reset is a duration with its unit."""
    headers: list[tuple[bytes, bytes]] = []
    for kind, limit, remaining, reset_ms in levels:
        if kind in _NAMES:
            limited, left, restored = _NAMES[kind]
            reset = b"%dms" % reset_ms if reset_ms < 1000 else b"%d.%ds" % divmod(-(-reset_ms // 100), 10)
            headers += ((limited, b"%d" % limit), (left, b"%d" % remaining), (restored, reset))
    return headers


def refused(refusal: Refusal) -> GatewayError:
    """The error that a refused call ends with: whose limit it is, and when the call may come again."""
    whose, limit = _whose(refusal.scope), f"{refusal.limit} {_WORDS[refusal.kind]}{_PER[refusal.window_ms]}"
    if refusal.too_large:
        return RequestTooLargeForLimit(
            f"Request too large: it needs more tokens than the {whose}'s limit of {limit}. "
            "Shorten the prompt or lower max_tokens."
        )
    after_s = (refusal.retry_after_ms or 1000) / 1000
    message = f"Rate limit reached: this {whose} may use {limit}. Try again in {after_s:.1f} s."
    return RateLimited(message, retry_after_s=after_s)


def _whose(scope: str) -> str:
    """``tenant`` or ``key``; of a rule what it tells apart and its name, never who it is about."""
    noun, _, name = scope.partition(":")
    if noun != "rule":
        return noun
    rule, per, *_ = name.split("|")
    return f"{per or 'gateway'} (rule {rule})"
