"""Failure 7: Redis is frozen, then dead, then empty. Calls wait for it no longer than a blink, and the limit holds as
far as it can."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from benches.drills.books import most_in_a_window, percentile, some
from benches.drills.load import Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, booked, budget, models, unknown_parts

NUMBER, NAME = 7, "Redis frozen, dead, then empty"
RATE, RPM, WINDOW_S = 100, 10, 60.0
WELL_S, FROZEN_S, DEAD_S, EMPTY_S = 10.0, 30.0, 30.0, 15.0
ADDED_S = 0.1
LOG_LINES = 50
PURSE = "drill-7"


class _Phases:
    """When each phase began; seconds of CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        self.began[phase] = time.monotonic()

    def of(self, calls: Sequence[Heard], phase: str, *, without_s: float = 0.0) -> list[Heard]:
        """The calls that began in this phase, but for its first seconds."""
        starts = sorted(self.began.values())
        start = self.began[phase]
        end = next((later for later in starts if later > start), float("inf"))
        return [heard for heard in calls if start + without_s <= heard.began_s < end]


def drill(scale: Scale) -> Report:
    """A limit of ten a minute under ten times as many calls a second."""
    rate = scale.calls(RATE, 20)
    frozen_s, dead_s = scale.seconds(FROZEN_S, 6.0), scale.seconds(DEAD_S, 6.0)
    budgets: dict[str, Any] = {"budgets": [budget(PURSE, 1000)]}
    absent = unknown_parts(**budgets)
    with Stage(models=models(m="answer?in=10&out=10"), **({} if absent else budgets)) as stage:
        tenant = stage.tenant("T1", rpm=RPM)
        load, phases = Load("redis"), _Phases()
        # Whoever meets a key first asks PostgreSQL for it: not what is measured.
        stranger = stage.tenant("T2", rpm=1)
        for door in stage.doors:
            asyncio.run(load.at_once(10, [door], stranger.key, "m"))

        async def one(number: int) -> Heard:
            return await load.call(stage.doors[number % 2], tenant.key, "m", timeout_s=20)

        async def play() -> None:
            for phase, befall, seconds in (
                ("well", None, scale.seconds(WELL_S, 5.0)),
                ("frozen", stage.redis.freeze, frozen_s),
                ("thawed", stage.redis.thaw, scale.seconds(5.0, 3.0)),
                ("dead", stage.redis.kill, dead_s),
                ("empty", stage.redis.start, scale.seconds(EMPTY_S, 5.0)),
            ):
                phases.begin(phase)
                if befall is not None:
                    await asyncio.to_thread(befall)
                await load.steadily(rate, seconds, one)
            phases.begin("over")

        asyncio.run(play())
        stormy = [heard for heard in load.heard if heard.began_s >= phases.began["well"]]
        time.sleep(WINDOW_S * 35 / 32 + 1)  # what hosts share is counted three parts in 32 longer
        exact = asyncio.run(load.at_once(4 * RPM, stage.doors, tenant.key, "m"))
        hits = {hit.call: hit.arrived_s for hit in stage.upstream.settled()}
        books = stage.books(load.heard)
        checks = [
            *_limit(stormy, exact, hits, phases),
            *_waits(stormy, phases),
            stage.quiet(LOG_LINES),
            stage.no_defects(),
            *books.checks(),
        ]
        if not absent:
            kept = booked(stage, PURSE)
            checks.append(
                Check("the budget's book equals the rows", kept == {books.cost.normalize()}, f"{kept} and {books.cost}")
            )
        scaled = f"{rate} of {RATE} calls/s, frozen {frozen_s:g}, dead {dead_s:g} of {FROZEN_S:g} s"
        return Report(
            number=NUMBER,
            name=NAME,
            scale=scaled,
            figures=books.figures(),
            checks=tuple(checks),
            not_built=tuple(f"{part}: nothing is compared with them" for part in absent),
        )


def _limit(stormy: Sequence[Heard], exact: Sequence[Heard], hits: dict[str, float], phases: _Phases) -> list[Check]:
    well = sum(heard.call in hits for heard in phases.of(stormy, "well"))
    most = most_in_a_window((hits[heard.call] for heard in stormy if heard.call in hits), WINDOW_S)
    passed = sum(heard.call in hits for heard in exact)
    odd = {f"{heard.status} {heard.code}" for heard in stormy if heard.status not in (200, 429)}
    return [
        Check("while Redis is well, both instances admit the limit together", well == RPM, f"{well} of {RPM}"),
        Check("at most twice the limit in any minute", most <= 2 * RPM, f"{most}, the limit is {RPM}"),
        Check("a minute after all that the limit is exact again", passed == RPM, f"{passed} of {RPM}"),
        Check("calls are admitted or told 429, nothing else", not odd, some(odd)),
    ]


def _waits(stormy: Sequence[Heard], phases: _Phases) -> list[Check]:
    usual = percentile([heard.took_s for heard in phases.of(stormy, "well", without_s=1.0)], 0.99)
    checks = []
    for phase in ("frozen", "thawed", "dead", "empty"):
        took = percentile([heard.took_s for heard in phases.of(stormy, phase, without_s=1.0)], 0.99)
        found = f"p99 {1000 * took:.0f} ms, {1000 * usual:.0f} while well"
        checks.append(Check(f"{phase}: added p99 under {1000 * ADDED_S:g} ms", took - usual < ADDED_S, found))
    return checks
