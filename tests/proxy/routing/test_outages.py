"""What the simulation in ``benches/routing.py`` shows stays true: shorter, with fewer calls, and in virtual time."""

from functools import cache

import pytest
from benches.outages import LOST, MEDIANS_S, SLOWED, Condition, Figures, Phase, figures
from benches.stations import lived

from tollway.contract.routing import Strategy

PER_SECOND = 30.0
SEEDS = (1, 2, 3)
BROWN_OUT = (Phase("normal", 60), Phase("brown-out", 300, {SLOWED: Condition(slowness=10)}))
OUTAGES = (
    Phase("normal", 30),
    Phase("outage", 90, {LOST: Condition(is_down=True)}),
    Phase("after the outage", 90),
    Phase("full outage", 60, {name: Condition(is_down=True) for name in MEDIANS_S}),
)


@cache
def brown_out(strategy: Strategy) -> Figures:
    """One strategy's figures while the best target is ten times slower. Only one of them is held to a hundredth."""
    seeds = SEEDS if strategy == "latency" else SEEDS[:1]
    return figures([lived(strategy, seed, BROWN_OUT, PER_SECOND) for seed in seeds])[1]


@cache
def outages(strategy: Strategy) -> dict[str, Figures]:
    """One strategy's figures while one target is lost, and then all are."""
    return {each.phase: each for each in figures([lived(strategy, SEEDS[0], OUTAGES, PER_SECOND)])}


def test_by_latency_a_brown_out_is_hardly_felt() -> None:
    found = brown_out("latency")
    assert found.p99_s <= 1.3 * found.best_p99_s
    assert found.lost == 0
    assert found.shares[SLOWED] < 0.02


@pytest.mark.parametrize("strategy", ["least_busy", "latency"])
def test_who_looks_at_the_targets_beats_who_takes_turns(strategy: Strategy) -> None:
    turns, found = brown_out("round_robin"), brown_out(strategy)
    assert found.p95_s < 0.85 * turns.p95_s
    assert found.p99_s < 0.85 * turns.p99_s
    assert found.shares[SLOWED] < 0.5 * turns.shares[SLOWED]


@pytest.mark.parametrize("strategy", ["latency", "least_busy", "round_robin", "weighted", "cost", "priority", "sticky"])
def test_a_lost_target_costs_no_request(strategy: Strategy) -> None:
    found = outages(strategy)
    assert (found["normal"].lost, found["outage"].lost) == (0, 0)
    assert found["outage"].shares[LOST] < 0.05


@pytest.mark.parametrize("strategy", ["latency", "least_busy", "round_robin", "weighted", "cost", "priority", "sticky"])
def test_a_full_outage_is_not_made_worse_by_retries(strategy: Strategy) -> None:
    found = outages(strategy)["full outage"]
    assert found.lost > 0.9 * found.requests
    assert found.amplification <= 1.25


def test_a_target_that_is_back_takes_its_share_again() -> None:
    assert outages("round_robin")["after the outage"].shares[LOST] > 0.2
