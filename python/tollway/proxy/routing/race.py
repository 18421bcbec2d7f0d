"""Hedging: a second target is asked when the first lets itself be waited for; the first good answer wins.

In: two calls, of which the second may not be made at all. Out: the result that counts. Whoever loses is cut, so that
its provider stops, and is told to the trail: it is billed as far as it came. Opt-in, and bounded by a share of the
calls and by a price.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tollway._native.routing import Board
from tollway.proxy.exchange import Attempted, Planned, Progress
from tollway.proxy.routing.attempts import Failure
from tollway.proxy.routing.traits import OUTPUT_TOKENS

Result = Attempted | Failure
Leg = Callable[[Progress, "asyncio.Task[Any]"], Awaitable[Result]]
"""Makes one call, in the task that it is told, and notes how far it comes."""


def hedge_after_s(board: Board, planned: Planned, index: int) -> float | None:
    """How long the first target is waited for alone, in seconds; ``None``: there is to be no second."""
    hedge = planned.route.hedge
    if hedge is None or planned.arrival.connection.upload is not None:
        return None
    if hedge.after_s is not None:
        return hedge.after_s
    wait_us = board.p95_us(planned.pool, index, planned.request.stream)
    return None if wait_us is None else wait_us / 1e6


def is_affordable(planned: Planned, index: int, now_ms: int) -> bool:
    """Whether a second call of this target, now (Unix milliseconds), costs no more than it may. What has no price can't
    be known to."""
    hedge, price = planned.route.hedge, planned.route.targets[index].price
    if hedge is None or price is None:
        return False
    request = planned.request
    output = (request.max_tokens or OUTPUT_TOKENS) * request.n
    prompt = request.prompt_upper_bound()
    rates = price.for_call(now_ms, prompt)
    return prompt * rates.input + output * rates.output + rates.per_request <= hedge.max_cost_picousd


async def race(progress: Progress, first: Leg, second: Callable[[Progress], Leg | None], wait_s: float) -> Result:
    """Runs ``first`` and, when it has no result after ``wait_s``, what ``second`` returns beside it.

    ``progress`` is the first one's; the result says whose progress counts.
    """
    runners = {_started(first, progress): progress}
    winner: asyncio.Task[Result] | None = None
    try:
        done, waiting = await asyncio.wait(runners, timeout=wait_s)
        if not done:
            own = Progress(progress.trail)
            progress.trail.legs.append(own)
            leg = second(own)
            if leg is not None:
                waiting.add(task := _started(leg, own))
                runners[task] = own
        while winner is None and (waiting or done):
            if not done:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            winner = next((task for task in done if isinstance(task.result(), Attempted)), None)
            last, done = next(iter(done)), set()
        return (winner or last).result()
    finally:
        await _dismiss({task: own for task, own in runners.items() if task is not winner}, progress, winner)


def _started(leg: Leg, progress: Progress) -> "asyncio.Task[Result]":
    async def run() -> Result:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- this runs in one
        return await leg(progress, task)

    return asyncio.get_running_loop().create_task(run())


async def _dismiss(
    losers: "dict[asyncio.Task[Result], Progress]", counted: Progress, winner: "asyncio.Task[Result] | None"
) -> None:
    """Cuts what is still under way, and notes what will be billed though nobody gets it."""
    for task in losers:
        task.cancel()
    await asyncio.gather(*losers, return_exceptions=True)
    for task, own in losers.items():
        result = None if task.cancelled() or task.exception() is not None else task.result()
        if isinstance(result, Attempted):  # both were good at the same moment
            result.held.end("ok")
            await result.begun.close()
        is_billed = not isinstance(result, Failure) and own.dispatched_at_us is not None
        if is_billed and (winner is not None or own is not counted):
            counted.trail.beside.append(own)
