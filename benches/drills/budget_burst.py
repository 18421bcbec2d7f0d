"""Failure 1: a burst past the budget, then calls that end badly. The ceiling is never passed, and nothing that was
reserved for a call that is over stays reserved."""

import asyncio
import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from benches.drills.books import Books, some
from benches.drills.load import Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, booked, budget, models, unknown_parts

NUMBER, NAME = 1, "burst past the budget"
BURST, BAD_CALLS, AT_ONCE = 100, 200, 20
CEILING, COST = Decimal("0.10"), Decimal("0.03")
WIDE = Decimal(6)
TTL_S = 10.0
"""A dead instance's lease is everybody's again after so long."""

WORST = Decimal("0.10")
"""More than one call may be reckoned to cost: so near to the wide ceiling spend comes if nothing is stuck."""

NARROW_PURSE, WIDE_PURSE = "drill-1", "drill-1-wide"
ENDINGS = ("bad", "late", "left")


class _Drill:
    """One playing of it. The narrow budget is of the alias ``burst``, the wide one of everything."""

    def __init__(self, stage: Stage, bad_calls: int) -> None:
        self.stage = stage
        self.load = Load("burst")
        self.bad_calls = bad_calls
        self.tenant = stage.tenant("T1")
        self.burst: list[Heard] = []
        self.rest: list[Heard] = []

    async def play(self, count: int) -> None:
        """The burst, half of it to each instance; the bad endings; then whatever the wide budget has left."""
        self.burst = await self._at_once(count, "burst")
        await self._end_badly()
        await asyncio.sleep(TTL_S + 3.0)
        refusals = 0
        while refusals < 6 and len(self.rest) * COST < 2 * WIDE:
            door = self.stage.doors[len(self.rest) % 2]
            heard = await self._call(door.name, "quick")
            self.rest.append(heard)
            if heard.is_answered:
                refusals = 0
            else:
                refusals += 1
                await asyncio.sleep(1.0)

    async def _end_badly(self) -> None:
        """Calls that end in an error, a timeout or a hang-up; at last all that are under way at A die with it."""
        for _ in range(self.bad_calls // AT_ONCE):
            turns = itertools.islice(itertools.cycle(itertools.product(ENDINGS, "AB")), AT_ONCE)
            await asyncio.gather(*(self._end(instance, ending) for ending, instance in turns))
        dying = [asyncio.create_task(self._call("A", "late")) for _ in range(AT_ONCE)]
        await asyncio.sleep(0.5)
        await asyncio.to_thread(self.stage.a.kill)
        await asyncio.wait(dying)
        await asyncio.to_thread(self.stage.a.start)

    async def _end(self, instance: str, ending: str) -> None:
        if ending == "left":
            await self._call(instance, "late", leave_after_s=0.4)
        else:
            await self._call(instance, ending)

    async def _call(self, instance: str, model: str, **more: Any) -> Heard:
        door = next(door for door in self.stage.doors if door.name == instance)
        return await self.load.call(door, self.tenant.key, model, limit_tokens=10, **more)

    async def _at_once(self, count: int, model: str) -> list[Heard]:
        return list(await asyncio.gather(*(self._call("AB"[number % 2], model) for number in range(count))))


def drill(scale: Scale) -> Report:
    """Both ceilings; nothing is played where budgets are not built."""
    burst, bad_calls = scale.calls(BURST, 20), scale.calls(BAD_CALLS, 2 * AT_ONCE)
    scaled = f"{burst} of {BURST} calls at once, {bad_calls} of {BAD_CALLS} bad endings"
    budgets = [budget(NARROW_PURSE, CEILING, model="burst"), budget(WIDE_PURSE, WIDE)]
    scripts = models(
        burst="answer?delay=2&in=10&out=10",
        bad="answer?status=500",
        late="answer?delay=30",
        quick="answer?in=10&out=10",
    )
    scripts["late"]["timeouts"] = {"first_token": "1s"}
    if absent := unknown_parts(models=scripts, budgets=budgets):
        return Report(number=NUMBER, name=NAME, scale=scaled, not_built=tuple(absent))
    with Stage(models=scripts, budgets=budgets) as stage:
        played = _Drill(stage, bad_calls)
        asyncio.run(played.play(burst))
        books = stage.books(played.load.heard, WIDE)
        narrow = [row for row in books.rows if row["model"] == "burst"]
        kept = {name: booked(stage, name) for name in (NARROW_PURSE, WIDE_PURSE)}
        spent = sum((row["cost"] for row in narrow), Decimal(0))
        checks = [
            *_burst(played.burst, spent),
            *_rest(played.rest, books),
            Check(
                "the narrow budget's book equals its rows",
                kept[NARROW_PURSE] == {spent.normalize()},
                f"{kept} and {spent}",
            ),
            Check(
                "the wide budget's book equals all rows",
                kept[WIDE_PURSE] == {books.cost.normalize()},
                f"{kept} and {books.cost}",
            ),
            *books.checks(),
            stage.no_defects(),
        ]
        return Report(number=NUMBER, name=NAME, scale=scaled, figures=books.figures(), checks=tuple(checks))


def _burst(burst: Sequence[Heard], spent: Decimal) -> list[Check]:
    passed = sum(heard.is_answered for heard in burst)
    most = int(CEILING / COST)
    odd = {
        f"{heard.status} {heard.code}"
        for heard in burst
        if not heard.is_answered and (heard.status, heard.code) != (429, "insufficient_quota")
    }
    return [
        Check(f"of the burst at most {most} calls pass, and one at least", 1 <= passed <= most, f"{passed} passed"),
        Check("the others are told insufficient_quota", not odd, some(odd)),
        Check(f"the burst spends at most ${CEILING}", spent <= CEILING, f"${spent}"),
    ]


def _rest(rest: Sequence[Heard], books: Books) -> list[Check]:
    passed = sum(heard.is_answered for heard in rest)
    return [
        Check(f"all spend is at most ${WIDE}", books.cost <= WIDE, f"${books.cost}"),
        Check(
            "nothing that was reserved for calls that are over is missing one TTL later",
            WIDE - WORST < books.cost <= WIDE,
            f"{passed} more calls passed, and ${WIDE - books.cost} of ${WIDE} is left",
        ),
    ]
