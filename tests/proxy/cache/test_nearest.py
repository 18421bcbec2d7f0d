"""Many questions of one namespace: found by a graph that is built, emptied and made anew while it serves."""

import random
from collections.abc import Iterator

import pytest
from tests.proxy.cache.building import AtOnce, OneByOne
from tests.proxy.cache.test_shelf import entry

from tollway._native.questions import Block, Question
from tollway.proxy.cache.held import Held
from tollway.proxy.cache.nearest import Nearest

WORDS = [f"{first}{last}" for first in ("ba", "cor", "dil", "fes", "gam") for last in ("ton", "rim", "sa", "ble", "x")]


def questions(count: int, seed: int = 1) -> Iterator[Held]:
    drawn = random.Random(seed)
    for number in range(count):
        text = " ".join(drawn.choice(WORDS) for _ in range(drawn.randint(3, 12)))
        one = entry(number, namespace=b"n" * 32, question=text)
        yield Held(one, Question(text), None, 0, number)


def put(nearest: Nearest, held: Held) -> Held:
    assert held.question is not None
    nearest.add(held, held.question)
    return held


def drop(nearest: Nearest, held: Held) -> None:
    held.is_gone = True
    nearest.discard(held)


def numbers(nearest: Nearest, question: Question, most: int = 8) -> list[bytes]:
    return [near.entry.key for near in nearest.near(question, most, 0)]


def share_found(nearest: Nearest, held: list[Held], seed: int) -> float:
    """How many of the eight most similar are found, of eight that a block finds."""
    block = Block()
    live = [one for one in held if not one.is_gone]
    for one in live:
        assert one.question is not None
        block.append(one.question.vector)
    found = wanted = 0
    for asked in questions(40, seed):
        assert asked.question is not None
        best = [cosine for _, cosine in block.nearest(asked.question.vector, 8)]
        near = [each.similarity for each in nearest.near(asked.question, 8, 0)]
        found += sum(cosine >= best[-1] for cosine in near)  # of equally similar ones any will do
        wanted += len(best)
    return found / wanted


def test_a_graph_finds_nearly_all_that_a_block_does() -> None:
    nearest = Nearest(AtOnce(), few=60)
    held = [put(nearest, each) for each in questions(900)]
    assert nearest.has_graph
    assert share_found(nearest, held, seed=2) >= 0.97


def test_what_is_gone_is_not_found_and_the_rest_still_is() -> None:
    nearest = Nearest(AtOnce(), few=60)
    held = [put(nearest, each) for each in questions(900)]
    random.Random(3).shuffle(held)
    for each in held[:600]:
        drop(nearest, each)
    gone = {each.entry.key for each in held[:600]}
    for asked in questions(50, seed=4):
        assert asked.question is not None
        assert gone.isdisjoint(numbers(nearest, asked.question))
    assert share_found(nearest, held, seed=5) >= 0.97
    assert len(nearest) == 300


def test_a_graph_that_hardly_holds_anything_goes_back_into_a_block() -> None:
    nearest = Nearest(AtOnce(), few=60)
    held = [put(nearest, each) for each in questions(300)]
    had_graph = nearest.has_graph
    for each in held[12:]:
        drop(nearest, each)
    assert (had_graph, nearest.has_graph) == (True, False)
    assert share_found(nearest, held, seed=6) == 1.0


def test_few_are_compared_one_by_one_and_one_more_begins_a_graph() -> None:
    nearest = Nearest(AtOnce(), few=50)
    several = list(questions(51))
    held = [put(nearest, each) for each in several[:50]]
    assert not nearest.has_graph
    assert share_found(nearest, held, seed=15) == 1.0
    put(nearest, several[50])
    assert nearest.has_graph


def test_all_are_found_while_the_graph_takes_them_in() -> None:
    building = OneByOne()
    nearest = Nearest(building, few=50)
    held = [put(nearest, each) for each in questions(120)]
    while building.is_at_work:
        assert share_found(nearest, held, seed=7) >= 0.97
        building.work()
        assert share_found(nearest, held, seed=8) >= 0.97
        building.hear()
    assert nearest.has_graph


def test_all_are_found_while_a_graph_is_made_anew() -> None:
    building = OneByOne()
    nearest = Nearest(building, few=50)
    held = [put(nearest, each) for each in questions(400)]
    building.finish()
    for each in held[:200]:
        drop(nearest, each)
    late = [put(nearest, each) for each in questions(40, seed=9)]
    steps = 0
    while building.is_at_work:
        if steps < 20:
            drop(nearest, held[200 + steps])
        steps += 1
        assert share_found(nearest, held + late, seed=10) >= 0.95
        building.work()
        building.hear()
    assert steps > 20
    assert share_found(nearest, held + late, seed=11) >= 0.97


def test_more_than_the_thread_can_take_in_waits_and_is_found_in_the_end() -> None:
    building = OneByOne()
    nearest = Nearest(building, few=50)
    held = [put(nearest, each) for each in questions(800)]
    assert nearest.waiting > 0
    for each in held[700:750]:
        drop(nearest, each)
    building.finish()
    assert nearest.waiting == 0
    assert share_found(nearest, held, seed=12) >= 0.97


@pytest.mark.parametrize("few", [1, 7, 64])
def test_one_can_be_put_and_dropped_again_and_again(few: int) -> None:
    nearest = Nearest(AtOnce(), few=few)
    kept: list[Held] = []
    for each in questions(300, seed=13):
        kept.append(put(nearest, each))
        if len(kept) > 2 * few:
            drop(nearest, kept.pop(0))
    assert len(nearest) == len(kept)
    assert share_found(nearest, kept, seed=14) >= 0.97
