"""What a drill found, and the table that it becomes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

Verdict = Literal["held", "in part", "not built", "failed"]


class Check(msgspec.Struct, frozen=True):
    """One thing that must hold; ``found`` says what was found instead, or by how much it held."""

    what: str
    held: bool
    found: str = ""


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted in every drill. Money is US dollars, exact."""

    requests: int = 0
    admitted: int = 0
    refused: int = 0
    rows: int = 0
    cost_usd: Decimal = Decimal(0)
    duplicates: int = 0
    missing: int = 0
    overspend_usd: Decimal = Decimal(0)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One drill. ``not_built`` are the parts that the configuration checker does not know: nothing was tried of them.
    ``scale`` says how far the numbers are those of the failure's text."""

    number: int
    name: str
    scale: str
    figures: Figures = Figures()
    checks: tuple[Check, ...] = ()
    not_built: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """``held`` only where everything was tried and all of it held; a failure goes before what is not built."""
        if any(not check.held for check in self.checks):
            return "failed"
        if self.not_built:
            return "in part" if self.checks else "not built"
        return "held" if self.checks else "failed"

    @property
    def why(self) -> str:
        """What did not hold, then what was not tried."""
        failed = [
            f"{check.what}{f' ({check.found})' if check.found else ''}" for check in self.checks if not check.held
        ]
        if not self.checks and not self.not_built:
            failed = ["nothing was checked"]
        return "; ".join([*(f"NOT: {each}" for each in failed), *(f"not built: {part}" for part in self.not_built)])


_HEADINGS = (
    "drill",
    "scale",
    "requests",
    "admitted",
    "refused",
    "rows",
    "sum of cost",
    "duplicates",
    "missing",
    "overspend",
    "verdict",
)


def table(reports: Sequence[Report]) -> str:
    """The reports as a table in Markdown, a line each, and below it what did not hold or was not tried."""
    lines = [_HEADINGS, tuple("---" for _ in _HEADINGS), *(_cells(report) for report in reports)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADINGS))]
    shown = [
        "| "
        + " | ".join(cell.ljust(width, "-" if cell == "---" else " ") for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    ]
    reasons = [f"{report.number} {report.name}: {report.why}" for report in reports if report.why]
    return "\n".join([*shown, *(["", *reasons] if reasons else [])])


def as_json(reports: Sequence[Report]) -> bytes:
    """The reports with their checks, verdicts and reasons."""
    told = [
        {**msgspec.to_builtins(report, str_keys=True), "verdict": report.verdict, "why": report.why}
        for report in reports
    ]
    return msgspec.json.format(msgspec.json.encode(told))


def exit_code(reports: Sequence[Report]) -> int:
    """0 where all that could be tried held, and something of every drill could be."""
    return 0 if reports and all(report.verdict in ("held", "in part") for report in reports) else 1


def _cells(report: Report) -> tuple[str, ...]:
    figures = report.figures
    return (
        f"{report.number} {report.name}",
        report.scale,
        str(figures.requests),
        str(figures.admitted),
        str(figures.refused),
        str(figures.rows),
        f"${figures.cost_usd.normalize():f}",
        str(figures.duplicates),
        str(figures.missing),
        f"${figures.overspend_usd.normalize():f}",
        report.verdict,
    )
