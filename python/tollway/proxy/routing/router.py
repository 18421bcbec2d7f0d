"""The router: what station 5 knows of routes and of how targets stand, kept ready for a worker.

It joins the snapshot, which does not change, the board, where all workers of the host note what they see, and what
people decide while the gateway runs.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, TypeVar, cast

import msgspec

from tollway._native.routing import Board, Names
from tollway.contract.routing import Breaker, Need, Override, TargetStatus
from tollway.contract.snapshot import Overrule, ProviderKind, Route, Snapshot, Target
from tollway.proxy.routing.compiled import (
    NEEDS,
    NOTHING_DECIDED,
    Capable,
    Compiled,
    Decided,
    able_of,
    key_names,
)

_State = Literal["closed", "open", "half_open", "cooling"]
_Name = TypeVar("_Name", bound=Hashable)

REMEMBERED_MS = 86_400_000
"""A day: how long a host knows which closings by hand it has carried out."""


class Router:
    """One worker's. Times are Unix milliseconds, by ``clock_ms``; ``capable`` is what is known of models.

    Raises:
        ValueError: a route has more targets than a pool can hold.
    """

    def __init__(self, board: Board, snapshot: Snapshot, capable: Capable, clock_ms: Callable[[], int]) -> None:
        self.board = board
        self.clock_ms = clock_ms
        self._capable = capable
        self._known: dict[tuple[ProviderKind, str, Overrule], frozenset[Need]] = {}
        self._routes = snapshot.routes
        self.refuses_unpriced = snapshot.refuses_unpriced
        """Whether a target without a price is not asked."""
        self._decided = NOTHING_DECIDED
        self._closed: dict[str, int] = {}
        self._compiled = {alias: self._compile(route) for alias, route in snapshot.routes.items()}
        self._alone: dict[tuple[str, str], Compiled] = {}
        self._breakers: dict[str, Breaker] = {}
        self._aliases: dict[str, list[str]] = {}
        for alias, target in _targets(snapshot):
            self._aliases.setdefault(target.name, []).append(alias)
            self._breakers |= dict.fromkeys((target.name, *key_names(target)), target.breaker)
        self.names = tuple(sorted(self._breakers))
        """Of every target and every key: what has a state."""
        self._native_names = Names(self.names)

    def breakers(self) -> Mapping[str, Breaker]:
        """The breaker of every target and key, by name."""
        return self._breakers

    def find(self, alias: str) -> Compiled | None:
        """The route of that name."""
        return self._compiled.get(alias)

    def alone(self, alias: str, target: Target) -> Compiled:
        """A route to one target, for copies of the calls of ``alias``: without rules, and with a budget of its own."""
        found = self._alone.get((alias, target.name))
        if found is None or found.route.targets[0] is not target:
            route = Route(alias, (target,), self._routes[alias].timeouts)
            decided = msgspec.structs.replace(self._decided, weights={})
            able = able_of(route.targets, self._takes)
            found = self._alone[alias, target.name] = Compiled(route, able, decided, f"{alias} ({target.name})")
        return found

    def apply(self, overrides: Sequence[Override]) -> None:
        """Takes what people have decided, all of it, in place of what they had; compiles what that touches."""
        before, now = self._decided, _decided(overrides)
        self._decided = now
        names = (before.drained ^ now.drained) | _changed(before.opened, now.opened)
        aliases = {alias for alias, _ in _changed(before.weights, now.weights)}
        aliases.update(alias for name in names for alias in self._aliases.get(name, ()))
        for alias in aliases & self._routes.keys():
            self._compiled[alias] = self._compile(self._routes[alias])
        if names:
            self._alone.clear()
        for override in overrides:
            if override.closed_at_ms is not None:
                self._close(override.target, override.closed_at_ms)

    def statuses(self) -> list[TargetStatus]:
        """How every target and key stands on this host. Who was opened by hand is open, whatever the breaker says."""
        now_ms, opened = self.clock_ms(), self._decided.opened
        statuses = []
        for row in self.board.status(self._native_names, now_ms):
            name, state, until_ms, in_flight, stream_us, whole_us, failures, ramp = row
            if now_ms < opened.get(name, 0):
                state, until_ms = "open", opened[name]
            statuses.append(
                TargetStatus(
                    name=name,
                    state=cast(_State, state),
                    until_ms=until_ms,
                    in_flight=in_flight,
                    stream_latency_us=stream_us,
                    whole_latency_us=whole_us,
                    consecutive_failures=failures,
                    ramp=ramp,
                )
            )
        return statuses

    def _compile(self, route: Route) -> Compiled:
        return Compiled(route, able_of(route.targets, self._takes), self._decided)

    def _takes(self, target: Target) -> frozenset[Need]:
        """What a target can take; looked up once for a model, for that costs time."""
        key = (target.provider.kind, target.model, target.takes)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = frozenset(need for need in NEEDS if self._capable(target, need))
        return found

    def _close(self, name: str, closed_at_ms: int) -> None:
        """Closes what is known by ``name``, once on this host: a worker that starts later does not do it again."""
        breaker = self._breakers.get(name)
        if breaker is None or closed_at_ms <= self._closed.get(name, 0):
            return
        self._closed[name] = closed_at_ms
        now_ms = self.clock_ms()
        if self.board.claim(f"{name} closed at {closed_at_ms}", REMEMBERED_MS, now_ms):
            self.board.close(name, now_ms, round(breaker.slow_start_s * 1_000))


def _targets(snapshot: Snapshot) -> Iterator[tuple[str, Target]]:
    for alias, route in snapshot.routes.items():
        for target in route.targets:
            yield alias, target
        if route.shadow is not None:
            yield alias, route.shadow.target


def _decided(overrides: Iterable[Override]) -> Decided:
    return Decided(
        weights={(each.alias, each.target): each.weight for each in overrides if each.weight is not None},
        drained=frozenset(each.target for each in overrides if each.drained),
        opened={each.target: each.opened_until_ms for each in overrides if each.opened_until_ms is not None},
    )


def _changed(before: Mapping[_Name, int], now: Mapping[_Name, int]) -> set[_Name]:
    return {name for name, _ in before.items() ^ now.items()}
