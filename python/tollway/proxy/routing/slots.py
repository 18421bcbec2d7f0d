"""Slots: what a call holds of a target, and of one of its provider's keys, from before it leaves until it has ended.

In: a plan and one of its targets. Out: a slot, or none where the target may not be asked after all. How the call went
is told to the board, so that every worker of the host knows, and through the neighbours every host.
"""

import random
import time
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from tollway._native.limits import Admission, Ledger, LedgerError, LimitSet
from tollway._native.routing import Board, Change, Lease, Pool, Ranking
from tollway.contract.limits import LimitValues
from tollway.contract.snapshot import ProviderAccess, Snapshot, Target
from tollway.contract.usage import Outcome
from tollway.errors import DependencyUnavailable
from tollway.proxy.exchange import Planned, Progress
from tollway.proxy.routing.aside import Aside
from tollway.proxy.routing.compiled import policy_of
from tollway.proxy.routing.sharing import Neighbours
from tollway.proxy.routing.traits import MOST_TOKENS
from tollway.proxy.routing.verdict import Verdict
from tollway.telemetry.logs import Log
from tollway.telemetry.metrics import Metrics

Compile = Callable[[tuple[str, LimitValues]], LimitSet | None]
"""Makes limits ready for the ledger."""

LONGEST_COOL_S = 3600.0
"""A provider that asks to be left alone for longer is asked again after this."""


class _Keys(msgspec.Struct, frozen=True):
    """The keys that a target may be asked with, as the board knows them."""

    pool: Pool
    accesses: tuple[ProviderAccess, ...]
    limits: tuple[LimitSet | None, ...]


