"""Calls that wait for a limit: how long, how many, who goes first, and that nothing is left of those who leave."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.proxy.edge import record

from tollway._native.limits import Admission, Ledger, LimitSet, Refusal, Short
from tollway.contract.limits import Queueing
from tollway.errors import DependencyUnavailable
from tollway.proxy.limits.queue import Queue, Result

SHARED = "rule:all|"


class Hall:
    """A queue, its ledger, and what became of calls in the order in which it did."""

    def __init__(self, ledger: Ledger, queueing: Queueing) -> None:
        self.ledger = ledger
        self.results: list[Result] = []
        self.queue = Queue(queueing, self.results.append)
        self.passed: list[str] = []
        self.admitted: dict[str, Admission] = {}

    async def call(self, tenant: str, name: str, *limits: tuple[str, str, int, int], tokens: int = 10) -> bool:
        """A call of a tenant under these limits; whether it passes."""
        compiled = LimitSet(limits)

        async def attempt() -> Admission | Refusal:
            outcome = self.ledger.admit(compiled, tokens, 0, time.time_ns() // 1_000_000)
            assert not isinstance(outcome, Short)
            return outcome

        shared = frozenset(scope for scope, *_ in limits if scope == SHARED)
        outcome = await self.queue.wait(record(tenant_id=tenant, tenant_name=tenant), tokens, shared, attempt, None)
        if isinstance(outcome, Admission):
            self.passed.append(name)
            self.admitted[name] = outcome
        return isinstance(outcome, Admission)


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    ledger = Ledger(tmp_path / "ledger", 1024)
    yield Hall(ledger, Queueing(5.0, 10, {"heavy": 3}))
    ledger.close()


def slots(count: int, scope: str = SHARED) -> tuple[str, str, int, int]:
    return (scope, "concurrency", count, 0)


async def settled() -> None:
    """Everybody who can run has run."""
    for _ in range(10):
        await asyncio.sleep(0.005)


async def test_a_call_waits_for_a_slot_and_gets_it_when_it_comes_free(hall: Hall) -> None:
    assert await hall.call("a", "first", slots(1))
    waiting = asyncio.create_task(hall.call("a", "second", slots(1)))
    await settled()
    assert not waiting.done()
    assert not hall.queue.is_empty
    hall.admitted["first"].release()
    assert await waiting
    assert hall.results == ["admitted", "admitted"]
    assert hall.queue.is_empty


async def test_a_call_waits_for_a_window_and_no_longer_than_it_takes(hall: Hall) -> None:
    limit = ("a", "requests", 1, 100)
    assert await hall.call("a", "first", limit)
    assert await hall.call("a", "second", limit)


async def test_who_could_not_pass_in_time_is_refused_without_a_wait(hall: Hall) -> None:
    limit = ("a", "requests", 1, 60_000)
    assert await hall.call("a", "first", limit)
    assert not await asyncio.wait_for(hall.call("a", "second", limit), 4.0)
    assert not await asyncio.wait_for(hall.call("a", "large", ("a", "tokens", 5, 100)), 4.0)
    assert hall.results == ["admitted", "refused", "refused"]


async def test_who_has_waited_long_enough_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "own", 1024)
    hall = Hall(ledger, Queueing(0.05, 10))
    assert await hall.call("a", "first", slots(1))
    assert not await hall.call("a", "second", slots(1))
    assert hall.queue.is_empty
    ledger.close()


async def test_calls_of_a_tenant_keep_their_order(hall: Hall) -> None:
    assert await hall.call("a", "0", slots(1))
    waiting = [asyncio.create_task(hall.call("a", str(number), slots(1))) for number in range(1, 5)]
    for number in range(4):
        await settled()
        hall.admitted[str(number)].release()
    assert await asyncio.gather(*waiting) == [True] * 4
    assert hall.passed == ["0", "1", "2", "3", "4"]


async def serve_all(hall: Hall, tasks: list["asyncio.Task[bool]"]) -> None:
    """Frees the one slot again and again, until all have had it."""
    done = 0
    while done < len(hall.passed) or not all(task.done() for task in tasks):
        if done < len(hall.passed):
            hall.admitted[hall.passed[done]].release()
            done += 1
        await asyncio.sleep(0.001)


async def test_tenants_are_served_by_their_shares_of_tokens_however_many_calls_each_has(hall: Hall) -> None:
    """One has many small calls, one few large ones, and one has three times the others' weight."""
    queue = Queue(Queueing(10.0, 100, {"heavy": 3}), hall.results.append)
    hall.queue = queue
    assert await hall.call("x", "x", slots(1))
    small = [asyncio.create_task(hall.call("small", f"s{at}", slots(1), tokens=10)) for at in range(40)]
    large = [asyncio.create_task(hall.call("large", f"l{at}", slots(1), tokens=100)) for at in range(4)]
    heavy = [asyncio.create_task(hall.call("heavy", f"h{at}", slots(1), tokens=100)) for at in range(12)]
    await settled()
    await serve_all(hall, [*small, *large, *heavy])
    first_half = hall.passed[1:29]
    tokens = {name: sum(10 if name == "s" else 100 for one in first_half if one[0] == name) for name in "slh"}
    assert abs(tokens["s"] - tokens["l"]) <= 110
    assert abs(tokens["h"] - 3 * tokens["s"]) <= 310


