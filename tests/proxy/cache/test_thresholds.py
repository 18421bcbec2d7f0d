"""Thresholds that are learned: held to the exact distribution, and simulated where the truth is known."""

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tollway.contract.cache import Feedback, SemanticCaching
from tollway.proxy.cache.thresholds import (
    EDGES,
    MOST_HITS,
    MOST_REGIONS,
    NEVER,
    PRIOR,
    TRIED,
    Thresholds,
    is_bounded,
    is_refuted,
)

ADAPTIVE = SemanticCaching(adaptive=True)
REGION = "acme/chat/5"


def _verdict(confidence: float, verdict: Literal["good", "wrong"], region: str = REGION) -> Feedback:
    return Feedback(tenant_id="acme", region=region, confidence=confidence, verdict=verdict, source="shadow")


def _at_most(wrong: int, hits: int, share: Fraction) -> Fraction:
    """P(X <= wrong), exactly."""
    return sum(
        (math.comb(hits, count) * share**count * (1 - share) ** (hits - count) for count in range(wrong + 1)),
        Fraction(0),
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 200), st.data(), st.sampled_from([0.0001, 0.001, 0.005, 0.01, 0.03, 0.1, 0.5, 0.9]))
def test_a_bound_holds_exactly_where_the_distribution_says_so(hits: int, data: st.DataObject, share: float) -> None:
    wrong = data.draw(st.integers(0, hits))
    exact = Fraction(share)
    below = _at_most(wrong, hits, exact)
    if abs(below - Fraction(1, 40)) > Fraction(1, 10**8):
        assert is_bounded(wrong, hits, share) == (hits > 0 and below < Fraction(1, 40))
    from_there_on = 1 - (_at_most(wrong - 1, hits, exact) if wrong else 0)
    if abs(from_there_on - Fraction(1, 1000)) > Fraction(1, 10**8):
        assert is_refuted(wrong, hits, share) == (from_there_on < Fraction(1, 1000))


@pytest.mark.parametrize(("hits", "is_enough"), [(367, False), (368, True)])
def test_one_per_cent_takes_368_hits_without_a_wrong_one(hits: int, is_enough: bool) -> None:
    # The smallest n for which 0.99 to the power of n is at most 0.025.
    assert is_bounded(0, hits, 0.01) is is_enough


def test_nothing_is_bounded_by_nothing_and_everything_by_all() -> None:
    assert not is_bounded(0, 0, 0.01)
    assert is_bounded(5, 5, 1.0)
    assert not is_refuted(0, 0, 0.01)


def test_a_policy_that_is_not_adaptive_has_its_own_threshold() -> None:
    thresholds = Thresholds()
    thresholds.learn(_verdict(0.99, "wrong"))
    assert thresholds.of(SemanticCaching(threshold=0.83), REGION) == 0.83


def test_a_region_begins_where_the_prior_is_within_the_bound_else_with_the_surest_hits() -> None:
    assert len(PRIOR) == len(EDGES)
    loose = SemanticCaching(adaptive=True, max_wrong=0.1)
    start = Thresholds().of(loose, REGION)
    above = [PRIOR[at] for at, edge in enumerate(EDGES) if edge >= start]
    assert is_bounded(sum(wrong for _, wrong in above), sum(hits for hits, _ in above), loose.max_wrong)
    assert start < Thresholds().of(ADAPTIVE, REGION) == TRIED[0]


def test_good_hits_lower_a_threshold_and_wrong_ones_raise_it_in_their_region_alone() -> None:
    thresholds = Thresholds()
    start = thresholds.of(ADAPTIVE, REGION)
    for _ in range(600):
        thresholds.learn(_verdict(0.99, "good"))
    lowered = thresholds.of(ADAPTIVE, REGION)
    assert lowered < start
    for _ in range(20):
        thresholds.learn(_verdict(lowered, "wrong"))
    assert thresholds.of(ADAPTIVE, REGION) > lowered
    assert thresholds.of(ADAPTIVE, "acme/chat/6") == start
    thresholds.forget()
    assert thresholds.of(ADAPTIVE, REGION) == start


def test_a_region_whose_surest_hits_are_wrong_serves_none_until_it_is_forgotten() -> None:
    thresholds = Thresholds()
    for _ in range(60):
        thresholds.learn(_verdict(1.0, "wrong"))
    assert thresholds.of(ADAPTIVE, REGION) == NEVER
    thresholds.forget()
    assert thresholds.of(ADAPTIVE, REGION) < 1


def test_a_bound_for_which_too_little_is_known_tries_the_surest_hits_one_edge_after_the_other() -> None:
    strict = SemanticCaching(adaptive=True, max_wrong=0.0001)
    thresholds = Thresholds()
    assert thresholds.of(strict, REGION) == TRIED[0]
    thresholds.learn(_verdict(0.986, "wrong"))
    assert thresholds.of(strict, REGION) == TRIED[0], "chance may have it"
    for at, confidence in ((1, 0.986), (2, 0.991)):
        thresholds.learn(_verdict(confidence, "wrong"))
        thresholds.learn(_verdict(confidence, "wrong"))
        assert thresholds.of(strict, REGION) == TRIED[at]
    thresholds.learn(_verdict(0.999, "wrong"))
    thresholds.learn(_verdict(0.999, "wrong"))
    assert thresholds.of(strict, REGION) == NEVER


