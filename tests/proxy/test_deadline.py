"""The deadline does what :func:`asyncio.timeout` does, case by case, also where it stands in a line first."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import in_no_time

from tollway.proxy.boundary import current_task
from tollway.proxy.deadline import Deadline, Line

Move = Callable[[float], None]
Limit = Callable[[float], AbstractAsyncContextManager[Move]]
"""A limit at so many seconds from now; what it yields moves it, counted from now again."""

SOON_S, LATER_S = 0.01, 3600.0


def now() -> float:
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def ours(after_s: float) -> AsyncIterator[Move]:
    with Deadline(current_task(), now() + after_s) as limit:
        yield lambda moved_s: limit.move(now() + moved_s)


@asynccontextmanager
async def in_line(after_s: float) -> AsyncIterator[Move]:
    line = Line(asyncio.get_running_loop(), SOON_S / 2)
    with Deadline(current_task(), now() + after_s, line) as limit:
        yield lambda moved_s: limit.move(now() + moved_s)


@asynccontextmanager
async def theirs(after_s: float) -> AsyncIterator[Move]:
    async with asyncio.timeout_at(now() + after_s) as limit:
        yield lambda moved_s: limit.reschedule(now() + moved_s)


async def forever() -> None:
    await asyncio.Event().wait()


def cancel_soon() -> None:
    asyncio.get_running_loop().call_soon(current_task().cancel)


async def ends_in_time(limit: Limit) -> None:
    async with limit(LATER_S):
        await asyncio.sleep(0)


async def expires(limit: Limit) -> None:
    async with limit(SOON_S):
        await forever()


async def expired_before_it_began(limit: Limit) -> None:
    async with limit(-1.0):
        await forever()


async def expired_but_never_waits(limit: Limit) -> None:
    async with limit(-1.0):
        pass
    await asyncio.sleep(SOON_S)


async def moved_away(limit: Limit) -> None:
    async with limit(SOON_S) as move:
        move(LATER_S)
        await asyncio.sleep(3 * SOON_S)


async def moved_and_then_expires(limit: Limit) -> None:
    async with limit(SOON_S) as move:
        await asyncio.sleep(0)
        move(2 * SOON_S)
        await asyncio.sleep(SOON_S)
        move(2 * SOON_S)
        await forever()


async def moved_away_and_back(limit: Limit) -> None:
    async with limit(SOON_S) as move:
        move(LATER_S)
        await asyncio.sleep(3 * SOON_S)
        move(SOON_S)
        await forever()


async def moved_nearer(limit: Limit) -> None:
    async with limit(LATER_S) as move:
        move(SOON_S)
        await forever()


async def moved_nearer_and_away_again(limit: Limit) -> None:
    async with limit(LATER_S) as move:
        move(SOON_S)
        move(LATER_S)
        await asyncio.sleep(3 * SOON_S)


async def cancelled_from_outside(limit: Limit) -> None:
    async with limit(LATER_S):
        cancel_soon()
        await forever()


async def cancelled_from_outside_before_it_expires_in_the_same_turn(limit: Limit) -> None:
    async with limit(-1.0):
        current_task().cancel()
        await forever()


async def cancelled_from_outside_as_it_expires(limit: Limit) -> None:
    async with limit(-1.0):
        cancel_soon()
        await forever()


async def entered_with_a_cancellation_already_asked_for(limit: Limit) -> None:
    cancel_soon()
    try:
        await forever()
    except asyncio.CancelledError:
        async with limit(SOON_S):
            await forever()


async def no_effect_after_its_end(limit: Limit) -> None:
    async with limit(SOON_S):
        pass
    await asyncio.sleep(3 * SOON_S)


async def body_fails(limit: Limit) -> None:
    async with limit(LATER_S):
        raise ValueError


async def body_fails_as_it_expires(limit: Limit) -> None:
    async with limit(SOON_S):
        try:
            await forever()
        except asyncio.CancelledError:
            raise ValueError from None


async def body_swallows_the_expiry(limit: Limit) -> None:
    async with limit(SOON_S):
        try:
            await forever()
        except asyncio.CancelledError:
            pass
    await asyncio.sleep(SOON_S)


async def body_times_out_by_itself(limit: Limit) -> None:
    async with limit(LATER_S):
        raise TimeoutError


async def inner_expires(limit: Limit) -> None:
    async with limit(LATER_S):
        async with limit(SOON_S):
            await forever()


async def inner_expires_and_is_caught(limit: Limit) -> None:
    async with limit(LATER_S):
        try:
            async with limit(SOON_S):
                await forever()
        except TimeoutError:
            await asyncio.sleep(0)


async def outer_expires(limit: Limit) -> None:
    async with limit(SOON_S):
        try:
            async with limit(LATER_S):
                await forever()
        except TimeoutError:
            raise AssertionError("it is the outer one's") from None


async def both_expire_at_once(limit: Limit) -> None:
    async with limit(-1.0):
        async with limit(-1.0):
            await forever()


async def expires_twice_in_a_row(limit: Limit) -> None:
    try:
        await expires(limit)
    except TimeoutError:
        await expires(limit)


CASES: list[tuple[Callable[[Limit], Awaitable[None]], str, int]] = [
    (ends_in_time, "done", 0),
    (expires, "TimeoutError", 0),
    (expired_before_it_began, "TimeoutError", 0),
    (expired_but_never_waits, "done", 0),
    (moved_away, "done", 0),
    (moved_and_then_expires, "TimeoutError", 0),
    (moved_away_and_back, "TimeoutError", 0),
    (moved_nearer, "TimeoutError", 0),
    (moved_nearer_and_away_again, "done", 0),
    (cancelled_from_outside, "CancelledError", 1),
    (cancelled_from_outside_before_it_expires_in_the_same_turn, "CancelledError", 1),
    (cancelled_from_outside_as_it_expires, "CancelledError", 1),
    (entered_with_a_cancellation_already_asked_for, "TimeoutError", 1),
    (no_effect_after_its_end, "done", 0),
    (body_fails, "ValueError", 0),
    (body_fails_as_it_expires, "ValueError", 0),
    (body_swallows_the_expiry, "done", 0),
    (body_times_out_by_itself, "TimeoutError", 0),
    (inner_expires, "TimeoutError", 0),
    (inner_expires_and_is_caught, "done", 0),
    (outer_expires, "TimeoutError", 0),
    (both_expire_at_once, "TimeoutError", 0),
    (expires_twice_in_a_row, "TimeoutError", 0),
]


async def end_of(case: Callable[[Limit], Awaitable[None]], limit: Limit) -> tuple[str, int]:
    """How it ends in a task of its own, and how many cancellations are still asked for then."""

    async def run() -> tuple[str, int]:
        try:
            await case(limit)
        except (asyncio.CancelledError, TimeoutError, ValueError) as error:
            return type(error).__name__, current_task().cancelling()
        return "done", current_task().cancelling()

    return await asyncio.create_task(run())


@pytest.mark.parametrize(("case", "end", "cancelling"), CASES, ids=[case.__name__ for case, _, _ in CASES])
@pytest.mark.parametrize("limit", [ours, in_line, theirs])
async def test_it_ends_as_asyncios_own_does(
    case: Callable[[Limit], Awaitable[None]], end: str, cancelling: int, limit: Limit
) -> None:
    assert await end_of(case, limit) == (end, cancelling)


async def test_the_cause_of_an_expiry_is_kept() -> None:
    with pytest.raises(TimeoutError) as caught:
        with Deadline(current_task(), now()):
            await forever()
    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


class Standing:
    """Notes when its wait has passed."""

    def __init__(self) -> None:
        self.passed_at: float | None = None

    def passed(self) -> None:
        """From the line."""
        assert self.passed_at is None
        self.passed_at = now()


@given(
    stays=st.lists(st.tuples(st.floats(0.0, 3.0), st.one_of(st.none(), st.floats(0.0, 3.0))), min_size=1, max_size=20)
)
@settings(max_examples=50, deadline=None)
@in_no_time
async def test_who_stays_in_line_is_told_in_time_and_who_leaves_is_not(stays: list[tuple[float, float | None]]) -> None:
    line = Line(asyncio.get_running_loop(), 1.0)

    async def stand(comes_s: float, stays_s: float | None) -> None:
        await asyncio.sleep(comes_s)
        standing, came_at = Standing(), now()
        assert line.enter(standing) == came_at + 1.0
        await asyncio.sleep(2.0 if stays_s is None else stays_s)
        line.leave(standing)
        await asyncio.sleep(2.0)
        if stays_s is not None and stays_s < 1.0:
            assert standing.passed_at is None
        elif stays_s is None or stays_s > 1.0:
            assert standing.passed_at == pytest.approx(came_at + 1.0, abs=1e-6)

    await asyncio.gather(*[stand(*stay) for stay in stays])


async def test_however_many_stand_in_line_the_loop_has_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, timers = asyncio.get_running_loop(), list[object]()
    call_at = loop.call_at

    def counted(when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        timers.append(callback)
        return call_at(when, callback)

    monkeypatch.setattr(loop, "call_at", counted)
    line = Line(loop, LATER_S)
    for _ in range(10):
        line.enter(Standing())
        with Deadline(current_task(), now() + 2 * LATER_S, line):
            await asyncio.sleep(0)
    assert len(timers) == 1
