"""What station 5 is tested with: routes of targets that are easily told apart, a real board, a clock that stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from tests.proxy.edge import arrive, ask, principal, snapshot

from tollway._native.limits import Ledger
from tollway._native.routing import Board
from tollway.contract.routing import Need
from tollway.contract.snapshot import Operation, Price, ProviderAccess, ProviderKind, Route, Target, Timeouts
from tollway.proxy.exchange import Planned, Screened
from tollway.proxy.providers.capabilities import capable
from tollway.proxy.routing.plan import Planner
from tollway.proxy.routing.router import Router

NOW_MS = 1_800_000_000_000
FREE = Price(version="test", input=0, output=0)


def goal(model: str, *tags: str, kind: ProviderKind = "openai_compatible", **more: Any) -> Target:
    """A target of a provider that takes everything, unless another ``kind`` is said."""
    access = ProviderAccess(kind, kind, "http://127.0.0.1:9/v1", "sk-provider-canary-0123456789")
    plain: dict[str, Any] = {"weight": 1, "price": Price(version="test", input=1_000, output=2_000)}
    return Target(access, model, **(plain | more), tags=frozenset(tags))


def way(*targets: Target, alias: str = "m", **more: Any) -> Route:
    """A route to them."""
    return Route(alias, targets, Timeouts(), **more)


class Desk:
    """A planner, and the clock it reads."""

    def __init__(self, board: Board, *routes: Route, refuses_unpriced: bool = False) -> None:
        self.now_ms = NOW_MS
        self.looked_up: list[tuple[str, Need]] = []
        self.board = board
        known = msgspec.structs.replace(snapshot(*routes), refuses_unpriced=refuses_unpriced)
        self.router = Router(board, known, self._capable, lambda: self.now_ms)
        self.planner = Planner(self.router)

    def _capable(self, target: Target, need: Need) -> bool:
        self.looked_up.append((target.name, need))
        return capable(target, need)

    def screened(
        self,
        model: str = "m",
        *,
        headers: dict[str, str] | None = None,
        operation: Operation = "chat",
        caller: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Screened:
        """A request before station 5: ``headers`` by name, ``caller`` is what differs in the key's record."""
        raw = {name.encode(): value.encode("latin-1") for name, value in (headers or {}).items()}
        arrival = arrive(headers=raw, operation=operation)
        return Screened(arrival, principal(**(caller or {})), ask(model, **fields))

    def plan(self, model: str = "m", **asked: Any) -> Planned:
        """Its plan."""
        return self.planner.plan(self.screened(model, **asked))

    def asked(self, model: str = "m", **asked: Any) -> set[str]:
        """The models of those who may be asked."""
        return set(order(self.plan(model, **asked)))


def order(planned: Planned) -> list[str]:
    """The models that may be asked, best first."""
    return [planned.route.targets[index].model for index in planned.ranking.order]


def reasons(planned: Planned) -> dict[str, str]:
    """Who was left out, and why."""
    return {planned.route.targets[index].model: reason for index, reason in planned.skipped}


@contextmanager
def open_board(directory: Path) -> Iterator[Board]:
    """A board of the test's own."""
    ledger = Ledger(str(directory / "ledger"))
    ledger.join()
    try:
        yield Board(ledger)
    finally:
        ledger.close()
