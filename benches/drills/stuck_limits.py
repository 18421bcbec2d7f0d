"""Failure 23: limits that get stuck, or that hold for each worker or host alone. Slots come back however calls end,
and the limit is one limit over all workers of all instances."""

import asyncio
import itertools
import time
from collections.abc import Sequence

from benches.drills.load import Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, Tenant, models

NUMBER, NAME = 23, "stuck or per-worker limits"
ROUNDS = 50
CONCURRENCY, RPM, WINDOW_S, LATE_CALLS = 2, 5, 60.0, 20
FORGOTTEN_S = WINDOW_S * 35 / 32 + 1
"""Limits that hosts share count the window and three parts in 32 more (`docs/limits-over-hosts.md`)."""
TTL_S = 10.0
"""A dead instance's slots are everybody's again after so long."""

ENDINGS = ("hang", "bad", "cut", "cached", "malformed", "kill")
SAME = {"messages": [{"role": "user", "content": "what everybody asks"}]}
"""All other calls name themselves, so none of them is answered from the cache."""


class _Drill:
    """One playing of it."""

    def __init__(self, stage: Stage, rounds: int) -> None:
        self.stage = stage
        self.rounds = rounds
        self.load = Load("stuck")
        self.slots = stage.tenant("T1", concurrency=CONCURRENCY)
        self.both = stage.tenant("T2", concurrency=CONCURRENCY, rpm=RPM)
        self.refused = stage.tenant("T3", rpm=RPM)
        self.free_after_s: float | None = None
        self.kills = 0

    async def endure(self) -> None:
        """Calls that end in every bad way, one way a round."""
        for ending in itertools.islice(itertools.cycle(ENDINGS), self.rounds):
            await asyncio.gather(*(self._end(tenant, ending) for tenant in (self.slots, self.both)))
            if ending == "kill":
                self.kills += 1
                await asyncio.to_thread(self.stage.a.start)

    async def _end(self, tenant: Tenant, ending: str) -> None:
        doors = self.stage.doors
        if ending == "malformed":
            await self.load.at_once(3, doors, tenant.key, "ok", body=b'{"model": "ok", "messages": [')
        elif ending == "cached":
            for stream in (False, True):
                await self.load.at_once(3, doors, tenant.key, "quick", body=SAME, stream=stream)
        elif ending == "kill":
            calls = asyncio.ensure_future(self.load.at_once(2, doors[:1], tenant.key, "hang"))
            await asyncio.sleep(0.4)
            await asyncio.to_thread(self.stage.a.kill)
            await calls
        elif ending == "hang":
            await self.load.at_once(3, doors, tenant.key, "hang", leave_after_s=0.5)
        else:
            await self.load.at_once(3, doors, tenant.key, ending, stream=ending == "cut")

    async def slots_back(self) -> list[list[Heard]]:
        """Waits until two calls at once pass, one at each instance; then what three and four at once are told."""
        began = time.monotonic()
        while time.monotonic() - began < 3 * TTL_S:
            two = await self.load.at_once(2, self.stage.doors, self.slots.key, "ok")
            if all(heard.is_answered for heard in two):
                self.free_after_s = time.monotonic() - began
                break
        return [await self.load.at_once(count, self.stage.doors, self.slots.key, "ok") for count in (3, 4, 8)]

    async def refusals(self) -> None:
        """Calls that are refused before a provider is asked."""
        doors, key = self.stage.doors, self.refused.key
        await self.load.at_once(LATE_CALLS, doors, key, "quick", body=b"{}")
        await self.load.at_once(LATE_CALLS, doors, key, "unheard-of")

    async def late(self, tenant: Tenant) -> list[Heard]:
        """Twenty calls over A and B, two at a time, so that only the requests are limited."""
        heard: list[Heard] = []
        for _ in range(LATE_CALLS // 2):
            heard += await self.load.at_once(2, self.stage.doors, tenant.key, "quick")
        return heard


def drill(scale: Scale) -> Report:
    """The bad endings, then what is left of the limits."""
    rounds = scale.calls(ROUNDS, 2 * len(ENDINGS))
    scripts = models(
        hang="hang", bad="answer?status=502", cut="answer?words=2&then=cut", ok="answer?delay=0.6", quick="answer"
    )
    with Stage(models=scripts, cache={"exact": {}}) as stage:
        played = _Drill(stage, rounds)

        async def play() -> list[Check]:
            await played.endure()
            slots = await played.slots_back()
            await played.refusals()
            checks = [*_slots(played, slots), _five("after refusals alone", await played.late(played.refused))]
            for time_of in ("a minute after the bad endings", "a minute after those that were refused"):
                await asyncio.sleep(FORGOTTEN_S)
                checks.append(_five(time_of, await played.late(played.both)))
            return checks

        found = asyncio.run(play())
        books = stage.books(played.load.heard)
        return Report(
            number=NUMBER,
            name=NAME,
            scale=f"{rounds} of {ROUNDS} rounds, {played.kills} of them kill -9 of A",
            figures=books.figures(),
            checks=(_hits(played), *found, *books.checks(), stage.no_defects()),
        )


def _hits(played: _Drill) -> Check:
    """Or nothing is said of how they end."""
    results = [heard.cache for heard in played.load.heard if heard.cache in ("exact", "joined")]
    return Check("some calls are answered from the cache", "exact" in results, f"{len(results)} calls")


def _slots(played: _Drill, slots: Sequence[Sequence[Heard]]) -> list[Check]:
    after = played.free_after_s
    shares = [[heard.status for heard in calls].count(200) for calls in slots]
    others = {heard.status for calls in slots for heard in calls} - {200, 429}
    return [
        Check(
            f"both slots are back within a TTL of {TTL_S:g} s",
            after is not None and after < TTL_S + 1.0,
            "never" if after is None else f"{after:.1f} s",
        ),
        Check(
            "of three, four and eight calls at once over A and B exactly two pass",
            shares == [CONCURRENCY] * len(slots) and not others,
            f"{shares} passed, other answers: {sorted(map(str, others))}",
        ),
    ]


def _five(when: str, calls: Sequence[Heard]) -> Check:
    passed = sum(heard.is_answered for heard in calls)
    others = {heard.status for heard in calls} - {200, 429}
    return Check(
        f"{when}, exactly {RPM} of {len(calls)} calls over A and B pass",
        passed == RPM and not others,
        f"{passed} passed, other answers: {sorted(map(str, others))}",
    )
