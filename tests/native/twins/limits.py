"""The slow twin of ``tollway._native.limits``: every admission kept with its exact time, summed anew for each question.

It answers twice. The *exact* log says what was admitted in the last window: the ledger must never admit above it. The
*conservative* log looks back one bucket further: below it the ledger must admit. In between the ledger is free.
"""

from dataclasses import dataclass, field

BUCKETS = 32


@dataclass
class Charge:
    """One admission, as it stands after settlement or cancellation."""

    at_ms: int
    requests: int
    tokens: int
    held: bool = True


@dataclass
class SlidingLog:
    """The limits of one principal: requests and tokens in one window, and calls at once."""

    requests: int
    tokens: int
    concurrency: int
    window_ms: int
    charges: list[Charge] = field(default_factory=list)

    def must_refuse(self, tokens: int, now_ms: int) -> bool:
        return not self._fits(tokens, now_ms, self.window_ms)

    def must_admit(self, tokens: int, now_ms: int) -> bool:
        bucket_ms = max(1, -(-self.window_ms // BUCKETS))
        return self._fits(tokens, now_ms, (BUCKETS + 1) * bucket_ms)

    def held(self) -> int:
        return sum(charge.held for charge in self.charges)

    def _fits(self, tokens: int, now_ms: int, span_ms: int) -> bool:
        counted = [charge for charge in self.charges if now_ms - charge.at_ms < span_ms]
        return (
            sum(charge.requests for charge in counted) + 1 <= self.requests
            and sum(charge.tokens for charge in counted) + tokens <= self.tokens
            and self.held() + 1 <= self.concurrency
        )
