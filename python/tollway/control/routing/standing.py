"""How targets and models stand: what the configuration declares, what people decided, and what a host sees, together.

Pure: the three come in, what the API and the command line show goes out. What a host sees may be missing: then states
are ``None``.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec

from tollway.contract.routing import FOR_GOOD_MS, FallbackCause, Rule, Strategy, TargetStatus
from tollway.contract.snapshot import Route, Snapshot, Target
from tollway.control.routing.queries import StoredOverride

_ASKED = frozenset({"closed", "half_open"})
"""States in which a target is asked; of a half-open one, a few calls."""


class Decided(msgspec.Struct, frozen=True):
    """Who decided, when, and why."""

    by: str
    at: datetime
    note: str | None


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A target under one model: its share of the calls, and what rules and tiers know it by.

    ``declared_weight`` is the configuration's; ``weight`` is what holds now, ``decided`` by somebody if it is another.
    """

    model: str
    weight: int
    declared_weight: int
    tier: int
    tags: tuple[str, ...]
    decided: Decided | None


class ShownKey(msgspec.Struct, frozen=True, kw_only=True):
    """One of the keys that a target is asked with, by name, as this host sees it."""

    name: str
    state: str | None
    until: datetime | None
    in_flight: int | None


class ShownTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target. ``is_available``: calls go there now, as far as is known.

    ``state`` to ``ramp`` are what this host sees: the breaker (``closed``, ``open``, ``half_open``, or ``cooling``),
    until when, and latencies in milliseconds of streams' first bytes and of whole answers. ``drained``, ``opened`` (for
    good unless ``opened_until`` is set) and ``closed_at`` are what somebody ``decided``. A target that is not
    ``is_declared`` is one that the configuration has no more.
    """

    name: str
    provider: str
    model: str
    is_declared: bool
    is_available: bool
    state: str | None
    until: datetime | None
    in_flight: int | None
    stream_latency_ms: float | None
    whole_latency_ms: float | None
    consecutive_failures: int | None
    ramp: float | None
    drained: bool
    opened: bool
    opened_until: datetime | None
    closed_at: datetime | None
    decided: Decided | None
    shares: tuple[Share, ...]
    shadows: tuple[str, ...]
    keys: tuple[ShownKey, ...]


class ModelTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A target as its model lists it."""

    name: str
    weight: int
    declared_weight: int
    tier: int
    tags: tuple[str, ...]
    is_available: bool
    drained: bool
    state: str | None


class ShownModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model alias: how its calls find a target. ``shadow`` is a target's name."""

    alias: str
    strategy: Strategy
    sticky_by: str
    targets: tuple[ModelTarget, ...]
    rules: tuple[Rule, ...]
    fallbacks: dict[FallbackCause, tuple[str, ...]]
    shadow: str | None


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a model can be served by its own targets, and by how many of them."""

    alias: str
    is_served: bool
    available: int
    targets: int


class ShownHealth(msgspec.Struct, frozen=True, kw_only=True):
    """All targets by their state on this host, and the models, those first that nobody can serve now."""

    targets: dict[str, int]
    drained: int
    opened: int
    models: tuple[ServedModel, ...]


class Layout:
    """What a snapshot declares, by the names that are asked for. Made once for each snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.routes = [snapshot.routes[alias] for alias in sorted(snapshot.routes)]
        self.targets = targets_of(snapshot)
        self.answering: dict[str, list[tuple[Route, Target]]] = {}
        self.shadowing: dict[str, list[str]] = {}
        for route in self.routes:
            for target in route.targets:
                self.answering.setdefault(target.name, []).append((route, target))
            if route.shadow is not None:
                self.shadowing.setdefault(route.shadow.target.name, []).append(route.alias)