class Slots:
    """One worker's view of who may be asked now."""

    def __init__(
        self,
        board: Board,
        ledger: Ledger,
        snapshot: Snapshot,
        neighbours: Neighbours,
        compile_limits: Compile,
        log: Log,
        metrics: Metrics,
        *,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.board = board
        self.clock_ms = clock_ms
        self._ledger = ledger
        self._neighbours = neighbours
        self._log = log
        self._metrics = metrics
        self._keys = _keys(snapshot, compile_limits)
        self._names = _names(snapshot)
        self._aside = Aside()

    def take(
        self, planned: Planned, index: int, progress: Progress, *, is_first: bool, is_again: bool = False
    ) -> "Slot | None":
        """A slot at a target; ``None`` when it may not be asked now. ``is_first``: no retry, but a new call;
        ``is_again``: this request has been there before.

        Raises:
            DependencyUnavailable: the host's ledger is out of reach.
        """
        target, now_ms = planned.route.targets[index], self.clock_ms()
        try:
            lease = self.board.begin(planned.pool, index, now_ms, first=is_first, stream=planned.request.stream)
            if lease is None:
                return None
            slot = Slot(self, target, target.provider, progress, lease, is_again=is_again)
            keys = self._keys.get(target.name)
            return slot if keys is None else self._with_key(slot, keys, planned, now_ms)
        except LedgerError as error:
            raise DependencyUnavailable("The gateway's ledger is out of reach. Try again.", inside=str(error)) from None

    def _with_key(self, slot: "Slot", keys: _Keys, planned: Planned, now_ms: int) -> "Slot | None":
        """The slot with one of its provider's keys, if one may be used now."""
        ranking = self.board.rank(keys.pool, (1 << len(keys.accesses)) - 1, now_ms, random.getrandbits(64))
        order = ranking.order or self._refused(keys, ranking, now_ms)
        for at in order:
            admission: Admission | None = None
            limits = keys.limits[at]
            if limits is not None:
                outcome = self._ledger.admit(limits, *_estimate(planned), now_ms)
                if not isinstance(outcome, Admission):
                    continue
                admission = outcome
            key_lease = self.board.begin(keys.pool, at, now_ms, stream=planned.request.stream)
            if key_lease is not None or not ranking.order:
                slot.access, slot.key_lease, slot.admission = keys.accesses[at], key_lease, admission
                return slot
            if admission is not None:
                admission.cancel(now_ms)
        slot.end(None)
        return None

    def _refused(self, keys: _Keys, ranking: Ranking, now_ms: int) -> list[int]:
        """Of keys that may all not be asked now, but for a limit, one all the same: of those that were refused, so that
        the client hears why; else any, for the target's own breaker has let this call through."""
        if ranking.limited:
            return []
        refused = [at for at, name in enumerate(keys.pool.names) if self._aside.has(name, now_ms)]
        open_ones = [at for at, state, *_ in ranking.states() if state != "cooling"]
        return (refused or open_ones)[:1]

    def changed(self, change: Change) -> None:
        """A breaker has opened or closed, by what happened here."""
        if change.state == "open":
            self._neighbours.opened(change.name, change.until_ms)
            self._log.warning("target_opened", target=change.name, for_ms=change.until_ms - self.clock_ms())
        else:
            self._neighbours.closed(change.name)
            self._log.info("target_closed", target=change.name)
        self._metrics.breaker_changed(change.name, change.state)

    def order(self, planned: Planned) -> list[int]:
        """The plan's order, with those at its end whom others are better asked before."""
        if self._aside.is_empty:
            return list(planned.ranking.order)
        return self._aside.last(planned.ranking.order, planned.route.targets, self.clock_ms())

    def cool(self, target: Target, access: ProviderAccess, verdict: Verdict, retry_after_s: float | None) -> None:
        """Leaves a target or a key alone, as the verdict says; for as long as the provider asks, if it does."""
        name = f"{target.name}#{access.key_name}" if access.key_name else target.name
        names = [name] if verdict.cools == "target" else self._names[target.provider.name, access.key_name]
        now_ms, is_limited = self.clock_ms(), verdict.fallback == "rate_limit"
        if retry_after_s is not None:
            self._cool(names, now_ms + int(min(max(retry_after_s, 0.0), LONGEST_COOL_S) * 1000), now_ms, is_limited)
        elif verdict.cool_s is None:
            return
        elif verdict.cools == "target" and not access.key_name:
            return self._aside.put_limited(name, verdict.cool_s, now_ms)
        elif access.key_name:
            self._cool(names, now_ms + int(verdict.cool_s * 1000), now_ms, is_limited)
        if verdict.cools == "key" and self._aside.put(names, verdict.cool_s or 0.0, now_ms):
            self._log.warning("provider_key_set_aside", provider=access.name, key_name=access.key_name)
            self._metrics.key_set_aside(access.name, access.key_name)

    def _cool(self, names: Sequence[str], until_ms: int, now_ms: int, is_limited: bool) -> None:
        for name in names:
            if self.board.cool(name, until_ms, now_ms, limited=is_limited):
                self._neighbours.cooled(name, until_ms, is_limited)


class Slot(msgspec.Struct):
    """What one call holds. It ends once."""

    slots: Slots
    target: Target
    access: ProviderAccess
    progress: Progress
    lease: Lease
    key_lease: Lease | None = None
    admission: Admission | None = None
    is_again: bool = False
    is_over: bool = False

    @property
    def has_other_keys(self) -> bool:
        """Whether the target may be asked with another key."""
        return self.key_lease is not None and len(self.target.keys) > 1

    @property
    def has_left(self) -> bool:
        """Whether any of the request has left."""
        return self.progress.dispatched_at_us is not None

    def heard(self, latency_us: int, *, stream: bool) -> None:
        """The answer has begun, and is a good one."""
        slots, lease, key_lease = self.slots, self.lease, self.key_lease
        now_ms = slots.clock_ms()
        if (change := lease.heard(latency_us, stream, now_ms)) is not None:
            slots.changed(change)
        if key_lease is not None and (change := key_lease.heard(latency_us, stream, now_ms)) is not None:
            slots.changed(change)

    def failed(self, verdict: Verdict, retry_after_s: float | None, *, counts: bool) -> None:
        """There is no good answer; ``counts``: by the target's own failure. One request is one failure, however often
        it was tried: it may be the request that is bad."""
        self._end("failed" if counts and not self.is_again else "neutral")
        if verdict.cools is not None:
            self.slots.cool(self.target, self.access, verdict, retry_after_s)

    def end(self, outcome: Outcome | None) -> None:
        """The call is over. A client that left, and a call given up here, tell nothing of the target."""
        self._end("ok" if outcome in ("ok", "blocked") else "neutral" if outcome in (None, "client_gone") else "failed")

    def _end(self, outcome: Literal["ok", "failed", "neutral"]) -> None:
        if self.is_over:
            return
        self.is_over = True
        slots, lease, key_lease = self.slots, self.lease, self.key_lease
        now_ms = slots.clock_ms()
        if (change := lease.end(outcome, now_ms)) is not None:
            slots.changed(change)
        if key_lease is not None and (change := key_lease.end(outcome, now_ms)) is not None:
            slots.changed(change)
        if self.admission is not None:
            self.admission.release()
            used = self._used()
            if used is not None:
                self.admission.settle(*used, now_ms)

    def _used(self) -> tuple[int, int] | None:
        """The tokens of prompt and answer that the provider told, if it did."""
        reader = self.progress.answer or self.progress.reader
        if reader is None:
            return None
        usage = reader.usage
        return None if usage.total_tokens is None else (usage.prompt_tokens or 0, usage.completion_tokens or 0)


def _estimate(planned: Planned) -> tuple[int, int]:
    request = planned.request
    return request.prompt_upper_bound(), min(request.max_tokens or 0, MOST_TOKENS) * request.n


def _targets(snapshot: Snapshot) -> Sequence[Target]:
    """All that may be asked, shadows too, each once."""
    found = {route.shadow.target.name: route.shadow.target for route in snapshot.routes.values() if route.shadow}
    found |= {target.name: target for route in snapshot.routes.values() for target in route.targets}
    return list(found.values())


def _keys(snapshot: Snapshot, compile_limits: Compile) -> dict[str, _Keys]:
    """By target, where its provider has several keys."""
    return {target.name: _keys_of(target, compile_limits) for target in _targets(snapshot) if target.keys}


def _keys_of(target: Target, compile_limits: Compile) -> _Keys:
    named = [
        (f"{target.name}#{key.access.key_name}", key.weight, 1, None, None, policy_of(target.breaker))
        for key in target.keys
    ]
    return _Keys(
        Pool(f"keys of {target.name}", "weighted", named),
        tuple(key.access for key in target.keys),
        tuple(
            compile_limits((f"provider:{target.provider.name}#{key.access.key_name}", key.limits))
            if key.limits
            else None
            for key in target.keys
        ),
    )


def _names(snapshot: Snapshot) -> dict[tuple[str, str], list[str]]:
    """What a provider's key is known by on the board, by provider and key: it is there once for each target."""
    found: dict[tuple[str, str], list[str]] = {}
    for target in _targets(snapshot):
        if not target.keys:
            found.setdefault((target.provider.name, ""), []).append(target.name)
        for key in target.keys:
            found.setdefault((target.provider.name, key.access.key_name), []).append(
                f"{target.name}#{key.access.key_name}"
            )
    return found
