"""The lookout: how one process sees where calls can go, for people: the API, the command line and ``/metrics``.

In: a snapshot, this host's ledger, what people decided. Out: states, explanations, gauges. Nobody is called, and but
for what people decided nothing is changed.
"""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tollway._native.limits import Ledger
from tollway._native.routing import Board
from tollway.contract.described import Described
from tollway.contract.routing import Override, TargetStatus
from tollway.contract.snapshot import Snapshot
from tollway.control.routing.standing import key_names, targets_of
from tollway.proxy.providers.capabilities import capable
from tollway.proxy.routing.explain import Record, explain
from tollway.proxy.routing.router import Router
from tollway.telemetry import catalogue
from tollway.telemetry.readings import Reading

STATES = ("closed", "open", "half_open", "cooling")

SMALL = 1_024
"""Counters of a ledger that nobody else uses."""


class Lookout:
    """One process's. It is told of overrides in the router's stead, and hands them on."""

    def __init__(self, snapshot: Snapshot, router: Router) -> None:
        self.snapshot = snapshot
        self._router = router
        targets = targets_of(snapshot)
        self._targets = targets.keys()
        self._keys = {
            name: (target.name, key) for target in targets.values() for name, key in key_names(target).items()
        }
        self._overrides: tuple[Override, ...] = ()

    def apply(self, overrides: Sequence[Override]) -> None:
        """Take what people have decided, all of it, in place of what they had."""
        self._router.apply(overrides)
        self._overrides = tuple(overrides)

    def statuses(self) -> Sequence[TargetStatus]:
        """How every target and key stands on this host."""
        return self._router.statuses()

    def explain(self, call: Described) -> Record:
        """What would be decided now of a call that nobody makes.

        Raises:
            tollway.errors.GatewayError: it would be refused.
        """
        return explain(self._router, call)

    def readings(self) -> Iterator[Reading]:
        """Gauges of every target and key, as the host's board and this process's overrides have them now."""
        overrides = self._overrides
        drained = {override.target for override in overrides if override.drained}
        for status in self.statuses():
            if status.name in self._targets:
                yield from _of_target(status, is_drained=status.name in drained)
            elif status.name in self._keys:
                for state in STATES:
                    yield Reading(catalogue.KEY_STATE, (*self._keys[status.name], state), state == status.state)
        weights = {(override.alias, override.target): override.weight for override in overrides}
        for alias, route in self.snapshot.routes.items():
            for target in route.targets:
                given = weights.get((alias, target.name))
                weight = target.weight if given is None else given
                yield Reading(catalogue.TARGET_WEIGHT, (alias, target.name), weight)


def open_router(snapshot: Snapshot, ledger: Ledger) -> Router:
    """A router by what the ledger's board knows and by the system's clock."""
    return Router(Board(ledger), snapshot, capable, now_ms)


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


@contextmanager
def looking(snapshot: Snapshot, ledger: Path | None) -> Iterator[Lookout]:
    """A lookout from outside a gateway: on the ledger of one that runs, else (``None``) as if all stood well.

    Raises:
        tollway._native.limits.LedgerError: the ledger can't be read.
    """
    with tempfile.TemporaryDirectory(prefix="tollway-") as made:
        opened = Ledger(Path(made) / "ledger", capacity=SMALL) if ledger is None else Ledger(ledger)
        try:
            yield Lookout(snapshot, open_router(snapshot, opened))
        finally:
            opened.close()


def _of_target(status: TargetStatus, *, is_drained: bool) -> Iterator[Reading]:
    name = (status.name,)
    for state in STATES:
        yield Reading(catalogue.TARGET_STATE, (status.name, state), state == status.state)
    yield Reading(catalogue.TARGET_DRAINED, name, is_drained)
    yield Reading(catalogue.TARGET_IN_FLIGHT, name, status.in_flight)
    yield Reading(catalogue.TARGET_RAMP, name, status.ramp)
    for kind, latency_us in (("stream", status.stream_latency_us), ("whole", status.whole_latency_us)):
        if latency_us is not None:
            yield Reading(catalogue.TARGET_LATENCY, (status.name, kind), latency_us / 1e6)