async def test_a_tenant_that_its_own_limit_holds_back_holds_up_nobody(hall: Hall) -> None:
    assert await hall.call("a", "a1", slots(1, "tenant:a"), slots(5))
    held = asyncio.create_task(hall.call("a", "a2", slots(1, "tenant:a"), slots(5)))
    await settled()
    assert await asyncio.wait_for(hall.call("b", "b1", slots(1, "tenant:b"), slots(5)), 4.0)
    assert not held.done()
    hall.admitted["a1"].release()
    assert await held


async def test_a_large_call_that_waits_for_a_shared_limit_is_not_overtaken_by_small_ones(hall: Hall) -> None:
    limit = (SHARED, "tokens", 100, 200)
    assert await hall.call("x", "x", limit, tokens=60)
    large = asyncio.create_task(hall.call("a", "large", limit, tokens=90))
    await settled()
    small = asyncio.create_task(hall.call("b", "small", limit, tokens=5))
    assert await large
    assert await small
    assert hall.passed == ["x", "large", "small"]


async def test_who_hangs_up_while_waiting_leaves_nothing_behind(hall: Hall) -> None:
    assert await hall.call("a", "first", slots(1))
    waiting = [asyncio.create_task(hall.call("a", str(number), slots(1))) for number in range(3)]
    await settled()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    hall.admitted["first"].release()
    await settled()
    assert hall.queue.is_empty
    assert hall.ledger.in_flight() == 0
    assert hall.passed == ["first"]


async def test_who_hangs_up_as_its_turn_comes_gives_it_back(hall: Hall) -> None:
    for _ in range(50):
        task = asyncio.create_task(hall.call("a", "gone", slots(1)))
        for _ in range(3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if "gone" in hall.admitted:
            hall.admitted.pop("gone").release()
    await settled()
    assert hall.ledger.in_flight() == 0


async def test_no_more_wait_than_may_and_a_tenant_with_most_of_them_gives_way_to_another(hall: Hall) -> None:
    assert await hall.call("x", "x", slots(1))
    many = [asyncio.create_task(hall.call("many", f"m{at}", slots(1))) for at in range(10)]
    await settled()
    assert not await hall.call("many", "one too many", slots(1))
    assert not any(task.done() for task in many)
    one = asyncio.create_task(hall.call("one", "one", slots(1)))
    await settled()
    assert [task.done() for task in many] == [False] * 9 + [True]
    assert not one.done()
    await serve_all(hall, [*many, one])
    assert set(hall.passed) == {"x", "one", *(f"m{at}" for at in range(9))}


async def test_a_ledger_that_is_out_of_reach_is_told_to_the_call_that_waits(hall: Hall) -> None:
    async def attempt() -> Admission | Refusal:
        raise DependencyUnavailable("The ledger is out of reach.")

    with pytest.raises(DependencyUnavailable):
        await hall.queue.wait(record(), 1, frozenset(), attempt, None)
    await settled()
    assert hall.queue.is_empty
    assert await hall.call("a", "next", slots(1))
