"""What station 5 costs: ``python -m pytest benches/planning.py`` prints it, and fails above the bars.

Bars, of the median on one core of the machine in ``benches/README.md``: 20 µs with 3 targets, 60 µs with 50; with 1,000
aliases no more than 1.25 times what it is with 10. The clock and the ledger are real, a request is a small chat.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.proxy.edge import arrive, ask, principal, snapshot
from tests.proxy.routing.desk import goal, open_board, way

from tollway._native.routing import Board
from tollway.contract.routing import Rule, Strategy, When
from tollway.contract.snapshot import Route
from tollway.proxy.exchange import Planned, Screened
from tollway.proxy.providers.capabilities import capable
from tollway.proxy.routing.plan import Planner
from tollway.proxy.routing.router import Router

FEW_US, MANY_US = 20, 60
MORE_FOR_ALIASES = 1.25
"""Room for noise: nothing that is done depends on their number."""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A host's board."""
    with open_board(tmp_path) as board:
        yield board


def planner(board: Board, *routes: Route) -> Planner:
    """One worker's."""
    return Planner(Router(board, snapshot(*routes), capable, lambda: time.time_ns() // 1_000_000))


async def screened(**fields: Any) -> Screened:
    """A small request of a caller who may use a model by name."""
    headers = {b"x-region": b"eu", b"content-type": b"application/json"}
    caller = principal(allowed_models=frozenset({"m"}))
    return Screened(arrive(headers=headers), caller, ask("m", **fields))


def measure(benchmark: Any, board: Board, *routes: Route, **fields: Any) -> float:
    """The median in microseconds."""
    request, station = asyncio.run(screened(**fields)), planner(board, *routes)

    def plan() -> Planned:
        request.arrival.timing.spans.clear()
        return station.plan(request)

    assert benchmark.pedantic(plan, rounds=300, iterations=30, warmup_rounds=10).ranking.order
    return float(benchmark.stats.stats.median * 1e6)


@pytest.mark.parametrize("strategy", get_args(Strategy))
@pytest.mark.parametrize(("targets", "bar_us"), [(3, FEW_US), (50, MANY_US)])
def test_planning_is_cheap(benchmark: Any, board: Board, strategy: Strategy, targets: int, bar_us: float) -> None:
    """Every strategy."""
    goals = [goal(str(number), weight=number % 3 + 1, tier=number % 2 + 1) for number in range(targets)]
    assert measure(benchmark, board, way(*goals, strategy=strategy)) <= bar_us


@pytest.mark.parametrize(("targets", "bar_us"), [(3, FEW_US), (50, MANY_US)])
def test_planning_by_rules_is_cheap(benchmark: Any, board: Board, targets: int, bar_us: float) -> None:
    """Five rules, of which the last one holds and leaves out a third; and a need."""
    rules = [
        Rule(name="header", to=frozenset({"0"}), when=When(headers={"x-region": frozenset({"us"})})),
        Rule(name="tenant", to=frozenset({"0"}), when=When(tenants=frozenset({"other"}))),
        Rule(name="notes", to=frozenset({"0"}), when=When(metadata={"team": frozenset({"ads"})})),
        Rule(name="canary", to=frozenset({"0"}), share=0.0),
        Rule(name="size", to=frozenset({"1", "2"}), when=When(tokens_up_to=1_000)),
    ]
    goals = [goal(str(number), str(number % 3)) for number in range(targets)]
    tools = [{"type": "function", "function": {"name": "f"}}]
    median_us = measure(benchmark, board, way(*goals, rules=tuple(rules)), metadata={"team": "search"}, tools=tools)
    assert median_us <= bar_us


def test_planning_does_not_grow_with_the_aliases(benchmark: Any, board: Board) -> None:
    """Ten against a thousand, in turn, so that the machine's moods meet both."""
    request = asyncio.run(screened())
    stations = [
        planner(
            board, *(way(goal("a"), goal("b"), goal("c"), alias=alias) for alias in ("m", *map(str, range(1, size))))
        )
        for size in (10, 1_000)
    ]
    spent_ns: list[list[int]] = [[], []]

    def turn() -> None:
        for station, spent in zip(stations, spent_ns, strict=True):
            before = time.perf_counter_ns()
            for _ in range(30):
                station.plan(request)
            spent.append(time.perf_counter_ns() - before)
            request.arrival.timing.spans.clear()

    benchmark.pedantic(turn, rounds=300, warmup_rounds=10)
    few, many = (sorted(spent)[len(spent) // 2] for spent in spent_ns)
    benchmark.extra_info["many_over_few"] = round(many / few, 3)
    assert many <= few * MORE_FOR_ALIASES
