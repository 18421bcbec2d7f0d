"""The slow twin of ``tollway._native.routing``'s breaker: every call kept, and what follows found anew each time.

One target, one process. It tells what ``begin``, ``heard`` and ``end`` of the board must answer.
"""

from dataclasses import dataclass, field

PROBES_VALID_MS = 30_000
BUCKETS = 10


@dataclass(frozen=True)
class Policy:
    """A breaker's numbers."""

    consecutive: int = 3
    failure_permille: int = 500
    minimum_calls: int = 8
    window_ms: int = 1_000
    cooldown_ms: int = 500
    max_cooldown_ms: int = 1_700
    probes: int = 2
    slow_start_ms: int = 1_000


@dataclass(eq=False)
class Call:
    """A call, and what is known of it."""

    openings_before: int
    half_open: int | None
    heard: bool = False
    ended: bool = False


@dataclass
class Target:
    """One target's breaker."""

    policy: Policy
    state: str = "closed"
    until_ms: int = 0
    cooling_until_ms: int = 0
    openings: int = 0
    in_a_row: int = 0
    half_opens: int = 0
    calls: list[Call] = field(default_factory=list)
    probing: list[Call] = field(default_factory=list)
    passed: int = 0
    places: int = 0
    told: list[Call | None] = field(default_factory=list)
    """Since the last closing, in order: the call of a success, None for a failure."""
    rated: list[tuple[int, int, int]] = field(default_factory=list)
    """Since the last closing: when, calls, failures."""

    def in_flight(self) -> int:
        return sum(not call.ended for call in self.calls)

    def failures(self) -> int:
        """Failures since the last success."""
        return len(self.told) - 1 - max((at for at, call in enumerate(self.told) if call is not None), default=-1)

    def begin(self, now_ms: int) -> Call | None:
        if self.cooling_until_ms > now_ms:
            return None
        if self.state != "closed" and self.until_ms <= now_ms:
            self.state, self.passed, self.probing, self.places = "half_open", 0, [], self.policy.probes
            self.half_opens += 1
        elif self.state == "open" or (self.state == "half_open" and len(self.probing) >= self.places):
            return None
        call = Call(self.openings, self.half_opens if self.state == "half_open" else None)
        if self.state == "half_open":
            self.until_ms = now_ms + PROBES_VALID_MS
            self.probing.append(call)
        self.calls.append(call)
        return call

    def heard(self, call: Call, now_ms: int) -> str | None:
        if call.ended or call.heard:
            return None
        call.heard = True
        return self._succeeded(call, now_ms)

    def end(self, call: Call, outcome: str, now_ms: int) -> str | None:
        if call.ended:
            return None
        call.ended = True
        if outcome == "failed":
            return self._failed(call, now_ms)
        if outcome == "ok" and not call.heard:
            return self._succeeded(call, now_ms)
        if outcome == "neutral" and not call.heard and call in self.probing:
            self.probing.remove(call)
        return None

    def cool(self, until_ms: int, now_ms: int) -> bool:
        later = until_ms > max(now_ms, self.cooling_until_ms)
        if later:
            self.cooling_until_ms = until_ms
        return later

    def open(self, until_ms: int, now_ms: int) -> bool:
        if until_ms <= now_ms or (self.state == "open" and until_ms <= self.until_ms):
            return False
        if self.state != "open":
            self._opened(until_ms)
        self.until_ms = until_ms
        return True

    def close(self, now_ms: int) -> bool:
        changes = self.state != "closed" or self.cooling_until_ms > now_ms
        self.cooling_until_ms = 0
        if self.state != "closed":
            self._closed()
        self.told.clear()
        return changes

    def probed(self, ok: bool, now_ms: int) -> str | None:
        tries = self.state == "half_open" or (self.state == "open" and self.until_ms <= now_ms)
        if ok and tries:
            return self._closed()
        if ok:
            return None
        if self.state == "open" and not tries:
            return None
        if not tries:
            self.told.append(None)
        return self._opened_after(now_ms) if tries or self.failures() >= self.policy.consecutive else None

    def _succeeded(self, call: Call, now_ms: int) -> str | None:
        if call.openings_before < self.openings:
            return None
        self.told.append(call)
        self.rated.append((now_ms, 1, 0))
        if self.state != "half_open" or call.half_open is None:
            return None
        self.passed += 1
        return self._closed() if self.passed >= self.places else None

    def _failed(self, call: Call, now_ms: int) -> str | None:
        if call.openings_before < self.openings:
            return None
        if call.heard and [told for told in self.told if told is not None][-1:] == [call]:
            self.told.remove(call)
        self.told.append(None)
        if self.state == "half_open":
            return self._opened_after(now_ms) if call.half_open is not None else None
        self.rated.append((now_ms, int(not call.heard), 1))
        return self._opened_after(now_ms) if self._is_bad(now_ms) else None

    def _is_bad(self, now_ms: int) -> bool:
        width_ms = -(-self.policy.window_ms // BUCKETS)
        recent = [row for row in self.rated if now_ms // width_ms - row[0] // width_ms <= BUCKETS]
        calls, failures = sum(row[1] for row in recent), sum(row[2] for row in recent)
        often = calls >= self.policy.minimum_calls and failures * 1000 >= calls * self.policy.failure_permille
        return often or self.failures() >= self.policy.consecutive

    def _opened_after(self, now_ms: int) -> str:
        cooldown_ms = min(self.policy.cooldown_ms * 2**self.in_a_row, self.policy.max_cooldown_ms)
        return self._opened(now_ms + cooldown_ms)

    def _opened(self, until_ms: int) -> str:
        self.state, self.until_ms, self.probing = "open", until_ms, []
        self.openings += 1
        self.in_a_row += 1
        return "open"

    def _closed(self) -> str:
        self.state, self.until_ms, self.in_a_row, self.probing = "closed", 0, 0, []
        self.told.clear()
        self.rated.clear()
        return "closed"
