"""Failure 2: usage is lost or doubled. Load on A and B through a deploy, an outage of PostgreSQL and a ``kill -9``."""

import asyncio
import signal
import time
from collections.abc import Sequence

from benches.drills.books import Books, some
from benches.drills.load import Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, models
from benches.drills.upstream import Hit

NUMBER, NAME = 2, "usage lost or doubled"
RATE, SECONDS = 200, 120.0
TERM_S, STOP_S, BACK_S, KILL_S = 20.0, 40.0, 70.0, 90.0
DRAIN_S = 90.0


class _Events:
    """When what happened; seconds of CLOCK_MONOTONIC."""

    def __init__(self) -> None:
        self.killed_s = 0.0
        self.exit_code: int | None = None
        self.is_back = asyncio.Event()


def drill(scale: Scale) -> Report:
    """The load, and what befalls it."""
    rate, seconds = scale.calls(RATE, 20), scale.seconds(SECONDS)
    scripts = models(whole="answer?delay=0.2&in=10&out=3", stream="answer?words=10&gap=0.05&in=10&out=10")
    with Stage(models=scripts) as stage:
        tenants = [stage.tenant("T1"), stage.tenant("T2")]
        load = Load("truth")

        async def one(number: int) -> Heard:
            tenant, door = tenants[number // 2 % 2], stage.doors[number % 2]
            streamed = number % 3 == 0
            return await load.call(door, tenant.key, "stream" if streamed else "whole", stream=streamed)

        async def play() -> _Events:
            events = _Events()
            began = time.monotonic()
            loading = load.steadily(rate, seconds, one)
            await asyncio.gather(
                loading,
                _deploy(stage, events, began + scale.seconds(TERM_S)),
                _outage(stage, events, began + scale.seconds(STOP_S), scale.seconds(BACK_S - STOP_S)),
                _kill(stage, events, began + scale.seconds(KILL_S)),
            )
            return events

        events = asyncio.run(play())
        hits = stage.upstream.settled()
        books = stage.books(load.heard, timeout_s=90)
        checks = [*books.checks(), *_checks(books, hits, events), *_sums(stage, books), stage.no_defects()]
        scaled = f"{rate} of {RATE} calls/s, {seconds:g} of {SECONDS:g} s"
        return Report(number=NUMBER, name=NAME, scale=scaled, figures=books.figures(), checks=tuple(checks))


async def _deploy(stage: Stage, events: _Events, at_s: float) -> None:
    """SIGTERM for A, and a new A when it has ended."""
    await _moment(at_s)
    stage.a.process.send_signal(signal.SIGTERM)
    events.exit_code = await asyncio.to_thread(stage.a.process.wait, DRAIN_S)
    await asyncio.to_thread(stage.a.start)
    events.is_back.set()


async def _outage(stage: Stage, events: _Events, at_s: float, for_s: float) -> None:
    """No PostgreSQL for so long; not before A is back, which would not know a key."""
    await _moment(at_s)
    await events.is_back.wait()
    await asyncio.sleep(1.0)
    await asyncio.to_thread(stage.postgres.stop)
    await asyncio.sleep(for_s)
    await asyncio.to_thread(stage.postgres.start)


async def _kill(stage: Stage, events: _Events, at_s: float) -> None:
    """``kill -9`` of all of B, and a new B."""
    await _moment(at_s)
    events.killed_s = time.monotonic()
    await asyncio.to_thread(stage.b.kill)
    await asyncio.to_thread(stage.b.start)


async def _moment(at_s: float) -> None:
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))


def _checks(books: Books, hits: Sequence[Hit], events: _Events) -> list[Check]:
    heard_by = {heard.call: heard for heard in books.heard}
    billed = {row["request_id"] for row in books.rows}
    lost = {hit.call for hit in hits if hit.call not in billed and not _was_killed(heard_by[hit.call], events.killed_s)}
    cut = {
        heard.call
        for heard in books.heard
        if heard.connected and not heard.is_answered and not _was_killed(heard, events.killed_s)
    }
    wrong = {f"{heard.call} {heard.status} {heard.code}" for heard in books.heard if heard.status not in (None, 200)}
    dear = {
        row["request_id"]
        for row in books.rows
        if row["status"] == "ok" and row["cost"] * 1000 != row["prompt_tokens"] + 2 * row["completion_tokens"]
    }
    served = sum(1 for heard in books.heard if heard.is_answered)
    return [
        Check("A ends well when told to", events.exit_code == 0, f"exit code {events.exit_code}"),
        Check("nothing but a kill loses a call that reached the provider", not lost, some(lost)),
        Check("nothing but a kill cuts an answer", not cut, some(cut)),
        Check("nobody is refused", not wrong, some(wrong)),
        Check("every row costs what its tokens cost", not dear, some(dear)),
        Check("most calls are answered", served > len(books.heard) / 2, f"{served} of {len(books.heard)}"),
    ]


def _sums(stage: Stage, books: Books) -> list[Check]:
    checks = []
    for by, column in (("tenant", "tenant_id"), ("key", "api_key_id")):
        told, counted = stage.sums_told(by), books.sums(column)
        found = "" if told == counted else f"told {told}, rows say {counted}"
        checks.append(Check(f"totals by {by} are the sum of the rows", told == counted, found))
    return checks


def _was_killed(heard: Heard, killed_s: float) -> bool:
    """Whether this call was under way at B when B was killed."""
    return heard.instance == "B" and heard.began_s <= killed_s + 1.0 and heard.ended_s >= killed_s - 1.0
