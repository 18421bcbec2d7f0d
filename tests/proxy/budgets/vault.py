"""One host under test: a ledger, its treasurer and a station, at a bank in memory and a clock that stands still."""

from pathlib import Path
from typing import Any

import msgspec
from tests.fakes.bank import ScriptedBank
from tests.fakes.telemetry import Recording
from tests.proxy.edge import snapshot
from tests.proxy.routing.desk import Desk

from tollway._native.limits import Ledger
from tollway._native.purses import Hold, Purses, PurseSet, Shortage
from tollway._native.routing import Board
from tollway.contract.budgets import Budget, Purse
from tollway.contract.snapshot import Route
from tollway.proxy.budgets.concerned import Concerned
from tollway.proxy.budgets.reserve import Reserver
from tollway.proxy.budgets.treasurer import Standing, Treasurer
from tollway.proxy.exchange import Planned
from tollway.telemetry.metrics import Metrics

PURSE = Purse(Budget(id="file:b", name="b", amount_picousd=100, period="total"))


class Clock:
    """Milliseconds since boot."""

    def __init__(self) -> None:
        self.now_ms = 5_000_000

    def __call__(self) -> int:
        """The time."""
        return self.now_ms


class Vault:
    """A worker of a host, whose ledger lies at ``path``."""

    def __init__(self, path: Path, bank: ScriptedBank, recording: Recording, metrics: Metrics, clock: Clock) -> None:
        self.ledger = Ledger(path, 16)
        self.clock = clock
        self.purses = Purses(self.ledger)
        self.treasurer = Treasurer(self.purses, bank, recording.log, clock_ms=clock)
        self.reserver = Reserver(
            self.purses, self.treasurer, Concerned(now_s=lambda: 0.0), lambda _: None, metrics, clock_ms=clock
        )

    def hold(self, picousd: int, purse: Purse = PURSE) -> Hold | Shortage:
        """One try."""
        self.treasurer.learn([purse])
        return self.purses.reserve(PurseSet([purse.name]), picousd, self.clock(), 0)

    def standing(self, purse: Purse = PURSE) -> Standing:
        """How a purse stands here."""
        (row,) = self.purses.standings([purse.name], self.clock())
        assert row is not None
        return Standing(*row)

    def planned(self, *budgets: Budget, routes: tuple[Route, ...] = (), model: str = "m", **asked: Any) -> Planned:
        """A plan, where these budgets are the file's; the first of the routes is asked, unless another is named."""
        planned = Desk(Board(self.ledger), *routes).plan(model, **asked)
        known = msgspec.structs.replace(snapshot(*routes), budgets=budgets)
        return msgspec.structs.replace(planned, arrival=msgspec.structs.replace(planned.arrival, snapshot=known))

    def close(self) -> None:
        """The worker ends: what it held goes back."""
        self.ledger.close()


def budget(name: str = "b", amount_picousd: int = 100, **fields: Any) -> Budget:
    """A budget of the file's."""
    return Budget(id=f"file:{name}", name=name, amount_picousd=amount_picousd, period="total", **fields)
