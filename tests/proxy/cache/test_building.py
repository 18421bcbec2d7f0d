"""The thread that builds graphs, beside a loop that asks them."""

import asyncio

from tests.proxy.cache.test_nearest import put, questions, share_found

from tollway._native.questions import Question
from tollway.contract.cache import CacheSpace
from tollway.proxy.cache.building import BuildingThread
from tollway.proxy.cache.graph import Graph
from tollway.proxy.cache.nearest import Nearest
from tollway.proxy.cache.shelf import Shelf


async def test_what_is_put_is_found_while_a_thread_builds_and_afterwards() -> None:
    building = BuildingThread()
    nearest = Nearest(building, few=50)
    held = []
    for number, each in enumerate(questions(1_000)):
        held.append(put(nearest, each))
        if number % 40 == 0:
            await asyncio.sleep(0.001)
            asked = held[number // 2]
            assert asked.question is not None
            assert {near.entry.namespace for near in nearest.near(asked.question, 8, 0)} <= {b"n" * 32}
    for _ in range(3_000):
        await asyncio.sleep(0.01 if building.is_at_work else 0)
    assert not building.is_at_work
    assert nearest.has_graph
    assert nearest.waiting == 0
    assert share_found(nearest, held, seed=2) >= 0.97
    building.close()


async def test_nothing_is_begun_once_it_is_closed() -> None:
    building = BuildingThread()
    done: list[int] = []
    building.do(lambda: 1, done.append)
    building.close()
    building.do(lambda: 2, done.append)
    for _ in range(3):
        await asyncio.sleep(0.01)
    assert done == []


async def test_a_shelf_that_is_closed_while_it_builds_still_answers() -> None:
    shelf = Shelf(CacheSpace(), holds_bodies=False, now_ms=lambda: 0, few=30)
    for each in questions(200):
        shelf.put(each.entry, each.question, None)
    await asyncio.sleep(0.01)
    shelf.close()
    assert shelf.near(b"n" * 32, Question("baton corim dilsa"))


def test_what_the_thread_has_put_in_is_found_once_it_has_its_place() -> None:
    graph = Graph(is_even=True)
    asked = Question("baton corim dilsa").vector
    for each in questions(10):
        assert each.question is not None
        graph.insert(each.question.vector)
    assert graph.nearest(asked, 4) == []
    for each in questions(10):
        graph.place(each)
    assert len(graph.nearest(asked, 4)) == 4
    graph.clear()
    assert graph.nearest(asked, 4) == []


def test_a_graph_of_which_all_is_gone_finds_nothing() -> None:
    graph = Graph(is_even=True)
    for each in questions(10):
        assert each.question is not None
        graph.insert(each.question.vector)
        graph.place(each)
    for number in range(10):
        graph.discard(number)
    asked = Question("baton corim dilsa").vector
    assert graph.nearest(asked, 4) == []
    for number in range(9):
        graph.forget(number)
    assert graph.nearest(asked, 4) == []
