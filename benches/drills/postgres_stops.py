"""Failure 8: PostgreSQL stops under load, then takes no more connections. Who is known is served, nobody is turned
away for what can't be looked up, and nothing is lost."""

import asyncio
import time
from collections.abc import Sequence

import asyncpg
from benches.drills.books import some
from benches.drills.load import Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, models

from tollway._native import keys

NUMBER, NAME = 8, "PostgreSQL stops mid-flight"
RATE, STOPPED_S, EXHAUSTED_S = 50, 120.0, 60.0
STALE_S = 14.0
"""An instance calls itself degraded when it has heard nothing of the database for ten seconds."""

RECOVERY_S = 10.0
LOG_LINES = 100
ALONE = 6
"""So often in a row nobody else has a session before all are taken: one that is just beginning is not seen."""


class _Watch:
    """What unknown keys and readiness said in one phase."""

    def __init__(self) -> None:
        self.unseen: list[Heard] = []
        self.nobodys: list[Heard] = []
        self.ready: list[tuple[int, str]] = []


class _Drill:
    """One playing of it."""

    def __init__(self, stage: Stage, scale: Scale) -> None:
        self.stage = stage
        self.load = Load("outage")
        self.rate = scale.calls(RATE, 10)
        self.stopped_s = scale.seconds(STOPPED_S, STALE_S + 4)
        self.exhausted_s = scale.seconds(EXHAUSTED_S, 10.0)
        self.warm = stage.tenant("T1")
        stage.tenant("T2")
        self.unseen = [stage.key("T2") for _ in range(2)]
        self.pids = [(gateway.process.pid, *gateway.workers()) for gateway in stage.instances]
        self.known: list[Heard] = []
        self.down, self.full = _Watch(), _Watch()
        self.recoveries: dict[str, float | None] = {}
        self._is_over = asyncio.Event()

    async def play(self) -> None:
        """Warm keys, the outage, the exhaustion, and each time the way back."""
        for door in self.stage.doors:
            await self.load.at_once(20, [door], self.warm.key, "m")
        loading = asyncio.create_task(self._load())
        try:
            await asyncio.sleep(3.0)
            await self._stop()
            await asyncio.sleep(2.0)
            await self._exhaust()
        finally:
            self._is_over.set()
        await loading

    async def _load(self) -> None:
        tasks: set[asyncio.Task[Heard]] = set()
        number, began = 0, time.monotonic()
        while not self._is_over.is_set():
            door = self.stage.doors[number % 2]
            tasks.add(asyncio.create_task(self.load.call(door, self.warm.key, "m", stream=number % 3 == 0)))
            number += 1
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
        self.known = list(await asyncio.gather(*tasks))

    async def _stop(self) -> None:
        await asyncio.to_thread(self.stage.postgres.stop)
        watching = asyncio.create_task(self._look(self.down, self.unseen[0]))
        await asyncio.sleep(self.stopped_s)
        watching.cancel()
        await asyncio.wait({watching})
        await asyncio.to_thread(self.stage.postgres.start)
        self.recoveries["the stop"] = await self._recovery(self.unseen[0])

    async def _exhaust(self) -> None:
        taken = [await asyncpg.connect(self.stage.dsn)]
        try:
            alone = 0
            while alone < ALONE:
                alone = 0 if await _others(taken) else alone + 1
                await _take_all(self.stage.dsn, taken)
                await asyncio.sleep(0.3)
            watching = asyncio.create_task(self._look(self.full, self.unseen[1]))
            await asyncio.sleep(self.exhausted_s)
            watching.cancel()
            await asyncio.wait({watching})
        finally:
            await asyncio.gather(*(connection.close() for connection in taken))
        self.recoveries["the exhaustion"] = await self._recovery(self.unseen[1])

    async def _look(self, watch: _Watch, unseen: str) -> None:
        while True:
            for door, gateway in zip(self.stage.doors, self.stage.instances, strict=True):
                watch.unseen.append(await self.load.call(door, unseen, "m"))
                watch.nobodys.append(await self.load.call(door, keys.generate("live"), "m"))
                status, body = await asyncio.to_thread(gateway.ready)
                watch.ready.append((status, str(body.get("status"))))
            await asyncio.sleep(0.5)

    async def _recovery(self, unseen: str) -> float | None:
        """Until both instances know a key that they could not look up, and say that they are ready."""
        began = time.monotonic()
        while time.monotonic() - began < 6 * RECOVERY_S:
            answers = [await self.load.call(door, unseen, "m") for door in self.stage.doors]
            ready = [await asyncio.to_thread(gateway.ready) for gateway in self.stage.instances]
            if all(heard.status == 200 for heard in answers) and all(
                body.get("status") == "ready" for _, body in ready
            ):
                return time.monotonic() - began
            await asyncio.sleep(0.2)
        return None

    def checks(self) -> list[Check]:
        """What the failure's text asks for."""
        stage = self.stage
        states = {state for _, state in self.down.ready}
        pids = [(gateway.process.pid, *gateway.workers()) for gateway in stage.instances]
        return [
            _all("warm keys are answered throughout", self.known, {200}),
            _all("stopped: a key that can't be looked up is told 503", self.down.unseen, {503}),
            _all("stopped: so is a key that nobody has", self.down.nobodys, {503}),
            _all("exhausted: a key that can't be looked up is told 503", self.full.unseen, {503}),
            _all("exhausted: so is a key that nobody has", self.full.nobodys, {503}),
            Check(
                "readiness stays 200 and says degraded",
                {status for status, _ in (*self.down.ready, *self.full.ready)} == {200} and "degraded" in states,
                f"{sorted({status for status, _ in (*self.down.ready, *self.full.ready)})}, {sorted(states)}",
            ),
            *(
                Check(
                    f"recovery from {what} in under {RECOVERY_S:g} s",
                    took is not None and took < RECOVERY_S,
                    "never" if took is None else f"{took:.1f} s",
                )
                for what, took in self.recoveries.items()
            ),
            Check("the processes are the same", pids == self.pids),
            stage.quiet(LOG_LINES),
        ]


