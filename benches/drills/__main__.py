"""Failures played out: ``make drills``. Prints a table; exits with 1 unless all that could be tried held.

python -m benches.drills [--only 3,8] [--quick | --share 0.25] [--json FILE]
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from benches.drills import (
    bills,
    budget_burst,
    hang_ups,
    postgres_stops,
    redis_lost,
    stuck_limits,
    usage_truth,
)
from benches.drills.report import Check, Report, as_json, exit_code, table
from benches.drills.stage import Scale

DRILLS: dict[int, tuple[str, Callable[[Scale], Report]]] = {
    drill.NUMBER: (drill.NAME, drill.drill)
    for drill in (budget_burst, usage_truth, hang_ups, redis_lost, postgres_stops, bills, stuck_limits)
}
QUICK = 0.2


def main() -> None:
    """Plays what is asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", default="", help="numbers of drills, with commas between them; all unless given")
    parser.add_argument("--quick", action="store_true", help=f"the same as --share {QUICK}")
    parser.add_argument("--share", type=float, default=1.0, help="of the failures' own calls, rates and waits")
    parser.add_argument("--json", type=Path, help="a file for the reports, with every check")
    asked = parser.parse_args()
    scale = Scale(QUICK if asked.quick else asked.share)
    numbers = [int(number) for number in asked.only.replace(" ", ",").split(",") if number] or list(DRILLS)
    if unknown := set(numbers) - set(DRILLS):
        parser.error(f"no such drill: {sorted(unknown)}; there are {', '.join(map(str, DRILLS))}")
    reports = [played(number, scale) for number in numbers]
    print(table(reports))
    if asked.json:
        asked.json.write_bytes(as_json(reports))
    sys.exit(exit_code(reports))


def played(number: int, scale: Scale) -> Report:
    """The report of one drill; one that breaks off has failed."""
    name, drill = DRILLS[number]
    began = time.monotonic()
    try:
        report = drill(scale)
    except Exception as error:  # noqa: BLE001 -- the other drills are played all the same
        traceback.print_exc()
        broken = Check("the drill is played to its end", False, f"{type(error).__name__}: {str(error)[:300]}")
        report = Report(number=number, name=name, scale=f"share {scale.share:g}", checks=(broken,))
    print(f"{number} {name}: {report.verdict} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    for check in report.checks:
        print(f"  {'held' if check.held else 'NOT '}  {check.what}  {check.found}", file=sys.stderr, flush=True)
    return report


if __name__ == "__main__":
    main()