class Standing:
    """What is declared, decided and seen, at one moment."""

    def __init__(
        self,
        layout: Layout,
        overrides: Iterable[StoredOverride],
        statuses: Iterable[TargetStatus] | None,
        now_ms: int,
    ) -> None:
        self._layout = layout
        self._targets = layout.targets
        self._of_target = {given.target: given for given in overrides if not given.alias}
        self._weights = {(given.alias, given.target): given for given in overrides if given.alias}
        self._decided = {name for _, name in self._weights} | self._of_target.keys()
        self._seen = None if statuses is None else {status.name: status for status in statuses}
        self._now_ms = now_ms

    def targets(self, after: str = "") -> Iterator[ShownTarget]:
        """Every target by name, from behind ``after``, also those about which only something was decided."""
        names = self._targets.keys() | self._decided
        return (self.target(name) for name in sorted(name for name in names if name > after))

    def knows(self, name: str) -> bool:
        """Whether there is such a target, or something was decided about one of that name."""
        return name in self._targets or name in self._decided

    def target(self, name: str) -> ShownTarget:
        """One target."""
        declared, override, seen = self._targets.get(name), self._of_target.get(name), self._status(name)
        opened = self._is_opened(override)
        provider, _, model = name.partition("/")
        return ShownTarget(
            name=name,
            provider=declared.provider.name if declared else provider,
            model=declared.model if declared else model,
            is_declared=declared is not None,
            is_available=declared is not None and self._is_available(declared),
            state=seen.state if seen else None,
            until=_moment(seen.until_ms) if seen else None,
            in_flight=seen.in_flight if seen else None,
            stream_latency_ms=_milliseconds(seen.stream_latency_us) if seen else None,
            whole_latency_ms=_milliseconds(seen.whole_latency_us) if seen else None,
            consecutive_failures=seen.consecutive_failures if seen else None,
            ramp=seen.ramp if seen else None,
            drained=override is not None and override.drained,
            opened=opened,
            opened_until=_moment(override.opened_until_ms) if override and opened else None,
            closed_at=_moment(override.closed_at_ms) if override else None,
            decided=_decided(override),
            shares=tuple(self._shares(name)),
            shadows=tuple(self._layout.shadowing.get(name, ())),
            keys=tuple(self._keys(declared)) if declared else (),
        )

    def models(self, after: str = "") -> Iterator[ShownModel]:
        """Every model by name, from behind ``after``."""
        return (self.model(route) for route in self._layout.routes if route.alias > after)

    def model(self, route: Route) -> ShownModel:
        """One model."""
        return ShownModel(
            alias=route.alias,
            strategy=route.strategy,
            sticky_by=route.sticky_by,
            targets=tuple(self._model_target(route, target) for target in route.targets),
            rules=route.rules,
            fallbacks=route.fallbacks,
            shadow=None if route.shadow is None else route.shadow.target.name,
        )

    def health(self) -> ShownHealth:
        """The sum of it."""
        counts = dict.fromkeys(("closed", "open", "half_open", "cooling"), 0)
        for name in self._targets:
            seen = self._status(name)
            if seen is not None:
                counts[seen.state] += 1
        served = []
        for route in self._layout.routes:
            available = sum(self._is_available(target) for target in route.targets)
            served.append(
                ServedModel(alias=route.alias, is_served=available > 0, available=available, targets=len(route.targets))
            )
        overrides = [self._of_target[name] for name in self._targets if name in self._of_target]
        return ShownHealth(
            targets=counts,
            drained=sum(override.drained for override in overrides),
            opened=sum(self._is_opened(override) for override in overrides),
            models=tuple(sorted(served, key=lambda model: (model.is_served, model.alias))),
        )

    def weight(self, alias: str, target: Target) -> int:
        """The share that holds now."""
        override = self._weights.get((alias, target.name))
        return target.weight if override is None or override.weight is None else override.weight

    def _status(self, name: str) -> TargetStatus | None:
        """A target or key that the host has no entry of has never been asked: it stands well."""
        return None if self._seen is None else self._seen.get(name, TargetStatus(name=name))

    def _is_opened(self, override: StoredOverride | None) -> bool:
        return override is not None and (override.opened_until_ms or 0) > self._now_ms

    def _is_available(self, target: Target) -> bool:
        override = self._of_target.get(target.name)
        if override is not None and (override.drained or self._is_opened(override)):
            return False
        keys = key_names(target)
        return self._is_asked(target.name) and (not keys or any(map(self._is_asked, keys)))

    def _is_asked(self, name: str) -> bool:
        seen = self._status(name)
        return seen is None or seen.state in _ASKED

    def _shares(self, name: str) -> Iterator[Share]:
        for route, target in self._layout.answering.get(name, ()):
            yield Share(
                model=route.alias,
                weight=self.weight(route.alias, target),
                declared_weight=target.weight,
                tier=target.tier,
                tags=tuple(sorted(target.tags)),
                decided=_decided(self._weights.get((route.alias, name))),
            )

    def _model_target(self, route: Route, target: Target) -> ModelTarget:
        override, seen = self._of_target.get(target.name), self._status(target.name)
        return ModelTarget(
            name=target.name,
            weight=self.weight(route.alias, target),
            declared_weight=target.weight,
            tier=target.tier,
            tags=tuple(sorted(target.tags)),
            is_available=self._is_available(target),
            drained=override is not None and override.drained,
            state=seen.state if seen else None,
        )

    def _keys(self, target: Target) -> Iterator[ShownKey]:
        for name, own in key_names(target).items():
            seen = self._status(name)
            yield ShownKey(
                name=own,
                state=seen.state if seen else None,
                until=_moment(seen.until_ms) if seen else None,
                in_flight=seen.in_flight if seen else None,
            )


def targets_of(snapshot: Snapshot) -> Mapping[str, Target]:
    """Every target by name, shadows too."""
    found = {target.name: target for route in snapshot.routes.values() for target in route.targets}
    for route in snapshot.routes.values():
        if route.shadow is not None:
            found.setdefault(route.shadow.target.name, route.shadow.target)
    return found


def key_names(target: Target) -> Mapping[str, str]:
    """What the board knows a target's keys by (``provider/model#key``), and their names; none where its provider has
    but one."""
    return {f"{target.name}#{key.access.key_name}": key.access.key_name for key in target.keys}


def _decided(override: StoredOverride | None) -> Decided | None:
    return None if override is None else Decided(override.updated_by, override.updated_at, override.note)


def _moment(unix_ms: int | None) -> datetime | None:
    """A point in time; ``None`` for none and for one that never comes."""
    return None if not unix_ms or unix_ms >= FOR_GOOD_MS else datetime.fromtimestamp(unix_ms / 1000, UTC)


def _milliseconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000
