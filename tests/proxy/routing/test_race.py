"""What a second call may cost: by the rates of this prompt, now."""

import msgspec
from tests.proxy.routing.desk import NOW_MS, Desk, goal, way

from tollway._native.routing import Board
from tollway.contract.prices import Price, Tier
from tollway.contract.routing import Hedge
from tollway.proxy.exchange import Planned
from tollway.proxy.routing.race import is_affordable

LATER = Price("t2", input=7, output=0, from_ms=NOW_MS + 1)
PRICE = Price(
    "t", input=2, output=3, per_request=5, tiers=(Tier(above_tokens=1_000, input=4, output=3),), later=(LATER,)
)


def bounded(planned: Planned, picousd: int) -> Planned:
    hedge = Hedge(after_s=1.0, budget=1.0, max_cost_picousd=picousd)
    return msgspec.structs.replace(planned, route=msgspec.structs.replace(planned.route, hedge=hedge))


def dearest(planned: Planned, now_ms: int = NOW_MS) -> int:
    """The least bound under which a second call may be made."""
    return next(bound for bound in range(100_000) if is_affordable(bounded(planned, bound), 0, now_ms))


async def test_a_second_call_is_bounded_by_the_rates_of_its_prompt_and_of_the_day(board: Board) -> None:
    desk = Desk(board, way(goal("a", price=PRICE)))
    short = desk.plan(max_tokens=10)
    tokens = short.request.prompt_upper_bound()
    assert dearest(short) == tokens * 2 + 10 * 3 + 5
    assert dearest(short, NOW_MS + 1) == tokens * 7
    long = desk.plan(max_tokens=10, messages=[{"role": "user", "content": "x" * 5_000}])
    assert dearest(long) == long.request.prompt_upper_bound() * 4 + 10 * 3


async def test_what_has_no_price_is_not_asked_a_second_time(board: Board) -> None:
    desk = Desk(board, way(goal("a", price=None)))
    assert not is_affordable(bounded(desk.plan(), 10**18), 0, NOW_MS)
