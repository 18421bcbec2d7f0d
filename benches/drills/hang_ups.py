"""Failure 3: clients hang up. The provider sees it within a second, what was delivered is billed, slots are free."""

import asyncio
from collections.abc import Iterable, Sequence

from benches.drills.books import Row, percentile
from benches.drills.load import Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, models
from benches.drills.upstream import Hit

NUMBER, NAME = 3, "client hangs up"
CALLS = 100
LEAVES_AFTER_S = 2.0
ABORT_S = 1.0
WORDS, GAP_S = 50, 0.25

KINDS = {"silent": True, "slow": True, "whole": False}
"""What clients leave, and whether it is a stream."""


def drill(scale: Scale, kinds: Iterable[str] = KINDS, slack: float = 1.0) -> Report:
    """So many clients of each kind leave after two seconds, one kind after the other. ``slack`` lengthens these and the
    second that the provider has, on machines that do something else beside."""
    count = scale.calls(CALLS, 10)
    scripts = models(
        silent="answer?delay=30",
        slow=f"answer?words={WORDS}&gap={GAP_S}&out={WORDS}",
        whole="answer?delay=30",
        quick="answer",
    )
    with Stage(models=scripts) as stage:
        tenant = stage.tenant("T1", concurrency=count)
        load = Load("hang-up")
        pids = [gateway.workers() for gateway in stage.instances]
        checks: list[Check] = []

        async def leave(alias: str, streamed: bool) -> list[Heard]:
            return await load.at_once(
                count, stage.doors, tenant.key, alias, stream=streamed, leave_after_s=LEAVES_AFTER_S * slack
            )

        for alias in kinds:
            left = asyncio.run(leave(alias, KINDS[alias]))
            hits = {hit.call: hit for hit in stage.upstream.settled()}
            rows = {row["request_id"]: row for row in stage.books(left, timeout_s=30).rows}
            checks += _left(alias, left, hits, rows, ABORT_S * slack)
        quick = asyncio.run(load.at_once(count, stage.doors, tenant.key, "quick"))
        books = stage.books(load.heard)
        checks += [
            Check(
                "all concurrency slots are free",
                all(heard.is_answered for heard in quick),
                f"{sum(heard.is_answered for heard in quick)} of {count} calls at once were answered",
            ),
            Check("the workers are the same", pids == [gateway.workers() for gateway in stage.instances]),
            stage.no_defects(),
            *books.checks(),
        ]
        scaled = f"{count} of {CALLS} calls of a kind"
        return Report(number=NUMBER, name=NAME, scale=scaled, figures=books.figures(), checks=tuple(checks))


def _left(alias: str, left: Sequence[Heard], hits: dict[str, Hit], rows: dict[str, Row], abort_s: float) -> list[Check]:
    waits = [
        hit.aborted_s - heard.ended_s
        for heard in left
        if (hit := hits.get(heard.call)) is not None and hit.aborted_s is not None
    ]
    unseen = len(left) - len(waits)
    found = [row for heard in left if (row := rows.get(heard.call)) is not None]
    odd = [
        f"{heard.call} heard {heard.words}, billed {row['prompt_tokens']}+{row['completion_tokens']}"
        for heard in left
        if (row := rows.get(heard.call)) is not None and not _is_billed(heard, row)
    ]
    marked = [row for row in found if (row["status"], row["usage_source"]) == ("client_gone", "estimated")]
    return [
        Check(
            f"{alias}: the provider sees the abort in under {abort_s:g} s",
            not unseen and max(waits, default=0.0) < abort_s,
            f"{unseen} unseen, p99 {percentile(waits, 0.99):.2f} s, most {max(waits, default=0.0):.2f} s",
        ),
        Check(f"{alias}: every hang-up has a row", len(found) == len(left), f"{len(found)} of {len(left)}"),
        Check(f"{alias}: rows say client_gone and estimated", len(marked) == len(found), f"{len(marked)} do"),
        Check(f"{alias}: input and what was delivered is billed", not odd, "; ".join(odd[:3])),
    ]


def _is_billed(heard: Heard, row: Row) -> bool:
    """Input, and at least what the client heard; what was on its way when it left may be a word or two more."""
    delivered: int = row["completion_tokens"]
    return row["prompt_tokens"] > 0 and heard.words <= delivered <= heard.words + 2