def test_what_is_tried_is_given_up_after_many_hits_of_which_more_are_wrong_than_may_be() -> None:
    thresholds = Thresholds()
    for number in range(400):
        thresholds.learn(_verdict(0.986, "wrong" if number % 60 == 0 else "good"))
    assert thresholds.of(ADAPTIVE, REGION) == TRIED[1]
    for _ in range(300):
        thresholds.learn(_verdict(0.991, "good"))
    assert thresholds.of(ADAPTIVE, REGION) == TRIED[0], "together they are good enough for another try"
    for _ in range(50):
        thresholds.learn(_verdict(0.991, "good"))
    assert thresholds.of(ADAPTIVE, REGION) == TRIED[1], "where the bound holds now"


def test_only_the_last_verdicts_of_a_region_count() -> None:
    thresholds = Thresholds()
    for _ in range(MOST_HITS):
        thresholds.learn(_verdict(0.999, "wrong"))
    assert thresholds.of(ADAPTIVE, REGION) == NEVER
    for _ in range(MOST_HITS):
        thresholds.learn(_verdict(0.999, "good"))
    assert thresholds.of(ADAPTIVE, REGION) < 0.999


def test_a_worker_remembers_so_many_regions_and_forgets_who_was_not_asked_for_longest() -> None:
    thresholds = Thresholds()
    start = thresholds.of(ADAPTIVE, "never heard of")
    for number in range(MOST_REGIONS):
        for _ in range(5):
            thresholds.learn(_verdict(0.999, "wrong", f"r{number}"))
    assert thresholds.of(ADAPTIVE, "r0") == NEVER, "asked for just now"
    thresholds.learn(_verdict(0.999, "wrong", "one more"))
    assert (thresholds.of(ADAPTIVE, "r0"), thresholds.of(ADAPTIVE, "r1")) == (NEVER, start)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=False, allow_infinity=False, min_value=-1, max_value=2),
            st.sampled_from(["good", "wrong"]),
        ),
        max_size=80,
    ),
    st.floats(0.0001, 0.5),
)
@example([(1.0, "wrong")] * 5, 0.0625)
def test_whatever_is_heard_a_threshold_is_an_edge_or_never_and_a_looser_bound_is_no_higher(
    heard: list[tuple[float, Literal["good", "wrong"]]], max_wrong: float
) -> None:
    thresholds = Thresholds()
    for confidence, verdict in heard:
        thresholds.learn(_verdict(confidence, verdict))
    found = thresholds.of(SemanticCaching(adaptive=True, max_wrong=max_wrong), REGION)
    assert found == NEVER or found in EDGES
    looser = thresholds.of(SemanticCaching(adaptive=True, max_wrong=min(1.0, 2 * max_wrong)), REGION)
    # Of a looser bound it may be known already that it holds at an edge above the one that the stricter one only tries.
    assert looser <= found or (found in TRIED and looser in TRIED)


def _simulated(wrong_share: Callable[[float], float], *, judged: float, seed: int) -> tuple[float, float, float]:
    """The share of the later hits that is to be expected wrong, their share of the look-ups, and the share that the
    lowest edge which keeps the bound in truth would have served."""
    draw = random.Random(seed)
    thresholds = Thresholds()
    look_ups = 60_000
    confidences = [draw.betavariate(3, 0.6) for _ in range(look_ups)]
    served, wrong = 0, 0.0
    for number, confidence in enumerate(confidences):
        if confidence < thresholds.of(ADAPTIVE, REGION):
            continue
        if number >= look_ups // 2:
            served += 1
            wrong += wrong_share(confidence)
        is_wrong = draw.random() < wrong_share(confidence)
        if draw.random() < judged:
            thresholds.learn(_verdict(confidence, "wrong" if is_wrong else "good"))
    best = 0.0
    for edge in EDGES:
        above = [wrong_share(confidence) for confidence in confidences if confidence >= edge]
        if above and sum(above) / len(above) <= ADAPTIVE.max_wrong:
            best = len(above) / look_ups
            break
    return (wrong / served if served else 0.0), served / (look_ups / 2), best


REGIONS: dict[str, Callable[[float], float]] = {
    "calibrated": lambda confidence: 1 - confidence,
    "twice as wrong": lambda confidence: min(1.0, 2 * (1 - confidence)),
    "a third as wrong": lambda confidence: (1 - confidence) / 3,
    "steep": lambda confidence: 0.001 if confidence > 0.8 else 0.3,
    "never wrong": lambda _: 0.0,
}


@pytest.mark.parametrize(
    ("kind", "judged"),
    [*((kind, 1.0) for kind in REGIONS if kind != "never wrong"), ("calibrated", 0.2), ("never wrong", 0.2)],
)
def test_with_feedback_few_hits_are_wrong_and_few_are_lost(kind: str, judged: float) -> None:
    found = [_simulated(REGIONS[kind], judged=judged, seed=seed) for seed in range(3)]
    wrong = sum(share for share, _, _ in found) / len(found)
    kept = sum(share for _, share, _ in found) / sum(best for _, _, best in found)
    assert wrong <= ADAPTIVE.max_wrong
    assert kept >= 0.6


def test_a_region_that_is_wrong_throughout_ends_without_hits() -> None:
    wrong, served, best = _simulated(lambda _: 0.06, judged=0.5, seed=1)
    assert (wrong, served, best) == (0.0, 0.0, 0.0)
