"""Station 2, admit: requests, tokens and a concurrency slot are reserved, all or nothing, or the call is refused.

In: a request of a known caller. Out: the same with its reservation, in the ledger that all workers of this host
share. A refused call consumes nothing. It never talks to a database.
"""

import asyncio
import time

from tollway._native import tokens
from tollway._native.limits import Admission, Ledger, LedgerError, LimitSet, Refusal
from tollway.contract.keys import KeyRecord
from tollway.contract.limits import LimitValues
from tollway.errors import DependencyUnavailable, GatewayError, RateLimited, RequestTooLargeForLimit
from tollway.proxy.exchange import Admitted, Principal, Received
from tollway.proxy.vocabularies import Vocabularies
from tollway.telemetry.metrics import Metrics

WINDOW_MS = 60_000
MOST_TOKENS = 1_000_000_000
"""A ``max_tokens`` beyond this is reserved as this: no model writes more, and sums stay far from any overflow."""

INLINE_COUNT_BYTES = 16 * 1024
"""An exact count of more text than this (about 80 µs per KB) is made off the event loop."""

_KINDS = (("rpm", "requests", WINDOW_MS), ("tpm", "tokens", WINDOW_MS), ("concurrency", "concurrency", 0))
_NAMES = {
    kind: (
        f"x-ratelimit-limit-{kind}".encode(),
        f"x-ratelimit-remaining-{kind}".encode(),
        f"x-ratelimit-reset-{kind}".encode(),
    )
    for kind in ("requests", "tokens")
}
"""OpenAI's headers, of the kinds that they know: the limit, what is left of it, and when all of it is again."""

_WORDS = {"requests": "requests per minute", "tokens": "tokens per minute", "concurrency": "calls at once"}


def compile_principal(record: KeyRecord, default: LimitValues) -> Principal:
    """A key's record with its limits made ready for the ledger.

    The tenant's limits are its own, else the ``default``; a key's own limits hold beside them.
    """
    scopes = [(f"tenant:{record.tenant_id}", record.tenant_limits or default)]
    if record.key_limits is not None:
        scopes.append((f"key:{record.key_id}", record.key_limits))
    return Principal(record, compile_limits(*scopes))


def compile_limits(*scopes: tuple[str, LimitValues]) -> LimitSet | None:
    """Limits made ready for the ledger, each under the name that it is counted by; ``None`` when there are none."""
    rules = [rule for scope, values in scopes for rule in _rules(scope, values)]
    return LimitSet(rules) if rules else None


def _rules(scope: str, values: LimitValues) -> list[tuple[str, str, int, int]]:
    found = ((kind, getattr(values, field), window_ms) for field, kind, window_ms in _KINDS)
    return [(scope, kind, limit, window_ms) for kind, limit, window_ms in found if limit is not None]


class Admitter:
    """Reserves in one host's ledger."""

    def __init__(self, ledger: Ledger, vocabularies: Vocabularies, metrics: Metrics) -> None:
        self._ledger = ledger
        self._vocabularies = vocabularies
        self._metrics = metrics

    async def admit(self, received: Received) -> Admitted:
        """Lets the call pass, or not.

        The prompt is reserved by a cheap bound from above; only where that bound alone would refuse are its tokens
        counted. Completion tokens are reserved where the request caps them, and made true when it ends.

        Raises:
            RateLimited: a limit is used up; ``retry_after_s`` says until when.
            RequestTooLargeForLimit: the request alone is larger than its limit.
            DependencyUnavailable: the ledger has no room for another scope.
        """
        limits = received.principal.limits
        reservation: Admission | None = None
        if limits is not None:
            request = received.request
            completion = min(request.max_tokens or 0, MOST_TOKENS) * request.n
            outcome = self._try(limits, request.prompt_upper_bound() + completion)
            if isinstance(outcome, Refusal) and outcome.kind == "tokens":
                outcome = self._try(limits, await self._count(received) + completion)
            headers = received.arrival.connection.answer_headers
            if isinstance(outcome, Refusal):
                self._metrics.limited(outcome.kind)
                headers.extend(self._standing(limits))
                raise _refused(outcome)
            reservation = outcome
            headers.extend(_levels(reservation))
        received.arrival.timing.mark("admit")
        return Admitted(received.arrival, received.principal, received.request, reservation)

    def _try(self, limits: LimitSet, wanted_tokens: int) -> Admission | Refusal:
        try:
            return self._ledger.admit(limits, wanted_tokens, _now_ms())
        except LedgerError as error:
            message = "This gateway can't keep count of another caller now. Try again shortly."
            raise DependencyUnavailable(message, inside=str(error), retry_after_s=1.0) from error

    def _standing(self, limits: LimitSet) -> list[tuple[bytes, bytes]]:
        """The headers of a refused call: the tightest rule of each kind, as it stands."""
        tightest: dict[str, tuple[int, int, int]] = {}
        for kind, limit, remaining, reset_ms in self._ledger.status(limits, _now_ms()):
            if kind in _NAMES and (kind not in tightest or remaining < tightest[kind][1]):
                tightest[kind] = (limit, remaining, reset_ms)
        return [header for kind, values in tightest.items() for header in _headers(kind, *values)]

    async def _count(self, received: Received) -> int:
        request = received.request
        encoding = tokens.encoding_of(request.model)
        if not self._vocabularies.has(encoding):
            await asyncio.to_thread(self._vocabularies.load, encoding)
        if request.text_bytes <= INLINE_COUNT_BYTES:
            return request.count_prompt(encoding)
        return await asyncio.to_thread(request.count_prompt, encoding)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _levels(reservation: Admission) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    limit, remaining, reset_ms = (
        reservation.limit_requests,
        reservation.remaining_requests,
        reservation.reset_requests_ms,
    )
    if limit is not None and remaining is not None and reset_ms is not None:
        found += _headers("requests", limit, remaining, reset_ms)
    limit, remaining, reset_ms = reservation.limit_tokens, reservation.remaining_tokens, reservation.reset_tokens_ms
    if limit is not None and remaining is not None and reset_ms is not None:
        found += _headers("tokens", limit, remaining, reset_ms)
    return found


def _headers(kind: str, limit: int, remaining: int, reset_ms: int) -> list[tuple[bytes, bytes]]:
    """OpenAI's three headers for a kind; the reset is a duration with its unit, as there."""
    reset = b"%dms" % reset_ms if reset_ms < 1000 else b"%.3gs" % (reset_ms / 1000)
    limited, left, restored = _NAMES[kind]
    return [(limited, b"%d" % limit), (left, b"%d" % remaining), (restored, reset)]


def _refused(refusal: Refusal) -> GatewayError:
    scope = refusal.scope.partition(":")[0]
    limit = f"{refusal.limit} {_WORDS[refusal.kind]}"
    if refusal.too_large:
        return RequestTooLargeForLimit(
            f"Request too large: it needs more tokens than the {scope}'s limit of {limit}. "
            "Shorten the prompt or lower max_tokens."
        )
    after_s = (refusal.retry_after_ms or 1000) / 1000
    message = f"Rate limit reached: this {scope} may use {limit}. Try again in {after_s:.1f} s."
    return RateLimited(message, retry_after_s=after_s)