def drill(scale: Scale) -> Report:
    """Both outages, one after the other."""
    with Stage(models=models(m="answer?delay=0.1")) as stage:
        played = _Drill(stage, scale)
        asyncio.run(played.play())
        books = stage.books(played.load.heard, timeout_s=90)
        checks = (*played.checks(), *books.checks(), stage.no_defects())
        scaled = (
            f"{played.rate} calls/s, stopped {played.stopped_s:g} of {STOPPED_S:g} s, "
            f"exhausted {played.exhausted_s:g} of {EXHAUSTED_S:g} s"
        )
        return Report(number=NUMBER, name=NAME, scale=scaled, figures=books.figures(), checks=checks)


async def _others(taken: Sequence[asyncpg.Connection]) -> int:
    """Ends everybody else's sessions; returns how many there were."""
    ours = [connection.get_server_pid() for connection in taken]
    ended = await taken[0].fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where backend_type = 'client backend' and not pid = any ($1::int[])",
        ours,
    )
    return len(ended)


async def _take_all(dsn: str, taken: list[asyncpg.Connection]) -> None:
    """Takes places until PostgreSQL has none left."""
    while True:
        try:
            taken.append(await asyncpg.connect(dsn, timeout=5))
        except (asyncpg.TooManyConnectionsError, TimeoutError):
            return


def _all(what: str, calls: Sequence[Heard], allowed: set[int]) -> Check:
    odd = [
        f"{heard.call} {heard.instance} {heard.status} {heard.code}" for heard in calls if heard.status not in allowed
    ]
    return Check(what, bool(calls) and not odd, some(odd) or f"{len(calls)} calls")
