"""The slow twin of ``tollway._native.limits``: every admission kept with its exact time, summed anew for each question.

It answers twice. The *exact* log says what was admitted in the last window: the ledger must never admit above it. The
*conservative* log looks back one bucket further: below it the ledger must admit. In between the ledger is free.
"""

from dataclasses import dataclass, field

BUCKETS = 32


@dataclass
class Charge:
    """One admission, as it stands after growth, settlement or cancellation."""

    at_ms: int
    requests: int
    input_tokens: int
    output_tokens: int
    held: bool = True

    def of(self, kind: str) -> int:
        match kind:
            case "tokens":
                return self.input_tokens + self.output_tokens
            case "requests":
                return self.requests
            case "input_tokens":
                return self.input_tokens
            case _:
                return self.output_tokens


@dataclass
class SlidingLog:
    """The limits of one principal: ``most`` by kind in one window, and calls at once."""

    most: dict[str, int]
    concurrency: int
    window_ms: int
    charges: list[Charge] = field(default_factory=list)

    def must_refuse(self, asked: Charge, now_ms: int) -> bool:
        return not self._has_slot() or not self._fits(asked, now_ms, self.window_ms)

    def must_admit(self, asked: Charge, now_ms: int) -> bool:
        return self._has_slot() and self._fits(asked, now_ms, self._longest_ms)

    def is_too_large(self, asked: Charge) -> bool:
        return any(asked.of(kind) > limit for kind, limit in self.most.items())

    def must_not_grow(self, charge: Charge, output_tokens: int, now_ms: int) -> bool:
        more = self._more(charge, output_tokens, now_ms)
        is_counted = now_ms - charge.at_ms < self.window_ms
        return is_counted and more.output_tokens > 0 and not self._fits(more, now_ms, self.window_ms)

    def must_grow(self, charge: Charge, output_tokens: int, now_ms: int) -> bool:
        more = self._more(charge, output_tokens, now_ms)
        is_forgotten = now_ms - charge.at_ms >= self._longest_ms
        return is_forgotten or more.output_tokens == 0 or self._fits(more, now_ms, self._longest_ms)

    def held(self) -> int:
        return sum(charge.held for charge in self.charges)

    @property
    def _longest_ms(self) -> int:
        return (BUCKETS + 1) * max(1, -(-self.window_ms // BUCKETS))

    def _has_slot(self) -> bool:
        return self.held() + 1 <= self.concurrency

    def _more(self, charge: Charge, output_tokens: int, now_ms: int) -> Charge:
        return Charge(now_ms, 0, 0, max(0, output_tokens - charge.output_tokens) if charge.held else 0)

    def _fits(self, asked: Charge, now_ms: int, span_ms: int) -> bool:
        """Whether there is room for it; what it asks nothing of is not looked at."""
        counted = [charge for charge in self.charges if now_ms - charge.at_ms < span_ms]
        return all(
            sum(charge.of(kind) for charge in counted) + asked.of(kind) <= limit
            for kind, limit in self.most.items()
            if asked.requests or asked.of(kind)
        )
