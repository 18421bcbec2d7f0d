"""Failure 20: the wrong bill. Usage as providers tell it, through A and B, against the sheet that was made by hand."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from benches.drills.books import Row, some
from benches.drills.load import Door, Heard, Load
from benches.drills.report import Check, Report
from benches.drills.stage import Scale, Stage, Tenant
from tests.e2e.test_golden_usage import ASKED, PRICE, SHEET, Line
from tests.fakes.replaying import CHAT_ONLY, KEY_OF_PROVIDER, KINDS

NUMBER, NAME = 20, "wrong bill"
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
NEAR = Decimal("1e-9")
UNPRICED, UNTOLD = "unpriced", "untold"
WORDS = 3


@dataclass(frozen=True, slots=True)
class Expected:
    """What one call of the sheet must cost, in US dollars."""

    heard: Heard
    line: Line

    @property
    def cost(self) -> Decimal:
        """By hand."""
        return Decimal(self.line.micro) / 1_000_000


def drill(scale: Scale) -> Report:
    """Every line of the sheet, of every client that it names, at A and at B; usage that is not told; no price."""
    del scale  # a sheet is compared whole
    with Stage(providers=providers, models=aliases()) as stage:
        tenant, load = stage.tenant("T1"), Load("bill")

        async def play() -> tuple[list[Expected], list[Heard], list[Heard]]:
            sheet = [
                Expected(await asked(load, door, tenant, number, client), line)
                for (number, line), door in itertools.product(enumerate(SHEET), stage.doors)
                for client in line.clients
            ]
            ways = list(itertools.product(stage.doors, (False, True)))
            return (
                sheet,
                [await load.call(door, tenant.key, UNTOLD, stream=streamed) for door, streamed in ways],
                [await load.call(door, tenant.key, UNPRICED, stream=streamed) for door, streamed in ways],
            )

        sheet, untold, unpriced = asyncio.run(play())
        books = stage.books(load.heard)
        by_call = {row["request_id"]: row for row in books.rows}
        checks = (
            *_sheet(sheet, by_call),
            _untold([by_call.get(heard.call) for heard in untold]),
            _unpriced(unpriced, by_call),
            *books.checks(),
            stage.no_defects(),
        )
        whole = f"{len(sheet)} calls of {len(SHEET)} lines, whole"
        return Report(number=NUMBER, name=NAME, scale=whole, figures=books.figures(), checks=checks)


async def asked(load: Load, door: Door, tenant: Tenant, number: int, client: str) -> Heard:
    """One line of the sheet, asked for by a client of this dialect."""
    line = SHEET[number]
    headers = {"traceparent": f"00-{number + 1:032x}-{1:016x}-01"}
    return await load.call(
        door, tenant.key, line.model, stream=line.stream, path=PATHS[client], body=ASKED[client], headers=headers
    )


def providers(upstream: str) -> dict[str, Any]:
    """A provider of every kind that the sheet has lines of, all at the drills' own."""
    root = upstream.removesuffix("/v1")
    bare = ("azure", "anthropic", "google")
    kinds = {**KINDS, CHAT_ONLY: "openai_compatible"}
    return {
        name: {"kind": kind, "base_url": root if kind in bare else upstream, "api_key": KEY_OF_PROVIDER}
        for name, kind in kinds.items()
    }


def aliases() -> dict[str, Any]:
    """A model for each provider at the sheet's price, one that tells no usage, and one without a price."""
    priced = {name: _alias(name, f"{name}-model", price=PRICE) for name in (*KINDS, CHAT_ONLY)}
    untold = _alias(CHAT_ONLY, f"answer?words={WORDS}&told=0", price=PRICE)
    return {**priced, UNTOLD: untold, UNPRICED: _alias("openai", "answer")}


def _alias(provider: str, model: str, **more: Any) -> dict[str, Any]:
    return {"targets": [{"provider": provider, "model": model}], **more}


def differences(sheet: Sequence[Expected], by_call: dict[str, Row]) -> dict[str, Decimal]:
    """By line of the sheet, the largest difference of a row from it; a line without a price differs by all of it."""
    found: dict[str, Decimal] = {}
    for expected in sheet:
        cost = (by_call.get(expected.heard.call) or {}).get("cost") or Decimal(0)
        difference = abs(cost - expected.cost)
        if difference >= NEAR:
            found[expected.line.name] = max(difference, found.get(expected.line.name, Decimal(0)))
    return found


def _sheet(sheet: Sequence[Expected], by_call: dict[str, Row]) -> list[Check]:
    unanswered = {f"{each.line.name}: {each.heard.status}" for each in sheet if each.heard.status != 200}
    wrong = differences(sheet, by_call)
    unsaid = {
        each.line.name
        for each in sheet
        if each.heard.cost_usd is not None and Decimal(each.heard.cost_usd) != each.cost
    }
    return [
        Check("every call of the sheet is answered", not unanswered, some(unanswered)),
        Check(
            f"every row costs what the sheet says, to {NEAR:f}",
            not wrong,
            some(f"{name} off by ${by}" for name, by in wrong.items()),
        ),
        Check("where an answer says what it cost, the sheet says the same", not unsaid, some(unsaid)),
    ]


def _untold(rows: Sequence[Row | None]) -> Check:
    odd = [
        f"{row and (row['usage_source'], row['prompt_tokens'], row['completion_tokens'], row['cost'])}"
        for row in rows
        if row is None
        or row["usage_source"] != "counted"
        or row["prompt_tokens"] <= 0
        or row["completion_tokens"] != WORDS
        or row["cost"] != Decimal(3 * row["prompt_tokens"] + 15 * WORDS) / 1_000_000
    ]
    return Check("usage that is not told is counted, and paid for", not odd, some(odd))


def _unpriced(calls: Sequence[Heard], by_call: dict[str, Row]) -> Check:
    """Refused, or its row is flagged by having no cost at all; a cost of nothing would be a bill."""
    billed = [str(row["cost"]) for heard in calls if (row := by_call.get(heard.call)) and row["cost"] is not None]
    lost = [heard.call for heard in calls if heard.status == 200 and heard.call not in by_call]
    return Check(
        "a model without a price is refused or flagged, never $0",
        not billed and not lost,
        some([*billed, *lost]) or f"told {sorted({str(heard.status) for heard in calls})}",
    )
